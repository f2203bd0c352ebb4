/* What the warm thread does besides commits, in small steps: keep room, drop what is dead or over, forget kills that
 * mask nothing any more, watch whether the file fits into memory.
 *
 * What must stay true about swept_v: no kill at or below it masks anything in here, now or later.  Why it does:
 * a mark notes, in one look at the queue, the newest change S and the newest kill V in it.  A pass for that mark
 * begins when everything up to S is in a commit, and looks at every record from the front to the end.  Then
 *   - all kills up to V were queued before the mark, so the pass finds them in the database (or a collapse has taken
 *     them out of the queue, and with them everything they masked: dead_below);
 *   - an entry such a kill masks is older than the kill, so it was queued before it (a kill may take the place of an
 *     earlier one in the queue and overtake entries, never the mark): it is in the database when the pass begins,
 *     and the pass removes it, or marks it stale when the kill is a soft one;
 *   - what is queued after the mark is a change newer than all those kills, or a fill or an older entry with a new
 *     life, and those were judged against the exact map, which still has them, in the turn in which they are queued;
 *   - reads under way when the pass ends, and changes that linger for them, are counted by the loop (warm_swept_v).
 * Names that are floors stay for ever; what is older than KILLS_UNKNOWN stays too, for the fleet to judge.
 * An epoch that ends takes its marks along: a mark and all that follows from it count for the epochs it was taken in.
 * With more than one partition positions have no order among them: then nothing is settled, and the map of kills is
 * kept small by its own collapse.
 * Entries carried up into L1 before the pass ended are L1's: it sweeps for itself. */
#include "warm/writer_inside.h"

#include <stdio.h>
#include <sys/statvfs.h>
#include "base/clock.h"
#include "base/log.h"

enum {
    STEP_RECORDS = 1024, /* a sweep step: about 100 µs of looking */
    STEP_KILLS = 4096,
    MANY_KILLS = KILLS_MAX / 10, /* steps come faster then, or the map overflows before a pass ends */
    EVICT_RECORDS = 256,         /* a transaction: small, since removing needs free pages too */
    EVICT_SHARE = 16,            /* of the entries at most: a few large ones are not to go all at once */
    DISK_ROOM_BYTES = 1 << 20,   /* so much free, and the disk is full no more */
    EVICT_STEPS = 64,            /* transactions a call; the next batch of changes must not wait longer */
    FULL_PERCENT = 85,           /* of the map: LMDB needs the rest to move pages and to find runs of them */
    MEMORY_SHARE = 4,            /* a file up to a quarter of the available memory counts as resident */
};

#define STEP_EVERY_NS   (100 * NS_PER_MS)
#define STEP_SOON_NS    (10 * NS_PER_MS)
#define PASS_EVERY_NS   (10 * NS_PER_S)
#define PASS_SOON_NS    NS_PER_S /* with kills to settle, or an epoch that ended */
#define MEMORY_EVERY_NS (5 * NS_PER_S)

/* ======= memory ======= */

static uint64_t available_bytes(void)
{
    char line[128];
    unsigned long long kib = 0;
    FILE *f = fopen("/proc/meminfo", "re");
    if (!f)
        return 0;
    while (fgets(line, sizeof(line), f) && sscanf(line, "MemAvailable: %llu kB", &kib) != 1)
        ;
    fclose(f);
    return kib * 1024;
}

void tend_memory(struct writer *w, uint64_t now_ns)
{
    if (now_ns < w->tend.next_memory_ns)
        return;
    w->tend.next_memory_ns = now_ns + MEMORY_EVERY_NS;
    atomic_store(&w->resident, w->figures.sizes.bytes_used <= available_bytes() / MEMORY_SHARE);
}

/* ======= room ======= */

