/* How the reader touches shared memory: through these macros and a copy kernel, nowhere else.
 *
 * SHM_STEP and SHM_CLOCK are empty hooks in production.  The interleaving test (tests/model/reader_order.c)
 * defines them and compiles the very same reader, so that the schedules it walks are those of the product. */
#ifndef LARDER_PROTO_SHM_LOAD_H
#define LARDER_PROTO_SHM_LOAD_H

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#ifndef SHM_STEP
#define SHM_STEP(at)          ((void)0)
#define SHM_CLOCK(id, ret_ts) clock_gettime(id, ret_ts)
#endif

/* `at` is evaluated twice: no side effects. */
#define SHM_RELAXED(at) (SHM_STEP(at), atomic_load_explicit(at, memory_order_relaxed))
#define SHM_ACQUIRE(at) (SHM_STEP(at), atomic_load_explicit(at, memory_order_acquire))
#define SHM_FENCE()     atomic_thread_fence(memory_order_acquire)

#endif
