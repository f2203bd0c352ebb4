/* larder_get_or_load, as states of one call:
 *
 *     near ──fresh──▶ done
 *      │ miss, stale
 *     board ──somebody flies──▶ wait ──taken──▶ done
 *      │ ours                     └──▶ near, once more
 *     ask the daemon ──HIT──▶ done      ──WAIT──▶ ask again, it answers when the value is there
 *      │ LEASE, MISS, no daemon         ──LOAD──▶ what is stale, or LOAD
 *     load ──▶ shut the flight ──▶ fill ──▶ land
 *
 * A refresh of what is stale lands its flight before it loads: those aboard have the stale value already. */
#include "client/load.h"

#include <stdlib.h>
#include <string.h>
#include "client/lease.h"
#include "client/loaded.h"
#include "client/value.h"

enum { QUIET_MS = 10, REFRESH_FULL_MS = 1000 };

struct load {
    struct larder_client *c;
    struct slice key;
    uint64_t hash;
    larder_load_options how;
    struct reading reading;
    larder_loader loader;
    void *user;
    larder_value *value;
    uint64_t began_ns, deadline_ns, soft_ns;
    struct flight *flight; /* NULL: nobody waits for this load */
};

/* ======= who refreshes? ======= */

/* A word is 32 bits of the hash and the 32 low bits of the millisecond until which to be quiet; losing one costs a
 * question. */
bool load_is_quiet(struct larder_client *c, uint64_t hash)
{
    uint64_t word = atomic_load_explicit(&c->quiet[hash % LOAD_QUIET], memory_order_relaxed);
    int32_t left = (int32_t)((uint32_t)word - (uint32_t)(now_ns() / NS_PER_MS));
    return word >> 32 == hash >> 32 && left > 0 && left <= QUIET_MS;
}

void load_be_quiet(struct larder_client *c, uint64_t hash)
{
    uint32_t until_ms = (uint32_t)(now_ns() / NS_PER_MS) + QUIET_MS;
    atomic_store_explicit(&c->quiet[hash % LOAD_QUIET], (hash >> 32) << 32 | until_ms, memory_order_relaxed);
}

static bool is_fresh(const struct load *l, const larder_value *value)
{
    return !(value->flags & LARDER_STALE) && value->fresh_ms >= l->how.early_ms;
}

/* ======= ends ======= */

static void land(struct load *l, int result, int load_error, bool vouched)
{
    if (l->flight)
        flight_land(&l->c->flights, l->flight, result, load_error, vouched, l->value);
    l->flight = NULL;
}

static int done(struct load *l, int result, int load_error, bool vouched)
{
    l->value->token.size = 0; /* used, or nobody's business */
    land(l, result, load_error, vouched);
    if (load_error && l->how.ret_load_error)
        *l->how.ret_load_error = load_error;
    return l->value->result = result;
}

static int done_without(struct load *l, int error)
{
    value_clear(l->value, error, LARDER_REASON_NONE);
    return error;
}

/* What is there, however stale.  The daemon is asked only when it has not been: it gives what is stale before it lets
 * anybody wait. */
static bool get_stale(struct load *l)
{
    struct reading how = {.get = {.tiers = l->how.tiers, .schema = l->how.schema}};
    if (l->how.no_stale)
        return false;
    int r = read_near(l->c, l->key, &how.get, l->value);
    if (r == READ_NOT_NEAR && l->reading.get.no_stale)
        r = lease_round(l->c, l->key, &how, 0, l->value);
    return r == LARDER_HIT || r == LARDER_ABSENT;
}

static int time_is_up(struct load *l)
{
    land(l, FLIGHT_NOWHERE, 0, false); /* the others look for themselves */
    return get_stale(l) ? l->value->result : done_without(l, LARDER_E_TIMEOUT);
}

/* A loader failed, here (`load_error`) or elsewhere.  `has_stale`: the value to give instead is at hand.  Otherwise it is
 * looked for behind closed doors: who comes later might not be allowed to have it (C1). */
static int load_failed(struct load *l, int load_error, bool has_stale)
{
    if (l->flight)
        flight_shut(&l->c->flights, l->flight);
    if (!has_stale && !get_stale(l)) {
        done_without(l, LARDER_E_LOAD);
        return done(l, LARDER_E_LOAD, load_error, true);
    }
    if (l->value->flags & LARDER_STALE)
        l->value->flags |= LARDER_LOAD_FAILED;
    return done(l, l->value->result, load_error, true);
}

/* ======= load ======= */

uint64_t load_set_back_ns(struct larder_client *c, uint64_t hash)
{
    pthread_mutex_lock(&c->flights.lock);
    uint64_t left = setback_left_ns(&c->flights.setbacks, hash, now_ns());
    pthread_mutex_unlock(&c->flights.lock);
    return left;
}

