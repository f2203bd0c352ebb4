/* Which key comes next, what it is called, and what its value must be.
 *
 * What must stay true: everything is a pure function of a seed, so that every peer of a comparison sees the same
 * keys in the same order; and a key's name tells nothing about its rank, so that no peer profits from an order
 * real keys do not have.
 *
 * Streams are made before a measurement starts: drawing from a zipf distribution costs as much as a hit. */
#ifndef LARDER_BENCH_KEYS_H
#define LARDER_BENCH_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "proto/slice.h"

/* splitmix64 (Sebastiano Vigna, public domain): small, fast, and any seed is good. */
struct rng {
    uint64_t state;
};
uint64_t mix64(uint64_t x);
uint64_t rng_next(struct rng *r);
double rng_unit(struct rng *r); /* [0, 1) */
uint64_t rng_below(struct rng *r, uint64_t n);

/* Ranks 0 … n-1 with probability proportional to 1 / (rank + 1)^s, exactly, for any n and s > 0: rejection from
 * the inverted integral (Hörmann and Derflinger, 1996), not the usual approximation, which bends the head. */
struct zipf {
    double n, s, low, high, accept;
};
void zipf_init(struct zipf *z, uint64_t n, double s);
uint64_t zipf_next(const struct zipf *z, struct rng *r);

enum key_order { KEYS_UNIFORM, KEYS_ZIPF };

/* `count` key numbers below `key_count`.  NULL when there is no memory; free() it. */
uint32_t *keys_stream(enum key_order order, uint32_t key_count, double theta, size_t count, uint64_t seed);
/* Every number below `key_count` once, shuffled: the order in which a peer is filled, so that hot keys do not lie
 * side by side in its memory. */
uint32_t *keys_shuffled(uint32_t key_count, uint64_t seed);

enum { KEY_BYTES_MAX = 48 };
/* "item:" and 16 hex digits; with `levels` 2 or 3 also a tenant and a resource in front.  Returns its slice into
 * `out`. */
struct slice key_name(char out[KEY_BYTES_MAX], uint32_t number, unsigned levels);

/* A value says whose it is: its first word is `version`, every other word follows from number and version, so a
 * mixture of two values, or another key's value, cannot look right. */
void value_make(uint8_t *out, size_t size, uint32_t number, uint64_t version);
bool value_right(struct slice value, uint32_t number, uint64_t *ret_version);

#endif
