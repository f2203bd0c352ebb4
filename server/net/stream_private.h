/* What the files of a stream share: stream.c (turns, beginning and end), stream_in.c, stream_out.c, stream_bounds.c. */
#ifndef LARDER_NET_STREAM_PRIVATE_H
#define LARDER_NET_STREAM_PRIVATE_H

#include "net/stream.h"

#include "base/check.h"
#include "base/list.h"
#include "net/loop_uv.h"

enum {
    READ_BYTES = 256 * 1024, /* a recv; more would make turns longer without making them fewer */
    LOOK_BYTES = 4 * 1024,   /* of frames, between two looks at the clock: some forty small sets, 0.1 ms */
    KEPT_BYTES = 16 * 1024, /* an idle connection keeps no larger buffer: 1,024 of them pin 16 MiB each way */
};

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
    bool rests;       /* they were left there because the turn was long */

    struct buffer out;
    size_t out_at; /* sent up to here */
    int pass_fds[STREAM_PASS_MAX];
    unsigned pass_count;
    size_t pass_at; /* offset in `out` of the byte they ride on */

    bool hears_out; /* before it finishes */
    bool paused, clogged, at_end, finishing, doomed, ended;
    enum stream_end why;
    uint64_t hello_by, frame_by, stuck_since; /* 0: not set */
    size_t extra, charged;
};

static inline void stream_ask_work(struct stream *s)
{
    if (s->ended || !list_empty(&s->in_dirty))
        return;
    list_append(&s->all->dirty, &s->in_dirty);
    later_ask(s->all->loop, &s->all->work);
}

static inline void stream_doom(struct stream *s, enum stream_end why)
{
    if (s->doomed)
        return;
    s->doomed = true;
    s->why = why;
    stream_ask_work(s);
}

static inline bool stream_blocked(const struct stream *s)
{
    return s->paused || s->clogged || s->finishing || s->doomed;
}

/* Held bytes go first: a read would have nowhere to put its own. */
static inline bool stream_reading(const struct stream *s)
{
    return !stream_blocked(s) && !s->held && !s->at_end;
}

/* Whatever was configured, reading stops before the buffer's own limit is met. */
static inline size_t stream_write_stop(const struct stream *s)
{
    const struct net_options *o = s->all->options;
    return o->write_stop < o->write_kill / 2 ? o->write_stop : o->write_kill / 2;
}

/* ---- stream_bounds.c ------------------------------------------------------------------------------------ */

void stream_settle(struct stream *s);         /* after its buffers changed size */
void stream_note_deadlines(struct stream *s); /* after one was set or cleared */
void stream_time_frame(struct stream *s);     /* after `in` changed */
void streams_on_evict(struct later *work);
void streams_on_tick(struct timer *tick);

/* ---- stream_out.c --------------------------------------------------------------------------------------- */

void stream_flush(struct stream *s);
void stream_drop_passed(struct stream *s);

/* ---- stream_in.c ---------------------------------------------------------------------------------------- */

bool stream_read_once(struct stream *s); /* false: nothing came */
void stream_take_held(struct stream *s);

#endif
