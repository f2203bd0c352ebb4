/* A cache of segments without bytes, driven by the daemon's own policy (server/l1/eviction.h): what `simulate`
 * measures.  Keys are dense numbers; their hashes are all the policy sees.
 *
 * The model is L1's in small: newcomers and survivors are appended to segments of their own; when none is free, the
 * segment with the most to gain is walked, what is worth it copied, the rest dropped.  All of it, open and spare
 * segments included, is inside the capacity.
 *
 * Hits reach the policy as the daemon gets them (proto/shm.h, touch page): one stripe of 256 places by slot, where a newer
 * touch replaces an older one; taken in every so many requests and before a segment is chosen; 1 % is lost. */
#ifndef LARDER_BENCH_MODEL_H
#define LARDER_BENCH_MODEL_H

#include <stdbool.h>
#include <stdint.h>

struct model;
struct curve;

/* How uses reach the curve of l1/curve.h: all at once; through the places for watched keys (proto/shm.h), drained with the
 * others; or through the places all keys share, as they would without those. */
enum model_curve { MODEL_CURVE_EXACT, MODEL_CURVE_WATCHED, MODEL_CURVE_SHARED };

struct model_setup {
    uint32_t keys;            /* numbers below */
    uint64_t capacity;        /* items, or bytes */
    uint32_t segments;        /* wanted; 0: items leave one by one */
    uint64_t ghosts, watched; /* of the policy */
    uint64_t items_max;       /* most there could be */
    uint32_t touch_delay;     /* requests; 0: each hit is told at once and none is lost */
    uint64_t seed;
    struct curve *curve; /* NULL: none; the caller's */
    enum model_curve curve_by;
};

struct model *model_create(const struct model_setup *setup);
struct model *model_destroy(struct model *m);

/* A read-through request for a key whose value has that size (1: units).  True: it was there. */
bool model_request(struct model *m, uint32_t key, uint32_t bytes);

/* What was noted and how large it is, for the curve. */
void model_tell_curve(struct model *m);

/* Items copied by cleaning for each that came in. */
double model_copies(const struct model *m);
uint64_t model_residents(const struct model *m);

#endif
