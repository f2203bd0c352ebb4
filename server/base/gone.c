#include "base/gone.h"

#include <stdlib.h>
#include "base/check.h"

#define SETS (GONE_PLACES / GONE_WAYS)

/* print 28 | reason 4; 0: nobody.  The newest of a set comes first. */
struct gone {
    uint32_t sets[SETS][GONE_WAYS];
};

struct gone *gone_create(void)
{
    return must_alloc(sizeof(struct gone));
}

struct gone *gone_destroy(struct gone *g)
{
    free(g);
    return NULL;
}

/* The low half says in which set the key is, the high half which of that set's keys it is. */
static uint32_t print_of(uint64_t key_hash)
{
    return (uint32_t)(key_hash >> 32) & ~15u;
}

/* Where the key is; GONE_WAYS: nowhere. */
static unsigned find(const uint32_t *set, uint32_t print)
{
    unsigned way = 0;
    while (way < GONE_WAYS && (set[way] == 0 || (set[way] & ~15u) != print))
        way++;
    return way;
}

void gone_note(struct gone *g, uint64_t key_hash, enum miss_reason why)
{
    if (!g)
        return;
    uint32_t *set = g->sets[key_hash % SETS], print = print_of(key_hash);
    unsigned way = find(set, print);
    for (way = way < GONE_WAYS ? way : GONE_WAYS - 1; way > 0; way--)
        set[way] = set[way - 1];
    set[0] = print | (uint32_t)why;
}

enum miss_reason gone_why(const struct gone *g, uint64_t key_hash)
{
    if (!g)
        return MISS_COLD;
    const uint32_t *set = g->sets[key_hash % SETS];
    unsigned way = find(set, print_of(key_hash));
    return way < GONE_WAYS ? (enum miss_reason)(set[way] & 15) : MISS_COLD;
}
