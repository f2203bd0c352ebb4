#include "cache/policy.h"

#include "base/clock.h"

static uint64_t ms_to_ns(uint64_t ms)
{
    return ms > UINT64_MAX / NS_PER_MS ? UINT64_MAX : ms * NS_PER_MS;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

struct life policy_life(const struct cache_options *o, uint64_t ttl_ms, uint64_t stale_ms, uint64_t now_ns)
{
    uint64_t ttl_ns = ttl_ms == CACHE_TTL_DEFAULT ? o->ttl : ms_to_ns(ttl_ms);
    uint64_t stale_ns = stale_ms == CACHE_TTL_DEFAULT ? o->stale : ms_to_ns(stale_ms);
    ttl_ns = smaller(ttl_ns, o->max_ttl);
    stale_ns = smaller(stale_ns, o->max_ttl - ttl_ns);
    uint64_t soft_ns = clock_after(now_ns, ttl_ns);
    return (struct life){.soft_ns = soft_ns, .hard_ns = clock_after(soft_ns, stale_ns)};
}

enum age policy_age(const struct entry *e, uint64_t now_ns)
{
    if (now_ns >= e->hard_ns)
        return AGE_GONE;
    return e->stale || now_ns >= e->soft_ns ? AGE_STALE : AGE_FRESH;
}

uint64_t policy_left_ms(uint64_t end_ns, uint64_t now_ns)
{
    if (end_ns <= now_ns)
        return 0;
    uint64_t left_ns = end_ns - now_ns;
    return left_ns / NS_PER_MS + (left_ns % NS_PER_MS != 0);
}

bool version_is(const struct entry *e, const struct version *v)
{
    return e->epoch == v->epoch && e->v == v->v && e->id == v->id;
}
