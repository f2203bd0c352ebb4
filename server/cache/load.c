/* The way of a load:
 *
 *   a get ──fresh──▶ HIT
 *     │ └─stale, or soon to be──▶ somebody refreshes it? ──yes──▶ HIT
 *     │                             │ no: the fleet may have a younger one ──yes──▶ HIT
 *     │ miss                        └──▶ a lease, and HIT with it
 *     ├──▶ somebody loads it ──▶ wait, for as long as the caller will
 *     ├──▶ it failed a short while ago ──▶ LOAD_FAILED
 *     └──▶ a lease: of this host, or asked of the fleet ──▶ LEASE
 *
 * What must stay true, beside what lease.h says: whoever waits is answered exactly once, by what happens to the lease, by
 * the end of its patience, or by the end of its connection; and a lease is told to somebody or goes back.
 *
 * Whoever is woken to ask again does so from the start, with a get: so nobody is made a loader of what has come
 * meanwhile.  The first of them gets the lease, the others find it. */
#include "base/clock.h"
#include "cache/failures.h"
#include "cache/lease.h"
#include "cache/loaders.h"

/* A lease of the shared store that nobody keeps alive, because its daemon died, lasts so long (D3). */
#define FLEET_LIFE_NS (10 * NS_PER_S)
#define KEEP_EVERY_NS (FLEET_LIFE_NS / 3)
/* Notes of the journal tell when another host's lease ends.  One that is lost costs so much patience. */
#define ASK_AGAIN_NS NS_PER_S
enum { ROUNDS_MAX = 16 }; /* how often one call may be sent around; then it loads without a lease */

enum { FIRST, BEYOND, LAST };

static int look(struct cache *c, struct cache_load *l, unsigned stage);
static int take_answer(struct cache *c, struct lease *s, struct cache_load *l);

void load_peer_init(struct load_peer *peer, uint32_t pid)
{
    *peer = (struct load_peer){.pid = pid};
    list_init(&peer->holds);
    list_init(&peer->waits);
}

/* ======= answers ======= */

/* What the get found; a lease that came with it stays. */
static int answer_get(struct cache_load *l)
{
    if (l->get.status == STATUS_MISS) {
        memcpy(l->token, l->get.token, l->get.token_bytes);
        l->token_bytes = l->get.token_bytes;
    }
    return load_answer(l, l->get.status);
}

static int answer_rests(struct cache *c, struct cache_load *l)
{
    l->rest_ns = failures_left_ns(c->failures, l->get.key_hash, cache_now(c));
    c->figures.load_rests++;
    return load_answer(l, STATUS_LOAD_FAILED);
}

static bool has_value(const struct cache_load *l)
{
    return l->get.status == STATUS_HIT || l->get.status == STATUS_ABSENT;
}

/* ======= those who wait ======= */

void load_stop_waiting(struct cache_load *l)
{
    list_remove(&l->waiting);
    list_remove(&l->of_peer);
    alarm_off(&l->alarm);
    l->cache->figures.load_waits_ended++;
    l->cache->figures.load_wait_ns += cache_now(l->cache) - l->waits_since_ns;
}

struct cache_load *load_next(struct list *waiting)
{
    struct list *first = list_first(waiting);
    if (!first)
        return NULL;
    struct cache_load *l = CONTAINER_OF(first, struct cache_load, waiting);
    load_stop_waiting(l);
    return l;
}

static void patience_over(struct alarm *alarm)
{
    struct cache_load *l = CONTAINER_OF(alarm, struct cache_load, alarm);
    load_stop_waiting(l);
    l->cache->figures.load_waits_over++;
    load_answer(l, STATUS_WAIT);
    l->done(l);
}

static void ask_again(struct cache *c, struct cache_load *l)
{
    if (look(c, l, FIRST) == CACHE_DONE)
        l->done(l);
}

void loads_ask_again(struct cache *c, struct list *waiting)
{
    struct cache_load *l;
    while ((l = load_next(waiting)))
        ask_again(c, l);
}

void loads_fail(struct cache *c, struct list *waiting)
{
    struct cache_load *l;
    while ((l = load_next(waiting))) {
        answer_rests(c, l);
        l->done(l);
    }
}

/* ======= is a lease still good ======= */

