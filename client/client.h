/* What a larder_client is made of, for the files of this folder only.
 *
 *   seat.h     what belongs to one thread: its "inside" mark, its stripe, its counters
 *   near.h     the mapped segment: a hit ends here
 *   channel.h  one connection: bytes out, bytes in, a deadline
 *   pool.h     the few connections of a client, and the back-off when none can be had
 *   ask.h      one request and its reply, over whatever connection is to be had
 *   value.h    what a caller's larder_value is filled from
 *   message.h  what a caller wants, in the protocol's words
 *   read.h     shared memory, else the daemon; batch.c for many keys
 *   lease.h    a round of waiting for somebody else's load
 *   flight.h   one loader a key in this process
 *   loaded.h refresh.h fallback.h setback.h   what a load brings, puts off, leaves without a daemon, and when it fails
 *   load.c     get_or_load, made of these
 *   serve.h    loads that the daemon asks for
 *   async.h    all of it for event loops
 *   read.c write.c look.c larder.c   the other public verbs
 *
 * FORK.  `mark` lies on a page that the kernel wipes in a child.  Every public call looks at it first
 * (client_enter), so a child never touches a socket, a touch page or a lock of its parent: the first call sets all of
 * them up anew.
 *
 * LOCKS.  Those of near, the pools, flights, refreshes and fallback: none is held while another one is taken, or during
 * a wait other than for its own condition.  A hit takes none. */
#ifndef LARDER_CLIENT_CLIENT_H
#define LARDER_CLIENT_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>
#include "client/fallback.h"
#include "client/flight.h"
#include "client/larder.h"
#include "client/near.h"
#include "client/pool.h"
#include "client/refresh.h"
#include "client/seat.h"
#include "client/serve.h"
#include "proto/slice.h"

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull

/* Deadlines run on CLOCK_MONOTONIC: they concern this process alone and are short. */
static inline uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

enum { LOAD_QUIET = 256 }; /* stale keys a process asks about at a time; more of them ask more often */

struct larder_client {
    /* Fixed after larder_open. */
    struct dialing dialing;
    uint64_t get_ns, change_ns;
    bool strict;
    void (*log)(void *log_user, const char *line); /* NULL unless debug lines are wanted */
    void *log_user;
    char *texts; /* the strings `dialing` points into */

    _Atomic uint32_t *mark; /* on the wiped page */
    bool mark_is_pid;       /* the kernel cannot wipe: compare process numbers instead */
    _Atomic uint32_t forks; /* how often this memory has come to life in a child */

    struct seats seats;
    struct near near;
    struct pool pool;
    struct pool
        leases; /* connections for leases alone: each is held as long as its connection, and may wait */

    struct flights flights;
    struct refreshes refreshes;
    struct registry registry; /* what it loads when the daemon asks */
    struct fallback fallback;
    uint64_t secret;          /* of the hashes these are found by */
    _Atomic unsigned waiters; /* threads that wait at the daemon for somebody else's load */
    _Atomic uint64_t quiet[LOAD_QUIET];

    _Atomic uint64_t asked, unreachable, timeouts, loads, load_failures;
    struct unheard unheard;
};

int client_mark_open(struct larder_client *c);
void client_mark_close(struct larder_client *c);
void client_reborn(struct larder_client *c);

/* What the mark holds in the process that owns everything else; a process number instead where pages cannot be wiped,
 * which always takes the long way. */
#define CLIENT_MARK 0x80000000u

static inline void client_enter(struct larder_client *c)
{
    if (__builtin_expect(atomic_load_explicit(c->mark, memory_order_acquire) != CLIENT_MARK, 0))
        client_reborn(c);
}

/* A call ends so. */
static inline void client_note_failure(struct larder_client *c, int result)
{
    if (result == LARDER_E_TIMEOUT) {
        atomic_fetch_add_explicit(&c->timeouts, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&c->unheard.timeouts, 1, memory_order_relaxed);
    } else if (result == LARDER_E_UNREACHABLE) {
        atomic_fetch_add_explicit(&c->unreachable, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&c->unheard.unreachable, 1, memory_order_relaxed);
    }
}

/* A back-off, give or take a quarter, so that many processes do not come back all at once. */
static inline uint64_t jittered(uint64_t ns, uint64_t seed)
{
    uint64_t x = (seed ^ seed >> 17) * 0x9e3779b97f4a7c15ull;
    return ns - ns / 4 + (x >> 32) % (ns / 2);
}

/* Debug lines: `begin_ns` is 0 and nothing happens unless somebody listens. */
static inline uint64_t log_begin(const struct larder_client *c)
{
    return __builtin_expect(c->log != NULL, 0) ? now_ns() : 0;
}
void log_end(struct larder_client *c, uint64_t begin_ns, const char *op, struct slice key, int result,
             const larder_value *value);

/* This thread's trace id, or nothing.  Valid until it sets another. */
struct slice trace_mine(struct larder_client *c);

/* The public slice is the protocol's in all but name. */
static inline struct slice slice_in(larder_slice s)
{
    return slice_of(s.data, s.size);
}

static inline larder_slice slice_out(struct slice s)
{
    return larder_bytes(s.data, s.size);
}

/* Copies an options struct of any age over one filled with defaults.  False: its struct_size makes no sense. */
bool options_copy(void *defaults, size_t size, const void *given);

/* STATUS_… → LARDER_…. */
int result_of_status(unsigned status);
/* "HIT", "MISS", "E_TIMEOUT". */
const char *result_name(int result, bool of_get);

#endif
