/* The way of a change from the call to the commit: overlay, page, queue, barrier, and what happens when there is no
 * more room.
 *
 * What must stay true: a change is in the overlay before its call returns; it is in the page, or the call said
 * TIER_UNSAFE and a barrier waits for its commit; when neither page nor disk takes any more, everything below a floor
 * is given up, so that nobody waits for ever.
 *
 * The disk decides how fast changes can come for long.  Whoever is AHEAD_MAX changes ahead of it waits until it is not:
 * for the next commit, each time.  With the page full he would wait for the commit of all there is in it. */
#include "warm/inside.h"

#include <stdlib.h>
#include "base/check.h"
#include "base/log.h"

enum { AHEAD_MAX = 1 << 18 }; /* three quarters of what the page has room for */

static uint64_t higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void op_free(struct warm *w, struct op *op)
{
    CHECK(!op->in_table);
    w->queue_bytes -= sizeof(*op) + op->size;
    free(op);
}

void warm_free_changes(struct warm *w, struct list *ops)
{
    struct list *node;
    while ((node = list_first(ops))) {
        list_remove(node);
        op_free(w, CONTAINER_OF(node, struct op, node));
    }
}

/* ======= barriers ======= */

static struct list *node_of(struct tier_barrier *b)
{
    return (struct list *)(void *)b->tier_private;
}

static struct tier_barrier *barrier_of(struct list *node)
{
    return (struct tier_barrier *)(void *)((char *)node - offsetof(struct tier_barrier, tier_private));
}

static uint64_t wants(const struct tier_barrier *b)
{
    return (uint64_t)(uintptr_t)b->tier_private[2];
}

static void wait_for(struct warm *w, struct list *waiting, struct tier_barrier *b, uint64_t sequence)
{
    b->tier_private[2] = (void *)(uintptr_t)sequence;
    list_append(waiting, node_of(b));
    writer_hurry(w->writer);
}

static void release(struct list *waiting, uint64_t reached)
{
    struct list *node;
    while ((node = list_first(waiting))) {
        struct tier_barrier *b = barrier_of(node);
        if (wants(b) > reached)
            return;
        list_remove(node);
        b->done(b);
    }
}

/* The change that must be in a commit before the newest is answered.  A disk that fails holds nobody up: there is the
 * page, and then the floor. */
static uint64_t keeps_up_from(const struct warm *w)
{
    return w->page && !w->failing && w->sequence > AHEAD_MAX ? w->sequence - AHEAD_MAX : 0;
}

static bool runs_ahead(const struct warm *w)
{
    return keeps_up_from(w) > w->last_news.committed;
}

void warm_barrier(struct tier *t, struct tier_barrier *b)
{
    struct warm *w = warm_of(t);
    if (w->kept > w->last_news.committed && !w->failing)
        wait_for(w, &w->settlers, b, w->sequence);
    else if (w->unsafe > w->safe)
        wait_for(w, &w->barriers, b, w->unsafe);
    else if (runs_ahead(w))
        wait_for(w, &w->ahead, b, keeps_up_from(w));
    else
        b->done(b);
}

void warm_settle(struct warm *w, struct tier_barrier *b)
{
    if (w->sequence <= w->last_news.committed)
        b->done(b);
    else
        wait_for(w, &w->settlers, b, w->sequence);
}

/* ======= collapse ======= */

static void became_safe(struct warm *w, uint64_t sequence)
{
    if (sequence > w->safe)
        w->safe = sequence;
    release(&w->barriers, w->safe);
}

/* What is not about anything stored, and so outlives it. */
static void queue_again(struct warm *w, struct list *ops)
{
    LIST_FOR_SAFE(node, ops)
    {
        struct op *op = CONTAINER_OF(node, struct op, node);
        if (!op_outlives_floor(op))
            continue;
        list_remove(node);
        op->sequence = ++w->sequence;
        w->kept = op->kind == OP_KEEP ? op->sequence : w->kept;
        writer_append(w->writer, op);
    }
    LIST_FOR(node, &w->settlers)
    barrier_of(node)->tier_private[2] = (void *)(uintptr_t)w->sequence;
}

/* Everything stored so far is given up: then all changes waiting for a commit are about nothing (F10).  Kills too:
 * what is stored from here on was judged against them.  Places too: an older one asks for more of the journal. */
static void collapse(struct warm *w)
{
    struct list waiting;
    list_init(&waiting);
    w->collapses++;
    w->dead_below = ++w->sequence;
    writer_collapse(w->writer, w->dead_below, &waiting);
    overlay_clear(w->overlay);
    queue_again(w, &waiting);
    warm_free_changes(w, &waiting);
    warm_free_changes(w, &w->lingering);
    log_warn("warm tier: too many changes without a commit, all entries are given up");
    if (!w->page)
        return; /* the writer puts the floor into its file, and says so */
    page_set_floor(w->page, w->dead_below);
    page_forget_all(w->page);
    became_safe(w,
                w->dead_below); /* from here on others' calls: what they change is in the page as it is now */
    release(&w->ahead, UINT64_MAX);
}

/* ======= the way of a change ======= */

static enum page_kind kind_in_page(const struct op *op, bool hard)
{
    if (op->class == OP_OF_KEY)
        return hard ? PAGE_KEY : PAGE_SOFT_KEY;
    return hard ? PAGE_NAME : PAGE_SOFT_NAME;
}

