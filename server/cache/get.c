/* The way of a get, one function a step:
 *
 *   AT_L1 ──found──▶ answer            AT_WARM, AT_L2 ──found──▶ promote, answer
 *     │ missed                            │ missed         │ pending
 *   AT_FLIGHT ──one under way──▶ wait   next tier        wait; the landing flight moves all who wait
 *     │ none                              │ no more
 *   AT_WARM                             AT_MISS ──▶ answer with a token
 *
 * With a fleet, what L1 or warm has is served only while somebody vouches for it: a lease, else the fleet's word that it
 * is still the same version (AT_L2 with `held`, then from the start, `confirmed`), else, while the fleet is away, flagged.
 * Of a value that never leaves this host the fleet knows no version: there its word is how far its changes go, and all of
 * them must have been done here.
 *
 * What must stay true: promotion is a fill.  A read that was under way while its key changed answers those who had
 * joined before the change and is inserted nowhere (I3, I11, F9); kills by name are judged when the read ends, in the
 * same turn in which it is inserted. */
#include "base/clock.h"
#include "cache/cache_private.h"
#include "cache/loaders.h"

enum { AT_L1, AT_FLIGHT, AT_WARM, AT_L2, AT_MISS };
enum { STEP_MORE = 2 }; /* beside CACHE_DONE and CACHE_PENDING */
enum {
    COMPARED_MAX = 3
}; /* how often an entry may change between the fleet's word and the look that follows */

static int run(struct cache *c, struct cache_get *get);

/* ======= answers ======= */

/* What the fleet's answer was no older than is the best that is known; what was applied here will do. */
void token_now(struct cache *c, const struct cache_get *get, struct token *ret)
{
    if (detached_is(c)) {
        detached_token(c, ret);
        return;
    }
    *ret = (struct token){TOKEN_POSITION, cache_epoch(c, get->partition), c->position};
    if (c->fleet) {
        uint64_t applied = c->fleet->view->of[get->partition].applied;
        ret->v = get->at_v > applied ? get->at_v : applied;
    }
}

static const struct policy *policy_of(const struct cache *c, const struct cache_get *get)
{
    return policies_at(c->policies, get->policy);
}

#define MISS_PLACES(figures)                                               \
    {                                                                      \
        [MISS_COLD] = offsetof(struct figures, misses_cold),               \
        [MISS_EXPIRED] = offsetof(struct figures, misses_expired),         \
        [MISS_INVALIDATED] = offsetof(struct figures, misses_invalidated), \
        [MISS_SUSPECT] = offsetof(struct figures, misses_suspect),         \
        [MISS_DETACHED] = offsetof(struct figures, misses_detached),       \
        [MISS_STALE] = offsetof(struct figures, misses_stale),             \
        [MISS_DISABLED] = offsetof(struct figures, misses_disabled),       \
        [MISS_EVICTED] = offsetof(struct figures, misses_evicted),         \
        [MISS_TOO_BIG] = offsetof(struct figures, misses_too_big),         \
        [MISS_SCHEMA] = offsetof(struct figures, misses_schema),           \
    }
static const size_t miss_places[] = MISS_PLACES(cache_figures);
static const size_t policy_miss_places[] = MISS_PLACES(policy_figures);
static const size_t tenant_miss_places[] = MISS_PLACES(tenant);

static void count_reason(const size_t *places, enum miss_reason reason, void *figures)
{
    CHECK(reason < COUNT_OF(miss_places) && places[reason]);
    ++*(uint64_t *)(void *)((char *)figures + places[reason]);
}

static void count_hit_of(struct tenant *t, const struct cache_get *get, const struct policy *p)
{
    t->hits_l1 += get->tier == TIER_L1;
    t->hits_warm += get->tier == TIER_WARM;
    t->hits_l2 += get->tier == TIER_L2;
    t->hits_stale += get->entry.stale;
    t->saved_us += p->source_cost_ns / NS_PER_US;
    t->saved_millionths += p->source_price;
}

/* Gets that callers asked for.  Whoever only looks (explain, a condition) is none of them. */
static void count_miss(struct cache *c, const struct cache_get *get)
{
    if (get->no_promote || get->warming)
        return;
    c->by_policy[get->policy].gets++;
    c->by_policy[get->policy].misses++;
    count_reason(policy_miss_places, get->reason, &c->by_policy[get->policy]);
    c->figures.gets++;
    c->figures.misses++;
    count_reason(miss_places, get->reason, &c->figures);
    if (get->tenant) {
        get->tenant->misses++;
        count_reason(tenant_miss_places, get->reason, get->tenant);
    }
}

