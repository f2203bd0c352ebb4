/* What the curve (curve.h) is told of what happens here.
 *
 * What must stay true: hits of readers, found by their touches, and gets of the daemon are uses, each told once; a value
 * that is set, warmed, listed or looked at is none.  Nothing here changes what L1 answers. */
#include "l1/l1_private.h"

#include <math.h>
#include <xxhash.h>

enum {
    HALVING_S = 600,      /* half of what counts happened within the last 10 to 20 minutes, */
    HALVING_USES = 65536, /* ... longer where less was seen of watched keys in that time */
    TELL_MS = 1000,
    FULL_OF = 16, /* not evicting, all but a sixteenth of the segments can be filled */
};

void watch_setup(struct l1 *l1)
{
    if (l1->options.l1_curve)
        l1->watch.curve = curve_create(&(struct curve_setup){
            .keys = CURVE_KEYS, .halving_ns = HALVING_S * NS_PER_S, .halving_uses = HALVING_USES});
}

void watch_teardown(struct l1 *l1)
{
    l1->watch.curve = curve_destroy(l1->watch.curve);
}

static bool watches(const struct l1 *l1, uint64_t key_hash)
{
    return shm_tag(key_hash) < watch_below(l1);
}

/* The curve's time: steps of 67 ms, rounded down, so that what has ended here has ended there. */
static uint32_t time_of(uint64_t ns)
{
    return ns >> 26 < UINT32_MAX ? (uint32_t)(ns >> 26) : UINT32_MAX;
}

/* ---- uses -------------------------------------------------------------------------------------------------------- */

static void found(struct l1 *l1, uint64_t key_hash, uint32_t slot, double weight, uint32_t now)
{
    struct item_view i = item_of_slot(l1, slot);
    struct curve_item item = {.bytes = shm_item_bytes(i.shape),
                              .end = time_of(item_ns(l1, shm_life_hard(i.life))),
                              .policy = (uint8_t)shm_item_policy(i.shape)};
    curve_found(l1->watch.curve, key_hash, &item, weight, now);
}

void watch_asked(struct l1 *l1, const struct tier_read *read, uint32_t slot)
{
    if (read->looks)
        return;
    l1->watch.gets++;
    l1->watch.misses += slot == SLOT_NONE;
    if (!watches(l1, read->key_hash))
        return;
    if (slot == SLOT_NONE)
        curve_missed(l1->watch.curve, read->key_hash, time_of(read->now_ns));
    else
        found(l1, read->key_hash, slot, 1, time_of(read->now_ns));
}

static void take(struct l1 *l1, uint64_t touch, double weight, uint32_t now)
{
    uint32_t slot = touch_slot(l1, touch);
    if (slot != SLOT_NONE && slots_live(l1, slots_word(l1, slot)))
        found(l1, slots_hash(l1, slot), slot, weight, now);
}

/* Which of the noted keys was used first is not known: they are taken by place, which is as good as any order. */
void watch_drain(struct l1 *l1, au64 watched[SHM_TOUCHES])
{
    uint64_t touches[SHM_TOUCHES];
    uint32_t taken = 0;
    if (!l1->watch.curve)
        return;
    for (unsigned i = 0; i < SHM_TOUCHES; i++) {
        uint64_t touch = atomic_load_explicit(&watched[i], memory_order_relaxed);
        if (!touch)
            continue;
        atomic_store_explicit(&watched[i], 0, memory_order_relaxed);
        touches[taken++] = touch;
    }
    if (taken == 0)
        return;
    double weight = curve_crowd(l1->watch.curve, taken, SHM_TOUCHES);
    uint32_t now = time_of(l1->now_ns(l1));
    for (uint32_t i = 0; i < taken; i++)
        take(l1, touches[i], weight, now);
}

/* ---- changes ------------------------------------------------------------------------------------------------------ */

void watch_stored(struct l1 *l1, const struct entry *e, uint32_t bytes)
{
    if (!watches(l1, e->key_hash))
        return;
    uint64_t content = XXH3_64bits(e->value.data, e->value.size) + e->absent;
    struct curve_item item = {.bytes = bytes,
                              .end = time_of(e->hard_ns),
                              .content = (uint32_t)content | 1, /* 0: unknown */
                              .policy = e->policy};
    curve_stored(l1->watch.curve, e->key_hash, &item, time_of(l1->now_ns(l1)));
}

void watch_prolonged(struct l1 *l1, uint64_t key_hash, uint64_t hard_ns)
{
    if (watches(l1, key_hash))
        curve_prolonged(l1->watch.curve, key_hash, time_of(hard_ns));
}

void watch_invalidated(struct l1 *l1, uint64_t key_hash)
{
    if (watches(l1, key_hash))
        curve_invalidated(l1->watch.curve, key_hash);
}

void watch_cleared(struct l1 *l1)
{
    if (l1->watch.curve)
        curve_cleared(l1->watch.curve);
}

/* ---- counts ----------------------------------------------------------------------------------------------------- */

bool l1_limited_by_entries(const struct l1 *l1)
{
    return l1->entries_max && l1->entries >= l1->entries_max;
}

/* Bytes of entries like those here that it holds when it is full. */
static uint64_t capacity(const struct l1 *l1)
{
    uint64_t live = l1->pool_live_bytes[POOL_NEW] + l1->pool_live_bytes[POOL_KEPT];
    uint64_t whole = (uint64_t)l1->shape.segment_count << l1->shape.segment_shift,
             room = whole - whole / FULL_OF;
    uint64_t limited = l1->entries_max ? live * l1->entries_max / (l1->entries ? l1->entries : 1) : 0;
    if (limited && limited < room)
        return limited;
    return l1->free.count <= L1_SEGMENTS_LOW || live > room ? live : room;
}

static void tell(struct l1 *l1, uint64_t now_ns)
{
    touch_count_all(l1);
    curve_capacity(l1->watch.curve, capacity(l1));
    curve_told(l1->watch.curve, l1->count.l1_hits_shared + l1->watch.gets, l1->watch.misses, now_ns);
    l1->watch.told_ns = now_ns;
}

void watch_tick(struct l1 *l1)
{
    if (!l1->watch.curve)
        return;
    uint64_t now = l1->now_ns(l1);
    if (now - l1->watch.told_ns >= TELL_MS * NS_PER_MS)
        tell(l1, now);
    uint32_t below = curve_below(l1->watch.curve);
    if (below != l1->watch.below)
        touch_watch_below(l1, below);
    l1->watch.below = below;
}

const struct curve *l1_curve(struct l1 *l1)
{
    if (l1->watch.curve)
        tell(l1, l1->now_ns(l1));
    return l1->watch.curve;
}
