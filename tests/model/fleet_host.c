/* A host: the membership and the cache that ship, tiers of a few rows, a disk that a crash leaves as it was at the
 * last commit, and the glue that turns what is asked into messages. */
#include <stdlib.h>
#include "cache/cache.h"
#include "l2/coherence.h"
#include "tests/model/fleet_tier.h"

enum { OPS = 12, LOADS = 6, QUEUE = 64, KEPT = 256, ZOMBIES = 16 };

/* Put before the real one by the linker: a guard of a few rows, which forgets sooner and is made faster. */
struct guard;
struct guard *__real_guard_create(uint64_t base_v, uint32_t rows);
struct guard *__wrap_guard_create(uint64_t base_v, uint32_t rows);
struct guard *__wrap_guard_create(uint64_t base_v, uint32_t rows)
{
    return __real_guard_create(base_v, rows < 64 ? rows : 64);
}

/* ======= what is on the disk ======= */

struct disk {
    struct model_kept warm;
    struct fleet_memory memory[PARTITIONS_MOST];
    struct {
        uint64_t number;
        uint32_t size;
        char bytes[32];
    } kept[KEPT];
    unsigned kept_count;
};

/* ======= operations under way ======= */

struct op {
    enum { FREE, GET, SET, FILL, INVALIDATE } kind;
    int host;
    unsigned id, key, value, change;
    bool wait_all;
    struct history_view view;
    struct slice names[KEYS + TAGS + PREFIXES];
    unsigned value_bytes;
    struct slice tag;
    uint8_t token[64];
    union {
        struct cache_get get;
        struct cache_set set;
        struct cache_invalidate invalidate;
    };
};

/* A miss whose caller is reading its source: the value is what the source said. */
struct load {
    bool used;
    unsigned key, value;
    uint8_t token[64], token_bytes;
};

/* ======= the link ======= */

struct queue {
    struct message of[QUEUE];
    unsigned count;
    bool held;
};

struct link {
    bool wanted, up; /* connect was asked; Redis took it */
    uint64_t nonce;
    struct queue requests[CHANNEL_TAIL], replies[CHANNEL_TAIL];
    bool tailing[PARTITIONS_MOST], tail_held;
    uint64_t cursor[PARTITIONS_MOST];
    bool lost; /* the host has not heard yet */
};

struct host {
    int number;
    bool paused, dying;
    double rate; /* its clock against the world's */
    uint64_t offset_ns;
    struct coherence *coherence;
    struct cache *cache;
    struct kills *kills;
    struct model_tier l1, warm;
    struct tier l2_tier;
    struct fleet fleet;
    struct outbox outbox;
    struct disk now, disk; /* what the disk will have; what it has */
    struct link link;
    struct tier_read *failed[QUEUE]; /* their link is gone; told when nothing else runs */
    unsigned failed_count;
    struct op ops[OPS];
    struct load loads[LOADS];
};

static struct host hosts[HOSTS];
static struct message zombies[ZOMBIES];
static unsigned zombies_count, calling_op, last_op;
static bool redis_gone; /* with its connections and what was in them */

static uint64_t clock_of(const struct host *h)
{
    return (uint64_t)((double)world_ns * h->rate) + h->offset_ns;
}

static uint64_t now_of(const void *clock)
{
    return clock_of(clock);
}

/* ======= sending ======= */

static bool send_message(struct host *h, enum channel channel, struct message m)
{
    struct queue *q = &h->link.requests[channel];
    if (q->count == QUEUE / 2)
        return false;
    m.host = h->number;
    m.nonce = h->link.nonce;
    m.sent_ns = world_ns;
    q->of[q->count++] = m;
    return true;
}

static void io_connect(void *io)
{
    struct host *h = io;
    h->link.wanted = true;
}

/* What was sent may arrive yet (F7). */
static void leave_zombies(const struct queue *q)
{
    for (unsigned i = 0; i < q->count && !redis_gone; i++)
        if (!q->of[i].dead && q->of[i].ask != ASK_READ && q->of[i].ask != ASK_FENCE &&
            zombies_count < ZOMBIES)
            zombies[zombies_count++] = q->of[i];
}

static void abandon_reads(struct host *h, const struct queue *q)
{
    for (unsigned i = 0; i < q->count; i++)
        if (q->of[i].read)
            h->failed[h->failed_count++] = q->of[i].read;
}

