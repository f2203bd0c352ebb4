/* How long another host goes on seeing what was invalidated here.
 *
 * A round: a value is set on host A, read on host B until B has it in shared memory, then invalidated on A while a thread
 * looks at it in B's memory without pause.  Three moments on one clock: `sent` before the call on A, `ok` after it,
 * `seen` after the first look that found it gone.
 *
 * What must stay true: a look that fails is the end only when B's daemon confirms it, so that nothing that was still
 * handed out counts as seen; a bar is claimed only under the conditions it names. */
#ifndef LARDER_BENCH_LAG_H
#define LARDER_BENCH_LAG_H

#include <stdbool.h>
#include <stdint.h>
#include "bench/hist.h"

struct lag_round {
    uint64_t sent_ns, ok_ns, seen_ns;
};

/* Shared between processes: plain memory. */
struct lag_mutations {
    double asked; /* a second */
    uint64_t begin_ns, end_ns;
    uint64_t done, refused;
    struct hist late; /* from when each was meant to start to its answer */
    char why[128];    /* why it ended early; empty: it did not */
};

struct lag_result {
    struct hist from_call, from_ok; /* a change seen before its own OK counts as 0 there */
    struct hist call;               /* how long the invalidation took its caller */
    struct hist floor;              /* a ping of A's daemon, once a round: what the machine is like */
    uint64_t before_ok;
    uint64_t detached; /* rounds that do not count: a host was without the fleet's store for a moment */
    struct lag_mutations mutations;
    char why[192]; /* why there are no figures */
};

void lag_note(struct lag_result *r, const struct lag_round *round);
/* What the library answered to a change means for the round. */
enum lag_outcome { LAG_COUNTS, LAG_DETACHED, LAG_FAILED };
enum lag_outcome lag_outcome_of(int result);
/* So many of them that the rest says nothing. */
bool lag_too_detached(const struct lag_result *r);

/* Changes done a second. */
double lag_mutation_rate(const struct lag_mutations *m);

/* How many of an open loop's requests are due `elapsed_ns` after its start, and when number `n` (from 0) is. */
uint64_t lag_due(uint64_t elapsed_ns, double rate);
uint64_t lag_due_ns(uint64_t n, double rate);

/* The promises: a share of all rounds within a time. */
enum { LAG_BARS = 2 };
struct lag_bar {
    const char *name;
    double quantile, goal_ns;
};
extern const struct lag_bar lag_bars[LAG_BARS];

/* NULL, or why this run says nothing about the bars. */
const char *lag_no_claim(const struct lag_result *r);

#endif
