/* THE READER, to be compiled into whoever calls it: shm_view.c for all, and client/read.c for the one call that is worth a
 * copy of its own, a get without options that hits.  (Compiled apart, a fifth of that call's instructions were spent on
 * handing things from one function to the next.)
 *
 * What must stay true: shared memory is only touched through proto/shm_load.h, in the order R0 to R6 that the
 * essay in proto/shm.h argues for; nothing found there bounds an access before it was compared with the checked
 * copy of the shape; every loop has a constant bound or one given by the caller's key.
 *
 * What is found stays as it lies, in words, until nothing speaks against it: shm_describe takes it apart at the end. */
#ifndef LARDER_PROTO_SHM_READ_H
#define LARDER_PROTO_SHM_READ_H

#define XXH_INLINE_ALL
#include <xxhash.h>
#include "proto/shm_load.h"
#include "proto/shm_view.h"

/* ThreadSanitizer knows atomics but neither fences nor assembly: it gets the word loop, whose loads are all
 * atomics, and needs no fence to see that nothing races. */
#if defined(__SANITIZE_THREAD__)
#define SHM_COPY_WORDS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SHM_COPY_WORDS 1
#endif
#endif
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wtsan"
#endif

#if defined(__x86_64__) && !defined(SHM_COPY_WORDS)
#include "proto/shm_copy_x86.h"
#else
#include "proto/shm_copy_words.h"
#endif

/* ---- hashes -------------------------------------------------------------------------------------------- */

static inline uint64_t shm_key_hash(uint64_t secret, struct slice key)
{
    return XXH3_64bits_withSeed(key.data, key.size, secret);
}

static inline uint64_t shm_name_hash(uint64_t secret, enum shm_name_kind kind, struct slice name)
{
    return XXH3_64bits_withSeed(name.data, name.size, secret + (uint64_t)kind * 0x9e3779b97f4a7c15ull);
}

static inline uint32_t shm_partition_of(struct slice key, uint32_t partitions)
{
    if (partitions <= 1)
        return 0;
    return (uint32_t)((XXH3_64bits(key.data, key.size) >> 32) * partitions >> 32);
}

/* ---- R0: promises, before anything they vouch for -------------------------------------------------------- */

static inline void shm_take_promises(const struct shm_view *v, struct shm_peek *p, struct shm_found *f)
{
    const struct shm_header *h = v->header;
    f->partition = (uint8_t)shm_partition_of(p->key, v->shape.partitions);
    p->fresh_until = SHM_ACQUIRE(&h->fresh_until[f->partition]);
    p->alive_until = SHM_ACQUIRE(&h->alive_until);
    p->mode = SHM_ACQUIRE(&h->mode);
    p->sweeps = SHM_ACQUIRE(&h->sweeps);
}

/* ---- R3, R4: was the copy whole -------------------------------------------------------------------------- */

static inline bool shm_unchanged(const struct shm_peek *p)
{
    SHM_FENCE();                                                                   /* R3 */
    return SHM_RELAXED(p->gen_at) == p->gen && SHM_RELAXED(p->slot_at) == p->slot; /* R4 */
}

/* ---- R1, R2: find the item ------------------------------------------------------------------------------- */

enum shm_look { SHM_LOOK_NO, SHM_LOOK_YES, SHM_LOOK_RACE };

/* Tag fingerprints and schema, by the word: the second half of the last one may be the key's first bytes. */
static inline void shm_copy_prints(struct shm_peek *p, const au64 *from, unsigned count)
{
    for (unsigned i = 0; i < count; i += 2) {
        uint64_t pair = SHM_RELAXED(from + i / 2);
        p->prints[i] = (uint32_t)pair;
        p->prints[i + 1] = (uint32_t)(pair >> 32);
    }
}

static inline void shm_copy_head(struct shm_peek *p, const struct shm_item *item, uint64_t shape)
{
    p->born = SHM_ACQUIRE(&item->born); /* before life: see R1 in shm.h */
    p->life = SHM_RELAXED(&item->life);
    p->v = SHM_RELAXED(&item->v);
    p->shape = shape;
    p->prints_count = shm_item_tags(shape);
    unsigned prints = p->prints_count + (shm_item_bits(shape) & SHM_ITEM_SCHEMA ? 1 : 0);
    if (__builtin_expect(prints != 0, 0))
        shm_copy_prints(p, (const au64 *)(item + 1), prints);
}

/* To the caller's own words. */
static inline void shm_describe(const struct shm_peek *p, struct shm_found *ret)
{
    unsigned bits = shm_item_bits(p->shape);
    ret->v = p->v;
    ret->value_bytes = shm_item_value_bytes(p->shape);
    ret->user_flags = (uint32_t)(p->born >> 32);
    ret->schema = bits & SHM_ITEM_SCHEMA ? p->prints[p->prints_count] : 0;
    ret->id = shm_item_id(p->shape);
    ret->policy = (uint8_t)shm_item_policy(p->shape);
    ret->absent = bits & SHM_ITEM_ABSENT;
}

