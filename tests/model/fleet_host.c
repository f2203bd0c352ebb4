/* A host: the membership and the cache that ship, tiers of a few rows, a disk that a crash leaves as it was at the
 * last commit, and the glue that turns what is asked into messages. */
#include "tests/model/fleet_host.h"

struct host hosts[HOSTS];

/* Put before the real one by the linker: a guard of a few rows, which forgets sooner and is made faster. */
struct guard;
struct guard *__real_guard_create(uint64_t base_v, uint32_t rows);
struct guard *__wrap_guard_create(uint64_t base_v, uint32_t rows);
struct guard *__wrap_guard_create(uint64_t base_v, uint32_t rows)
{
    return __real_guard_create(base_v, rows < 64 ? rows : 64);
}

static uint64_t now_of(const void *clock)
{
    return clock_of(clock);
}

/* ======= what the journal does ======= */

static void hear_record(void *user, unsigned partition, const struct fleet_record *record)
{
    struct host *h = user;
    TALK("host %d: record %u/%llu", h->number, partition, (unsigned long long)record->v);
    cache_fleet_record(h->cache, partition, record);
}

static void hear_gap(void *user, unsigned partition, uint64_t floor)
{
    struct host *h = user;
    TALK("host %d: gap in %u, floor %llu", h->number, partition, (unsigned long long)floor);
    cache_fleet_gap(h->cache, partition, floor);
}

static void hear_epoch(void *user, unsigned partition)
{
    struct host *h = user;
    TALK("host %d: another epoch in %u", h->number, partition);
    cache_fleet_epoch(h->cache, partition);
    model_tier_forget(&h->warm, partition);
    if (h->warm.journaled) /* the position belongs to what has just been forgotten */
        h->disk.memory[partition] = (struct fleet_memory){0};
}

/* Kept with its effects: by the next commit. */
static void hear_applied(void *user, unsigned partition, uint64_t last_fence_ns)
{
    struct host *h = user;
    const struct fleet_partition *p = &coherence_view(h->coherence)->of[partition];
    cache_fleet_applied(h->cache, partition);
    h->now.memory[partition] = (struct fleet_memory){p->epoch, p->applied, p->floor, last_fence_ns};
}

/* What this host made for itself ends with the absence of Redis (I13). */
static void hear_shown(void *user)
{
    struct host *h = user;
    bool away = coherence_view(h->coherence)->mode == SHM_DETACHED;
    TALK("host %d: mode %d", h->number, coherence_view(h->coherence)->mode);
    if (h->away && !away && !RULE(I13_return, false))
        model_tier_end_local(&h->l1);
    h->away = away;
}

static const struct fleet_listener listener = {hear_record, hear_gap, hear_epoch, hear_applied, hear_shown};

/* ======= the outbox ======= */

static struct host *host_of_outbox(struct outbox *o)
{
    return CONTAINER_OF(o, struct host, outbox);
}

static int outbox_keep(struct outbox *o, uint64_t number, struct slice bytes)
{
    struct disk *now = &host_of_outbox(o)->now;
    CHECK(now->kept_count < KEPT && bytes.size <= sizeof(now->kept[0].bytes));
    now->kept[now->kept_count].number = number;
    now->kept[now->kept_count].size = (uint32_t)bytes.size;
    memcpy(now->kept[now->kept_count++].bytes, bytes.data, bytes.size);
    return TIER_UNSAFE;
}

static void outbox_drop_up_to(struct outbox *o, uint64_t number)
{
    struct disk *now = &host_of_outbox(o)->now;
    unsigned gone = 0;
    while (gone < now->kept_count && now->kept[gone].number <= number)
        gone++;
    now->kept_count -= gone;
    memmove(now->kept, now->kept + gone, now->kept_count * sizeof(now->kept[0]));
}

static void outbox_each(struct outbox *o, void (*each)(void *user, uint64_t number, struct slice bytes),
                        void *user)
{
    const struct disk *now = &host_of_outbox(o)->now;
    for (unsigned i = 0; i < now->kept_count; i++)
        each(user, now->kept[i].number, slice_of(now->kept[i].bytes, now->kept[i].size));
}

static const struct outbox_ops outbox_ops = {outbox_keep, outbox_drop_up_to, outbox_each};

/* ======= the disk ======= */

static void copy_disk(struct disk *to, const struct disk *from)
{
    memcpy(to, from, offsetof(struct disk, kept) + from->kept_count * sizeof(from->kept[0]));
    to->kept_count = from->kept_count;
}

void host_commit_disk(int host)
{
    struct host *h = &hosts[host];
    if (h->dying || h->paused)
        return;
    h->now.warm = h->warm.now;
    copy_disk(&h->disk, &h->now);
    TALK("host %d: commit, position %llu", host, (unsigned long long)h->disk.memory[0].applied);
    model_tier_committed(&h->warm);
}

void host_land_disk(int host)
{
    if (!hosts[host].paused)
        model_tier_land(&hosts[host].warm);
}

/* ======= life ======= */

static const struct cache_options options = {.cache = 1,
                                             .ttl = 3600 * NS_PER_S,
                                             .max_ttl = 86400 * NS_PER_S,
                                             .max_value = 1024,
                                             .serve_detached = 1,
                                             .detached_max = DETACHED_MAX_NS};

