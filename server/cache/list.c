/* Listing: first what L1 holds, then what the warm tier holds besides.  The cursor carries the tier in its top byte and
 * the tier's own cursor below, so nothing is kept between two pages.  A page may be short, even empty, in the middle;
 * only cursor 0 is the end. */
#include "cache/cache_private.h"

enum { CURSOR_TIER_SHIFT = 56 };
#define CURSOR_INNER_MASK ((1ull << CURSOR_TIER_SHIFT) - 1)

struct listing {
    struct cache *cache;
    enum tier_name tier;
    uint64_t now_ns;
    bool (*each)(void *user, const struct cache_listed *listed);
    void *user;
};

static bool faster_tier_has(const struct listing *l, const struct tier_listed *t)
{
    struct tier *l1 = l->cache->tiers[0];
    if (l->tier == TIER_L1 || !l1)
        return false;
    struct tier_read read = {.key = t->key, .key_hash = t->key_hash, .now_ns = l->now_ns, .looks = true};
    return l1->ops->get(l1, &read) == TIER_FOUND;
}

static bool list_one(void *user, const struct tier_listed *t)
{
    struct listing *l = user;
    if (faster_tier_has(l, t))
        return true;
    struct cache_listed listed = {.key = t->key,
                                  .tier = l->tier,
                                  .ttl_ms = policy_left_ms(t->hard_ns, l->now_ns),
                                  .value_bytes = t->value_bytes,
                                  .no_dump = !cache_policy(l->cache, t->key)->dump};
    return l->each(l->user, &listed);
}

/* The tier after index i that can list, or CACHE_TIERS.  L2 is the fleet's: it is not listed here. */
static unsigned next_listed(const struct cache *c, unsigned i)
{
    while (i < 2 && !c->tiers[i])
        i++;
    return i < 2 ? i : CACHE_TIERS;
}

void cache_list(struct cache *c, uint64_t *cursor, uint32_t limit,
                bool (*each)(void *user, const struct cache_listed *listed), void *user)
{
    unsigned i = next_listed(c, (unsigned)(*cursor >> CURSOR_TIER_SHIFT));
    uint64_t inner = *cursor & CURSOR_INNER_MASK;
    if (i == CACHE_TIERS) {
        *cursor = 0;
        return;
    }
    struct tier *t = c->tiers[i];
    struct listing l = {.cache = c, .tier = t->ops->name, .now_ns = cache_now(c), .each = each, .user = user};
    t->ops->list(t, &inner, limit, l.now_ns, list_one, &l);
    CHECK(inner <= CURSOR_INNER_MASK);
    if (inner == 0)
        i = next_listed(c, i + 1);
    *cursor = i == CACHE_TIERS ? 0 : (uint64_t)i << CURSOR_TIER_SHIFT | inner;
}

/* ======= what comes unasked ======= */

bool cache_l1_full(const struct cache *c)
{
    const struct tier *l1 = c->tiers[0];
    return l1 && l1->ops->full && l1->ops->full(l1);
}

void cache_expect(const struct cache *c, struct slice key)
{
    const struct tier *l1 = c->tiers[0];
    if (l1 && l1->ops->expect)
        l1->ops->expect(l1, cache_key_hash(c, key));
}

bool cache_take_restored(void *user, const struct entry *e)
{
    struct cache *c = user;
    struct tier *l1 = c->tiers[0];
    if (!l1 || cache_l1_full(c))
        return false;                                      /* what was restored first was hotter */
    const struct policy *policy = cache_policy(c, e->key); /* of today: the entry is of another daemon */
    struct tier_read read = {.key = e->key, .key_hash = e->key_hash, .now_ns = cache_now(c), .looks = true};
    if (!policy_allows(policy, TIER_L1) || l1->ops->get(l1, &read) == TIER_FOUND)
        return true; /* a change since the start is newer than what was kept */
    struct entry shaped = policy_shape(policy, TIER_L1, e, read.now_ns);
    l1->ops->put(l1, &shaped);
    return true;
}

void cache_hold_warmings(struct cache *c, bool held)
{
    c->warmings_held = held;
}
