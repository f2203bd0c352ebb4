/* Copy, compare and scan by 16-byte loads in inline assembly: the same relaxed loads as the word loop, only wider, and
 * opaque to the compiler, which would be free to tear or repeat plain ones.  On x86 loads stay in order, so what
 * R3 needs (all of these before the second look at gen and slot) holds without a fence instruction.
 *
 * Unaligned ends are done by overlapping the last load with the one before; nothing outside [from, from + size)
 * is ever read. */
#ifndef LARDER_PROTO_SHM_COPY_X86_H
#define LARDER_PROTO_SHM_COPY_X86_H

#include <emmintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "proto/shm.h"

#define SHM_ASM_LOAD(NAME, TYPE, INSTRUCTION, REGISTER)               \
    static inline TYPE NAME(const uint8_t *from)                      \
    {                                                                 \
        TYPE value;                                                   \
        __asm__ volatile(INSTRUCTION " %1, %0"                        \
                         : "=" REGISTER(value)                        \
                         : "m"(*(const uint8_t(*)[sizeof(TYPE)])from) \
                         : "memory");                                 \
        return value;                                                 \
    }
SHM_ASM_LOAD(shm_load16, __m128i, "movdqu", "x")
SHM_ASM_LOAD(shm_load8, uint64_t, "movq", "r")
SHM_ASM_LOAD(shm_load4, uint32_t, "movl", "r")
SHM_ASM_LOAD(shm_load1, uint8_t, "movb", "q")

static inline void shm_copy_64(uint8_t *to, const uint8_t *from)
{
    __asm__ volatile("movdqu   (%1), %%xmm0\n\t"
                     "movdqu 16(%1), %%xmm1\n\t"
                     "movdqu 32(%1), %%xmm2\n\t"
                     "movdqu 48(%1), %%xmm3\n\t"
                     "movdqu %%xmm0,   (%0)\n\t"
                     "movdqu %%xmm1, 16(%0)\n\t"
                     "movdqu %%xmm2, 32(%0)\n\t"
                     "movdqu %%xmm3, 48(%0)"
                     :
                     : "r"(to), "r"(from)
                     : "memory", "xmm0", "xmm1", "xmm2", "xmm3");
}

static inline void shm_copy_short(uint8_t *to, const uint8_t *from, size_t size)
{
    if (size >= 8) {
        uint64_t head = shm_load8(from), tail = shm_load8(from + size - 8);
        memcpy(to, &head, 8);
        memcpy(to + size - 8, &tail, 8);
    } else if (size >= 4) {
        uint32_t head = shm_load4(from), tail = shm_load4(from + size - 4);
        memcpy(to, &head, 4);
        memcpy(to + size - 4, &tail, 4);
    } else {
        for (size_t i = 0; i < size; i++)
            to[i] = shm_load1(from + i);
    }
}

static inline void shm_copy(uint8_t *to, const uint8_t *from, size_t size)
{
    if (size < 16) {
        shm_copy_short(to, from, size);
        return;
    }
    __m128i last = shm_load16(from + size - 16);
    uint8_t *end = to + size - 16;
    for (; to + 48 <= end; to += 64, from += 64)
        shm_copy_64(to, from);
    for (; to < end; to += 16, from += 16)
        _mm_storeu_si128((__m128i *)(void *)to, shm_load16(from));
    _mm_storeu_si128((__m128i *)(void *)end, last);
}

static inline bool shm_same_short(const uint8_t *shared, const uint8_t *own, size_t size)
{
    if (size >= 8) {
        uint64_t head, tail;
        memcpy(&head, own, 8);
        memcpy(&tail, own + size - 8, 8);
        return ((shm_load8(shared) ^ head) | (shm_load8(shared + size - 8) ^ tail)) == 0;
    }
    if (size >= 4) {
        uint32_t head, tail;
        memcpy(&head, own, 4);
        memcpy(&tail, own + size - 4, 4);
        return ((shm_load4(shared) ^ head) | (shm_load4(shared + size - 4) ^ tail)) == 0;
    }
    for (size_t i = 0; i < size; i++)
        if (shm_load1(shared + i) != own[i])
            return false;
    return true;
}

static inline bool shm_same_16(const uint8_t *shared, const uint8_t *own)
{
    __m128i mine = _mm_loadu_si128((const __m128i *)(const void *)own);
    return _mm_movemask_epi8(_mm_cmpeq_epi8(shm_load16(shared), mine)) == 0xffff;
}

static inline bool shm_same(const uint8_t *shared, const uint8_t *own, size_t size)
{
    if (size < 16)
        return shm_same_short(shared, own, size);
    for (size_t i = 0; i + 16 < size; i += 16)
        if (!shm_same_16(shared + i, own + i))
            return false;
    return shm_same_16(shared + size - 16, own + size - 16);
}

/* The upper halves of four slots, whose upper halves in turn are their tags. */
static inline __m128i shm_tags_of_4(const au64 *slots)
{
    const uint8_t *at = (const uint8_t *)slots;
    __m128 first = _mm_castsi128_ps(shm_load16(at)), second = _mm_castsi128_ps(shm_load16(at + 16));
    return _mm_srai_epi32(_mm_castps_si128(_mm_shuffle_ps(first, second, _MM_SHUFFLE(3, 1, 3, 1))), 16);
}

/* Which slots of a bucket have the tag, one bit each: all eight at once, because a loop over them ends where no CPU can
 * predict it to.  A hint only; who follows it loads the slot again. */
static inline unsigned shm_match(const au64 *slots, uint16_t tag)
{
    __m128i tags = _mm_packs_epi32(shm_tags_of_4(slots), shm_tags_of_4(slots + 4));
    __m128i same = _mm_cmpeq_epi16(tags, _mm_set1_epi16((short)tag));
    return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(same, _mm_setzero_si128()));
}

#endif
