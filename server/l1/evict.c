/* What goes: which segment is cleaned next, and what of it is copied forward, by the policy of eviction.h.
 *
 * What must stay true: the work of one call is bounded; a walk always ends with its segment free; walks cannot go
 * round in circles: the worst of a segment's first items goes in any case, and when nearly everything survives while
 * insertions wait, more must go; a move re-evaluates kills exactly before it stamps the copy with the present
 * sequence (F19). */
#include "l1/l1_private.h"

enum {
    CHOOSE_SAMPLE = 1024, /* segments looked at for the one to clean */
    LOOK_BUCKETS = 512,   /* looked into for an insertion, at most: 32 KiB in a row, 2 µs */
    WATCHED = 16384,      /* keys the policy learns from, */
    WATCHED_FEW = 4096,   /* ... 48 KiB of them where the whole has less than: */
    WATCHED_FEW_BYTES = 32 << 20,
};

/* ---- the policy ------------------------------------------------------------------------------------------------ */

/* How many keys that went it remembers, in a cache for so many entries: four for each, where that takes no more memory than
 * one for each of the smallest that are usual. */
static uint64_t ghosts_for(const struct shm_shape *shape, uint64_t entries)
{
    uint64_t most = fit_items(shape->total_bytes, FIT_DEFAULT);
    return 4 * entries < most ? 4 * entries : entries > most ? entries : most;
}

struct eviction *evict_make(const struct memory_plan *plan, const struct shm_shape *shape)
{
    uint64_t capacity =
        (uint64_t)shape->bucket_count * SHM_SLOTS / 4 * 3; /* entries the slots are meant for */
    if (plan->entries_max && plan->entries_max < capacity)
        capacity = plan->entries_max;
    bool few = plan->options.l1_bytes < WATCHED_FEW_BYTES;
    return eviction_create(&(struct eviction_setup){.entries_max = capacity,
                                                    .ghosts = ghosts_for(shape, capacity),
                                                    .watched = few ? WATCHED_FEW : WATCHED,
                                                    .segments = shape->segment_count});
}

void evict_begin(struct l1 *l1)
{
    l1->walk = (struct walk){.segment = SEGMENT_NONE};
    l1->look_state = l1->shape.incarnation;
    l1->drained_at = 0;
}

/* How many entries like those here fill the segments, or the limit. */
static void tell_capacity(struct l1 *l1)
{
    uint64_t live = l1->pool_live_bytes[POOL_NEW] + l1->pool_live_bytes[POOL_KEPT], entries;
    if (live == 0)
        return;
    entries = (uint64_t)((double)l1->entries / (double)live * (double)l1->shape.segment_count *
                         (double)segment_bytes(l1));
    eviction_capacity(l1->eviction, l1->entries_max && l1->entries_max < entries ? l1->entries_max : entries);
}

uint32_t evict_newcomer(struct l1 *l1, uint64_t key_hash)
{
    tell_capacity(l1);
    uint32_t heat = eviction_came(l1->eviction, key_hash);
    eviction_work(l1->eviction);
    l1->count.l1_ghost_hits += eviction_frequency(heat) > 1;
    return heat;
}

/* A bucket at random (Knuth's linear congruence). */
static uint32_t some_bucket(struct l1 *l1)
{
    l1->look_state = l1->look_state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((l1->look_state >> 32) * l1->shape.bucket_count >> 32);
}

/* Tells the policy of the residents of a bucket, and returns how many; the least worthy so far in *ret_worst. */
static unsigned look_into(struct l1 *l1, uint32_t bucket, uint32_t *ret_worst, float *ret_least)
{
    unsigned found = 0;
    for (uint32_t slot = bucket * SHM_SLOTS; slot < (bucket + 1) * SHM_SLOTS; slot++) {
        uint64_t word = slots_word(l1, slot);
        if (!slots_live(l1, word))
            continue;
        uint32_t segment = segment_of(l1, shm_slot_offset(word));
        float worth =
            eviction_look(l1->eviction, slots_item(l1, slot), segment, l1->segments[segment].live_items);
        found++;
        if (*ret_worst != SLOT_NONE && worth >= *ret_least)
            continue;
        *ret_worst = slot;
        *ret_least = worth;
    }
    return found;
}

