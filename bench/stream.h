/* A blocking connection to a Unix socket that can have many requests under way.
 *
 * What must stay true: while writing it also reads, so that neither side can wait for the other with both
 * socket buffers full.  One thread. */
#ifndef LARDER_BENCH_STREAM_H
#define LARDER_BENCH_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include "proto/pack.h"
#include "proto/slice.h"

struct stream {
    int fd;
    struct buffer out; /* to be sent by stream_flush */
    uint8_t *in;       /* received and not yet taken: in[in_begin, in_end) */
    size_t in_begin, in_end, in_capacity;
};

/* Bytes a stream holds either way: 1,024 requests of 64 KiB.  Beyond that a call fails. */
#define STREAM_BYTES_MAX (64u << 20)

int stream_connect(struct stream *s, const char *path); /* 0 or -errno */
void stream_adopt(struct stream *s, int fd);
void stream_close(struct stream *s);

int stream_flush(struct stream *s); /* 0 or -errno; -EPIPE when the peer hung up */
int stream_more(struct stream *s);  /* waits for bytes; 0 or -errno */
/* Waits until bytes can be read or `until_ns` is over.  1, 0 or -errno. */
int stream_wait(struct stream *s, uint64_t until_ns);

static inline struct slice stream_received(const struct stream *s)
{
    return slice_of(s->in + s->in_begin, s->in_end - s->in_begin);
}

static inline void stream_take(struct stream *s, size_t bytes)
{
    s->in_begin += bytes;
}

#endif
