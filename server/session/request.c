/* Requests and ops: taken from free lists, answered once, given back. */
#include "session/session_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"

#define TICK_NS (20 * NS_PER_MS) /* deadlines are tens of milliseconds and more */

/* ======= free lists ======= */

static void free_request(struct request *r)
{
    buffer_finish(&r->frame);
    buffer_finish(&r->room);
    buffer_finish(&r->reply);
    free(r);
}

static struct request *spare_request(struct sessions *all)
{
    struct list *first = list_first(&all->spare_requests);
    if (!first) {
        struct request *r = must_alloc(sizeof(*r));
        list_init(&r->in_session);
        list_init(&r->in_waiting);
        r->frame.limit = r->room.limit = r->reply.limit =
            SIZE_MAX; /* bounded by the frame that asks for them */
        return r;
    }
    list_remove(first);
    all->spare_requests_count--;
    return CONTAINER_OF(first, struct request, in_session);
}

static void trim(struct buffer *b)
{
    if (b->capacity > BIG_BUFFER)
        buffer_finish(b);
}

/* Last in, first out: the one on top keeps its buffers whatever their size, which is what the next request of the
 * same kind wants; what it covers is cut to size. */
static void keep_request(struct sessions *all, struct request *r)
{
    struct list *covered = list_first(&all->spare_requests);
    if (covered) {
        struct request *c = CONTAINER_OF(covered, struct request, in_session);
        trim(&c->frame);
        trim(&c->room);
        trim(&c->reply);
    }
    if (all->spare_requests_count == SPARE_REQUESTS) {
        free_request(r);
        return;
    }
    list_append(all->spare_requests.next, &r->in_session); /* before the first: at the front */
    all->spare_requests_count++;
}

struct op *op_take(struct request *r, uint32_t index)
{
    struct sessions *all = r->session->all;
    struct list *first = list_first(&all->spare_ops);
    struct op *op;
    if (first) {
        list_remove(first);
        all->spare_ops_count--;
        op = CONTAINER_OF(first, struct op, node);
    } else {
        op = must_alloc(sizeof(*op));
        list_init(&op->node);
    }
    op->request = r;
    op->index = index;
    return op;
}

void op_return(struct op *op)
{
    struct sessions *all = op->request->session->all;
    op->request = NULL;
    if (all->spare_ops_count == SPARE_OPS) {
        free(op);
        return;
    }
    list_append(all->spare_ops.next, &op->node);
    all->spare_ops_count++;
}

void spares_free(struct sessions *all)
{
    struct list *first;
    while ((first = list_first(&all->spare_requests))) {
        list_remove(first);
        free_request(CONTAINER_OF(first, struct request, in_session));
    }
    while ((first = list_first(&all->spare_ops))) {
        list_remove(first);
        free(CONTAINER_OF(first, struct op, node));
    }
}

/* ======= begin ======= */

static bool is_sampled(struct class_times *t)
{
    if (t->unmeasured) {
        t->unmeasured--;
        return false;
    }
    t->random = t->random * 6364136223846793005u + 1442695040888963407u; /* Knuth's, its upper bits */
    t->unmeasured = (unsigned)(t->random >> (64 - SAMPLE_BITS));
    return true;
}

/* Requests of a turn share the time at which it began: the clock is read once for all of them. */
static uint64_t turn_now(struct sessions *all)
{
    uint64_t now_ns = loop_now_ns(all->host.loop);
    if (now_ns != all->turn.began_ns) {
        all->turn.began_ns = now_ns;
        all->turn.requests_before = all->figures.requests;
    }
    return now_ns;
}

static void measure_from_here(struct request *r, struct sessions *all)
{
    uint64_t turn_ns = turn_now(all);
    r->looked_on = (uint8_t)((monitor_watched(&all->monitor) ? LOOKED_ON_BY_WATCHERS : 0) |
                             (log_on(LOG_DEBUG) ? LOOKED_ON_BY_LOG : 0));
    r->measured = is_sampled(&all->times[r->verb->class]);
    bool exact = r->measured || r->looked_on & LOOKED_ON_BY_LOG || (r->looked_on && all->monitor.near);
    r->began_ns = exact ? clock_boot_ns() : turn_ns;
}