static void io_close(void *io)
{
    struct host *h = io;
    for (unsigned c = 0; c < CHANNEL_TAIL; c++) {
        leave_zombies(&h->link.requests[c]);
        abandon_reads(h, &h->link.requests[c]);
        abandon_reads(h, &h->link.replies[c]);
    }
    CHECK(h->failed_count <= QUEUE);
    bool tail_held = h->link.tail_held;
    for (unsigned c = 0; c < CHANNEL_TAIL; c++)
        h->link.requests[c].count = h->link.replies[c].count = 0;
    h->link.wanted = h->link.up = h->link.lost = h->link.tailing[0] = h->link.tailing[1] = false;
    h->link.tail_held = tail_held;
    h->link.nonce = dice();
}

static uint64_t epoch_of(const struct host *h, unsigned partition)
{
    return coherence_view(h->coherence)->of[partition].epoch;
}

static void io_hello(void *io, unsigned partition)
{
    CHECK(send_message(io, CHANNEL_CONTROL, (struct message){.ask = ASK_HELLO, .partition = partition}));
}

static void io_fence(void *io, unsigned partition)
{
    CHECK(send_message(
        io, CHANNEL_CONTROL,
        (struct message){.ask = ASK_FENCE, .partition = partition, .epoch = epoch_of(io, partition)}));
}

static void io_tail(void *io, unsigned partition, uint64_t after_v)
{
    struct host *h = io;
    h->link.tailing[partition] = true;
    h->link.cursor[partition] = after_v;
}

static bool io_send(void *io, struct fleet_change *change)
{
    static const enum ask asks[] = {
        [FLEET_SET] = ASK_SET, [FLEET_FILL] = ASK_FILL, [FLEET_INVALIDATE] = ASK_INVALIDATE};
    struct host *h = io;
    struct message m = {.ask = asks[change->verb],
                        .partition = change->partition,
                        .op = calling_op,
                        .epoch = epoch_of(h, change->partition),
                        .since_v = change->since_v,
                        .remove = change->remove,
                        .names = names_of(change),
                        .change = change};
    if (change->verb != FLEET_INVALIDATE) {
        m.key = model_key(change->entry->key);
        m.id = change->entry->id;
        memcpy(&m.value, change->entry->value.data, change->remove ? 0 : sizeof(m.value));
    }
    if (h->link.requests[CHANNEL_CONTROL].count > QUEUE / 4) /* room for hello and fences */
        return false;
    return send_message(h, CHANNEL_CONTROL, m);
}

static const struct coherence_io io = {io_connect, io_close, io_hello, io_fence, io_tail, io_send};

/* ======= the tier of the fleet ======= */

static bool ask_read(struct host *h, struct tier_read *read, bool exact)
{
    unsigned p = shm_partition(read->key, redis_partitions());
    struct message m = {.ask = ASK_READ,
                        .partition = p,
                        .epoch = epoch_of(h, p),
                        .key = model_key(read->key),
                        .exact = exact,
                        .session = coherence_view(h->coherence)->session,
                        .read = read};
    return send_message(h, CHANNEL_DATA, m);
}

static int fleet_get(struct tier *t, struct tier_read *read)
{
    struct host *h = CONTAINER_OF(t, struct host, l2_tier);
    read->reason = MISS_SUSPECT;
    if (h->dying)
        return TIER_MISSED;
    coherence_read_noticed(h->coherence, clock_of(h));
    if (!coherence_linked(h->coherence) || !ask_read(h, read, read->known.given))
        return TIER_MISSED;
    return TIER_PENDING;
}

