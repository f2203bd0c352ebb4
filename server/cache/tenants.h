/* What was counted for connections that are bound to a tenant, by tenant.  They work by socket only, so nothing of what
 * they find is found without the daemon, and their counts are exact.
 *
 * Bound: TENANTS_COUNTED rows, which a loop over them is nothing for; a tenant who comes when all are taken has the row of
 * the quietest that nobody is connected for, whose counts go to the others, or, when there is none, counts with the others.
 *
 * Pure memory.  Thread rule: loop thread only. */
#ifndef LARDER_CACHE_TENANTS_H
#define LARDER_CACHE_TENANTS_H

#include "base/knob.h"
#include "proto/slice.h"

enum { TENANTS_COUNTED = 256 };

#define TENANT_FIGURES(FIGURE)                                                                      \
    FIGURE(COUNTER, hits_l1, "answered from L1 by the daemon")                                      \
    FIGURE(COUNTER, hits_warm, "answered from the warm tier")                                       \
    FIGURE(COUNTER, hits_l2, "answered from Redis")                                                 \
    FIGURE(COUNTER, hits_stale, "answered with a stale entry")                                      \
    FIGURE(COUNTER, misses, "not found")                                                            \
    FIGURE(COUNTER, misses_cold, "of those: never stored, as far as is remembered")                 \
    FIGURE(COUNTER, misses_evicted, "of those: evicted to make room")                               \
    FIGURE(COUNTER, misses_expired, "of those: past its end")                                       \
    FIGURE(COUNTER, misses_invalidated, "of those: invalidated")                                    \
    FIGURE(COUNTER, misses_suspect, "of those: there, but nobody could say that it is current")     \
    FIGURE(COUNTER, misses_detached, "of those: Redis was away, and what is here not to be served") \
    FIGURE(COUNTER, misses_too_big, "of those: its value was too large to be stored")               \
    FIGURE(COUNTER, misses_schema, "of those: there, with another schema than the caller wants")    \
    FIGURE(COUNTER, misses_stale, "of those: there, but stale, and the caller refuses stale")       \
    FIGURE(COUNTER, misses_disabled, "of those: the cache is switched off")                         \
    FIGURE(COUNTER, sets, "entries stored")                                                         \
    FIGURE(COUNTER, saved_us, "time of the source that hits saved")                                 \
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

/* Each with its counts since the daemon's start, and what of them was not taken yet; an empty name: the others. */
void tenants_each(const struct tenants *t,
                  void (*each)(void *user, struct slice name, const struct tenant *all), void *user);
/* The same of what was counted since this was called last. */
void tenants_take(struct tenants *t, void (*each)(void *user, struct slice name, const struct tenant *more),
                  void *user);

#endif
