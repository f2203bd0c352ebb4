/* A histogram of durations that can be added up across processes.
 *
 * What must stay true: a quantile is at most HIST_ERROR away from the true one, relatively, whatever was recorded; two
 * histograms added give the same answers as one that saw both; recording neither allocates nor loops.
 *
 * Log-linear buckets: 128 equal ones for each doubling, so a bucket is never wider than 1/128 of what it holds, and
 * its middle never further than 1/256 from anything in it.  Plain memory without pointers: it may lie in memory
 * shared between processes. */
#ifndef LARDER_BENCH_HIST_H
#define LARDER_BENCH_HIST_H

#include <stdint.h>

enum {
    HIST_SUB_BITS = 7,
    HIST_SUB = 1 << HIST_SUB_BITS,
    HIST_OCTAVES = 36, /* up to 2^43 ns, two hours and a half; longer is counted as that */
    HIST_BUCKETS = (HIST_OCTAVES + 1) * HIST_SUB,
};
#define HIST_ERROR (1.0 / (2 * HIST_SUB))

/* Zeroed memory is an empty histogram. */
struct hist {
    uint64_t count;
    uint64_t sum;
    uint64_t min, max; /* exact */
    uint64_t bucket[HIST_BUCKETS];
};

void hist_record(struct hist *h, uint64_t value);
void hist_merge(struct hist *into, const struct hist *from);

/* The value below or at which a share `q` (0 to 1) of all lies; 0 when nothing was recorded. */
double hist_quantile(const struct hist *h, double q);
double hist_mean(const struct hist *h);

#endif
