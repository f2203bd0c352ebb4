/* The tier's operations, its beginning and its end. */
#include "warm/inside.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

enum { VALUE_SHARE = 4 }; /* a record may take a quarter of the map: more would evict all others for one */

/* ======= changes of keys ======= */

static struct op *op_of_key(const struct warm *w, enum op_kind kind, struct slice key, uint64_t hash,
                            size_t size)
{
    struct op *op = op_create(kind, OP_OF_KEY, hash, size);
    op->partition = (uint8_t)warm_partition(w, key);
    op->epoch = w->epochs[op->partition];
    return op;
}

static int drop_key(struct warm *w, struct slice key, uint64_t hash, uint64_t v)
{
    struct op *op = op_of_key(w, OP_DROP, key, hash, 0);
    op->need = COVER_HARD;
    op->v = v;
    return warm_submit(w, op);
}

/* A record that a kill reaches stays dead: by the kill as long as that is kept, by the sweep afterwards, and over a kill -9
 * when all changes are safe from that.  What is over by the clock may be alive by the wall clock of the next boot. */
static bool is_killed(struct warm *w, struct slice bytes, uint64_t sequence)
{
    struct record r;
    if (sequence < w->dead_below)
        return w->dead_below <= w->safe; /* without a page the floor may still be on its way */
    return record_decode(bytes, &r) &&
           kills_judge(w->kills, r.entry.key, r.entry.tags, r.entry.tags_count, r.entry.v) == DEAD;
}

/* Nothing of the key can come back: found out where that costs no waiting.  A read under way may have what has been
 * evicted since: of that only a removal in the overlay tells it. */
static bool holds_nothing(struct warm *w, uint64_t hash)
{
    uint64_t sequence;
    bool all_safe = w->unsafe <= w->safe && w->kept <= w->last_news.committed;
    if (!all_safe || !list_empty(&w->reads) || overlay_find(w->overlay, OP_OF_KEY, hash))
        return false;
    if (!w->reader || !writer_file_is_resident(w->writer))
        return false;
    int rc = env_fetch(w->reader, hash, &w->found, &sequence);
    return rc == ENV_NONE || (rc == 0 && is_killed(w, slice_of(w->found.data, w->found.size), sequence));
}

/* The removal in a put is never left out where there is something to remove. */
static int refuse_put(struct warm *w, const struct entry *e, int why)
{
    w->puts_dropped += why == TIER_UNSTORED;
    if (!holds_nothing(w, e->key_hash))
        drop_key(w, e->key, e->key_hash, UINT64_MAX);
    return why;
}

/* However long one waits. */
static bool never_fits(const struct warm *w, uint64_t record_size, const struct entry *e)
{
    return record_size > w->options.warm_bytes / VALUE_SHARE ||
           sizeof(struct op) + record_size > w->options.warm_queue_bytes || e->value.size > RECORD_VALUE_MAX;
}

static struct op *op_put(struct warm *w, const struct entry *e, uint64_t now_ns)
{
    struct record_clock now = {w->boot, now_ns, clock_wall_ns()};
    struct op *op = op_of_key(w, OP_PUT, e->key, e->key_hash, record_bytes(e));
    record_encode(op->bytes, e, &now);
    op->need = COVER_HARD;
    op->v = e->v;
    return op;
}

static int warm_put(struct tier *t, const struct entry *e)
{
    struct warm *w = warm_of(t);
    warm_make_room(w);
    uint64_t now = loop_now_ns(w->loop), size = record_bytes(e);
    if (never_fits(w, size, e))
        return refuse_put(w, e, TIER_TOO_BIG);
    if (w->queue_bytes + sizeof(struct op) + size > w->options.warm_queue_bytes ||
        writer_refuses_puts(w->writer, now))
        return refuse_put(w, e, TIER_UNSTORED);
    return warm_submit(w, op_put(w, e, now));
}

/* Positions can be compared within an epoch. */
static bool has_position_from(const struct warm *w, const struct op *old, struct slice key, uint64_t v)
{
    return old->v >= v && old->epoch == w->epochs[warm_partition(w, key)];
}

static bool is_newer(const struct warm *w, const struct op *old, struct slice key, uint64_t v)
{
    return old && old->kind == OP_PUT && has_position_from(w, old, key, v);
}

static int warm_drop(struct tier *t, struct slice key, uint64_t key_hash, uint64_t v)
{
    struct warm *w = warm_of(t);
    warm_make_room(w);
    struct op *old = overlay_find(w->overlay, OP_OF_KEY, key_hash);
    if (is_newer(w, old, key, v))
        return op_unsafe(old) ? TIER_UNSAFE : TIER_DONE;
    bool more = old && old->kind == OP_DROP && has_position_from(w, old, key, v);
    w->drops++;
    return drop_key(w, key, key_hash, more ? old->v : v);
}

