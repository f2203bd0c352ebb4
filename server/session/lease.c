/* LEASE: a get that says who loads; FAIL: the load that was none.
 *
 * What must stay true: a lease that the cache gave is told to the peer, or goes back at once: when the peer has gone, was
 * told TIMEOUT, or has no room for the answer. */
#include "base/clock.h"
#include "session/session_private.h"

/* ======= lease ======= */

static struct slice token_of(const struct cache_load *l)
{
    return slice_of(l->token, l->token_bytes);
}

static struct wire_entry entry_of(const struct cache_load *l, bool no_value)
{
    struct wire_entry w = {.status = (uint8_t)l->status};
    if (l->status == STATUS_HIT || l->status == STATUS_ABSENT)
        w = values_entry(&l->get, no_value);
    else if (l->status == STATUS_MISS)
        w.reason = (uint8_t)l->get.reason;
    else if (l->status == STATUS_LOAD_FAILED)
        w.ttl_ms = (l->rest_ns + NS_PER_MS - 1) / NS_PER_MS;
    w.flags |= l->loaded ? WIRE_ENTRY_LOADED : 0;
    w.token = token_of(l);
    return w;
}

/* A lease, and not the token of a miss. */
static bool holds_lease(const struct cache_load *l)
{
    return l->token_bytes && l->status != STATUS_MISS;
}

static void key_known(struct op *op)
{
    struct request *r = op->request;
    const struct cache_load *l = &op->load;
    struct wire_entry w = entry_of(l, r->no_value);
    struct told to;
    request_took_key(r, TIMED_GET, l->get.policy, l->get.status);
    if (told_of(r, l->get.key, &to))
        tell_key(r, l->get.key, to, values_line(&w, &l->get));
    bool told = request_open(r) && values_tell(r, op->index, &w);
    if (!told && holds_lease(l))
        cache_load_return(r->session->space->cache, l->get.key, token_of(l));
    op_return(op);
}

static void loaded(struct cache_load *load)
{
    struct op *op = CONTAINER_OF(load, struct op, load);
    struct request *r = op->request;
    key_known(op);
    request_released(r);
}

bool request_may_wait(const struct request *r)
{
    unsigned limit = (unsigned)r->session->all->host.options->requests_in_flight;
    return r->session->requests_count < limit - limit / 8;
}

/* Batches that wait for each other would never end. */
static bool may_wait(const struct request *r)
{
    return r->count == 1 && request_may_wait(r);
}

uint64_t hold_ns_of(uint32_t hold_ms)
{
    uint32_t ms = hold_ms ? hold_ms : WIRE_HOLD_DEFAULT_MS;
    return (ms < WIRE_HOLD_MAX_MS ? ms : WIRE_HOLD_MAX_MS) * NS_PER_MS;
}

static void start_key(struct request *r, const struct wire_lease *m, uint32_t index, struct slice key)
{
    struct session *s = r->session;
    if (!tenant_owns(s, key)) {
        values_denied(r, index, key);
        return;
    }
    struct op *op = op_take(r, index);
    op->load = (struct cache_load){
        .get = {.key = key,
                .tiers = m->tiers,
                .no_stale = m->flags & WIRE_GET_NO_STALE,
                .schema = m->schema,
                .not_older = {m->after_v != 0, m->after_partition, m->after_epoch, m->after_v},
                .tenant = s->counts},
        .peer = &s->loader,
        .scope = m->scope,
        .wait_ns = may_wait(r) ? m->wait_ms * NS_PER_MS : 0,
        .hold_ns = hold_ns_of(m->hold_ms),
        .refresh_ns = m->refresh_ms * NS_PER_MS,
        .done = loaded};
    if (op_done_now(op, cache_load(s->space->cache, &op->load)))
        key_known(op);
}

/* The cache ends the wait by itself; what it asks its tiers meanwhile has the time that a get has. */
uint32_t deadline_ms_of(const struct request *r, uint32_t wait_ms)
{
    uint64_t ms = r->session->all->host.options->request_timeout / NS_PER_MS + wait_ms;
    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

void lease_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_lease m;
    int e = wire_read_lease(fields, head, &m);
    r->complete = values_complete;
    if (e < 0) {
        request_malformed(r, e);
    } else if (!request_too_many(r, m.keys.count, "keys")) {
        r->trace = m.trace;
        values_begin(r, m.keys.count, m.flags & WIRE_GET_NO_VALUE);
        struct reader keys = reader_of(m.keys.raw);
        struct slice key;
        for (uint32_t i = 0; wire_next_string(&keys, &key); i++)
            start_key(r, &m, i, key);
    }
    request_started(r, e < 0 ? 0 : deadline_ms_of(r, m.wait_ms));
}

/* ======= fail ======= */

static void answer_fail(struct request *r, const struct wire_fail *m)
{
    struct cache *c = r->session->space->cache;
    r->trace = m->trace;
    enum status status = m->backoff_ms == WIRE_NO_BACKOFF
                             ? cache_load_return(c, m->key, m->token)
                             : cache_load_failed(c, m->key, m->token, m->backoff_ms * NS_PER_MS);
    struct told to;
    if (told_of(r, m->key, &to))
        tell_key(r, m->key, to, (struct wire_operation){.status = (uint8_t)status});
    request_answer(r, status, "%s",
                   status == STATUS_OK ? "" : "that is no lease of this key, or not any more");
}

void fail_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_fail m;
    int e = wire_read_fail(fields, head, &m);
    if (e < 0)
        request_malformed(r, e);
    else if (!tenant_owns(r->session, m.key))
        request_answer(r, STATUS_DENIED, "this connection is bound to %s", r->session->tenant);
    else
        answer_fail(r, &m);
    request_started(r, 0);
}
