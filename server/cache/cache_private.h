/* What the files of this folder share.  Nobody else includes this. */
#ifndef LARDER_CACHE_CACHE_PRIVATE_H
#define LARDER_CACHE_CACHE_PRIVATE_H

#include "base/check.h"
#include "cache/cache.h"
#include "cache/flight.h"
#include "cache/guard.h"
#include "cache/policy.h"
#include "proto/wire.h"

/* From fast to slow: where a get looks in turn, and where a change is told. */
enum { CACHE_TIERS = 3 };

struct cache {
    struct cache_setup setup;
    struct tier *tiers[CACHE_TIERS]; /* L1, warm, L2; NULL where there is none */
    struct guard *guard;
    struct flights *flights;
    uint64_t position; /* newest V given out */
    uint64_t id_state;
    struct list gated_sets, gated_invalidations;
    struct cache_figures figures;
};

static inline uint64_t cache_now(const struct cache *c)
{
    return c->setup.now_ns(c->setup.clock);
}

static inline bool cache_gate_open(const struct cache *c)
{
    return cache_now(c) >= c->setup.gate_until_ns;
}

static inline uint64_t cache_key_hash(const struct cache *c, struct slice key)
{
    return shm_hash_key(c->setup.hash_secret, key);
}

static inline bool cache_key_valid(struct slice key)
{
    return key.size >= 1 && key.size <= WIRE_KEY_MAX;
}

/* May this call use that tier? */
static inline bool cache_may_use(uint8_t tiers, const struct tier *t)
{
    return t && (tiers == 0 || tiers & 1u << t->ops->name);
}

/* The position of the next change. */
uint64_t cache_next_position(struct cache *c);

/* The newest change may be undone by a kill -9 until this returns CACHE_DONE or, after CACHE_PENDING, calls `then`. */
int cache_make_safe(struct cache *c, struct cache_safety *safety, void (*then)(struct cache_safety *safety));

/* The gate opened: go on with what was held back. */
void cache_set_resume(struct cache_set *set);
void cache_invalidate_resume(struct cache_invalidate *invalidate);

/* Takes one key out of every tier, as part of the change at position v.  True when a kill -9 could undo it. */
bool cache_remove_key(struct cache *c, struct slice key, uint64_t key_hash, uint64_t v);

/* ---- tokens: what a miss hands out and the set after it brings back ---- */

enum { TOKEN_FORMAT = 1, TOKEN_BYTES = 17 };
void token_write(uint8_t ret_token[TOKEN_BYTES], uint64_t epoch, uint64_t v);
bool token_read(struct slice token, uint64_t *ret_epoch, uint64_t *ret_v);

#endif
