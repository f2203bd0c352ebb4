/* While the fleet is away.
 *
 * What must stay true (C7, C8, I13): nothing decided here is ever taken for the fleet's: an entry set now is LOCAL,
 * lives in L1 only, and dies before the host is FRESH again; what an invalidation removed here is removed at once, kept
 * in the outbox, and told first when the fleet is back; a token given now is good for this absence only, and one given
 * before is not good now (F14). */
#ifndef LARDER_CACHE_DETACHED_H
#define LARDER_CACHE_DETACHED_H

#include "cache/cache.h"

struct detached;

struct detached *detached_create(void);
struct detached *detached_destroy(struct detached *d); /* NULL ok, returns NULL */

/* Is the fleet away now? */
bool detached_is(const struct cache *c);
/* May an entry of this key, for which nobody vouches, be served? */
bool detached_serves(const struct cache *c, uint64_t key_hash, uint64_t now_ns);

struct token;
void detached_token(struct cache *c, struct token *ret);
/* Nothing happened here to the key since the token was given. */
bool detached_admits(struct cache *c, const struct token *t, uint64_t key_hash);

/* Does a change that the fleet did not commit: here at once, there later.  False when it may be forgotten by the death
 * of this process (no outbox on disk).  *ret_unsafe: a kill -9 could undo it until the next commit. */
bool detached_apply(struct cache *c, const struct fleet_change *change, bool *ret_unsafe);

/* The rest of a set: the entry stays on this host, as LOCAL.  False: nothing could keep it, or the fleet is not away. */
bool detached_keep(struct cache *c, struct entry *e);

#endif
