/* Records and their time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/tag_names.h"
#include "warm/record.h"

#define MINUTE (60 * 1000000000ull)

static const struct record_clock written = {.boot = 1, .boot_ns = 10 * MINUTE, .wall_ns = 1000 * MINUTE};
static char bytes[512];

static struct slice encode(void)
{
    struct entry e = {.key = slice_text("key"),
                      .key_hash = 99,
                      .value = slice_text("value"),
                      .epoch = 5,
                      .v = 6,
                      .hard_ns = 20 * MINUTE,
                      .soft_ns = 15 * MINUTE,
                      .tags_count = 2,
                      .tags = {7, 8}};
    CHECK(record_bytes(&e) <= sizeof(bytes));
    record_encode(bytes, &e, &written);
    return slice_of(bytes, record_bytes(&e));
}

static struct record decoded(void)
{
    struct record r;
    CHECK(record_decode(encode(), &r));
    return r;
}

static void a_record_comes_back_as_it_was_written(void **state)
{
    struct record r = decoded();
    assert_true(slice_equal(r.entry.key, slice_text("key")) &&
                slice_equal(r.entry.value, slice_text("value")));
    assert_true(r.entry.key_hash == 99 && r.entry.epoch == 5 && r.entry.v == 6);
    assert_true(r.entry.tags_count == 2 && r.entry.tags[0] == 7 && r.entry.tags[1] == 8);
    assert_true(r.boot == 1 && r.written_boot_ns == written.boot_ns && r.written_wall_ns == written.wall_ns);
}

static struct slice encode_named(char *room)
{
    struct slice names[] = {slice_text("red"), slice_text("a longer one")};
    struct entry e = {.key = slice_text("key"),
                      .value = slice_text("value"),
                      .hard_ns = 20 * MINUTE,
                      .tags_count = 2,
                      .tags = {7, 8},
                      .tag_names = tag_names_pack(room, names, 2)};
    record_encode(bytes, &e, &written);
    return slice_of(bytes, record_bytes(&e));
}

static void names_of_tags_come_back_with_it(void **state)
{
    struct record r;
    char room[TAG_NAMES_MAX];
    struct slice rest, name;
    assert_true(record_decode(encode_named(room), &r));
    assert_true(slice_equal(r.entry.key, slice_text("key")) &&
                slice_equal(r.entry.value, slice_text("value")));
    rest = r.entry.tag_names;
    assert_true(tag_names_next(&rest, &name) && slice_equal(name, slice_text("red")));
    assert_true(tag_names_next(&rest, &name) && slice_equal(name, slice_text("a longer one")));
    assert_false(tag_names_next(&rest, &name));
}

/* A record without them is what daemons from before there were names wrote, and read. */
static void without_names_it_is_of_the_first_format(void **state)
{
    enum { FORMAT_AT = 12 };
    char room[TAG_NAMES_MAX];
    struct slice whole = encode();
    assert_int_equal(bytes[FORMAT_AT], RECORD_FORMAT);
    assert_int_equal(decoded().entry.tag_names.size, 0);
    whole = encode_named(room);
    assert_int_equal(bytes[FORMAT_AT], RECORD_FORMAT_NAMES);
    bytes[FORMAT_AT] = RECORD_FORMAT;
    assert_false(record_decode_unchecked(whole, &(struct record){0}));
}

static void names_that_make_no_sense_end_the_walk(void **state)
{
    struct slice name, rest = slice_of("\3\0red\xff\xff", 7);
    assert_true(tag_names_next(&rest, &name) && slice_equal(name, slice_text("red")));
    assert_false(tag_names_next(&rest, &name));
    rest = slice_of("\3", 1);
    assert_false(tag_names_next(&rest, &name));
}

static void every_single_flipped_bit_is_noticed(void **state)
{
    struct record r;
    struct slice whole = encode();
    for (size_t bit = 0; bit < whole.size * 8; bit++) {
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
        assert_false(record_decode(whole, &r));
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
    }
    assert_true(record_decode(whole, &r));
}

static void a_record_of_any_other_length_is_bad(void **state)
{
    struct record r;
    struct slice whole = encode();
    for (size_t size = 0; size < sizeof(bytes); size++)
        assert_int_equal(record_decode(slice_of(bytes, size), &r), size == whole.size);
}

static void in_the_same_boot_the_wall_clock_does_not_matter(void **state)
{
    struct record r = decoded();
    struct record_clock now = {.boot = 1, .boot_ns = 20 * MINUTE - 1, .wall_ns = 0};
    assert_true(record_reckon(&r, &now));
    now.boot_ns++;
    assert_false(record_reckon(&r, &now));
}

static void in_another_boot_the_rest_of_the_life_is_reckoned_by_the_wall_clock(void **state)
{
    struct record r = decoded();
    struct record_clock now = {.boot = 2, .boot_ns = MINUTE, .wall_ns = written.wall_ns + 7 * MINUTE};
    assert_true(record_reckon(&r, &now));
    assert_true(r.entry.hard_ns == MINUTE + 3 * MINUTE);
    assert_true(r.entry.soft_ns == MINUTE);
    r = decoded();
    now.wall_ns = written.wall_ns + 10 * MINUTE;
    assert_false(record_reckon(&r, &now));
}

static void a_wall_clock_before_the_writing_ends_it(void **state)
{
    struct record r = decoded();
    struct record_clock now = {.boot = 2, .boot_ns = MINUTE, .wall_ns = written.wall_ns - 1};
    assert_false(record_reckon(&r, &now));
}

static void an_unknown_boot_is_never_the_same(void **state)
{
    assert_int_equal(record_boot(""), 0);
    assert_int_not_equal(record_boot("11111111-1111-4111-8111-111111111111"), 0);
    struct record r = decoded();
    r.boot = 0;
    struct record_clock now = {.boot = 0, .boot_ns = MINUTE, .wall_ns = written.wall_ns + 60 * MINUTE};
    assert_false(record_reckon(&r, &now));
}

static void changes_of_life_add_up(void **state)
{
    const struct entry little = {.v = 7, .soft_ns = 50, .hard_ns = 500},
                       much = {.v = 7, .soft_ns = 200, .hard_ns = 450};
    const struct record_change changes[] = {record_soften(100), record_prolong(&little),
                                            record_prolong(&much), record_soften(300)};
    for (unsigned first = 0; first < COUNT_OF(changes); first++)
        for (unsigned second = 0; second < COUNT_OF(changes); second++) {
            struct entry one = {.v = 7, .soft_ns = 150, .hard_ns = 400}, both = one;
            record_apply(changes[first], &one);
            record_apply(changes[second], &one);
            record_apply(record_both(changes[first], changes[second]), &both);
            assert_true(one.stale == both.stale && one.soft_ns == both.soft_ns &&
                        one.hard_ns == both.hard_ns);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_comes_back_as_it_was_written),
        cmocka_unit_test(names_of_tags_come_back_with_it),
        cmocka_unit_test(without_names_it_is_of_the_first_format),
        cmocka_unit_test(names_that_make_no_sense_end_the_walk),
        cmocka_unit_test(every_single_flipped_bit_is_noticed),
        cmocka_unit_test(a_record_of_any_other_length_is_bad),
        cmocka_unit_test(in_the_same_boot_the_wall_clock_does_not_matter),
        cmocka_unit_test(in_another_boot_the_rest_of_the_life_is_reckoned_by_the_wall_clock),
        cmocka_unit_test(a_wall_clock_before_the_writing_ends_it),
        cmocka_unit_test(an_unknown_boot_is_never_the_same),
        cmocka_unit_test(changes_of_life_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
