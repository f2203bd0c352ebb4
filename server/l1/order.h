/* The writer's stores into the shared segment, each sequence in the order that the essay in proto/shm.h argues for.
 * Nothing else in the daemon stores there after the segment is sealed; whoever wants to know what a reader can
 * see in between reads this page.
 *
 * L1_STORE is a hook: tests/model/reader_order.c records the stores of these very functions and plays them to the
 * real reader in all interleavings. */
#ifndef LARDER_L1_ORDER_H
#define LARDER_L1_ORDER_H

#include <string.h>
#include "proto/shm.h"

#ifndef L1_STORE
#define L1_STORE(at, value, order) atomic_store_explicit(at, value, memory_order_##order)
#endif
#define L1_FENCE() atomic_thread_fence(memory_order_release)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored \
    "-Wtsan" /* all these stores are atomics; the sanitizer needs no fence to see it */
#endif

/* The writer's own look at words only it changes. */
static inline uint64_t order_own(const au64 *at)
{
    return atomic_load_explicit(at, memory_order_relaxed);
}

/* ---- items ------------------------------------------------------------------------------------------------ */

/* Bytes that no slot names yet.  `bytes` is a multiple of 8. */
static inline void order_write(au64 *to, const void *from, uint32_t bytes)
{
    const char *at = from;
    for (uint32_t i = 0; i < bytes / 8; i++) {
        uint64_t word;
        memcpy(&word, at + 8ull * i, 8);
        L1_STORE(to + i, word, relaxed);
    }
}

/* W1: a new item, a newer value or another place of the same one. */
static inline void order_publish(au64 *slot, uint64_t word)
{
    L1_STORE(slot, word, release);
}

static inline void order_clear(au64 *slot)
{
    L1_STORE(slot, 0, release);
}

/* W2, W3.  No slot may name the segment any more, except when it expired: then all its items are past hard, the
 * slots that name it fail the comparison of gens from here on, and they are cleared before it is used again. */
static inline void order_recycle(au64 *gen)
{
    L1_STORE(gen, order_own(gen) + 1, release);
    L1_FENCE();
}

static inline void order_life(struct shm_item *item, uint64_t life)
{
    L1_STORE(&item->life, life, release);
}

/* An item found alive behind a kill.  Its life comes first: a reader that sees the new born no longer asks, so it
 * must see what a soft kill did to the life. */
static inline void order_restamp(struct shm_item *item, uint64_t life, uint32_t born)
{
    if (life != order_own(&item->life))
        order_life(item, life);
    L1_STORE(&item->born, (order_own(&item->born) & ~0xffffffffull) | born, release);
}

/* ---- invalidation of names ---------------------------------------------------------------------------------- */

static inline void order_kill(struct shm_header *h, au64 *cell, uint64_t word)
{
    L1_STORE(cell, word, release);
    L1_STORE(&h->last_kill, (uint32_t)word, release);
}

static inline void order_floor(struct shm_header *h, uint32_t seq)
{
    L1_STORE(&h->floor_seq, seq, release);
}

/* Before the first cell of a finished sweep is cleared. */
static inline void order_clear_cells(struct shm_header *h)
{
    L1_STORE(&h->sweeps, order_own(&h->sweeps) + 1, release);
    L1_FENCE();
}

static inline void order_clear_cell(au64 *cell)
{
    L1_STORE(cell, 0, relaxed);
}

static inline void order_no_kills(struct shm_header *h)
{
    L1_STORE(&h->last_kill, 0, relaxed);
}

/* ---- promises ------------------------------------------------------------------------------------------------- */

static inline void order_alive(struct shm_header *h, uint64_t alive_until_ns, uint64_t boot_minus_mono)
{
    L1_STORE(&h->boot_minus_mono, boot_minus_mono, relaxed);
    L1_STORE(&h->alive_until, alive_until_ns, release);
}

static inline void order_state(struct shm_header *h, enum shm_state state)
{
    L1_STORE(&h->state, (uint64_t)state, release);
}

/* After everything up to the position it stands for was done to the slots and cells. */
static inline void order_promise(struct shm_header *h, unsigned partition, uint64_t fresh_until_ns)
{
    L1_STORE(&h->fresh_until[partition], fresh_until_ns, release);
}

static inline void order_detach(struct shm_header *h, uint64_t serve_until_ns)
{
    L1_STORE(&h->serve_until, serve_until_ns, release);
    L1_STORE(&h->mode, (uint64_t)SHM_DETACHED, release);
}

/* Any mode but DETACHED: what was stored locally dies before anybody may take it for the fleet's. */
static inline void order_attach(struct shm_header *h, uint32_t local_floor, enum shm_mode mode)
{
    L1_STORE(&h->local_floor, local_floor, release);
    L1_STORE(&h->mode, (uint64_t)mode, release);
}

#endif
