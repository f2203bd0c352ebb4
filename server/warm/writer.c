/* What must stay true: whatever is shared with the loop is touched under the lock, and the lock is held for a few
 * stores, never over LMDB; a batch is handed back only after its commit succeeded; after `exited` nothing of the
 * loop is touched any more. */
#include "warm/writer_inside.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "warm/stamp.h"

/* A transaction copies each page it touches and gives the old ones back two transactions later; a change touches two
 * pages or so besides what it brings.  These stay well below the 15 % of the map that are kept free. */
enum {
    BATCH_OPS_LEAST = 1000,
    BATCH_OPS_MOST = 65536, /* and half of the pages LMDB keeps in mind in a transaction */
    BATCH_BYTES_MOST = 32 << 20,
    MAP_BYTES_PER_OP = 128 << 10,
    MAP_SHARE = 64,
    NICE = 5, /* the loop goes first when there are fewer cores than threads */
    EVICTIONS_A_TRY = 256,
    EVICTION_TRIES = 16, /* 4,096 entries make room for the largest value, or something else is wrong */
};

#define PAUSE_MIN_NS (100 * NS_PER_MS) /* after a failed commit; doubles */
#define PAUSE_MAX_NS (5 * NS_PER_S)    /* the longest a mended disk is not noticed */

static const char no_room[] = "no room on the disk: new entries are not kept, removals are";
static const char full_disk[] = "the disk is full: older entries go for new ones";
static const char failing_commits[] = "commits fail: changes are held in memory";
static const char poisoned[] = "the floor could not be written: the file is removed, the next start is empty";

struct record_clock writer_clock(const struct writer *w)
{
    return (struct record_clock){w->setup.boot, clock_boot_ns(), clock_wall_ns()};
}

/* ======= loop thread ======= */

static uint64_t higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void count_in(struct writer *w, const struct op *op)
{
    w->newest.sequence = higher(w->newest.sequence, op->sequence);
    if (op->kind == OP_KILL && w->setup.partitions == 1)
        w->newest.kill_v = higher(w->newest.kill_v, higher(op->hard_v, op->soft_v));
    if (op->kind == OP_EPOCH) {
        w->newest.kill_v = w->news.swept_v = 0;
        w->newest.epochs++;
    }
    w->waiting_count++;
    w->waiting_bytes += op->size;
}

static void count_out(struct writer *w, const struct op *op)
{
    w->waiting_count--;
    w->waiting_bytes -= op->size;
}

/* Worth waking the thread: the first change starts the clock, a full batch need not wait for it. */
static bool is_due(const struct writer *w)
{
    return w->hurry || w->stopping || w->waiting_count >= w->batch_ops_max ||
           w->waiting_bytes >= w->batch_bytes_max;
}

