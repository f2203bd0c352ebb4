/* Leases: one round with the daemon, for larder_lease and larder_get_or_load.
 *
 * ROUNDS.  Nobody waits for a load in one long request: a round is at most LEASE_ROUND_MS, so that a daemon that hangs is
 * noticed, and at most LEASE_WAITERS of a client's connections for leases wait at a time, so that the others can still
 * ask.  Whoever finds no place looks again every LEASE_LOOK_MS.
 *
 * CONNECTIONS.  The daemon passes a lease on when the connection it was given over closes; they come from a pool of
 * their own, where no slow get of another thread can close them. */
#ifndef LARDER_CLIENT_LEASE_H
#define LARDER_CLIENT_LEASE_H

#include "client/read.h"

enum { LEASE_ROUND_MS = 500, LEASE_WAITERS = POOL_CHANNELS - 2, LEASE_LOOK_MS = 20 };

/* What NULL means. */
extern const larder_load_options load_defaults;
/* 0, or INVALID. */
int load_options_take(larder_load_options *ret, const larder_load_options *given);
/* What these options ask of a daemon. */
struct reading lease_reading(const larder_load_options *how);

/* One round, waiting until `until_ns` at most (0: not at all).  As
 * read_far; WAIT: somebody else is at it still. */
int lease_round(struct larder_client *c, struct slice key, const struct reading *how, uint64_t until_ns,
                larder_value *value);

#endif
