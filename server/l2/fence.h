/* The fences of one partition: who vouches for it, and until when (F13).
 *
 * What must stay true: a fence sent at t and answered with V vouches until t + Δ, once everything up to V is applied.
 * The promise counts from the sending (I8): what was committed before t is in V, however long the answer took.  An
 * answer is kept until the journal has caught up with it; compared once, on arrival, it would hardly ever be
 * reached at 5,000 changes a second.
 *
 * Bound: eight under way, 400 ms of them.  Past that the answers would be too old to vouch for anything.
 *
 * Pure: no clock, no I/O. */
#ifndef LARDER_L2_FENCE_H
#define LARDER_L2_FENCE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/clock.h"

enum { FENCES_MAX = 8 };
#define FENCE_EVERY_NS (50 * NS_PER_MS)
#define FENCE_IDLE_NS  (10 * NS_PER_S) /* without a read for so long nobody needs the promise */

struct fence {
    uint64_t sent_ns;
    uint64_t known_v; /* what was known when it was sent: the answer cannot be less in the same epoch */
    uint64_t v;
    bool answered;
};

struct fences {
    struct fence of[FENCES_MAX]; /* in the order sent */
    unsigned count;
    uint64_t last_sent_ns;
};

bool fences_due(const struct fences *f, uint64_t now_ns, uint64_t last_read_ns);
void fences_sent(struct fences *f, uint64_t now_ns, uint64_t known_v);
/* The oldest that waits is answered: the connection keeps the order. */
enum fence_answer { FENCE_GOOD, FENCE_UNASKED, FENCE_WENT_BACK };
enum fence_answer fences_answered(struct fences *f, uint64_t v);
/* Takes out those that `applied` reached; when the newest of them was sent, 0 when there is none. */
uint64_t fences_vouch(struct fences *f, uint64_t applied);
/* Takes out the answers that could vouch for nothing any more. */
void fences_expire(struct fences *f, uint64_t now_ns);
void fences_forget(struct fences *f);

#endif