/* Queued again it outlives the kills of now, so it takes with it what they did to it. */
static int change_put(struct warm *w, const struct op *old, struct record_change change)
{
    struct record r;
    uint64_t now = loop_now_ns(w->loop);
    CHECK(record_decode_unchecked(slice_of(old->bytes, old->size), &r));
    enum verdict verdict = kills_judge(w->kills, r.entry.key, r.entry.tags, r.entry.tags_count, r.entry.v);
    if (verdict == DEAD || !record_concerns(change, &r.entry))
        return TIER_NOT_THERE;
    if (verdict == SOFTENED)
        record_apply(record_soften(now), &r.entry);
    record_apply(change, &r.entry);
    return warm_submit(w, op_put(w, &r.entry, now));
}

/* A change of life of whatever is there: folded into the newest queued change of the key. */
static int change_life(struct warm *w, struct slice key, uint64_t hash, struct record_change change)
{
    const struct op *old = overlay_find(w->overlay, OP_OF_KEY, hash);
    if (old && old->kind == OP_DROP)
        return TIER_NOT_THERE;
    if (old && old->kind == OP_PUT)
        return change_put(w, old, change);
    struct op *op = op_of_key(w, OP_LIFE, key, hash, 0);
    op->change = old ? record_both(old->change, change) : change;
    op->need = op->change.stale_ns ? COVER_SOFT : COVER_NONE; /* a longer life lost is no harm */
    return warm_submit(w, op);
}

static int warm_soften(struct tier *t, struct slice key, uint64_t key_hash, uint64_t v, uint64_t now_ns)
{
    struct warm *w = warm_of(t);
    warm_make_room(w);
    const struct op *old = overlay_find(w->overlay, OP_OF_KEY, key_hash);
    if (is_newer(w, old, key, v))
        return op_unsafe(old) ? TIER_UNSAFE : TIER_DONE;
    int rc = change_life(w, key, key_hash, record_soften(now_ns));
    return rc == TIER_NOT_THERE ? TIER_DONE : rc;
}

static int warm_touch(struct tier *t, const struct entry *as)
{
    struct warm *w = warm_of(t);
    warm_make_room(w);
    bool queued = overlay_find(w->overlay, OP_OF_KEY, as->key_hash);
    if (!queued && w->reader && writer_file_is_resident(w->writer) && !env_contains(w->reader, as->key_hash))
        return TIER_NOT_THERE;
    return change_life(w, as->key, as->key_hash, record_prolong(as));
}

/* ======= kills ======= */

static uint64_t higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The page holds a kill's position, and that of which epoch is for the database to say.  Until it does, a kill -9 would
 * leave a kill that reaches nothing: the epoch before, its entries above any new position. */
static int after_its_epoch(struct warm *w, int answer)
{
    if (w->turned <= w->last_news.committed)
        return answer;
    w->kept = w->sequence;
    return TIER_UNSAFE;
}

static int warm_kill(struct tier *t, uint64_t hash, uint64_t v, bool soft)
{
    struct warm *w = warm_of(t);
    warm_make_room(w);
    const struct op *old = overlay_find(w->overlay, OP_OF_NAME, hash);
    struct slice glob = kills_is_ban(hash) ? kills_glob(w->kills, hash) : slice_of(NULL, 0);
    struct op *op = op_create(OP_KILL, OP_OF_NAME, hash, glob.size);
    if (glob.size)
        memcpy(op->bytes, glob.data, glob.size);
    op->partition = (uint8_t)warm_partition_of_name(w, hash);
    op->epoch = w->epochs[op->partition];
    bool add = old && op_is_covered_by(old, op);
    op->need = COVER_HARD;
    op->hard_v = higher(soft ? 0 : v, add ? old->hard_v : 0);
    op->soft_v = higher(soft ? v : 0, add ? old->soft_v : 0);
    return after_its_epoch(w, warm_submit(w, op));
}

void warm_save_hot(struct warm *w, uint64_t usual_entry, const uint64_t *hashes, uint32_t count)
{
    warm_make_room(w);
    if (count > ENV_HOT_MAX)
        count = ENV_HOT_MAX;
    struct op *op = op_create(OP_HOT, OP_OF_HOT, 0, (count + 1) * sizeof(*hashes));
    memcpy(op->bytes, &usual_entry, sizeof(usual_entry));
    memcpy(op->bytes + sizeof(usual_entry), hashes, count * sizeof(*hashes));
    warm_submit(w, op);
}

/* ======= places ======= */

