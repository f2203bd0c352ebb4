/* Sessions from the first byte to the last.
 *
 *   HELLO ──HELLO──▶ READY ──drain──▶ DRAINING ──▶ CLOSED
 *     └──────────drain───────────────────┘           ▲
 *     └───────────────the stream ended───────────────┘  from everywhere
 *
 * A CLOSED session lives on while a cache owes answers to its requests; nothing of it touches a stream then. */
#include "session/session_private.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"

/* ======= states ======= */

static const bool may_move[SESSION_STATES][SESSION_STATES] = {
    [SESSION_HELLO] = {[SESSION_READY] = true, [SESSION_DRAINING] = true, [SESSION_CLOSED] = true},
    [SESSION_READY] = {[SESSION_DRAINING] = true, [SESSION_CLOSED] = true},
    [SESSION_DRAINING] = {[SESSION_CLOSED] = true},
};

void session_move(struct session *s, enum session_state to)
{
    CHECK(may_move[s->state][to]);
    s->state = to;
}

size_t session_frame_max(const struct session_space *space)
{
    size_t value = cache_value_max(space->cache);
    return (value > FRAME_VALUE_ROOM ? value : FRAME_VALUE_ROOM) + WIRE_FRAME_ROOM;
}

/* ======= frames ======= */

#define IN(state)       (1u << SESSION_##state)
#define FIGURE_OF(name) offsetof(struct session_figures, name)

static const struct verb verbs[] = {
    [WIRE_HELLO] = {hello_run, "hello", IN(HELLO) | IN(READY), CLASS_LOOK, FIGURE_OF(requests_look)},
    [WIRE_PING] = {ping_run, "ping", IN(HELLO) | IN(READY) | IN(DRAINING), CLASS_LOOK,
                   FIGURE_OF(requests_look)},
    [WIRE_GET] = {get_run, "get", IN(READY), CLASS_GET, FIGURE_OF(requests_get)},
    [WIRE_SET] = {set_run, "set", IN(READY), CLASS_SET, FIGURE_OF(requests_set)},
    [WIRE_TOUCH] = {touch_run, "touch", IN(READY), CLASS_SET, FIGURE_OF(requests_touch)},
    [WIRE_TAG] = {tag_run, "tag", IN(READY), CLASS_SET, FIGURE_OF(requests_tag)},
    [WIRE_INVALIDATE] = {invalidate_run, "invalidate", IN(READY), CLASS_INVALIDATE,
                         FIGURE_OF(requests_invalidate)},
    [WIRE_EVENT] = {event_run, "event", IN(READY), CLASS_INVALIDATE, FIGURE_OF(requests_invalidate)},
    [WIRE_LEASE] = {lease_run, "lease", IN(READY), CLASS_LEASE, FIGURE_OF(requests_lease)},
    [WIRE_FAIL] = {fail_run, "fail", IN(READY), CLASS_SET, FIGURE_OF(requests_lease)},
    [WIRE_LIMIT] = {limit_run, "limit", IN(READY), CLASS_LOOK, FIGURE_OF(requests_look)},
    [WIRE_OFFER] = {offer_run, "offer", IN(READY), CLASS_LOOK, FIGURE_OF(requests_lease)},
    [WIRE_LISTED] = {listed_run, "listed", IN(READY), CLASS_LOOK, FIGURE_OF(requests_lease)},
    [WIRE_WARM] = {warm_run, "warm", IN(READY), CLASS_LOOK, FIGURE_OF(requests_look)},
    [WIRE_KEYS] = {keys_run, "keys", IN(READY), CLASS_LOOK, FIGURE_OF(requests_look)},
    [WIRE_STATS] = {stats_run, "stats", IN(READY), CLASS_LOOK, FIGURE_OF(requests_look)},
    [WIRE_HEALTH] = {health_run, "health", IN(READY), CLASS_LOOK, FIGURE_OF(requests_look)},
    [WIRE_EXPLAIN] = {explain_run, "explain", IN(READY), CLASS_LOOK, FIGURE_OF(requests_look)},
    [WIRE_LOG] = {log_run, "log", IN(READY), CLASS_LOOK, FIGURE_OF(requests_look)},
    [WIRE_MONITOR] = {monitor_run, "monitor", IN(READY), CLASS_LOOK, FIGURE_OF(requests_look)},
    [WIRE_REPORT] = {report_run, "report", IN(READY), CLASS_LOOK, FIGURE_OF(requests_look)},
    [WIRE_DOCTOR] = {doctor_run, "doctor", IN(READY), CLASS_LOOK, FIGURE_OF(requests_look)},
    [WIRE_CONFIG] = {config_run, "config", IN(READY), CLASS_LOOK, FIGURE_OF(requests_look)},
};

