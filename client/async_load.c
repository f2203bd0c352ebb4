/* larder_async_get_or_load.  The rules are those of flight.h; a flight here is a larder_load, those aboard are requests
 * that wait for it, and what threads do by waiting is done by callbacks:
 *
 *     call ──near, fresh──▶ ended
 *       └─▶ board ──▶ [lease under way] ──HIT──▶ landed    ──WAIT──▶ [lease under way], longer
 *                          │ LEASE, MISS, no daemon
 *                          ▼
 *                     [loader out] ──fill──▶ [fill under way] ──▶ landed
 *                          └──fail──▶ landed
 *
 * A load in one of the states in brackets belongs to exactly one: its request under way, or the app that holds it. */
#include "client/async_load.h"

#include <stdlib.h>
#include <string.h>
#include "client/lease.h"
#include "client/load.h"
#include "client/value.h"

static void board(struct larder_async *a, struct request *r);

/* ======= a load ======= */

static struct larder_load *load_create(struct larder_async *a, const struct asking *by)
{
    struct larder_load *load = calloc(1, sizeof(*load) + by->key.size);
    if (!load)
        return NULL;
    loading_init(&load->loading);
    load->a = a;
    load->last = &load->aboard;
    load->loader = by->loader;
    load->loader_user = by->loader_user;
    load->reading = lease_reading(&by->how);
    if (by->how.scope == LARDER_SCOPE_PROCESS) { /* a stale hit brings no token, a miss does */
        load->reading.lease = false;
        load->reading.get.no_stale = true;
    }
    load->key_bytes = by->key.size;
    memcpy(load->key, by->key.data, by->key.size);
    load->hash = shm_hash_key(a->client->secret, by->key);
    load->next = a->loads;
    a->loads = load;
    return load;
}

static void load_unlist(struct larder_load *load)
{
    if (load->a && load->is_served)
        load->a->serving.out--;
    struct larder_load **at = load->a ? &load->a->loads : NULL;
    while (at && *at != load)
        at = &(*at)->next;
    if (at)
        *at = load->next;
    load->a = NULL;
}

static void load_free(struct larder_load *load)
{
    load_unlist(load);
    loading_finish(&load->loading);
    larder_value_free(&load->value);
    free(load);
}

/* ======= who waits ======= */

static void join(struct larder_load *load, struct request *r)
{
    r->load = load;
    r->fellow = NULL;
    *load->last = r;
    load->last = &r->fellow;
}

static void leave(struct request *r)
{
    struct larder_load *load = r->load;
    struct request **at = load ? &load->aboard : NULL;
    r->load = NULL;
    if (!at)
        return;
    while (*at != r)
        at = &(*at)->fellow;
    *at = r->fellow;
    if (load->last == &r->fellow)
        load->last = at;
}

static void caller_end(struct larder_async *a, struct request *r)
{
    leave(r);
    if (r->result < 0)
        value_clear(&r->value, r->result, LARDER_REASON_NONE);
    r->value.token.size = 0;
    r->value.result = r->result;
    r->done(r->user, r->result, &r->value);
}

static bool near_will_do(struct larder_async *a, struct request *r)
{
    const struct asking *by = r->asking;
    const larder_get_options how = {.no_stale = by->how.no_stale, .tiers = by->how.tiers};
    if (read_near(a->client, by->key, &how, &r->value) == READ_NOT_NEAR)
        return false;
    bool fresh = !(r->value.flags & LARDER_STALE) && r->value.fresh_ms >= by->how.early_ms;
    return fresh || load_is_quiet(a->client, shm_hash_key(a->client->secret, by->key));
}

static void take(struct larder_async *a, struct request *r, int result, const larder_value *value)
{
    bool with_value = result == LARDER_HIT || result == LARDER_ABSENT;
    if (with_value && value_copy(&r->value, value) < 0)
        result = LARDER_E_MEMORY;
    request_end(a, r, result);
}

