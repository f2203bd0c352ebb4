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
        .max = l->max,
    };
    request_wrote(r, wire_write_allowance(request_out(r), r->id, &m, WIRE_HELLO_FRAME_MAX));
}

static void is_known(struct request *r)
{
    const struct cache_limit *l = &r->limit;
    r->known = 1;
    struct told to;
    if (told_of(r, l->key, &to))
        tell_key(r, l->key, to, (struct wire_operation){.status = (uint8_t)l->status, .event = l->name});
}

static void limited(struct cache_limit *limit)
{
    struct request *r = CONTAINER_OF(limit, struct request, limit);
    is_known(r);
    request_released(r);
}

static void start(struct request *r)
{
    if (cache_limit(r->session->space->cache, &r->limit) == CACHE_PENDING)
        r->pending++;
    else
        is_known(r);
    if (r->known && r->limit.status == STATUS_BAD_REQUEST)
        request_answer(r, STATUS_BAD_REQUEST,
                       "limit: max 1 to %u, window 1 to %u ms, cost no more than max, alone 0 to 2",
                       (unsigned)CACHE_LIMIT_MAX, (unsigned)CACHE_LIMIT_WINDOW_MS);
}

/* Of a bound connection a limit by name is its tenant's: it counts for itself. */
static void start_named(struct request *r, const struct wire_limit *m)
{
    const struct session *s = r->session;
    char *room = request_room(r, WIRE_KEY_MAX + m->arguments.count * sizeof(struct slice));
    struct slice *arguments = (struct slice *)(void *)(room + WIRE_KEY_MAX);
    struct quota_call call = {.owner = slice_of(s->tenant, s->tenant_bytes),
                              .key = m->key,
                              .arguments = arguments,
                              .arguments_count = m->arguments.count};
    strings_take(&m->arguments, arguments);
    r->limit.name = m->name;
    if (cache_limit_by_name(s->space->cache, &r->limit, &call, room))
        start(r);
    else
        request_answer(r, STATUS_BAD_REQUEST, "limit %.*s: %s", (int)m->name.size, (const char *)m->name.data,
                       call.message);
}

static void start_as_said(struct request *r, const struct wire_limit *m)
{
    const struct session *s = r->session;
    r->limit.key = m->key;
    r->limit.max = m->max;
    r->limit.window_ms = m->window_ms;
    r->limit.alone = m->alone;
    if (tenant_owns(s, m->key))
        start(r);
    else
        request_answer(r, STATUS_DENIED, "this connection is bound to %s", s->tenant);
}

void limit_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_limit m;
    int e = wire_read_limit(fields, head, &m);
    r->complete = limit_complete;
    r->limit = (struct cache_limit){.key = slice_of(NULL, 0), .cost = e < 0 ? 0 : m.cost, .done = limited};
    if (e == 0)
        r->trace = m.trace;
    if (e < 0)
        request_malformed(r, e);
    else if (request_too_many(r, m.arguments.count, "arguments"))
        ;
    else if (m.arguments.count % 2)
        request_answer(r, STATUS_BAD_REQUEST, "limit: a name without a value");
    else
        (m.name.size ? start_named : start_as_said)(r, &m);
    request_started(r, e < 0 ? 0 : m.timeout_ms);
}
