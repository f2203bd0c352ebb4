/* The connections of a client.  A call borrows one for its round trip and gives it back; the one used last is taken
 * first, so an idle app keeps few of them busy.
 *
 * BACK-OFF.  After a connection could not be made nobody tries again for 50 ms, doubling to 500 ms, give or take a
 * quarter so that the processes of a host do not come back all at once.  Until then calls fail at once: with the
 * daemon gone the app pays nanoseconds a call, not connect time-outs. */
#ifndef LARDER_CLIENT_POOL_H
#define LARDER_CLIENT_POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "client/channel.h"

struct larder_client;

/* More threads than this rarely miss at once, and a daemon serves a host full of processes. */
enum { POOL_CHANNELS = 8 };
/* After an attempt that waited in vain, each twice as long as the one before.  One that met nobody at the socket
 * cost 20 us, and a daemon that restarts is back soon. */
#define BACKOFF_MIN_NS     (50 * 1000000ull)
#define BACKOFF_MAX_NS     (500 * 1000000ull)
#define BACKOFF_REFUSED_NS (20 * 1000000ull)

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t returned;
    struct channel channels[POOL_CHANNELS];
    uint8_t idle[POOL_CHANNELS]; /* stack of numbers: connected ones on top, closed ones below */
    unsigned idle_count;
    unsigned connected_count; /* of those idle */
    bool busy[POOL_CHANNELS];
    _Atomic uint64_t retry_at_ns; /* back-off: nobody dials before */
    _Atomic uint64_t backoff_ns;
    _Atomic int why; /* nobody can be reached */
};

int pool_init(struct pool *pool);
void pool_finish(struct pool *pool);
void pool_reborn(struct pool *pool);

/* A connected channel, BUSY when none was given back in time, or why none can be made.  `fresh` passes over the idle
 * ones and closes them: one of their kind has just turned out to be dead. */
int pool_borrow(struct larder_client *c, struct pool *pool, bool fresh, uint64_t deadline_ns,
                struct channel **ret, bool *ret_is_new);
void pool_return(struct pool *pool, struct channel *ch);

/* channel_dial with the back-off, which is one for all of a client's connections. */
int pool_dial(struct larder_client *c, struct channel *ch, uint8_t want, uint64_t deadline_ns,
              struct descriptors *ret);

#endif
