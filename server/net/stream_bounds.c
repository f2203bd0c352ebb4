/* What peers may pin, and how long they may take. */
#include "net/stream_private.h"

#include <sys/resource.h>
#include "base/clock.h"

enum { FILES_RESERVED = 64 };     /* for databases, logs, memfds, touch pages of the last clients */
#define TICK_NS (100 * NS_PER_MS) /* deadlines are seconds; nobody is cut early, and at most this late */

/* ======= memory ======= */

void stream_settle(struct stream *s)
{
    size_t now = s->in.capacity + s->out.capacity + s->extra;
    s->all->bytes += now - s->charged; /* wraps back when it shrank */
    s->charged = now;
    if (s->all->bytes > s->all->options->client_memory)
        later_ask(s->all->loop, &s->all->evict);
}

void stream_charge(struct stream *s, size_t bytes)
{
    s->extra += bytes;
    stream_settle(s);
}

void stream_discharge(struct stream *s, size_t bytes)
{
    CHECK(bytes <= s->extra);
    s->extra -= bytes;
    stream_settle(s);
}

static struct stream *largest(struct streams *all)
{
    struct stream *found = NULL;
    LIST_FOR(node, &all->open)
    {
        struct stream *s = CONTAINER_OF(node, struct stream, in_open);
        if (!s->doomed && (!found || s->charged > found->charged))
            found = s;
    }
    return found;
}

void streams_on_evict(struct later *work)
{
    struct streams *all = CONTAINER_OF(work, struct streams, evict);
    uint64_t bytes = all->bytes;
    struct stream *s;
    while (bytes > all->options->client_memory && (s = largest(all))) {
        bytes -= s->charged;
        stream_doom(s, STREAM_GREEDY);
    }
}

/* ======= deadlines ======= */

void stream_note_deadlines(struct stream *s)
{
    bool wanted = s->hello_by || s->frame_by || s->stuck_since;
    if (wanted == !list_empty(&s->in_timed))
        return;
    if (!wanted) {
        list_remove(&s->in_timed);
        return;
    }
    list_append(&s->all->timed, &s->in_timed);
    if (!s->all->ticking) {
        s->all->ticking = true;
        timer_start(&s->all->tick, TICK_NS, TICK_NS);
    }
}

static void judge_deadlines(struct stream *s, uint64_t now)
{
    if (s->stuck_since && now >= clock_after(s->stuck_since, s->all->options->slow_client))
        stream_doom(s, STREAM_SLOW);
    else if (s->frame_by && now >= s->frame_by)
        stream_doom(s, STREAM_HALF_FRAME);
    else if (s->hello_by && now >= s->hello_by)
        stream_doom(s, STREAM_NO_HELLO);
}

void streams_on_tick(struct timer *tick)
{
    struct streams *all = CONTAINER_OF(tick, struct streams, tick);
    uint64_t now = loop_now_ns(all->loop);
    LIST_FOR(node, &all->timed)
    judge_deadlines(CONTAINER_OF(node, struct stream, in_timed), now);
    if (list_empty(&all->timed)) {
        all->ticking = false;
        timer_stop(tick);
    }
}

/* A frame has begun and not ended, and it is the peer that keeps us waiting.  The clock starts with its first
 * byte and is not moved by those that follow. */
void stream_time_frame(struct stream *s)
{
    if (s->in.size == 0 || s->held)
        s->frame_by = 0;
    else if (!s->frame_by)
        s->frame_by = clock_after(loop_now_ns(s->all->loop), s->all->options->frame_timeout);
    stream_note_deadlines(s);
}

void stream_greeted(struct stream *s)
{
    s->hello_by = 0;
    stream_note_deadlines(s);
}

/* ======= room ======= */

static uint64_t connections_max(const struct streams *all)
{
    struct rlimit files;
    uint64_t max = all->options->connections;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY)
        return max;
    uint64_t room = files.rlim_cur > FILES_RESERVED ? files.rlim_cur - FILES_RESERVED : 1;
    return room < max ? room : max;
}

bool streams_full(const struct streams *all)
{
    return all->count >= connections_max(all) || all->bytes > all->options->client_memory;
}

uint64_t streams_count(const struct streams *all)
{
    return all->count;
}

uint64_t streams_bytes(const struct streams *all)
{
    return all->bytes;
}
