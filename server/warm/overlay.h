/* The overlay: for each key or name that was changed and whose commit is not yet known to have succeeded, the
 * newest change.
 *
 * What must stay true (I12): a read asks here before LMDB, so a change is seen from the moment it is made; a change
 * leaves only when the commit that contains it succeeded and no read that began before that commit is still under
 * way.
 *
 * Bound: OVERLAY_MAX changes; one more and the tier collapses to a floor (warm.c).
 * Thread rule: the table belongs to the loop thread; the list node of a change to whoever has the list; all else of
 * it is not changed after it was handed to the writer. */
#ifndef LARDER_WARM_OVERLAY_H
#define LARDER_WARM_OVERLAY_H

#include <stdbool.h>
#include <stdint.h>
#include "base/list.h"
#include "warm/record.h"

enum { OVERLAY_MAX = 1000000 };

enum op_kind {
    OP_PUT,
    OP_DROP,
    OP_LIFE,
    OP_KILL,
    OP_HOT,
    OP_PLACE,
    OP_EPOCH,
    OP_KEEP,
    OP_SENT,
    OP_NOTE,
    OP_NOTED
};
enum op_class { OP_OF_KEY, OP_OF_NAME, OP_OF_HOT, OP_OF_PLACE, OP_OF_OUTBOX };
/* What the runtime page holds for a change, or would have to hold to make it survive kill -9. */
enum op_cover { COVER_NONE, COVER_SOFT, COVER_HARD };

struct op {
    struct op *chain;
    struct list node; /* waiting, taken, finished or lingering */
    uint64_t hash;
    uint64_t sequence;    /* order of changes, place of the record in v */
    uint64_t journal_end; /* position behind its record in the page; 0: none */
    enum op_kind kind;
    enum op_class class;
    enum op_cover need, cover;
    bool in_table, lingering; /* the loop thread's */
    uint8_t partition;
    uint8_t kept;                /* NOTE, NOTED: enum env_kept */
    uint64_t epoch;              /* of the partition when it was made; 0: unknown, or it does not matter */
    uint64_t v;                  /* DROP: spares records of the epoch at v or newer; PUT: its position */
    uint64_t hard_v, soft_v;     /* KILL; of a glob, `bytes` are its text */
    struct record_change change; /* LIFE */
    uint64_t linger;             /* ticket of the first read that cannot have missed its commit */
    uint32_t size;
    _Alignas(uint64_t) char bytes
        []; /* PUT: the record; HOT: env_save_hot's, in words; PLACE: struct env_place; KEEP, NOTE: what is kept; KILL: a glob */
};

struct op *op_create(enum op_kind kind, enum op_class class, uint64_t hash, size_t size);
static inline bool op_outlives_floor(const struct op *op)
{
    return op->kind == OP_EPOCH || op->class == OP_OF_OUTBOX;
}
static inline bool op_unsafe(const struct op *op)
{
    return op->need > op->cover;
}
/* May `op` take the place of the waiting `old`, so that what the page holds for `old` is enough for it? */
bool op_may_inherit(const struct op *old, const struct op *op);
/* May it go where `old` stands in the queue, which is before other changes?  A place stays behind what it covers (I6), what
 * belongs to another epoch behind the change of epochs. */
bool op_may_go_ahead(const struct op *old, const struct op *op);
/* May `old` leave the queue because `op` comes behind it? */
bool op_is_covered_by(const struct op *old, const struct op *op);
void op_inherit(const struct op *old, struct op *op);

struct overlay;
struct overlay *overlay_create(void);
struct overlay *overlay_destroy(struct overlay *o); /* must be empty */
struct op *overlay_find(const struct overlay *o, enum op_class class, uint64_t hash);
/* The one of the same class and hash, if any, leaves the table. */
void overlay_insert(struct overlay *o, struct op *op);
void overlay_remove(struct overlay *o, struct op *op); /* does nothing when it is not in it */
void overlay_clear(struct overlay *o);
uint64_t overlay_count(const struct overlay *o);
/* Changes in buckets [*bucket, …): for listings.  false from `each` stops; *bucket is 0 again at the end. */
void overlay_walk(const struct overlay *o, uint32_t *bucket, uint32_t buckets,
                  bool (*each)(void *user, const struct op *op), void *user);

#endif