/* Ends it for all who may take it (flight.h); the others begin again. */
static void land(struct larder_load *load, int result, const larder_value *value, bool vouched)
{
    struct larder_async *a = load->a;
    uint64_t asked = load->asked_ns;
    load->is_shut = true;
    for (struct request *r; (r = load->aboard);) {
        leave(r);
        if (r->ended)
            continue; /* its time is up, and it will be told so */
        if (vouched || r->asking->began_ns <= asked)
            take(a, r, result, value);
        else if (near_will_do(a, r))
            request_end(a, r, r->value.result);
        else
            board(a, r);
    }
}

void async_land(struct larder_load *load, int result, const larder_value *value, bool vouched)
{
    land(load, result, value, vouched);
    load_free(load);
}

/* ======= load ======= */

static void give_back(struct larder_load *load, uint32_t backoff_ms)
{
    if (load->judge == JUDGE_LEASE)
        lease_give_back(load->a, async_load_key(load), &load->token, backoff_ms);
    else
        load_note_failure(load->a->client, load->hash, backoff_ms);
}

/* Nothing of `load` may be touched behind the call: the app may end it in there. */
static void start(struct larder_load *load, enum judge judge, const larder_token *token, bool is_refresh)
{
    load->judge = judge;
    load->token = *token;
    if (!load->aboard && !is_refresh) { /* nobody waits any more */
        give_back(load, NO_BACKOFF_MS);
        load_free(load);
        return;
    }
    load->turn = fallback_turn(&load->a->client->fallback);
    load->asked_ns = now_ns();
    load->is_out = true;
    load->loader(load->loader_user, slice_out(async_load_key(load)), load);
}

struct larder_load *async_load_create(struct larder_async *a, struct slice key, struct slice lease,
                                      larder_async_loader loader, void *user)
{
    struct asking by = {.how = load_defaults, .loader = loader, .loader_user = user, .key = key};
    struct larder_load *load = load_create(a, &by);
    if (!load)
        return NULL;
    load->is_shut = load->is_served = true; /* whoever boards asks for himself */
    load->token.size = (uint8_t)lease.size;
    memcpy(load->token.bytes, lease.data, lease.size);
    a->serving.out++;
    return load;
}

void async_load_start(struct larder_load *load)
{
    larder_token lease = load->token;
    start(load, JUDGE_LEASE, &lease, true);
}

static void start_unless_set_back(struct larder_load *load, enum judge judge, const larder_token *token)
{
    if (load_set_back_ns(load->a->client, load->hash))
        async_land(load, LARDER_E_LOAD, NULL, true);
    else
        start(load, judge, token, false);
}

larder_loaded *larder_load_result(larder_load *load)
{
    return &load->loading.loaded;
}

static void filled(struct larder_load *load, bool vouched)
{
    struct larder_client *c = load->a->client;
    const larder_loaded *loaded = &load->loading.loaded;
    if (load->judge == JUDGE_AWAY) {
        load->value.flags |= LARDER_IS_LOCAL;
        fallback_put(&c->fallback, async_load_key(load), load->hash, now_ns(),
                     loaded->no_store ? 0 : loaded->ttl_ms, load->turn, &load->value);
    }
    if (load->judge != JUDGE_LEASE)
        load_note_success(c, load->hash);
    async_land(load, load->value.result, &load->value, vouched);
}

static void fill_end(struct larder_async *a, struct request *r)
{
    struct larder_load *load = r->load;
    if (!load)
        return;
    bool never_judged = r->result == LARDER_E_TOO_BIG || r->result == LARDER_E_LIMIT ||
                        r->result == LARDER_E_KEY || r->result == LARDER_E_INVALID ||
                        r->result == LARDER_E_BUSY;
    if (never_judged)
        give_back(load, NO_BACKOFF_MS); /* cannot be stored: let the next one load */
    filled(load, load_is_vouched(r->result));
}