static inline bool shm_look_item(struct shm_peek *p, const uint8_t *at, uint64_t room)
{
    const struct shm_item *item = (const struct shm_item *)(const void *)at;
    if (room < sizeof(*item))
        return false;
    uint64_t shape = SHM_RELAXED(&item->shape);
    if (shm_item_key_bytes(shape) != p->key.size || shm_item_tags(shape) > SHM_TAGS_MAX ||
        shm_item_bytes(shape) > room)
        return false;
    const uint8_t *key = at + shm_item_key_offset(shape);
    if (!shm_same(key, p->key.data, p->key.size))
        return false;
    shm_copy_head(p, item, shape);
    p->value = key + p->key.size;
    return true;
}

static inline enum shm_look shm_look_slot(const struct shm_view *v, struct shm_peek *p, const au64 *slot_at,
                                          uint64_t slot)
{
    const struct shm_shape *s = &v->shape;
    uint64_t offset =
        shm_slot_offset(slot) - s->segments_offset; /* wraps when too small, and fails the next test */
    uint64_t segment = offset >> s->segment_shift;
    if (segment >= s->segment_count)
        return SHM_LOOK_NO;
    const uint8_t *at = v->base + s->segments_offset + offset;
    p->slot_at = slot_at;
    p->slot = slot;
    p->gen_at = v->gens + segment;
    p->gen = SHM_ACQUIRE(p->gen_at);
    if (SHM_ACQUIRE(slot_at) != slot) /* R2 */
        return SHM_LOOK_RACE;
    if ((uint16_t)p->gen != shm_slot_gen(slot))
        return SHM_LOOK_NO;
    uint64_t room = ((segment + 1) << s->segment_shift) - offset;
    if (shm_look_item(p, at, room))
        return SHM_LOOK_YES;
    return shm_unchanged(p) ? SHM_LOOK_NO : SHM_LOOK_RACE; /* not this key, or it moved on under the reader */
}

static inline enum shm_look shm_look_bucket(const struct shm_view *v, struct shm_peek *p, struct shm_found *f,
                                            uint32_t bucket, uint16_t tag)
{
    const au64 *slots = v->buckets + (uint64_t)bucket * SHM_SLOTS;
    for (unsigned found = shm_match(slots, tag); found; found &= found - 1) {
        unsigned i = (unsigned)__builtin_ctz(found);
        uint64_t slot = SHM_RELAXED(slots + i);
        if (shm_slot_tag(slot) != tag || slot == 0)
            continue;
        enum shm_look looked = shm_look_slot(v, p, slots + i, slot);
        if (looked == SHM_LOOK_NO)
            continue;
        f->slot_number = bucket * SHM_SLOTS + i;
        f->tag = tag;
        return looked;
    }
    return SHM_LOOK_NO;
}

static inline enum shm_look shm_look(const struct shm_view *v, struct shm_peek *p, struct shm_found *f,
                                     uint64_t hash)
{
    uint32_t buckets[2];
    shm_buckets(hash, v->shape.bucket_count, buckets);
    __builtin_prefetch(v->buckets + (uint64_t)buckets[1] * SHM_SLOTS);
    enum shm_look found = SHM_LOOK_NO;
    for (unsigned i = 0; i < 2 && found == SHM_LOOK_NO; i++)
        found = shm_look_bucket(v, p, f, buckets[i], shm_tag(hash));
    return found;
}

/* ---- R5: was it invalidated ------------------------------------------------------------------------------ */

static inline bool shm_print_killed(const struct shm_view *v, uint32_t print, uint32_t born)
{
    return shm_cell_kills(SHM_RELAXED(v->cells + shm_cell_index(print)), print, born);
}

static inline bool shm_cells_kill(const struct shm_view *v, const struct shm_peek *p)
{
    uint32_t born = (uint32_t)p->born;
    for (unsigned i = 0; i < p->prints_count; i++)
        if (shm_print_killed(v, p->prints[i], born))
            return true;
    const char *text = p->key.data;
    unsigned levels = 0;
    for (size_t i = 0; i < p->key.size && levels < SHM_PREFIX_LEVELS; i++) {
        if (text[i] != ':')
            continue;
        levels++;
        uint64_t name = shm_name_hash(v->shape.hash_secret, SHM_NAME_PREFIX, slice_of(text, i + 1));
        if (shm_print_killed(v, shm_fingerprint(name), born))
            return true;
    }
    return false;
}

enum { SHM_NO_OBJECTION = -1 };

static inline int shm_killed(const struct shm_view *v, const struct shm_peek *p)
{
    const struct shm_header *h = v->header;
    uint32_t born = (uint32_t)p->born;
    if (born < SHM_ACQUIRE(&h->floor_seq))
        return SHM_ASK_FLOOR;
    if (p->life & SHM_LIFE_LOCAL && born < SHM_ACQUIRE(&h->local_floor))
        return SHM_ASK_FLOOR;
    if (born < SHM_ACQUIRE(&h->last_kill) && shm_cells_kill(v, p))
        return SHM_ASK_KILLED;
    SHM_FENCE();
    return SHM_RELAXED(&h->sweeps) == p->sweeps ? SHM_NO_OBJECTION : SHM_ASK_RACE;
}