static void submit_place(struct warm *w, enum op_kind kind, unsigned partition, const struct env_place *place)
{
    warm_make_room(w);
    struct op *op = op_create(kind, OP_OF_PLACE, partition, sizeof(*place));
    op->partition = (uint8_t)partition;
    op->epoch = place->epoch;
    memcpy(op->bytes, place, sizeof(*place));
    warm_submit(w, op);
}

/* Its kills go and its place begins anew in one transaction; the entries go by and by, since nobody believes them. */
void warm_fleet_epoch(struct warm *w, unsigned partition, uint64_t epoch)
{
    CHECK(partition < w->partitions);
    w->epochs[partition] = epoch;
    submit_place(w, OP_EPOCH, partition, &(struct env_place){.epoch = epoch});
    w->turned = w->sequence;
    warm_forget_swept(w);
}

void warm_keep_place(struct warm *w, unsigned partition, const struct fleet_memory *place)
{
    CHECK(partition < w->partitions);
    if (place->epoch != w->epochs[partition])
        warm_fleet_epoch(w, partition, place->epoch);
    submit_place(w, OP_PLACE, partition,
                 &(struct env_place){.epoch = place->epoch,
                                     .applied = place->applied,
                                     .floor = place->floor,
                                     .last_fence_ns = place->last_fence_ns,
                                     .boot = w->boot});
}

void warm_places(const struct warm *w, struct fleet_memory *ret, uint64_t *ret_newest)
{
    for (unsigned p = 0; p < w->partitions; p++) {
        const struct env_place *place = &w->places[p];
        bool this_boot = place->boot == w->boot && w->boot != 0;
        ret[p] = (struct fleet_memory){.epoch = place->epoch,
                                       .applied = place->applied,
                                       .floor = place->floor,
                                       .last_fence_ns = this_boot ? place->last_fence_ns : 0};
        if (ret_newest)
            ret_newest[p] = higher(place->newest, place->applied);
    }
}

/* ======= beginning and end ======= */

static void on_deadline(struct timer *t);

void warm_save_kill(struct warm *w, uint64_t name, uint64_t hard_v, uint64_t soft_v)
{
    struct saved_kills *s = &w->saved;
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->list = must_realloc(s->list, s->room * sizeof(*s->list));
    }
    s->list[s->count++] = (struct saved_kill){name, hard_v, soft_v};
}

struct globs {
    struct kills *kills;
    uint64_t killed; /* bits 1 << place of those that have kills */
};

static void restore_glob(void *globs, unsigned place, struct slice glob)
{
    struct globs *g = globs;
    if (g->killed >> place & 1)
        kills_ban_was(g->kills, KILLS_BAN_FIRST + place, glob);
}

static void restore_globs(struct warm *w, struct kills *kills)
{
    static_assert(BANS_MAX <= 64, "a bit a place");
    struct globs g = {.kills = kills};
    for (size_t n = 0; n < w->saved.count; n++)
        if (kills_is_ban(w->saved.list[n].name))
            g.killed |= 1ull << kills_ban_place(w->saved.list[n].name);
    if (g.killed)
        env_load_globs(w->env, restore_glob, &g); /* without their text they hit everything */
}

static void restore_kills(struct warm *w, struct kills *kills)
{
    restore_globs(w, kills);
    for (size_t n = 0; n < w->saved.count; n++) {
        const struct saved_kill *s = &w->saved.list[n];
        if (s->soft_v)
            kills_add(kills, s->name, s->soft_v, true);
        if (s->hard_v)
            kills_add(kills, s->name, s->hard_v, false);
    }
    warm_carry_free(w);
    free(w->saved.list);
    w->saved = (struct saved_kills){0};
}

void warm_start(struct warm *w, struct kills *kills)
{
    struct list *node;
    w->kills = kills;
    restore_kills(w, kills);
    wakeup_init(&w->news, w->loop, warm_news);
    timer_init(&w->deadline, w->loop, on_deadline);
    w->handles = 2;
    w->writer = writer_create(&(struct writer_setup){.env = w->env,
                                                     .options = &w->options,
                                                     .page = w->page,
                                                     .state = w->state,
                                                     .partitions = w->partitions,
                                                     .places = w->places,
                                                     .newest_kill_v = w->stored_kill_v,
                                                     .boot = w->boot,
                                                     .floor_file = w->floor_file,
                                                     .data_path = w->data_path,
                                                     .news = &w->news,
                                                     .hasty = w->hasty});
    while ((node = list_first(&w->replayed))) {
        list_remove(node);
        writer_append(w->writer, CONTAINER_OF(node, struct op, node));
    }
    w->started = true;
}

static void say_closed(struct warm *w)
{
    if (--w->handles > 0)
        return;
    w->closed = true;
    w->on_closed(w->user);
}

static void news_closed(struct wakeup *news)
{
    say_closed(CONTAINER_OF(news, struct warm, news));
}