/* Some residents, from a bucket at random on; returns the least worthy, or SLOT_NONE.  Among large values the index is
 * nearly empty (one slot of a hundred at 16 KiB), so it is the residents found that count. */
static uint32_t look_around(struct l1 *l1)
{
    uint32_t worst = SLOT_NONE, bucket = some_bucket(l1);
    float least = 0;
    unsigned looks = eviction_looks(l1->eviction), found = 0;
    for (unsigned n = 0; n < LOOK_BUCKETS && (n * SHM_SLOTS < looks || found < looks / 2); n++) {
        found += look_into(l1, bucket, &worst, &least);
        bucket = bucket + 1 == l1->shape.bucket_count ? 0 : bucket + 1;
    }
    return worst;
}

/* ---- moving -------------------------------------------------------------------------------------------------- */

bool evict_move(struct l1 *l1, uint32_t slot, enum pool pool, uint64_t life, unsigned ttl_class)
{
    uint64_t from = shm_slot_offset(slots_word(l1, slot));
    struct item_view i = item_at(l1, from);
    uint32_t bytes = shm_item_bytes(i.shape);
    uint64_t to = segment_room(l1, pool, ttl_class, bytes, true);
    if (!to)
        return false;
    memcpy(l1->scratch, l1->base + from, bytes);
    struct shm_item *copy = (struct shm_item *)(void *)l1->scratch;
    atomic_init(&copy->life, life);
    atomic_init(&copy->born, (i.born & ~0xffffffffull) | l1->seq);
    order_write((au64 *)(void *)(l1->base + to), l1->scratch, bytes);
    uint16_t gen = l1->segments[segment_of(l1, to)].gen;
    uint16_t tag = shm_slot_tag(slots_word(l1, slot));
    segment_appended(l1, to, bytes, shm_life_hard(life));
    slots_store(l1, slot, shm_slot(tag, gen, to));
    l1->count.l1_moves++;
    return true;
}

/* ---- what becomes of one item ---------------------------------------------------------------------------------- */

static void evict_item(struct l1 *l1, uint32_t slot, uint64_t hash)
{
    eviction_went(l1->eviction, hash, l1->heat[slot]);
    gone_note(l1->gone, hash, MISS_EVICTED);
    slots_drop(l1, slot);
    l1->count.l1_evictions++;
}

static void keep_item(struct l1 *l1, uint32_t slot, const struct item_view *i, enum pool pool, uint64_t hash)
{
    uint64_t now = l1->now_ns(l1);
    unsigned class = item_ttl_class(now, item_ns(l1, shm_life_hard(i->life)));
    if (evict_move(l1, slot, pool, i->life, class))
        l1->walk.moved += shm_item_bytes(i->shape);
    else
        evict_item(l1, slot, hash);
}

static void decide(struct l1 *l1, uint32_t slot, uint64_t offset, const struct item_view *i, uint64_t hash)
{
    if (l1->walk.kind == WALK_COMPACT)
        keep_item(l1, slot, i, l1->segments[l1->walk.segment].pool, hash);
    else if (offset != l1->walk.worst && eviction_keeps(l1->eviction, slots_item(l1, slot)))
        keep_item(l1, slot, i, POOL_KEPT, hash);
    else
        evict_item(l1, slot, hash);
}

static uint32_t slot_at(const struct l1 *l1, uint64_t offset, const struct item_view *i, uint64_t *ret_hash)
{
    *ret_hash = shm_hash_key(l1->shape.hash_secret, i->key);
    return slots_find_word(l1, *ret_hash,
                           shm_slot(shm_tag(*ret_hash), l1->segments[segment_of(l1, offset)].gen, offset));
}

static void walk_item(struct l1 *l1, uint64_t offset, const struct item_view *i)
{
    uint64_t hash;
    uint32_t slot = slot_at(l1, offset, i, &hash);
    if (slot == SLOT_NONE)
        return; /* dead already */
    bool expired = shm_life_hard(i->life) <= item_ticks(l1, l1->now_ns(l1));
    if (expired || l1->walk.kind == WALK_DOOMED) {
        gone_note(l1->gone, hash, MISS_EXPIRED);
        slots_drop(l1, slot);
        l1->count.l1_expired += l1->walk.kind != WALK_DOOMED; /* those were counted when it was doomed */
        return;
    }
    switch (cells_settle(l1, slot)) {
    case DEAD: return;
    case SUSPECT: /* a copy would be born after the floor */
        gone_note(l1->gone, hash, MISS_EVICTED);
        slots_drop(l1, slot);
        return;
    default: break;
    }
    struct item_view settled = item_at(l1, offset);
    decide(l1, slot, offset, &settled, hash);
}

