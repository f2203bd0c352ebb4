/* What the daemon knows about the heat of its entries: the hottest for the restart, one for `explain`. */
#include "l1/l1_private.h"

enum { FREQUENCIES = 16 }; /* of eviction_frequency */

uint32_t l1_slots(const struct l1 *l1)
{
    return slots_count(l1);
}

struct slice l1_slot_key(const struct l1 *l1, uint32_t slot)
{
    return item_of_slot(l1, slot).key;
}

unsigned l1_slot_frequency(const struct l1 *l1, uint32_t slot)
{
    return eviction_frequency(l1->heat[slot]);
}

unsigned l1_slot_rank(const struct l1 *l1, uint32_t slot)
{
    return l1_slot_frequency(l1, slot) << 8 | (UINT8_MAX - eviction_distance(l1->heat[slot]));
}

static bool is_live(const struct l1 *l1, uint32_t slot)
{
    return slots_live(l1, slots_word(l1, slot));
}

static uint32_t next_of(const struct l1 *l1, uint32_t slot)
{
    return slot + 1 < slots_count(l1) ? slot + 1 : 0;
}

/* Sorted by counting: how many are of each frequency says where those of the next lower one begin. */
uint32_t l1_hottest(const struct l1 *l1, uint32_t *cursor, uint32_t slots, uint32_t *ret_slots, uint32_t max)
{
    uint32_t from = *cursor % slots_count(l1), slot = from, found = 0, at[FREQUENCIES] = {0};
    slots = slots < slots_count(l1) ? slots : slots_count(l1);
    for (uint32_t n = 0; n < slots; n++, slot = next_of(l1, slot))
        at[l1_slot_frequency(l1, slot)] += is_live(l1, slot);
    for (unsigned f = FREQUENCIES; f-- > 0;) {
        uint32_t count = at[f];
        at[f] = found;
        found += count;
    }
    slot = from;
    for (uint32_t n = 0; n < slots; n++, slot = next_of(l1, slot)) {
        uint32_t *to = &at[l1_slot_frequency(l1, slot)];
        if (*to < max && is_live(l1, slot))
            ret_slots[(*to)++] = slot;
    }
    *cursor = slot;
    return found < max ? found : max;
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
