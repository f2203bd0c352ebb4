/* HELLO and PING.
 *
 * HELLO may come again on a connection that is READY: that is how a client attaches to a new segment.  Namespace and
 * tenant must then be the same, so nobody leaves the tenant he is bound to.
 *
 * Clocks.  Promises in the segment are in CLOCK_BOOTTIME, and a reader computes it from its CLOCK_MONOTONIC; in another
 * time namespace both may be shifted.  HELLO carries the client's reading of both.  Ours, taken now, must be later by
 * no more than a message may take (CLOCK_LATE_MS: an idle machine wakes a peer in 0.1 ms, a busy one in tens), and
 * earlier by no more than CLOCK_EARLY_MS.  Otherwise the client gets everything but the mapping. */
#include "session/session_private.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"

enum { CLOCK_LATE_MS = 100, CLOCK_EARLY_MS = 5 };

/* ======= the segment ======= */

struct gift {
    int fds[STREAM_PASS_MAX];
    unsigned count;
    uint64_t incarnation;
    void *touch_page;
    const char *why;
};

static bool clock_agrees(uint64_t theirs, uint64_t ours)
{
    return theirs > ours ? theirs - ours <= CLOCK_EARLY_MS * NS_PER_MS
                         : ours - theirs <= CLOCK_LATE_MS * NS_PER_MS;
}

static const char *why_not(const struct session *s, const struct wire_hello *m)
{
    if (s->tenant_bytes)
        return "a connection bound to a tenant works by socket only";
    if (s->space->secret)
        return "this namespace is secret and gives out no mapping";
    if (stream_passing(s->stream))
        return "an earlier segment is still on its way";
    if (!clock_agrees(m->mono_ns, clock_mono_ns()) || !clock_agrees(m->boot_ns, clock_boot_ns()))
        return "the clocks of client and daemon differ, or the greeting took longer than 100 ms";
    return NULL;
}

static void add_segment(struct session *s, struct gift *g)
{
    int fd;
    const char *why = NULL;
    if (s->space->ops->segment(s->space, &fd, &g->incarnation, &why) < 0) {
        g->why = why;
        return;
    }
    int copy =
        fcntl(fd, F_DUPFD_CLOEXEC, 0); /* stays valid until it is sent, whatever becomes of the original */
    if (copy < 0)
        g->why = "the daemon has no descriptor left";
    else
        g->fds[g->count++] = copy;
}

static void add_touch_page(struct session *s, struct gift *g)
{
    int fd;
    if (g->count && s->space->ops->touch_open(s->space, &g->touch_page, &fd) >= 0)
        g->fds[g->count++] = fd;
}

static struct gift choose_gift(struct session *s, const struct wire_hello *m)
{
    struct gift g = {0};
    if (!(m->want & WIRE_WANT_SEGMENT))
        return g;
    g.why = why_not(s, m);
    if (!g.why)
        add_segment(s, &g);
    if (m->want & WIRE_WANT_TOUCH)
        add_touch_page(s, &g);
    return g;
}

static void close_touch_page(struct session *s)
{
    if (s->touch_page)
        s->space->ops->touch_close(s->space, s->touch_page);
    s->touch_page = NULL;
}

static void take_back(struct session *s, const struct gift *g)
{
    for (unsigned i = 0; i < g->count; i++)
        close(g->fds[i]);
    if (g->touch_page)
        s->space->ops->touch_close(s->space, g->touch_page);
}

/* The page of the segment before is of no use any more. */
static void give(struct session *s, const struct gift *g, size_t mark)
{
    if (!g->count)
        return;
    close_touch_page(s);
    s->touch_page = g->touch_page;
    stream_pass(s->stream, mark, g->fds, g->count);
    s->all->figures.segments_passed++;
}

void session_forget_gifts(struct session *s)
{
    close_touch_page(s);
}

/* ======= welcome ======= */