static bool has_room(const char *path)
{
    struct statvfs fs;
    return statvfs(path, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize >= DISK_ROOM_BYTES;
}

/* Whoever filled the disk has made room again. */
static void tend_disk(struct writer *w)
{
    if (!w->disk_full || !has_room(w->setup.data_path))
        return;
    w->disk_full = false;
    log_info("warm tier: the disk has room again");
    pthread_mutex_lock(&w->lock);
    if (!w->news.failing && w->puts_failed == 0)
        w->news.trouble = NULL;
    pthread_mutex_unlock(&w->lock);
    writer_tell(w);
}

static uint32_t evict_below(struct writer *w, uint32_t count, uint64_t below)
{
    struct env_txn t;
    uint32_t evicted = 0;
    if (env_begin(w->setup.env, &t) != 0)
        return 0;
    int rc = env_evict(&t, count, below, &evicted);
    if (rc < 0 || evicted == 0) {
        env_abort(&t);
        return 0;
    }
    return env_commit(&t) == 0 ? evicted : 0;
}

uint32_t tend_evict(struct writer *w, uint32_t count)
{
    uint32_t evicted = 0;
    uint64_t share = w->figures.sizes.entries / EVICT_SHARE + 1;
    count = count < share ? count : (uint32_t)share;
    for (; evicted == 0 && count > 0; count /= 4) /* removing 256 may itself need more room than there is */
        evicted = evict_below(w, count, UINT64_MAX);
    pthread_mutex_lock(&w->lock);
    w->figures.evictions += evicted;
    pthread_mutex_unlock(&w->lock);
    tend_measure(w);
    return evicted;
}

void tend_measure(struct writer *w)
{
    struct env_sizes sizes = w->figures.sizes;
    if (env_measure(w->setup.env, &sizes) != 0)
        return;
    pthread_mutex_lock(&w->lock);
    w->figures.sizes = sizes;
    w->figures.expired += w->tend.expired;
    w->figures.bad += w->tend.bad;
    pthread_mutex_unlock(&w->lock);
    w->tend.expired = w->tend.bad = 0;
}

static bool is_too_full(const struct writer *w)
{
    return w->figures.sizes.bytes_used > w->figures.sizes.bytes_max / 100 * FULL_PERCENT;
}

static void keep_room(struct writer *w)
{
    tend_measure(w);
    for (unsigned n = 0; n < EVICT_STEPS && is_too_full(w) && tend_evict(w, EVICT_RECORDS) > 0; n++)
        tend_measure(w);
    for (unsigned n = 0; n < EVICT_STEPS && evict_below(w, EVICT_RECORDS, w->state.dead_below) > 0; n++)
        ;
}

/* ======= sweep ======= */

static enum verdict worse(enum verdict a, enum verdict b)
{
    return a > b ? a : b;
}

/* A kill that cannot be read any more kills: its position may have been any. */
static enum verdict judge_row(struct env_txn *t, uint64_t name, uint64_t v)
{
    uint64_t hard_v, soft_v;
    int rc = env_find_kill(t, name, &hard_v, &soft_v);
    if (rc < 0 || hard_v > v)
        return DEAD;
    return soft_v > v ? SOFTENED : ALIVE;
}

static enum verdict judge_names(const struct writer *w, struct env_txn *t, const struct entry *e)
{
    unsigned p = shm_partition(e->key, w->setup.partitions);
    enum verdict verdict = judge_row(t, kills_name(KILLS_ALL, p), e->v);
    struct ban_positions ban = bans_judge(w->tend.bans, p, e->key, e->v);
    if (ban.hard_v > e->v)
        return DEAD;
    verdict = worse(verdict, ban.soft_v > e->v ? SOFTENED : ALIVE);
    for (unsigned n = 0; n < e->tags_count; n++)
        verdict = worse(verdict, judge_row(t, kills_name(e->tags[n], p), e->v));
    for (unsigned n = 0; n < SHM_PREFIX_LEVELS && verdict != DEAD; n++) {
        struct slice prefix = shm_prefix(e->key, n);
        if (prefix.size == 0)
            break;
        uint64_t name = shm_hash_name(w->state.secret, SHM_NAME_PREFIX, prefix);
        verdict = worse(verdict, judge_row(t, kills_name(name, p), e->v));
    }
    return verdict;
}

static bool is_stale_already(const struct entry *e, const struct record_clock *now)
{
    return e->stale && e->soft_ns <= now->boot_ns;
}

static enum env_wish judge_record(void *writer, struct env_txn *t, const struct env_seen *seen)
{
    struct writer *w = writer;
    struct record r = seen->record;
    struct record_clock now = writer_clock(w);
    if (seen->bad || !record_reckon(&r, &now)) {
        w->tend.bad += seen->bad;
        w->tend.expired += !seen->bad;
        return ENV_REMOVE;
    }
    uint64_t epoch = writer_epoch(w, r.entry.key);
    if (seen->sequence < w->state.dead_below || (epoch != 0 && r.entry.epoch != epoch))
        return ENV_REMOVE;
    enum verdict verdict = w->figures.sizes.kills ? judge_names(w, t, &r.entry) : ALIVE;
    if (verdict == DEAD)
        return ENV_REMOVE;
    return verdict == SOFTENED && !is_stale_already(&r.entry, &now) ? ENV_SOFTEN : ENV_KEEP;
}

static uint64_t rest(const struct writer *w, uint64_t ns)
{
    return w->setup.hasty ? NS_PER_MS : ns;
}

static uint64_t step_every(const struct writer *w)
{
    return rest(w, w->figures.sizes.kills < MANY_KILLS ? STEP_EVERY_NS : STEP_SOON_NS);
}

/* Without a mark that is ready it is a pass for what is over, and settles no kill. */
static void begin_pass(struct writer *w)
{
    struct tend *d = &w->tend;
    d->cursor = 1;
    d->pass_v = w->state.applied >= d->mark.sequence ? d->mark.kill_v : 0;
}

/* false: it was another epoch's. */
static bool report_swept(struct writer *w, uint64_t v)
{
    pthread_mutex_lock(&w->lock);
    bool same = w->tend.epochs == w->newest.epochs;
    if (same)
        w->news.swept_v = v;
    pthread_mutex_unlock(&w->lock);
    if (same)
        writer_tell(w);
    return same;
}

static void end_pass(struct writer *w, uint64_t now_ns)
{
    struct tend *d = &w->tend;
    d->next_ns = now_ns + rest(w, PASS_EVERY_NS);
    if (d->pass_v <= d->swept_v)
        return;
    if (!report_swept(w, d->pass_v))
        return;
    d->swept_v = d->pass_v;
    d->pruning = true;
    d->prune_name = 0;
    d->next_ns = now_ns + step_every(w);
}

static void pass_soon(struct writer *w, uint64_t now_ns)
{
    uint64_t soon_ns = now_ns + rest(w, PASS_SOON_NS);
    w->tend.next_ns = w->tend.next_ns < soon_ns ? w->tend.next_ns : soon_ns;
}

/* All that is here is dead, and takes up room. */
static void notice_epoch(struct writer *w, uint64_t now_ns)
{
    struct tend *d = &w->tend;
    pthread_mutex_lock(&w->lock);
    uint64_t epochs = w->newest.epochs;
    pthread_mutex_unlock(&w->lock);
    if (epochs == d->epochs)
        return;
    d->epochs = epochs;
    d->mark = (struct sweep_mark){.epochs = epochs};
    d->cursor = d->pass_v = d->swept_v = 0;
    d->pruning = false;
    pass_soon(w, now_ns);
}

/* The mark of a pass stays until that pass is through. */
static void note_kills(struct writer *w, uint64_t now_ns)
{
    struct tend *d = &w->tend;
    if (d->mark.kill_v <= d->swept_v) {
        pthread_mutex_lock(&w->lock);
        d->mark = w->newest;
        pthread_mutex_unlock(&w->lock);
    }
    bool idle = d->cursor == 0 && !d->pruning;
    if (idle && d->mark.kill_v > d->swept_v)
        pass_soon(w, now_ns);
}

/* Without a change the transaction is given up, which costs nothing. */
static bool end_step(struct env_txn *t, int rc, bool changed)
{
    if (rc == 0 && changed)
        return env_commit(t) == 0;
    env_abort(t);
    return rc == 0;
}

/* A step whose removals were lost begins the pass again. */
static void sweep(struct writer *w, uint64_t now_ns)
{
    struct env_txn t;
    uint32_t changed = 0;
    struct record_clock now = writer_clock(w);
    w->tend.next_ns = now_ns + step_every(w);
    if (env_begin(w->setup.env, &t) != 0)
        return;
    if (w->tend.cursor == 0)
        begin_pass(w);
    w->tend.bans = bans_create();
    int rc = env_load_bans(&t, w->setup.partitions, w->tend.bans);
    if (rc == 0)
        rc = env_inspect(&t, &w->tend.cursor, STEP_RECORDS, &now, judge_record, w, &changed);
    w->tend.bans = bans_destroy(w->tend.bans);
    if (!end_step(&t, rc, changed > 0))
        w->tend.cursor = 1;
    else if (w->tend.cursor == 0)
        end_pass(w, now_ns);
}

static void prune(struct writer *w, uint64_t now_ns)
{
    struct env_txn t;
    struct tend *d = &w->tend;
    d->next_ns = now_ns + step_every(w);
    if (env_begin(w->setup.env, &t) != 0)
        return;
    int rc = env_prune_kills(&t, d->swept_v, &d->prune_name, STEP_KILLS);
    d->pruning = end_step(&t, rc, true) && d->prune_name != 0;
    if (!d->pruning)
        d->next_ns = now_ns + rest(w, PASS_EVERY_NS);
}

/* ======= all of it ======= */

void tend_database(struct writer *w)
{
    uint64_t now = clock_boot_ns();
    notice_epoch(w, now);
    tend_disk(w);
    keep_room(w);
    tend_memory(w, now);
    if (now >= w->tend.next_ns) {
        if (w->tend.pruning)
            prune(w, now);
        else
            sweep(w, now);
    }
    note_kills(w, now);
}

uint64_t tend_next_ns(const struct writer *w)
{
    uint64_t sweep_at = w->tend.next_ns, memory_at = w->tend.next_memory_ns;
    return sweep_at < memory_at ? sweep_at : memory_at;
}
