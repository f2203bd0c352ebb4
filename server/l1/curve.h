/* What more or less memory would do: the share of uses that a cache of any size would find, learnt while running.
 *
 * A sample of keys is watched (those with the lowest tags), with the order in which they were last used and their bytes.
 * How many bytes of other watched keys came between two uses of one, divided by the share that is watched, is how large
 * an LRU cache must be to find it: SHARDS in its fixed-size form (Waldspurger, Park, Garthwaite, Ahmad, FAST 2015), its
 * correction included: what was asked for and not seen among the watched is taken for uses close together.  That is
 * also what the uses are that readers tell only once between two drains of their touch pages.
 *
 * Besides SHARDS:
 *   - what memory does not help is counted apart: keys seen for the first time or not for twice the memory there is
 *     ("far"), expired, invalidated;
 *   - a cache that is not LRU is predicted by the LRU size that misses as often as it does now, scaled: curve_predict;
 *   - whether a value that comes back after its end, or after an invalidation, is the one there was.
 *
 * Follows the load: everything counted is halved when both a time and a number of watched uses have passed (setup), so
 * what was counted before the last halving weighs at most as much as what came since.
 *
 * What must stay true: no clock but the one passed in, no I/O, no randomness; every call does a bounded amount of work:
 * O(log keys), a quarter of a microsecond; O(keys) once in keys / 2 uses, for renumbering, and when fewer keys are watched:
 * 50 µs with CURVE_KEYS; so does a prediction.
 *
 * Memory: 39 bytes a key, 2 to 4 more for chains, and 22 KiB; with CURVE_KEYS 244 KiB.
 *
 * Thread rule: the owner's. */
#ifndef LARDER_L1_CURVE_H
#define LARDER_L1_CURVE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    CURVE_KEYS = 5400,
    CURVE_KEYS_MAX = 40000,
    CURVE_POLICIES = 64, /* those from the last on share it */
    CURVE_TAGS = 65536,
    CURVE_REACH = 4, /* times the memory there is: farther uses count as far */
};

struct curve_setup {
    uint32_t keys;                     /* watched at most, up to CURVE_KEYS_MAX */
    uint64_t halving_ns, halving_uses; /* 0: nothing fades */
};

struct curve;
struct curve *curve_create(const struct curve_setup *setup);
struct curve *curve_destroy(struct curve *c); /* NULL ok, returns NULL */

/* Keys with a tag (the low 16 bits of their hash) below that are watched; 1 to CURVE_TAGS.  Falls when keys become too
 * many.  Calls about other keys are ignored. */
uint32_t curve_below(const struct curve *c);

/* ---- what happens ------------------------------------------------------------------------------------------------ */

struct curve_item {
    uint32_t bytes;   /* what it takes of the memory */
    uint32_t end;     /* in any unit of time, that of `now` */
    uint32_t content; /* a hash of its value; 0: not known */
    uint8_t policy;
};

/* The key was asked for, and was there.  `weight` >= 1: uses this one stands for, where others were lost. */
void curve_found(struct curve *c, uint64_t hash, const struct curve_item *item, double weight, uint32_t now);
/* ... and was not. */
void curve_missed(struct curve *c, uint64_t hash, uint32_t now);
/* A value was stored; that is no use of the key. */
void curve_stored(struct curve *c, uint64_t hash, const struct curve_item *item, uint32_t now);
void curve_prolonged(struct curve *c, uint64_t hash, uint32_t end);
void curve_invalidated(struct curve *c, uint64_t hash);
void curve_cleared(struct curve *c); /* all of them were */

/* How many bytes the cache can hold now. */
void curve_capacity(struct curve *c, uint64_t bytes);
/* Uses of all keys, and those that found nothing, since whenever: both only grow.  Halves what is due. */
void curve_told(struct curve *c, uint64_t uses, uint64_t misses, uint64_t now_ns);

/* `taken` of `places` of a touch page were in use when they were drained, each place noting the last key of those that
 * share it.  Returns the uses that each of the taken stands for; watches fewer keys when that becomes too many, but always
 * some, and more again with time (curve_told). */
double curve_crowd(struct curve *c, uint32_t taken, uint32_t places);

/* ---- what it says ---------------------------------------------------------------------------------------------- */

struct curve_summary {
    double uses, misses;              /* fading; exact: as told */
    double far, expired, invalidated; /* of the misses, as the sample has it */
    double seen;                      /* uses of watched keys all this rests on, fading */
    uint32_t keys;                    /* watched now */
    double uses_per_s;
    uint64_t since_ns; /* since when uses are counted (now of curve_told; 0: not yet) */
    bool enough;       /* to say anything: curve_at and curve_predict */
};
void curve_summarize(const struct curve *c, struct curve_summary *ret);

struct curve_point {
    double misses; /* of all uses, 0 to 1 */
    double error;  /* ±, twice the standard error as four parts of the sample have it */
};
/* An LRU cache of that many bytes. */
struct curve_point curve_lru(const struct curve *c, double bytes);
/* The owner's cache with that many times the bytes it has, going by how it does now. */
struct curve_point curve_predict(const struct curve *c, double times);

/* Bytes watched keys of the policy hold now, as a share of all watched bytes; and of the values that came back after the
 * end of another (expired), or after an invalidation, how many were the same. */
struct curve_policy {
    double bytes_share;
    double expired, expired_same, invalidated, invalidated_same;
};
void curve_policies(const struct curve *c, struct curve_policy ret[CURVE_POLICIES]);

#endif