void writer_append(struct writer *w, struct op *op)
{
    pthread_mutex_lock(&w->lock);
    bool first = list_empty(&w->waiting), was_due = is_due(w);
    list_append(&w->waiting, &op->node);
    count_in(w, op);
    if (first)
        w->due_ns = clock_after(clock_boot_ns(), w->setup.options->warm_commit_every);
    if (first || was_due != is_due(w))
        pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

/* Sequences rise along the queue, and one that takes the place of another takes its sequence too. */
static bool is_waiting(const struct writer *w, const struct op *op)
{
    return op->sequence > w->taken_sequence;
}

bool writer_replace(struct writer *w, struct op *old, struct op *op, bool anyway)
{
    pthread_mutex_lock(&w->lock);
    bool replaced = is_waiting(w, old) && (anyway || op_may_inherit(old, op));
    if (replaced) {
        op_inherit(old, op);
        list_append(&old->node, &op->node); /* before the old one, which leaves */
        list_remove(&old->node);
        count_out(w, old);
        count_in(w, op);
    }
    pthread_mutex_unlock(&w->lock);
    return replaced;
}

bool writer_take_back(struct writer *w, struct op *old)
{
    pthread_mutex_lock(&w->lock);
    bool waits = is_waiting(w, old);
    if (waits) {
        list_remove(&old->node);
        count_out(w, old);
    }
    pthread_mutex_unlock(&w->lock);
    return waits;
}

void writer_hurry(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->hurry = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

/* From the first up to `last`, behind what is in `to`; without touching those between. */
static void move_up_to(struct list *from, struct list *last, struct list *to)
{
    struct list *first = from->next;
    from->next = last->next;
    last->next->prev = from;
    first->prev = to->prev;
    to->prev->next = first;
    last->next = to;
    to->prev = last;
}

static void move_all(struct list *from, struct list *to)
{
    if (!list_empty(from))
        move_up_to(from, from->prev, to);
}

void writer_collapse(struct writer *w, uint64_t sequence, struct list *ret_waiting)
{
    pthread_mutex_lock(&w->lock);
    w->floor = sequence;
    move_all(&w->waiting, ret_waiting);
    w->waiting_count = w->waiting_bytes = 0;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

void writer_stop(struct writer *w, uint64_t deadline_ns)
{
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    w->stop_by_ns = deadline_ns;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

void writer_collect(struct writer *w, struct list *ret_finished, struct writer_news *ret)
{
    pthread_mutex_lock(&w->lock);
    move_all(&w->finished, ret_finished);
    *ret = w->news;
    pthread_mutex_unlock(&w->lock);
}

void writer_measure(struct writer *w, struct writer_figures *ret)
{
    pthread_mutex_lock(&w->lock);
    *ret = w->figures;
    pthread_mutex_unlock(&w->lock);
}

bool writer_refuses_puts(const struct writer *w, uint64_t now_ns)
{
    return now_ns < atomic_load_explicit(&w->refuse_puts_until_ns, memory_order_relaxed);
}

bool writer_file_is_resident(const struct writer *w)
{
    return atomic_load_explicit(&w->resident, memory_order_relaxed);
}

void writer_mute(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->muted = true;
    pthread_mutex_unlock(&w->lock);
}

/* ======= warm thread: waiting ======= */

void writer_tell(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    if (!w->muted)
        wakeup_send(w->setup.news);
    pthread_mutex_unlock(&w->lock);
}

/* With the lock held, until somebody signals or the time has come. */
static void wait_until(struct writer *w, uint64_t boot_ns)
{
    uint64_t now = clock_boot_ns();
    uint64_t at = clock_after(clock_mono_ns(), boot_ns > now ? boot_ns - now : 0);
    struct timespec until = {.tv_sec = (time_t)(at / NS_PER_S), .tv_nsec = (long)(at % NS_PER_S)};
    if (boot_ns > now)
        pthread_cond_timedwait(&w->work, &w->lock, &until);
}

/* A few stores, however many they are. */
static void take_waiting(struct writer *w)
{
    if (!list_empty(&w->waiting))
        w->taken_sequence = CONTAINER_OF(w->waiting.prev, struct op, node)->sequence;
    move_all(&w->waiting, &w->taken);
    w->waiting_count = w->waiting_bytes = 0;
    w->hurry = false;
}

/* Also waits for a floor that must be committed though no change waits. */
static bool something_to_commit(const struct writer *w)
{
    return !list_empty(&w->waiting) || !list_empty(&w->taken) || w->floor != w->state.dead_below;
}

/* false: stopped, and nothing is left to do. */
static bool wait_for_work(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    bool idle_stop = false;
    for (;;) {
        uint64_t now = clock_boot_ns(), tend_at = tend_next_ns(w);
        bool some = something_to_commit(w);
        idle_stop = w->stopping && (!some || now >= w->stop_by_ns);
        if (!some)
            w->hurry = false;
        if (idle_stop || !list_empty(&w->taken) || (some && (is_due(w) || now >= w->due_ns)) ||
            now >= tend_at)
            break;
        wait_until(w, some && w->due_ns < tend_at ? w->due_ns : tend_at);
    }
    if (!idle_stop && list_empty(&w->taken) && (is_due(w) || clock_boot_ns() >= w->due_ns))
        take_waiting(w);
    pthread_mutex_unlock(&w->lock);
    return !idle_stop;
}

/* ======= warm thread: commits ======= */

/* Without a page the floor goes into a few bytes of a file written long before: that needs no room on the disk. */
static void write_floor(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    uint64_t floor = w->floor, written = w->news.floor_written;
    pthread_mutex_unlock(&w->lock);
    if (floor == written || w->setup.page)
        return;
    const uint64_t words[2] = {w->state.epoch, floor};
    bool ok = pwrite(w->setup.floor_file, words, sizeof(words), 0) == (ssize_t)sizeof(words);
    bool gone = !ok && unlink(w->setup.data_path) == 0;
    pthread_mutex_lock(&w->lock);
    w->news.floor_written = ok || gone ? floor : written;
    w->news.trouble = ok ? w->news.trouble : poisoned;
    pthread_mutex_unlock(&w->lock);
    writer_tell(w);
}

static uint64_t journal_end_of(const struct list *ops)
{
    uint64_t end = 0;
    LIST_FOR(node, ops)
    {
        const struct op *op = CONTAINER_OF(node, struct op, node);
        if (op->journal_end > end)
            end = op->journal_end;
    }
    return end;
}

static void succeeded(struct writer *w, const struct tally *tally)
{
    if (w->setup.page) {
        page_forget(w->setup.page, journal_end_of(&w->batch), w->state.applied);
        page_set_stamp(w->setup.page, stamp_of_file(env_file(w->setup.env)));
    }
    tend_measure(w); /* so that the figures are not older than the news */
    pthread_mutex_lock(&w->lock);
    move_all(&w->batch, &w->finished);
    w->news.committed = w->state.applied;
    w->news.failing = false;
    if (tally->puts_dropped)
        w->news.trouble = no_room;
    else if (tally->puts || w->puts_failed == 0)
        w->news.trouble = w->disk_full ? full_disk : NULL;
    w->figures.commits++;
    w->figures.puts += tally->puts;
    w->figures.puts_dropped += tally->puts_dropped;
    w->figures.deletes += tally->deletes;
    pthread_mutex_unlock(&w->lock);
    writer_tell(w);
}

static void failed(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    bool first = !w->news.failing;
    w->news.failing = true;
    w->news.trouble = failing_commits;
    pthread_mutex_unlock(&w->lock);
    if (first)
        log_error("warm tier: commits fail, changes are held in memory");
    writer_tell(w);
}

static void count_failure(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->figures.commits_failed++;
    pthread_mutex_unlock(&w->lock);
}

/* ---- the batch ---- */

static void fill_batch(struct writer *w)
{
    uint64_t bytes = 0;
    uint32_t count = 0;
    struct list *last = NULL;
    if (!list_empty(&w->batch) || list_empty(&w->taken))
        return;
    LIST_FOR(node, &w->taken)
    {
        bytes += CONTAINER_OF(node, struct op, node)->size;
        if (last && (count == w->batch_ops || bytes > w->batch_bytes_max))
            break;
        last = node;
        count++;
    }
    move_up_to(&w->taken, last, &w->batch);
}

/* The later half goes back to the others. */
static void halve_batch(struct writer *w)
{
    struct list later;
    uint32_t count = 0, keep = 0;
    LIST_FOR(node, &w->batch)
    count++;
    list_init(&later);
    struct list *last = &w->batch;
    for (; keep < (count + 1) / 2; keep++)
        last = last->next;
    w->batch_ops = keep > 1 ? keep : 1;
    if (keep == count)
        return;
    move_all(&w->batch, &later);
    move_up_to(&later, last, &w->batch);
    move_all(&w->taken, &later);
    move_all(&later, &w->taken);
}

static void grow_batch(struct writer *w)
{
    w->batch_ops = w->batch_ops < w->batch_ops_max / 2 ? 2 * w->batch_ops : w->batch_ops_max;
}

static void note_disk(struct writer *w, int rc)
{
    if (rc != ENV_NO_DISK || w->disk_full)
        return;
    w->disk_full = true;
    log_error("warm tier: the disk is full, older entries go for new ones");
}

/* Evicts and tries again as long as evicting does something. */
static int try_with_room(struct writer *w, bool with_puts, struct tally *ret)
{
    int rc = apply_batch(w, with_puts, ret);
    for (unsigned n = 0; n < EVICTION_TRIES && env_wants_room(rc); n++) {
        count_failure(w);
        note_disk(w, rc);
        if (tend_evict(w, EVICTIONS_A_TRY) == 0)
            break;
        halve_batch(w);
        rc = apply_batch(w, with_puts, ret);
    }
    if (rc)
        count_failure(w);
    return rc;
}

static uint64_t pause_ns(unsigned failures)
{
    uint64_t pause = PAUSE_MIN_NS << (failures < 6 ? failures : 6);
    return pause < PAUSE_MAX_NS ? pause : PAUSE_MAX_NS;
}

/* Puts are refused for a while after they failed; the first that succeed again end it. */
static void judge_puts(struct writer *w, const struct tally *tally)
{
    if (tally->puts_dropped) {
        if (w->puts_failed == 0)
            log_error("warm tier: no room, new entries are not kept");
        atomic_store(&w->refuse_puts_until_ns, clock_after(clock_boot_ns(), pause_ns(w->puts_failed)));
        w->puts_failed++;
    } else if (tally->puts && w->puts_failed) {
        log_info("warm tier: entries are kept again");
        w->puts_failed = 0;
    }
}

/* false: time to stop. */
static bool pause_after(struct writer *w, unsigned failures)
{
    uint64_t until = clock_after(clock_boot_ns(), pause_ns(failures));
    pthread_mutex_lock(&w->lock);
    uint64_t floor = w->floor;
    while (!w->stopping && w->floor == floor && clock_boot_ns() < until)
        wait_until(w, until);
    bool go_on = !w->stopping || clock_boot_ns() < w->stop_by_ns;
    if (w->stopping && go_on)
        wait_until(w, clock_after(clock_boot_ns(), PAUSE_MIN_NS)); /* no busy loop until the deadline */
    pthread_mutex_unlock(&w->lock);
    return go_on;
}

/* false: gave up because the daemon stops. */
static bool commit_batch(struct writer *w)
{
    struct tally tally;
    fill_batch(w);
    for (unsigned failures = 0;; failures++) {
        write_floor(w);
        int rc = try_with_room(w, true, &tally);
        if (rc && tally.puts)
            rc = try_with_room(w, false, &tally);
        if (rc == 0)
            break;
        failed(w);
        if (!pause_after(w, failures))
            return false;
    }
    grow_batch(w);
    judge_puts(w, &tally);
    succeeded(w, &tally);
    return true;
}

static bool is_committed(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    bool all = list_empty(&w->taken) && list_empty(&w->batch) && w->floor == w->state.dead_below;
    pthread_mutex_unlock(&w->lock);
    return all;
}

/* ======= warm thread: life ======= */

static bool mark_clean(struct writer *w)
{
    struct env_txn t;
    struct env_state state = w->state;
    state.clean = true;
    if (env_begin(w->setup.env, &t) != 0)
        return false;
    int rc = env_save(&t, &state);
    if (rc < 0) {
        env_abort(&t);
        return false;
    }
    rc = env_commit(&t);
    if (rc == 0 && w->setup.page)
        page_set_stamp(w->setup.page, stamp_of_settled_file(env_file(w->setup.env)));
    return rc == 0 && env_sync(w->setup.env) == 0;
}

static void finish(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    bool all = list_empty(&w->waiting) && list_empty(&w->taken) && list_empty(&w->batch);
    pthread_mutex_unlock(&w->lock);
    bool clean = all && mark_clean(w);
    pthread_mutex_lock(&w->lock);
    w->news.clean = clean;
    w->news.exited = true;
    if (!w->muted)
        wakeup_send(
            w->setup.news); /* the last time; with the lock: whoever saw `exited` may end the wake-up */
    pthread_mutex_unlock(&w->lock);
}

/* Batches rather than turns: nobody waits for this thread but who asked for a barrier. */
static void give_way(void)
{
    const struct sched_param none = {0};
    (void)sched_setscheduler(0, SCHED_BATCH, &none);
    (void)setpriority(PRIO_PROCESS, 0, NICE); /* of this thread */
}

static void *run(void *writer)
{
    struct writer *w = writer;
    bool go_on = true;
    give_way();
    while (go_on && wait_for_work(w)) {
        if (!is_committed(w))
            go_on = commit_batch(w);
        if (go_on)
            tend_database(w);
    }
    finish(w);
    return NULL;
}

static void start_thread(struct writer *w)
{
    sigset_t all, before;
    sigfillset(&all); /* signals belong to the loop */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    CHECK(pthread_create(&w->thread, NULL, run, w) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static uint64_t within(uint64_t n, uint64_t least, uint64_t most)
{
    return n < least ? least : n > most ? most : n;
}

static void size_batches(struct writer *w)
{
    const struct warm_options *o = w->setup.options;
    w->batch_ops_max = (uint32_t)within(o->warm_bytes / MAP_BYTES_PER_OP, BATCH_OPS_LEAST, BATCH_OPS_MOST);
    w->batch_ops = w->batch_ops_max;
    w->batch_bytes_max = within(o->warm_bytes / MAP_SHARE, 1, BATCH_BYTES_MOST);
    if (w->batch_bytes_max > o->warm_queue_bytes / 2)
        w->batch_bytes_max = o->warm_queue_bytes / 2;
    w->keyed = must_alloc(w->batch_ops_max * sizeof(w->keyed[0]));
    w->old = must_alloc(w->batch_ops_max * sizeof(w->old[0]));
}

struct writer *writer_create(const struct writer_setup *setup)
{
    struct writer *w = must_alloc(sizeof(*w));
    w->setup = *setup;
    w->state = setup->state;
    w->floor = w->news.floor_written = setup->state.dead_below;
    w->news.committed = setup->state.applied;
    memcpy(w->places, setup->places, setup->partitions * sizeof(w->places[0]));
    w->setup.places = NULL; /* the caller's, and read */
    w->newest.kill_v = w->tend.mark.kill_v = setup->partitions == 1 ? setup->newest_kill_v : 0;
    list_init(&w->waiting);
    list_init(&w->finished);
    list_init(&w->taken);
    list_init(&w->batch);
    size_batches(w);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    env_measure(w->setup.env, &w->figures.sizes);
    tend_memory(w, clock_boot_ns());
    start_thread(w);
    return w;
}

struct writer *writer_destroy(struct writer *w, struct list *ret_left)
{
    pthread_join(w->thread, NULL);
    move_all(&w->batch, ret_left);
    move_all(&w->taken, ret_left);
    move_all(&w->waiting, ret_left);
    move_all(&w->finished, ret_left);
    pthread_cond_destroy(&w->work);
    pthread_mutex_destroy(&w->lock);
    free(w->keyed);
    free(w->old);
    free(w);
    return NULL;
}
