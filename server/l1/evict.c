/* S3-FIFO over segments: newcomers pass through a small pool, what was touched there moves to the main pool, what
 * was not is remembered as a ghost and goes straight to main when it comes back.
 *
 * What must stay true: the work of one call is bounded; a walk always ends with its segment free; walks cannot go
 * round in circles: when nearly everything survives while insertions wait, the next asks for more (stubborn); a
 * move re-evaluates kills exactly before it stamps the copy with the present sequence (F19). */
#include "l1/l1_private.h"

enum {
    COMPACT_SAMPLE = 1024, /* segments looked at for the emptiest one */
    GHOST_WAYS = 4,
    GHOST_UNITS = 64, /* a ghost lives as many units as make its table turn over once */
};

/* ---- ghosts -------------------------------------------------------------------------------------------------- */

static uint32_t *ghost_set(const struct l1 *l1, uint64_t hash)
{
    return l1->ghosts.words + GHOST_WAYS * (uint32_t)((hash >> 32) * l1->ghosts.sets >> 32);
}

static uint32_t ghost_print(uint64_t hash)
{
    uint32_t print = (uint32_t)(hash >> 8) & 0xffff;
    return print ? print << 16 : 1u << 16;
}

static uint16_t ghost_age(const struct l1 *l1, uint32_t word)
{
    return (uint16_t)(l1->ghosts.time - (uint16_t)word);
}

bool ghosts_take(struct l1 *l1, uint64_t hash)
{
    uint32_t *set = ghost_set(l1, hash);
    for (int i = 0; i < GHOST_WAYS; i++) {
        if ((set[i] & 0xffff0000u) != ghost_print(hash) || ghost_age(l1, set[i]) > GHOST_UNITS)
            continue;
        set[i] = 0;
        l1->count.l1_ghost_hits++;
        return true;
    }
    return false;
}

void ghosts_add(struct l1 *l1, uint64_t hash)
{
    struct ghosts *g = &l1->ghosts;
    uint32_t *set = ghost_set(l1, hash), *oldest = set;
    for (int i = 0; i < GHOST_WAYS && *oldest; i++)
        if (set[i] == 0 || ghost_age(l1, set[i]) > ghost_age(l1, *oldest))
            oldest = &set[i];
    *oldest = ghost_print(hash) | g->time;
    if (++g->inserts % g->unit == 0)
        g->time++;
}

void evict_setup(struct l1 *l1)
{
    uint32_t capacity = slots_count(l1) / 4 * 3; /* entries the slots are meant for */
    if (l1->entries_max && l1->entries_max < capacity)
        capacity = (uint32_t)l1->entries_max;
    struct ghosts *g = &l1->ghosts;
    *g = (struct ghosts){.sets = capacity / GHOST_WAYS + 1};
    g->unit = g->sets * GHOST_WAYS / GHOST_UNITS + 1;
    g->words = must_alloc(sizeof(uint32_t) * GHOST_WAYS * g->sets);
    l1->walk = (struct walk){.segment = SEGMENT_NONE};
    l1->stubborn = 0;
}

