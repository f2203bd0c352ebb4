/* touch: a longer life, never a shorter one.
 *
 * What must stay true: only what a get would find alive is prolonged (F15), else touching would keep a dead entry until
 * the kill that made it dead is forgotten.  A longer life that a kill -9 takes back is a miss earlier, never a lie: there
 * is nothing to make safe. */
#include "base/clock.h"
#include "cache/cache_private.h"

static int answer(struct cache *c, struct cache_touch *touch, enum status status)
{
    touch->status = status;
    c->figures.touches += status == STATUS_OK;
    return CACHE_DONE;
}

/* The version of the result, and no other: one that is over or was replaced does not come back. */
static bool prolong(struct cache *c, struct cache_touch *touch, uint64_t soft_ns, uint64_t hard_ns)
{
    const struct policy *policy = policies_at(c->policies, touch->policy);
    struct entry e = {.key = touch->key,
                      .key_hash = touch->look.key_hash,
                      .v = touch->result.v,
                      .id = touch->result.id,
                      .soft_ns = soft_ns,
                      .hard_ns = hard_ns};
    bool reached = false;
    for (unsigned i = 0; i < CACHE_LOCAL_TIERS; i++) {
        struct tier *t = c->tiers[i];
        if (!t)
            continue;
        struct entry shaped = policy_shape(policy, t->ops->name, &e, cache_now(c));
        reached |= t->ops->touch(t, &shaped) != TIER_NOT_THERE;
    }
    return reached;
}

static struct life wished_life(const struct cache *c, const struct cache_touch *touch, uint64_t now_ns)
{
    struct wish wish = {.ttl_ms = touch->ttl_ms,
                        .stale_ms = touch->stale_ms,
                        .absent = touch->look.status == STATUS_ABSENT,
                        .chance = touch->look.key_hash ^ now_ns};
    return policy_life(policies_at(c->policies, touch->policy), &wish, now_ns);
}

/* ======= on this host alone ======= */

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static int found(struct cache *c, struct cache_touch *touch)
{
    const struct entry *e = &touch->look.entry;
    struct life life = wished_life(c, touch, touch->look.now_ns);
    uint64_t hard_ns = later(life.hard_ns, e->hard_ns);
    touch->result = (struct version){e->epoch, e->v, e->id};
    touch->ttl_left_ms = policy_left_ms(hard_ns, touch->look.now_ns);
    bool reached = prolong(c, touch, later(life.soft_ns, e->soft_ns), hard_ns);
    return answer(c, touch, reached ? STATUS_OK : STATUS_NOT_FOUND);
}

static int judge(struct cache *c, struct cache_touch *touch)
{
    bool there = touch->look.status == STATUS_HIT || touch->look.status == STATUS_ABSENT;
    touch->policy = touch->look.policy;
    if (there && !touch->look.overtaken)
        return found(c, touch);
    return answer(c, touch, STATUS_NOT_FOUND);
}

static void looked(struct cache_get *look_done)
{
    struct cache_touch *touch = CONTAINER_OF(look_done, struct cache_touch, look);
    if (judge(touch->cache, touch) == CACHE_DONE)
        touch->done(touch);
}

static int touch_here(struct cache *c, struct cache_touch *touch)
{
    touch->look = (struct cache_get){.key = touch->key, .no_promote = true, .done = looked};
    return cache_get(c, &touch->look) == CACHE_PENDING ? CACHE_PENDING : judge(c, touch);
}

/* ======= the fleet ======= */

static int answered(struct cache *c, struct cache_touch *touch)
{
    const struct fleet_change *change = &touch->change;
    c->committing--;
    switch (change->outcome) {
    case FLEET_COMMITTED:
        touch->result = (struct version){change->epoch, change->v, change->id};
        prolong(c, touch, change->soft_ns, change->hard_ns);
        touch->ttl_left_ms = policy_left_ms(change->hard_ns, cache_now(c));
        return answer(c, touch, STATUS_OK);
    case FLEET_AWAY: return answer(c, touch, STATUS_DETACHED);
    case FLEET_FAILED: return answer(c, touch, STATUS_BUSY);
    case FLEET_UNKNOWN: c->figures.changes_unknown++; return answer(c, touch, STATUS_UNKNOWN);
    default: return answer(c, touch, STATUS_NOT_FOUND);
    }
}

static void commit_answered(struct fleet_change *change)
{
    struct cache_touch *touch = CONTAINER_OF(change, struct cache_touch, change);
    if (answered(touch->cache, touch) == CACHE_DONE)
        touch->done(touch);
}

static int touch_there(struct cache *c, struct cache_touch *touch)
{
    struct life life = wished_life(c, touch, cache_now(c));
    struct entry e = {.key = touch->key, .soft_ns = life.soft_ns, .hard_ns = life.hard_ns};
    e = policy_shape(policies_at(c->policies, touch->policy), TIER_L2, &e, cache_now(c));
    touch->change = (struct fleet_change){
        .verb = FLEET_TOUCH, .partition = touch->partition, .entry = &e, .done = commit_answered};
    c->committing++;
    return c->fleet->ops->commit(c->fleet, &touch->change) == FLEET_DONE ? answered(c, touch) : CACHE_PENDING;
}

/* ======= the verb ======= */

static bool is_shared(const struct cache *c, struct cache_touch *touch)
{
    if (!c->fleet)
        return false;
    const struct policy *policy = cache_policy(c, touch->key);
    touch->policy = policy->number;
    return policy_allows(policy, TIER_L2);
}

int cache_touch(struct cache *c, struct cache_touch *touch)
{
    touch->cache = c;
    touch->policy = 0;
    touch->ttl_left_ms = 0;
    touch->result = (struct version){0};
    enum status key = cache_judge_key(c, touch->key);
    if (key != STATUS_OK)
        return answer(c, touch, key);
    touch->partition = cache_partition(c, touch->key);
    touch->look.key_hash = cache_key_hash(c, touch->key);
    return is_shared(c, touch) ? touch_there(c, touch) : touch_here(c, touch);
}