void load_note_failure(struct larder_client *c, uint64_t hash, uint32_t backoff_ms)
{
    pthread_mutex_lock(&c->flights.lock);
    if (backoff_ms != NO_BACKOFF_MS)
        setback_note(&c->flights.setbacks, hash, backoff_ms * NS_PER_MS, now_ns());
    pthread_mutex_unlock(&c->flights.lock);
}

void load_note_success(struct larder_client *c, uint64_t hash)
{
    pthread_mutex_lock(&c->flights.lock);
    setback_over(&c->flights.setbacks, hash);
    pthread_mutex_unlock(&c->flights.lock);
}

static void give_back(struct load *l, enum judge judge, const larder_token *lease, uint32_t backoff_ms)
{
    if (judge == JUDGE_LEASE)
        larder_lease_fail(l->c, slice_out(l->key), lease, backoff_ms);
    else
        load_note_failure(l->c, l->hash, backoff_ms);
}

/* The fill, and whether its answer vouches for all aboard (flight.h, rule 2). */
static bool fill(struct load *l, struct loading *loading, enum judge judge, const larder_token *token)
{
    larder_set_options how = loading_options(loading);
    how.since = token;
    how.tiers = l->how.tiers;
    how.ret_version = &l->value->version;
    int r = larder_set(l->c, slice_out(l->key), loading_value(loading), &how);
    if (r == LARDER_E_TOO_BIG || r == LARDER_E_LIMIT || r == LARDER_E_INVALID || r == LARDER_E_KEY)
        give_back(l, judge, token, NO_BACKOFF_MS); /* cannot be stored: let the next one load */
    return load_is_vouched(r);
}

static void keep_here(struct load *l, const struct loading *loading, uint64_t turn)
{
    uint64_t ttl_ms = loading->loaded.no_store ? 0 : loading->loaded.ttl_ms;
    l->value->flags |= LARDER_IS_LOCAL;
    fallback_put(&l->c->fallback, l->key, l->hash, now_ns(), ttl_ms, turn, l->value);
}

static int loaded(struct load *l, struct loading *loading, enum judge judge, const larder_token *token,
                  uint64_t turn)
{
    bool vouched = judge == JUDGE_AWAY;
    int r = value_from_loading(l->value, loading);
    if (r < 0) {
        give_back(l, judge, token, NO_BACKOFF_MS);
        return done(l, r, 0, true);
    }
    if (l->flight)
        flight_shut(&l->c->flights, l->flight); /* before the fill is sent: rule 2 */
    if (token->size && judge != JUDGE_OFF)
        vouched = fill(l, loading, judge, token);
    if (judge == JUDGE_AWAY)
        keep_here(l, loading, turn);
    if (judge != JUDGE_LEASE)
        load_note_success(l->c, l->hash);
    return done(l, r, 0, vouched);
}

/* A loader that forked comes back twice.  The child has no part in the flight, nor in the lease, of its parent. */
static int load_in_child(struct load *l, struct loading *loading, int r)
{
    l->flight = NULL;
    return r < 0 ? done_without(l, LARDER_E_LOAD) : value_from_loading(l->value, loading);
}

static void count_load(struct larder_client *c, int r)
{
    atomic_fetch_add_explicit(r < 0 ? &c->load_failures : &c->loads, 1, memory_order_relaxed);
}

static int load(struct load *l, enum judge judge, bool has_stale)
{
    struct loading loading;
    larder_token token = l->value->token;
    uint64_t turn = fallback_turn(&l->c->fallback);
    uint32_t forks = atomic_load_explicit(&l->c->forks, memory_order_relaxed);
    loading_init(&loading);
    if (l->flight)
        flight_asks(l->flight, now_ns());
    int r = l->loader(l->user, slice_out(l->key), &loading.loaded);
    count_load(l->c, r);
    client_enter(l->c);
    if (forks != atomic_load_explicit(&l->c->forks, memory_order_relaxed))
        r = load_in_child(l, &loading, r);
    else if (r < 0) {
        give_back(l, judge, &token, loading.loaded.backoff_ms);
        r = load_failed(l, r, has_stale);
    } else
        r = loaded(l, &loading, judge, &token, turn);
    loading_finish(&loading);
    return r;
}

/* No lease to be had: the process remembers itself who failed. */
static int load_unless_set_back(struct load *l, enum judge judge)
{
    return load_set_back_ns(l->c, l->hash) ? load_failed(l, 0, false) : load(l, judge, false);
}

/* ======= refresh ======= */

static int refresh_later(struct load *l)
{
    larder_token lease = l->value->token;
    uint64_t now = now_ns(), ends = now + l->how.hard_ms * NS_PER_MS;
    if (!refresh_put(&l->c->refreshes, l->key, &lease, ends, now, l->loader, l->user))
        larder_lease_fail(l->c, slice_out(l->key), &lease, REFRESH_FULL_MS);
    return done(l, l->value->result, 0, false);
}

