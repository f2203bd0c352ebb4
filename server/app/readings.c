#include "app/readings.h"

static void measure_tier(struct tier *tier, struct tier_figures *ret)
{
    tier->ops->measure(tier, ret);
}

void readings_take(const struct space *s, struct readings *ret)
{
    *ret = (struct readings){.mode = cache_mode(s->cache)};
    cache_measure(s->cache, &ret->cache);
    loaders_measure(s->cache, &ret->loaders);
    if (s->l1) {
        ret->l1_available = 1;
        l1_measure(s->l1, &ret->l1);
        measure_tier(l1_tier(s->l1), &ret->l1_tier);
    }
    if (s->warm) {
        warm_measure(s->warm, &ret->warm);
        measure_tier(warm_tier(s->warm), &ret->warm_tier);
        ret->warm_available = ret->warm_tier.available;
    }
    if (s->l2) {
        measure_tier(l2_fleet(s->l2)->tier, &ret->l2_tier);
        l2_health(s->l2, &ret->redis);
        ret->redis_up = ret->redis.linked;
    }
}
