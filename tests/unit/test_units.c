/* How people write sizes, durations and switches, and how we write them back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "app/units.h"
#include "base/check.h"

enum { SECOND = 1000000000 };
#define MIB (1ull << 20)

static void sizes_have_binary_units(void **state)
{
    uint64_t n;
    assert_true(parse_size("4096", 0, &n) && n == 4096);
    assert_true(parse_size("64KiB", 0, &n) && n == 65536);
    assert_true(parse_size("1mib", 0, &n) && n == MIB);
    assert_true(parse_size("2GiB", 0, &n) && n == 2048 * MIB);
    assert_true(parse_size("7", MIB, &n) && n == 7 * MIB);
    assert_true(parse_size("7KiB", MIB, &n) && n == 7168);
}

static void what_is_no_size_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "x",
                                      "-1",
                                      "1.5GiB",
                                      "1KB",
                                      "12 ",
                                      " 12",
                                      "0x10",
                                      "1KiBx",
                                      "18446744073709551616",
                                      "16777216TiB",
                                      "17179869184GiB"};
    uint64_t n;
    for (unsigned i = 0; i < COUNT_OF(bad); i++)
        assert_false(parse_size(bad[i], 0, &n));
}

static void durations_name_their_unit(void **state)
{
    uint64_t n;
    assert_true(parse_duration("100ms", 0, NULL, &n) && n == SECOND / 10);
    assert_true(parse_duration("30s", 0, NULL, &n) && n == 30ull * SECOND);
    assert_true(parse_duration("1h30m", 0, NULL, &n) && n == 5400ull * SECOND);
    assert_true(parse_duration("2d", 0, NULL, &n) && n == 172800ull * SECOND);
    assert_true(parse_duration("0", 0, NULL, &n) && n == 0);
    assert_true(parse_duration("60", SECOND, NULL, &n) && n == 60ull * SECOND);
}

static void what_is_no_duration_is_refused(void **state)
{
    static const char *const bad[] = {"",       "60", "s", "-1s", "1.5h", "1 h", "5min", "584542046091h",
                                      "213504d"};
    uint64_t n;
    for (unsigned i = 0; i < COUNT_OF(bad); i++)
        if (parse_duration(bad[i], 0, NULL, &n))
            fail_msg("%s was taken for %llu ns", bad[i], (unsigned long long)n);
}

static void printing_is_the_inverse_of_parsing(void **state)
{
    static const uint64_t numbers[] = {0,     1,   999,     1000,       1024,
                                       65536, MIB, 3 * MIB, 1500000000, 3600ull * SECOND};
    char text[UNIT_TEXT];
    uint64_t n;
    for (unsigned i = 0; i < COUNT_OF(numbers); i++) {
        assert_true(parse_size(print_size(numbers[i], text), 0, &n) && n == numbers[i]);
        assert_true(parse_duration(print_duration(numbers[i], text), 0, NULL, &n) && n == numbers[i]);
    }
}

static void ratios_are_percent_or_parts_of_one(void **state)
{
    static const struct {
        const char *text;
        uint64_t thousandths;
    } rows[] = {{"80%", 800}, {"99.5%", 995}, {"0.8", 800}, {"0.125", 125},
                {"1", 1000},  {"0%", 0},      {"0.05", 50}};
    char room[UNIT_TEXT];
    uint64_t is;
    for (unsigned i = 0; i < COUNT_OF(rows); i++) {
        assert_true(parse_ratio(rows[i].text, &is));
        assert_int_equal(is, rows[i].thousandths);
    }
    assert_string_equal(print_ratio(995, room), "99.5%");
    assert_string_equal(print_ratio(800, room), "80%");
}

static void what_is_no_ratio_is_refused(void **state)
{
    static const char *const texts[] = {"",       "%", "-1%", "80 %", "0.8125",
                                        "99.55%", "x", "1e3", "80%%", "99999999999999999999%"};
    uint64_t is;
    for (unsigned i = 0; i < COUNT_OF(texts); i++)
        if (parse_ratio(texts[i], &is))
            fail_msg("%s is taken for %llu", texts[i], (unsigned long long)is);
}

static void switches_are_words(void **state)
{
    static const char *const on[] = {"true", "1", "yes", "on", "TRUE"}, *const off[] = {"false", "0", "no",
                                                                                        "off"};
    bool b;
    for (unsigned i = 0; i < COUNT_OF(on); i++)
        assert_true(parse_switch(on[i], &b) && b);
    for (unsigned i = 0; i < COUNT_OF(off); i++)
        assert_true(parse_switch(off[i], &b) && !b);
    assert_false(parse_switch("maybe", &b));
    assert_false(parse_switch("", &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_have_binary_units),
        cmocka_unit_test(what_is_no_size_is_refused),
        cmocka_unit_test(durations_name_their_unit),
        cmocka_unit_test(what_is_no_duration_is_refused),
        cmocka_unit_test(printing_is_the_inverse_of_parsing),
        cmocka_unit_test(switches_are_words),
        cmocka_unit_test(ratios_are_percent_or_parts_of_one),
        cmocka_unit_test(what_is_no_ratio_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