static int refresh(struct load *l)
{
    load_be_quiet(l->c, l->hash); /* for the other threads: we do */
    if (l->how.refresh == LARDER_REFRESH_LATER)
        return refresh_later(l);
    land(l, l->value->result, 0, false); /* nobody waits for a refresh */
    return load(l, JUDGE_LEASE, true);
}

static void refresh_run(struct larder_client *c, const struct refresh *refresh)
{
    larder_value value = LARDER_VALUE_INIT;
    struct load l = {.c = c, .loader = refresh->loader, .user = refresh->user, .value = &value};
    l.key = slice_of(refresh->key, refresh->key_bytes);
    l.hash = shm_hash_key(c->secret, l.key);
    value.token = refresh->lease;
    load(&l, JUDGE_LEASE, true);
    larder_value_free(&value);
}

int larder_work(larder_client *client, uint32_t wait_ms)
{
    int count = 0;
    client_enter(client);
    struct refresh *refresh = refresh_take(&client->refreshes, now_ns() + wait_ms * NS_PER_MS);
    while (refresh) {
        refresh_run(client, refresh);
        free(refresh);
        refresh = ++count < REFRESHES_MAX ? refresh_take(&client->refreshes, 0) : NULL;
    }
    return count;
}

/* ======= ask the daemon ======= */

static int found(struct load *l)
{
    bool fresh = is_fresh(l, l->value);
    if (l->value->token.size && l->reading.lease)
        return refresh(l);
    if (!fresh)
        load_be_quiet(l->c, l->hash);
    return done(l, l->value->result, 0, false);
}

static int no_daemon(struct load *l)
{
    int r = fallback_get(&l->c->fallback, l->key, l->hash, now_ns(), l->value);
    if (r == LARDER_HIT || r == LARDER_ABSENT)
        return done(l, r, 0, true);
    value_clear(l->value, LARDER_MISS, LARDER_REASON_UNREACHABLE);
    return load_unless_set_back(l, JUDGE_AWAY);
}

static int missed(struct load *l)
{
    return load_unless_set_back(l, l->value->reason == LARDER_REASON_DISABLED ? JUDGE_OFF : JUDGE_TOKEN);
}

/* A time-out is a daemon that hangs: as good as none. */
static int failed(struct load *l, int error)
{
    if (error == LARDER_E_UNREACHABLE || error == LARDER_E_TIMEOUT || error == LARDER_E_DRAINING)
        return no_daemon(l);
    value_clear(l->value, LARDER_MISS, LARDER_REASON_NONE);
    return load_unless_set_back(l, JUDGE_OFF);
}

/* One answer of the daemon; WAIT: ask again. */
static int answered(struct load *l, int r)
{
    switch (r) {
    case LARDER_HIT:
    case LARDER_ABSENT: return found(l);
    case LARDER_LEASE: return load(l, JUDGE_LEASE, false);
    case LARDER_MISS: return missed(l);
    case LARDER_WAIT: return LARDER_WAIT;
    case LARDER_E_LOAD: return load_failed(l, 0, false);
    default: return failed(l, r);
    }
}

/* Rather the fresh one, until soft_ms are over; then what is stale will do. */
static uint64_t patience(struct load *l)
{
    bool soft = l->reading.get.no_stale && !l->how.no_stale;
    if (soft && now_ns() >= l->soft_ns)
        l->reading.get.no_stale = soft = false;
    return soft && l->soft_ns < l->deadline_ns ? l->soft_ns : l->deadline_ns;
}

static int fly(struct load *l)
{
    flight_asks(l->flight, now_ns());
    int r = answered(l, lease_round(l->c, l->key, &l->reading, 0, l->value));
    while (r == LARDER_WAIT) {
        uint64_t until = patience(l);
        if (now_ns() >= l->deadline_ns)
            return time_is_up(l);
        flight_asks(l->flight, now_ns());
        r = answered(l, lease_round(l->c, l->key, &l->reading, until, l->value));
    }
    return r;
}

/* ======= wait for another thread ======= */

/* His own time is up, or that of his wish for something fresher.  False: look again. */
static bool waited_in_vain(struct load *l, int *ret)
{
    bool over = now_ns() >= l->deadline_ns;
    if (get_stale(l))
        *ret = l->value->result;
    else if (over)
        *ret = done_without(l, LARDER_E_TIMEOUT);
    return over || *ret >= 0;
}