static void fill(struct larder_load *load)
{
    struct larder_async *a = load->a;
    struct request *r = request_create(a, a->client->change_ns, false);
    if (!r) {
        give_back(load, NO_BACKOFF_MS);
        filled(load, false);
        return;
    }
    r->load = load;
    r->end = fill_end;
    r->how.set = loading_options(&load->loading);
    r->how.set.since = &load->token;
    r->how.set.tiers = load->reading.get.tiers;
    r->how.set.ret_version = &load->value.version;
    int error = async_set(a, r, slice_out(async_load_key(load)), loading_value(&load->loading));
    if (error < 0)
        request_end(a, r, error);
    request_begin(a, r);
}

void larder_async_fill(larder_load *load)
{
    if (!load->a) {
        load_free(load);
        return;
    }
    if (load->is_served && loading_is_nothing(&load->loading)) {
        larder_async_fail(load, LARDER_E_LOAD);
        return;
    }
    load->is_out = false;
    atomic_fetch_add_explicit(&load->a->client->loads, 1, memory_order_relaxed);
    int r = value_from_loading(&load->value, &load->loading);
    load->is_shut = true; /* before the fill is sent: rule 2 */
    if (r < 0) {
        give_back(load, NO_BACKOFF_MS);
        async_land(load, r, NULL, true);
    } else if (load->token.size && load->judge != JUDGE_OFF)
        fill(load);
    else
        filled(load, load->judge == JUDGE_AWAY);
}

void larder_async_fail(larder_load *load, int error)
{
    if (!load->a) {
        load_free(load);
        return;
    }
    load->is_out = false;
    atomic_fetch_add_explicit(&load->a->client->load_failures, 1, memory_order_relaxed);
    give_back(load, load->loading.loaded.backoff_ms);
    async_land(load, LARDER_E_LOAD, NULL, true);
}

/* ======= the lease ======= */

static void found(struct larder_load *load, int result, const larder_value *value)
{
    if (value->token.size && load->reading.lease) {
        load_be_quiet(load->a->client, load->hash); /* the others need not ask: we refresh it */
        land(load, result, value, false);
        start(load, JUDGE_LEASE, &value->token, true);
        return;
    }
    if (value->flags & LARDER_STALE || value->fresh_ms < load->reading.early_ms)
        load_be_quiet(load->a->client, load->hash);
    async_land(load, result, value, false);
}

static void no_daemon(struct larder_load *load)
{
    static const larder_token none;
    struct larder_client *c = load->a->client;
    int r = fallback_get(&c->fallback, async_load_key(load), load->hash, now_ns(), &load->value);
    if (r == LARDER_HIT || r == LARDER_ABSENT)
        async_land(load, r, &load->value, true);
    else
        start_unless_set_back(load, JUDGE_AWAY, &none);
}

static void missed(struct larder_load *load, const larder_value *value)
{
    bool off = value->reason == LARDER_REASON_DISABLED;
    start_unless_set_back(load, off ? JUDGE_OFF : JUDGE_TOKEN, &value->token);
}

static void ask_failed(struct larder_load *load, int error)
{
    static const larder_token none;
    if (error == LARDER_E_UNSUPPORTED && load->reading.lease) {
        load->reading.lease = false; /* a daemon from before leases: its tokens fence a fill as well */
        lease_ask(load, 0);
    } else if (error == LARDER_E_UNREACHABLE && !load->has_retried) {
        load->has_retried = true; /* the daemon may have been restarted */
        lease_ask(load, 0);
    } else if (error == LARDER_E_UNREACHABLE || error == LARDER_E_TIMEOUT || error == LARDER_E_DRAINING)
        no_daemon(load);
    else
        start_unless_set_back(load, JUDGE_OFF, &none);
}

void lease_answered(struct larder_load *load, int result, const larder_value *value)
{
    if (result >= 0 || result == LARDER_E_LOAD)
        fallback_over(&load->a->client->fallback);
    switch (result) {
    case LARDER_HIT:
    case LARDER_ABSENT: found(load, result, value); break;
    case LARDER_LEASE: start(load, JUDGE_LEASE, &value->token, false); break;
    case LARDER_MISS: missed(load, value); break;
    case LARDER_E_LOAD: async_land(load, result, NULL, true); break;
    case LARDER_WAIT:
        if (load->aboard)
            lease_ask(load, LEASE_ROUND_MS);
        else
            load_free(load);
        break;
    default: ask_failed(load, result);
    }
}

