/* All figures of one namespace, read at one moment: for whoever adds, compares or exports them. */
#ifndef LARDER_APP_READINGS_H
#define LARDER_APP_READINGS_H

#include "app/space.h"
#include "cache/loaders.h"
#include "l1/l1.h"
#include "l2/l2.h"
#include "warm/warm.h"

struct readings {
    struct cache_figures cache;
    struct loader_figures loaders;
    struct l1_figures l1;
    struct warm_figures warm;
    struct tier_figures l1_tier, warm_tier, l2_tier;
    struct l2_health redis;                          /* zero without one */
    uint64_t l1_available, warm_available, redis_up; /* 0 or 1 */
    unsigned mode;                                   /* enum wire_mode */
};

void readings_take(const struct space *s, struct readings *ret);

/* Hits of all tiers, those that clients found by themselves included. */
static inline uint64_t readings_hits(const struct readings *r)
{
    return r->cache.hits_l1 + r->l1.l1_hits_shared + r->cache.hits_warm + r->cache.hits_l2;
}

#endif
