/* Invalidations that could not be sent, in the order they were made, until the fleet has answered them (C8).
 *
 * What must stay true: what was added stays until a batch that contains it was answered, over restarts too as far as
 * the outbox below keeps it; what is added while an equal one is on its way is not that one: it may have been
 * carried out before.  An equal one that still waits is the same, so a key a thousand times invalidated waits once.
 *
 * Bound: 1,000,000 of them or 128 MiB, for the whole namespace.  One more and each partition's collapse to a single
 * "everything", which is the cost a fleet can always pay: L2 empties logically, nothing stale survives.  That is
 * ten minutes at 1,700 distinct keys a second, and 4,000 calls to send.
 *
 * Pure memory; the outbox does the disk's part. */
#ifndef LARDER_L2_BACKLOG_H
#define LARDER_L2_BACKLOG_H

#include "base/fleet.h"

enum {
    BACKLOG_MAX = 1000000,
    BACKLOG_BYTES_MAX = 128 << 20,
    BACKLOG_BATCH = 256,            /* keys and names in one call: the script's own limit */
    BACKLOG_BATCH_BYTES = 64 << 10, /* one record of the journal holds them all */
};

struct backlog;

/* `outbox` may be NULL: memory only.  What it kept is taken over. */
struct backlog *backlog_create(unsigned partitions, uint64_t items_max, struct outbox *outbox);
struct backlog *backlog_destroy(struct backlog *b); /* NULL ok, returns NULL */

/* Answers as outbox_ops.keep, the worst of its names. */
int backlog_add(struct backlog *b, const struct fleet_change *change);

uint64_t backlog_count(const struct backlog *b);
bool backlog_empty(const struct backlog *b, unsigned partition); /* nothing waits, nothing is on its way */

/* The next call of a partition, marked as on its way.  The slices are valid until the next call here. */
struct backlog_batch {
    struct fleet_change change;
    struct slice keys[BACKLOG_BATCH], tags[BACKLOG_BATCH], prefixes[BACKLOG_BATCH], globs[BACKLOG_BATCH];
};
bool backlog_next(struct backlog *b, unsigned partition, struct backlog_batch *ret);
/* The one that is on its way. */
void backlog_sent(struct backlog *b, unsigned partition, struct backlog_batch *ret);
/* It was carried out; or nobody knows, and it must be done again. */
void backlog_answered(struct backlog *b, unsigned partition);
void backlog_returned(struct backlog *b, unsigned partition);

#endif
