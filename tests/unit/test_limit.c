/* The sums of a rate limit, by a clock in hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/clock.h"
#include "cache/limit.h"

static struct bucket bucket;
static uint64_t now_ns;

static int begin(void **state)
{
    bucket = (struct bucket){.level = 0};
    now_ns = 1000 * NS_PER_S;
    return 0;
}

static struct bucket_answer ask(uint64_t max, uint64_t window_ns, uint64_t cost)
{
    struct bucket_answer a;
    bucket_ask(&bucket, now_ns, max, window_ns, cost, &a);
    return a;
}

static unsigned burst(uint64_t max, uint64_t window_ns)
{
    unsigned allowed = 0;
    while (allowed <= max && ask(max, window_ns, 1).allowed)
        allowed++;
    return allowed;
}

static void a_burst_of_exactly_max_is_allowed_whatever_the_window(void **state)
{
    for (uint64_t max = 1; max <= 100; max++)
        for (uint64_t window_ns = 1; window_ns < 100 * NS_PER_S; window_ns = window_ns * 7 + 1) {
            bucket = (struct bucket){.level = 0};
            assert_int_equal(burst(max, window_ns), max);
        }
}

static void after_a_burst_one_more_comes_with_each_part_of_the_window(void **state)
{
    burst(10, 10 * NS_PER_S);
    now_ns += NS_PER_S - NS_PER_MS;
    assert_false(ask(10, 10 * NS_PER_S, 1).allowed);
    now_ns += NS_PER_MS;
    assert_true(ask(10, 10 * NS_PER_S, 1).allowed);
    assert_false(ask(10, 10 * NS_PER_S, 1).allowed);
}

static void no_two_windows_meet_where_twice_as_many_slip_through(void **state)
{
    unsigned allowed = 0;
    for (unsigned n = 0; n < 200; n++) { /* every 10 ms, two seconds */
        allowed += ask(100, NS_PER_S, 1).allowed;
        now_ns += NS_PER_S / 100;
    }
    assert_in_range(allowed, 200, 200); /* the pace itself is never refused */
    allowed = burst(100, NS_PER_S);
    assert_in_range(allowed, 99, 100);
}

static void a_refusal_counts_nothing_and_says_when(void **state)
{
    burst(2, 2 * NS_PER_S);
    struct bucket_answer a = ask(2, 2 * NS_PER_S, 2);
    assert_false(a.allowed);
    assert_int_equal(a.retry_ns, 2 * NS_PER_S);
    assert_int_equal(a.reset_ns, 2 * NS_PER_S);
    now_ns += a.retry_ns;
    assert_true(ask(2, 2 * NS_PER_S, 2).allowed);
}

static void asking_with_cost_0_changes_nothing(void **state)
{
    ask(5, NS_PER_S, 2);
    struct bucket before = bucket;
    assert_int_equal(ask(5, NS_PER_S, 0).remaining, 3);
    assert_memory_equal(&bucket, &before, sizeof(bucket));
}

static void a_level_from_another_limit_or_another_clock_is_a_full_bucket_at_most(void **state)
{
    bucket = (struct bucket){.at_ns = now_ns + 1000 * NS_PER_S, .level = 5000};
    struct bucket_answer a = ask(10, NS_PER_S, 1);
    assert_false(a.allowed);
    assert_int_equal(a.reset_ns, NS_PER_S);
}

static void the_largest_numbers_do_not_overflow(void **state)
{
    uint64_t month_ns = 2592000ull * NS_PER_S;
    assert_int_equal(ask(1000000000, month_ns, 1000000000).remaining, 0);
    assert_false(ask(1000000000, month_ns, 1).allowed);
}

static void many_keys_are_counted_each_by_itself_and_memory_is_bounded(void **state)
{
    struct limits *l = limits_create();
    struct bucket_answer a;
    for (uint64_t key = 0; key < 1000; key++)
        limits_ask(l, key << 32, now_ns, 1, NS_PER_S, 1, &a);
    for (uint64_t key = 0; key < 1000; key++) {
        limits_ask(l, key << 32, now_ns, 1, NS_PER_S, 1, &a);
        assert_false(a.allowed);
    }
    for (uint64_t key = 0; key < 8; key++) /* of one row: the one that is idle soonest goes */
        limits_ask(l, 5ull << 32 | (key + 1), now_ns + key, 1, NS_PER_S, 1, &a);
    limits_ask(l, 5ull << 32 | 8, now_ns + 8, 1, NS_PER_S, 1, &a);
    assert_false(a.allowed);
    limits_ask(l, 5ull << 32 | 1, now_ns + 8, 1, NS_PER_S, 1, &a);
    assert_true(a.allowed);
    assert_null(limits_destroy(l));
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_burst_of_exactly_max_is_allowed_whatever_the_window),
        TEST(after_a_burst_one_more_comes_with_each_part_of_the_window),
        TEST(no_two_windows_meet_where_twice_as_many_slip_through),
        TEST(a_refusal_counts_nothing_and_says_when),
        TEST(asking_with_cost_0_changes_nothing),
        TEST(a_level_from_another_limit_or_another_clock_is_a_full_bucket_at_most),
        TEST(the_largest_numbers_do_not_overflow),
        TEST(many_keys_are_counted_each_by_itself_and_memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
