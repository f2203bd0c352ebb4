/* The restart: entries handed over for L1, the saved hot set first, then the newest.
 *
 * A batch is read on the pool, copied, and judged on the loop against overlay and kills; then the next one is asked
 * for.  So a turn has at most one batch, and no page of a cold file is waited for on the loop. */
#include "warm/inside.h"

#include <stdlib.h>
#include <string.h>
#include "base/check.h"

enum {
    BATCH_RECORDS = 128,
    BATCH_BYTES = 1 << 20, /* about 100 µs of copying into L1 */
};

struct batch_record {
    uint64_t sequence;
    size_t offset, size;
};

struct restore {
    struct offload offload;
    struct warm_read under_way;
    struct warm *warm;
    bool (*take)(void *user, const struct entry *e);
    void (*done)(void *user, uint64_t taken);
    void *user;
    uint64_t *hot;
    uint32_t hot_count, hot_at;
    uint64_t below;     /* newest first: the next sequence is lower than this */
    uint64_t first_new; /* records from here on were put by this run: L1 had its chance */
    bool hot_loaded, at_end, cancelled;
    uint64_t taken;
    unsigned count;
    struct batch_record records[BATCH_RECORDS];
    char *bytes;
    size_t bytes_used, bytes_room;
};

/* ======= on the pool ======= */

static void keep(struct restore *r, uint64_t sequence, struct slice bytes)
{
    if (r->bytes_used + bytes.size > r->bytes_room) {
        r->bytes_room = (r->bytes_used + bytes.size) * 2;
        r->bytes = must_realloc(r->bytes, r->bytes_room);
    }
    if (bytes.size)
        memcpy(r->bytes + r->bytes_used, bytes.data, bytes.size);
    r->records[r->count++] = (struct batch_record){sequence, r->bytes_used, bytes.size};
    r->bytes_used += bytes.size;
}

static bool batch_is_full(const struct restore *r)
{
    return r->count == BATCH_RECORDS || r->bytes_used >= BATCH_BYTES;
}

static void read_hot(struct restore *r, struct env_reader *reader)
{
    struct env_buffer found = {0};
    uint64_t sequence;
    while (r->hot_at < r->hot_count && !batch_is_full(r))
        if (env_fetch(reader, r->hot[r->hot_at++], &found, &sequence) == 0)
            keep(r, sequence, slice_of(found.data, found.size));
    env_buffer_free(&found);
}

static bool keep_newest(void *restore, uint64_t sequence, struct slice bytes)
{
    struct restore *r = restore;
    if (batch_is_full(r))
        return false;
    keep(r, sequence, bytes);
    r->below = sequence;
    return true;
}

static void read_batch(struct offload *offload)
{
    struct restore *r = CONTAINER_OF(offload, struct restore, offload);
    struct env_reader *reader = env_reader_create(r->warm->env);
    if (!r->hot_loaded)
        env_load_hot(r->warm->env, &r->hot, &r->hot_count);
    r->hot_loaded = true;
    if (reader && r->hot_at < r->hot_count)
        read_hot(r, reader);
    else
        r->at_end = !reader || env_walk(reader, r->below, true, keep_newest, r) != 0;
    env_reader_destroy(reader);
}

/* ======= on the loop ======= */

static bool offer(struct restore *r, const struct batch_record *record)
{
    struct warm *w = r->warm;
    struct slice bytes = slice_of(r->bytes + record->offset, record->size);
    struct record decoded;
    struct entry e;
    enum miss_reason reason;
    if (record->sequence >= r->first_new || !record_decode_unchecked(bytes, &decoded))
        return true;
    const struct op *op = overlay_find(w->overlay, OP_OF_KEY, decoded.entry.key_hash);
    if (op && op->kind != OP_LIFE)
        return true; /* changed since */
    if (warm_judge(w, bytes, record->sequence, op, loop_now_ns(w->loop), &e, &reason) != TIER_FOUND)
        return true;
    if (e.suspect)
        return true; /* L1 has no place for one that must be asked for: it would be born after its own floor */
    if (!r->take(r->user, &e))
        return false;
    r->taken++;
    return true;
}

static bool offer_batch(struct restore *r)
{
    for (unsigned n = 0; n < r->count; n++)
        if (!offer(r, &r->records[n]))
            return false;
    return !r->at_end;
}

static void finish(struct restore *r)
{
    struct warm *w = r->warm;
    w->restore = NULL;
    w->restored = r->taken;
    r->done(r->user, r->taken);
    warm_read_end(w, &r->under_way);
    free(r->hot);
    free(r->bytes);
    free(r);
}

static void start_batch(struct restore *r)
{
    r->count = 0;
    r->bytes_used = 0;
    warm_read_begin(r->warm, &r->under_way);
    offload_start(r->warm->loop, &r->offload);
}

static void batch_done(struct offload *offload)
{
    struct restore *r = CONTAINER_OF(offload, struct restore, offload);
    bool goes_on = !r->cancelled && offer_batch(r);
    r->warm->restores_hot = goes_on && r->hot_at < r->hot_count;
    if (!goes_on) {
        finish(r);
        return;
    }
    warm_read_end(r->warm, &r->under_way);
    start_batch(r);
}

void warm_restore(struct warm *w, bool (*take)(void *user, const struct entry *e),
                  void (*done)(void *user, uint64_t taken), void *user)
{
    CHECK(w->started && !w->restore);
    struct restore *r = must_alloc(sizeof(*r));
    w->restore = r;
    r->offload.work = read_batch;
    r->offload.done = batch_done;
    r->warm = w;
    r->take = take;
    r->done = done;
    r->user = user;
    r->below = r->first_new = w->sequence + 1;
    w->restores_hot = true;
    start_batch(r);
}

void warm_restore_cancel(struct warm *w)
{
    if (w->restore)
        w->restore->cancelled = true; /* its batch comes back, and is not offered */
}

bool warm_restores_hot(const struct warm *w)
{
    return w->restores_hot;
}
