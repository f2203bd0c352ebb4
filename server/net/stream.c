/* The life of a turn, for one connection:
 *
 *   readable → one recv into the buffer all share → frames, parsed there → replies appended to `out`
 *   end of the turn → one send → what the kernel did not take waits for writable
 *
 * Three things stop the handing out of frames, and with it the reading: the owner paused; `out` is clogged (the
 * peer does not read); the stream is on its way out.  What was read by then is held in `in` and goes on later.
 *
 * libuv only watches the descriptor.  Its own pipes could neither pass descriptors on a byte of our choice nor
 * leave a half-written buffer with its owner. */
#include "net/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "net/loop_uv.h"
#include "proto/frame.h"

enum {
    READ_BYTES = 256 * 1024, /* a recv; more would make turns longer without making them fewer */
    KEPT_BYTES = 16 * 1024, /* an idle connection keeps no larger buffer: 1,024 of them pin 16 MiB each way */
    SOCKET_BUFFER_BYTES =
        1 << 20,          /* the default of 208 KiB stalls deep pipelines; the kernel cuts it to its limit */
    FILES_RESERVED = 64,  /* for databases, logs, memfds, touch pages of the last clients */
    ROUNDS_PER_TURN = 4,  /* of one stream, before others get their turn */
    OUT_ROOM = 64 * 1024, /* beyond write_kill and one value: the BUSY of requests in flight */
};
#define TICK_NS (100 * NS_PER_MS) /* deadlines are seconds; nobody is cut early, and at most this late */

struct streams {
    struct loop *loop;
    const struct net_options *options;
    struct list open;  /* stream.in_open */
    struct list dirty; /* stream.in_dirty: something to do at the end of the turn */
    struct list timed; /* stream.in_timed: some deadline is set; bounded by `open` */
    struct later work, evict;
    struct timer tick;
    bool ticking;
    uint64_t count, bytes;
    uint8_t shared[READ_BYTES];
};

struct stream {
    uv_poll_t watch;
    struct streams *all;
    struct list in_open, in_dirty, in_timed;
    const struct stream_ops *ops;
    void *user;
    int fd;
    int watched; /* what libuv is asked to watch now */
    size_t frame_max;

    struct buffer in; /* bytes of a frame that is not whole yet, or held back */
    size_t in_at;     /* of held bytes: handed out up to here */
    bool held;        /* `in` may have whole frames */

    struct buffer out;
    size_t out_at; /* sent up to here */
    int pass_fds[STREAM_PASS_MAX];
    unsigned pass_count;
    size_t pass_at; /* offset in `out` of the byte they ride on */

    bool paused, clogged, at_end, finishing, doomed, ended;
    enum stream_end why;
    uint64_t hello_by, frame_by, stuck_since; /* 0: not set */
    size_t extra, charged;
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

/* ======= small parts ======= */

static void ask_work(struct stream *s)
{
    if (s->ended || !list_empty(&s->in_dirty))
        return;
    list_append(&s->all->dirty, &s->in_dirty);
    later_ask(s->all->loop, &s->all->work);
}

static void doom(struct stream *s, enum stream_end why)
{
    if (s->doomed)
        return;
    s->doomed = true;
    s->why = why;
    ask_work(s);
}

static bool blocked(const struct stream *s)
{
    return s->paused || s->clogged || s->finishing || s->doomed;
}

/* Held bytes go first: a read would have nowhere to put its own. */
static bool reading(const struct stream *s)
{
    return !blocked(s) && !s->held && !s->at_end;
}

size_t stream_unsent(const struct stream *s)
{
    return s->out.size - s->out_at;
}

/* Whatever was configured, reading stops before the buffer's own limit is met. */
static size_t write_stop(const struct stream *s)
{
    const struct net_options *o = s->all->options;
    return o->write_stop < o->write_kill / 2 ? o->write_stop : o->write_kill / 2;
}

/* ======= what a peer pins ======= */

static void settle(struct stream *s)
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
    settle(s);
}

void stream_discharge(struct stream *s, size_t bytes)
{
    CHECK(bytes <= s->extra);
    s->extra -= bytes;
    settle(s);
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

static void on_evict(struct later *work)
{
    struct streams *all = CONTAINER_OF(work, struct streams, evict);
    uint64_t bytes = all->bytes;
    struct stream *s;
    while (bytes > all->options->client_memory && (s = largest(all))) {
        bytes -= s->charged;
        doom(s, STREAM_GREEDY);
    }
}

/* ======= deadlines ======= */

static void note_deadlines(struct stream *s)
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
        doom(s, STREAM_SLOW);
    else if (s->frame_by && now >= s->frame_by)
        doom(s, STREAM_HALF_FRAME);
    else if (s->hello_by && now >= s->hello_by)
        doom(s, STREAM_NO_HELLO);
}

