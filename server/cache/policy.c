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

/* Shorter, never longer: nobody gets more than was asked for. */
static uint64_t jittered(uint64_t ttl_ns, uint32_t thousandths, uint64_t chance)
{
    uint64_t spread_ns = ttl_ns / 1000 * thousandths;
    uint64_t part = (chance * 0x9e3779b97f4a7c15ull) >> 56; /* of 256 */
    return ttl_ns - spread_ns / 256 * part;
}

struct life policy_life(const struct policy *p, const struct wish *w, uint64_t now_ns)
{
    uint64_t usual_ns = w->absent ? p->negative_ttl_ns : p->ttl_ns;
    uint64_t ttl_ns = w->ttl_ms == CACHE_TTL_DEFAULT ? usual_ns : ms_to_ns(w->ttl_ms);
    uint64_t stale_ns = w->stale_ms == CACHE_TTL_DEFAULT ? p->stale_ns : ms_to_ns(w->stale_ms);
    ttl_ns = jittered(smaller(ttl_ns, p->max_ttl_ns), p->jitter, w->chance);
    stale_ns = smaller(stale_ns, p->max_ttl_ns - ttl_ns);
    uint64_t soft_ns = clock_after(now_ns, ttl_ns);
    return (struct life){.soft_ns = soft_ns, .hard_ns = clock_after(soft_ns, stale_ns)};
}

static uint64_t tier_ttl(const struct policy *p, enum tier_name tier)
{
    return tier == TIER_L1 ? p->l1_ttl_ns : tier == TIER_L2 ? p->l2_ttl_ns : UINT64_MAX;
}

struct entry policy_shape(const struct policy *p, enum tier_name tier, const struct entry *e, uint64_t now_ns)
{
    struct entry shaped = *e;
    shaped.policy = p->number;
    shaped.hard_ns = smaller(e->hard_ns, clock_after(now_ns, tier_ttl(p, tier)));
    shaped.soft_ns = smaller(e->soft_ns, shaped.hard_ns);
    return shaped;
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
