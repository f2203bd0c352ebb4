/* The two kernels a reader may be built with, beside what they stand for: every length at every offset, every bucket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define shm_copy  copy_by_words
#define shm_same  same_by_words
#define shm_match match_by_words
#include "proto/shm_copy_words.h"
#undef shm_copy
#undef shm_same
#undef shm_match
#if defined(__x86_64__)
#include "proto/shm_copy_x86.h"
#endif

static const struct kernel {
    void (*copy)(uint8_t *to, const uint8_t *from, size_t size);
    bool (*same)(const uint8_t *shared, const uint8_t *own, size_t size);
    unsigned (*match)(const au64 *slots, uint16_t tag);
} kernels[] = {
    {copy_by_words, same_by_words, match_by_words},
#if defined(__x86_64__)
    {shm_copy, shm_same, shm_match},
#endif
};

enum { KERNELS = sizeof(kernels) / sizeof(kernels[0]), LONGEST = 300, OFFSETS = 17, GUARD = 0x5a };

#define FOR_EACH_KERNEL(k) for (const struct kernel *k = kernels; k < kernels + KERNELS; k++)

static _Alignas(64) uint8_t shared[LONGEST + OFFSETS + 8];

static void fill(void)
{
    for (size_t i = 0; i < sizeof(shared); i++)
        shared[i] = (uint8_t)(i * 37 + 11);
}

static void a_copy_is_whole_and_touches_nothing_beside_it(void **state)
{
    fill();
    FOR_EACH_KERNEL(k)
    for (size_t offset = 0; offset < OFFSETS; offset++)
        for (size_t size = 0; size <= LONGEST; size++) {
            uint8_t to[LONGEST + 2];
            memset(to, GUARD, sizeof(to));
            k->copy(to + 1, shared + offset, size);
            assert_memory_equal(to + 1, shared + offset, size);
            assert_int_equal(to[0], GUARD);
            assert_int_equal(to[size + 1], GUARD);
        }
}

static void one_bit_that_differs_is_seen_wherever_it_is(void **state)
{
    fill();
    FOR_EACH_KERNEL(k)
    for (size_t offset = 0; offset < OFFSETS; offset++)
        for (size_t size = 0; size <= 70; size++) {
            uint8_t own[70];
            memcpy(own, shared + offset, size);
            assert_true(k->same(shared + offset, own, size));
            for (size_t at = 0; at < size; at++) {
                own[at] ^= 0x80;
                assert_false(k->same(shared + offset, own, size));
                own[at] ^= 0x80;
            }
        }
}

static unsigned match_by_hand(const au64 *slots, uint16_t tag)
{
    unsigned found = 0;
    for (unsigned i = 0; i < SHM_SLOTS; i++)
        if (shm_slot_tag(slots[i]) == tag)
            found |= 1u << i;
    return found;
}

/* Tags with the sign bit and without, and neighbours that differ in one bit: what packing could confuse. */
static void every_slot_of_a_bucket_with_the_tag_is_found_and_no_other(void **state)
{
    static const uint16_t tags[] = {0,      1,      0x7f,   0x80,   0xff,   0x100,
                                    0x7fff, 0x8000, 0x8001, 0xff00, 0xfffe, 0xffff};
    enum { TAGS = sizeof(tags) / sizeof(tags[0]) };
    static _Alignas(64) au64 slots[SHM_SLOTS];
    srandom(1);
    FOR_EACH_KERNEL(k)
    for (unsigned round = 0; round < 20000; round++) {
        for (unsigned i = 0; i < SHM_SLOTS; i++)
            slots[i] = (uint64_t)tags[random() % TAGS] << 48 | ((uint64_t)random() << 17 & 0xffffffffffff);
        for (unsigned t = 0; t < TAGS; t++)
            assert_int_equal(k->match(slots, tags[t]), match_by_hand(slots, tags[t]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_is_whole_and_touches_nothing_beside_it),
        cmocka_unit_test(one_bit_that_differs_is_seen_wherever_it_is),
        cmocka_unit_test(every_slot_of_a_bucket_with_the_tag_is_found_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