static void on_tick(struct timer *tick)
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
static void time_frame(struct stream *s)
{
    if (s->in.size == 0 || s->held)
        s->frame_by = 0;
    else if (!s->frame_by)
        s->frame_by = clock_after(loop_now_ns(s->all->loop), s->all->options->frame_timeout);
    note_deadlines(s);
}

void stream_greeted(struct stream *s)
{
    s->hello_by = 0;
    note_deadlines(s);
}

/* ======= out ======= */

static void drop_passed(struct stream *s)
{
    for (unsigned i = 0; i < s->pass_count; i++)
        close(s->pass_fds[i]);
    s->pass_count = 0;
}

static ssize_t send_with_fds(struct stream *s, const uint8_t *data, size_t size)
{
    char control[CMSG_SPACE(STREAM_PASS_MAX * sizeof(int))] = {0};
    struct iovec body = {(void *)data, size};
    size_t fds_bytes = s->pass_count * sizeof(int);
    struct msghdr message = {
        .msg_iov = &body, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(fds_bytes)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *head =
        (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(fds_bytes)};
    memcpy(CMSG_DATA(head), s->pass_fds, fds_bytes);
    ssize_t n = sendmsg(s->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0)
        drop_passed(s);
    return n;
}

/* One send, or two when descriptors wait in the middle.  True: call again. */
static bool send_some(struct stream *s)
{
    const uint8_t *data = s->out.data + s->out_at;
    size_t size = stream_unsent(s);
    bool at_mark = s->pass_count && s->pass_at == s->out_at;
    if (s->pass_count && !at_mark)
        size = s->pass_at - s->out_at;
    ssize_t n = at_mark ? send_with_fds(s, data, size) : send(s->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            doom(s, STREAM_GONE);
        return errno == EINTR;
    }
    s->out_at += (size_t)n;
    s->stuck_since = 0;
    return (size_t)n == size && stream_unsent(s) > 0;
}

static void tidy_out(struct stream *s)
{
    if (stream_unsent(s) == 0) {
        s->out.size = s->out_at = 0;
        if (s->out.capacity > KEPT_BYTES)
            buffer_finish(&s->out);
    } else if (s->out_at > s->out.size / 2) { /* moves less than was sent */
        buffer_consume(&s->out, s->out_at);
        s->pass_at -= s->pass_count ? s->out_at : 0;
        s->out_at = 0;
    }
}

static void flush(struct stream *s)
{
    while (!s->doomed && stream_unsent(s) > 0 && send_some(s))
        ;
    tidy_out(s);
    if (stream_unsent(s) == 0)
        s->stuck_since = 0;
    else if (!s->stuck_since)
        s->stuck_since = loop_now_ns(s->all->loop);
    size_t stop = write_stop(s);
    s->clogged = stream_unsent(s) > (s->clogged ? stop / 2 : stop);
    note_deadlines(s);
}

struct buffer *stream_out(struct stream *s)
{
    s->out.limit = s->all->options->write_kill + s->frame_max + OUT_ROOM;
    return &s->out;
}

void stream_wrote(struct stream *s)
{
    ask_work(s);
}

bool stream_passing(const struct stream *s)
{
    return s->pass_count > 0;
}

void stream_pass(struct stream *s, size_t mark, const int *fds, unsigned count)
{
    CHECK(!stream_passing(s) && count <= STREAM_PASS_MAX && mark < s->out.size);
    memcpy(s->pass_fds, fds, count * sizeof(int));
    s->pass_count = count;
    s->pass_at = mark;
    ask_work(s);
}

/* ======= in ======= */

static void hand_out(struct stream *s, struct slice payload)
{
    s->ops->frame(s, payload);
    if (stream_unsent(s) > write_stop(s))
        flush(s); /* mid-batch, so that the peer has something to do while the rest is worked on */
}

static void break_off(struct stream *s, int frame_error)
{
    s->ops->broken(s, frame_error);
    s->finishing = true;
    s->why = STREAM_BROKEN;
    ask_work(s);
}

/* Hands out the whole frames at the front of `bytes`; returns how many bytes those were. */
static size_t hand_out_front(struct stream *s, struct slice bytes)
{
    size_t at = 0;
    while (!blocked(s)) {
        struct slice payload;
        size_t used;
        struct slice rest = slice_of((const uint8_t *)bytes.data + at, bytes.size - at);
        int r = frame_split(rest, s->frame_max, &payload, &used);
        if (r < 0)
            break_off(s, r);
        if (r != FRAME_WHOLE)
            break;
        at += used;
        hand_out(s, payload);
    }
    return at;
}

static void keep(struct stream *s, struct slice bytes)
{
    s->in.limit = s->frame_max + FRAME_HEADER_BYTES + READ_BYTES;
    if (buffer_append(&s->in, bytes.data, bytes.size) < 0)
        doom(s, STREAM_GREEDY);
}

static void empty_in(struct stream *s)
{
    s->in.size = s->in_at = 0;
    if (s->in.capacity > KEPT_BYTES)
        buffer_finish(&s->in);
}

/* Completes the frame that began in an earlier read; returns how many of `bytes` that took.  The header is
 * completed and judged first: its length is the only thing that says how many bytes are wanted. */
static size_t complete(struct stream *s, struct slice bytes)
{
    size_t at = 0;
    while (!blocked(s)) {
        struct slice payload;
        size_t total;
        int r = frame_split(slice_of(s->in.data, s->in.size), s->frame_max, &payload, &total);
        if (r == FRAME_WHOLE) {
            s->frame_by = 0;
            hand_out(s, payload);
            empty_in(s);
            break;
        }
        if (r < 0) {
            break_off(s, r);
            break;
        }
        size_t wanted = (total ? total : FRAME_HEADER_BYTES) - s->in.size;
        size_t taken = wanted < bytes.size - at ? wanted : bytes.size - at;
        if (taken == 0)
            break;
        keep(s, slice_of((const uint8_t *)bytes.data + at, taken));
        at += taken;
    }
    return at;
}

static void take_bytes(struct stream *s, struct slice bytes)
{
    size_t at = s->in.size ? complete(s, bytes) : 0;
    if (s->in.size == 0)
        at += hand_out_front(s, slice_of((const uint8_t *)bytes.data + at, bytes.size - at));
    if (at < bytes.size && !s->finishing && !s->doomed) {
        keep(s, slice_of((const uint8_t *)bytes.data + at, bytes.size - at));
        s->held = blocked(s);
    }
    time_frame(s);
}

/* Goes on with held bytes.  A rest that is no whole frame moves to the front and is then like any begun frame. */
static void take_held(struct stream *s)
{
    s->in_at += hand_out_front(s, slice_of(s->in.data + s->in_at, s->in.size - s->in_at));
    if (blocked(s))
        return;
    s->held = false;
    buffer_consume(&s->in, s->in_at);
    s->in_at = 0;
    if (s->in.size == 0)
        empty_in(s);
    time_frame(s);
}

/* An end of file is half a close, or a whole one: then nobody will read our replies. */
static void meet_end(struct stream *s)
{
    struct pollfd p = {.fd = s->fd};
    s->at_end = true;
    s->why = STREAM_GONE;
    s->frame_by = 0; /* a frame that will never end keeps nobody waiting */
    if (poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR))
        doom(s, STREAM_GONE);
    else
        s->ops->half_closed(s);
}