/* False: look again. */
static bool ride(struct load *l, struct flight *flight, int *ret)
{
    struct landing landing;
    if (!flight_wait(flight, l->began_ns, patience(l), &landing, l->value))
        return false;
    *ret = landing.result;
    if (landing.result == LARDER_E_TIMEOUT)
        return waited_in_vain(l, ret);
    if (landing.load_error && l->how.ret_load_error)
        *l->how.ret_load_error = landing.load_error;
    if (landing.result < 0)
        done_without(l, landing.result);
    return true;
}

static bool near_will_do(struct load *l, int *ret)
{
    *ret = read_near(l->c, l->key, &l->reading.get, l->value);
    return *ret != READ_NOT_NEAR && (is_fresh(l, l->value) || load_is_quiet(l->c, l->hash));
}

static int board(struct load *l)
{
    for (;;) {
        bool mine;
        int r;
        struct flight *flight = flight_board(&l->c->flights, l->key, l->hash, &mine);
        if (!flight)
            return done_without(l, LARDER_E_MEMORY);
        if (mine) {
            l->flight = flight;
            return fly(l);
        }
        if (ride(l, flight, &r) || near_will_do(l, &r))
            return r;
    }
}

/* ======= the call ======= */

static int load_begin(struct load *l)
{
    l->began_ns = now_ns();
    l->deadline_ns = l->began_ns + (l->how.timeout_ms ? l->how.timeout_ms : l->how.hard_ms) * NS_PER_MS;
    l->soft_ns = l->began_ns + l->how.soft_ms * NS_PER_MS;
    l->reading = lease_reading(&l->how);
    l->reading.get.no_stale |= l->how.soft_ms > 0;
    if (l->how.scope == LARDER_SCOPE_PROCESS) { /* a stale hit brings no token, a miss does */
        l->reading.lease = false;
        l->reading.get.no_stale = true;
    }
    return board(l);
}

static bool near_is_enough(struct larder_client *c, struct slice key, const larder_load_options *how,
                           const larder_value *value)
{
    bool fresh = !(value->flags & LARDER_STALE) && value->fresh_ms >= how->early_ms;
    return __builtin_expect(fresh, 1) || load_is_quiet(c, shm_hash_key(c->secret, key));
}

/* Not inlined: a hit must not pay for the room it takes. */
static __attribute__((noinline)) int load_far(struct larder_client *c, struct slice key,
                                              const larder_load_options *how, larder_loader loader,
                                              void *user, larder_value *value)
{
    struct load l = {.c = c, .key = key, .how = *how, .loader = loader, .user = user, .value = value};
    l.hash = shm_hash_key(c->secret, key);
    return load_begin(&l);
}

static int load_checked(struct larder_client *c, larder_slice key, const larder_load_options *how,
                        larder_loader loader, void *user, larder_value *value)
{
    const larder_get_options near = {.no_stale = how->no_stale, .tiers = how->tiers};
    uint64_t begin = log_begin(c);
    int r = read_near(c, slice_in(key), &near, value);
    if (r == READ_NOT_NEAR || !near_is_enough(c, slice_in(key), how, value))
        r = load_far(c, slice_in(key), how, loader, user, value);
    if (__builtin_expect(begin != 0, 0))
        log_end(c, begin, "get_or_load", slice_in(key), r, value);
    return r;
}

int larder_get_or_load(larder_client *client, larder_slice key, const larder_load_options *options,
                       larder_loader loader, void *user, larder_value *value)
{
    larder_load_options given;
    const larder_load_options *how = &load_defaults;
    client_enter(client);
    if (!loader || (options && load_options_take(&given, options) < 0))
        return value_fail(client, value, LARDER_E_INVALID);
    if (!key_fits(key))
        return value_fail(client, value, LARDER_E_KEY);
    if (options)
        how = &given;
    if (how->ret_load_error)
        *how->ret_load_error = 0;
    return load_checked(client, key, how, loader, user, value);
}

/* ======= who changes keys ======= */

void load_key_changes(struct larder_client *c, struct slice key)
{
    uint64_t hash = shm_hash_key(c->secret, key);
    flights_shut_key(&c->flights, key, hash);
    fallback_drop_key(&c->fallback, key, hash);
    load_note_success(c, hash); /* what failed before the change may succeed after it */
}

static void prefix_changes(struct larder_client *c, struct slice prefix)
{
    flights_shut_prefix(&c->flights, prefix);
    fallback_drop_prefix(&c->fallback, prefix);
}

/* What tags a load will bring is not known before it has: a tag concerns them all.  Of globs the daemon knows best. */
void load_names_change(struct larder_client *c, const larder_invalidate_options *how)
{
    if (how->all || how->tags_count || how->globs_count)
        prefix_changes(c, slice_text(""));
    for (size_t i = 0; i < how->prefixes_count; i++)
        prefix_changes(c, slice_in(how->prefixes[i]));
    for (size_t i = 0; i < how->keys_count; i++)
        load_key_changes(c, slice_in(how->keys[i]));
}
