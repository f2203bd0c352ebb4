/* How long the turns of a loop took: a log-linear histogram in a fixed array.  Eight steps a power of two, so a
 * quantile is right to 12.5 %; longest turn told apart: 18 minutes, more counts as that.  One thread. */
#ifndef LARDER_NET_TURNS_H
#define LARDER_NET_TURNS_H

#include <stdint.h>

enum {
    TURNS_STEP_BITS = 3,
    TURNS_TOP_BIT = 40, /* 2^40 ns */
    TURNS_CELLS = (TURNS_TOP_BIT - TURNS_STEP_BITS + 2) << TURNS_STEP_BITS,
};

struct turns {
    uint64_t count, max_ns;
    uint64_t cells[TURNS_CELLS];
};

void turns_add(struct turns *t, uint64_t ns);
/* The same, `count` times at once. */
void turns_add_many(struct turns *t, uint64_t ns, uint64_t count);
/* All of `other` as well. */
void turns_merge(struct turns *t, const struct turns *other);
/* The value below or at which `permille` of all turns lie, rounded up to the end of its step; 0 when empty. */
uint64_t turns_quantile(const struct turns *t, unsigned permille);
/* How many took `ns` at most, short by those of its own step. */
uint64_t turns_within(const struct turns *t, uint64_t ns);

#endif
