/* Load of any shape on one target, from any number of client processes; also the measuring part of some bars.
 *
 * What must stay true: in an open loop a request's latency counts from when it was meant to start, whether or not the
 * client was still busy with an earlier one (no coordinated omission); requests that were never sent because the
 * target was too slow are counted and told; a worker that met an error has none of its figures used. */
#ifndef LARDER_BENCH_LOAD_H
#define LARDER_BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>
#include "bench/hist.h"
#include "bench/options.h"
#include "bench/peer.h"

struct load_result {
    struct hist gets, sets; /* latencies, ns */
    uint64_t hits, misses, near;
    uint64_t wrong;  /* values that are not the key's */
    uint64_t unsent; /* open loop: due but never sent */
    uint64_t begin_ns, end_ns;
    char why[160]; /* what went wrong; empty: nothing */
};

struct load_job {
    const struct options *options;
    const struct peer_kind *kind;
    const char *socket;   /* NULL for what needs none */
    const uint32_t *keys; /* shared by all workers, each begins somewhere else */
    uint32_t keys_count;
    uint32_t key_space; /* numbers are below it */
};

/* Forks the clients, waits for them, adds them up.  0, or -1 with ret->why. */
int load_run(const struct load_job *job, struct load_result *ret);

static inline uint64_t load_requests(const struct load_result *r)
{
    return r->gets.count + r->sets.count;
}

static inline double load_per_second(const struct load_result *r)
{
    return r->end_ns > r->begin_ns ? (double)load_requests(r) * 1e9 / (double)(r->end_ns - r->begin_ns) : 0;
}

#endif
