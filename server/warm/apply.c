/* A batch becomes one transaction: effects, floors and the number of the last change in it (I6), or nothing.
 *
 * Within it the order is the databases' own, since changes of different keys do not see each other and a half-done
 * transaction nobody sees: see env_append. */
#include "warm/writer_inside.h"

#include <stdlib.h>
#include <string.h>
#include "base/check.h"

static uint64_t higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static int apply_hot(struct env_txn *t, const struct op *op, bool with_puts)
{
    if (!with_puts)
        return 0;
    const uint64_t *words = (const uint64_t *)(const void *)op->bytes;
    return env_save_hot(t, words[0], words + 1, op->size / (uint32_t)sizeof(*words) - 1);
}

/* ======= places ======= */

/* What the transaction fixes besides its effects. */
struct after {
    struct env_state state;
    struct env_place places[SHM_PARTITIONS];
    uint64_t places_changed; /* a bit a partition */
};

static void set_place(struct after *after, const struct op *op)
{
    struct env_place *place = &after->places[op->partition], next;
    memcpy(&next, op->bytes, sizeof(next));
    if (next.epoch == place->epoch)
        next.newest = place->newest;
    *place = next;
    after->places_changed |= 1ull << op->partition;
}

/* Entries read from the fleet may be ahead of what is applied here. */
static void note_newest(struct after *after, const struct op *op)
{
    struct env_place *place = &after->places[op->partition];
    if (!after->state.partitions || op->epoch != place->epoch ||
        op->v <= higher(place->applied, place->newest))
        return;
    place->newest = op->v;
    after->places_changed |= 1ull << op->partition;
}

static int save_places(struct env_txn *t, const struct after *after)
{
    int rc = 0;
    for (unsigned p = 0; p < SHM_PARTITIONS && rc == 0; p++)
        if (after->places_changed >> p & 1)
            rc = env_save_place(t, p, &after->places[p]);
    return rc;
}

/* ======= first: in the order of changes ======= */

static int apply_kill(struct env_txn *t, const struct op *op)
{
    int rc = env_kill(t, op->hash, op->hard_v, op->soft_v);
    if (rc == 0 && op->size)
        rc = env_save_glob(t, kills_ban_place(op->hash), slice_of(op->bytes, op->size));
    return rc;
}

static int note_key(struct writer *w, struct env_txn *t, const struct op *op, bool with_puts,
                    struct after *after)
{
    if (op->kind == OP_PUT)
        note_newest(after, op);
    w->keyed[w->keyed_count++] = (struct keyed){op->hash, op->sequence, op};
    return op->kind == OP_PUT && with_puts ? env_append(t, op->sequence, slice_of(op->bytes, op->size)) : 0;
}

static int apply_in_order(struct writer *w, struct env_txn *t, const struct op *op, bool with_puts,
                          struct after *after)
{
    switch (op->kind) {
    case OP_PUT:
    case OP_DROP:
    case OP_LIFE: return note_key(w, t, op, with_puts, after);
    case OP_KILL: return apply_kill(t, op);
    case OP_HOT: return apply_hot(t, op, with_puts);
    case OP_PLACE: set_place(after, op); return 0;
    case OP_KEEP: return env_keep(t, ENV_OUTBOX, op->hash, slice_of(op->bytes, op->size));
    case OP_SENT: return env_drop_kept(t, ENV_OUTBOX, op->hash);
    case OP_NOTE: return with_puts ? env_keep(t, op->kept, op->hash, slice_of(op->bytes, op->size)) : 0;
    case OP_NOTED: return env_drop_kept(t, op->kept, op->hash);
    case OP_EPOCH: set_place(after, op); return env_forget_kills(t, op->partition, w->setup.partitions);
    }
    WRONG("a change of no kind");
}

/* ======= then: in the order of hashes ======= */

static int by_hash(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    if (x->hash == y->hash) /* changes of one key stay in their order */
        return (x->sequence > y->sequence) - (x->sequence < y->sequence);
    return x->hash < y->hash ? -1 : 1;
}

/* Without puts what is left of one is the half that is never dropped. */
static int apply_to_name(struct writer *w, struct env_txn *t, const struct op *op, bool with_puts,
                         struct tally *tally, uint64_t *ret_old)
{
    struct record_clock now;
    int rc;
    *ret_old = 0;
    switch (op->kind) {
    case OP_PUT:
        tally->puts += with_puts;
        tally->puts_dropped += !with_puts;
        return with_puts ? env_name(t, op->hash, op->sequence, ret_old)
                         : env_unname(t, op->hash, op->epoch, UINT64_MAX, ret_old);
    case OP_DROP:
        rc = env_unname(t, op->hash, op->epoch, op->v, ret_old);
        tally->deletes += rc == 0;
        return rc;
    default: now = writer_clock(w); return env_relife(t, op->hash, op->change, &now);
    }
}

static int apply_names(struct writer *w, struct env_txn *t, bool with_puts, struct tally *tally)
{
    int rc = 0;
    qsort(w->keyed, w->keyed_count, sizeof(w->keyed[0]), by_hash);
    for (uint32_t n = 0; n < w->keyed_count && rc >= 0; n++) {
        uint64_t old;
        rc = apply_to_name(w, t, w->keyed[n].op, with_puts, tally, &old);
        if (old)
            w->old[w->old_count++] = old;
    }
    return rc;
}

/* ======= last: what has no name any more ======= */

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int forget_old(struct writer *w, struct env_txn *t)
{
    int rc = 0;
    qsort(w->old, w->old_count, sizeof(w->old[0]), by_number);
    for (uint32_t n = 0; n < w->old_count && rc >= 0; n++)
        rc = env_forget(t, w->old[n]);
    return rc;
}

/* ======= all of it ======= */

/* Changes below the floor are overtaken by it: whatever they were about is dead. */
static int apply_all(struct writer *w, struct env_txn *t, bool with_puts, struct after *after,
                     struct tally *tally)
{
    struct env_state *state = &after->state;
    int rc = 0;
    w->keyed_count = w->old_count = 0;
    LIST_FOR(node, &w->batch)
    {
        const struct op *op = CONTAINER_OF(node, struct op, node);
        bool overtaken = op->sequence < state->dead_below && !op_outlives_floor(op);
        rc = overtaken ? 0 : apply_in_order(w, t, op, with_puts, after);
        if (rc < 0)
            return rc;
        state->applied = op->sequence;
    }
    state->applied = higher(state->applied, state->dead_below); /* the floor is a change itself */
    rc = apply_names(w, t, with_puts, tally);
    if (rc >= 0)
        rc = forget_old(w, t);
    if (rc >= 0)
        rc = save_places(t, after);
    return rc < 0 ? rc : env_save(t, state);
}

int apply_batch(struct writer *w, bool with_puts, struct tally *ret)
{
    struct after next = {.state = w->state};
    struct env_txn t;
    memcpy(next.places, w->places, sizeof(next.places));
    *ret = (struct tally){0};
    int rc = env_begin(w->setup.env, &t);
    if (rc)
        return rc;
    pthread_mutex_lock(&w->lock);
    next.state.dead_below = w->floor;
    pthread_mutex_unlock(&w->lock);
    rc = apply_all(w, &t, with_puts, &next, ret);
    if (rc < 0) {
        env_abort(&t);
        return rc;
    }
    rc = env_commit(&t);
    if (rc)
        return rc;
    w->state = next.state;
    memcpy(w->places, next.places, sizeof(w->places));
    return 0;
}
