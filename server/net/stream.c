/* The life of a turn, for one connection:
 *
 *   readable → one recv into the buffer all share → frames, parsed there → replies appended to `out`
 *   end of the turn → one send → what the kernel did not take waits for writable
 *
 * Three things stop the handing out of frames, and with it the reading: the owner paused; `out` is clogged (the
 * peer does not read); the stream is on its way out.  A turn that is long already stops it for the next one.  What
 * was read by then is held in `in` and goes on later.
 *
 * libuv only watches the descriptor.  Its own pipes could neither pass descriptors on a byte of our choice nor
 * leave a half-written buffer with its owner. */
#include "net/stream_private.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"

enum {
    SOCKET_BUFFER_BYTES = 1 << 20, /* the default stalls deep pipelines; the kernel cuts it to its limit */
    ROUNDS_PER_TURN = 4,           /* of one stream, before others get their turn */
    HEARD_READS = 64,              /* of one that goes on: more than its socket held when we began */
};

const char *stream_end_text(enum stream_end why)
{
    static const char *const texts[] = {
        [STREAM_FINISHED] = "finished",
        [STREAM_GONE] = "closed by the peer",
        [STREAM_BROKEN] = "broken frame",
        [STREAM_NO_HELLO] = "no greeting in time",
        [STREAM_HALF_FRAME] = "a frame did not end in time",
        [STREAM_SLOW] = "replies were not read in time",
        [STREAM_GREEDY] = "clients pin too much memory, and this one most",
        [STREAM_CUT] = "cut off",
    };
    return texts[why];
}

/* ======= turns ======= */

static void end(struct stream *s);
static void on_ready(uv_poll_t *watch, int status, int events);

static void watch(struct stream *s)
{
    int wanted = (stream_reading(s) ? UV_READABLE : 0) | (stream_unsent(s) ? UV_WRITABLE : 0);
    if (wanted == s->watched)
        return;
    s->watched = wanted;
    if (wanted)
        uv_poll_start(&s->watch, wanted, on_ready);
    else
        uv_poll_stop(&s->watch);
}

/* Bounded by what the peer's answers may pin, too: a peer that reads none of them is heard no further. */
static void hear_out(struct stream *s, unsigned reads)
{
    do {
        while (s->held && !stream_blocked(s))
            stream_take_held(s);
    } while (reads-- && stream_reading(s) && stream_read_once(s));
}

void stream_hear(struct stream *s)
{
    hear_out(s, HEARD_READS);
    stream_ask_work(s);
}

static void shut_and_hear(struct stream *s)
{
    shutdown(s->fd, SHUT_RD);
    hear_out(s, UINT32_MAX); /* it can say no more */
    s->hears_out = false;
    s->finishing = true;
    if (!s->doomed)
        s->why = STREAM_FINISHED; /* it is us who end it, also where its end was met */
}

/* Everything a stream does outside of reading.  Bounded: what is left after ROUNDS_PER_TURN asks again. */
static void work_on(struct stream *s)
{
    if (s->hears_out)
        shut_and_hear(s);
    stream_flush(s);
    for (unsigned i = 0; i < ROUNDS_PER_TURN && s->held && !stream_blocked(s); i++) {
        stream_take_held(s);
        stream_flush(s);
        if (s->rests)
            break;
    }
    bool done = s->finishing && stream_unsent(s) == 0;
    if (done && !s->doomed)
        stream_doom(s, s->why);
    if (s->doomed) {
        end(s);
        return;
    }
    if (s->held && !stream_blocked(s))
        stream_ask_work(s);
    watch(s);
    stream_settle(s);
}

static void on_work(struct later *work)
{
    struct streams *all = CONTAINER_OF(work, struct streams, work);
    uint64_t left = all->count; /* those that ask again come with the next turn */
    struct list *first;
    while (left-- && (first = list_first(&all->dirty))) {
        list_remove(first);
        work_on(CONTAINER_OF(first, struct stream, in_dirty));
    }
    if (!list_empty(&all->dirty))
        later_ask(all->loop, work);
}

