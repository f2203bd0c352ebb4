/* What must stay true: the tree holds, at the time of each key's last use, the bytes it had then: all that is newer than a
 * use is what was used since, each key once. */
#include "bench/stacks.h"

#include <stdlib.h>

struct tree {
    uint64_t *sums, whole, count;
};

static void add(struct tree *tree, uint64_t at, uint64_t bytes)
{
    for (uint64_t i = at + 1; i <= tree->count; i += i & -i)
        tree->sums[i] += bytes;
    tree->whole += bytes;
}

static uint64_t after(const struct tree *tree, uint64_t at)
{
    uint64_t up_to = 0;
    for (uint64_t i = at + 1; i > 0; i -= i & -i)
        up_to += tree->sums[i];
    return tree->whole - up_to;
}

struct last {
    uint64_t at; /* + 1; 0: never */
    uint32_t bytes;
};

/* The smallest cache that would have it. */
static uint64_t needed(struct tree *tree, struct last *last, uint64_t now, uint32_t bytes)
{
    uint64_t size = UINT64_MAX;
    if (last->at) {
        size = after(tree, last->at - 1) + last->bytes;
        add(tree, last->at - 1, -(uint64_t)last->bytes);
    }
    *last = (struct last){now + 1, bytes};
    add(tree, now, bytes);
    return size;
}

void stacks_misses(const struct recorded *t, bool bytes, const uint64_t *sizes, unsigned count, double *ret)
{
    struct tree tree = {.sums = calloc(t->count + 1, sizeof(uint64_t)), .count = t->count};
    struct last *lasts = calloc(t->keys ? t->keys : 1, sizeof(*lasts));
    for (unsigned n = 0; n < count; n++)
        ret[n] = 0;
    for (uint64_t i = 0; i < t->count; i++) {
        const struct recorded_request *r = &t->requests[i];
        uint64_t size = needed(&tree, &lasts[r->key], i, bytes ? r->bytes : 1);
        for (unsigned n = 0; n < count; n++)
            ret[n] += size > sizes[n];
    }
    for (unsigned n = 0; n < count; n++)
        ret[n] /= t->count ? (double)t->count : 1;
    free(tree.sums);
    free(lasts);
}