/* ======= the call ======= */

static void board(struct larder_async *a, struct request *r)
{
    const struct asking *by = r->asking;
    struct larder_load *load = a->loads;
    while (load && (load->is_shut || !slice_equal(async_load_key(load), by->key)))
        load = load->next;
    if (load) {
        pthread_mutex_lock(&a->client->flights.lock);
        a->client->flights.joined++;
        pthread_mutex_unlock(&a->client->flights.lock);
        join(load, r);
        return;
    }
    load = load_create(a, by);
    if (!load) {
        request_end(a, r, LARDER_E_MEMORY);
        return;
    }
    join(load, r);
    lease_ask(load, 0);
}

static bool asking_create(struct request *r, larder_slice key)
{
    r->asking = calloc(1, sizeof(*r->asking) + key.size);
    if (!r->asking)
        return false;
    memcpy(r->asking + 1, key.data, key.size);
    r->asking->key = slice_of(r->asking + 1, key.size);
    r->asking->began_ns = now_ns();
    return true;
}

int larder_async_get_or_load(larder_async *a, larder_slice key, const larder_load_options *options,
                             larder_async_loader loader, void *loader_user, larder_done done, void *user)
{
    larder_load_options how;
    if (async_is_over(a) || !loader || !done || load_options_take(&how, options) < 0)
        return LARDER_E_INVALID;
    if (!key_fits(key))
        return LARDER_E_KEY;
    struct request *r = request_create(a, (how.timeout_ms ? how.timeout_ms : how.hard_ms) * NS_PER_MS, true);
    if (!r)
        return async_no_request(a);
    if (!asking_create(r, key)) {
        request_free(a, r);
        return LARDER_E_MEMORY;
    }
    r->asking->how = how;
    r->asking->loader = loader;
    r->asking->loader_user = loader_user;
    r->end = caller_end;
    r->done = done;
    r->user = user;
    if (near_will_do(a, r))
        request_end(a, r, r->value.result);
    else
        board(a, r);
    request_begin(a, r);
    return LARDER_OK;
}

/* ======= changes, and the end ======= */

static void shut_where(struct larder_async *a, struct slice name, bool is_prefix)
{
    for (struct larder_load *load = a->loads; load; load = load->next) {
        struct slice key = async_load_key(load);
        bool fits = is_prefix ? key.size >= name.size : key.size == name.size;
        if (fits && (name.size == 0 || memcmp(key.data, name.data, name.size) == 0))
            load->is_shut = true;
    }
}

void loads_change_key(struct larder_async *a, larder_slice key)
{
    shut_where(a, slice_in(key), false);
    load_key_changes(a->client, slice_in(key));
}

void loads_change_names(struct larder_async *a, const larder_invalidate_options *how)
{
    if (how->all || how->tags_count || how->globs_count)
        shut_where(a, slice_text(""), true);
    for (size_t i = 0; i < how->prefixes_count; i++)
        shut_where(a, slice_in(how->prefixes[i]), true);
    for (size_t i = 0; i < how->keys_count; i++)
        shut_where(a, slice_in(how->keys[i]), false);
    load_names_change(a->client, how);
}

static void requests_forget_loads(struct request *r)
{
    for (; r; r = r->newer)
        r->load = r->served = NULL;
}

void loads_orphan(struct larder_async *a)
{
    requests_forget_loads(a->waiting.oldest);
    requests_forget_loads(a->ended.oldest);
    while (a->loads) {
        struct larder_load *load = a->loads;
        load->aboard = NULL;
        load_unlist(load);
        if (!load->is_out)
            load_free(load); /* nobody else knows of it */
    }
}
