/* Items: entries as bytes in a segment, and back. */
#include "l1/l1_private.h"

/* ---- time ------------------------------------------------------------------------------------------------- */

uint32_t item_ticks(const struct l1 *l1, uint64_t ns)
{
    if (ns <= l1->shape.base_boot_ns)
        return 0;
    uint64_t ticks = (ns - l1->shape.base_boot_ns) / SHM_TICK_NS;
    return ticks < SHM_TICKS_MAX ? (uint32_t)ticks : SHM_TICKS_MAX;
}

uint64_t item_ns(const struct l1 *l1, uint32_t ticks)
{
    return l1->shape.base_boot_ns + (uint64_t)ticks * SHM_TICK_NS;
}

/* Classes by the end, so that what dies together lies together. */
unsigned item_ttl_class(uint64_t now_ns, uint64_t hard_ns)
{
    static const uint64_t longest_ns[L1_TTL_CLASSES - 1] = {60 * NS_PER_S, 3600 * NS_PER_S, 86400 * NS_PER_S};
    uint64_t left = hard_ns > now_ns ? hard_ns - now_ns : 0;
    unsigned class = 0;
    while (class < L1_TTL_CLASSES - 1 && left > longest_ns[class])
        class ++;
    return class;
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

struct item_view item_at(const struct l1 *l1, uint64_t offset)
{
    struct item_view i;
    i.item = (struct shm_item *)(void *)(l1->base + offset);
    i.shape = order_own(&i.item->shape);
    i.life = order_own(&i.item->life);
    i.born = order_own(&i.item->born);
    i.v = order_own(&i.item->v);
    const uint8_t *key = l1->base + offset + shm_item_key_offset(i.shape);
    i.key = slice_of(key, shm_item_key_bytes(i.shape));
    i.value = slice_of(key + i.key.size, shm_item_value_bytes(i.shape));
    i.prints = (const uint32_t *)(const void *)(i.item + 1);
    i.prints_count = shm_item_tags(i.shape);
    return i;
}

void item_entry(const struct l1 *l1, const struct item_view *i, uint64_t key_hash, uint64_t now_ns,
                struct entry *ret)
{
    unsigned bits = shm_item_bits(i->shape);
    *ret = (struct entry){
        .key = i->key,
        .key_hash = key_hash,
        .value = i->value,
        .epoch = l1->shape.epochs[shm_partition(i->key, l1->shape.partitions)],
        .v = i->v,
        .id = shm_item_id(i->shape),
        .hard_ns = item_ns(l1, shm_life_hard(i->life)),
        .soft_ns = item_ns(l1, shm_life_soft(i->life)),
        .user_flags = (uint32_t)(i->born >> 32),
        .schema = bits & SHM_ITEM_SCHEMA ? i->prints[i->prints_count] : 0,
        .policy = (uint8_t)shm_item_policy(i->shape),
        .absent = bits & SHM_ITEM_ABSENT,
        .local = i->life & SHM_LIFE_LOCAL,
        .tags_count = (uint8_t)i->prints_count,
    };
    ret->stale = i->life & SHM_LIFE_STALE || now_ns >= ret->soft_ns;
    for (unsigned t = 0; t < i->prints_count; t++)
        ret->tags[t] = i->prints[t];
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

static uint64_t entry_shape(const struct entry *e)
{
    unsigned bits = (e->absent ? SHM_ITEM_ABSENT : 0) | (e->schema ? SHM_ITEM_SCHEMA : 0);
    return shm_item_shape((uint32_t)e->value.size, (uint32_t)e->key.size, e->tags_count,
                          e->policy < SHM_POLICIES ? e->policy : SHM_POLICIES - 1, bits, e->id & 0xffffff);
}

uint32_t item_bytes_needed(const struct entry *e)
{
    return shm_item_bytes(entry_shape(e));
}

static uint64_t entry_life(const struct l1 *l1, const struct entry *e)
{
    uint64_t bits = (e->stale ? SHM_LIFE_STALE : 0) | (e->local ? SHM_LIFE_LOCAL : 0);
    return shm_life(item_ticks(l1, e->hard_ns), item_ticks(l1, e->soft_ns), bits);
}

/* Put together in private memory, then stored by the word. */
void item_write(struct l1 *l1, uint64_t offset, const struct entry *e, uint32_t bytes)
{
    uint64_t head[4] = {entry_shape(e), entry_life(l1, e), (uint64_t)e->user_flags << 32 | l1->seq, e->v};
    uint8_t *at = l1->scratch;
    memset(at + bytes - 8, 0, 8);
    memcpy(at, head, sizeof(head));
    at += sizeof(head);
    for (unsigned t = 0; t < e->tags_count; t++, at += 4)
        memcpy(at, &(uint32_t){shm_fingerprint(e->tags[t])}, 4);
    if (e->schema) {
        memcpy(at, &e->schema, 4);
        at += 4;
    }
    memcpy(at, e->key.data, e->key.size);
    if (e->value.size)
        memcpy(at + e->key.size, e->value.data, e->value.size);
    order_write((au64 *)(void *)(l1->base + offset), l1->scratch, bytes);
}
