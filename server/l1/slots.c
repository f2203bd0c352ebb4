/* The index: two buckets of eight slots a key, no chains.
 *
 * What must stay true: a live key has one slot and never changes it; a slot that is not 0 names a published item
 * of a segment in use, or of a doomed one. */
#include "l1/l1_private.h"

bool slots_live(const struct l1 *l1, uint64_t word)
{
    if (word == 0)
        return false;
    const struct segment *s = &l1->segments[segment_of(l1, shm_slot_offset(word))];
    return s->state != SEGMENT_DOOMED;
}

static bool slot_is(const struct l1 *l1, uint64_t word, uint16_t tag, struct slice key)
{
    return shm_slot_tag(word) == tag && slots_live(l1, word) &&
           slice_equal(item_at(l1, shm_slot_offset(word)).key, key);
}

void slots_expect(const struct l1 *l1, uint64_t hash)
{
    uint32_t buckets[2];
    shm_buckets(hash, l1->shape.bucket_count, buckets);
    for (int b = 0; b < 2; b++) {
        size_t first = (size_t)buckets[b] * SHM_SLOTS;
        __builtin_prefetch(l1->buckets + first);
    }
}

uint32_t slots_find(const struct l1 *l1, struct slice key, uint64_t hash)
{
    uint32_t buckets[2];
    shm_buckets(hash, l1->shape.bucket_count, buckets);
    __builtin_prefetch(l1->buckets + (size_t)buckets[1] * SHM_SLOTS);
    for (int b = 0; b < 2; b++)
        for (uint32_t slot = buckets[b] * SHM_SLOTS; slot < (buckets[b] + 1) * SHM_SLOTS; slot++)
            if (slot_is(l1, slots_word(l1, slot), shm_tag(hash), key))
                return slot;
    return SLOT_NONE;
}

uint32_t slots_find_word(const struct l1 *l1, uint64_t hash, uint64_t word)
{
    uint32_t buckets[2];
    shm_buckets(hash, l1->shape.bucket_count, buckets);
    for (int b = 0; b < 2; b++)
        for (uint32_t slot = buckets[b] * SHM_SLOTS; slot < (buckets[b] + 1) * SHM_SLOTS; slot++)
            if (slots_word(l1, slot) == word)
                return slot;
    return SLOT_NONE;
}

static uint32_t bucket_free(const struct l1 *l1, uint32_t bucket, uint32_t *ret_count)
{
    uint32_t empty = SLOT_NONE;
    *ret_count = 0;
    for (uint32_t slot = bucket * SHM_SLOTS; slot < (bucket + 1) * SHM_SLOTS; slot++) {
        if (slots_word(l1, slot) != 0)
            continue;
        ++*ret_count;
        if (empty == SLOT_NONE)
            empty = slot;
    }
    return empty;
}

uint32_t slots_place(const struct l1 *l1, uint64_t hash)
{
    uint32_t buckets[2], free_a, free_b;
    shm_buckets(hash, l1->shape.bucket_count, buckets);
    uint32_t a = bucket_free(l1, buckets[0], &free_a), b = bucket_free(l1, buckets[1], &free_b);
    return free_a >= free_b ? a : b;
}

uint32_t slots_coldest(const struct l1 *l1, uint64_t hash)
{
    uint32_t buckets[2], coldest = SLOT_NONE;
    shm_buckets(hash, l1->shape.bucket_count, buckets);
    for (int b = 0; b < 2; b++)
        for (uint32_t slot = buckets[b] * SHM_SLOTS; slot < (buckets[b] + 1) * SHM_SLOTS; slot++)
            if (slots_word(l1, slot) != 0 &&
                (coldest == SLOT_NONE || eviction_worth(l1->eviction, slots_item(l1, slot)) <
                                             eviction_worth(l1->eviction, slots_item(l1, coldest))))
                coldest = slot;
    return coldest;
}

void slots_store(struct l1 *l1, uint32_t slot, uint64_t word)
{
    uint64_t old = slots_word(l1, slot);
    order_publish(l1->buckets + slot, word);
    if (old)
        segment_item_died(l1, old);
    eviction_appended(l1->eviction, segment_of(l1, shm_slot_offset(word)), slots_item(l1, slot));
}

void slots_drop(struct l1 *l1, uint32_t slot)
{
    uint64_t old = slots_word(l1, slot);
    order_clear(l1->buckets + slot);
    segment_item_died(l1, old);
}

void slots_touch(struct l1 *l1, uint32_t slot)
{
    uint64_t word = slots_word(l1, slot);
    if (!slots_live(l1, word))
        return;
    uint32_t segment = segment_of(l1, shm_slot_offset(word));
    l1->heat[slot] =
        eviction_used(l1->eviction, slots_item(l1, slot), segment, l1->segments[segment].live_items);
    if (eviction_watches(l1->eviction, shm_slot_tag(word)))
        eviction_used_key(l1->eviction, slots_hash(l1, slot));
    eviction_work(l1->eviction);
}
