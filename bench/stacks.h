/* The exact miss ratio of LRU at any size, from the stack distances of a trace (Mattson et al. 1970): what the daemon's
 * curve, made from a sample, is compared with. */
#ifndef LARDER_BENCH_STACKS_H
#define LARDER_BENCH_STACKS_H

#include <stdbool.h>
#include "bench/recorded.h"

/* Misses of each request's key at LRU caches of those sizes, as shares of all requests, first uses included.  `bytes`:
 * sizes are bytes, else items. */
void stacks_misses(const struct recorded *t, bool bytes, const uint64_t *sizes, unsigned count, double *ret);

#endif
