/* MONITOR: a connection asks what was done by others since it asked last.
 *
 * What must stay true: nobody is told anything he did not ask for, so a watcher that reads slowly is told less, and no
 * more is kept for it (monitor.h); it is answered GATHER_MS after it was answered last, not sooner, so that a thousand
 * operations a second are ten answers. */
#include "base/clock.h"
#include "cache/cache.h"
#include "session/session_private.h"

enum { GATHER_MS = 100, WAIT_MOST_MS = 10000 };

_Static_assert(WAIT_MOST_MS *NS_PER_MS < WATCH_FORGET_NS, "who waits is not forgotten");

/* ======= the answer ======= */

static void monitor_complete(struct request *r)
{
    struct session *s = r->session;
    struct watch *w = s->watch;
    struct wire_operations m = {.left_out = 0};
    if (w) {
        uint64_t near = cache_near_hits(s->space->cache);
        watch_answer(&s->all->monitor, w, loop_now_ns(s->all->host.loop), &r->reply, &m);
        m.near_hits = near > w->near ? near - w->near : 0;
        w->near = near;
    }
    request_wrote(r, wire_write_operations(request_out(r), r->id, &m, s->frame_max));
}

static void wait_no_more(struct session *s)
{
    struct request *r = s->watching;
    s->watching = NULL;
    if (s->watch)
        s->watch->waits = false;
    if (r)
        request_released(r);
}

/* ======= the end ======= */

void watch_leave(struct session *s)
{
    wait_no_more(s);
    if (!s->watch)
        return;
    s->watch = watch_end(&s->all->monitor, s->watch);
    if (s->stream)
        stream_discharge(s->stream, WATCH_CHARGE);
}

void watch_forget(struct watch *w)
{
    watch_leave(w->user);
}

/* ======= the request ======= */

static void begin(struct request *r, const struct watch_filter *filter)
{
    struct session *s = r->session;
    uint64_t now = loop_now_ns(s->all->host.loop);
    s->watch = watch_begin(&s->all->monitor, s->space, slice_of(s->tenant, s->tenant_bytes), filter, now);
    if (!s->watch) {
        request_answer(r, STATUS_BUSY, "%d connections watch already", WATCHERS_MAX);
        return;
    }
    s->watch->user = s;
    s->watch->near = cache_near_hits(s->space->cache);
    stream_charge(s->stream, WATCH_CHARGE);
}

static bool watches(struct request *r, const struct wire_monitor *m)
{
    struct session *s = r->session;
    struct watch_filter filter;
    const char *why;
    if (s->watch && watch_filter_is(&s->watch->filter, m))
        return true;
    watch_leave(s);
    if (!watch_filter_read(&filter, m, &why)) {
        request_answer(r, STATUS_BAD_REQUEST, "monitor: %s", why);
        return false;
    }
    begin(r, &filter);
    if (!s->watch)
        watch_filter_finish(&filter);
    return s->watch != NULL;
}

static bool has_gathered(const struct watch *w, uint64_t now_ns)
{
    return w->count && now_ns >= w->answered_ns + GATHER_MS * NS_PER_MS;
}

static void answer_when_due(struct request *r, uint32_t wait_ms)
{
    struct session *s = r->session;
    uint64_t now = loop_now_ns(s->all->host.loop);
    if (!wait_ms || has_gathered(s->watch, now) || !request_may_wait(r))
        return;
    s->watching = r;
    s->watching_until_ns = now + wait_ms * NS_PER_MS;
    s->watch->waits = true;
    r->pending++;
}

void monitor_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_monitor m;
    int e = wire_read_monitor(fields, head, &m);
    uint32_t wait_ms = e < 0 ? 0 : m.wait_ms < WAIT_MOST_MS ? m.wait_ms : WAIT_MOST_MS;
    r->complete = monitor_complete;
    wait_no_more(r->session); /* one waits at a time */
    if (e < 0)
        request_malformed(r, e);
    else if (m.flags & WIRE_MONITOR_END)
        watch_leave(r->session);
    else if (watches(r, &m))
        answer_when_due(r, wait_ms);
    request_started(r, deadline_ms_of(r, wait_ms));
}

void watches_on_tick(struct sessions *all, uint64_t now_ns)
{
    for (unsigned i = all->monitor.count; i-- > 0;) { /* one that ends gives its place to the last */
        struct watch *w = all->monitor.of[i];
        struct session *s = w->waits ? w->user : NULL;
        if (s && (now_ns >= s->watching_until_ns || has_gathered(w, now_ns)))
            wait_no_more(s);
    }
}
