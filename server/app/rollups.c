#include "app/rollups.h"

#include <stdlib.h>
#include <string.h>
#include "app/readings.h"
#include "app/space.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

enum {
    LOOKS_A_ROUND = 600, /* of 100 ms: all of L1 in a minute, a small one sooner, one beyond 1.5 GiB later */
    SLOTS_A_LOOK = 1024, /* at least; a few microseconds */
    SLOTS_MOST = 16384,  /* 0.2 ms, cold */
    HOT_A_LOOK = 8,      /* keys of a slice: its hottest; the rollup watches some hundred */
};

struct rollups {
    struct space *space;
    struct rollup *rollup;
    struct outbox *store; /* NULL: none, the rollup ends with the process */
    uint64_t refused;     /* records of earlier runs */
    uint32_t hot_cursor;
    struct rollup_counts whole; /* as they were taken last, here and below */
    struct rollup_counts of[POLICY_NUMBERS];
    uint64_t near_others; /* of policies whose near hits are not told apart */
};

/* ======= keeping ======= */

static void keep(void *user, uint64_t number, struct slice record)
{
    struct rollups *u = user;
    if (u->store)
        u->store->ops->keep(u->store, number, record);
}

static void take_over(void *user, uint64_t number, struct slice record)
{
    struct rollups *u = user;
    u->refused += !rollup_load(u->rollup, number, record);
}

struct rollups *rollups_create(struct space *s)
{
    struct rollups *u = must_alloc(sizeof(*u));
    u->space = s;
    u->store = s->warm ? warm_rollups(s->warm) : NULL;
    u->rollup = rollup_create(&(struct rollup_store){keep, u});
    if (u->store)
        u->store->ops->each(u->store, take_over, u);
    if (u->refused)
        log_warn("statistics of some days are of another version, or no statistics, and are left out",
                 L_TEXT("namespace", s->config->name), L_U64("records", u->refused));
    rollup_begin(u->rollup, clock_wall_ns() / NS_PER_S);
    return u;
}

struct rollups *rollups_destroy(struct rollups *u)
{
    if (u)
        rollup_destroy(u->rollup);
    free(u);
    return NULL;
}

/* ======= policies ======= */

static bool is_literal(struct slice level)
{
    return level.size && !memchr(level.data, '*', level.size) && !memchr(level.data, '{', level.size);
}

/* Of a pattern with three levels or more the second, of others the first; the first too where the second is any. */
static struct slice resource_of_pattern(struct slice pattern)
{
    struct slice levels[3] = {{0}};
    unsigned count = 0;
    const char *at = pattern.data, *end = at + pattern.size;
    for (; at <= end && count < COUNT_OF(levels); count++) {
        const char *colon = memchr(at, ':', (size_t)(end - at));
        levels[count] = slice_of(at, (size_t)((colon ? colon : end) - at));
        at = (colon ? colon : end) + 1;
    }
    if (count == COUNT_OF(levels) && is_literal(levels[1]))
        return levels[1];
    return is_literal(levels[0]) ? levels[0] : slice_of(NULL, 0);
}

/* Of several patterns, what all of them name. */
static struct slice resource_of(const struct policy *p)
{
    struct slice all = {0};
    for (const char *at = p->pattern; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        at += strspn(at, " ");
        struct slice one = resource_of_pattern(slice_of(at, strcspn(at, ", ")));
        if (all.size && !slice_equal(one, all))
            return slice_of(NULL, 0);
        all = one;
    }
    return all;
}

#define OF_POLICY(kind, name, sentence) .name = f.name,
#define OF_TENANT(kind, name, sentence) .name = t->name,

static struct rollup_counts counts_of(const struct rollups *u, unsigned number, const uint64_t *near)
{
    struct policy_figures f;
    cache_measure_policy(u->space->cache, number, &f);
    return (struct rollup_counts){.hits_shared = number < POLICY_NEAR_MAX ? near[number] : 0,
                                  .hits_l1 = f.hits_l1,
                                  .hits_warm = f.hits_warm,
                                  .hits_l2 = f.hits_l2,
                                  .hits_stale = f.hits_stale,
                                  .misses = f.misses,
                                  MISS_FIGURES(OF_POLICY).sets = f.sets};
}

/* By what the policy says now of its source. */
static void add_savings(struct rollup_counts *more, const struct policy *p)
{
    uint64_t hits = rollup_hits(more);
    more->saved_us = hits * (p->source_cost_ns / NS_PER_US);
    more->saved_millionths = hits * p->source_price;
}