static void answer_read(struct host *h, struct message *m)
{
    struct tier_read *read = m->read;
    if (!coherence_may_believe(h->coherence, m->session, m->partition,
                               m->found ? m->entry_epoch : epoch_of(h, m->partition), m->v)) {
        read->reason = MISS_SUSPECT;
        read->done(read, TIER_MISSED);
        return;
    }
    read->at_v = m->v;
    read->reason = MISS_COLD;
    if (!m->found) {
        read->done(read, TIER_MISSED);
        return;
    }
    if (!RULE(seen_before, false))
        coherence_saw(h->coherence, m->partition, m->v > m->entry_v ? m->v : m->entry_v);
    if (!m->exact && !coherence_knows_kills(h->coherence, m->partition, m->entry_v, m->v, clock_of(h))) {
        if (!ask_read(h, read, true))
            read->done(read, TIER_MISSED);
        return;
    }
    bool same = read->known.given && read->known.epoch == m->entry_epoch && read->known.v == m->entry_v &&
                read->known.id == m->entry_id;
    read->entry =
        (struct entry){.key = slice_text(key_texts[m->key]),
                       .key_hash = read->key_hash,
                       .epoch = m->entry_epoch,
                       .v = m->entry_v,
                       .id = m->entry_id,
                       .hard_ns = clock_of(h) + 3600 * NS_PER_S,
                       .soft_ns = clock_of(h) + 3600 * NS_PER_S,
                       .tags = {shm_hash_name(1, SHM_NAME_TAG, slice_text(tag_texts[m->key % TAGS]))},
                       .tags_count = 1};
    model_value_into(&read->entry, &m->value);
    read->done(read, same ? TIER_SAME : TIER_FOUND);
}

static void fleet_measure_tier(struct tier *t, struct tier_figures *ret)
{
    *ret = (struct tier_figures){.available = true};
}

static const struct tier_ops l2_ops = {.name = TIER_L2, .get = fleet_get, .measure = fleet_measure_tier};

static struct host *host_of_fleet(struct fleet *f)
{
    return CONTAINER_OF(f, struct host, fleet);
}

static int fleet_commit(struct fleet *f, struct fleet_change *change)
{
    struct host *h = host_of_fleet(f);
    if (!h->dying)
        return coherence_commit(h->coherence, change);
    change->outcome = FLEET_AWAY;
    return FLEET_DONE;
}

static int fleet_queue(struct fleet *f, const struct fleet_change *change)
{
    struct host *h = host_of_fleet(f);
    unsigned op = calling_op;
    calling_op = 0; /* what is sent now is nobody's */
    int kept = h->dying ? TIER_UNSTORED : coherence_queue(h->coherence, change);
    calling_op = op;
    return kept;
}

static void fleet_forgot(struct fleet *f, unsigned partition, uint64_t v)
{
    coherence_forgot(host_of_fleet(f)->coherence, partition, v);
}

static void fleet_measure(struct fleet *f, struct fleet_figures *ret)
{
    coherence_measure(host_of_fleet(f)->coherence, ret);
}

static const struct fleet_ops fleet_ops = {fleet_commit, fleet_queue, fleet_forgot, fleet_measure};

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

static void hear_shown(void *user)
{
    struct host *h = user;
    TALK("host %d: mode %d", h->number, coherence_view(h->coherence)->mode);
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
                                    .io = &io,
                                    .io_user = h,
                                    .listener = &listener,
                                    .listener_user = h,
                                    .outbox = &h->outbox,
                                    .memory = h->now.memory,
                                    .newest = newest,
                                    .random = roll};
    h->coherence = coherence_create(&setup);
    h->fleet = (struct fleet){&fleet_ops, coherence_view(h->coherence), &h->l2_tier};
    h->l2_tier.ops = &l2_ops;
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