static uint64_t roll(void *user)
{
    return dice();
}

static void restore_tiers(struct host *h)
{
    h->kills = kills_create(1);
    kills_split(h->kills, redis_partitions());
    model_tier_init(&h->l1, TIER_L1, h->kills, NULL);
    model_tier_init(&h->warm, TIER_WARM, h->kills, &h->disk.warm);
    h->warm.journaled = dice_say(80);
    h->warm.slow = dice_say(20);
}

/* The newest position of an entry on the disk, in the epoch of the position. */
static void newest_of(const struct disk *d, uint64_t *ret)
{
    for (unsigned key = 0; key < KEYS; key++) {
        const struct entry *e = &d->warm.rows[key].entry;
        unsigned p = shm_partition(slice_text(key_texts[key]), redis_partitions());
        if (d->warm.rows[key].used && e->epoch == d->memory[p].epoch && e->v > ret[p] &&
            !RULE(seen_kept, false))
            ret[p] = e->v;
    }
}

static void open_coherence(struct host *h)
{
    uint64_t newest[PARTITIONS_MOST] = {0};
    newest_of(&h->now, newest);
    h->outbox.ops = &outbox_ops;
    struct coherence_setup setup = {.partitions = redis_partitions(),
                                    .detached_max_ns = DETACHED_MAX_NS,
                                    .backlog_max = dice_say(10) ? 2 : BACKLOG_MAX,
                                    .io = &node_io,
                                    .io_user = h,
                                    .listener = &listener,
                                    .listener_user = h,
                                    .outbox = &h->outbox,
                                    .memory = h->now.memory,
                                    .newest = newest,
                                    .random = roll};
    h->coherence = coherence_create(&setup);
    h->away = coherence_view(h->coherence)->mode == SHM_DETACHED;
    h->fleet =
        (struct fleet){.ops = &node_fleet_ops, .view = coherence_view(h->coherence), .tier = &h->l2_tier};
    h->l2_tier.ops = &node_tier_ops;
}

static void start(struct host *h)
{
    h->dying = h->paused = false;
    copy_disk(&h->now, &h->disk);
    memset(&h->link.tailing, 0, sizeof(h->link.tailing));
    restore_tiers(h);
    open_coherence(h);
    struct cache_setup setup = {.options = &options,
                                .now_ns = now_of,
                                .clock = h,
                                .namespace = "model",
                                .kills = h->kills,
                                .l1 = &h->l1.tier,
                                .warm = &h->warm.tier,
                                .fleet = &h->fleet,
                                .hash_secret = 1};
    h->cache = cache_create(&setup);
}

/* Everything under way ends without anybody hearing of it. */
static void stop(struct host *h)
{
    h->dying = true;
    h->warm.slow = false;
    const struct fleet_view last = *coherence_view(h->coherence);
    h->coherence = coherence_destroy(h->coherence);
    h->fleet.view = &last;
    uint64_t offset_ns = h->offset_ns;
    for (unsigned i = 0; i < 4 || !cache_idle(h->cache); i++) {
        h->offset_ns += NS_PER_S; /* whoever waits for a moment */
        link_tell_failed(h);
        model_tier_land(&h->warm);
        model_tier_committed(&h->warm);
        cache_tick(h->cache);
    }
    h->offset_ns = offset_ns;
    h->cache = cache_destroy(h->cache);
    h->kills = kills_destroy(h->kills);
    verbs_forget(h);
}

void host_restart(int host, bool in_order)
{
    struct host *h = &hosts[host];
    TALK("host %d: %s", host, in_order ? "restarts" : "crashes");
    h->paused = false;
    if (in_order)
        host_commit_disk(host);
    else if (RULE(I6_atomic, false)) /* the position ahead of its effects */
        memcpy(h->disk.memory, h->now.memory, sizeof(h->disk.memory));
    if (!in_order && !h->warm.journaled)
        history_forgets_reads(host);
    stop(h);
    start(h);
}

void hosts_begin(void)
{
    links_begin();
    verbs_begin();
    for (int i = 0; i < HOSTS; i++) {
        struct host *h = &hosts[i];
        h->number = i;
        h->rate = 1.0 + ((double)dice_below(1001) - 500.0) / 1e6;
        h->offset_ns = dice_below(1000000) * NS_PER_MS;
        h->failed_count = 0;
        memset(&h->disk, 0, sizeof(h->disk));
        start(h);
    }
}

void hosts_end(void)
{
    for (int i = 0; i < HOSTS; i++)
        stop(&hosts[i]);
}

void host_pause(int host, bool paused)
{
    hosts[host].paused = paused;
}

/* ======= time ======= */

void host_tick(int host)
{
    struct host *h = &hosts[host];
    if (h->paused)
        return;
    link_tick(h);
    coherence_tick(h->coherence, clock_of(h));
    cache_tick(h->cache);
    link_tell_failed(h);
}

bool host_is_fresh(int host)
{
    struct host *h = &hosts[host];
    const struct fleet_view *view = coherence_view(h->coherence);
    for (unsigned p = 0; p < view->partitions; p++)
        if (view->of[p].fresh_until_ns <= clock_of(h))
            return false;
    return view->mode == SHM_FRESH && h->now.kept_count == 0;
}