static void count_hit(struct cache *c, const struct cache_get *get)
{
    struct policy_figures *own = &c->by_policy[get->policy];
    if (get->no_promote || get->warming)
        return;
    own->gets++;
    own->hits_l1 += get->tier == TIER_L1;
    own->hits_warm += get->tier == TIER_WARM;
    own->hits_l2 += get->tier == TIER_L2;
    own->hits_stale += get->entry.stale;
    c->figures.gets++;
    c->figures.hits_l1 += get->tier == TIER_L1;
    c->figures.hits_warm += get->tier == TIER_WARM;
    c->figures.hits_l2 += get->tier == TIER_L2;
    c->figures.hits_detached += get->detached;
    c->figures.hits_stale += get->entry.stale;
    if (get->tenant)
        count_hit_of(get->tenant, get, policy_of(c, get));
}

static int answer_miss(struct cache *c, struct cache_get *get, enum miss_reason reason)
{
    get->status = STATUS_MISS;
    get->reason = reason;
    get->tier = TIER_NONE;
    struct token token;
    token_now(c, get, &token);
    token_write(get->token, &token);
    get->token_bytes = TOKEN_BYTES;
    count_miss(c, get);
    if (reason == MISS_EXPIRED || reason == MISS_INVALIDATED)
        gone_note(c->setup.gone, get->key_hash, reason); /* the next to ask is told the same */
    return CACHE_DONE;
}

/* Looked at only where somebody could load it. */
static bool is_due(const struct cache *c, const struct cache_get *get, const struct entry *e)
{
    return loaders_any(c->loaders) && !get->warming && !get->tiers &&
           (e->stale || load_is_late(c, policy_of(c, get), e, get->key_hash, get->now_ns));
}

static int answer_found(struct cache *c, struct cache_get *get, const struct entry *e, enum tier_name tier)
{
    enum age age = policy_age(e, get->now_ns);
    if (age == AGE_GONE)
        return answer_miss(c, get, MISS_EXPIRED);
    if (age == AGE_STALE && get->no_stale)
        return answer_miss(c, get, MISS_STALE);
    if (get->schema && !e->absent && e->schema != get->schema)
        return answer_miss(c, get, MISS_SCHEMA);
    get->entry = *e;
    get->entry.policy = get->policy;
    get->entry.stale = age == AGE_STALE;
    get->tier = tier;
    get->status = e->absent ? STATUS_ABSENT : STATUS_HIT;
    if (get->if_version && version_is(e, &get->version))
        get->status = STATUS_NOT_MODIFIED;
    get->due = is_due(c, get, &get->entry);
    count_hit(c, get);
    return CACHE_DONE;
}

/* ======= who vouches ======= */

/* What never leaves its host is not in Redis. */
static bool stays_here(const struct cache *c, const struct cache_get *get)
{
    return !policy_allows(policy_of(c, get), TIER_L2);
}

enum { VOUCHED, CONFIRMED, FLAGGED, TO_COMPARE, NOBODY };

/* The caller knows of a change that has not been done here yet: only the fleet can answer (C4). */
static bool is_ahead_of_us(const struct cache *c, const struct cache_get *get)
{
    if (!get->not_older.given || !c->fleet || get->not_older.partition != get->partition)
        return false;
    const struct fleet_partition *p = &c->fleet->view->of[get->partition];
    return get->not_older.epoch != p->epoch || get->not_older.v > p->applied;
}

/* The answer of the fleet itself.  Where another epoch began since the caller's change, everything is newer. */
static bool answer_is_older(const struct cache *c, const struct cache_get *get, const struct tier_read *read)
{
    return is_ahead_of_us(c, get) && get->not_older.epoch == cache_epoch(c, get->partition) &&
           read->at_v < get->not_older.v;
}

