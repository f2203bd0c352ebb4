/* An entry's bytes in Redis: whole and of its key, or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/check.h"
#include "l2/record.h"

enum { NO_COMPRESSION = -1, VALUE_MAX = 1 << 20 };

static uint8_t room[L2_RECORD_HEAD_BYTES + 300000];

/* What the scripts put in front. */
static void stamp(uint8_t *head)
{
    memcpy(head, L2_RECORD_MAGIC, L2_RECORD_AT_EPOCH);
    l2_epoch(head + L2_RECORD_AT_EPOCH, 0x1122334455667788);
    memcpy(head + L2_RECORD_AT_V, "\x06\0\0\0\0\0\0", 7);
    memcpy(head + L2_RECORD_AT_BORN, "\xe8\x03\0\0\0\0", 6);
    memcpy(head + L2_RECORD_AT_SOFT, "\x64\0\0\0", 4);
    memcpy(head + L2_RECORD_AT_HARD, "\xc8\0\0\0", 4);
}

static struct slice pack(const struct l2_entry *e, uint32_t compress_min)
{
    CHECK(L2_RECORD_TAIL + l2_tail_bytes_max(e) <= sizeof(room));
    stamp(room);
    return slice_of(room, L2_RECORD_TAIL + l2_tail_encode(room + L2_RECORD_TAIL, e, compress_min));
}

static struct l2_entry sample(void)
{
    return (struct l2_entry){.key = slice_text("user:42"),
                             .value = slice_text("a value"),
                             .id = 0xabcdef,
                             .user_flags = 7,
                             .schema = 9,
                             .tags_count = 2,
                             .tags = {slice_text("red"), slice_text("")}};
}

static struct slice value_of(const struct l2_record *r)
{
    static uint8_t unpacked[300000];
    struct slice value;
    CHECK(r->value_bytes <= sizeof(unpacked));
    assert_true(l2_record_value(r, unpacked, &value));
    return value;
}

static void a_record_comes_back_as_it_was_packed(void **state)
{
    struct l2_entry e = sample();
    struct l2_record r;
    assert_true(l2_record_decode(pack(&e, NO_COMPRESSION), e.key, VALUE_MAX, &r));
    assert_true(r.epoch == 0x1122334455667788 && r.v == 6 && r.born_ms == 1000);
    assert_true(r.soft_ms == 100 && r.hard_ms == 200);
    assert_true(r.entry.id == 0xabcdef && r.entry.user_flags == 7 && r.entry.schema == 9 && !r.entry.absent);
    assert_true(r.entry.tags_count == 2 && slice_equal(r.entry.tags[0], slice_text("red")) &&
                r.entry.tags[1].size == 0);
    assert_true(slice_equal(value_of(&r), e.value));
}

static void an_absent_entry_and_an_empty_value_are_told_apart(void **state)
{
    struct l2_entry e = {.key = slice_text("k"), .absent = true};
    struct l2_record r;
    assert_true(l2_record_decode(pack(&e, 0), e.key, VALUE_MAX, &r));
    assert_true(r.entry.absent && r.entry.value.size == 0);
    e.absent = false;
    assert_true(l2_record_decode(pack(&e, 0), e.key, VALUE_MAX, &r));
    assert_true(!r.entry.absent && r.entry.value.size == 0);
}

static void bytes_of_another_key_are_not_an_entry_of_this_one(void **state)
{
    struct l2_entry e = sample();
    struct l2_record r;
    struct slice bytes = pack(&e, NO_COMPRESSION);
    assert_false(l2_record_decode(bytes, slice_text("user:43"), VALUE_MAX, &r));
    assert_false(l2_record_decode(bytes, slice_text(""), VALUE_MAX, &r));
}

/* The stamp is the scripts': epoch, position and life are judged by what they say, not by a check. */
static void every_flipped_bit_of_the_tail_is_noticed(void **state)
{
    struct l2_entry e = sample();
    struct l2_record r;
    struct slice bytes = pack(&e, NO_COMPRESSION);
    for (size_t bit = L2_RECORD_TAIL * 8; bit < bytes.size * 8; bit++) {
        room[bit / 8] = (uint8_t)(room[bit / 8] ^ 1 << bit % 8);
        assert_false(l2_record_decode(bytes, e.key, VALUE_MAX, &r));
        room[bit / 8] = (uint8_t)(room[bit / 8] ^ 1 << bit % 8);
    }
    assert_true(l2_record_decode(bytes, e.key, VALUE_MAX, &r));
}

static void every_shorter_record_is_noticed(void **state)
{
    struct l2_entry e = sample();
    struct l2_record r;
    struct slice bytes = pack(&e, NO_COMPRESSION);
    for (size_t size = 0; size < bytes.size; size++) {
        uint8_t *exact = malloc(size ? size : 1); /* so that a sanitizer sees a step too far */
        memcpy(exact, room, size);
        assert_false(l2_record_decode(slice_of(exact, size), e.key, VALUE_MAX, &r));
        free(exact);
    }
}

static void foreign_bytes_are_not_an_entry(void **state)
{
    struct l2_record r;
    static const char plain[] = "somebody's JSON, longer than the head of a record of ours ever is";
    assert_false(l2_record_decode(slice_text(plain), slice_text("k"), VALUE_MAX, &r));
    assert_false(l2_record_peek(slice_text(plain), &r));
}