static void tell_failed_reads(struct host *h)
{
    while (h->failed_count) {
        struct tier_read *read = h->failed[--h->failed_count];
        read->reason = MISS_DETACHED;
        read->done(read, TIER_MISSED);
    }
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
        tell_failed_reads(h);
        model_tier_land(&h->warm);
        model_tier_committed(&h->warm);
        cache_tick(h->cache);
    }
    h->offset_ns = offset_ns;
    h->cache = cache_destroy(h->cache);
    h->kills = kills_destroy(h->kills);
    memset(h->loads, 0, sizeof(h->loads));
    for (unsigned i = 0; i < OPS; i++)
        h->ops[i].kind = FREE;
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
    zombies_count = calling_op = last_op = 0;
    for (int i = 0; i < HOSTS; i++) {
        struct host *h = &hosts[i];
        h->number = i;
        h->rate = 1.0 + ((double)dice_below(1001) - 500.0) / 1e6;
        h->offset_ns = dice_below(1000000) * NS_PER_MS;
        h->failed_count = 0;
        memset(&h->disk, 0, sizeof(h->disk));
        link_release_all(i);
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

/* ======= verbs ======= */

static struct op *new_op(struct host *h, int kind)
{
    for (unsigned i = 0; i < OPS && !h->paused; i++)
        if (h->ops[i].kind == FREE) {
            struct op *op = &h->ops[i];
            memset(op, 0, offsetof(struct op, get));
            op->kind = kind;
            op->host = h->number;
            op->id = ++last_op;
            return op;
        }
    return NULL;
}

static void begin_load(struct host *h, const struct op *op)
{
    for (unsigned i = 0; i < LOADS; i++)
        if (!h->loads[i].used) {
            struct load *load = &h->loads[i];
            *load = (struct load){.used = true, .key = op->key, .token_bytes = op->get.token_bytes};
            memcpy(load->token, op->get.token, sizeof(load->token));
            load->value = history_loaded(h->number, op->key);
            return;
        }
}

static void got(struct cache_get *get)
{
    struct op *op = CONTAINER_OF(get, struct op, get);
    struct host *h = &hosts[op->host];
    op->kind = FREE;
    if (h->dying)
        return;
    if (get->status == STATUS_HIT) {
        unsigned value;
        memcpy(&value, get->entry.value.data, sizeof(value));
        TALK("host %d: key %u is %u at %llu from %s%s", op->host, op->key, value,
             (unsigned long long)get->entry.v, tier_name_text(get->tier), get->detached ? ", flagged" : "");
        enum history_how how = get->detached ? READ_FLAGGED : READ_VOUCHED;
        if (get->entry.local && !get->detached)
            violation("I13", "host %d key %u: value %u, local, unflagged", op->host, op->key, value);
        history_read_ends(op->host, op->key, value, get->entry.local ? READ_LOCAL : how, &op->view);
        return;
    }
    CHECK(get->status == STATUS_MISS);
    if (dice_say(70))
        begin_load(h, op);
}

void host_get(int host, unsigned key)
{
    struct host *h = &hosts[host];
    struct op *op = new_op(h, GET);
    if (!op)
        return;
    op->key = key;
    op->view = history_read_begins(host, key);
    op->get = (struct cache_get){.key = slice_text(key_texts[key]), .done = got};
    coherence_read_noticed(h->coherence, clock_of(h));
    if (cache_get(h->cache, &op->get) == CACHE_DONE)
        got(&op->get);
}

static void was_set(struct cache_set *set)
{
    struct op *op = CONTAINER_OF(set, struct op, set);
    bool fill = op->kind == FILL;
    op->kind = FREE;
    if (hosts[op->host].dying)
        return;
    TALK("host %d: %s of key %u to %u: %s", op->host, fill ? "fill" : "set", op->key, op->value,
         status_name(set->status));
    if (set->status == STATUS_REFUSED)
        history_refused(op->value);
    if (set->status == STATUS_QUEUED)
        history_queued(op->host, op->change);
    if (set->status == STATUS_OK || set->status == STATUS_SKIPPED)
        history_acknowledged(op->host, op->id, op->wait_all && set->status == STATUS_OK);
}

static void set_value(struct host *h, struct op *op, bool remove)
{
    op->value_bytes = op->value;
    op->tag = slice_text(tag_texts[op->key % TAGS]);
    op->set.key = slice_text(key_texts[op->key]);
    op->set.value = slice_of(&op->value_bytes, sizeof(op->value_bytes));
    op->set.ttl_ms = remove ? 0 : CACHE_TTL_DEFAULT;
    op->set.stale_ms = CACHE_TTL_DEFAULT;
    op->set.tags = &op->tag;
    op->set.tags_count = 1;
    op->set.wait_all = op->wait_all;
    op->set.done = was_set;
    calling_op = op->id;
    int r = cache_set(h->cache, &op->set);
    calling_op = 0;
    if (r == CACHE_DONE)
        was_set(&op->set);
}

void host_set(int host, unsigned key, bool remove, bool wait_all)
{
    struct host *h = &hosts[host];
    struct op *op = new_op(h, SET);
    if (!op)
        return;
    op->key = key;
    op->value = history_to_set(host, key);
    op->wait_all = wait_all;
    op->change = history_change_begins(host, (uint8_t)(1u << key));
    memset(&op->set, 0, sizeof(op->set));
    set_value(h, op, remove);
}

void host_fill(int host)
{
    struct host *h = &hosts[host];
    struct load *load = &h->loads[dice_below(LOADS)];
    struct op *op = load->used ? new_op(h, FILL) : NULL;
    if (!op)
        return;
    load->used = false;
    op->key = load->key;
    op->value = load->value;
    memcpy(op->token, load->token, sizeof(op->token));
    memset(&op->set, 0, sizeof(op->set));
    op->set.token = slice_of(op->token, load->token_bytes);
    set_value(h, op, false);
}

static void invalidated(struct cache_invalidate *invalidate)
{
    struct op *op = CONTAINER_OF(invalidate, struct op, invalidate);
    op->kind = FREE;
    if (hosts[op->host].dying)
        return;
    TALK("host %d: invalidation %u: %s", op->host, op->id, status_name(invalidate->status));
    if (invalidate->status == STATUS_QUEUED)
        history_queued(op->host, op->change);
    if (invalidate->status == STATUS_OK || invalidate->status == STATUS_QUEUED)
        history_acknowledged(op->host, op->id, op->wait_all && invalidate->status == STATUS_OK);
}

static unsigned list_names(struct slice *names, const char *const *texts, unsigned mask)
{
    unsigned count = 0;
    for (unsigned i = 0; mask; i++, mask >>= 1)
        if (mask & 1)
            names[count++] = slice_text(texts[i]);
    return count;
}

void host_invalidate(int host, const struct names *names, bool wait_all)
{
    struct host *h = &hosts[host];
    struct op *op = new_op(h, INVALIDATE);
    if (!op)
        return;
    struct cache_invalidate *i = &op->invalidate;
    memset(i, 0, sizeof(*i));
    op->wait_all = i->wait_all = wait_all;
    op->change = history_change_begins(host, names_cover(names));
    i->keys = op->names;
    i->tags = op->names + KEYS;
    i->prefixes = op->names + KEYS + TAGS;
    i->keys_count = list_names(op->names, key_texts, names->keys);
    i->tags_count = list_names(op->names + KEYS, tag_texts, names->tags);
    i->prefixes_count = list_names(op->names + KEYS + TAGS, prefix_texts, names->prefixes);
    i->all = names->all;
    i->done = invalidated;
    calling_op = op->id;
    int r = cache_invalidate(h->cache, i);
    calling_op = 0;
    if (r == CACHE_DONE)
        invalidated(i);
}

/* ======= the network ======= */

void link_hold(int host, enum channel channel, bool replies, bool held)
{
    struct link *l = &hosts[host].link;
    if (channel == CHANNEL_TAIL)
        l->tail_held = held;
    else
        (replies ? l->replies : l->requests)[channel].held = held;
}

void link_release_all(int host)
{
    for (enum channel c = 0; c < CHANNELS; c++) {
        link_hold(host, c, false, false);
        link_hold(host, c, true, false);
    }
}

/* The host hears of it when it next looks. */
void link_cut(int host)
{
    hosts[host].link.lost |= hosts[host].link.wanted;
}

static void lose(struct host *h, const char *why)
{
    TALK("host %d: lost: %s", h->number, why);
    coherence_lost(h->coherence, why, clock_of(h));
    tell_failed_reads(h);
}

/* A host that does not look hears of it later. */
static void link_kill(struct link *l)
{
    l->lost = l->wanted;
    for (unsigned c = 0; c < CHANNEL_TAIL; c++)
        for (unsigned i = 0; i < l->requests[c].count; i++)
            l->requests[c].of[i].dead = true;
}

void links_die(void)
{
    zombies_count = 0;
    redis_gone = true;
    for (int i = 0; i < HOSTS; i++)
        if (hosts[i].link.wanted && !hosts[i].paused)
            lose(&hosts[i], "Redis is gone");
        else
            link_kill(&hosts[i].link);
    redis_gone = false;
}

static void take_first(struct queue *q, struct message *ret)
{
    *ret = q->of[0];
    memmove(q->of, q->of + 1, --q->count * sizeof(q->of[0]));
}

static void answer_change(struct host *h, struct message *m)
{
    m->change->epoch = m->epoch;
    m->change->v = m->v;
    m->change->outcome = m->said == SAID_REFUSED ? FLEET_REFUSED
                         : m->said == SAID_OK    ? FLEET_COMMITTED
                                                 : FLEET_AWAY;
    coherence_answered(h->coherence, m->change, clock_of(h));
}

static void answer(struct host *h, struct message *m)
{
    struct coherence_hello hello = {m->epoch, m->v, m->first, m->killed};
    bool ended = m->said == SAID_EPOCH || m->said == SAID_SESSION;
    if (m->change)
        answer_change(h, m);
    else if (m->read && ended)
        h->failed[h->failed_count++] = m->read;
    else if (m->read)
        answer_read(h, m);
    else if (ended)
        ;
    else if (m->ask == ASK_FENCE)
        coherence_fenced(h->coherence, m->partition, m->v, clock_of(h));
    else
        coherence_greeted(h->coherence, m->partition, &hello, clock_of(h));
    if (ended)
        lose(h, m->said == SAID_EPOCH ? "EPOCH" : "SESSION");
    tell_failed_reads(h);
}

static bool tail_flow(struct host *h)
{
    struct redis_record r;
    for (unsigned p = 0; p < redis_partitions(); p++) {
        if (!h->link.tailing[p] || !redis_journal_after(p, &h->link.cursor[p], &r))
            continue;
        struct slice names[KEYS + TAGS + PREFIXES];
        struct fleet_record record = {.v = r.v,
                                      .keys = names,
                                      .tags = names + KEYS,
                                      .prefixes = names + KEYS + TAGS,
                                      .all = r.names.all};
        record.keys_count = list_names(names, key_texts, r.names.keys);
        record.tags_count = list_names(names + KEYS, tag_texts, r.names.tags);
        record.prefixes_count = list_names(names + KEYS + TAGS, prefix_texts, r.names.prefixes);
        coherence_record(h->coherence, p, 0, &record, clock_of(h));
        tell_failed_reads(h);
        return true;
    }
    return false;
}

bool link_flow(int host, enum channel channel, bool replies)
{
    struct host *h = &hosts[host];
    struct link *l = &h->link;
    struct message m;
    if (!l->up || l->lost)
        return false;
    if (channel == CHANNEL_TAIL)
        return !l->tail_held && !h->paused && tail_flow(h);
    struct queue *from = replies ? &l->replies[channel] : &l->requests[channel];
    if (from->count == 0 || from->held || (replies && h->paused) || l->replies[channel].count == QUEUE)
        return false;
    take_first(from, &m);
    if (replies) {
        answer(h, &m);
        return true;
    }
    redis_run(&m);
    l->replies[channel].of[l->replies[channel].count++] = m;
    return true;
}

void link_all_flow(int host)
{
    bool moved = true;
    for (unsigned turns = 0; moved && turns < 1000; turns++) {
        moved = false;
        for (enum channel c = 0; c < CHANNELS; c++) {
            moved |= link_flow(host, c, false);
            if (c != CHANNEL_TAIL)
                moved |= link_flow(host, c, true);
        }
    }
}

void zombies_arrive(void)
{
    while (zombies_count) {
        struct message m = zombies[--zombies_count];
        TALK("a request of a dead session of host %d arrives", m.host);
        redis_run(&m);
    }
}

/* ======= time ======= */

static uint64_t oldest(const struct queue *q, uint64_t than)
{
    return q->count && q->of[0].sent_ns < than ? q->of[0].sent_ns : than;
}

/* A command has 250 ms. */
static bool late(const struct link *l)
{
    uint64_t sent_ns = world_ns;
    for (unsigned c = 0; c < CHANNEL_TAIL; c++)
        sent_ns = oldest(&l->replies[c], oldest(&l->requests[c], sent_ns));
    return world_ns - sent_ns > 250 * NS_PER_MS;
}

void host_tick(int host)
{
    struct host *h = &hosts[host];
    if (h->paused)
        return;
    if (h->link.lost)
        lose(h, "cut");
    else if (late(&h->link))
        lose(h, "late");
    if (h->link.wanted && !h->link.up) {
        h->link.up = true;
        coherence_connected(h->coherence, clock_of(h));
    }
    coherence_tick(h->coherence, clock_of(h));
    cache_tick(h->cache);
    tell_failed_reads(h);
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
