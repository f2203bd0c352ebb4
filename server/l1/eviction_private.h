/* The parts of the eviction policy: time and classes, the learner, ghosts, and what segments hold.  Private to
 * server/l1/eviction*.c. */
#ifndef LARDER_L1_EVICTION_PRIVATE_H
#define LARDER_L1_EVICTION_PRIVATE_H

#include <stdlib.h>
#include <string.h>
#include "l1/eviction.h"

enum {
    AGES = 56,       /* buckets of age: one of a unit, then four an octave: 14 octaves */
    FREQUENCIES = 5, /* 1, 2, 3-4, 5-8, more */
    DISTANCES = 7,   /* between uses */
    CLASSES = FREQUENCIES * DISTANCES,
    FREQUENCY_MAX = 15,
    OCTAVE = 8,   /* steps of a distance */
    WORTHS = 512, /* bins of worth, eight an octave */
    GHOST_WAYS = 8,
    WATCH_WAYS = 8,
};

/* What is known of a key besides its last use. */
struct past {
    uint8_t frequency, distance; /* distance: 8 log2 of requests between uses, smoothed */
};

struct watched {
    uint32_t print; /* of the hash; 0 with frequency 0: empty */
    uint32_t last;  /* use, in requests */
    struct past past;
    uint16_t unused;
};

typedef float curves[CLASSES][AGES];

struct learner {
    struct watched *watched;
    uint32_t sets, sample; /* of 65,536 tags, how many are watched */
    curves used, lost;     /* by class and age: uses seen, keys given up */
    curves live, exposed;  /* keys waiting now; chances to be used there were */
    curves worth;
    float by_distance[DISTANCES][AGES], overall[AGES];
    uint32_t step;       /* of the round under way; 0: none */
    uint64_t next, last; /* rounds, in requests */
    float floor;         /* of chances */
    double memory;       /* requests after which what was seen counts 1/e */
    double requests, misses, recent_requests, recent_misses;
    unsigned stretch; /* octaves by which the curves reach farther where misses are rare */
};

struct memory_of_gone {
    uint32_t *words; /* print 12 | time 11 | frequency 4 | distance in octaves 5; 0: empty */
    uint32_t sets;
};

/* What is believed about a segment: how well its bytes would be freed, from how many looks. */
struct regard {
    float gain, looks;
};

struct eviction {
    uint64_t now;    /* requests told */
    unsigned grain;  /* log2 of the requests in a step of an item's time */
    double capacity; /* items */
    unsigned unit;   /* log2 of the requests in a unit: about capacity / 23 */
    uint8_t distance_from[DISTANCES];
    struct learner learner;
    struct memory_of_gone gone;
    struct regard *regards;
    float seen[WORTHS], seen_sum; /* bytes looked at, by worth */
    uint32_t looks;
    float threshold;       /* worth less goes */
    double goes_share;     /* of all bytes, what the threshold stands for */
    float byte_share[256]; /* 1 / bytes, by size code */
};

/* ---- eviction.c ------------------------------------------------------------------------------------------------- */

unsigned eviction_class(const struct eviction *e, struct past past);
struct past eviction_past_next(const struct eviction *e, struct past past, uint64_t age);

static inline unsigned log2_floor(uint64_t x)
{
    return 63u - (unsigned)__builtin_clzll(x | 1);
}
/* Bucket of an age in requests where a unit has 2^unit of them. */
static inline unsigned age_bucket(unsigned unit, uint64_t age)
{
    if (age >> unit == 0)
        return 0;
    unsigned top = log2_floor(age), fourth = (unsigned)(top >= 2 ? age >> (top - 2) : age << (2 - top)) & 3;
    unsigned bucket = 1 + 4 * (top - unit) + fourth;
    return bucket < AGES ? bucket : AGES - 1;
}

/* ---- eviction_learn.c --------------------------------------------------------------------------------------------- */

void learner_setup(struct eviction *e, uint32_t watched);
void learner_teardown(struct eviction *e);
/* A key that may be watched was asked for. */
void learner_see(struct eviction *e, uint64_t key_hash);
/* Units follow the capacity: buckets are shifted with them. */
void learner_shift(struct eviction *e, int octaves);
void learner_work(struct eviction *e);
static inline unsigned learner_unit(const struct eviction *e)
{
    return e->unit + e->learner.stretch;
}

/* ---- eviction_gone.c --------------------------------------------------------------------------------------------- */

void gone_setup(struct eviction *e, uint64_t count);
void gone_teardown(struct eviction *e);
void gone_put(struct eviction *e, uint64_t key_hash, struct past past, uint64_t age);
/* Whether the key is remembered, and what of it; forgets it. */
bool gone_take(struct eviction *e, uint64_t key_hash, struct past *ret, uint64_t *ret_age);

#endif
