/* What the daemon knows about the heat of its entries: the hottest for the restart, one for `explain`. */
#include "l1/l1_private.h"

/* Passes over the slots, hottest first: those used at least so often that no earlier pass took. */
static const uint8_t levels[] = {9, 5, 3, 2, 1};

static uint64_t hash_of_slot(const struct l1 *l1, uint32_t slot)
{
    return shm_hash_key(l1->shape.hash_secret, item_of_slot(l1, slot).key);
}

static uint32_t hot_with(struct l1 *l1, unsigned level, uint32_t from, uint32_t slots, uint64_t *ret,
                         uint32_t max)
{
    uint32_t found = 0;
    for (uint32_t n = 0; n < slots && found < max; n++) {
        uint32_t slot = (from + n) % slots_count(l1);
        unsigned frequency = eviction_frequency(l1->heat[slot]);
        if (frequency >= levels[level] && (level == 0 || frequency < levels[level - 1]) &&
            slots_live(l1, slots_word(l1, slot)))
            ret[found++] = hash_of_slot(l1, slot);
    }
    return found;
}

uint32_t l1_slots(const struct l1 *l1)
{
    return slots_count(l1);
}

uint32_t l1_hot(struct l1 *l1, uint64_t *ret_hashes, uint32_t count_max, uint32_t slots_max)
{
    uint32_t slots = slots_max < slots_count(l1) ? slots_max : slots_count(l1), from = l1->hot_cursor,
             found = 0;
    for (unsigned level = 0; level < COUNT_OF(levels); level++)
        found += hot_with(l1, level, from, slots, ret_hashes + found, count_max - found);
    l1->hot_cursor = (from + slots) % slots_count(l1);
    return found;
}

static uint32_t name_with(struct l1 *l1, unsigned level, uint32_t from, uint32_t slots, uint32_t max,
                          void (*each)(void *user, struct slice key, unsigned frequency), void *user)
{
    uint32_t found = 0;
    for (uint32_t n = 0; n < slots && found < max; n++) {
        uint32_t slot = (from + n) % slots_count(l1);
        unsigned frequency = eviction_frequency(l1->heat[slot]);
        if (frequency < levels[level] || (level && frequency >= levels[level - 1]) ||
            !slots_live(l1, slots_word(l1, slot)))
            continue;
        each(user, item_of_slot(l1, slot).key, frequency);
        found++;
    }
    return found;
}

void l1_hot_keys(struct l1 *l1, uint32_t *cursor, uint32_t count_max, uint32_t slots_max,
                 void (*each)(void *user, struct slice key, unsigned frequency), void *user)
{
    uint32_t slots = slots_max < slots_count(l1) ? slots_max : slots_count(l1), found = 0;
    uint32_t from = *cursor % slots_count(l1);
    for (unsigned level = 0; level < COUNT_OF(levels); level++)
        found += name_with(l1, level, from, slots, count_max - found, each, user);
    *cursor = (from + slots) % slots_count(l1);
}

void l1_explain(struct l1 *l1, struct slice key, uint64_t key_hash, struct l1_explain *ret)
{
    *ret = (struct l1_explain){.seq = l1->seq};
    uint32_t slot = slots_find(l1, key, key_hash);
    if (slot == SLOT_NONE)
        return;
    uint32_t segment = segment_of(l1, shm_slot_offset(slots_word(l1, slot)));
    ret->present = true;
    ret->slot_number = slot;
    ret->segment = segment;
    ret->frequency = eviction_frequency(l1->heat[slot]);
    ret->pool = l1->segments[segment].pool;
    ret->ttl_class = l1->segments[segment].ttl_class;
    ret->born = (uint32_t)item_of_slot(l1, slot).born;
}
