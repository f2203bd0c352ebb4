/* What a client keeps for each thread that uses it.
 *
 * What must stay true: only its own thread stores into a seat, except into `taken` and `seen`; and the list of seats
 * only ever grows while the client lives, so that it can be walked at any time, in a forked child too.  The seat of
 * a thread that ended is taken by the next one that comes; there are as many as there were threads at once. */
#ifndef LARDER_CLIENT_SEAT_H
#define LARDER_CLIENT_SEAT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "proto/shm.h"

struct larder_client;

enum { SEAT_MESSAGE_BYTES = 256 };

struct seat {
    /* entries 48 | depth 16.  Depth is above 0 while the thread may look at a mapping; entries counts how often it
     * came in from outside.  See near.c for who waits for it. */
    _Alignas(SHM_LINE) _Atomic uint64_t inside;
    uint64_t stripe_of; /* serial of the attachment `stripe` lies in; 0: none */
    struct shm_stripe *stripe;
    int stripe_number; /* -1: shared with others */
    _Atomic uint64_t near_hits;

    struct larder_client *client;
    struct seat *next;
    _Atomic bool taken;
    uint64_t seen;                    /* `inside` when a mapping was retired; near.lock */
    char trace[56];                   /* what its calls are done for, or "" */
    char message[SEAT_MESSAGE_BYTES]; /* what the daemon said with the last error */
};

struct seats {
    pthread_key_t key;
    uint64_t serial; /* never used twice in a process: an address may be */
    _Atomic(struct seat *) first;
};

/* The seat this thread took last, and of which client: asking the key costs a call.  In the library's fixed share of
 * thread memory, so that it is one load also where the library came by dlopen. */
struct seat_last {
    uint64_t serial;
    struct seat *seat;
};
extern
    __attribute__((visibility("hidden"), tls_model("initial-exec"))) _Thread_local struct seat_last seat_last;

int seats_init(struct seats *seats);
void seats_finish(struct seats *seats);
/* After a fork: nobody is inside, no stripe is held. */
void seats_reborn(struct seats *seats);

/* As seat_mine, when another client was asked last. */
struct seat *seat_find(struct larder_client *c);

/* This thread's seat, or NULL when there is no memory for one. */
static inline struct seat *seat_mine(struct larder_client *c, const struct seats *seats)
{
    return __builtin_expect(seat_last.serial == seats->serial, 1) ? seat_last.seat : seat_find(c);
}

#endif
