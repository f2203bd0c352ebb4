/* The yardstick: what an app gets from a good hash table in its own memory.
 *
 * This file is fixed.  Larder's bar for a hit is a ratio to it, so a change here changes what Larder claims; it
 * may be made faster, with a line in METHOD.md, never slower.
 *
 * XXH3, linear probing at load 0.5, eight-byte entries that carry 32 bits of the hash so that a probe touches an item
 * only when it is very likely the right one, items in one arena, TTL checked with the clock Larder's readers use
 * (CLOCK_MONOTONIC_COARSE), one mutex around everything, values copied out.  No eviction: it is sized for all. */
#ifndef LARDER_BENCH_BASELINE_H
#define LARDER_BENCH_BASELINE_H

#include <stdint.h>
#include "proto/slice.h"

struct baseline;

/* Room for `items` entries of `item_bytes` key and value bytes each.  All pages are touched here, so that none is
 * faulted in during a measurement.  NULL: no memory. */
struct baseline *baseline_create(uint64_t items, uint64_t item_bytes);
struct baseline *baseline_destroy(struct baseline *b);

/* 0, or -1 when it is full. */
int baseline_set(struct baseline *b, struct slice key, struct slice value, uint64_t ttl_ms);
/* 1 and the value copied to `out`, 0 when it is not there or over, -1 when `out` is too small. */
int baseline_get(struct baseline *b, struct slice key, void *out, size_t capacity, size_t *ret_size);

#endif
