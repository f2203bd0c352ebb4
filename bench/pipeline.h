/* Many requests under way on one connection, each timed from when it was meant to start.
 *
 * One thread.  An answer that says REFUSED is the caller's to judge; a broken stream ends the pipeline: every call
 * after it returns PIPELINE_BROKEN and `why` says what happened. */
#ifndef LARDER_BENCH_PIPELINE_H
#define LARDER_BENCH_PIPELINE_H

#include "bench/codec.h"

enum {
    PIPELINE_DEPTH_MAX = 1024,
    PIPELINE_WINDOW = 16384, /* how far answers may overtake each other, in requests */
    PIPELINE_BROKEN = -1,
};

struct pipeline {
    const struct codec *codec;
    struct stream stream;
    uint64_t next_id;  /* of the next request */
    uint64_t taken;    /* answers so far */
    size_t used;       /* bytes of the answer handed out last */
    uint64_t *started; /* by id modulo PIPELINE_WINDOW; 0: not under way */
    char why[128];
};

int pipeline_open(struct pipeline *p, const struct codec *codec, const char *socket_path);
void pipeline_close(struct pipeline *p);

static inline uint64_t pipeline_under_way(const struct pipeline *p)
{
    return p->next_id - p->taken;
}

/* Queues one; `started_ns` is what its latency counts from. */
int pipeline_get(struct pipeline *p, struct slice key, uint64_t started_ns);
int pipeline_set(struct pipeline *p, struct slice key, struct slice value, uint64_t started_ns);
int pipeline_flush(struct pipeline *p);

/* The next answer and when its request was meant to start.  1; 0 when none is here and `wait` is false; or
 * PIPELINE_BROKEN.  The value lives until the next call. */
int pipeline_take(struct pipeline *p, bool wait, struct answer *ret, uint64_t *ret_started_ns);

/* Takes all that are under way.  0, or PIPELINE_BROKEN; the first REFUSED counts as broken. */
int pipeline_drain(struct pipeline *p);

#endif
