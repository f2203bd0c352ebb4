/* Rollups, as databases of time series call them: what was counted in a namespace, by the minute and by the day, by policy
 * and by tenant.  Reports are made of them (rollup_report.h).
 *
 * What must stay true:
 *  - what is told is exact: the rows of a day add up to its total, since what has no row of its own is in that of the
 *    others, and whatever was counted is in one minute and in one day;
 *  - counts belong to the minute and the day that the clock showed when it was looked at last.  A clock that jumps opens
 *    another day, or finds the old one again; it loses nothing but the oldest day of the ring, one for each day it made up;
 *  - memory is fixed but for records (below), whatever names and keys come.
 *
 * Days are of UTC: no day has 23 hours.  Pure memory: the clock is passed in, and the caller keeps the records.
 *
 * Bounds.  ROLLUP_DAYS: a year and a month, to compare a month with the same of the year before.  ROLLUP_POLICIES,
 * ROLLUP_TENANTS: what a person reads, and a day's record stays below what the store takes (ROLLUP_RECORD_BYTES); of
 * more, the quietest go to the others.  A closed day is kept as its record: 1 to 3 KiB with ten policies, 19 MiB for a
 * whole ring of days that are as large as they can be. */
#ifndef LARDER_ADMIN_ROLLUP_H
#define LARDER_ADMIN_ROLLUP_H

#include <stdbool.h>
#include <stdint.h>
#include "proto/slice.h"

enum {
    ROLLUP_DAYS = 400,
    ROLLUP_MINUTES = 24 * 60,
    ROLLUP_POLICIES = 64,
    ROLLUP_TENANTS = 32,
    ROLLUP_KEYS = 20,
    ROLLUP_NAME_BYTES = 255,
    ROLLUP_RESOURCE_BYTES = 64,
    ROLLUP_KEY_BYTES = 200, /* longer keys are cut: they are for people */
    ROLLUP_RECORD_BYTES = 60 << 10,
};
#define ROLLUP_DAY_S 86400ull

/* In the order of the record: only ever appended to. */
#define ROLLUP_COUNTS(COUNT)                                                              \
    COUNT(hits_shared, "hits that clients found by themselves")                           \
    COUNT(hits_l1, "hits of the daemon in L1")                                            \
    COUNT(hits_warm, "hits of the warm tier")                                             \
    COUNT(hits_l2, "hits in Redis")                                                       \
    COUNT(hits_stale, "of all hits but those of clients: stale ones")                     \
    COUNT(misses, "not found")                                                            \
    COUNT(misses_cold, "of those: never stored, as far as is remembered")                 \
    COUNT(misses_evicted, "of those: evicted to make room")                               \
    COUNT(misses_expired, "of those: past its end")                                       \
    COUNT(misses_invalidated, "of those: invalidated")                                    \
    COUNT(misses_suspect, "of those: there, but nobody could say that it is current")     \
    COUNT(misses_detached, "of those: Redis was away, and what is here not to be served") \
    COUNT(misses_too_big, "of those: its value was too large to be stored")               \
    COUNT(misses_schema, "of those: there, with another schema than the caller wants")    \
    COUNT(misses_stale, "of those: there, but stale, and the caller refuses stale")       \
    COUNT(misses_disabled, "of those: the cache is switched off")                         \
    COUNT(sets, "entries stored")                                                         \
    COUNT(saved_us, "time of the source that hits saved, by source_cost")                 \
    COUNT(saved_millionths, "money that hits saved, by source_price")                     \
    COUNT(invalidations, "invalidate calls; of a whole namespace only")                   \
    COUNT(loads, "leases given to load; of a whole namespace only")                       \
    COUNT(evictions, "entries evicted from L1; of a whole namespace only")                \
    COUNT(evictions_warm, "and from the warm tier; of a whole namespace only")

struct rollup_counts {
#define COUNT(name, sentence) uint64_t name;
    ROLLUP_COUNTS(COUNT)
#undef COUNT
};

static inline uint64_t rollup_hits(const struct rollup_counts *c)
{
    return c->hits_shared + c->hits_l1 + c->hits_warm + c->hits_l2;
}
void rollup_add_counts(struct rollup_counts *to, const struct rollup_counts *more);
/* What was counted since `before`; a count that is lower than it was began anew. */
struct rollup_counts rollup_since(const struct rollup_counts *now, const struct rollup_counts *before);

struct rollup;

/* Where records go, by number: a number that is kept again takes the place of what it was.  There are ROLLUP_DAYS and
 * ROLLUP_MINUTES of them. */
struct rollup_store {
    void (*keep)(void *user, uint64_t number, struct slice record);
    void *user;
};

struct rollup *rollup_create(const struct rollup_store *store);
struct rollup *rollup_destroy(struct rollup *r); /* NULL ok, returns NULL */

/* A record of an earlier run, before rollup_begin.  False: it is of another version, or no record at all, and left out. */
bool rollup_load(struct rollup *r, uint64_t number, struct slice record);
/* The minute and the day it is; a day that was loaded goes on. */
void rollup_begin(struct rollup *r, uint64_t wall_s);

/* The clock shows another minute than that which is counted. */
bool rollup_is_over(const struct rollup *r, uint64_t wall_s);
/* What was added until now is kept, and another minute, perhaps another day, begins. */
void rollup_turn(struct rollup *r, uint64_t wall_s);
/* Keeps the minute and the day under way: at a stop. */
void rollup_keep(struct rollup *r);

/* What a namespace counts besides its policies: the last four. */
void rollup_add(struct rollup *r, const struct rollup_counts *more);
/* Counts of a policy are also of the namespace.  `resource`: what kind of thing its keys are, or empty. */
void rollup_add_policy(struct rollup *r, struct slice name, struct slice resource,
                       const struct rollup_counts *more);
/* Of policies that are not counted by themselves. */
void rollup_add_others(struct rollup *r, const struct rollup_counts *more);
/* Counts of a tenant are also those of a policy, and come by both ways.  An empty name: of tenants not told apart. */
void rollup_add_tenant(struct rollup *r, struct slice name, const struct rollup_counts *more);
/* A key was seen to be hot.  `kept`: its name may be written down. */
void rollup_add_key(struct rollup *r, struct slice key, uint64_t heat, bool kept);

uint64_t rollup_kept_s(const struct rollup *r); /* until when all that was counted was handed to the store */

#endif
