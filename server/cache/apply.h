/* Effects: what a committed change does to the tiers of this host, whoever made it.
 *
 * What must stay true (I1): a change at position v takes out only what is older than v, strictly.  So it may come
 * twice, and late.  What it takes out is gone for every reader when the call returns; the answers say whether a kill -9
 * could bring it back before the next commit. */
#ifndef LARDER_CACHE_APPLY_H
#define LARDER_CACHE_APPLY_H

#include "cache/cache.h"

/* What a call names, as a record of position v. */
struct fleet_record record_of_call(const struct cache_invalidate *i, uint64_t v);

/* True when a kill -9 could undo it. */
bool apply_record(struct cache *c, unsigned partition, const struct fleet_record *r);

/* A name of base/kills.h, floors included. */
bool apply_kill(struct cache *c, uint64_t name, uint64_t v, bool soft);

/* Takes one key out of every tier of this host. */
bool apply_removal(struct cache *c, struct slice key, uint64_t key_hash, uint64_t v);

#endif
