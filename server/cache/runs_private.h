/* What runs.c and runs_kept.c share.  Nobody else includes this.
 *
 * What became of a policy's runs is kept by its name, and goes on after a restart.  A record of another version, or that
 * is none, is left out. */
#ifndef LARDER_CACHE_RUNS_PRIVATE_H
#define LARDER_CACHE_RUNS_PRIVATE_H

#include "cache/runs.h"

enum { RUN_NAME_BYTES = 64, RUN_WHY_BYTES = 160, RUNS_KEPT = POLICY_NUMBERS };

struct asked {
    uint64_t hits, all;
};

/* A day that was shown, in the order in which they were: a clock that jumps opens another, or finds the old one again. */
struct run_day {
    uint64_t serial, day; /* days since 1970; serial 0: none */
    struct run_sums sums;
};

/* Of a policy; made with its first run. */
struct run {
    char name[RUN_NAME_BYTES];
    bool held;            /* runs.c points at it: its place is not given away */
    struct run_look look; /* what is kept for it; the rest is filled in when it is looked at */
    struct asked since;   /* counts at the end of the last run */
    uint64_t skipped_seen, newest_day;
    struct run_day days[RUN_DAYS];
    char why[RUN_WHY_BYTES]; /* of a last run that was of an earlier daemon */
};

/* By place, which is the number of its record. */
struct runs_kept {
    struct outbox *store; /* NULL: none */
    struct run *of[RUNS_KEPT];
};

void runs_kept_load(struct runs_kept *k, struct outbox *store);
void runs_kept_free(struct runs_kept *k);
/* The policy's, with what an earlier daemon kept of it; made when there is none.  Of more names than places, that which
 * nobody holds and whose last run is longest ago makes room; fewer are held than there are places (numbers begin at 1). */
struct run *runs_kept_of(struct runs_kept *k, const char *name);
/* As it is now. */
void runs_kept_save(struct runs_kept *k, const struct run *run);

struct run_sums *run_today(struct run *r, uint64_t wall_ns);
/* Today first. */
void run_tell_days(const struct run *r, uint64_t wall_ns, struct run_sums ret[RUN_DAYS]);

#endif
