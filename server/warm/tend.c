/* What the warm thread does besides commits, in small steps: keep room, drop what is dead or over, forget kills that
 * mask nothing any more, watch whether the file fits into memory.
 *
 * What must stay true about oldest_v: a pass looks at every record from the front to the end; new ones are appended
 * behind it.  So the oldest position a whole pass saw, and the oldest put since it began, bound the database; until
 * the next pass ends, every put may only lower the bound. */
#include "warm/writer_inside.h"

#include <stdio.h>
#include "base/clock.h"

enum {
    STEP_RECORDS = 1024, /* a sweep step: about 100 µs of looking */
    STEP_KILLS = 4096,
    EVICT_RECORDS = 256, /* a transaction: small, since removing needs free pages too */
    EVICT_STEPS = 64,    /* transactions a call; the next batch of changes must not wait longer */
    FULL_PERCENT = 85,   /* of the map: LMDB needs the rest to move pages and to find runs of them */
    MEMORY_SHARE = 4,    /* a file up to a quarter of the available memory counts as resident */
};

#define STEP_EVERY_NS   (100 * NS_PER_MS)
#define PASS_EVERY_NS   (10 * NS_PER_S)
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
    for (; evicted == 0 && count > 0; count /= 4) /* removing 256 may itself need more room than there is */
        evicted = evict_below(w, count, UINT64_MAX);
    pthread_mutex_lock(&w->lock);
    w->figures.evictions += evicted;
    pthread_mutex_unlock(&w->lock);
    return evicted;
}

static void measure(struct writer *w)
{
    struct env_sizes sizes = w->figures.sizes;
    if (env_measure(w->setup.env, &sizes) != 0)
        return;
    pthread_mutex_lock(&w->lock);
    w->figures.sizes = sizes;
    w->figures.oldest_v = w->tend.oldest_v;
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
    measure(w);
    for (unsigned n = 0; n < EVICT_STEPS && is_too_full(w) && tend_evict(w, EVICT_RECORDS) > 0; n++)
        measure(w);
    for (unsigned n = 0; n < EVICT_STEPS && evict_below(w, EVICT_RECORDS, w->state.dead_below) > 0; n++)
        ;
}

/* ======= sweep ======= */

static bool is_killed_by(struct env_txn *t, uint64_t name, uint64_t v)
{
    uint64_t hard_v, soft_v;
    return env_find_kill(t, name, &hard_v, &soft_v) == 0 && hard_v > v;
}

static bool is_killed(const struct writer *w, struct env_txn *t, const struct entry *e)
{
    if (e->v < w->state.floor_v)
        return true;
    if (w->figures.sizes.kills == 0)
        return false;
    for (unsigned n = 0; n < e->tags_count; n++)
        if (is_killed_by(t, e->tags[n], e->v))
            return true;
    for (unsigned n = 0; n < SHM_PREFIX_LEVELS; n++) {
        struct slice prefix = shm_prefix(e->key, n);
        if (prefix.size == 0)
            return false;
        if (is_killed_by(t, shm_hash_name(w->state.secret, SHM_NAME_PREFIX, prefix), e->v))
            return true;
    }
    return false;
}

static bool is_unwanted(void *writer, struct env_txn *t, const struct env_seen *seen)
{
    struct writer *w = writer;
    struct record r = seen->record;
    struct record_clock now = writer_clock(w);
    if (seen->bad || !record_reckon(&r, &now)) {
        w->tend.bad += seen->bad;
        w->tend.expired += !seen->bad;
        return true;
    }
    if (seen->sequence < w->state.dead_below || r.entry.epoch != w->state.epoch || is_killed(w, t, &r.entry))
        return true;
    if (r.entry.v < w->tend.pass_min_v)
        w->tend.pass_min_v = r.entry.v;
    return false;
}

static void begin_pass(struct tend *d)
{
    d->cursor = 1;
    d->pass_min_v = d->put_min_v = UINT64_MAX;
}

static void end_pass(struct writer *w, uint64_t now_ns)
{
    struct tend *d = &w->tend;
    d->oldest_v = d->pass_min_v < d->put_min_v ? d->pass_min_v : d->put_min_v;
    d->pruning = w->figures.sizes.kills > 0;
    d->prune_name = 0;
    d->next_ns = now_ns + (d->pruning ? STEP_EVERY_NS : PASS_EVERY_NS);
}

void tend_noticed_put(struct writer *w, uint64_t v)
{
    if (v < w->tend.put_min_v)
        w->tend.put_min_v = v;
    if (v < w->tend.oldest_v)
        w->tend.oldest_v = v;
}

/* Without a change the transaction is given up, which costs nothing. */
static bool end_step(struct env_txn *t, int rc, bool changed)
{
    if (rc == 0 && changed)
        return env_commit(t) == 0;
    env_abort(t);
    return rc == 0;
}

/* A step whose removals were lost would leave records the pass did not count: it begins again. */
static void sweep(struct writer *w, uint64_t now_ns)
{
    struct env_txn t;
    uint32_t removed = 0;
    w->tend.next_ns = now_ns + STEP_EVERY_NS;
    if (env_begin(w->setup.env, &t) != 0)
        return;
    if (w->tend.cursor == 0)
        begin_pass(&w->tend);
    int rc = env_inspect(&t, &w->tend.cursor, STEP_RECORDS, is_unwanted, w, &removed);
    if (!end_step(&t, rc, removed > 0))
        begin_pass(&w->tend);
    else if (w->tend.cursor == 0)
        end_pass(w, now_ns);
}

static void prune(struct writer *w, uint64_t now_ns)
{
    struct env_txn t;
    w->tend.next_ns = now_ns + STEP_EVERY_NS;
    if (env_begin(w->setup.env, &t) != 0)
        return;
    int rc = env_prune_kills(&t, w->tend.oldest_v, &w->tend.prune_name, STEP_KILLS);
    w->tend.pruning = end_step(&t, rc, true) && w->tend.prune_name != 0;
    if (!w->tend.pruning)
        w->tend.next_ns = now_ns + PASS_EVERY_NS;
}

/* ======= all of it ======= */

void tend_database(struct writer *w)
{
    uint64_t now = clock_boot_ns();
    keep_room(w);
    tend_memory(w, now);
    if (now >= w->tend.next_ns) {
        if (w->tend.pruning)
            prune(w, now);
        else
            sweep(w, now);
    }
}

uint64_t tend_next_ns(const struct writer *w)
{
    uint64_t sweep_at = w->tend.next_ns, memory_at = w->tend.next_memory_ns;
    return sweep_at < memory_at ? sweep_at : memory_at;
}
