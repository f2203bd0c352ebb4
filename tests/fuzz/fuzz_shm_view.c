/* The reader over a segment of anybody's bytes: no crash, no endless loop, nothing read outside the mapping (its
 * last byte is followed by a page that traps). */
#include "fuzz/fuzz.h"
#include "support/hostile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hostile h;
    if (!h.base)
        hostile_make(&h);
    struct shm_view view;
    shm_view_init(&view, data, size, NULL); /* a shape out of nothing */
    size_t key_bytes = size ? 1 + data[0] % (size < 200 ? size : 200) : 0;
    if (!key_bytes)
        return 0;
    struct slice key = slice_of(data, key_bytes);
    hostile_fill(&h, key, data + key_bytes, size - key_bytes);
    hostile_read(&h, key);
    return 0;
}

/* A hit: the key's length is its first byte + 1, all 16 slots name an item that lies behind them. */
size_t fuzz_seed(unsigned n, uint8_t *room, size_t room_bytes)
{
    enum { KEY = 8, ITEM = 136 };
    const uint8_t key[KEY] = {KEY - 1, ':', 'a', ':', 'b', ':', 'c', 'd'};
    uint32_t value_bytes = n * 37 % 400, tags = n % 5;
    uint64_t shape = shm_item_shape(value_bytes, KEY, tags, n % 64, n % 4, n);
    size_t size = KEY + ITEM + shm_item_bytes(shape);
    if (size > room_bytes)
        return 0;
    memset(room, 0, size);
    memcpy(room, key, KEY);
    uint8_t *rest = room + KEY, *item = rest + ITEM;
    for (size_t i = 0; i < 16; i++)
        memcpy(rest + 8 + 8 * i, &(uint64_t){ITEM << 16 | 1}, 8);
    uint64_t words[4] = {shape, shm_life(SHM_TICKS_MAX, SHM_TICKS_MAX, 0), n, n};
    memcpy(item, words, sizeof(words));
    memcpy(item + shm_item_key_offset(shape), key, KEY);
    return size;
}
