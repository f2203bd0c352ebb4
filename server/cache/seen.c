/* Open addressing, never more than half full; hashes are spread already. */
#include "cache/seen.h"

#include <stdlib.h>
#include "base/check.h"

enum { FIRST = 256 };

static uint64_t *slot_of(const struct seen *s, uint64_t name)
{
    uint32_t at = (uint32_t)name & (s->capacity - 1);
    while (s->slots[at] && s->slots[at] != name)
        at = (at + 1) & (s->capacity - 1);
    return &s->slots[at];
}

static uint64_t not_0(uint64_t name)
{
    return name ? name : 1;
}

static void grow(struct seen *s)
{
    struct seen old = *s;
    s->capacity = old.capacity ? 2 * old.capacity : FIRST;
    s->slots = must_alloc(s->capacity * sizeof(*s->slots));
    for (uint32_t i = 0; i < old.capacity; i++)
        if (old.slots[i])
            *slot_of(s, old.slots[i]) = old.slots[i];
    free(old.slots);
}

bool seen_full(const struct seen *s)
{
    return s->count == SEEN_MAX;
}

bool seen_has(const struct seen *s, uint64_t name)
{
    return s->slots && *slot_of(s, not_0(name)) != 0;
}

void seen_add(struct seen *s, uint64_t name)
{
    if (seen_full(s) || seen_has(s, name))
        return;
    if (2 * (s->count + 1) > s->capacity)
        grow(s);
    *slot_of(s, not_0(name)) = not_0(name);
    s->count++;
}

void seen_finish(struct seen *s)
{
    free(s->slots);
    *s = (struct seen){.count = 0};
}
