/* Runs: the warmings that policies have by their schedules, at the start, or by hand, and what became of them.
 *
 * One at a time in a namespace.  Before a run, and after each of its batches, it is looked whether it can do any good: Redis
 * answers, a loader is there when keys are to come from one, there is room.  If not, it is put off, and tried again in a
 * second; the statistics say why.
 *
 * What a run does: keys that are nowhere, stale, or older than half an interval are asked of registered loaders, the others
 * are pulled up.  So of all hosts of a fleet that have the same schedule one loads a key, and the others find it.  How old a
 * value is is reckoned from the shortest life that its policy gives: one with a longer life is taken for younger, and one
 * stored with a shorter life of its own for older, which each host then loads.  Of keys of other policies (warming = hot,
 * file, key) only those that are nowhere or stale are loaded.
 *
 * Thread rule: loop thread only. */
#ifndef LARDER_CACHE_RUNS_H
#define LARDER_CACHE_RUNS_H

#include "cache/cache.h"
#include "cache/warming.h"

enum { RUN_DAYS = 7 };

struct run_sums {
    uint64_t runs, skipped, put_off; /* skipped: its last run was still going */
    uint64_t keys, loaded, brought, here, missing, failed, took_ns;
};

struct run_look {
    bool is_running, by_hand;
    uint64_t left_ns;      /* until the next; UINT64_MAX: none */
    const char *waits_for; /* why it was put off, or NULL */
    bool has_last;
    uint64_t last_wall_ns;       /* when it began */
    struct warming_figures last; /* also of one that runs */
    int ratio_before,
        ratio_after; /* hits of its keys in thousandths: from the run before it until it, and since; -1: no gets */
    struct run_sums total;          /* since the start */
    struct run_sums days[RUN_DAYS]; /* today first */
};

/* Begins the run of a policy by hand.  NULL, or a static sentence: why not. */
const char *run_begin(struct cache *c, struct slice policy, unsigned *ret_number);
/* Of the run that is going on. */
void run_cancel(struct cache *c, unsigned number);
/* False: the policy has nothing to warm. */
bool run_look(const struct cache *c, unsigned number, struct run_look *ret);

/* ---- cache/'s own ------------------------------------------------------------------------------------------- */

struct runs;
struct runs *runs_create(struct outbox *store); /* NULL: what became of them ends with the process */
struct runs *runs_destroy(struct runs *r);      /* NULL ok, returns NULL */
void runs_tick(struct cache *c);
/* The policies are others. */
void runs_plan(struct cache *c);
/* Nothing begins any more, and what runs is cancelled. */
void runs_stop(struct cache *c);

#endif