/* ---- R6: the clock, last ----------------------------------------------------------------------------------- */

/* CLOCK_BOOTTIME, never behind it: what the clock may lag is counted against the reader. */
static inline uint64_t shm_now_ns(const struct shm_view *v)
{
    bool boottime = v->shape.boottime_clock;
    uint64_t shift = boottime ? 0 : SHM_ACQUIRE(&v->header->boot_minus_mono);
    struct timespec t;
    SHM_CLOCK(boottime ? CLOCK_BOOTTIME : CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec + shift + v->clock_lag_ns;
}

static inline bool shm_owner_alive(const struct shm_view *v)
{
    const struct shm_header *h = v->header;
    return !(SHM_ACQUIRE(&h->owner) & SHM_OWNER_DIED) && SHM_ACQUIRE(&h->state) == SHM_OPEN;
}

/* Past the fence's promise: only a detached daemon may still be believed, and the caller is told. */
static inline int shm_suspect(const struct shm_view *v, const struct shm_peek *p, struct shm_found *f)
{
    bool serving = f->local || f->now_ns < SHM_ACQUIRE(&v->header->serve_until);
    if (p->mode != SHM_DETACHED || !serving)
        return SHM_ASK_SUSPECT;
    f->detached = true;
    return SHM_NO_OBJECTION;
}

static inline int shm_outdated(const struct shm_view *v, const struct shm_peek *p, struct shm_found *f)
{
    uint64_t base = v->shape.base_boot_ns;
    f->hard_ns = base + (uint64_t)shm_life_hard(p->life) * SHM_TICK_NS;
    f->soft_ns = base + (uint64_t)shm_life_soft(p->life) * SHM_TICK_NS;
    f->stale = p->life & SHM_LIFE_STALE;
    f->local = p->life & SHM_LIFE_LOCAL;
    f->detached = false;
    f->now_ns = shm_now_ns(v);
    if (!shm_owner_alive(v) || f->now_ns >= p->alive_until)
        return SHM_ASK_DEAD;
    if (f->now_ns >= f->hard_ns)
        return SHM_ASK_EXPIRED;
    if (f->now_ns >= p->fresh_until || f->local) {
        int reason = shm_suspect(v, p, f);
        if (reason != SHM_NO_OBJECTION)
            return reason;
    }
    return f->now_ns >= f->soft_ns ? SHM_ASK_REFRESH : SHM_NO_OBJECTION;
}

/* ---- the three together ------------------------------------------------------------------------------------ */

/* R3 to R6: what speaks against the copy. */
static inline int shm_objection(const struct shm_view *v, const struct shm_peek *p, struct shm_found *f)
{
    if (!shm_unchanged(p))
        return SHM_ASK_RACE;
    int reason = shm_killed(v, p);
    return reason != SHM_NO_OBJECTION ? reason : shm_outdated(v, p, f);
}

static inline int shm_refuse(struct shm_found *ret, enum shm_ask reason)
{
    ret->reason = reason;
    return SHM_ASK;
}

/* R0 to R2.  Found: SHM_LOOK_YES. */
static inline enum shm_look shm_begin(const struct shm_view *v, struct shm_peek *p, struct shm_found *f,
                                      uint64_t hash)
{
    shm_take_promises(v, p, f);
    return shm_look(v, p, f, hash);
}

/* R3 to R6, around the copy. */
static inline int shm_take(const struct shm_view *v, struct shm_peek *p, void *buffer, size_t capacity,
                           struct shm_found *ret)
{
    uint32_t bytes = shm_item_value_bytes(p->shape);
    if (bytes <= capacity)
        shm_copy(buffer, p->value, bytes);
    int reason = shm_objection(v, p, ret);
    if (reason != SHM_NO_OBJECTION)
        return shm_refuse(ret, (enum shm_ask)reason);
    shm_describe(p, ret);
    return bytes <= capacity ? SHM_HIT : SHM_SMALL;
}

/* As shm_get. */
static inline int shm_read(const struct shm_view *v, struct slice key, uint64_t hash, void *buffer,
                           size_t capacity, struct shm_found *ret)
{
    struct shm_peek p;
    p.key = key;
    p.value = NULL; /* these for the compiler, which does not see that YES sets them */
    p.shape = p.life = p.born = p.v = p.prints_count = 0;
    for (int attempt = 0; attempt < SHM_ATTEMPTS; attempt++) {
        enum shm_look found = shm_begin(v, &p, ret, hash);
        if (found == SHM_LOOK_NO)
            return shm_refuse(ret, SHM_ASK_NOT_FOUND);
        int r =
            found == SHM_LOOK_YES ? shm_take(v, &p, buffer, capacity, ret) : shm_refuse(ret, SHM_ASK_RACE);
        if (r != SHM_ASK || ret->reason != SHM_ASK_RACE)
            return r;
    }
    return SHM_ASK;
}

#endif
