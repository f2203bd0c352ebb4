/* What get_or_load keeps in this process while no daemon answers: off unless the app gives it bytes.
 *
 * What must stay true
 *   - It is asked and filled only by calls that found no daemon; the first answer of a daemon empties it.
 *   - Nothing lives in it for longer than 60 s, and all that leaves it is flagged LOCAL: nobody vouches for it.
 *   - What this process changes leaves it before the change returns, and a load that began before that change is not
 *     put in after it (`turn`).
 *   - Never more bytes than given; the one longest unused goes first.
 *
 * Thread rule: any thread; one lock, held for a copy. */
#ifndef LARDER_CLIENT_FALLBACK_H
#define LARDER_CLIENT_FALLBACK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "client/larder.h"
#include "proto/slice.h"

enum { FALLBACK_BUCKETS = 1024, FALLBACK_TTL_MAX_MS = 60000 };

struct fallback_entry;

struct fallback {
    size_t limit_bytes; /* fixed; 0: never holds anything */
    pthread_mutex_t lock;
    struct fallback_entry *buckets[FALLBACK_BUCKETS];
    struct fallback_entry *newest, *oldest; /* by use */
    size_t bytes;
    uint64_t turn;      /* grows with each drop */
    _Atomic bool holds; /* for looking without the lock */
};

int fallback_init(struct fallback *f, size_t limit_bytes);
void fallback_finish(struct fallback *f);
void fallback_reborn(struct fallback *f);

/* HIT, ABSENT, MISS (value untouched) or MEMORY. */
int fallback_get(struct fallback *f, struct slice key, uint64_t hash, uint64_t now_ns, larder_value *value);
/* Before a load, for the put behind it. */
uint64_t fallback_turn(struct fallback *f);
void fallback_put(struct fallback *f, struct slice key, uint64_t hash, uint64_t now_ns, uint64_t ttl_ms,
                  uint64_t turn, const larder_value *value);

void fallback_drop_key(struct fallback *f, struct slice key, uint64_t hash);
/* Empty: everything. */
void fallback_drop_prefix(struct fallback *f, struct slice prefix);

/* A daemon answered. */
static inline void fallback_over(struct fallback *f)
{
    if (__builtin_expect(atomic_load_explicit(&f->holds, memory_order_relaxed), 0))
        fallback_drop_prefix(f, slice_text(""));
}

#endif