/* Did anything happen to the key, or to all, that keeps its fill out? */
static bool is_changed(struct cache *c, const struct lease *s, const struct cache_load *l)
{
    struct entry e = {.key = l->get.key, .key_hash = l->get.key_hash};
    if (s->granted.kind == TOKEN_DETACHED)
        return !detached_is(c) || !detached_admits(c, &s->granted, e.key_hash);
    return detached_is(c) || !token_admits(c, &s->granted, &e, l->get.partition);
}

/* The caller knows of a change that the holder may not have seen (C4). */
static bool knows_newer(const struct lease *s, const struct cache_load *l)
{
    return l->get.not_older.given && l->get.not_older.partition == l->get.partition &&
           l->get.not_older.epoch == s->granted.epoch && l->get.not_older.v > s->granted.v;
}

void lease_drop_there(struct cache *c, struct lease *s, uint64_t rest_ns)
{
    if (!s->in_fleet)
        return;
    c->fleet->ops->lease_drop(c->fleet, s->ask.partition, lease_key(s), s->proof, rest_ns);
    s->in_fleet = false;
}

/* The lease that this caller may join, or NULL. */
static struct lease *present_lease(struct cache *c, const struct cache_load *l)
{
    struct lease *s = lease_find(c->leases, l->get.key);
    if (!s || s->state != LEASE_HELD || !(is_changed(c, s, l) || knows_newer(s, l)))
        return s;
    lease_drop_there(c, s, 0);
    lease_overtake(s);
    return NULL;
}

/* While a fill is on its way nobody overtakes it: its own record in the journal looks like a change.  Whoever comes now
 * asks again when it has landed. */
static bool is_late(struct cache *c, const struct lease *s, const struct cache_load *l)
{
    bool given = s->state == LEASE_HELD || s->state == LEASE_FILLING;
    return given && (c->kills_seen != s->kills_seen || is_changed(c, s, l) || knows_newer(s, l));
}

static int join(struct cache *c, struct cache_load *l, struct lease *s)
{
    if (cache_now(c) >= l->patience_ns) {
        c->figures.load_waits_over += l->waited;
        return load_answer(l, STATUS_WAIT);
    }
    c->figures.load_waits += !l->waited;
    l->waited = true;
    l->waits_since_ns = cache_now(c);
    l->late = is_late(c, s, l);
    list_append(&s->waiting, &l->waiting);
    list_append(&l->peer->waits, &l->of_peer);
    alarm_set(c->leases->alarms, &l->alarm, l->patience_ns);
    return CACHE_PENDING;
}

/* ======= giving ======= */

static void on_alarm(struct alarm *alarm);

static void set_alarm(struct cache *c, struct lease *s)
{
    uint64_t keep_ns = clock_after(cache_now(c), KEEP_EVERY_NS);
    alarm_set(c->leases->alarms, &s->alarm, s->in_fleet && keep_ns < s->ends_ns ? keep_ns : s->ends_ns);
}

static int give(struct cache *c, struct lease *s, struct cache_load *l)
{
    s->asker = NULL;
    l->lease = NULL;
    s->kills_seen = c->kills_seen;
    lease_give(s, l->peer, cache_random(c), clock_after(cache_now(c), l->hold_ns));
    set_alarm(c, s);
    token_write(l->token, &s->token);
    l->token_bytes = TOKEN_BYTES;
    c->figures.loads++;
    c->figures.loads_to_refresh += s->refresh;
    return s->refresh ? look(c, l, LAST) : load_answer(l, STATUS_LEASE);
}

static int give_here(struct cache *c, struct lease *s, struct cache_load *l)
{
    token_now(c, &l->get, &s->granted);
    return give(c, s, l);
}

/* Not to have been: those who waited for it ask again. */
static void end_for_all(struct cache *c, struct lease *s)
{
    struct list waiting;
    lease_end(s, &waiting);
    loads_ask_again(c, &waiting);
}

void lease_pass_on(struct cache *c, struct lease *s)
{
    struct cache_fetch *fetch = s->fetch;
    bool late = cache_now(c) >= s->ends_ns;
    c->figures.loads_passed_on++;
    lease_drop_there(c, s, 0);
    end_for_all(c, s);
    fetch_over(fetch, late ? FETCH_LATE : FETCH_FAILED, STATUS_OK);
}