static void take_policy(struct rollups *u, unsigned number, const uint64_t *near)
{
    const struct policies *all = cache_policies(u->space->cache);
    const struct policy *p = policies_at(all, number);
    const char *name = number ? policies_number_name(all, number) : POLICY_OF_NAMESPACE;
    struct slice resource = {0};
    if (!name)
        return;
    struct rollup_counts now = counts_of(u, number, near), more = rollup_since(&now, &u->of[number]);
    u->of[number] = now;
    if (p->number == number) { /* else it is of the configuration before */
        add_savings(&more, p);
        resource = resource_of(p);
    }
    rollup_add_policy(u->rollup, slice_text(name), resource, &more);
}

static void take_policies(struct rollups *u)
{
    uint64_t near[SHM_POLICIES] = {0};
    if (u->space->l1)
        l1_policy_hits(u->space->l1, near);
    for (unsigned n = 0; n < POLICY_NUMBERS; n++)
        take_policy(u, n, near);
    struct rollup_counts others = {.hits_shared = near[POLICY_NEAR_MAX] - u->near_others};
    rollup_add_others(u->rollup, &others);
    u->near_others = near[POLICY_NEAR_MAX];
}

/* ======= all else ======= */

static void take_whole(struct rollups *u)
{
    struct readings r;
    readings_take(u->space, &r);
    struct rollup_counts now = {.invalidations = r.cache.invalidations,
                                .loads = r.cache.loads,
                                .evictions = r.l1.l1_evictions + r.l1.l1_displaced,
                                .evictions_warm = r.warm.warm_evictions};
    struct rollup_counts more = rollup_since(&now, &u->whole);
    u->whole = now;
    rollup_add(u->rollup, &more);
}

static void take_tenant(void *user, struct slice name, const struct tenant *t)
{
    struct rollups *u = user;
    struct rollup_counts more = {.hits_l1 = t->hits_l1,
                                 .hits_warm = t->hits_warm,
                                 .hits_l2 = t->hits_l2,
                                 .hits_stale = t->hits_stale,
                                 .misses = t->misses,
                                 MISS_FIGURES(OF_TENANT).sets = t->sets,
                                 .saved_us = t->saved_us,
                                 .saved_millionths = t->saved_millionths};
    rollup_add_tenant(u->rollup, name, &more);
}

static void take(struct rollups *u)
{
    take_policies(u);
    take_whole(u);
    tenants_take(cache_tenants(u->space->cache), take_tenant, u);
}

static void take_hot(struct rollups *u, uint32_t slot)
{
    struct slice key = l1_slot_key(u->space->l1, slot);
    const struct policy *p = policies_match(cache_policies(u->space->cache), key);
    bool on_disk = !u->space->config->cache.secret && p->tiers & 1u << TIER_WARM;
    rollup_add_key(u->rollup, key, l1_slot_frequency(u->space->l1, slot), on_disk);
}

static void look_at_heat(struct rollups *u)
{
    const struct l1 *l1 = u->space->l1;
    uint32_t slots[HOT_A_LOOK];
    uint32_t some = l1 ? l1_slots(l1) / LOOKS_A_ROUND : 0;
    some = some < SLOTS_A_LOOK ? SLOTS_A_LOOK : some < SLOTS_MOST ? some : SLOTS_MOST;
    uint32_t count = l1 ? l1_hottest(l1, &u->hot_cursor, some, slots, HOT_A_LOOK) : 0;
    for (uint32_t n = 0; n < count; n++)
        take_hot(u, slots[n]);
}

/* ======= when ======= */

void rollups_tick(struct rollups *u)
{
    uint64_t wall_s = clock_wall_ns() / NS_PER_S;
    look_at_heat(u);
    if (!rollup_is_over(u->rollup, wall_s))
        return;
    take(u);
    rollup_turn(u->rollup, wall_s);
}

const struct rollup *rollups_now(struct rollups *u)
{
    rollups_tick(u);
    take(u);
    return u->rollup;
}

uint64_t rollups_kept_s(const struct rollups *u)
{
    return rollup_kept_s(u->rollup);
}

void rollups_before_policies(struct rollups *u)
{
    take(u);
}

/* Nothing was counted in between, so what is there now is where counting begins. */
void rollups_after_policies(struct rollups *u)
{
    uint64_t near[SHM_POLICIES] = {0};
    if (u->space->l1)
        l1_policy_hits(u->space->l1, near);
    for (unsigned n = 0; n < POLICY_NUMBERS; n++)
        u->of[n] = counts_of(u, n, near);
}

void rollups_stop(struct rollups *u)
{
    if (!u)
        return;
    take(u);
    rollup_keep(u->rollup);
}