static void a_large_value_is_packed_where_that_helps(void **state)
{
    static char same[200000], noise[2000];
    struct l2_entry e = {.key = slice_text("k"), .value = {same, sizeof(same)}};
    struct l2_record r;
    for (size_t i = 0, x = 1; i < sizeof(noise); i++, x = x * 6364136223846793005u + 1442695040888963407u)
        noise[i] = (char)(x >> 56);
    struct slice bytes = pack(&e, 1024);
    assert_true(bytes.size < 1000);
    assert_true(l2_record_decode(bytes, e.key, VALUE_MAX, &r) && r.packed && r.value_bytes == sizeof(same));
    assert_true(slice_equal(value_of(&r), e.value));
    e.value = slice_of(noise, sizeof(noise));
    assert_true(l2_record_decode(pack(&e, 1024), e.key, VALUE_MAX, &r) && !r.packed);
    e.value = slice_of(same, 1023);
    assert_true(l2_record_decode(pack(&e, 1024), e.key, VALUE_MAX, &r) && !r.packed);
}

static void a_value_that_would_take_a_turn_to_pack_is_left_as_it_is(void **state)
{
    for (size_t size = L2_RECORD_PACK_MAX; size <= L2_RECORD_PACK_MAX + 1; size++) {
        uint8_t *value = calloc(1, size);
        struct l2_entry e = {.key = slice_text("k"), .value = slice_of(value, size)};
        uint8_t *tail = malloc(l2_tail_bytes_max(&e));
        bool packed = l2_tail_encode(tail, &e, 1024) < size;
        assert_true(packed == (size == L2_RECORD_PACK_MAX));
        free(tail);
        free(value);
    }
}

static void a_value_beyond_the_limit_is_refused_before_it_is_unpacked(void **state)
{
    static char same[200000];
    struct l2_entry e = {.key = slice_text("k"), .value = {same, sizeof(same)}};
    struct l2_record r;
    assert_false(l2_record_decode(pack(&e, 1024), e.key, sizeof(same) - 1, &r));
    assert_true(l2_record_decode(pack(&e, 1024), e.key, sizeof(same), &r));
    assert_false(l2_record_decode(pack(&e, NO_COMPRESSION), e.key, sizeof(same) - 1, &r));
}

static void the_longest_list_of_tags_fits(void **state)
{
    static char tag[L2_RECORD_TAG_BYTES_MAX];
    struct l2_entry e = {.key = slice_text("k"), .value = slice_text("v"), .tags_count = SHM_TAGS_MAX};
    struct l2_record r;
    for (unsigned i = 0; i < SHM_TAGS_MAX; i++)
        e.tags[i] = slice_of(tag, sizeof(tag));
    struct slice bytes = pack(&e, NO_COMPRESSION);
    assert_int_equal(bytes.size, L2_RECORD_NAMES_BYTES_MAX + 1);
    assert_true(l2_record_decode(bytes, e.key, VALUE_MAX, &r));
    assert_true(r.entry.tags_count == SHM_TAGS_MAX && r.entry.tags[15].size == sizeof(tag));
}

static void a_life_is_what_redis_clock_has_left_of_it(void **state)
{
    struct l2_record r = {.born_ms = 1000, .soft_ms = 100, .hard_ms = 200};
    struct l2_left left;
    assert_true(l2_record_left(&r, 1000, &left) && left.soft_ms == 100 && left.hard_ms == 200);
    assert_true(l2_record_left(&r, 1100, &left) && left.soft_ms == 0 && left.hard_ms == 100);
    assert_true(l2_record_left(&r, 1199, &left) && left.hard_ms == 1);
    assert_false(l2_record_left(&r, 1200, &left));
}

static void an_entry_from_the_future_of_the_clock_has_no_life(void **state)
{
    struct l2_record r = {.born_ms = 1000, .soft_ms = 100, .hard_ms = 200};
    struct l2_left left;
    assert_false(l2_record_left(&r, 999, &left));
}

static void a_soft_end_behind_the_hard_one_is_the_hard_one(void **state)
{
    struct l2_record r = {.born_ms = 1000, .soft_ms = 5000, .hard_ms = 200};
    struct l2_left left;
    assert_true(l2_record_left(&r, 1000, &left) && left.soft_ms == 200);
}

static void a_version_is_what_stands_in_the_record(void **state)
{
    uint8_t version[L2_VERSION_BYTES];
    struct l2_entry e = sample();
    pack(&e, NO_COMPRESSION);
    l2_version(version, 0x1122334455667788, 6, 0xabcdef);
    assert_memory_equal(version, room + L2_RECORD_AT_EPOCH, 15);
    assert_memory_equal(version + 15, room + L2_RECORD_AT_ID, 3);
    assert_true(l2_epoch_read(version) == 0x1122334455667788);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_comes_back_as_it_was_packed),
        cmocka_unit_test(an_absent_entry_and_an_empty_value_are_told_apart),
        cmocka_unit_test(bytes_of_another_key_are_not_an_entry_of_this_one),
        cmocka_unit_test(every_flipped_bit_of_the_tail_is_noticed),
        cmocka_unit_test(every_shorter_record_is_noticed),
        cmocka_unit_test(foreign_bytes_are_not_an_entry),
        cmocka_unit_test(a_large_value_is_packed_where_that_helps),
        cmocka_unit_test(a_value_that_would_take_a_turn_to_pack_is_left_as_it_is),
        cmocka_unit_test(a_value_beyond_the_limit_is_refused_before_it_is_unpacked),
        cmocka_unit_test(the_longest_list_of_tags_fits),
        cmocka_unit_test(a_life_is_what_redis_clock_has_left_of_it),
        cmocka_unit_test(an_entry_from_the_future_of_the_clock_has_no_life),
        cmocka_unit_test(a_soft_end_behind_the_hard_one_is_the_hard_one),
        cmocka_unit_test(a_version_is_what_stands_in_the_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