static void deadline_closed(struct timer *t)
{
    say_closed(CONTAINER_OF(t, struct warm, deadline));
}

static void close_handles(struct warm *w)
{
    if (!w->stopping || !w->deadline.open)
        return;
    writer_mute(w->writer);
    wakeup_finish(&w->news, news_closed);
    timer_finish(&w->deadline, deadline_closed);
}

void warm_maybe_closed(struct warm *w)
{
    if (w->stopping && w->exited && list_empty(&w->reads))
        close_handles(w);
}

static void on_deadline(struct timer *t)
{
    struct warm *w = CONTAINER_OF(t, struct warm, deadline);
    log_error("warm tier: could not commit everything in time, the stop is not clean");
    close_handles(w);
}

void warm_stop(struct warm *w, uint64_t deadline_ns, void (*closed)(void *user), void *user)
{
    CHECK(w->started && !w->stopping);
    uint64_t now = loop_now_fresh(w->loop);
    w->stopping = true;
    w->on_closed = closed;
    w->user = user;
    warm_restore_cancel(w);
    timer_start(&w->deadline, deadline_ns > now ? deadline_ns - now : 0, 0);
    writer_stop(w->writer, deadline_ns);
}

/* ======= looking in ======= */

void warm_measure(struct warm *w, struct warm_figures *ret)
{
    struct writer_figures f;
    writer_measure(w->writer, &f);
    *ret = (struct warm_figures){
        .warm_entries = f.sizes.entries,
        .warm_kills = f.sizes.kills,
        .warm_bytes_used = f.sizes.bytes_used,
        .warm_bytes_max = f.sizes.bytes_max,
        .warm_queue_bytes_used = w->queue_bytes,
        .warm_overlay = overlay_count(w->overlay),
        .warm_hits = w->hits,
        .warm_misses = w->misses,
        .warm_reads_offloaded = w->offloaded,
        .warm_puts = f.puts,
        .warm_puts_dropped = w->puts_dropped + f.puts_dropped,
        .warm_deletes = f.deletes,
        .warm_evictions = f.evictions,
        .warm_expired = f.expired,
        .warm_bad_records = w->bad + f.bad,
        .warm_commits = f.commits,
        .warm_commits_failed = f.commits_failed,
        .warm_collapses = w->collapses,
        .warm_restored = w->restored,
    };
}

const char *warm_trouble(const struct warm *w)
{
    return w->last_news.trouble ? w->last_news.trouble : w->why_empty;
}

static void measure_tier(struct tier *t, struct tier_figures *ret)
{
    struct warm *w = warm_of(t);
    struct warm_figures f;
    warm_measure(w, &f);
    *ret = (struct tier_figures){.entries = f.warm_entries,
                                 .bytes = f.warm_bytes_used,
                                 .bytes_max = f.warm_bytes_max,
                                 .hits = f.warm_hits,
                                 .misses = f.warm_misses,
                                 .puts = f.warm_puts,
                                 .drops = w->drops,
                                 .evictions = f.warm_evictions,
                                 .expirations = f.warm_expired,
                                 .available = true,
                                 .trouble = warm_trouble(w)};
}

const struct tier_ops warm_ops = {
    .name = TIER_WARM,
    .get = warm_get,
    .put = warm_put,
    .drop = warm_drop,
    .soften = warm_soften,
    .touch = warm_touch,
    .kill = warm_kill,
    .barrier = warm_barrier,
    .list = warm_list,
    .measure = measure_tier,
};

struct tier *warm_tier(struct warm *w)
{
    return &w->tier;
}

/* ======= taking apart ======= */

static void free_changes(struct warm *w)
{
    struct list left;
    list_init(&left);
    overlay_clear(w->overlay);
    if (w->writer)
        writer_destroy(w->writer, &left);
    warm_free_changes(w, &left);
    warm_free_changes(w, &w->lingering);
    warm_free_changes(w, &w->replayed);
    CHECK(w->queue_bytes == 0);
    overlay_destroy(w->overlay);
}

struct warm *warm_destroy(struct warm *w)
{
    if (!w)
        return NULL;
    CHECK(!w->started || w->closed);
    if (w->started && (!w->exited || !list_empty(&w->reads))) {
        log_error("warm tier: a thread still waits for the disk and is left alone");
        return NULL; /* it may touch its memory at any time until the process ends */
    }
    free_changes(w);
    env_buffer_free(&w->found);
    env_reader_destroy(w->reader);
    env_close(w->env);
    free(w->saved.list);
    if (w->floor_file >= 0)
        close(w->floor_file);
    if (w->owner_file >= 0)
        close(w->owner_file);
    free(w->directory);
    free(w->data_path);
    free(w->lock_path);
    free(w);
    return NULL;
}