static int vouched_for(struct cache *c, const struct cache_get *get, const struct entry *e)
{
    if (!c->fleet)
        return VOUCHED;
    const struct fleet_view *view = c->fleet->view;
    const struct fleet_partition *p = &view->of[get->partition];
    if (e->local)
        return detached_is(c) && !is_ahead_of_us(c, get) ? FLAGGED : NOBODY;
    if (e->epoch != p->epoch)
        return NOBODY;
    if (e->suspect && stays_here(c, get))
        return NOBODY; /* changes were lost, and nobody else knows what they were */
    bool ahead = is_ahead_of_us(c, get);
    if (!e->suspect && !ahead && cache_now(c) < p->fresh_until_ns)
        return VOUCHED;
    if (get->confirmed && version_is(e, &get->known))
        return CONFIRMED;
    if (view->mode != SHM_DETACHED)
        return TO_COMPARE;
    if (ahead)
        return NOBODY;
    bool serves = policy_of(c, get)->serve_detached && detached_serves(c, get->key_hash, cache_now(c));
    return serves && !e->suspect ? FLAGGED : NOBODY;
}

/* Who wants to store it elsewhere with fewer tags than it has would keep it alive where it must die. */
static bool is_unnamed(const struct cache_get *get, const struct entry *e)
{
    return get->tag_names && e->tags_count && !e->tag_names.size;
}

/* ======= steps ======= */

static void go_on(struct cache_get *get)
{
    get->next = get->step == AT_L1 ? AT_WARM : AT_L2;
    get->step = get->step == AT_L2 ? AT_MISS : AT_FLIGHT;
}

/* Of what is dead, for whoever asks why. */
static void keep_tags(struct cache_get *get, const struct entry *e, enum miss_reason reason)
{
    if (reason != MISS_INVALIDATED || get->entry.tags_count)
        return;
    get->entry.tags_count = e->tags_count;
    memcpy(get->entry.tags, e->tags, e->tags_count * sizeof(*e->tags));
}

static int not_found(struct cache_get *get, enum miss_reason reason)
{
    get->reason =
        reason > get->reason ? reason : get->reason; /* the table goes from "cold" to the more telling */
    go_on(get);
    return STEP_MORE;
}

/* Found on this host: answered, or on to the fleet with its version, or as if it were not there. */
static int found_here(struct cache *c, struct cache_get *get, struct entry *e, enum tier_name tier)
{
    switch (vouched_for(c, get, e)) {
    case CONFIRMED:
        e->suspect = false;
        e->stale |= get->confirmed_stale;
        c->figures.compared++;
        break;
    case FLAGGED: get->detached = true; break;
    case TO_COMPARE:
        get->held = true;
        get->known = (struct version){e->epoch, e->v, e->id};
        get->reason = MISS_SUSPECT;
        get->step = AT_FLIGHT;
        get->next = AT_L2;
        return STEP_MORE;
    case NOBODY: return not_found(get, detached_is(c) ? MISS_DETACHED : MISS_SUSPECT);
    default: break;
    }
    return answer_found(c, get, e, tier);
}

static int at_l1(struct cache *c, struct cache_get *get)
{
    struct tier *l1 = c->tiers[0];
    struct tier_read read = {.key = get->key,
                             .key_hash = get->key_hash,
                             .now_ns = get->now_ns,
                             .looks = get->no_promote || get->warming || get->confirmed};
    if (!cache_may_use(get->tiers, l1)) {
        go_on(get);
        return STEP_MORE;
    }
    int outcome = l1->ops->get(l1, &read);
    CHECK(outcome == TIER_FOUND || outcome == TIER_MISSED); /* L1 is memory */
    if (outcome == TIER_MISSED) {
        keep_tags(get, &read.entry, read.reason);
        return not_found(get, read.reason);
    }
    if (is_unnamed(get, &read.entry))
        return not_found(get, MISS_UNNAMED);
    if (get->confirmed && !stays_here(c, get) && version_is(&read.entry, &get->known))
        l1->ops->confirm(l1, get->key, get->key_hash, read.entry.v, get->confirmed_stale);
    return found_here(c, get, &read.entry, TIER_L1);
}

/* A get that may look everywhere shares reads; one that names its tiers looks for itself, and so does one that knows of
 * something newer than a read under way may see. */
static bool shares_reads(const struct cache *c, const struct cache_get *get)
{
    return get->tiers == 0 && !is_ahead_of_us(c, get);
}

/* What brings its answer so late brings what no promise vouches for any more: this process stood still, or Redis did (C2). */
static bool is_too_old(const struct cache *c, const struct flight *flight)
{
    return c->fleet && cache_now(c) >= clock_after(flight_began_ns(flight), FLEET_FRESH_NS);
}