static void welcome(struct request *r, const struct wire_hello *hello)
{
    struct session *s = r->session;
    struct gift g = choose_gift(s, hello);
    size_t mark = request_out(r)->size;
    struct wire_welcome m = {
        .version = hello->version_max < WIRE_VERSION_MAX ? hello->version_max : WIRE_VERSION_MAX,
        .daemon = slice_text(s->all->host.program),
        .namespace = slice_text(s->space->name),
        .mode = (uint8_t)cache_mode(s->space->cache),
        .partitions = (uint8_t)cache_partitions(s->space->cache),
        .incarnation = g.incarnation,
        .key_max = WIRE_KEY_MAX,
        .value_max = (uint32_t)cache_value_max(s->space->cache),
        .batch_max = WIRE_BATCH_MAX,
        .frame_max = (uint32_t)s->frame_max,
        .descriptors = (uint8_t)g.count,
        .why_no_segment = slice_text(g.why),
    };
    int written = wire_write_welcome(request_out(r), r->id, &m, WIRE_HELLO_FRAME_MAX);
    if (written < 0)
        take_back(s, &g);
    else
        give(s, &g, mark);
    request_wrote(r, written);
}

/* ======= hello ======= */

static void become_ready(struct session *s, struct session_space *space)
{
    s->space = space;
    s->frame_max = session_frame_max(space);
    stream_set_frame_max(s->stream, s->frame_max);
    stream_greeted(s->stream);
    if (s->tenant_bytes)
        s->counts = tenants_enter(cache_tenants(space->cache), slice_of(s->tenant, s->tenant_bytes - 1u));
    session_move(s, SESSION_READY);
}

static bool same_tenant(const struct session *s, struct slice tenant)
{
    size_t bytes = s->tenant_bytes ? s->tenant_bytes - 1u : 0;
    return slice_equal(tenant, slice_of(s->tenant, bytes));
}

/* Whom the daemon has bound may leave both out, and cannot learn which others there are. */
static bool within_bounds(const struct session *s, const struct wire_hello *m,
                          const struct session_space *space)
{
    bool namespace = !s->only || m->namespace.size == 0 || space == s->only;
    return namespace && (!s->bound || m->tenant.size == 0 || same_tenant(s, m->tenant));
}

static bool stays(const struct session *s, const struct wire_hello *m, const struct session_space *space)
{
    return space == s->space && ((s->bound && m->tenant.size == 0) || same_tenant(s, m->tenant));
}

static void greet(struct request *r, const struct wire_hello *m)
{
    struct session *s = r->session;
    const struct session_host *host = &s->all->host;
    struct session_space *space =
        s->only && m->namespace.size == 0 ? s->only : host->space(host->user, m->namespace);
    bool again = s->state == SESSION_READY;
    if (m->version_min > WIRE_VERSION_MAX || m->version_max < WIRE_VERSION_MIN)
        request_answer(r, STATUS_BAD_VERSION, "this daemon speaks versions %d to %d", WIRE_VERSION_MIN,
                       WIRE_VERSION_MAX);
    else if (!within_bounds(s, m, space))
        request_answer(r, STATUS_DENIED, "this connection is bound to tenant %.*s%s%s", s->tenant_bytes - 1,
                       s->tenant, s->only ? " of namespace " : "", s->only ? s->only->name : "");
    else if (!space)
        request_answer(r, STATUS_NO_NAMESPACE, "no namespace %.*s", (int)m->namespace.size,
                       (const char *)m->namespace.data);
    else if (again && !stays(s, m, space))
        request_answer(r, STATUS_DENIED, "a connection keeps its namespace and tenant");
    else if (!again && m->tenant.size && !session_tenant_valid(m->tenant))
        request_answer(r, STATUS_BAD_REQUEST, "a tenant is at most %d bytes and has no ':'",
                       WIRE_NAME_MAX - 1);
    if (!request_open(r))
        return;
    if (!again) {
        if (m->tenant.size)
            tenant_bind(s, m->tenant);
        memcpy(s->name, m->client.data ? m->client.data : "", m->client.size);
        become_ready(s, space);
    }
    s->all->figures.clients_unreachable += m->unreachable;
    s->all->figures.clients_timeouts += m->timeouts;
    welcome(r, m);
    log_debug("client greeted", L_BYTES("client", m->client), L_TEXT("namespace", space->name),
              L_U64("uid", s->peer.uid), L_U64("pid", s->peer.pid));
}

void hello_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_hello m;
    int e = wire_read_hello(fields, head, &m);
    if (e < 0)
        request_malformed(r, e);
    else
        greet(r, &m);
    request_started(r, 0);
}

void ping_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_ping m;
    int e = wire_read_ping(fields, head, &m);
    if (e < 0) {
        request_malformed(r, e);
    } else {
        struct wire_pong pong = {.payload = m.payload};
        request_wrote(r, wire_write_pong(request_out(r), r->id, &pong, WIRE_HELLO_FRAME_MAX));
    }
    request_started(r, 0);
}
