#include "client/client.h"

#include <stdlib.h>

_Thread_local struct seat_last seat_last;

/* Runs as its thread ends. */
static void seat_leave(void *pointer)
{
    struct seat *seat = pointer;
    seat_last = (struct seat_last){0, NULL}; /* what else runs as the thread ends takes another */
    near_stripe_return(&seat->client->near, seat);
    seat->message[0] = '\0';
    atomic_store_explicit(&seat->taken, false, memory_order_release);
}

int seats_init(struct seats *seats)
{
    static _Atomic uint64_t serials;
    atomic_init(&seats->first, NULL);
    seats->serial = atomic_fetch_add(&serials, 1) + 1;
    return pthread_key_create(&seats->key, seat_leave) == 0 ? 0 : LARDER_E_SYSTEM;
}

void seats_finish(struct seats *seats)
{
    pthread_key_delete(seats->key);
    struct seat *seat = atomic_load(&seats->first);
    while (seat) {
        struct seat *next = seat->next;
        free(seat);
        seat = next;
    }
}

void seats_reborn(struct seats *seats)
{
    for (struct seat *seat = atomic_load(&seats->first); seat; seat = seat->next) {
        atomic_store_explicit(&seat->inside, 0, memory_order_relaxed);
        seat->stripe_of = 0;
        seat->stripe_number = -1;
    }
}

/* One that a finished thread left. */
static struct seat *seat_reuse(struct seats *seats)
{
    for (struct seat *seat = atomic_load_explicit(&seats->first, memory_order_acquire); seat;
         seat = seat->next) {
        bool taken = false;
        if (!atomic_load_explicit(&seat->taken, memory_order_relaxed) &&
            atomic_compare_exchange_strong_explicit(&seat->taken, &taken, true, memory_order_acquire,
                                                    memory_order_relaxed))
            return seat;
    }
    return NULL;
}

static struct seat *seat_create(struct larder_client *c)
{
    struct seat *seat = aligned_alloc(SHM_LINE, sizeof(*seat));
    if (!seat)
        return NULL;
    *seat = (struct seat){.client = c, .taken = true, .stripe_number = -1};
    seat->next = atomic_load_explicit(&c->seats.first, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&c->seats.first, &seat->next, seat, memory_order_release,
                                                  memory_order_relaxed))
        ;
    return seat;
}

static struct seat *seat_take(struct larder_client *c)
{
    struct seat *seat = seat_reuse(&c->seats);
    if (seat)
        seat->trace[0] = '\0';
    else
        seat = seat_create(c);
    if (seat && pthread_setspecific(c->seats.key, seat) != 0) {
        atomic_store_explicit(&seat->taken, false, memory_order_release);
        return NULL;
    }
    return seat;
}

struct seat *seat_find(struct larder_client *c)
{
    struct seat *seat = pthread_getspecific(c->seats.key);
    if (!seat)
        seat = seat_take(c);
    if (seat)
        seat_last = (struct seat_last){c->seats.serial, seat};
    return seat;
}
