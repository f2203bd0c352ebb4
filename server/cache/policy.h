/* What times mean: pure functions, the clock passed in. */
#ifndef LARDER_CACHE_POLICY_H
#define LARDER_CACHE_POLICY_H

#include "base/tier.h"
#include "cache/cache.h"

struct life {
    uint64_t soft_ns, hard_ns;
};

/* The life of an entry stored now for ttl_ms and stale_ms on top (CACHE_TTL_DEFAULT: the namespace's), under its
 * ceiling. */
struct life policy_life(const struct cache_options *o, uint64_t ttl_ms, uint64_t stale_ms, uint64_t now_ns);

enum age { AGE_FRESH, AGE_STALE, AGE_GONE };
enum age policy_age(const struct entry *e, uint64_t now_ns);

/* Remaining milliseconds, rounded up: what is still served has at least one left. */
uint64_t policy_left_ms(uint64_t end_ns, uint64_t now_ns);

bool version_is(const struct entry *e, const struct version *v);

#endif