/* ---- which segment ------------------------------------------------------------------------------------------------ */

static uint32_t dead_in(const struct l1 *l1, uint32_t segment)
{
    return segment_bytes(l1) - l1->segments[segment].live_bytes;
}

/* Of items that died.  A tail that was too short for the next item is no gain: where they go there will be one too. */
static uint32_t died_in(const struct l1 *l1, uint32_t segment)
{
    return l1->segments[segment].used - l1->segments[segment].live_bytes;
}

/* The one of a sample of sealed segments where most has died, if copying its survivors together is worth it. */
static uint32_t to_compact(struct l1 *l1)
{
    uint64_t all = (uint64_t)l1->shape.segment_count << l1->shape.segment_shift;
    if (segment_dead_bytes(l1) < all / 14)
        return SEGMENT_NONE;
    uint32_t best = SEGMENT_NONE;
    for (uint32_t n = 0; n < CHOOSE_SAMPLE && n < l1->shape.segment_count; n++) {
        uint32_t segment = l1->compact_cursor++ % l1->shape.segment_count;
        if (l1->segments[segment].state == SEGMENT_SEALED &&
            (best == SEGMENT_NONE || died_in(l1, segment) > died_in(l1, best)))
            best = segment;
    }
    bool worth = best != SEGMENT_NONE && died_in(l1, best) > segment_bytes(l1) / 7;
    return worth ? best : SEGMENT_NONE;
}

/* The one with the most to gain of a sample: all, up to 256 MiB. */
static uint32_t to_evict(struct l1 *l1)
{
    uint32_t best = SEGMENT_NONE;
    float most = -1;
    for (uint32_t n = 0; n < CHOOSE_SAMPLE && n < l1->shape.segment_count; n++) {
        uint32_t segment = l1->choose_cursor++ % l1->shape.segment_count;
        if (l1->segments[segment].state != SEGMENT_SEALED)
            continue;
        float dead = (float)dead_in(l1, segment) / (float)segment_bytes(l1);
        float gain = eviction_gain(l1->eviction, segment, dead);
        if (gain > most) {
            most = gain;
            best = segment;
        }
    }
    return best;
}

/* Nothing is sealed: the fullest segment that is appended to will do. */
static void seal_one(struct l1 *l1)
{
    uint32_t fullest = SEGMENT_NONE;
    for (int n = 0; n < POOLS * L1_TTL_CLASSES; n++) {
        uint32_t segment = l1->open_segments[n / L1_TTL_CLASSES][n % L1_TTL_CLASSES];
        if (segment != SEGMENT_NONE &&
            (fullest == SEGMENT_NONE || l1->segments[segment].used > l1->segments[fullest].used))
            fullest = segment;
    }
    if (fullest != SEGMENT_NONE)
        segment_seal(l1, fullest);
}

/* The worst of the first items that live, where a walk of everything worthy would free nothing. */
static uint64_t worst_of_first(const struct l1 *l1, uint32_t segment)
{
    uint64_t worst = 0, hash;
    float least = 0;
    uint32_t at = 0;
    for (int n = 0; n < L1_LOOK_AHEAD && at < l1->segments[segment].used; n++) {
        uint64_t offset = segment_start(l1, segment) + at;
        struct item_view i = item_at(l1, offset);
        at += shm_item_bytes(i.shape);
        uint32_t slot = slot_at(l1, offset, &i, &hash);
        float worth = slot == SLOT_NONE ? 0 : eviction_worth(l1->eviction, slots_item(l1, slot));
        if (slot == SLOT_NONE || (worst && worth >= least))
            continue;
        worst = offset;
        least = worth;
    }
    return worst;
}

/* What readers did just now decides: their touches are taken in first, if enough has happened to pay for it. */
static void hear_readers(struct l1 *l1)
{
    if ((l1->count.l1_puts - l1->drained_at) * L1_DRAIN_TURNOVER < l1->entries)
        return;
    l1->drained_at = l1->count.l1_puts;
    touch_drain(l1, L1_DRAIN_STRIPES);
}

