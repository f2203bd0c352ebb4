/* What times mean, and what a policy makes of an entry: pure functions, clock and chance passed in. */
#ifndef LARDER_CACHE_POLICY_H
#define LARDER_CACHE_POLICY_H

#include "base/tier.h"
#include "cache/cache.h"
#include "cache/policies.h"

struct life {
    uint64_t soft_ns, hard_ns;
};

/* What a caller asks for, or CACHE_TTL_DEFAULT: what the policy says. */
struct wish {
    uint64_t ttl_ms, stale_ms;
    bool absent;
    uint64_t chance; /* any number, the same for the same set: where in the jitter its life ends */
};

/* The life of an entry stored now, under the policy's ceiling. */
struct life policy_life(const struct policy *p, const struct wish *wish, uint64_t now_ns);

static inline bool policy_allows(const struct policy *p, enum tier_name tier)
{
    return p->tiers & 1u << tier;
}

/* The entry as it goes into that tier now: its number, and no longer life than the tier's. */
struct entry policy_shape(const struct policy *p, enum tier_name tier, const struct entry *e,
                          uint64_t now_ns);

enum age { AGE_FRESH, AGE_STALE, AGE_GONE };
enum age policy_age(const struct entry *e, uint64_t now_ns);

/* Remaining milliseconds, rounded up: what is still served has at least one left. */
uint64_t policy_left_ms(uint64_t end_ns, uint64_t now_ns);

bool version_is(const struct entry *e, const struct version *v);

#endif