/* After an error libuv watches no longer; what the peer sent before it went is still worth doing. */
static void read_last_words(struct stream *s)
{
    hear_out(s, UINT32_MAX); /* it can say no more */
    stream_doom(s, STREAM_GONE);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct stream *s = poll->data;
    loop_now_ns(s->all->loop); /* the first of a turn reads the clock for all */
    if (status < 0)
        read_last_words(s);
    else if (events & UV_READABLE && stream_reading(s))
        stream_read_once(s);
    stream_ask_work(s);
}

void stream_pause(struct stream *s)
{
    s->paused = true;
    stream_ask_work(s);
}

void stream_resume(struct stream *s)
{
    s->paused = false;
    stream_ask_work(s);
}

void stream_finish(struct stream *s)
{
    s->finishing = true;
    stream_ask_work(s);
}

void stream_finish_heard(struct stream *s)
{
    s->hears_out = !s->finishing;
    stream_ask_work(s);
}

void stream_cut(struct stream *s)
{
    stream_doom(s, STREAM_CUT);
}

/* ======= life ======= */

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void end(struct stream *s)
{
    CHECK(!s->ended);
    s->ended = true;
    list_remove(&s->in_open);
    list_remove(&s->in_dirty);
    list_remove(&s->in_timed);
    s->all->count--;
    s->all->bytes -= s->charged;
    stream_drop_passed(s);
    buffer_finish(&s->in);
    buffer_finish(&s->out);
    uv_close((uv_handle_t *)&s->watch, on_closed);
    close(s->fd); /* libuv has let go of it */
    s->ops->ended(s, s->why);
}

static void set_socket_buffers(int fd)
{
    int bytes = SOCKET_BUFFER_BYTES;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)); /* a wish: without it only slower */
}

struct stream *stream_open(struct streams *all, int fd, const struct stream_ops *ops, void *user,
                           size_t frame_max)
{
    struct stream *s = must_alloc(sizeof(*s));
    s->all = all;
    s->fd = fd;
    s->ops = ops;
    s->user = user;
    s->why = STREAM_FINISHED;
    list_init(&s->in_open);
    list_init(&s->in_dirty);
    list_init(&s->in_timed);
    list_append(&all->open, &s->in_open);
    all->count++;
    stream_set_frame_max(s, frame_max);
    set_socket_buffers(fd);
    CHECK(uv_poll_init(loop_uv(all->loop), &s->watch, fd) == 0);
    s->watch.data = s;
    s->hello_by = clock_after(loop_now_ns(all->loop), all->options->handshake_timeout);
    stream_note_deadlines(s);
    watch(s);
    return s;
}

void stream_refuse(int fd, struct slice bytes)
{
    (void)!send(fd, bytes.data, bytes.size, MSG_DONTWAIT | MSG_NOSIGNAL);
    close(fd);
}

void *stream_user(const struct stream *s)
{
    return s->user;
}

void stream_set_frame_max(struct stream *s, size_t frame_max)
{
    s->frame_max = frame_max;
}

struct streams *streams_create(struct loop *loop, const struct net_options *options)
{
    struct streams *all = must_alloc(sizeof(*all));
    all->loop = loop;
    all->options = options;
    list_init(&all->open);
    list_init(&all->dirty);
    list_init(&all->timed);
    later_init(&all->work, on_work);
    later_init(&all->evict, streams_on_evict);
    timer_init(&all->tick, loop, streams_on_tick);
    return all;
}

static void on_tick_closed(struct timer *tick)
{
    free(CONTAINER_OF(tick, struct streams, tick));
}

struct streams *streams_destroy(struct streams *all)
{
    if (!all)
        return NULL;
    CHECK(all->count == 0 && all->bytes == 0 && list_empty(&all->open));
    later_cancel(&all->work);
    later_cancel(&all->evict);
    timer_finish(&all->tick, on_tick_closed);
    return NULL;
}
