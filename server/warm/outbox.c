/* The outbox: what the fleet must be told and could not be, in the database and in the queue of all changes.
 *
 * What must stay true: who was told that something is kept, or waited for a barrier after it, finds it after kill -9;
 * what was dropped may come back once, when its removal was not committed, which the fleet can bear.  It is not about
 * anything stored here, so no floor takes it along.
 *
 * While commits fail nothing is kept but in memory, and the answer says so; it still goes to the disk when that is
 * mended.  Who asked just before the first failure waits until then: the answer it is waiting for would not be true.
 *
 * Bound: OUTBOX_BYTES_MAX each; how many there are is the fleet's to bound. */
#include "warm/inside.h"

#include <string.h>
#include "base/check.h"

enum { OUTBOX_BYTES_MAX = 64 << 10 };

static struct warm *warm_of_outbox(struct outbox *o)
{
    return CONTAINER_OF(o, struct warm, outbox);
}

static void queue(struct warm *w, struct op *op)
{
    CHECK(w->started);
    w->queue_bytes += sizeof(*op) + op->size;
    op->sequence = ++w->sequence;
    writer_append(w->writer, op);
}

static int outbox_keep(struct outbox *o, uint64_t number, struct slice bytes)
{
    struct warm *w = warm_of_outbox(o);
    if (bytes.size > OUTBOX_BYTES_MAX)
        return TIER_UNSTORED;
    struct op *op = op_create(OP_KEEP, OP_OF_OUTBOX, number, bytes.size);
    if (bytes.size)
        memcpy(op->bytes, bytes.data, bytes.size);
    queue(w, op);
    if (w->failing || w->stopping)
        return TIER_UNSTORED;
    w->kept = op->sequence;
    return TIER_UNSAFE;
}

static void outbox_drop_up_to(struct outbox *o, uint64_t number)
{
    queue(warm_of_outbox(o), op_create(OP_SENT, OP_OF_OUTBOX, number, 0));
}

static void outbox_each(struct outbox *o, void (*each)(void *user, uint64_t number, struct slice bytes),
                        void *user)
{
    env_each_kept(warm_of_outbox(o)->env, ENV_OUTBOX, each, user);
}

/* ======= notes ======= */

/* In the same way, but nobody waits for it: what finds no room in the queue, or no disk, is not kept. */
static const struct notes *notes_of(const struct outbox *o)
{
    return CONTAINER_OF(o, const struct notes, outbox);
}

static int notes_keep(struct outbox *o, uint64_t number, struct slice bytes)
{
    struct warm *w = notes_of(o)->warm;
    if (w->failing || w->stopping || bytes.size > OUTBOX_BYTES_MAX ||
        w->queue_bytes + sizeof(struct op) + bytes.size > w->options.warm_queue_bytes)
        return TIER_UNSTORED;
    struct op *op = op_create(OP_NOTE, OP_OF_OUTBOX, number, bytes.size);
    op->kept = (uint8_t)notes_of(o)->what;
    if (bytes.size)
        memcpy(op->bytes, bytes.data, bytes.size);
    queue(w, op);
    return TIER_DONE;
}

static void notes_drop_up_to(struct outbox *o, uint64_t number)
{
    struct op *op = op_create(OP_NOTED, OP_OF_OUTBOX, number, 0);
    op->kept = (uint8_t)notes_of(o)->what;
    queue(notes_of(o)->warm, op);
}

static void notes_each(struct outbox *o, void (*each)(void *user, uint64_t number, struct slice bytes),
                       void *user)
{
    env_each_kept(notes_of(o)->warm->env, notes_of(o)->what, each, user);
}

static const struct outbox_ops notes_in_warm = {notes_keep, notes_drop_up_to, notes_each};

static struct outbox *notes_for(struct warm *w, enum env_kept what)
{
    w->notes[what] = (struct notes){{&notes_in_warm}, w, what};
    return &w->notes[what].outbox;
}

struct outbox *warm_notes(struct warm *w)
{
    return notes_for(w, ENV_NOTES);
}

struct outbox *warm_rollups(struct warm *w)
{
    return notes_for(w, ENV_ROLLUPS);
}

struct outbox *warm_runs(struct warm *w)
{
    return notes_for(w, ENV_RUNS);
}

static const struct outbox_ops outbox_in_warm = {outbox_keep, outbox_drop_up_to, outbox_each};

struct outbox *warm_outbox(struct warm *w)
{
    w->outbox.ops = &outbox_in_warm;
    return &w->outbox;
}
