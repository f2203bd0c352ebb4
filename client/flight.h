/* One loader a key in this process: whoever asks first flies, the others wait for where it lands.
 *
 * WHO MAY TAKE WHAT A FLIGHT BROUGHT.  Contract C1 forbids a call to return anything older than a change that had
 * returned, to whatever process of the host, when the call began.  A flight knows of a change only by what the daemon
 * answers, so:
 *
 *   1. a caller that began before the flight asked its source (`asked_ns`) may take it: what the source said is then
 *      newer than the caller's beginning;
 *   2. so may everybody else aboard when the landing is `vouched`: the fill was accepted, and since a flight is shut
 *      (nobody comes aboard any more) before its fill is sent, all aboard began before the daemon looked and found
 *      nothing newer;
 *   3. anyone else looks again.  The load he finds or begins then asks after he began, so rule 1 holds for it: nobody
 *      waits for more than two loads, however often the key is invalidated.
 *
 * A flight whose key this process changes is shut too: later callers do not wait for what they could not take.  That
 * no daemon was there to judge a load makes it vouched for this process, whose own changes shut it.
 *
 * There are never more flights than threads inside larder_get_or_load.  FORK: a child forgets all of them; what its
 * parent's threads wait for lands in the parent.
 *
 * Thread rule: any thread; one lock, never held during a wait, a loader or a copy.  Those aboard wait and leave without
 * it, so that a thousand who are woken at once do not wait for each other. */
#ifndef LARDER_CLIENT_FLIGHT_H
#define LARDER_CLIENT_FLIGHT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "client/larder.h"
#include "client/setback.h"
#include "proto/slice.h"

enum { FLIGHT_BUCKETS = 256 };
enum { FLIGHT_NOWHERE = INT32_MIN }; /* a result: it brought nothing to anybody */

/* Where a flight ended. */
struct landing {
    int result;         /* of larder_get_or_load */
    int load_error;     /* of a loader of this process */
    bool vouched;       /* rule 2 */
    larder_value value; /* its own copy */
};

struct flight;

struct flights {
    pthread_mutex_t lock;
    struct flight *buckets[FLIGHT_BUCKETS]; /* those one can still board */
    uint64_t joined;                        /* how many ever came aboard somebody else's */
    struct setbacks setbacks;               /* keys whose loader failed without a daemon to remember it */
};

int flights_init(struct flights *flights);
void flights_finish(struct flights *flights);
void flights_reborn(struct flights *flights);

/* Comes aboard the flight of that key, or begins it.  NULL: no memory for one. */
struct flight *flight_board(struct flights *flights, struct slice key, uint64_t hash, bool *ret_mine);

uint64_t flights_joined(struct flights *flights);

/* ---- whose flight it is ---- */

/* The source, or the daemon, is asked from now on. */
void flight_asks(struct flight *flight, uint64_t now_ns);
/* Nobody comes aboard any more.  Before every fill. */
void flight_shut(struct flights *flights, struct flight *flight);
/* Ends it; `value` is copied when somebody waits. */
void flight_land(struct flights *flights, struct flight *flight, int result, int load_error, bool vouched,
                 const larder_value *value);

/* ---- who waits ---- */

/* Waits, and leaves the flight.  True: `ret` and `value` say how it ended for a caller that began at `began_ns`; its
 * own time-out counts as an end (TIMEOUT, value untouched), so does waiting for oneself (INVALID).  False: look again. */
bool flight_wait(struct flight *flight, uint64_t began_ns, uint64_t deadline_ns, struct landing *ret,
                 larder_value *value);

/* ---- who changes keys ---- */

void flights_shut_key(struct flights *flights, struct slice key, uint64_t hash);
void flights_shut_prefix(struct flights *flights, struct slice prefix);
void flights_shut_all(struct flights *flights);

#endif
