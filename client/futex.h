/* Waiting for a word to change, without a lock to take again: whoever is woken runs on at once, beside all the others.
 * A condition variable hands its mutex from one to the next, which is what a hundred threads woken at once wait for.
 *
 * Linux only (futex(2)), between threads of one process.  Who stores the word releases, who waits has acquired it. */
#ifndef LARDER_CLIENT_FUTEX_H
#define LARDER_CLIENT_FUTEX_H

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static_assert(sizeof(_Atomic uint32_t) == 4, "the kernel looks at 32 bits");

/* Until the word is not `old`, or CLOCK_MONOTONIC is `deadline_ns`: whether it changed. */
static inline bool futex_wait_while(_Atomic uint32_t *word, uint32_t old, uint64_t deadline_ns)
{
    const struct timespec until = {(time_t)(deadline_ns / 1000000000), (long)(deadline_ns % 1000000000)};
    while (atomic_load_explicit(word, memory_order_acquire) == old)
        if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, old, &until, NULL, FUTEX_BITSET_MATCH_ANY) !=
                0 &&
            errno == ETIMEDOUT)
            return atomic_load_explicit(word, memory_order_acquire) != old;
    return true;
}

/* All who wait see `value`, and what was written before. */
static inline void futex_set(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

#endif