void evict_teardown(struct l1 *l1)
{
    free(l1->ghosts.words);
    l1->ghosts.words = NULL;
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
    slots_drop(l1, slot);
    ghosts_add(l1, hash);
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

static void decide(struct l1 *l1, uint32_t slot, const struct item_view *i, uint64_t hash)
{
    uint8_t *freq = &l1->freq[slot];
    if (l1->walk.kind == WALK_COMPACT) {
        keep_item(l1, slot, i, l1->segments[l1->walk.segment].pool, hash);
    } else if (l1->walk.kind == WALK_SMALL && *freq >= l1->walk.cutoff) {
        *freq = 0;
        keep_item(l1, slot, i, POOL_MAIN, hash);
    } else if (l1->walk.kind == WALK_MAIN && *freq >= l1->walk.cutoff) {
        --*freq;
        keep_item(l1, slot, i, POOL_MAIN, hash);
    } else {
        evict_item(l1, slot, hash);
    }
}

static void walk_item(struct l1 *l1, uint64_t offset, const struct item_view *i)
{
    uint64_t hash = shm_hash_key(l1->shape.hash_secret, i->key);
    uint64_t word = shm_slot(shm_tag(hash), l1->segments[l1->walk.segment].gen, offset);
    uint32_t slot = slots_find_word(l1, hash, word);
    if (slot == SLOT_NONE)
        return; /* dead already */
    if (l1->walk.kind == WALK_DOOMED) {
        slots_drop(l1, slot);
        return;
    }
    if (shm_life_hard(i->life) <= item_ticks(l1, l1->now_ns(l1))) {
        slots_drop(l1, slot);
        l1->count.l1_expired++;
        return;
    }
    switch (cells_settle(l1, slot)) {
    case DEAD: return;
    case SUSPECT: slots_drop(l1, slot); return; /* a copy would be born after the floor */
    default: break;
    }
    struct item_view settled = item_at(l1, offset);
    decide(l1, slot, &settled, hash);
}

/* ---- which segment ------------------------------------------------------------------------------------------------ */

static uint32_t dead_in(const struct l1 *l1, uint32_t segment)
{
    return segment_bytes(l1) - l1->segments[segment].live_bytes;
}

/* The emptiest of a sample of sealed segments, if copying its survivors together is worth it. */
static uint32_t to_compact(struct l1 *l1)
{
    uint64_t all = (uint64_t)l1->shape.segment_count << l1->shape.segment_shift;
    bool at_limit = l1->entries_max && l1->entries >= l1->entries_max;
    if (at_limit || segment_dead_bytes(l1) < all / 14)
        return SEGMENT_NONE;
    uint32_t best = SEGMENT_NONE;
    for (uint32_t n = 0; n < COMPACT_SAMPLE && n < l1->shape.segment_count; n++) {
        uint32_t segment = l1->compact_cursor++ % l1->shape.segment_count;
        if (l1->segments[segment].state == SEGMENT_SEALED &&
            (best == SEGMENT_NONE || dead_in(l1, segment) > dead_in(l1, best)))
            best = segment;
    }
    bool worth = best != SEGMENT_NONE && dead_in(l1, best) > segment_bytes(l1) / 7;
    return worth ? best : SEGMENT_NONE;
}

/* The pool that is over its share: small over a tenth of the live bytes. */
static enum pool pool_to_evict(const struct l1 *l1)
{
    uint64_t small = l1->pool_live_bytes[POOL_SMALL], all = small + l1->pool_live_bytes[POOL_MAIN];
    return small * 10 > all ? POOL_SMALL : POOL_MAIN;
}

/* Nothing of the pool is sealed: the fullest segment it appends to will do. */
static bool seal_one(struct l1 *l1, enum pool pool)
{
    uint32_t fullest = SEGMENT_NONE;
    for (int class = 0; class < L1_TTL_CLASSES; class ++) {
        uint32_t segment = l1->open_segments[pool][class];
        if (segment != SEGMENT_NONE &&
            (fullest == SEGMENT_NONE || l1->segments[segment].used > l1->segments[fullest].used))
            fullest = segment;
    }
    if (fullest != SEGMENT_NONE)
        segment_seal(l1, fullest);
    return l1->sealed[pool].count > 0;
}

static bool has_victim(struct l1 *l1, enum pool pool)
{
    return l1->sealed[pool].count > 0 || seal_one(l1, pool);
}

static bool walk_segment(struct l1 *l1, uint32_t segment, struct queue *q, enum walk_kind kind)
{
    queue_remove(l1, q, segment);
    struct segment *s = &l1->segments[segment];
    if (kind != WALK_DOOMED)
        s->state = SEGMENT_WALKED;
    l1->walk = (struct walk){
        .segment = segment, .kind = kind, .cutoff = 1 + l1->stubborn, .live_before = s->live_bytes};
    return true;
}

static bool walk_begin(struct l1 *l1)
{
    if (l1->doomed.count)
        return walk_segment(l1, l1->doomed.first, &l1->doomed, WALK_DOOMED);
    uint32_t loose = to_compact(l1);
    if (loose != SEGMENT_NONE)
        return walk_segment(l1, loose, &l1->sealed[l1->segments[loose].pool], WALK_COMPACT);
    enum pool pool = pool_to_evict(l1);
    if (!has_victim(l1, pool))
        pool = pool == POOL_SMALL ? POOL_MAIN : POOL_SMALL;
    if (!has_victim(l1, pool))
        return false;
    return walk_segment(l1, l1->sealed[pool].first, &l1->sealed[pool],
                        pool == POOL_SMALL ? WALK_SMALL : WALK_MAIN);
}

/* Insertions wait for room and a walk freed hardly any: the next one keeps only what is used more. */
static void walk_end(struct l1 *l1)
{
    const struct walk *w = &l1->walk;
    segment_free(l1, w->segment);
    bool short_of_room = l1->free.count <= L1_SEGMENTS_RESERVED;
    bool hardly_any_gain = w->moved > w->live_before / 8 * 7;
    if (!short_of_room)
        l1->stubborn = 0;
    else if (hardly_any_gain && l1->stubborn < L1_FREQ_MAX)
        l1->stubborn++;
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

uint64_t evict_room(struct l1 *l1, enum pool pool, unsigned ttl_class, uint32_t bytes)
{
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

bool evict_to_limit(struct l1 *l1)
{
    for (uint32_t items = 0; items < L1_EVICT_ITEMS; items++) {
        if (!l1->entries_max || l1->entries < l1->entries_max)
            return true;
        if (!evict_step(l1, 1))
            return false;
    }
    return l1->entries < l1->entries_max;
}