struct request *request_take(struct session *s, const struct verb *verb, const struct wire_head *head,
                             struct slice payload)
{
    struct request *r = spare_request(s->all);
    r->session = s;
    r->verb = verb;
    r->id = head->id;
    r->code = head->code;
    r->trace = slice_of(NULL, 0);
    r->answered = r->filed = r->no_value = false;
    r->reach = REACH_NOWHERE;
    r->pending = 1; /* the verb itself, until request_started */
    r->charged = 0;
    r->complete = NULL;
    r->count = r->known = 0;
    r->chunks = NULL;
    r->outcomes = NULL;
    r->frame.size = r->room.size = r->reply.size = 0;
    CHECK(buffer_append(&r->frame, payload.data, payload.size) == 0);
    measure_from_here(r, s->all);
    return r;
}

void *request_room(struct request *r, size_t bytes)
{
    CHECK(r->room.size == 0);
    CHECK(buffer_reserve(&r->room, bytes + 1) == 0);
    memset(r->room.data, 0, bytes);
    r->room.size = bytes;
    return r->room.data;
}

/* ======= the one reply ======= */

static uint64_t since_it_began(const struct request *r, uint64_t now_ns)
{
    return now_ns > r->began_ns ? now_ns - r->began_ns : 0;
}

/* When it began nobody read the clock, only when its turn did: of what went by since then it has its share.  All of it would
 * be what the requests before it took as well, a hundred times its own time in a busy turn; and as it stands for those after it
 * until one is measured, some sixteen, that is what the 99 % of a policy with a thousand requests would be. */
static uint64_t share_of_turn(const struct request *r)
{
    const struct sessions *all = r->session->all;
    bool is_shared = r->began_ns == all->turn.began_ns;
    uint64_t went_by = since_it_began(r, clock_boot_ns());
    return is_shared ? went_by / (all->figures.requests - all->turn.requests_before) : went_by;
}

static void count_unmeasured(const struct request *r, struct took *t)
{
    if (!took_unmeasured(t))
        took_measured(t, share_of_turn(r));
}

void request_took(const struct request *r, struct took *const *counted, unsigned count)
{
    if (!r->filed && !r->measured) {
        for (unsigned i = 0; i < count; i++)
            count_unmeasured(r, counted[i]);
        return;
    }
    uint64_t now = r->measured ? clock_boot_ns() : loop_now_ns(r->session->all->host.loop);
    void (*add)(struct took * t, uint64_t ns) = r->filed ? took_waited : took_measured;
    for (unsigned i = 0; i < count; i++)
        add(counted[i], since_it_began(r, now));
}

void request_took_key(const struct request *r, enum timed of, unsigned policy, enum status status)
{
    const struct session *s = r->session;
    struct cache *c = s->space->cache;
    if (status_is_error(status))
        return;
    struct took *counted[2] = {cache_policy_took(c, policy, of)};
    if (s->counts)
        counted[1] = tenants_took(cache_tenants(c), s->counts, of);
    request_took(r, counted, s->counts ? 2 : 1);
}

static void count_time(const struct request *r)
{
    struct session *s = r->session;
    struct took *counted[2] = {&s->all->times[r->verb->class].to[r->reach]};
    if (s->space)
        counted[1] = &s->space->times[r->verb->class];
    request_took(r, counted, s->space ? 2 : 1);
}

/* A reply that finds no room is replaced by the news of that; a peer with no room even for this is not reading. */
static void say_busy(struct request *r)
{
    static const char text[] = "too many replies of this connection are unread";
    struct wire_result busy = {.status = STATUS_BUSY, .message = slice_of(text, sizeof(text) - 1)};
    if (wire_write_result(request_out(r), r->id, &busy, WIRE_HELLO_FRAME_MAX) < 0)
        stream_cut(r->session->stream);
}

void request_wrote(struct request *r, int written)
{
    CHECK(!r->answered);
    if (written < 0)
        say_busy(r);
    r->answered = true;
    stream_wrote(r->session->stream);
    count_time(r);
}