/* ======= the fleet's lease ======= */

static bool is_wanted_in_fleet(const struct cache *c, const struct cache_load *l)
{
    return c->fleet && l->scope == LOAD_IN_FLEET && !detached_is(c);
}

/* The fresh life below which it is to be refreshed. */
static uint64_t ahead_ns(const struct cache_load *l)
{
    uint64_t late_ns = l->get.entry.absent ? l->late_absent_ns : l->late_ns;
    return l->refresh_ns > late_ns ? l->refresh_ns : late_ns;
}

static void asked(struct fleet_lease *ask);

static int ask_fleet(struct cache *c, struct cache_load *l, struct lease *s)
{
    s->state = LEASE_ASKING;
    s->asker = l;
    l->lease = s;
    s->ask = (struct fleet_lease){.partition = l->get.partition,
                                  .key = lease_key(s),
                                  .life_ns = l->hold_ns < FLEET_LIFE_NS ? l->hold_ns : FLEET_LIFE_NS,
                                  .ahead_ns = s->refresh ? ahead_ns(l) : 0,
                                  .done = asked};
    c->committing++;
    if (c->fleet->ops->lease(c->fleet, &s->ask) == FLEET_PENDING)
        return CACHE_PENDING;
    c->committing--;
    return take_answer(c, s, l);
}

/* Those who waited here for a value that is in the store now read it; so does the one who asked, and if that was to
 * refresh, what it finds will do. */
static int read_there(struct cache *c, struct lease *s, struct cache_load *l)
{
    bool refresh = l->get.beyond_host = s->refresh;
    end_for_all(c, s);
    return look(c, l, refresh ? LAST : FIRST);
}

static int wait_for_fleet(struct cache *c, struct lease *s, struct cache_load *l)
{
    uint64_t left_ns = s->ask.left_ns ? s->ask.left_ns : ASK_AGAIN_NS;
    s->state = LEASE_BUSY;
    s->asker = NULL;
    alarm_set(c->leases->alarms, &s->alarm,
              clock_after(cache_now(c), left_ns < ASK_AGAIN_NS ? left_ns : ASK_AGAIN_NS));
    c->figures.loads_elsewhere++;
    return s->refresh ? look(c, l, LAST) : join(c, l, s);
}

static int rest(struct cache *c, struct lease *s, struct cache_load *l)
{
    struct list waiting;
    bool refresh = s->refresh;
    failures_hear(c->failures, l->get.key_hash, clock_after(cache_now(c), s->ask.left_ns));
    lease_end(s, &waiting);
    loads_fail(c, &waiting);
    return refresh ? look(c, l, LAST) : answer_rests(c, l);
}

static int take_answer(struct cache *c, struct lease *s, struct cache_load *l)
{
    l->lease = NULL;
    switch (s->ask.outcome) {
    case FLEET_LEASE_GIVEN:
        memcpy(s->proof, s->ask.proof, sizeof(s->proof));
        s->in_fleet = true;
        s->granted = (struct token){TOKEN_POSITION, cache_epoch(c, s->ask.partition), s->ask.v};
        return give(c, s, l);
    case FLEET_LEASE_THERE: return read_there(c, s, l);
    case FLEET_LEASE_BUSY: return wait_for_fleet(c, s, l);
    case FLEET_LEASE_RESTS: return rest(c, s, l);
    case FLEET_LEASE_AWAY: s->beside = true; return give_here(c, s, l);
    }
    WRONG("an outcome that is none");
}

/* Nobody wants it any more. */
static void give_up(struct cache *c, struct lease *s)
{
    if (s->ask.outcome == FLEET_LEASE_GIVEN)
        c->fleet->ops->lease_drop(c->fleet, s->ask.partition, lease_key(s), s->ask.proof, 0);
    end_for_all(c, s);
}

static void asked(struct fleet_lease *ask)
{
    struct lease *s = CONTAINER_OF(ask, struct lease, ask);
    struct cache *c = s->cache;
    struct cache_load *l = s->asker;
    c->committing--;
    if (l->peer->gone) {
        l->lease = NULL;
        s->asker = load_next(&s->waiting);
        load_answer(l, STATUS_WAIT);
        l->done(l);
        l = s->asker;
    }
    if (!l)
        give_up(c, s);
    else if (take_answer(c, s, l) == CACHE_DONE)
        l->done(l);
}