static void answer_unsupported(struct request *r, struct reader *fields, const struct wire_head *head)
{
    (void)fields;
    request_answer(r, STATUS_UNSUPPORTED, "this daemon does not know %s (%u)", wire_code_name(head->code),
                   head->code);
    request_started(r, 0);
}

static void answer_out_of_state(struct request *r, struct reader *fields, const struct wire_head *head)
{
    (void)fields;
    (void)head;
    if (r->session->state == SESSION_DRAINING)
        request_answer(r, STATUS_DRAINING, "%s", status_sentence(STATUS_DRAINING));
    else
        request_answer(r, STATUS_BAD_REQUEST, "HELLO comes first");
    request_started(r, 0);
}

static const struct verb unknown = {answer_unsupported, "unknown", 0xff, CLASS_LOOK,
                                    FIGURE_OF(requests_look)};
static const struct verb untimely = {answer_out_of_state, "untimely", 0xff, CLASS_LOOK,
                                     FIGURE_OF(requests_look)};

static const struct verb *choose(const struct session *s, unsigned code)
{
    const struct verb *v = code < COUNT_OF(verbs) && verbs[code].run ? &verbs[code] : &unknown;
    return v->states & 1u << s->state ? v : &untimely;
}

/* Without a head there is no id to answer to: a client would wait for ever. */
static void unanswerable(struct session *s, int error)
{
    struct wire_result m = {.status = STATUS_BAD_FRAME, .message = slice_text(pack_error_text(error))};
    if (wire_write_result(stream_out(s->stream), 0, &m, WIRE_HELLO_FRAME_MAX) == 0)
        stream_wrote(s->stream);
    s->all->figures.requests_bad++;
    s->all->figures.connections_cut++;
    stream_finish(s->stream);
}

static void on_frame(struct stream *stream, struct slice payload)
{
    struct session *s = stream_user(stream);
    struct wire_head head;
    struct reader fields = reader_of(payload);
    int e = wire_read_head(&fields, &head);
    if (e < 0) {
        unanswerable(s, e);
        return;
    }
    const struct verb *verb = choose(s, head.code);
    struct request *r = request_take(s, verb, &head, payload);
    s->all->figures.requests++;
    *(uint64_t *)(void *)((char *)&s->all->figures + verb->figure) += 1;
    size_t head_bytes = payload.size - reader_left(&fields);
    fields = reader_of(slice_of(r->frame.data + head_bytes, payload.size - head_bytes));
    verb->run(r, &fields, &head);
}

static void on_broken(struct stream *stream, int frame_error)
{
    struct session *s = stream_user(stream);
    struct wire_result m = {.status = STATUS_BAD_FRAME};
    m.message =
        slice_text(frame_error == FRAME_E_TOO_LONG ? "a frame longer than frame_max" : "a frame too short");
    if (wire_write_result(stream_out(stream), 0, &m, WIRE_HELLO_FRAME_MAX) == 0)
        stream_wrote(stream);
    s->all->figures.requests_bad++;
}

/* ======= ends ======= */

static void free_session(struct session *s)
{
    CHECK(list_empty(&s->requests));
    list_remove(&s->in_open);
    if (s->counts)
        tenants_leave(cache_tenants(s->space->cache), s->counts);
    if (s->all->draining)
        later_ask(s->all->host.loop, &s->all->drain_check);
    free(s);
}

static void finish_when_done(struct session *s)
{
    if (!s->stream || s->requests_count > 0)
        return;
    if (s->half_closed)
        stream_finish(s->stream);
    else if (s->state == SESSION_DRAINING)
        stream_finish_heard(s->stream); /* what it asked meanwhile is told so (DRAINING) */
}

