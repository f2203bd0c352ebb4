#include "support/hostile.h"

#include <sys/mman.h>
#include <time.h>

enum { SECRET = 99, BUCKETS = 2 };

void hostile_make(struct hostile *h)
{
    uint64_t gens = SHM_PAGE + SHM_CELLS * sizeof(au64), buckets = gens + SHM_PAGE,
             segments = buckets + SHM_PAGE;
    h->shape = (struct shm_shape){.magic = SHM_MAGIC,
                                  .abi = SHM_ABI,
                                  .partitions = 1,
                                  .hash_secret = SECRET,
                                  .cells_offset = SHM_PAGE,
                                  .gens_offset = gens,
                                  .buckets_offset = buckets,
                                  .segments_offset = segments,
                                  .bucket_count = BUCKETS,
                                  .segment_count = 1,
                                  .segment_shift = SHM_SEGMENT_SHIFT_MIN,
                                  .total_bytes = segments + (1u << SHM_SEGMENT_SHIFT_MIN)};
    h->bytes = h->shape.total_bytes;
    h->base = mmap(NULL, h->bytes + SHM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (h->base == MAP_FAILED || mprotect(h->base + h->bytes, SHM_PAGE, PROT_NONE) != 0)
        __builtin_trap();
}

static uint64_t word_of(const uint8_t *data, size_t size, size_t at)
{
    uint64_t word = 0;
    for (size_t i = 0; i < 8; i++)
        word |= (uint64_t)(size ? data[(at + i) % size] : 0) << 8 * i;
    return word;
}

/* Alive and fresh for ever, so that nothing else ends a get early; the bits of `mood` take that back one by one. */
static void fill_header(struct shm_header *h, uint64_t mood, uint64_t noise)
{
    h->alive_until = mood & 1 ? noise : UINT64_MAX;
    h->state = mood & 2 ? noise : SHM_OPEN;
    h->fresh_until[0] = mood & 4 ? noise : UINT64_MAX;
    h->mode = mood & 8 ? noise : SHM_DETACHED;
    h->serve_until = mood & 16 ? noise : UINT64_MAX;
    h->floor_seq = mood & 32 ? noise : 0;
    h->last_kill = mood & 64 ? noise : 0;
    h->local_floor = mood & 128 ? noise : 0;
    h->owner = mood & 256 ? (uint32_t)noise : 1;
}

void hostile_fill(struct hostile *h, struct slice key, const uint8_t *data, size_t size)
{
    memset(h->base, 0, SHM_PAGE);
    h->shape.boottime_clock = size % 2;
    memcpy(h->base, &h->shape, sizeof(h->shape));
    fill_header((struct shm_header *)(void *)h->base, word_of(data, size, 0), word_of(data, size, 3));
    uint64_t *gen = (uint64_t *)(void *)(h->base + h->shape.gens_offset);
    uint64_t *slots = (uint64_t *)(void *)(h->base + h->shape.buckets_offset);
    uint8_t *segment = h->base + h->shape.segments_offset;
    uint16_t tag = shm_tag(shm_hash_key(SECRET, key));
    *gen = word_of(data, size, 5) & 1;
    for (size_t i = 0; i < BUCKETS * SHM_SLOTS; i++) {
        uint64_t word = word_of(data, size, 8 + 8 * i);
        uint64_t offset = h->shape.segments_offset + (word >> 16 & 0xffff) - (word >> 63);
        slots[i] = word & 7 ? shm_slot(tag, word >> 8 & 1, offset) : word;
    }
    size_t room = 1u << SHM_SEGMENT_SHIFT_MIN, n = size < room ? size : room;
    if (n) {
        memcpy(segment, data, n);
        memcpy(segment + room - n, data, n);
    }
}

static void check(int outcome, const struct shm_found *found, size_t capacity)
{
    if (outcome == SHM_HIT && found->value_bytes > capacity)
        __builtin_trap();
    if (outcome == SHM_SMALL && found->value_bytes <= capacity)
        __builtin_trap();
}

void hostile_read(const struct hostile *h, struct slice key)
{
    static uint8_t buffer[1 << 17];
    struct shm_view view;
    if (!shm_view_init(&view, h->base, h->bytes, NULL))
        __builtin_trap();
    uint64_t hash = shm_hash_key(SECRET, key);
    struct shm_found found;
    check(shm_get(&view, key, hash, buffer, sizeof(buffer), &found), &found, sizeof(buffer));
    check(shm_get(&view, key, hash, buffer, 7, &found), &found, 7);
    struct shm_peek peek;
    if (shm_peek(&view, key, hash, &peek) == SHM_HIT) {
        const uint8_t *end = h->base + h->bytes;
        if (peek.value < h->base || peek.value > end || (size_t)(end - peek.value) < peek.found.value_bytes)
            __builtin_trap();
        shm_validate(&view, &peek);
    }
    shm_alive(&view);
    shm_prefetch(&view, hash);
    shm_prefetch_item(&view, hash);
}
