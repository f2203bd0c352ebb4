/* The parts of the curve: watched keys, their order, what was counted.  Private to server/l1/curve*.c. */
#ifndef LARDER_L1_CURVE_PRIVATE_H
#define LARDER_L1_CURVE_PRIVATE_H

#include <stdlib.h>
#include "l1/curve.h"

enum {
    NO_KEY = UINT16_MAX,
    OCTAVES = 40,
    STEPS = 16, /* an octave of distances */
    DISTANCES = OCTAVES * STEPS,
    PARTS = 4, /* of the sample, by hash: how far they are apart is the error */
};

enum key_state { KEY_FREE, KEY_LIVE, KEY_EXPIRED, KEY_INVALIDATED };

struct curve_key {
    uint32_t print; /* with the tag 48 bits of the hash */
    uint32_t bytes, end, content;
    uint16_t tag;
    uint16_t next; /* in its chain, or in the list of free ones */
    uint16_t at;   /* in the order */
    uint8_t policy, state;
};

/* Watched keys from the least recently used on: places are given out in rising order and renumbered when they run out;
 * `sums` is a tree of partial sums of the bytes at places (Fenwick 1994). */
struct order {
    uint64_t *sums;
    uint16_t *keys; /* by place; NO_KEY: left */
    uint32_t places, next, oldest;
    uint64_t bytes;
};

struct came_back {
    double times, same;
};

/* In uses of all keys.  Nothing but doubles: they fade together. */
struct counted {
    double near[PARTS][DISTANCES]; /* by the smallest LRU cache that would have found it */
    double far[PARTS], expired[PARTS], invalidated[PARTS];
    double unknown;                           /* of keys found that had not been watched from the start on */
    double uses, misses;                      /* exact, as told */
    double seconds;                           /* in which those were */
    double seen;                              /* of watched keys, as they are */
    struct came_back back[CURVE_POLICIES][2]; /* after expiry, after invalidation */
};

struct curve {
    uint32_t keys_max, keys, dead;
    uint32_t below, ceiling;     /* tags watched; at most so many, since touches of more get lost */
    uint64_t lifted_ns, lift_ns; /* when the ceiling was raised, and after how long it is again */
    bool cut;                    /* it has fallen since */
    uint32_t heads_mask, cursor;
    uint16_t free;
    uint16_t *heads;
    struct curve_key *all;
    struct order order;
    uint64_t capacity;
    bool reached; /* the order has been as long as it may be: who is not in it was not used for that long */
    struct counted counted;
    uint64_t told_uses, told_misses, told_ns, since_ns;
    uint64_t halved_ns, halving_ns, halving_uses;
    double since_halving;  /* uses seen */
    double taken, crowded; /* places in use, at drains; of those: where too many were */
};

/* ---- curve_order.c ---------------------------------------------------------------------------------------------- */

void order_setup(struct order *o, uint32_t keys_max);
void order_teardown(struct order *o);
void order_clear(struct order *o);
/* To the front, as the most recently used. */
void order_append(struct curve *c, uint16_t key);
void order_leave(struct curve *c, uint16_t key);
/* The bytes of a key that stays where it is. */
void order_resize(struct order *o, uint32_t place, uint64_t from, uint64_t to);
/* Bytes used more recently than what is at that place. */
uint64_t order_newer(const struct order *o, uint32_t place);
/* NO_KEY: there is none. */
uint16_t order_oldest(struct order *o);

/* ---- curve.c -------------------------------------------------------------------------------------------------------- */

/* The step of near[] in which x bytes lie, and how far within it. */
unsigned curve_step(double x, double *ret_within);

static inline double curve_scale(const struct curve *c)
{
    return (double)CURVE_TAGS / c->below;
}

#endif
