/* Copy, compare and scan by aligned 8-byte relaxed loads, shifted together when the bytes lie across words.  A word is
 * loaded only if it holds a wanted byte, so nothing beyond the last word of a segment is ever touched.
 * For every CPU, little-endian (the segment's byte order is the host's and shape words are built by shifts). */
#ifndef LARDER_PROTO_SHM_COPY_WORDS_H
#define LARDER_PROTO_SHM_COPY_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "proto/shm.h"
#include "proto/shm_load.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "bytes are picked out of words by shifting right");

struct shm_words {
    const au64 *at;
    unsigned shift;
    uint64_t low;
};

static inline uint64_t shm_words_load(struct shm_words *w)
{
    const au64 *at = w->at++;
    return SHM_RELAXED(at);
}

static inline struct shm_words shm_words_begin(const uint8_t *from)
{
    uintptr_t address = (uintptr_t)from;
    struct shm_words w = {(const au64 *)(address & ~(uintptr_t)7), (unsigned)(address & 7) * 8, 0};
    if (w.shift)
        w.low = shm_words_load(&w);
    return w;
}

/* The next 8 bytes, of which `left` are wanted; the others are anything. */
static inline uint64_t shm_words_next(struct shm_words *w, size_t left)
{
    if (!w->shift)
        return shm_words_load(w);
    bool more = left > 8 - w->shift / 8;
    uint64_t high = more ? shm_words_load(w) : 0;
    uint64_t word = w->low >> w->shift | high << (64 - w->shift);
    w->low = high;
    return word;
}

static inline void shm_copy(uint8_t *to, const uint8_t *from, size_t size)
{
    if (!size)
        return;
    struct shm_words w = shm_words_begin(from);
    for (; size >= 8; size -= 8, to += 8) {
        uint64_t word = shm_words_next(&w, size);
        memcpy(to, &word, 8);
    }
    if (size) {
        uint64_t word = shm_words_next(&w, size);
        memcpy(to, &word, size);
    }
}

static inline bool shm_same(const uint8_t *shared, const uint8_t *own, size_t size)
{
    if (!size)
        return true;
    struct shm_words w = shm_words_begin(shared);
    uint64_t differences = 0;
    for (; size >= 8; size -= 8, own += 8) {
        uint64_t mine;
        memcpy(&mine, own, 8);
        differences |= shm_words_next(&w, size) ^ mine;
    }
    if (size) {
        uint64_t mine = 0, mask = (1ull << 8 * size) - 1;
        memcpy(&mine, own, size);
        differences |= (shm_words_next(&w, size) ^ mine) & mask;
    }
    return differences == 0;
}

/* Which slots of a bucket have the tag, one bit each.  A hint only; who follows it loads the slot again. */
static inline unsigned shm_match(const au64 *slots, uint16_t tag)
{
    unsigned found = 0;
    for (unsigned i = 0; i < SHM_SLOTS; i++)
        found |= (unsigned)(shm_slot_tag(SHM_RELAXED(slots + i)) == tag) << i;
    return found;
}

#endif
