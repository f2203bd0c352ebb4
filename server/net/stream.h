/* Connections: bytes in, frames up; frames down, bytes out.  `struct streams` is what all of them share.
 *
 * What must stay true:
 *  - one recv a readiness and one send a turn and connection, however many requests came in between;
 *  - frames are parsed where they were read; only what does not end in this read is copied;
 *  - memory is reserved for bytes that have arrived, never for bytes that were announced;
 *  - everything a peer pins is charged to it, and all together stay within client_memory;
 *  - `ended` is called exactly once, never from inside a call into here, and is the last word of a stream.
 *
 * Thread rule: loop thread only. */
#ifndef LARDER_NET_STREAM_H
#define LARDER_NET_STREAM_H

#include "net/limits.h"
#include "net/loop.h"
#include "proto/pack.h"

struct streams;
struct stream;

enum stream_end {
    STREAM_FINISHED,   /* we wanted it, and all replies were sent */
    STREAM_GONE,       /* the peer closed or reset */
    STREAM_BROKEN,     /* a frame too long or too short */
    STREAM_NO_HELLO,   /* no greeting in time */
    STREAM_HALF_FRAME, /* a frame that did not end in time */
    STREAM_SLOW,       /* took no byte of its replies in time */
    STREAM_GREEDY,     /* pinned the most when all together pinned too much */
    STREAM_CUT,        /* stream_cut */
};
const char *stream_end_text(enum stream_end why);

struct stream_ops {
    /* A whole payload, valid until the call returns. */
    void (*frame)(struct stream *s, struct slice payload);
    /* FRAME_E_*: nothing more will be read.  A last reply may be written; the stream then finishes by itself. */
    void (*broken)(struct stream *s, int frame_error);
    /* The peer will send nothing more but still reads: stream_finish when the last reply is written. */
    void (*half_closed)(struct stream *s);
    void (*ended)(struct stream *s, enum stream_end why);
};

struct streams *streams_create(struct loop *loop, const struct net_options *options);
struct streams *streams_destroy(struct streams *all); /* all streams have ended; NULL ok, returns NULL */

/* No room for one more: connections, open files or memory. */
bool streams_full(const struct streams *all);
uint64_t streams_count(const struct streams *all);
uint64_t streams_bytes(const struct streams *all);

/* Sends what fits at once and hangs up: the answer to whom there is no room for.  Owns fd. */
void stream_refuse(int fd, struct slice bytes);

/* Owns fd (non-blocking) from here on.  `user` is the caller's; frames up to frame_max payload bytes. */
struct stream *stream_open(struct streams *all, int fd, const struct stream_ops *ops, void *user,
                           size_t frame_max);
void *stream_user(const struct stream *s);

void stream_set_frame_max(struct stream *s, size_t frame_max);
void stream_greeted(struct stream *s); /* the handshake deadline is over */

/* Replies are appended to this buffer and announced with stream_wrote; they leave at the end of the turn. */
struct buffer *stream_out(struct stream *s);
void stream_wrote(struct stream *s);
size_t stream_unsent(const struct stream *s);
/* The descriptors ride on the byte at offset `mark` of stream_out (the first of a frame just appended).  Owns
 * them.  Not while stream_passing: earlier ones are still waiting for their turn. */
enum { STREAM_PASS_MAX = 2 };
bool stream_passing(const struct stream *s);
void stream_pass(struct stream *s, size_t mark, const int *fds, unsigned count);

/* Stops and goes on handing out frames; what was read already is kept meanwhile. */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);

/* Hands out what the peer has said by now, before its owner serves it no more.  Not from within an op. */
void stream_hear(struct stream *s);
void stream_finish(struct stream *s); /* reads no more; ends when all is sent */
/* The same, when all that the peer has said by now is handed out: it can say nothing more, and nothing is left unread.
 * Whoever sees its answers and then the end knows of each request what became of it; what it cannot send any more has
 * not left it.  An end with something unread would be a reset, which tells of the last one alone (client/async_again.c). */
void stream_finish_heard(struct stream *s);
void stream_cut(struct stream *s); /* ends at once, at the end of this turn */

/* Bytes the caller keeps on behalf of this peer.  What is still charged at the end is forgotten with it. */
void stream_charge(struct stream *s, size_t bytes);
void stream_discharge(struct stream *s, size_t bytes);

#endif
