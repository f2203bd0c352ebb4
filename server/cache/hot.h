/* The fleet's hot list: keys that are hot here are told to all, and a host that joins with nothing in its shared memory warms from
 * what the others told.
 *
 * A key whose values do not leave their host (policy l2 = off, store = off) is not told either.
 * Thread rule: loop thread only. */
#ifndef LARDER_CACHE_HOT_H
#define LARDER_CACHE_HOT_H

#include "cache/cache.h"

enum { HOT_TOLD_MAX = 256 }; /* keys a call: the bound of a script's turn */

/* Keys that are hot here, `weight` 1 and more; to be called about once a second with some of them. */
void cache_tell_hot(struct cache *c, const struct fleet_hot *keys, unsigned count);
/* Does this host take part? */
bool cache_has_hot_list(const struct cache *c);

/* ---- cache/'s own ---- */

struct warming;
/* All that the list names, hottest first. */
const char *feed_hot(struct warming *w);
void hot_tick(struct cache *c);
void hot_stop(struct cache *c);

#endif
