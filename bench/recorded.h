/* A whole trace in memory, its keys numbered from 0 in order of appearance. */
#ifndef LARDER_BENCH_RECORDED_H
#define LARDER_BENCH_RECORDED_H

#include <stdint.h>
#include "bench/trace.h"

struct recorded_request {
    uint32_t key;        /* below `keys` */
    uint32_t bytes : 31; /* 1 where the source does not say */
    uint32_t is_set : 1;
};

struct recorded {
    struct recorded_request *requests;
    uint64_t count, room;
    uint64_t bytes;  /* of every key's first size */
    uint64_t *names; /* open addressing; name + 1 */
    uint32_t *numbers, keys;
    uint64_t slots;
};

/* Reads all, or the first `most` requests (0: all).  0, or -1 when the file is broken (trace_why) or memory ends.  The
 * caller ends it with recorded_free, in either case. */
int recorded_read(struct recorded *t, struct trace *from, uint64_t most);
void recorded_free(struct recorded *t);

/* "web07" of "traces/web07.txt.zst"; lives until the next call. */
const char *recorded_name(const char *path);

#endif
