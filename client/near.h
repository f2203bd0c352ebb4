/* The mapped segment of one client: where a hit costs no system call.
 *
 * What must stay true
 *   - Before anything is mapped the seals are looked at, so that neither side can shrink the file under a reader.
 *   - A mapping is taken away only when no thread is looking at it.  Threads say so with a mark of their own (seat.h)
 *     that costs a plain store; whoever wants to unmap makes all of them visible with one membarrier.
 *   - At most one mapping whose daemon is gone is kept; while a thread still stands in it nothing new is mapped.
 *
 * Thread rule: near_enter … near_leave from any thread, without a lock.  Everything else takes near.lock. */
#ifndef LARDER_CLIENT_NEAR_H
#define LARDER_CLIENT_NEAR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "client/channel.h"
#include "client/seat.h"
#include "proto/shm_view.h"

struct larder_client;

/* One segment with its touch page, immutable but for `stripes`. */
struct attachment {
    struct shm_view view;
    uint64_t serial; /* never used twice in a client */
    size_t bytes;
    struct shm_touch_page *touch;   /* NULL: none came along */
    _Atomic uint64_t stripes_taken; /* one bit each */
};

struct near {
    _Atomic(struct attachment *) current;
    bool wanted; /* fixed: not for clients that asked to do without, nor for those bound to a tenant */
    bool fenced; /* fixed: no membarrier here, so readers pay for a fence */
    pthread_mutex_t lock;
    struct attachment *retired; /* still mapped, because some thread was inside */
    _Atomic bool has_retired;   /* the same, for looking without the lock */
    _Atomic bool unborn;        /* attached before its daemon opened it, not seen alive since */
    struct channel anchor;      /* the connection that keeps our touch page alive at the daemon */
    uint64_t serials;
    _Atomic uint64_t look_again_ns; /* not before: attach, or ask whether the anchor still holds */
    _Atomic uint64_t attaches;
};

int near_init(struct near *near, bool wanted);
void near_finish(struct near *near);
/* After a fork. */
void near_reborn(struct near *near);

/* Attaches when there is no living segment and it is time to try; lets go of what can be let go of.  Every call that
 * goes to the socket comes by here first.  0, or what an attempt failed with. */
int near_mend(struct larder_client *c, struct seat *seat, uint64_t deadline_ns);
/* Forgets a mapping whose daemon is gone. */
void near_forget_dead(struct larder_client *c, struct seat *seat);
uint64_t near_dead_bytes(struct larder_client *c, struct seat *seat);

/* Maps what came with a WELCOME, and closes it; the connection it came over keeps the touch page alive.  False: there was
 * nothing to map, or no room to do so yet. */
bool near_adopt(struct larder_client *c, struct descriptors *d);
/* Whether what is mapped is of a daemon that lives. */
bool near_lives(struct larder_client *c);

void near_stripe_take(struct attachment *a, struct seat *seat);
void near_stripe_return(struct near *near, struct seat *seat);

/* From here to near_leave the answer stays mapped.  NULL (already left) when nothing is attached. */
static inline struct attachment *near_enter(struct near *near, struct seat *seat)
{
    uint64_t inside = atomic_load_explicit(&seat->inside, memory_order_relaxed);
    inside += 1 + ((uint64_t)((inside & 0xffff) == 0) << 16);
    if (__builtin_expect(near->fenced, 0))
        atomic_exchange(&seat->inside, inside);
    else
        atomic_store_explicit(&seat->inside, inside, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst); /* the membarrier of the other side makes it a real one */
    struct attachment *a = atomic_load(&near->current);
    if (__builtin_expect(!a, 0))
        atomic_store_explicit(&seat->inside, inside - 1, memory_order_release);
    return a;
}

static inline void near_leave(struct seat *seat)
{
    uint64_t inside = atomic_load_explicit(&seat->inside, memory_order_relaxed);
    atomic_store_explicit(&seat->inside, inside - 1, memory_order_release);
}

uint64_t near_clock_read(void);

static inline void near_note(au64 places[SHM_TOUCHES], const struct shm_found *found)
{
    au64 *place = &places[found->slot_number % SHM_TOUCHES];
    uint64_t touch = shm_touch(found->slot_number, found->tag);
    if (atomic_load_explicit(place, memory_order_relaxed) != touch)
        atomic_store_explicit(place, touch, memory_order_relaxed);
}

/* Of each thread the first hit, and then one in SHM_TOOK_EVERY, is measured.  Between the two calls nothing is to be found
 * but the hit; 0: this one is not measured. */
static inline uint64_t near_clock(const struct seat *seat)
{
    uint64_t hits = atomic_load_explicit(&seat->near_hits, memory_order_relaxed);
    return __builtin_expect(hits % SHM_TOOK_EVERY == 0, 0) ? near_clock_read() : 0;
}
/* `since` is what near_clock read; the clock's own cost is taken off. */
void near_took(struct attachment *a, uint64_t since);

/* Notes a hit: what eviction and the statistics of the daemon live on.  Plain loads and stores on memory nobody else
 * writes; the slot is compared first, so that a hot key costs a load. */
static inline void near_touch(struct attachment *a, struct seat *seat, const struct shm_found *found)
{
    uint64_t hits = atomic_load_explicit(&seat->near_hits, memory_order_relaxed);
    atomic_store_explicit(&seat->near_hits, hits + 1, memory_order_relaxed);
    if (__builtin_expect(seat->stripe_of != a->serial, 0))
        near_stripe_take(a, seat);
    struct shm_stripe *stripe = seat->stripe;
    if (!stripe)
        return;
    au64 *count = &stripe->hits[found->policy & (SHM_POLICIES - 1)];
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1, memory_order_relaxed);
    near_note(stripe->touched, found);
    if (__builtin_expect(found->tag < atomic_load_explicit(&a->touch->watch_below, memory_order_relaxed), 0))
        near_note(stripe->watched, found);
}

#endif