/* Position behind its record, or 0.  Globs have no room in there: they wait for their commit. */
static uint64_t write_journal(struct warm *w, const struct op *op)
{
    uint64_t end = 0;
    if (!w->page || op->need == COVER_NONE || (op->kind == OP_KILL && op->size))
        return 0;
    if (op->class == OP_OF_KEY)
        return page_append(w->page, kind_in_page(op, op->need == COVER_HARD), op->hash, op->sequence);
    if (op->hard_v)
        end = page_append(w->page, kind_in_page(op, true), op->hash, op->hard_v);
    if (op->soft_v && (end || !op->hard_v))
        end = page_append(w->page, kind_in_page(op, false), op->hash, op->soft_v);
    return end;
}

/* Behind all others.  With a full journal it rather takes the place of the old one, which then waits for a commit. */
static bool place_last(struct warm *w, struct op *old, struct op *op)
{
    op->sequence = w->sequence + 1;
    op->journal_end = write_journal(w, op);
    if (op->journal_end)
        op->cover = op->need;
    else if (old && op_may_go_ahead(old, op) && writer_replace(w->writer, old, op, true))
        return true;
    w->sequence++;
    writer_append(w->writer, op); /* first, so that what waits keeps its time */
    return old && op_is_covered_by(old, op) && writer_take_back(w->writer, old);
}

static void forget_replaced(struct warm *w, struct op *old, bool mine)
{
    if (mine)
        op_free(w, old);
    else if (old->lingering) {
        list_remove(&old->node);
        op_free(w, old);
    } /* else the writer has it and hands it back */
}

int warm_submit(struct warm *w, struct op *op)
{
    w->queue_bytes += sizeof(*op) + op->size;
    struct op *old = overlay_find(w->overlay, op->class, op->hash);
    bool mine = old && writer_replace(w->writer, old, op, false);
    if (!mine)
        mine = place_last(w, old, op);
    overlay_insert(w->overlay, op);
    if (old)
        forget_replaced(w, old, mine);
    if (!op_unsafe(op))
        return runs_ahead(w) ? TIER_UNSAFE : TIER_DONE;
    if (op->sequence > w->unsafe)
        w->unsafe = op->sequence;
    return TIER_UNSAFE;
}

/* A floor on its way into its file is enough for all who wait. */
static bool collapse_is_under_way(const struct warm *w)
{
    return !w->page && w->dead_below > w->last_news.floor_written;
}

/* Before a change looks at what it changes. */
void warm_make_room(struct warm *w)
{
    bool stuck = w->failing && w->page && page_full(w->page);
    if (stuck || overlay_count(w->overlay) >= OVERLAY_MAX)
        collapse(w);
}

void warm_queue(struct warm *w, struct op *op)
{
    w->queue_bytes += sizeof(*op) + op->size;
    op->sequence = ++w->sequence;
    op->cover = op->need;
    overlay_insert(w->overlay, op);
    list_append(&w->replayed, &op->node);
}

/* ======= news of the writer ======= */

bool warm_reads_are_over(const struct warm *w, uint64_t ticket)
{
    const struct list *oldest = list_first(&w->reads);
    return !oldest || CONTAINER_OF(oldest, struct warm_read, node)->ticket >= ticket;
}

void warm_release_lingering(struct warm *w)
{
    struct list *node;
    while ((node = list_first(&w->lingering))) {
        struct op *op = CONTAINER_OF(node, struct op, node);
        if (!warm_reads_are_over(w, op->linger))
            return;
        overlay_remove(w->overlay, op);
        list_remove(node);
        op_free(w, op);
    }
}

static void let_linger(struct warm *w, struct op *op)
{
    op->lingering = true;
    op->linger = w->tickets;
    list_append(&w->lingering, &op->node);
}

/* The usual case is that no read is under way, and then nothing lingers. */
static void retire(struct warm *w, struct list *finished)
{
    bool at_once = list_empty(&w->reads);
    warm_release_lingering(w);
    LIST_FOR_SAFE(node, finished)
    {
        struct op *op = CONTAINER_OF(node, struct op, node);
        __builtin_prefetch(CONTAINER_OF(node_next, struct op, node)); /* long out of the cache */
        if (op->in_table && !at_once) {
            let_linger(w, op);
            continue;
        }
        overlay_remove(w->overlay, op);
        op_free(w, op);
    }
}

/* A read that began before the sweep ended may bring back what the sweep removed, and keeps it in the overlay too. */
static void note_swept(struct warm *w, uint64_t v)
{
    if (v <= w->swept.v)
        return;
    w->swept.before_v = warm_swept_v(w);
    w->swept.v = v;
    w->swept.ticket = w->tickets;
}

void warm_forget_swept(struct warm *w)
{
    w->swept.v = w->swept.before_v = 0;
}

uint64_t warm_swept_v(const struct warm *w)
{
    return warm_reads_are_over(w, w->swept.ticket) ? w->swept.v : w->swept.before_v;
}

void warm_news(struct wakeup *news)
{
    struct warm *w = CONTAINER_OF(news, struct warm, news);
    struct list finished;
    list_init(&finished);
    writer_collect(w->writer, &finished, &w->last_news);
    retire(w, &finished);
    note_swept(w, w->last_news.swept_v);
    w->failing = w->last_news.failing;
    became_safe(w, higher(w->last_news.committed, w->page ? 0 : w->last_news.floor_written));
    release(&w->settlers, w->last_news.committed);
    release(&w->ahead, w->failing ? UINT64_MAX : w->last_news.committed);
    if (w->failing && !list_empty(&w->barriers) && !collapse_is_under_way(w))
        collapse(w);
    w->exited = w->last_news.exited;
    warm_maybe_closed(w);
}