/* BUSY: on behalf of the first who waits. */
static void ask_fleet_again(struct cache *c, struct lease *s)
{
    struct cache_load *l = load_next(&s->waiting);
    alarm_off(&s->alarm);
    if (!l)
        end_for_all(c, s);
    else if (ask_fleet(c, l, s) == CACHE_DONE)
        l->done(l);
}

void load_heard(void *user, unsigned partition, struct slice key)
{
    struct cache *c = user;
    struct lease *s = lease_find(c->leases, key);
    if (s && s->state == LEASE_BUSY)
        ask_fleet_again(c, s);
}

/* ======= time ======= */

static void keep_there(struct cache *c, struct lease *s)
{
    uint64_t left_ns = s->ends_ns - cache_now(c);
    c->fleet->ops->lease_keep(c->fleet, s->ask.partition, lease_key(s), s->proof,
                              left_ns < FLEET_LIFE_NS ? left_ns : FLEET_LIFE_NS);
    set_alarm(c, s);
}

static void on_alarm(struct alarm *alarm)
{
    struct lease *s = CONTAINER_OF(alarm, struct lease, alarm);
    struct cache *c = s->cache;
    if (s->state == LEASE_BUSY)
        ask_fleet_again(c, s);
    else if (cache_now(c) >= s->ends_ns)
        lease_pass_on(c, s);
    else
        keep_there(c, s);
}

/* ======= a new lease ======= */

static bool is_full(const struct cache *c, const struct cache_load *l)
{
    return l->peer->holds_count >= LEASES_A_PEER || c->leases->count >= LEASES_MAX;
}

static int begin(struct cache *c, struct cache_load *l, bool refresh)
{
    if (l->rounds++ >= ROUNDS_MAX)
        return answer_get(l);
    if (is_full(c, l))
        return refresh ? answer_get(l) : load_answer(l, STATUS_LIMIT);
    struct lease *s = lease_begin(c, l->get.key, on_alarm);
    s->refresh = refresh;
    if (is_wanted_in_fleet(c, l))
        return ask_fleet(c, l, s);
    s->asker = l;
    l->lease = s;
    if (!refresh || !c->fleet || detached_is(c))
        return give_here(c, s, l);
    l->get.beyond_host = true; /* another host may have refreshed it */
    return look(c, l, BEYOND);
}

static int missing(struct cache *c, struct cache_load *l)
{
    if (l->get.reason == MISS_DISABLED || l->get.tiers)
        return answer_get(l);
    struct lease *s = present_lease(c, l);
    if (s)
        return join(c, l, s);
    if (failures_left_ns(c->failures, l->get.key_hash, cache_now(c)))
        return answer_rests(c, l);
    return begin(c, l, false);
}

/* ======= what a get found ======= */

/* The fresh life below which a policy wants it loaded anew.  "A share of its life" is one of the life that the policy gives,
 * since nobody keeps how long an entry was to live; `refreshed` (load_landed) knows those that were loaded here for less. */
static uint64_t policy_late_ns(const struct policy *p, bool absent)
{
    uint64_t share = p->refresh_at ? 1000 - p->refresh_at : 0;
    return (absent ? p->negative_ttl_ns : p->ttl_ns) / 1000 * share;
}

bool load_is_late(const struct cache *c, const struct policy *p, const struct entry *e, uint64_t key_hash,
                  uint64_t now_ns)
{
    uint64_t left_ns = e->soft_ns > now_ns ? e->soft_ns - now_ns : 0;
    return left_ns < policy_late_ns(p, e->absent) && failures_left_ns(c->refreshed, key_hash, now_ns) == 0;
}

static bool is_due(const struct cache *c, const struct cache_load *l)
{
    const struct entry *e = &l->get.entry;
    uint64_t left_ns = e->soft_ns > l->get.now_ns ? e->soft_ns - l->get.now_ns : 0;
    if (e->stale || left_ns < l->refresh_ns)
        return true;
    return !l->refresh_ns &&
           load_is_late(c, policies_match(c->policies, l->get.key), e, l->get.key_hash, l->get.now_ns);
}

/* A registered loader does it, and spares the caller. */
static bool is_done_for_him(struct cache *c, const struct cache_load *l)
{
    return !l->get.warming && cache_fetch_ahead(c, l->get.key);
}