void session_request_ended(struct session *s)
{
    if (s->state == SESSION_CLOSED && list_empty(&s->requests))
        free_session(s);
    else if (s->half_closed || s->state == SESSION_DRAINING)
        finish_when_done(s);
}

static void on_half_closed(struct stream *stream)
{
    struct session *s = stream_user(stream);
    s->half_closed = true;
    finish_when_done(s);
}

static bool is_cut(enum stream_end why)
{
    return why != STREAM_FINISHED && why != STREAM_GONE && why != STREAM_CUT;
}

/* While the session is not CLOSED yet: the last request that ends now must not free it. */
static void abandon_leases(struct session *s)
{
    watch_leave(s);
    if (s->space)
        cache_load_abandon(s->space->cache, &s->loader);
    s->offers = loader_leave(s->offers);
    s->warming = warming_end(s->warming);
}

static void on_ended(struct stream *stream, enum stream_end why)
{
    struct session *s = stream_user(stream);
    if (is_cut(why)) {
        s->all->figures.connections_cut++;
        log_warn("client cut off", L_TEXT("reason", stream_end_text(why)), L_U64("uid", s->peer.uid),
                 L_U64("pid", s->peer.pid));
    }
    s->stream = NULL;
    session_forget_gifts(s);
    LIST_FOR(node, &s->requests)
    request_abandon(CONTAINER_OF(node, struct request, in_session));
    abandon_leases(s);
    session_move(s, SESSION_CLOSED);
    if (list_empty(&s->requests))
        free_session(s);
}

/* ======= all of them ======= */

static const struct stream_ops stream_ops = {on_frame, on_broken, on_half_closed, on_ended};

static void refuse(struct sessions *all, int fd)
{
    struct buffer b = {.limit = WIRE_HELLO_FRAME_MAX};
    struct wire_result m = {.status = STATUS_BUSY, .message = slice_text("no room for another client")};
    if (wire_write_result(&b, 0, &m, WIRE_HELLO_FRAME_MAX) == 0)
        stream_refuse(fd, slice_of(b.data, b.size));
    buffer_finish(&b);
    all->figures.connections_refused++;
}

static struct session *take(struct sessions *all, int fd, const struct peer *peer)
{
    if (all->draining || streams_full(all->streams)) {
        refuse(all, fd);
        return NULL;
    }
    struct session *s = must_alloc(sizeof(*s));
    s->all = all;
    s->peer = *peer;
    s->state = SESSION_HELLO;
    s->frame_max = WIRE_HELLO_FRAME_MAX;
    list_init(&s->in_open);
    list_init(&s->requests);
    load_peer_init(&s->loader, (uint32_t)peer->pid);
    list_append(&all->open, &s->in_open);
    s->stream = stream_open(all->streams, fd, &stream_ops, s, WIRE_HELLO_FRAME_MAX);
    all->figures.connections_accepted++;
    return s;
}

void sessions_take(void *user, int fd, const struct peer *peer)
{
    take(user, fd, peer);
}

void sessions_take_bound(struct sessions *all, int fd, const struct peer *peer,
                         const struct session_bound *bound)
{
    struct session *s = take(all, fd, peer);
    if (!s)
        return;
    tenant_bind(s, bound->tenant);
    s->bound = true;
    s->only = bound->space;
}

static void tell_drained(struct later *check)
{
    struct sessions *all = CONTAINER_OF(check, struct sessions, drain_check);
    if (!list_empty(&all->open) || !all->drained)
        return;
    void (*drained)(void *user) = all->drained;
    all->drained = NULL;
    timer_stop(&all->drain_deadline);
    drained(all->drained_user);
}

void sessions_cut(struct sessions *all)
{
    LIST_FOR(node, &all->open)
    {
        struct session *s = CONTAINER_OF(node, struct session, in_open);
        if (s->stream)
            stream_cut(s->stream);
    }
}

static void on_drain_deadline(struct timer *deadline)
{
    sessions_cut(CONTAINER_OF(deadline, struct sessions, drain_deadline));
}

