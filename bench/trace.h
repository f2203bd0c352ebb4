/* Recorded accesses of real systems: one request a line, `op key size`, zstd-compressed or plain (see traces/README.md).
 * One pass, constant memory. */
#ifndef LARDER_BENCH_TRACE_H
#define LARDER_BENCH_TRACE_H

#include <stdbool.h>
#include <stdint.h>

struct trace;

enum trace_op { TRACE_GET, TRACE_SET };

struct trace_request {
    enum trace_op op;
    uint64_t key;
    uint64_t size; /* 0: the source does not say */
};

struct trace *trace_open(const char *path); /* NULL: errno says why */
struct trace *trace_close(struct trace *t);

/* 1 and the next request, 0 at the end, -1 when the file is broken: trace_why. */
int trace_next(struct trace *t, struct trace_request *ret);
const char *trace_why(const struct trace *t);

#endif