static int judge_first(struct cache *c, struct cache_load *l)
{
    if (l->get.status == STATUS_MISS)
        return missing(c, l);
    bool due = has_value(l) && !l->get.tiers && is_due(c, l);
    if (!due || present_lease(c, l) || failures_left_ns(c->failures, l->get.key_hash, cache_now(c)))
        return answer_get(l);
    return is_done_for_him(c, l) ? look(c, l, LAST) : begin(c, l, true);
}

/* The fleet was asked for a younger one. */
static int judge_beyond(struct cache *c, struct cache_load *l)
{
    struct lease *s = l->lease;
    if (!has_value(l) || is_due(c, l))
        return give_here(c, s, l);
    l->lease = NULL;
    end_for_all(c, s);
    return look(c, l, LAST); /* what it found is gone by now, those who waited may have changed things */
}

static void not_needed(struct cache *c, struct cache_load *l)
{
    cache_load_return(c, l->get.key, slice_of(l->token, l->token_bytes));
    l->token_bytes = 0;
}

/* What was there has ended meanwhile: now others wait for the load. */
static int nothing_to_refresh(struct cache *c, struct cache_load *l)
{
    struct lease *s = lease_find(c->leases, l->get.key);
    struct token own;
    CHECK(token_read(slice_of(l->token, l->token_bytes), &own));
    if (s && s->token.v == own.v)
        s->refresh = false;
    return load_answer(l, STATUS_LEASE);
}

/* With the lease, to refresh; or without, because somebody else has it. */
static int judge_last(struct cache *c, struct cache_load *l)
{
    if (!l->token_bytes)
        return has_value(l) ? answer_get(l) : missing(c, l);
    if (!has_value(l))
        return nothing_to_refresh(c, l);
    if (!is_due(c, l)) {
        not_needed(c, l);
        return look(c, l, LAST);
    }
    return answer_get(l);
}

/* Its connection has ended. */
static int withdraw(struct cache *c, struct cache_load *l)
{
    struct lease *s = l->lease;
    l->lease = NULL;
    if (s)
        end_for_all(c, s);
    return load_answer(l, STATUS_WAIT);
}

static int decide(struct cache *c, struct cache_load *l)
{
    static int (*const stages[])(struct cache * c, struct cache_load * l) = {
        [FIRST] = judge_first, [BEYOND] = judge_beyond, [LAST] = judge_last};
    return l->peer->gone ? withdraw(c, l) : stages[l->stage](c, l);
}

static void looked(struct cache_get *get)
{
    struct cache_load *l = CONTAINER_OF(get, struct cache_load, get);
    if (decide(l->cache, l) == CACHE_DONE)
        l->done(l);
}

static int look(struct cache *c, struct cache_load *l, unsigned stage)
{
    l->stage = (uint8_t)stage;
    l->get.done = looked;
    int r = cache_get(c, &l->get);
    l->get.beyond_host = false;
    return r == CACHE_PENDING ? CACHE_PENDING : decide(c, l);
}

/* ======= the verb ======= */

/* What the caller leaves to the policy. */
static void obey_policy(const struct cache *c, struct cache_load *l)
{
    const struct policy *p = policies_match(c->policies, l->get.key);
    if (l->scope == LOAD_AS_POLICY)
        l->scope = p->lease_scope == LEASE_SCOPE_FLEET ? LOAD_IN_FLEET : LOAD_ON_HOST;
    l->late_ns = l->refresh_ns ? 0 : policy_late_ns(p, false);
    l->late_absent_ns = l->refresh_ns ? 0 : policy_late_ns(p, true);
}

int cache_load(struct cache *c, struct cache_load *l)
{
    l->cache = c;
    l->lease = NULL;
    l->loaded = l->late = l->waited = false;
    l->rounds = 0;
    l->rest_ns = 0;
    l->token_bytes = 0;
    obey_policy(c, l);
    l->get.no_promote = l->get.if_version = l->get.beyond_host = false;
    l->patience_ns = clock_after(cache_now(c), l->wait_ns);
    list_init(&l->waiting);
    list_init(&l->of_peer);
    alarm_init(&l->alarm, patience_over);
    return look(c, l, FIRST);
}
