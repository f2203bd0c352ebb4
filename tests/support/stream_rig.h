/* Connections against real sockets.  The test is the peer: it writes and reads one end of a pair; the other end is a
 * stream whose owner notes each frame and, when told to, answers it.  What is waited for is always an event of the
 * loop; the alarm only turns a hang into a failure. */
#ifndef LARDER_TESTS_STREAM_RIG_H
#define LARDER_TESTS_STREAM_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/loop.h"
#include "net/stream.h"
#include "proto/frame.h"

enum { FRAME_MAX = 64 * 1024 };

struct fixture {
    struct loop *loop;
    struct net_options options;
    struct streams *streams;
    struct stream *stream;
    int peer;           /* our end */
    struct buffer seen; /* payloads, each with its length in front */
    unsigned frames, brokens, half_closes, ends;
    enum stream_end why;
    size_t answer_bytes;
    bool pause_after_each, finish_at_half_close, takes_long, shut_at_frame;
    int send_errno; /* of the peer, when it is shut at the frame */
};

/* ======= the owner ======= */

static inline void answer(struct fixture *f, struct stream *s, size_t bytes)
{
    size_t mark;
    struct buffer *out = stream_out(s);
    assert_int_equal(frame_begin(out, &mark), 0);
    assert_int_equal(buffer_reserve(out, bytes), 0);
    memset(out->data + out->size, 'a' + (int)(f->frames % 26), bytes);
    out->size += bytes;
    assert_int_equal(frame_end(out, mark, FRAME_MAX), 0);
    stream_wrote(s);
}

static inline void on_frame(struct stream *s, struct slice payload)
{
    struct fixture *f = stream_user(s);
    uint32_t size = (uint32_t)payload.size;
    f->frames++;
    buffer_append(&f->seen, &size, sizeof(size));
    buffer_append(&f->seen, payload.data, payload.size);
    if (f->answer_bytes)
        answer(f, s, f->answer_bytes);
    if (f->shut_at_frame)
        f->send_errno = send(f->peer, "more", 4, MSG_NOSIGNAL) < 0 ? errno : 0;
    while (f->takes_long && !loop_turn_is_long(f->loop))
        ;
    if (f->pause_after_each)
        stream_pause(s);
}

static inline void on_broken(struct stream *s, int error)
{
    struct fixture *f = stream_user(s);
    f->brokens++;
    answer(f, s, 3);
}

static inline void on_half_closed(struct stream *s)
{
    struct fixture *f = stream_user(s);
    f->half_closes++;
    if (f->finish_at_half_close)
        stream_finish(s);
}

static inline void on_ended(struct stream *s, enum stream_end why)
{
    struct fixture *f = stream_user(s);
    f->ends++;
    f->why = why;
    f->stream = NULL;
}

static const struct stream_ops ops = {on_frame, on_broken, on_half_closed, on_ended};

static inline void connect_pair(struct fixture *f, int type)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    f->peer = fds[0];
    f->stream = stream_open(f->streams, fds[1], &ops, f, FRAME_MAX);
    stream_greeted(f->stream);
}

static inline int begin(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->options = (struct net_options){.connections = 100,
                                      .client_memory = 64 << 20,
                                      .handshake_timeout = NS_PER_S,
                                      .frame_timeout = 3600 * NS_PER_S,
                                      .slow_client = 3600 * NS_PER_S,
                                      .write_stop = 64 << 10,
                                      .write_kill = 1 << 20};
    f->finish_at_half_close = true;
    f->seen.limit = 64 << 20;
    f->loop = loop_create();
    f->streams = streams_create(f->loop, &f->options);
    *state = f;
    alarm(60);
    return 0;
}

static inline int begin_connected(void **state)
{
    begin(state);
    connect_pair(*state, SOCK_STREAM);
    return 0;
}

static inline int end(void **state)
{
    struct fixture *f = *state;
    if (f->stream)
        stream_cut(f->stream);
    while (f->stream)
        loop_run_once(f->loop);
    assert_int_equal(f->ends, 1);
    assert_int_equal(streams_bytes(f->streams), 0);
    streams_destroy(f->streams);
    loop_destroy(f->loop);
    buffer_finish(&f->seen);
    close(f->peer);
    free(f);
    return 0;
}

/* ======= the peer ======= */

static inline void until_ended(struct fixture *f)
{
    while (!f->ends)
        loop_run_once(f->loop);
}

static inline void until_frames(struct fixture *f, unsigned count)
{
    while (f->frames < count && !f->ends)
        loop_run_once(f->loop);
    assert_int_equal(f->frames, count);
}

static inline void say(struct fixture *f, const void *bytes, size_t size)
{
    assert_int_equal(send(f->peer, bytes, size, MSG_NOSIGNAL), size);
}

static inline void add_frame(struct buffer *b, size_t bytes)
{
    size_t mark;
    frame_begin(b, &mark);
    buffer_reserve(b, bytes);
    for (size_t i = 0; i < bytes; i++)
        b->data[b->size++] = (uint8_t)(bytes + i);
    frame_end(b, mark, UINT32_MAX);
}

static inline struct buffer some_frames(void)
{
    struct buffer b = {.limit = 1 << 24};
    const size_t sizes[] = {3, 4, 5, 200, 3, 1000, 7};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        add_frame(&b, sizes[i]);
    return b;
}
enum { SOME_FRAMES = 7 };

static inline void say_frames(struct fixture *f, unsigned count, size_t bytes)
{
    struct buffer b = {.limit = 1 << 24};
    for (unsigned i = 0; i < count; i++)
        add_frame(&b, bytes);
    say(f, b.data, b.size);
    buffer_finish(&b);
}

/* Reads until `bytes` have come or the stream has ended; turns the loop while there is nothing. */
static inline size_t hear(struct fixture *f, size_t bytes)
{
    static uint8_t room[1 << 20];
    size_t got = 0;
    while (got < bytes) {
        ssize_t n = recv(f->peer, room, sizeof(room), 0);
        if (n > 0)
            got += (size_t)n;
        else if (n == 0 || errno != EAGAIN)
            break;
        else if (!f->stream)
            break;
        else
            loop_run_once(f->loop);
    }
    return got;
}

static inline unsigned open_files(void)
{
    unsigned count = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        count++;
    closedir(d);
    return count;
}

#define TEST(name)             cmocka_unit_test_setup_teardown(name, begin_connected, end)
#define TEST_UNCONNECTED(name) cmocka_unit_test_setup_teardown(name, begin, end)

#endif