static bool walk_segment(struct l1 *l1, uint32_t segment, struct queue *q, enum walk_kind kind)
{
    queue_remove(l1, q, segment);
    struct segment *s = &l1->segments[segment];
    if (kind != WALK_DOOMED)
        s->state = SEGMENT_WALKED;
    l1->walk = (struct walk){.segment = segment, .kind = kind, .live_before = s->live_bytes};
    if (kind == WALK_EVICT)
        l1->walk.worst = worst_of_first(l1, segment);
    return true;
}

static bool walk_begin(struct l1 *l1)
{
    if (l1->doomed.count)
        return walk_segment(l1, l1->doomed.first, &l1->doomed, WALK_DOOMED);
    uint32_t segment = to_compact(l1);
    if (segment != SEGMENT_NONE)
        return walk_segment(l1, segment, &l1->sealed[l1->segments[segment].pool], WALK_COMPACT);
    hear_readers(l1);
    segment = to_evict(l1);
    if (segment == SEGMENT_NONE) {
        seal_one(l1);
        segment = to_evict(l1);
    }
    return segment != SEGMENT_NONE &&
           walk_segment(l1, segment, &l1->sealed[l1->segments[segment].pool], WALK_EVICT);
}

/* The policy is told what the walk gave, and pressed when insertions wait for room. */
static void walk_end(struct l1 *l1)
{
    const struct walk *w = &l1->walk;
    segment_free(l1, w->segment);
    if (w->kind == WALK_EVICT) {
        eviction_cleaned(l1->eviction, 1 - (float)w->moved / (float)segment_bytes(l1));
        if (l1->free.count < L1_SEGMENTS_LOW && w->moved > w->live_before / 8 * 7)
            eviction_pressed(l1->eviction);
    }
    l1->walk.segment = SEGMENT_NONE;
}

bool evict_step(struct l1 *l1, uint32_t items)
{
    struct walk *w = &l1->walk;
    if (w->segment == SEGMENT_NONE && !walk_begin(l1))
        return false;
    const struct segment *s = &l1->segments[w->segment];
    for (; items > 0 && w->at < s->used; items--) {
        uint64_t offset = segment_start(l1, w->segment) + w->at;
        struct item_view i = item_at(l1, offset);
        w->at += shm_item_bytes(i.shape);
        walk_item(l1, offset, &i);
    }
    if (w->at >= s->used)
        walk_end(l1);
    return true;
}

bool evict_pending(const struct l1 *l1)
{
    return l1->free.count < L1_SEGMENTS_LOW || l1->doomed.count || l1->walk.segment != SEGMENT_NONE;
}

/* ---- room ------------------------------------------------------------------------------------------------------- */

/* Nearly full: from now on it matters what is worth what. */
static bool nearly_full(const struct l1 *l1)
{
    return l1->free.count < l1->shape.segment_count / L1_FULL_NEAR + L1_SEGMENTS_LOW;
}

uint64_t evict_room(struct l1 *l1, enum pool pool, unsigned ttl_class, uint32_t bytes)
{
    if (nearly_full(l1))
        look_around(l1);
    if (l1->free.count < L1_SEGMENTS_LOW)
        evict_step(l1, L1_EVICT_AHEAD);
    uint64_t room = segment_room(l1, pool, ttl_class, bytes, false);
    uint64_t until = room ? 0 : clock_mono_ns() + L1_EVICT_NS;
    for (uint32_t items = 0; !room && items < L1_EVICT_ITEMS; items += 8) {
        if (!evict_step(l1, 8) || clock_mono_ns() > until)
            break;
        room = segment_room(l1, pool, ttl_class, bytes, false);
    }
    return room;
}

/* One by one: the limit leaves room in segments, so nothing needs to be copied.  A few looks find some resident,
 * since the index is made for as many as the limit. */
bool evict_to_limit(struct l1 *l1)
{
    for (uint32_t tries = 0; l1->entries_max && l1->entries >= l1->entries_max; tries++) {
        uint32_t worst = look_around(l1);
        if (worst != SLOT_NONE)
            evict_item(l1, worst, slots_hash(l1, worst));
        else if (tries == L1_EVICT_ITEMS)
            return false;
    }
    return true;
}