static bool read_once(struct stream *s)
{
    ssize_t n = recv(s->fd, s->all->shared, READ_BYTES, MSG_DONTWAIT);
    if (n > 0) {
        take_bytes(s, slice_of(s->all->shared, (size_t)n));
    } else if (n == 0) {
        meet_end(s);
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        doom(s, STREAM_GONE);
    }
    return n > 0;
}

/* ======= turns ======= */

static void end(struct stream *s);
static void on_ready(uv_poll_t *watch, int status, int events);

static void watch(struct stream *s)
{
    int wanted = (reading(s) ? UV_READABLE : 0) | (stream_unsent(s) ? UV_WRITABLE : 0);
    if (wanted == s->watched)
        return;
    s->watched = wanted;
    if (wanted)
        uv_poll_start(&s->watch, wanted, on_ready);
    else
        uv_poll_stop(&s->watch);
}

/* Everything a stream does outside of reading.  Bounded: what is left after ROUNDS_PER_TURN asks again. */
static void work_on(struct stream *s)
{
    flush(s);
    for (unsigned i = 0; i < ROUNDS_PER_TURN && s->held && !blocked(s); i++) {
        take_held(s);
        flush(s);
    }
    bool done = s->finishing && stream_unsent(s) == 0;
    if (done && !s->doomed)
        doom(s, s->why);
    if (s->doomed) {
        end(s);
        return;
    }
    if (s->held && !blocked(s))
        ask_work(s);
    watch(s);
    settle(s);
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
    while (reading(s) && read_once(s))
        ;
    doom(s, STREAM_GONE);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct stream *s = poll->data;
    loop_now_ns(s->all->loop); /* the first of a turn reads the clock for all */
    if (status < 0)
        read_last_words(s);
    else if (events & UV_READABLE && reading(s))
        read_once(s);
    ask_work(s);
}

void stream_pause(struct stream *s)
{
    s->paused = true;
    ask_work(s);
}

void stream_resume(struct stream *s)
{
    s->paused = false;
    ask_work(s);
}

void stream_finish(struct stream *s)
{
    s->finishing = true;
    ask_work(s);
}

void stream_cut(struct stream *s)
{
    doom(s, STREAM_CUT);
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
    drop_passed(s);
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
    note_deadlines(s);
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
    later_init(&all->evict, on_evict);
    timer_init(&all->tick, loop, on_tick);
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
