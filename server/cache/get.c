/* The way of a get, one function a step:
 *
 *   AT_L1 ──found──▶ answer            AT_WARM, AT_L2 ──found──▶ promote, answer
 *     │ missed                            │ missed         │ pending
 *   AT_FLIGHT ──one under way──▶ wait   next tier        wait; the landing flight moves all who wait
 *     │ none                              │ no more
 *   AT_WARM                             AT_MISS ──▶ answer with a token
 *
 * What must stay true: promotion is a fill.  A read that was under way while its key changed answers those who had
 * joined before the change and is inserted nowhere (I3, I11, F9); kills by name are judged by the tier when the read
 * ends, in the same turn in which it is inserted. */
#include "cache/cache_private.h"

enum { AT_L1, AT_FLIGHT, AT_WARM, AT_L2, AT_MISS };
enum { STEP_MORE = 2 }; /* beside CACHE_DONE and CACHE_PENDING */

static int run(struct cache *c, struct cache_get *get);

/* ======= answers ======= */

static int answer_miss(struct cache *c, struct cache_get *get, enum miss_reason reason)
{
    get->status = STATUS_MISS;
    get->reason = reason;
    get->tier = TIER_NONE;
    token_write(get->token, c->setup.epoch, c->position);
    get->token_bytes = TOKEN_BYTES;
    c->figures.misses++;
    c->figures.misses_expired += reason == MISS_EXPIRED;
    c->figures.misses_invalidated += reason == MISS_INVALIDATED;
    return CACHE_DONE;
}

static int answer_found(struct cache *c, struct cache_get *get, const struct entry *e, enum tier_name tier)
{
    enum age age = policy_age(e, get->now_ns);
    if (age == AGE_GONE)
        return answer_miss(c, get, MISS_EXPIRED);
    if (age == AGE_STALE && get->no_stale)
        return answer_miss(c, get, MISS_STALE);
    get->entry = *e;
    get->entry.stale = age == AGE_STALE;
    get->tier = tier;
    get->status = e->absent ? STATUS_ABSENT : STATUS_HIT;
    if (get->if_version && version_is(e, &get->version))
        get->status = STATUS_NOT_MODIFIED;
    c->figures.hits_l1 += tier == TIER_L1;
    c->figures.hits_warm += tier == TIER_WARM;
    c->figures.hits_stale += age == AGE_STALE;
    return CACHE_DONE;
}

/* ======= steps ======= */

static int at_l1(struct cache *c, struct cache_get *get)
{
    struct tier *l1 = c->tiers[0];
    get->step = AT_FLIGHT;
    if (!cache_may_use(get->tiers, l1))
        return STEP_MORE;
    struct tier_read read = {.key = get->key, .key_hash = get->key_hash, .now_ns = get->now_ns};
    int outcome = l1->ops->get(l1, &read);
    CHECK(outcome != TIER_PENDING); /* L1 is memory */
    if (outcome == TIER_FOUND)
        return answer_found(c, get, &read.entry, TIER_L1);
    get->reason = read.reason;
    return STEP_MORE;
}

/* A get that may look everywhere shares reads; one that names its tiers looks for itself. */
static bool shares_reads(const struct cache_get *get)
{
    return get->tiers == 0;
}

static int at_flight(struct cache *c, struct cache_get *get)
{
    get->step = AT_WARM;
    struct flight *flight = shares_reads(get) ? flight_find(c->flights, get->key, get->key_hash) : NULL;
    if (!flight)
        return STEP_MORE;
    flight_join(flight, get);
    c->figures.reads_joined++;
    return CACHE_PENDING;
}

static void promote(struct cache *c, struct cache_get *get, const struct entry *e)
{
    struct tier *l1 = c->tiers[0];
    if (!l1 || get->no_promote || !shares_reads(get))
        return;
    int r = l1->ops->put(l1, e);
    c->figures.promotions += r == TIER_DONE;
    get->too_big_for_l1 = r == TIER_TOO_BIG;
}

static enum miss_reason worse_reason(enum miss_reason a, enum miss_reason b)
{
    return a > b ? a : b; /* the table goes from "cold" to the more telling */
}

static struct tier *tier_at(const struct cache *c, unsigned step)
{
    return c->tiers[step - AT_WARM + 1];
}

/* The read of a slow tier ended: everybody who waited gets it or goes on to the next tier. */
static void land(struct flight *flight, struct tier_read *read, int outcome)
{
    struct cache_get *get;
    bool first = true;
    while ((get = flight_next_waiting(flight))) {
        struct cache *c = get->cache;
        enum tier_name tier = tier_at(c, get->step)->ops->name;
        int r;
        if (outcome == TIER_FOUND) {
            if (first && !flight_detached(flight))
                promote(c, get, &read->entry);
            r = answer_found(c, get, &read->entry, tier);
            first = false;
        } else {
            get->reason = worse_reason(get->reason, read->reason);
            get->step++;
            r = run(c, get);
        }
        if (r == CACHE_DONE)
            get->done(get);
    }
}

static int at_slow_tier(struct cache *c, struct cache_get *get)
{
    struct tier *tier = tier_at(c, get->step);
    struct tier_read read;
    if (!cache_may_use(get->tiers, tier)) {
        get->step++;
        return STEP_MORE;
    }
    switch (flight_start(c->flights, tier, get, &read, shares_reads(get), land)) {
    case TIER_PENDING: return CACHE_PENDING;
    case TIER_FOUND: promote(c, get, &read.entry); return answer_found(c, get, &read.entry, tier->ops->name);
    default:
        get->reason = worse_reason(get->reason, read.reason);
        get->step++;
        return STEP_MORE;
    }
}

static int at_miss(struct cache *c, struct cache_get *get)
{
    return answer_miss(c, get, get->reason ? get->reason : MISS_COLD);
}

static int (*const steps[])(struct cache *c, struct cache_get *get) = {
    [AT_L1] = at_l1,        [AT_FLIGHT] = at_flight, [AT_WARM] = at_slow_tier,
    [AT_L2] = at_slow_tier, [AT_MISS] = at_miss,
};

static int run(struct cache *c, struct cache_get *get)
{
    int next = STEP_MORE;
    while (next == STEP_MORE)
        next = steps[get->step](c, get); /* every step answers, waits, or moves get->step on */
    return next;
}

/* ======= the verb ======= */

int cache_get(struct cache *c, struct cache_get *get)
{
    get->cache = c;
    get->now_ns = cache_now(c);
    get->step = AT_L1;
    get->reason = MISS_NONE;
    get->overtaken = get->too_big_for_l1 = false;
    get->token_bytes = 0;
    list_init(&get->waiting);
    c->figures.gets++;
    if (!cache_key_valid(get->key)) {
        get->status = STATUS_BAD_KEY;
        return CACHE_DONE;
    }
    if (!c->setup.options->cache)
        return answer_miss(c, get, MISS_DISABLED);
    get->key_hash = cache_key_hash(c, get->key);
    return run(c, get);
}
