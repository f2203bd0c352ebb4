/* The names that come up most often, in bounded memory: Space-Saving (Metwally, Agrawal, El Abbadi 2005).
 *
 * What must stay true: a name that came up more often than once in TALLY_PLACES is here; what a name's count may be too
 * high by is told beside it.
 *
 * Bound: TALLY_PLACES names of at most TALLY_NAME_MAX bytes, 34 KiB; a name costs one pass over the hashes.
 * Thread rule: the owner's. */
#ifndef LARDER_BASE_TALLY_H
#define LARDER_BASE_TALLY_H

#include <stdint.h>
#include "proto/slice.h"

enum { TALLY_PLACES = 128, TALLY_NAME_MAX = 255 };

struct tally;
struct tally *tally_create(void);
struct tally *tally_destroy(struct tally *t); /* NULL ok, returns NULL */

/* Longer names are passed over. */
void tally_add(struct tally *t, struct slice name);

struct tallied {
    struct slice name;     /* valid until the next tally_add */
    uint64_t count, error; /* true: between count - error and count */
};
/* The commonest first; returns how many. */
unsigned tally_top(const struct tally *t, struct tallied *ret, unsigned max);

#endif
