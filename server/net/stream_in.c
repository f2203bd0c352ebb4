/* Bytes in: frames are handed out where they were read.  `in` holds the beginning of a frame whose end has not come, or,
 * while the stream is blocked, whatever was read too much. */
#include "net/stream_private.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include "proto/frame.h"

static void hand_out(struct stream *s, struct slice payload)
{
    s->ops->frame(s, payload);
    if (stream_unsent(s) > stream_write_stop(s))
        stream_flush(s); /* mid-batch, so that the peer has something to do while the rest is worked on */
}

static void break_off(struct stream *s, int frame_error)
{
    s->ops->broken(s, frame_error);
    s->finishing = true;
    s->why = STREAM_BROKEN;
    stream_ask_work(s);
}

/* Hands out the whole frames at the front of `bytes`, some of them if the turn is long; returns how many bytes those
 * were.  Some, not none: however long turns are, everybody gets on. */
static size_t hand_out_front(struct stream *s, struct slice bytes)
{
    size_t at = 0, looked = 0;
    s->rests = false;
    while (!stream_blocked(s)) {
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
        if (at - looked < LOOK_BYTES)
            continue;
        looked = at;
        s->rests = at < bytes.size && loop_turn_is_long(s->all->loop);
        if (s->rests)
            break;
    }
    return at;
}

static void keep(struct stream *s, struct slice bytes)
{
    s->in.limit = s->frame_max + FRAME_HEADER_BYTES + READ_BYTES;
    if (buffer_append(&s->in, bytes.data, bytes.size) < 0)
        stream_doom(s, STREAM_GREEDY);
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
    while (!stream_blocked(s)) {
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
        s->held = stream_blocked(s) || s->rests;
    }
    stream_time_frame(s);
}

/* Goes on with held bytes.  A rest that is no whole frame moves to the front and is then like any begun frame. */
void stream_take_held(struct stream *s)
{
    s->in_at += hand_out_front(s, slice_of(s->in.data + s->in_at, s->in.size - s->in_at));
    if (stream_blocked(s) || s->rests)
        return;
    s->held = false;
    buffer_consume(&s->in, s->in_at);
    s->in_at = 0;
    if (s->in.size == 0)
        empty_in(s);
    stream_time_frame(s);
}

/* An end of file is half a close, or a whole one: then nobody will read our replies. */
static void meet_end(struct stream *s)
{
    struct pollfd p = {.fd = s->fd};
    s->at_end = true;
    s->why = STREAM_GONE;
    s->frame_by = 0; /* a frame that will never end keeps nobody waiting */
    if (poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR))
        stream_doom(s, STREAM_GONE);
    else
        s->ops->half_closed(s);
}

bool stream_read_once(struct stream *s)
{
    /* In a turn that is long already the rest would be held, and charged to a peer who can do nothing for it. */
    size_t room = loop_turn_is_long(s->all->loop) ? LOOK_BYTES : READ_BYTES;
    ssize_t n = recv(s->fd, s->all->shared, room, MSG_DONTWAIT);
    if (n > 0) {
        take_bytes(s, slice_of(s->all->shared, (size_t)n));
    } else if (n == 0) {
        meet_end(s);
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        stream_doom(s, STREAM_GONE);
    }
    return n > 0;
}
