/* How long the turns of a loop took, and requests: a log-linear histogram in a fixed array.  Eight steps a power of two, so a
 * quantile is right to 12.5 %; longest turn told apart: 18 minutes, more counts as that.  One thread. */
#ifndef LARDER_BASE_TURNS_H
#define LARDER_BASE_TURNS_H

#include <stdbool.h>
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

/* How long things took of which a sample is measured, and all that had to wait.  What must stay true: each is counted
 * once, so the sum of all cells is how often it happened; one that was not measured counts as if it had taken as long
 * as the last of the sample, so that those who waited weigh no more than they are many. */
struct took {
    struct turns turns;
    uint64_t sum_ns;
    uint64_t last_ns; /* of the sample; 0: there is none yet */
};

/* One of the sample. */
void took_measured(struct took *t, uint64_t ns);
/* One that waited. */
void took_waited(struct took *t, uint64_t ns);
/* Neither.  False: the first of all, to be measured as well as it can be; nothing was counted. */
bool took_unmeasured(struct took *t);
/* All of `other` as well. */
void took_merge(struct took *t, const struct took *other);

#endif
