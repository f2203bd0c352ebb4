/* Reads of slow tiers under way.  While one runs for a key, further gets of the key wait on it.
 *
 * What must stay true: a get that begins after a change of its key never joins a flight that began before it (F9).
 * So a change detaches the flight: it still answers those who had joined, but nobody can join any more, and what it
 * brings is not inserted anywhere (I3).  So does age, in a fleet: whoever joins is shown what was true when it began (C2). */
#ifndef LARDER_CACHE_FLIGHT_H
#define LARDER_CACHE_FLIGHT_H

#include "base/list.h"
#include "base/tier.h"
#include "cache/cache.h"

struct flights;
struct flight;

struct flights *flights_create(void);
struct flights *flights_destroy(struct flights *f); /* checks that none is under way; returns NULL */
bool flights_empty(const struct flights *f);

/* The flight of this key that may be joined, or NULL. */
struct flight *flight_find(struct flights *f, struct slice key, uint64_t key_hash);
/* When the get that leads it began. */
uint64_t flight_began_ns(const struct flight *flight);
void flight_join(struct flight *flight, struct cache_get *get);

/* Asks `tier` for the key of `get`; others may join when it is `shared`; `exact` as in base/tier.h.  TIER_FOUND or TIER_MISSED: answered at once in *ret_read, no flight.
 * TIER_PENDING: `get` waits; `land` is called once, for all who wait. */
int flight_start(struct flights *f, struct tier *tier, struct cache_get *get, struct tier_read *ret_read,
                 bool shared, bool exact,
                 void (*land)(struct flight *flight, struct tier_read *read, int outcome));
/* In `land`: the next who waits, or NULL; after the last the flight is freed by itself when land returns. */
struct cache_get *flight_next_waiting(struct flight *flight);
bool flight_detached(const struct flight *flight);

/* A change of the key: call before the change is applied. */
void flights_detach(struct flights *f, struct slice key, uint64_t key_hash);
/* A change that cannot name its keys. */
void flights_detach_all(struct flights *f);

#endif
