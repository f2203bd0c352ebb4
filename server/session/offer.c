/* OFFER: a connection has a hand free to load something; answered by LOAD when there is something, or when it has waited
 * long enough.
 *
 * What must stay true: a key that the cache gave is told to the peer, or goes to another at once: when the peer has gone,
 * was told already that there was nothing, or has no room for the answer. */
#include "session/session_private.h"

#include <string.h>
#include "base/clock.h"
#include "base/pattern.h"

_Static_assert((int)OFFER_KEY == WIRE_LOAD_KEY && (int)OFFER_LIST == WIRE_LOAD_LIST, "told as they are");

/* ======= the answer ======= */

static bool tell(struct request *r, const struct cache_offer *offer)
{
    struct wire_load m = {.kind = (uint8_t)offer->kind,
                          .key = offer->key,
                          .token = offer->token,
                          .hold_ms = (uint32_t)(offer->hold_ns / NS_PER_MS),
                          .pattern = (uint8_t)offer->pattern};
    int written = wire_write_load(request_out(r), r->id, &m, r->session->frame_max);
    request_wrote(r, written);
    struct told to;
    if (offer->kind != OFFER_NOTHING && told_of(r, offer->key, &to))
        tell_key(r, offer->key, to,
                 (struct wire_operation){.status = (uint8_t)(written < 0 ? STATUS_BUSY : STATUS_OK)});
    return written == 0;
}

static bool answered(struct cache_offer *offer)
{
    struct op *op = CONTAINER_OF(offer, struct op, offer);
    struct request *r = op->request;
    bool told = request_open(r) && tell(r, offer);
    op_return(op);
    request_released(r);
    return told;
}

/* The deadline passed while the cache was asking its tiers. */
static void offer_complete(struct request *r)
{
    tell(r, &(struct cache_offer){.key = {0}});
}

/* ======= the request ======= */

static bool joined(struct request *r)
{
    struct session *s = r->session;
    if (!s->offers)
        s->offers = loader_join(s->space->cache, (uint32_t)s->peer.pid, slice_text(s->name));
    if (!s->offers)
        request_answer(r, STATUS_BUSY, "%d connections of this namespace offer to load", LOADERS_MAX);
    return s->offers != NULL;
}

/* All of them, each at the place the peer gave it: LOAD and `lists` name them by place. */
static const char *patterns_of(const struct wire_strings *list, struct slice *patterns)
{
    struct reader names = reader_of(list->raw);
    struct slice rest, item;
    if (list->count > LOADER_PATTERNS_MAX)
        return "more than 16 patterns";
    for (uint32_t i = 0; i < list->count; i++) {
        if (!wire_next_string(&names, &patterns[i]))
            return "they cannot be read";
        rest = patterns[i];
        if (!list_next_item(&rest, &item) || !item.size)
            return "one is empty";
    }
    return NULL;
}

static bool learned(struct request *r, const struct wire_strings *list, uint32_t lists)
{
    struct slice patterns[LOADER_PATTERNS_MAX];
    const char *why = patterns_of(list, patterns);
    if (!why && loader_can(r->session->offers, patterns, list->count, lists, &why))
        return true;
    request_answer(r, STATUS_BAD_REQUEST, "patterns: %s", why);
    return false;
}

/* What it may offer, and that it has said what at least once. */
static bool is_known(struct request *r, const struct wire_offer *m)
{
    if (!tenant_owns_patterns(r->session, &m->patterns)) {
        request_answer(r, STATUS_DENIED, "this connection is bound to %s", r->session->tenant);
        return false;
    }
    if (!m->patterns.count && !r->session->offers) {
        request_answer(r, STATUS_BAD_REQUEST, "the first OFFER of a connection names patterns");
        return false;
    }
    return joined(r) && (!m->patterns.count || learned(r, &m->patterns, m->lists));
}

static void wait_for_work(struct request *r, const struct wire_offer *m)
{
    struct session *s = r->session;
    struct op *op = op_take(r, 0);
    op->offer = (struct cache_offer){.loader = s->offers,
                                     .wait_ns = request_may_wait(r) ? m->wait_ms * NS_PER_MS : 0,
                                     .hold_ns = hold_ns_of(m->hold_ms),
                                     .done = answered};
    r->pending++;
    cache_offer(s->space->cache, &op->offer);
}

void offer_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_offer m;
    int e = wire_read_offer(fields, head, &m);
    r->complete = offer_complete;
    if (e < 0)
        request_malformed(r, e);
    else if (is_known(r, &m))
        wait_for_work(r, &m);
    request_started(r, e < 0 ? 0 : deadline_ms_of(r, m.wait_ms));
}

/* ======= keys that it names ======= */

static void take_listed(struct request *r, const struct wire_listed *m)
{
    struct slice *keys = request_room(r, (m->keys.count + 1) * sizeof(struct slice));
    struct reader names = reader_of(m->keys.raw);
    struct wire_result result = {.status = STATUS_OK};
    uint32_t taken;
    for (uint32_t i = 0; i < m->keys.count; i++)
        wire_next_string(&names, &keys[i]);
    enum listed how = m->flags & WIRE_LISTED_FAILED ? LISTED_FAILED
                      : m->flags & WIRE_LISTED_MORE ? LISTED_MORE
                                                    : LISTED_LAST;
    result.status =
        (uint8_t)loader_listed(r->session->space->cache, m->token, keys, m->keys.count, how, &taken);
    result.count = taken;
    request_wrote(r, wire_write_result(request_out(r), r->id, &result, WIRE_HELLO_FRAME_MAX));
}

void listed_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_listed m;
    int e = wire_read_listed(fields, head, &m);
    if (e < 0)
        request_malformed(r, e);
    else if (!tenant_owns_all(r->session, &m.keys))
        request_answer(r, STATUS_DENIED, "this connection is bound to %s", r->session->tenant);
    else if (!request_too_many(r, m.keys.count, "keys"))
        take_listed(r, &m);
    request_started(r, 0);
}