static int at_flight(struct cache *c, struct cache_get *get)
{
    get->step = get->next;
    struct flight *flight = shares_reads(c, get) ? flight_find(c->flights, get->key, get->key_hash) : NULL;
    if (!flight)
        return STEP_MORE;
    if (is_too_old(c, flight)) {
        flights_detach(c->flights, get->key, get->key_hash);
        return STEP_MORE;
    }
    flight_join(flight, get);
    c->figures.reads_joined++;
    return CACHE_PENDING;
}

/* What a lower tier had goes into those above it, with the position and the life it has. */
static void promote(struct cache *c, struct cache_get *get, const struct entry *e, enum tier_name from)
{
    struct tier *l1 = c->tiers[0], *warm = c->tiers[1];
    const struct policy *policy = policy_of(c, get);
    if (get->no_promote || !shares_reads(c, get))
        return;
    if (from == TIER_L2 && ahead_position(c->ahead, get->key_hash) > e->v)
        return; /* our own change, committed after this was read */
    if (l1 && policy_allows(policy, TIER_L1) && !(get->warming && cache_l1_full(c))) {
        struct entry shaped = policy_shape(policy, TIER_L1, e, get->now_ns);
        int r = l1->ops->put(l1, &shaped);
        c->figures.promotions += r == TIER_DONE;
        get->too_big_for_l1 = r == TIER_TOO_BIG;
    }
    if (from == TIER_L2 && warm && policy_allows(policy, TIER_WARM))
        warm->ops->put(warm, e);
    if (from == TIER_L2 && e->v > c->fleet->view->of[get->partition].applied)
        ahead_note(c->ahead, get->partition, get->key_hash, e->v);
}

/* The fleet has judged it by all it knows; kills that only this host knows yet are added. */
static int found_there(struct cache *c, struct cache_get *get, struct entry *e)
{
    enum verdict verdict = kills_judge(c->setup.kills, e->key, e->tags, e->tags_count, e->v);
    keep_tags(get, e, verdict == DEAD ? MISS_INVALIDATED : MISS_NONE);
    if (verdict == DEAD)
        return not_found(get, MISS_INVALIDATED);
    e->stale |= verdict == SOFTENED ||
                (verdict == SUSPECT && kills_softens(c->setup.kills, e->key, e->tags, e->tags_count, e->v));
    return answer_found(c, get, e, TIER_L2);
}

/* Where it lies, which may be no more what it was: it was asked about, and that took time. */
static int look_again(struct cache_get *get)
{
    get->held = false;
    get->step = AT_L1;
    return STEP_MORE;
}

/* The version held here is the current one: once more from the start, where it lies. */
static int same(struct cache_get *get, const struct tier_read *read)
{
    if (++get->compared > COMPARED_MAX)
        return not_found(get, MISS_SUSPECT);
    get->confirmed = true;
    get->confirmed_stale = read->entry.stale;
    get->known = (struct version){read->known.epoch, read->known.v, read->known.id};
    return look_again(get);
}

/* Asked how far the fleet's changes go.  Whatever else Redis has of the key is of another policy's time. */
static int told_position(struct cache *c, struct cache_get *get, const struct tier_read *read, int outcome)
{
    bool told = outcome == TIER_FOUND || read->reason == MISS_COLD || read->reason == MISS_EXPIRED;
    if (!told || read->at_v > c->fleet->view->of[get->partition].applied || ++get->compared > COMPARED_MAX)
        return not_found(get, MISS_SUSPECT);
    get->confirmed = true;
    get->confirmed_stale = false;
    return look_again(get);
}

static struct tier *tier_at(const struct cache *c, unsigned step)
{
    return c->tiers[step - AT_WARM + 1];
}

/* A warming get that asks for a tag reads what it does not want, too.  L1 knows tags by their fingerprints. */
bool cache_warms(const struct cache_get *get, const struct entry *e)
{
    bool wanted = get->only_tag == 0;
    for (unsigned i = 0; i < e->tags_count && !wanted; i++)
        wanted = e->tags[i] == get->only_tag || e->tags[i] == shm_fingerprint(get->only_tag);
    return wanted;
}