void sessions_drain(struct sessions *all, uint64_t deadline_ns, void (*done)(void *user), void *user)
{
    CHECK(!all->draining);
    all->draining = true;
    all->drained = done;
    all->drained_user = user;
    uint64_t now = loop_now_ns(all->host.loop);
    timer_start(&all->drain_deadline, deadline_ns > now ? deadline_ns - now : 0, 0);
    LIST_FOR(node, &all->open)
    {
        struct session *s = CONTAINER_OF(node, struct session, in_open);
        if (s->state != SESSION_CLOSED)
            stream_hear(s->stream); /* what came before the end is served */
    }
    LIST_FOR(node, &all->open)
    {
        struct session *s = CONTAINER_OF(node, struct session, in_open);
        s->loader.gone = true; /* nobody here gets another's lease */
        if (s->offers)
            loader_shut(s->offers);
    }
    LIST_FOR(node, &all->open)
    {
        struct session *s = CONTAINER_OF(node, struct session, in_open);
        if (s->state == SESSION_CLOSED)
            continue;
        session_move(s, SESSION_DRAINING);
        abandon_leases(s); /* what they load can be stored here no more: other hosts load it */
        finish_when_done(s);
    }
    later_ask(all->host.loop, &all->drain_check);
}

struct sessions *sessions_create(const struct session_host *host)
{
    struct sessions *all = must_alloc(sizeof(*all));
    all->host = *host;
    list_init(&all->open);
    list_init(&all->waiting);
    list_init(&all->reporting);
    list_init(&all->spare_requests);
    list_init(&all->spare_ops);
    all->streams = streams_create(host->loop, host->options);
    timer_init(&all->tick, host->loop, requests_on_tick);
    timer_init(&all->drain_deadline, host->loop, on_drain_deadline);
    later_init(&all->drain_check, tell_drained);
    later_init(&all->report_turn, reports_on_turn);
    monitor_init(&all->monitor, clock_mono_ns(), watch_forget);
    all->handles = 2;
    return all;
}

static void handle_closed(struct sessions *all)
{
    if (--all->handles == 0)
        free(all);
}

static void on_tick_closed(struct timer *tick)
{
    handle_closed(CONTAINER_OF(tick, struct sessions, tick));
}

static void on_deadline_closed(struct timer *deadline)
{
    handle_closed(CONTAINER_OF(deadline, struct sessions, drain_deadline));
}

struct sessions *sessions_destroy(struct sessions *all)
{
    if (!all)
        return NULL;
    CHECK(list_empty(&all->open) && list_empty(&all->waiting) && list_empty(&all->reporting));
    all->streams = streams_destroy(all->streams);
    later_cancel(&all->drain_check);
    later_cancel(&all->report_turn);
    spares_free(all);
    timer_finish(&all->tick, on_tick_closed);
    timer_finish(&all->drain_deadline, on_deadline_closed);
    return NULL;
}

/* ======= figures ======= */

void sessions_measure(const struct sessions *all, struct session_figures *ret)
{
    *ret = all->figures;
    ret->client_connections = streams_count(all->streams);
    ret->client_bytes = streams_bytes(all->streams);
}

struct session_times session_times_of(const struct took *t)
{
    const struct turns *turns = &t->turns;
    return (struct session_times){
        .count = turns->count,
        .sum_ns = t->sum_ns,
        .p50_ns = turns_quantile(turns, 500),
        .p95_ns = turns_quantile(turns, 950),
        .p99_ns = turns_quantile(turns, 990),
        .max_ns = turns->max_ns,
    };
}

void sessions_times(const struct sessions *all, enum session_class which, struct session_times *ret)
{
    struct took sum = {.sum_ns = 0};
    for (unsigned reach = 0; reach < REACH_COUNT; reach++)
        took_merge(&sum, &all->times[which].to[reach]);
    *ret = session_times_of(&sum);
}

void sessions_times_to(const struct sessions *all, enum session_class which, enum session_reach reach,
                       struct session_times *ret)
{
    *ret = session_times_of(&all->times[which].to[reach]);
}

uint64_t sessions_times_within(const struct sessions *all, enum session_class which, enum session_reach reach,
                               uint64_t ns)
{
    return turns_within(&all->times[which].to[reach].turns, ns);
}
