/* Why keys are not here any more: what a tier or a change knew when it let an entry go, for the statistics of the misses
 * that follow.
 *
 * What must stay true: it decides nothing.  A set of GONE_WAYS places keeps the keys that came into it last; the ones before
 * are as if they had never been here.  A key is taken for another one of its set once in 2^28.
 *
 * Bound: GONE_PLACES words, 256 KiB; a note and a look touch one cache line each.
 * Thread rule: the owner's. */
#ifndef LARDER_BASE_GONE_H
#define LARDER_BASE_GONE_H

#include <stdint.h>
#include "proto/status.h"

enum { GONE_PLACES = 65536, GONE_WAYS = 4 };

struct gone;
struct gone *gone_create(void);
struct gone *gone_destroy(struct gone *g); /* NULL ok, returns NULL */

/* `why` is one of EXPIRED, EVICTED, INVALIDATED, TOO_BIG.  NULL ok: nothing is remembered, here and below. */
void gone_note(struct gone *g, uint64_t key_hash, enum miss_reason why);
/* COLD: it was never here, as far as is remembered. */
enum miss_reason gone_why(const struct gone *g, uint64_t key_hash);

#endif
