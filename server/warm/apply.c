/* A batch becomes one transaction: effects, floors and the number of the last change in it (I6), or nothing. */
#include "warm/writer_inside.h"

#include "base/check.h"

static uint64_t higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static int apply_put(struct writer *w, struct env_txn *t, const struct op *op, bool with_puts,
                     struct tally *tally)
{
    if (!with_puts) {
        tally->puts_dropped++;
        return env_drop(t, op->hash, w->state.epoch, UINT64_MAX); /* the half that is never dropped */
    }
    tally->puts++;
    return env_put(t, op->sequence, op->hash, slice_of(op->bytes, op->size));
}

static int apply_drop(struct writer *w, struct env_txn *t, const struct op *op, struct tally *tally)
{
    int rc = env_drop(t, op->hash, w->state.epoch, op->v);
    tally->deletes += rc == 0;
    return rc;
}

static int apply_hot(struct env_txn *t, const struct op *op, bool with_puts)
{
    if (!with_puts)
        return 0;
    return env_save_hot(t, (const uint64_t *)(const void *)op->bytes, op->size / (uint32_t)sizeof(uint64_t));
}

static int apply(struct writer *w, struct env_txn *t, const struct op *op, bool with_puts,
                 struct env_state *state, struct tally *tally)
{
    struct record_clock now = writer_clock(w);
    switch (op->kind) {
    case OP_PUT: return apply_put(w, t, op, with_puts, tally);
    case OP_DROP: return apply_drop(w, t, op, tally);
    case OP_LIFE: return env_relife(t, op->hash, op->change, &now);
    case OP_KILL: return env_kill(t, op->hash, op->hard_v, op->soft_v);
    case OP_HOT: return apply_hot(t, op, with_puts);
    case OP_FLOOR:
        state->floor_v = higher(state->floor_v, op->hard_v);
        state->soft_floor_v = higher(state->soft_floor_v, op->soft_v);
        return 0;
    }
    WRONG("a change of no kind");
}

/* Changes below the floor are overtaken by it: whatever they were about is dead. */
static int apply_all(struct writer *w, struct env_txn *t, bool with_puts, struct env_state *state,
                     struct tally *tally)
{
    LIST_FOR(node, &w->taken)
    {
        const struct op *op = CONTAINER_OF(node, struct op, node);
        int rc = op->sequence < state->dead_below ? 0 : apply(w, t, op, with_puts, state, tally);
        if (rc < 0)
            return rc;
        state->applied = op->sequence;
    }
    state->applied = higher(state->applied, state->dead_below); /* the floor is a change itself */
    return env_save(t, state);
}

int apply_taken(struct writer *w, bool with_puts, struct tally *ret)
{
    struct env_state next = w->state;
    struct env_txn t;
    *ret = (struct tally){0};
    int rc = env_begin(w->setup.env, &t);
    if (rc)
        return rc;
    pthread_mutex_lock(&w->lock);
    next.dead_below = w->floor;
    pthread_mutex_unlock(&w->lock);
    rc = apply_all(w, &t, with_puts, &next, ret);
    if (rc < 0) {
        env_abort(&t);
        return rc;
    }
    rc = env_commit(&t);
    if (rc == 0)
        w->state = next;
    return rc;
}
