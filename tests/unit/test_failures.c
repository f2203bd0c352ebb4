#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/clock.h"
#include "cache/failures.h"

enum { KEY = 42 };
#define NOW    (1000 * NS_PER_S)
#define MIDDLE (UINT32_MAX / 2)

static uint64_t fail_at(struct failures *f, uint64_t now_ns, uint32_t dice)
{
    return failures_note(f, KEY, 0, now_ns, dice) - now_ns;
}

static void a_key_that_never_failed_may_be_loaded_now(void **state)
{
    struct failures *f = failures_create();
    assert_int_equal(failures_left_ns(f, KEY, NOW), 0);
    failures_destroy(f);
}

static void each_failure_in_a_row_doubles_the_time_up_to_ten_seconds(void **state)
{
    struct failures *f = failures_create();
    static const uint64_t ms[] = {100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000, 10000};
    uint64_t now = NOW;
    for (unsigned i = 0; i < sizeof(ms) / sizeof(ms[0]); i++) {
        uint64_t ns = fail_at(f, now, MIDDLE);
        assert_in_range(ns, ms[i] * NS_PER_MS - 1000, ms[i] * NS_PER_MS + 1000);
        now += ns;
    }
    failures_destroy(f);
}

static void the_time_is_spread_by_a_fifth_either_way(void **state)
{
    struct failures *f = failures_create();
    assert_int_equal(fail_at(f, NOW, 0), 80 * NS_PER_MS);
    failures_forget(f, KEY);
    assert_int_equal(fail_at(f, NOW, UINT32_MAX), 120 * NS_PER_MS);
    failures_destroy(f);
}

static void a_success_begins_the_row_anew(void **state)
{
    struct failures *f = failures_create();
    fail_at(f, NOW, 0);
    fail_at(f, NOW + NS_PER_S, 0);
    failures_forget(f, KEY);
    assert_int_equal(failures_left_ns(f, KEY, NOW + NS_PER_S), 0);
    assert_int_equal(fail_at(f, NOW + 2 * NS_PER_S, 0), 80 * NS_PER_MS);
    failures_destroy(f);
}

static void ten_quiet_seconds_begin_the_row_anew(void **state)
{
    struct failures *f = failures_create();
    fail_at(f, NOW, 0);
    fail_at(f, NOW + 11 * NS_PER_S, 0);
    assert_int_equal(failures_left_ns(f, KEY, NOW + 11 * NS_PER_S), 80 * NS_PER_MS);
    failures_destroy(f);
}

static void the_holder_may_name_the_time(void **state)
{
    struct failures *f = failures_create();
    assert_int_equal(failures_note(f, KEY, 7 * NS_PER_S, NOW, 0), NOW + 7 * NS_PER_S);
    assert_int_equal(failures_left_ns(f, KEY, NOW + 6 * NS_PER_S), NS_PER_S);
    failures_destroy(f);
}

static void what_another_host_says_holds_here_and_is_no_failure_of_the_row(void **state)
{
    struct failures *f = failures_create();
    failures_hear(f, KEY, NOW + 3 * NS_PER_S);
    failures_hear(f, KEY, NOW + NS_PER_S);
    assert_int_equal(failures_left_ns(f, KEY, NOW), 3 * NS_PER_S);
    assert_int_equal(fail_at(f, NOW, 0), 80 * NS_PER_MS);
    failures_destroy(f);
}

static void the_oldest_is_forgotten_when_there_are_too_many(void **state)
{
    struct failures *f = failures_create();
    for (uint64_t key = 0; key <= FAILURES_MAX; key++)
        failures_note(f, key, NS_PER_S, NOW, 0);
    assert_int_equal(failures_left_ns(f, 0, NOW), 0);
    assert_int_equal(failures_left_ns(f, 1, NOW), NS_PER_S);
    assert_int_equal(failures_left_ns(f, FAILURES_MAX, NOW), NS_PER_S);
    failures_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_that_never_failed_may_be_loaded_now),
        cmocka_unit_test(each_failure_in_a_row_doubles_the_time_up_to_ten_seconds),
        cmocka_unit_test(the_time_is_spread_by_a_fifth_either_way),
        cmocka_unit_test(a_success_begins_the_row_anew),
        cmocka_unit_test(ten_quiet_seconds_begin_the_row_anew),
        cmocka_unit_test(the_holder_may_name_the_time),
        cmocka_unit_test(what_another_host_says_holds_here_and_is_no_failure_of_the_row),
        cmocka_unit_test(the_oldest_is_forgotten_when_there_are_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
