/* What was counted for connections that are bound to a tenant, by tenant.  They work by socket only: whoever could map
 * the segment could read what is another's.  So nothing of what they find is found without the daemon, there are no hits in
 * shared memory to be told by tenant, and their counts are exact.  Of a connection that is not bound nobody is the tenant,
 * whatever its keys begin with: its hits in shared memory are counted by policy.
 *
 * Bound: TENANTS_COUNTED rows, which a loop over them is nothing for; a tenant who comes when all are taken has the row of
 * the quietest that nobody is connected for, whose counts go to the others, or, when there is none, counts with the others.
 *
 * TENANTS_TIMED of them have histograms of the time that their keys took: those who came first, and each minute one of
 * the others who asked for twice as much as the quietest of these takes its place.  All else, and what was counted for a
 * tenant before it had one of its own and after, is the others'.
 *
 * Pure memory.  Thread rule: loop thread only. */
#ifndef LARDER_CACHE_TENANTS_H
#define LARDER_CACHE_TENANTS_H

#include "base/knob.h"
#include "base/turns.h"
#include "cache/misses.h"
#include "cache/timed.h"
#include "proto/slice.h"

enum {
    TENANTS_COUNTED = 256,
    TENANTS_TIMED = 32, /* 160 KiB of histograms, and 64 series of /metrics' family of them */
};

#define TENANT_FIGURES(FIGURE)                                      \
    FIGURE(COUNTER, hits_l1, "answered from L1 by the daemon")      \
    FIGURE(COUNTER, hits_warm, "answered from the warm tier")       \
    FIGURE(COUNTER, hits_l2, "answered from Redis")                 \
    FIGURE(COUNTER, hits_stale, "answered with a stale entry")      \
    FIGURE(COUNTER, misses, "not found")                            \
    MISS_FIGURES(FIGURE)                                            \
    FIGURE(COUNTER, sets, "entries stored")                         \
    FIGURE(COUNTER, saved_us, "time of the source that hits saved") \
    FIGURE(COUNTER, saved_millionths, "money that hits saved")

struct tenant {
    FIGURE_FIELDS(TENANT_FIGURES)
};

struct tenants;
struct tenants *tenants_create(void);
struct tenants *tenants_destroy(struct tenants *t); /* NULL ok, returns NULL */

/* A connection that is bound to it: where its gets and sets are counted (cache_get.tenant), until tenants_leave. */
struct tenant *tenants_enter(struct tenants *t, struct slice name);
void tenants_leave(struct tenants *t, struct tenant *tenant);

/* Where the time of its keys is counted now: until tenants_take or tenants_enter is called next. */
struct took *tenants_took(struct tenants *t, struct tenant *tenant, enum timed of);

/* Each with its counts since the daemon's start, and what of them was not taken yet; an empty name: the others.  `took`:
 * TIMED_COUNT of them, or NULL when its time is told with that of the others. */
void tenants_each(const struct tenants *t,
                  void (*each)(void *user, struct slice name, const struct tenant *all,
                               const struct took *took),
                  void *user);
/* The same of what was counted since this was called last: once a minute, and when somebody asks. */
void tenants_take(struct tenants *t, void (*each)(void *user, struct slice name, const struct tenant *more),
                  void *user);

#endif
