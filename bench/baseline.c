#include "bench/baseline.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <xxhash.h>

/* hash 32 | place 32, in units of 8 bytes, + 1 so that 0 is empty. */
typedef uint64_t entry;

struct item {
    uint64_t ends_ms;
    uint32_t key_bytes;
    uint32_t value_bytes;
    uint8_t bytes[];
};

struct baseline {
    pthread_mutex_t lock;
    entry *entries;
    uint64_t mask;
    uint8_t *arena;
    uint64_t arena_bytes, used, count;
};

static void *map(uint64_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

struct baseline *baseline_create(uint64_t items, uint64_t item_bytes)
{
    struct baseline *b = calloc(1, sizeof(*b));
    uint64_t slots = 16;
    while (slots < 2 * items)
        slots *= 2;
    if (!b)
        return NULL;
    pthread_mutex_init(&b->lock, NULL);
    b->mask = slots - 1;
    b->arena_bytes = items * (sizeof(struct item) + item_bytes + 7);
    b->entries = map(slots * sizeof(entry));
    b->arena = map(b->arena_bytes);
    return b->entries && b->arena ? b : baseline_destroy(b);
}

struct baseline *baseline_destroy(struct baseline *b)
{
    if (!b)
        return NULL;
    if (b->entries)
        munmap(b->entries, (b->mask + 1) * sizeof(entry));
    if (b->arena)
        munmap(b->arena, b->arena_bytes);
    pthread_mutex_destroy(&b->lock);
    free(b);
    return NULL;
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct item *item_at(const struct baseline *b, entry e)
{
    return (struct item *)(void *)(b->arena + ((e & 0xffffffffu) - 1) * 8);
}

/* The entry of the key, or the empty one where it belongs. */
static entry *find(const struct baseline *b, struct slice key, uint64_t hash)
{
    for (uint64_t i = hash & b->mask;; i = (i + 1) & b->mask) {
        entry e = b->entries[i];
        if (e == 0)
            return &b->entries[i];
        if (e >> 32 != hash >> 32)
            continue;
        const struct item *it = item_at(b, e);
        if (it->key_bytes == key.size && memcmp(it->bytes, key.data, key.size) == 0)
            return &b->entries[i];
    }
}

static struct item *append(struct baseline *b, entry *at, uint64_t hash, uint64_t item_bytes)
{
    if (b->used + item_bytes > b->arena_bytes || (b->used >> 3) + 1 > UINT32_MAX)
        return NULL;
    if (*at == 0 && 2 * (b->count + 1) > b->mask + 1)
        return NULL;
    b->count += *at == 0;
    *at = hash >> 32 << 32 | ((b->used >> 3) + 1);
    struct item *it = item_at(b, *at);
    b->used += (item_bytes + 7) & ~7ull;
    return it;
}

static int set_locked(struct baseline *b, struct slice key, struct slice value, uint64_t ttl_ms)
{
    uint64_t hash = XXH3_64bits(key.data, key.size);
    entry *at = find(b, key, hash);
    struct item *it = *at ? item_at(b, *at) : NULL;
    if (!it || it->value_bytes < value.size)
        it = append(b, at, hash, sizeof(*it) + key.size + value.size);
    if (!it)
        return -1;
    *it = (struct item){now_ms() + ttl_ms, (uint32_t)key.size, (uint32_t)value.size};
    memcpy(it->bytes, key.data, key.size);
    memcpy(it->bytes + key.size, value.data, value.size);
    return 0;
}

int baseline_set(struct baseline *b, struct slice key, struct slice value, uint64_t ttl_ms)
{
    pthread_mutex_lock(&b->lock);
    int r = set_locked(b, key, value, ttl_ms);
    pthread_mutex_unlock(&b->lock);
    return r;
}

static int get_locked(struct baseline *b, struct slice key, uint64_t hash, void *out, size_t capacity,
                      size_t *ret_size)
{
    entry e = *find(b, key, hash);
    if (e == 0)
        return 0;
    const struct item *it = item_at(b, e);
    if (it->ends_ms <= now_ms())
        return 0;
    if (it->value_bytes > capacity)
        return -1;
    memcpy(out, it->bytes + key.size, it->value_bytes);
    *ret_size = it->value_bytes;
    return 1;
}

int baseline_get(struct baseline *b, struct slice key, void *out, size_t capacity, size_t *ret_size)
{
    uint64_t hash = XXH3_64bits(key.data, key.size);
    pthread_mutex_lock(&b->lock);
    int r = get_locked(b, key, hash, out, capacity, ret_size);
    pthread_mutex_unlock(&b->lock);
    return r;
}
