/* Reads.  The order (D17): overlay, then LMDB, then the checksum, epoch, end, and the exact kills.
 *
 * A read on the pool sees the database as it was when it ran; what was changed meanwhile is in the overlay when it
 * comes back, since changes linger there until no such read is under way. */
#include "warm/inside.h"

#include <stdlib.h>
#include "base/check.h"
#include "base/clock.h"

/* ======= judging what was found ======= */

static struct record_clock clock_for(const struct warm *w, const struct record *r, uint64_t now_ns)
{
    bool own =
        r->boot == w->boot && w->boot != 0; /* then the wall clock does not matter, and costs nothing */
    return (struct record_clock){w->boot, now_ns, own ? 0 : clock_wall_ns()};
}

int warm_judge(struct warm *w, struct slice bytes, uint64_t sequence, const struct op *op, uint64_t now_ns,
               struct entry *ret, enum miss_reason *ret_reason)
{
    struct record r;
    *ret_reason = MISS_COLD;
    bool intact = op && op->kind == OP_PUT ? record_decode_unchecked(bytes, &r) : record_decode(bytes, &r);
    if (!intact || r.entry.epoch != w->epochs[warm_partition(w, r.entry.key)])
        return TIER_MISSED;
    struct record_clock now = clock_for(w, &r, now_ns);
    bool lives = record_reckon(&r, &now);
    if (op && op->kind == OP_LIFE)
        record_apply(op->change, &r.entry);
    enum verdict verdict = kills_judge(w->kills, r.entry.key, r.entry.tags, r.entry.tags_count, r.entry.v);
    bool dead = verdict == DEAD || (sequence && sequence < w->dead_below);
    *ret_reason = dead ? MISS_INVALIDATED : MISS_EXPIRED;
    *ret = r.entry;
    if (dead || !lives)
        return TIER_MISSED;
    if (verdict == SOFTENED) {
        r.entry.stale = true;
        r.entry.soft_ns = r.entry.soft_ns < now_ns ? r.entry.soft_ns : now_ns;
    }
    r.entry.suspect = verdict == SUSPECT;
    *ret = r.entry;
    return TIER_FOUND;
}

/* A record that is not one is a miss; it is removed and counted. */
static void remove_bad(struct warm *w, const struct tier_read *read)
{
    w->bad++;
    struct op *op = op_create(OP_DROP, OP_OF_KEY, read->key_hash, 0);
    op->epoch = w->epochs[warm_partition(w, read->key)];
    op->v = UINT64_MAX;
    warm_submit(w, op);
}

static int answer(struct warm *w, struct tier_read *read, struct slice bytes, uint64_t sequence,
                  const struct op *op)
{
    struct record r;
    int outcome = warm_judge(w, bytes, sequence, op, read->now_ns, &read->entry, &read->reason);
    if (outcome == TIER_MISSED && !slice_equal(read->entry.key, read->key))
        read->entry.tags_count = 0;
    if (outcome == TIER_FOUND && !slice_equal(read->entry.key, read->key)) {
        outcome = TIER_MISSED; /* another key with the same 64 bits */
        read->reason = MISS_COLD;
    }
    bool found = outcome == TIER_FOUND;
    w->hits += found;
    w->misses += !found;
    if (!found && read->reason == MISS_COLD && !op && !record_decode(bytes, &r))
        remove_bad(w, read);
    return outcome;
}

static int missed(struct warm *w, struct tier_read *read, enum miss_reason reason)
{
    w->misses++;
    read->reason = reason;
    return TIER_MISSED;
}

/* What the overlay says by itself; TIER_PENDING: it must be read (and changed by `op`, if there is one). */
static int answer_from_overlay(struct warm *w, struct tier_read *read, const struct op *op)
{
    if (op && op->kind == OP_DROP)
        return missed(w, read, op->need ? MISS_INVALIDATED : MISS_COLD);
    if (op && op->kind == OP_PUT)
        return answer(w, read, slice_of(op->bytes, op->size), 0, op);
    return TIER_PENDING;
}

/* ======= on the pool ======= */

struct pool_read {
    struct offload offload;
    struct warm_read under_way;
    struct warm *warm;
    struct tier_read *read;
    uint64_t hash, sequence;
    struct env_buffer buffer;
    int rc;
};

void warm_read_begin(struct warm *w, struct warm_read *r)
{
    r->ticket = w->tickets++;
    list_append(&w->reads, &r->node);
}

void warm_read_end(struct warm *w, struct warm_read *r)
{
    list_remove(&r->node);
    warm_release_lingering(w);
    warm_maybe_closed(w);
}

static void read_on_pool(struct offload *offload)
{
    struct pool_read *p = CONTAINER_OF(offload, struct pool_read, offload);
    struct env_reader *r = env_reader_create(p->warm->env);
    p->rc = r ? env_fetch(r, p->hash, &p->buffer, &p->sequence) : ENV_NONE;
    env_reader_destroy(r);
}

static void pool_read_done(struct offload *offload)
{
    struct pool_read *p = CONTAINER_OF(offload, struct pool_read, offload);
    struct warm *w = p->warm;
    struct tier_read *read = p->read;
    const struct op *op = overlay_find(w->overlay, OP_OF_KEY, p->hash);
    int outcome = answer_from_overlay(w, read, op);
    if (outcome == TIER_PENDING)
        outcome = p->rc == 0 ? answer(w, read, slice_of(p->buffer.data, p->buffer.size), p->sequence, op)
                             : missed(w, read, MISS_COLD);
    read->done(read, outcome);
    warm_read_end(w, &p->under_way);
    env_buffer_free(&p->buffer);
    free(p);
}

static int start_on_pool(struct warm *w, struct tier_read *read)
{
    struct pool_read *p = must_alloc(sizeof(*p));
    p->offload.work = read_on_pool;
    p->offload.done = pool_read_done;
    p->warm = w;
    p->read = read;
    p->hash = read->key_hash;
    w->offloaded++;
    warm_read_begin(w, &p->under_way);
    offload_start(w->loop, &p->offload);
    return TIER_PENDING;
}

/* ======= inline ======= */

enum { FOUND_KEPT_BYTES = 1 << 20 }; /* a larger copy is given back at the next read */

static int read_inline(struct warm *w, struct tier_read *read, const struct op *op)
{
    uint64_t sequence;
    if (w->found.room > FOUND_KEPT_BYTES)
        env_buffer_free(&w->found);
    if (env_fetch(w->reader, read->key_hash, &w->found, &sequence) != 0)
        return missed(w, read, MISS_COLD);
    return answer(w, read, slice_of(w->found.data, w->found.size), sequence, op);
}

int warm_get(struct tier *t, struct tier_read *read)
{
    struct warm *w = warm_of(t);
    const struct op *op = overlay_find(w->overlay, OP_OF_KEY, read->key_hash);
    int outcome = answer_from_overlay(w, read, op);
    if (outcome != TIER_PENDING)
        return outcome;
    if (w->reader && writer_file_is_resident(w->writer))
        return read_inline(w, read, op);
    return start_on_pool(w, read);
}