/* A slow tier answered. */
static int judge(struct cache *c, struct cache_get *get, const struct tier_read *read, int outcome,
                 bool insert)
{
    enum tier_name tier = tier_at(c, get->step)->ops->name;
    struct entry e = read->entry;
    int r;
    get->at_v = read->at_v > get->at_v ? read->at_v : get->at_v;
    if (tier == TIER_L2 && answer_is_older(c, get, read))
        return not_found(get, MISS_SUSPECT);
    if (outcome == TIER_SAME)
        return same(get, read);
    if (outcome != TIER_FOUND && get->held && detached_is(c))
        return look_again(get); /* the fleet went away meanwhile: served as what is here then, flagged */
    if (tier == TIER_L2 && stays_here(c, get))
        return told_position(c, get, read, outcome);
    if (outcome != TIER_FOUND) {
        keep_tags(get, &e, read->reason);
        return not_found(get, read->reason);
    }
    if (is_unnamed(get, &e))
        return not_found(get, MISS_UNNAMED);
    r = tier == TIER_L2 ? found_there(c, get, &e) : found_here(c, get, &e, tier);
    if (r == CACHE_DONE && insert && cache_warms(get, &e))
        promote(c, get, &e, tier);
    return r;
}

/* It is given to those who wait and put nowhere: then nothing older may stay here, or the next reader sees less (C5).
 * Whoever names the tiers only looks at them, and changes nothing in the others. */
static void give_way(const struct cache_get *get, const struct tier_read *read, int outcome)
{
    struct cache *c = get->cache;
    uint64_t v = read->entry.v;
    bool theirs = outcome == TIER_FOUND && tier_at(c, get->step)->ops->name == TIER_L2;
    if (!theirs || get->tiers != 0 || ahead_position(c->ahead, get->key_hash) >= v)
        return;
    apply_removal(c, get->key, get->key_hash, v);
    if (v > c->fleet->view->of[get->partition].applied)
        ahead_note(c->ahead, get->partition, get->key_hash,
                   v); /* our own older change may still be landing */
}

/* The read of a slow tier ended: everybody who waited gets it or goes on to the next tier. */
static void land(struct flight *flight, struct tier_read *read, int outcome)
{
    struct cache_get *get;
    bool insert = !flight_detached(flight);
    while ((get = flight_next_waiting(flight))) {
        struct cache *c = get->cache;
        if (flight_detached(flight))
            give_way(get, read, outcome);
        int r = judge(c, get, read, outcome, insert);
        insert = insert && (r != CACHE_DONE || get->warming);
        if (r == STEP_MORE)
            r = run(c, get);
        if (r == CACHE_DONE)
            get->done(get);
    }
}

/* For a value; about one that is here it is always asked. */
static bool may_ask(const struct cache *c, const struct cache_get *get, const struct tier *tier)
{
    return tier->ops->name != TIER_L2 || get->held || (!stays_here(c, get) && policy_of(c, get)->store);
}

static int at_slow_tier(struct cache *c, struct cache_get *get)
{
    struct tier *tier = tier_at(c, get->step);
    struct tier_read read;
    if (!cache_may_use(get->tiers, tier) || !may_ask(c, get, tier))
        return not_found(get, MISS_NONE);
    bool ahead = is_ahead_of_us(c, get);
    int outcome = flight_start(c->flights, tier, get, &read, shares_reads(c, get), ahead, land);
    return outcome == TIER_PENDING ? CACHE_PENDING : judge(c, get, &read, outcome, true);
}

static int at_miss(struct cache *c, struct cache_get *get)
{
    bool known = get->reason > MISS_COLD;
    return answer_miss(c, get, known ? get->reason : gone_why(c->setup.gone, get->key_hash));
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

static void begin(struct cache *c, struct cache_get *get)
{
    get->cache = c;
    get->now_ns = cache_now(c);
    get->no_promote |= get->tag_names; /* a copy is no use */
    get->step = AT_L1;
    get->reason = MISS_NONE;
    get->overtaken = get->too_big_for_l1 = get->detached = get->due = get->held = get->confirmed = false;
    get->compared = 0;
    get->at_v = 0;
    get->partition = 0;
    get->token_bytes = 0;
    get->entry.tags_count = 0;
    list_init(&get->waiting);
}

int cache_get(struct cache *c, struct cache_get *get)
{
    begin(c, get);
    get->status = cache_judge_key(c, get->key);
    if (get->status != STATUS_OK)
        return CACHE_DONE;
    get->partition = cache_partition(c, get->key);
    get->policy = cache_policy(c, get->key)->number;
    if (!c->setup.options->cache)
        return answer_miss(c, get, MISS_DISABLED);
    get->key_hash = cache_key_hash(c, get->key);
    if (get->beyond_host && c->fleet) {
        get->step = AT_FLIGHT;
        get->next = AT_L2;
    }
    return run(c, get);
}