void request_answer(struct request *r, enum status status, const char *format, ...)
{
    char text[WIRE_TEXT_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    size_t shown = size < 0 ? 0 : size < (int)sizeof(text) ? (size_t)size : sizeof(text) - 1;
    struct wire_result result = {.status = (uint8_t)status, .message = slice_of(text, shown)};
    request_wrote(r, wire_write_result(request_out(r), r->id, &result, WIRE_HELLO_FRAME_MAX));
    r->session->all->figures.requests_bad += status_is_error(status) && !status_retryable(status);
}

void request_malformed(struct request *r, int error)
{
    request_answer(r, STATUS_BAD_REQUEST, "%s: %s", r->verb->name, pack_error_text(error));
}

bool request_too_many(struct request *r, uint32_t count, const char *what)
{
    if (count <= WIRE_BATCH_MAX)
        return false;
    request_answer(r, STATUS_LIMIT, "%u %s in one request, the limit is %u", count, what, WIRE_BATCH_MAX);
    return true;
}

/* ======= pending ======= */

static void charge(struct request *r, size_t bytes)
{
    struct stream *stream = r->session->stream;
    if (!stream)
        return;
    if (bytes > r->charged)
        stream_charge(stream, bytes - r->charged);
    else
        stream_discharge(stream, r->charged - bytes);
    r->charged = bytes;
}

static size_t pinned(const struct request *r)
{
    return sizeof(*r) + r->frame.capacity + r->room.capacity + r->reply.capacity +
           r->pending * sizeof(struct op);
}

/* The peer may go on sending while it is below both bounds. */
static void bound(struct session *s)
{
    if (!s->stream)
        return;
    bool full = s->requests_count >= s->all->host.options->requests_in_flight || s->ops_count >= OPS_MAX;
    if (full)
        stream_pause(s->stream);
    else
        stream_resume(s->stream);
}

static void file_request(struct request *r, uint32_t timeout_ms)
{
    struct session *s = r->session;
    struct sessions *all = s->all;
    uint64_t timeout = timeout_ms ? timeout_ms * NS_PER_MS : all->host.options->request_timeout;
    r->filed = true;
    r->deadline_ns = clock_after(loop_now_ns(all->host.loop), timeout);
    list_append(&s->requests, &r->in_session);
    list_append(&all->waiting, &r->in_waiting);
    s->requests_count++;
    s->ops_count += r->pending;
    all->figures.requests_in_flight++;
    charge(r, pinned(r));
    bound(s);
    if (!all->ticking) {
        all->ticking = true;
        timer_start(&all->tick, TICK_NS, TICK_NS);
    }
}

static void unfile(struct request *r)
{
    struct session *s = r->session;
    list_remove(&r->in_session);
    list_remove(&r->in_waiting);
    s->requests_count--;
    s->all->figures.requests_in_flight--;
    charge(r, 0);
    bound(s);
}

static void end(struct request *r)
{
    struct session *s = r->session;
    CHECK(r->answered);
    if (r->filed)
        unfile(r);
    keep_request(s->all, r);
    session_request_ended(s); /* may free the session */
}

static void complete(struct request *r)
{
    if (request_open(r))
        r->complete(r);
    CHECK(r->answered);
}

void request_started(struct request *r, uint32_t timeout_ms)
{
    if (--r->pending > 0) {
        file_request(r, timeout_ms);
        return;
    }
    complete(r);
    end(r);
}

bool op_done_now(struct op *op, int outcome)
{
    if (outcome == CACHE_DONE)
        return true;
    op->request->pending++;
    return false;
}

/* Ops may be answered while the verb is still starting others (a change lands the reads of its key); the verb's own
 * share of `pending` keeps the request alive then. */
void request_released(struct request *r)
{
    r->pending--;
    if (!r->filed)
        return;
    r->session->ops_count--;
    if (r->pending == 0) {
        if (!request_open(r))
            r->session->all->figures.replies_dropped++;
        complete(r);
        end(r);
    } else {
        charge(r, pinned(r));
    }
}

void request_abandon(struct request *r)
{
    r->answered = true;
    r->charged = 0; /* forgotten with the stream */
    list_remove(&r->in_waiting);
}

/* ======= deadlines ======= */

static void time_out(struct request *r)
{
    list_remove(&r->in_waiting);
    r->session->all->figures.requests_timed_out++;
    r->complete(r); /* with the holes named; the caches go on, and their late answers are dropped */
    CHECK(r->answered);
}

void requests_on_tick(struct timer *tick)
{
    struct sessions *all = CONTAINER_OF(tick, struct sessions, tick);
    uint64_t now = loop_now_ns(all->host.loop);
    LIST_FOR_SAFE(node, &all->waiting)
    {
        struct request *r = CONTAINER_OF(node, struct request, in_waiting);
        if (now >= r->deadline_ns && request_open(r))
            time_out(r);
    }
    watches_on_tick(all, now);
    if (list_empty(&all->waiting)) {
        all->ticking = false;
        timer_stop(tick);
    }
}
