/* The reader for all who call it, and what is done once a mapping. */
#include "proto/shm_view.h"

#include <stdalign.h>
#include "proto/shm_read.h"

/* ---- hashes -------------------------------------------------------------------------------------------- */

uint64_t shm_hash_key(uint64_t secret, struct slice key)
{
    return shm_key_hash(secret, key);
}

uint64_t shm_hash_name(uint64_t secret, enum shm_name_kind kind, struct slice name)
{
    return shm_name_hash(secret, kind, name);
}

uint32_t shm_partition(struct slice key, uint32_t partitions)
{
    return shm_partition_of(key, partitions);
}

struct slice shm_prefix(struct slice key, unsigned n)
{
    const char *text = key.data, *end = text + key.size;
    for (const char *at = text; at < end; at++)
        if (*at == ':' && n-- == 0)
            return slice_of(text, (size_t)(at + 1 - text));
    return slice_of(text, 0);
}

/* ---- attach -------------------------------------------------------------------------------------------- */

static bool region_fits(const struct shm_shape *s, uint64_t offset, uint64_t bytes)
{
    return offset % SHM_PAGE == 0 && offset >= SHM_PAGE && offset <= s->total_bytes &&
           bytes <= s->total_bytes - offset;
}

static const char *shape_fault(const struct shm_shape *s, size_t size)
{
    if (s->magic != SHM_MAGIC)
        return "not a segment";
    if (s->abi != SHM_ABI)
        return "a segment of another version";
    if (s->total_bytes > size || s->total_bytes > 32ull << 30)
        return "larger than the file it lies in";
    if (s->partitions < 1 || s->partitions > SHM_PARTITIONS)
        return "partitions out of range";
    if (s->segment_shift < SHM_SEGMENT_SHIFT_MIN || s->segment_shift > SHM_SEGMENT_SHIFT_MAX)
        return "segment size out of range";
    if (s->bucket_count < 2 || s->segment_count < 1)
        return "no room for entries";
    if (!region_fits(s, s->cells_offset, SHM_CELLS * sizeof(au64)) ||
        !region_fits(s, s->gens_offset, (uint64_t)s->segment_count * sizeof(au64)) ||
        !region_fits(s, s->buckets_offset, (uint64_t)s->bucket_count * SHM_LINE) ||
        !region_fits(s, s->segments_offset, (uint64_t)s->segment_count << s->segment_shift))
        return "offsets and counts do not fit together";
    return NULL;
}

/* How far the clock of readers may be behind.  The coarse clock is up to a tick old by design and was measured up
 * to 1.5 ticks old on a virtual machine, for half of all readings: two are counted. */
static uint64_t clock_lag_ns(bool boottime)
{
    struct timespec t = {0, 10000000}; /* the coarsest tick there is, should the call fail */
    clock_getres(boottime ? CLOCK_BOOTTIME : CLOCK_MONOTONIC_COARSE, &t);
    return 2 * ((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec);
}

static bool refuse(const char **ret_why, const char *why)
{
    if (ret_why)
        *ret_why = why;
    return false;
}

bool shm_view_init(struct shm_view *v, const void *base, size_t size, const char **ret_why)
{
    *v = (struct shm_view){0};
    if (!base || (uintptr_t)base % alignof(struct shm_header) || size < SHM_PAGE)
        return refuse(ret_why, "too small for a segment");
    struct shm_shape s;
    memcpy(&s, base, sizeof(s));
    const char *fault = shape_fault(&s, size);
    if (fault)
        return refuse(ret_why, fault);
    s.namespace[sizeof(s.namespace) - 1] = 0;
    const uint8_t *b = base;
    *v = (struct shm_view){
        .base = b,
        .header = base,
        .cells = (const au64 *)(const void *)(b + s.cells_offset),
        .gens = (const au64 *)(const void *)(b + s.gens_offset),
        .buckets = (const au64 *)(const void *)(b + s.buckets_offset),
        .shape = s,
        .clock_lag_ns = clock_lag_ns(s.boottime_clock != 0),
    };
    return true;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

int shm_get(const struct shm_view *v, struct slice key, uint64_t hash, void *buffer, size_t capacity,
            struct shm_found *ret)
{
    return shm_read(v, key, hash, buffer, capacity, ret);
}

int shm_peek(const struct shm_view *v, struct slice key, uint64_t hash, struct shm_peek *ret)
{
    ret->key = key;
    for (int attempt = 0; attempt < SHM_ATTEMPTS; attempt++) {
        enum shm_look found = shm_begin(v, ret, &ret->found, hash);
        if (found == SHM_LOOK_YES) {
            shm_describe(ret, &ret->found);
            return SHM_HIT;
        }
        if (found == SHM_LOOK_NO)
            return shm_refuse(&ret->found, SHM_ASK_NOT_FOUND);
    }
    return shm_refuse(&ret->found, SHM_ASK_RACE);
}

bool shm_validate(const struct shm_view *v, struct shm_peek *p)
{
    int reason = shm_objection(v, p, &p->found);
    if (reason == SHM_NO_OBJECTION)
        return true;
    p->found.reason = (enum shm_ask)reason;
    return false;
}

bool shm_alive(const struct shm_view *v)
{
    uint64_t alive_until = SHM_ACQUIRE(&v->header->alive_until);
    return shm_now_ns(v) < alive_until && shm_owner_alive(v);
}

void shm_prefetch(const struct shm_view *v, uint64_t hash)
{
    uint32_t buckets[2];
    shm_buckets(hash, v->shape.bucket_count, buckets);
    __builtin_prefetch(v->buckets + (uint64_t)buckets[0] * SHM_SLOTS);
    __builtin_prefetch(v->buckets + (uint64_t)buckets[1] * SHM_SLOTS);
}

/* Where key and value lie is in the item's first word: asked for one after the other their lines would come one after the
 * other.  A prefetch never faults, so the item's end need not be known. */
static inline void expect_item(const uint8_t *at)
{
    __builtin_prefetch(at);
    __builtin_prefetch(at + SHM_LINE);
    __builtin_prefetch(at + 2 * (size_t)SHM_LINE);
}

static bool expect_bucket(const struct shm_view *v, uint32_t bucket, uint16_t tag)
{
    const au64 *slots = v->buckets + (uint64_t)bucket * SHM_SLOTS;
    for (unsigned found = shm_match(slots, tag); found; found &= found - 1) {
        unsigned i = (unsigned)__builtin_ctz(found);
        uint64_t slot = SHM_RELAXED(slots + i);
        if (shm_slot_tag(slot) == tag && slot != 0 && shm_slot_offset(slot) < v->shape.total_bytes) {
            expect_item(v->base + shm_slot_offset(slot));
            return true;
        }
    }
    return false;
}

void shm_prefetch_item(const struct shm_view *v, uint64_t hash)
{
    uint32_t buckets[2];
    shm_buckets(hash, v->shape.bucket_count, buckets);
    if (!expect_bucket(v, buckets[0], shm_tag(hash)))
        expect_bucket(v, buckets[1], shm_tag(hash));
}
