/* LIMIT: may this be done once more now? */
#include "session/session_private.h"

static void limit_complete(struct request *r)
{
    const struct cache_limit *l = &r->limit;
    struct wire_allowance m = {
        .status = (uint8_t)(r->known ? l->status : STATUS_UNKNOWN),
        .flags = l->local ? WIRE_ALLOWANCE_LOCAL : 0,
        .remaining = l->remaining,
        .reset_ms = l->reset_ms,
        .retry_ms = l->retry_ms,
    };
    request_wrote(r, wire_write_allowance(request_out(r), r->id, &m, WIRE_HELLO_FRAME_MAX));
    request_log(r, l->key, m.status, 0, 0);
}

static void limited(struct cache_limit *limit)
{
    struct request *r = CONTAINER_OF(limit, struct request, limit);
    r->known = 1;
    request_released(r);
}

static void start(struct request *r, const struct wire_limit *m)
{
    r->limit = (struct cache_limit){.key = m->key,
                                    .max = m->max,
                                    .window_ms = m->window_ms,
                                    .cost = m->cost,
                                    .alone = m->alone,
                                    .done = limited};
    if (cache_limit(r->session->space->cache, &r->limit) == CACHE_PENDING)
        r->pending++;
    else
        r->known = 1;
    if (r->known && r->limit.status == STATUS_BAD_REQUEST)
        request_answer(r, STATUS_BAD_REQUEST,
                       "limit: max 1 to %u, window 1 to %u ms, cost no more than max, alone 0 to 2",
                       (unsigned)CACHE_LIMIT_MAX, (unsigned)CACHE_LIMIT_WINDOW_MS);
}

void limit_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_limit m;
    int e = wire_read_limit(fields, head, &m);
    r->complete = limit_complete;
    r->limit = (struct cache_limit){.key = slice_of(NULL, 0)};
    if (e < 0)
        request_malformed(r, e);
    else if (!tenant_owns(r->session, m.key))
        request_answer(r, STATUS_DENIED, "this connection is bound to %s", r->session->tenant);
    else
        start(r, &m);
    request_started(r, e < 0 ? 0 : m.timeout_ms);
}
