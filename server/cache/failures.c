#include "cache/failures.h"

#include <stdlib.h>
#include <uthash.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"

#define FIRST_NS (100 * NS_PER_MS)
#define LAST_NS  (10 * NS_PER_S)
enum { DOUBLINGS_MAX = 7 }; /* 100 ms, seven times doubled, is more than 10 s */

struct failed {
    uint64_t key_hash, until_ns;
    unsigned row; /* failures one after another */
    struct list node;
    UT_hash_handle hh;
};

struct failures {
    struct failed *table;
    struct list oldest_first;
};

struct failures *failures_create(void)
{
    struct failures *f = must_alloc(sizeof(*f));
    list_init(&f->oldest_first);
    return f;
}

static struct failed *find(const struct failures *f, uint64_t key_hash)
{
    struct failed *failed;
    HASH_FIND(hh, f->table, &key_hash, sizeof(key_hash), failed);
    return failed;
}

static void drop(struct failures *f, struct failed *failed)
{
    list_remove(&failed->node);
    HASH_DEL(f->table, failed);
    free(failed);
}

struct failures *failures_destroy(struct failures *f)
{
    struct list *first;
    while (f && (first = list_first(&f->oldest_first)))
        drop(f, CONTAINER_OF(first, struct failed, node));
    free(f);
    return NULL;
}

/* The key's row, as the youngest. */
static struct failed *row_of(struct failures *f, uint64_t key_hash)
{
    struct failed *failed = find(f, key_hash);
    if (failed) {
        list_remove(&failed->node);
    } else {
        if (HASH_COUNT(f->table) == FAILURES_MAX)
            drop(f, CONTAINER_OF(list_first(&f->oldest_first), struct failed, node));
        failed = must_alloc(sizeof(*failed));
        failed->key_hash = key_hash;
        HASH_ADD(hh, f->table, key_hash, sizeof(key_hash), failed);
    }
    list_append(&f->oldest_first, &failed->node);
    return failed;
}

/* Between four and six fifths, so that a fleet of hosts does not try at once. */
static uint64_t give_or_take(uint64_t ns, uint32_t dice)
{
    return ns / 5 * 4 + (uint64_t)((double)(ns / 5 * 2) * dice / UINT32_MAX);
}

static uint64_t time_for(unsigned row)
{
    uint64_t ns = FIRST_NS << (row - 1 < DOUBLINGS_MAX ? row - 1 : DOUBLINGS_MAX);
    return ns < LAST_NS ? ns : LAST_NS;
}

uint64_t failures_note(struct failures *f, uint64_t key_hash, uint64_t wanted_ns, uint64_t now_ns,
                       uint32_t dice)
{
    struct failed *failed = row_of(f, key_hash);
    bool in_a_row = failed->row && now_ns < clock_after(failed->until_ns, LAST_NS);
    failed->row = in_a_row ? failed->row + 1 : 1;
    uint64_t ns = wanted_ns ? wanted_ns : give_or_take(time_for(failed->row), dice);
    failed->until_ns = clock_after(now_ns, ns);
    return failed->until_ns;
}

void failures_hear(struct failures *f, uint64_t key_hash, uint64_t until_ns)
{
    struct failed *failed = row_of(f, key_hash);
    failed->until_ns = until_ns > failed->until_ns ? until_ns : failed->until_ns;
}

void failures_forget(struct failures *f, uint64_t key_hash)
{
    struct failed *failed = f->table ? find(f, key_hash) : NULL; /* most of the time there are none */
    if (failed)
        drop(f, failed);
}

uint64_t failures_left_ns(const struct failures *f, uint64_t key_hash, uint64_t now_ns)
{
    const struct failed *failed = find(f, key_hash);
    return failed && failed->until_ns > now_ns ? failed->until_ns - now_ns : 0;
}
