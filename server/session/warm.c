/* WARM: the warming of a connection.  It has one at a time, which ends with the connection; every request is answered at
 * once, and whoever wants to know when it is done asks again. */
#include "session/session_private.h"

#include "base/clock.h"

/* ======= the answer ======= */

static struct warming_figures measured(const struct session *s)
{
    struct warming_figures f = {.state = 0};
    struct run_look look;
    if (s->warming)
        warming_measure(s->warming, &f);
    else if (s->run && run_look(s->space->cache, s->run, &look))
        f = look.last;
    return f;
}

static void answer_progress(struct request *r, uint32_t taken)
{
    const struct session *s = r->session;
    struct warming_figures f = measured(s);
    struct wire_progress m = {.state = (uint8_t)f.state,
                              .taken = taken,
                              .total_known = f.total_known,
                              .total = f.total,
                              .done = f.done,
                              .loaded = f.loaded,
                              .here = f.here,
                              .missing = f.missing,
                              .others = f.others,
                              .brought = f.brought,
                              .failed = f.failed,
                              .elapsed_ms = f.elapsed_ns / NS_PER_MS,
                              .why = slice_text(f.why)};
    request_wrote(r, wire_write_progress(request_out(r), r->id, &m, s->frame_max));
}

/* ======= judging the request ======= */

static bool names_something(const struct wire_warm *m)
{
    return m->keys.count || m->prefixes.count || m->tags.count || m->flags & WIRE_WARM_ALL;
}

/* One that is over makes way for the next; a run goes on by itself. */
static bool has_warming(struct request *r)
{
    struct session *s = r->session;
    s->run = 0;
    if (measured(s).state != WARMING_RUNS)
        s->warming = warming_end(s->warming);
    if (!s->warming)
        s->warming = warming_begin(s->space->cache);
    if (!s->warming)
        request_answer(r, STATUS_BUSY, "%d warmings of this namespace are under way", WARMINGS_MAX);
    return s->warming != NULL;
}

/* ======= what is named ======= */

static uint32_t add_keys(struct request *r, const struct wire_strings *list)
{
    struct slice *keys = request_room(r, (list->count + 1) * sizeof(struct slice));
    struct reader names = reader_of(list->raw);
    for (uint32_t i = 0; i < list->count; i++)
        wire_next_string(&names, &keys[i]);
    return warming_keys(r->session->warming, keys, list->count);
}

/* What a bound connection may have of everything. */
static struct slice whole(const struct session *s)
{
    return slice_of(s->tenant, s->tenant_bytes);
}

static bool add_tags(struct session *s, const struct wire_strings *list)
{
    struct reader tags = reader_of(list->raw);
    char room[2 * WIRE_KEY_MAX], *at;
    struct slice tag;
    bool added = true;
    while (wire_next_string(&tags, &tag) && added) {
        at = room;
        if (tenant_tag_bytes(s, tag) <= sizeof(room))
            added = warming_source(s->warming, whole(s), tenant_tag(s, tag, &at));
    }
    return added;
}

static bool add_sources(struct session *s, const struct wire_warm *m)
{
    struct reader prefixes = reader_of(m->prefixes.raw);
    struct slice prefix;
    bool added = true;
    if (m->flags & WIRE_WARM_ALL)
        added = warming_source(s->warming, whole(s), slice_of(NULL, 0));
    while (added && wire_next_string(&prefixes, &prefix))
        added = warming_source(s->warming, prefix, slice_of(NULL, 0));
    return added && add_tags(s, &m->tags);
}

static void add(struct request *r, const struct wire_warm *m)
{
    struct session *s = r->session;
    uint32_t taken = add_keys(r, &m->keys);
    if (m->flags & WIRE_WARM_LOAD)
        warming_load(s->warming, 0);
    if (taken == m->keys.count && !add_sources(s, m)) {
        request_answer(r, STATUS_LIMIT, "more than %d prefixes and tags", WARMING_SOURCES_MAX);
        return;
    }
    if (taken == m->keys.count && !(m->flags & WIRE_WARM_MORE))
        warming_close(s->warming);
    answer_progress(r, taken);
}

/* ======= runs of policies ======= */

static void begin_run(struct request *r, struct slice policy)
{
    struct session *s = r->session;
    unsigned number;
    const char *why = s->tenant_bytes ? "a run is of all tenants" : NULL;
    if (!why)
        why = run_begin(s->space->cache, policy, &number);
    if (why) {
        request_answer(r, s->tenant_bytes ? STATUS_DENIED : STATUS_BAD_REQUEST, "%s", why);
        return;
    }
    s->warming = warming_end(s->warming);
    s->run = number;
}

static void cancel(struct session *s)
{
    if (s->warming)
        warming_cancel(s->warming);
    else if (s->run)
        run_cancel(s->space->cache, s->run);
}

void warm_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_warm m;
    int e = wire_read_warm(fields, head, &m);
    if (e < 0)
        request_malformed(r, e);
    else if (!tenant_owns_all(r->session, &m.keys) || !tenant_owns_all(r->session, &m.prefixes))
        request_answer(r, STATUS_DENIED, "this connection is bound to %s", r->session->tenant);
    else if (m.flags & WIRE_WARM_CANCEL)
        cancel(r->session);
    else if (m.policy.size)
        begin_run(r, m.policy);
    else if (names_something(&m) && has_warming(r))
        add(r, &m);
    if (request_open(r))
        answer_progress(r, 0);
    request_started(r, 0);
}
