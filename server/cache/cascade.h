/* Cascade rules: what else is invalidated with a key or a prefix, because the policy of the keys says so.
 *
 * Followed once per fleet: where invalidate was called, before anything happens, so that all of it is one change, with
 * one count and one position; records of other hosts are not followed again.  What a rule names is followed in turn.  It ends, because rules
 * that lead back to themselves are refused when they are loaded, and because nothing is named twice.
 *
 * A key follows the rule of its own policy.  A prefix follows the rules of all policies that have keys below it, as far as the
 * prefix decides the {name}s in them; so does a glob.  Tags and "everything" follow none: an event is the way to say that. */
#ifndef LARDER_CACHE_CASCADE_H
#define LARDER_CACHE_CASCADE_H

#include "cache/cache.h"
#include "cache/named.h"

/* Adds to what the call names.  False: more than CASCADE_MAX names would be added, or one would be too long. */
enum { CASCADE_MAX = 4096 }; /* about a millisecond of the loop */
bool cascade_begin(struct cache *c, struct cache_invalidate *i);
/* Of the names of a kind, those that its caller named: they come first. */
unsigned cascade_asked(const struct cache_invalidate *i, enum named_kind kind);
/* How many names it added. */
unsigned cascade_added(const struct cache_invalidate *i);
/* What the call names is what its caller named again. */
void cascade_end(struct cache_invalidate *i);

#endif
