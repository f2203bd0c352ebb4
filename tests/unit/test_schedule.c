/* Schedules, with the clock in hand (cache/schedule.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include "base/clock.h"
#include "cache/schedule.h"

enum { EARLY = 0 };
#define LATE  UINT32_MAX /* dice */
#define EVERY (100 * NS_PER_S)
#define START (1000 * NS_PER_S)

static struct schedules s;

static int begin(void **state)
{
    s = (struct schedules){.running = 0};
    return 0;
}

static void plan(unsigned number, uint64_t every_ns, uint32_t jitter, uint32_t order, bool on_start)
{
    struct schedule_plan p = {.every_ns = every_ns, .jitter = jitter, .order = order, .on_start = on_start};
    schedule_plan(&s, number, &p, START, EARLY);
}

static unsigned turn(uint64_t after_ns)
{
    return schedule_turn(&s, START + after_ns, EARLY);
}

static void it_is_due_after_its_interval_and_again_after_the_next(void **state)
{
    plan(1, EVERY, 0, 0, false);
    assert_int_equal(turn(EVERY - 1), 0);
    assert_int_equal(turn(EVERY), 1);
    schedule_over(&s);
    assert_int_equal(turn(2 * EVERY - 1), 0);
    assert_int_equal(turn(2 * EVERY), 1);
}

static void jitter_reaches_to_both_sides_and_no_further(void **state)
{
    struct schedule_plan p = {.every_ns = EVERY, .jitter = 100};
    schedule_plan(&s, 1, &p, START, EARLY);
    assert_int_equal(turn(EVERY * 9 / 10 - 1), 0);
    assert_int_equal(turn(EVERY * 9 / 10), 1);
    schedule_over(&s);
    schedule_plan(&s, 2, &p, START, LATE);
    assert_int_equal(turn(EVERY * 11 / 10 - NS_PER_S), 0);
    assert_int_equal(turn(EVERY * 11 / 10), 2);
}

static void at_the_start_means_now_and_without_an_interval_only_then(void **state)
{
    plan(1, EVERY, 0, 0, true);
    plan(2, 0, 0, 0, true);
    assert_int_equal(turn(0), 1);
    schedule_over(&s);
    assert_int_equal(turn(0), 2);
    schedule_over(&s);
    assert_int_equal(turn(EVERY - 1), 0);
    assert_int_equal(turn(EVERY), 1);
    schedule_over(&s);
    assert_int_equal(turn(EVERY + 1), 0);
    assert_true(schedule_left_ns(&s, 2, START) == UINT64_MAX);
}

static void the_lowest_order_goes_first_and_the_longest_wait_among_equals(void **state)
{
    plan(1, EVERY, 0, 7, false);
    plan(2, EVERY / 2, 0, 3, false);
    plan(3, EVERY / 4, 0, 3, false);
    assert_int_equal(turn(EVERY), 3);
    schedule_over(&s);
    assert_int_equal(turn(EVERY), 2);
    schedule_over(&s);
    assert_int_equal(turn(EVERY), 1);
}

static void two_never_run_at_a_time_and_the_other_waits(void **state)
{
    plan(1, EVERY, 0, 0, false);
    plan(2, EVERY, 0, 1, false);
    assert_int_equal(turn(EVERY), 1);
    assert_int_equal(turn(EVERY + 1), 0);
    schedule_over(&s);
    assert_int_equal(turn(EVERY + 2), 2);
    assert_int_equal(s.of[2].skipped, 0);
}

static void what_falls_due_while_its_last_run_is_going_is_skipped(void **state)
{
    plan(1, EVERY, 0, 0, false);
    assert_int_equal(turn(EVERY), 1);
    assert_int_equal(turn(2 * EVERY), 0);
    assert_int_equal(turn(3 * EVERY), 0);
    assert_int_equal(s.of[1].skipped, 2);
    schedule_over(&s);
    assert_int_equal(turn(3 * EVERY + 1), 0);
    assert_int_equal(turn(4 * EVERY), 1);
}

static void a_clock_that_jumps_ahead_makes_one_run_due(void **state)
{
    plan(1, EVERY, 0, 0, false);
    assert_int_equal(turn(1000 * EVERY), 1);
    schedule_over(&s);
    assert_int_equal(turn(1000 * EVERY + 1), 0);
    assert_int_equal(turn(1001 * EVERY), 1);
}

static void a_clock_that_jumps_back_makes_nobody_wait_longer(void **state)
{
    plan(1, EVERY, 0, 0, false);
    assert_int_equal(schedule_turn(&s, 10, EARLY), 0); /* a thousand seconds back */
    assert_int_equal(schedule_left_ns(&s, 1, 10), EVERY);
    assert_int_equal(schedule_turn(&s, 10 + EVERY, EARLY), 1);
}

static void one_that_is_put_off_comes_again_at_that_time(void **state)
{
    plan(1, EVERY, 0, 0, false);
    assert_int_equal(turn(EVERY), 1);
    schedule_postpone(&s, START + EVERY + NS_PER_S);
    assert_int_equal(turn(EVERY + NS_PER_S - 1), 0);
    assert_int_equal(turn(EVERY + NS_PER_S), 1);
}

static void a_reload_keeps_the_time_of_a_plan_that_is_as_it_was(void **state)
{
    struct schedule_plan p = {.every_ns = EVERY, .on_start = true};
    schedule_plan(&s, 1, &p, START, EARLY);
    assert_int_equal(turn(0), 1);
    schedule_over(&s);
    schedule_plan(&s, 1, &p, START + EVERY / 2, EARLY); /* nor does it start anew */
    assert_int_equal(turn(EVERY / 2), 0);
    assert_int_equal(turn(EVERY), 1);
    schedule_over(&s);
    p.every_ns = EVERY / 10;
    schedule_plan(&s, 1, &p, START + EVERY, EARLY);
    assert_int_equal(turn(EVERY + EVERY / 10), 1);
}

static void a_plan_that_is_gone_is_due_no_more_though_its_run_may_go_on(void **state)
{
    plan(1, EVERY, 0, 0, false);
    assert_int_equal(turn(EVERY), 1);
    schedule_plan(&s, 1, NULL, START + EVERY, EARLY);
    assert_int_equal(turn(2 * EVERY), 0);
    assert_int_equal(s.of[1].skipped, 0);
    schedule_over(&s);
    assert_int_equal(turn(3 * EVERY), 0);
}

static void nothing_begins_after_the_stop(void **state)
{
    plan(1, EVERY, 0, 0, true);
    schedule_stop(&s);
    assert_int_equal(turn(EVERY), 0);
}

/* Whatever the clock, the dice and the ends of runs do: one at a time, and none sooner than its plan allows. */
static void in_any_order_of_events_runs_do_not_overlap_and_keep_their_distance(void **state)
{
    srand(7);
    uint64_t now = START, last[4] = {0};
    plan(1, EVERY, 200, 1, false);
    plan(2, EVERY / 3, 0, 2, false);
    plan(3, EVERY / 7, 500, 0, false);
    for (unsigned i = 0; i < 100000; i++) {
        bool back = rand() % 1000 == 0;
        now = back ? now - (uint64_t)rand() % (NS_PER_S * 500) % now : now + (uint64_t)rand() % NS_PER_S;
        bool ran = s.running != 0;
        unsigned n = schedule_turn(&s, now, (uint32_t)rand() * 2u);
        assert_true(!n || !ran);
        for (unsigned k = 1; back && k < 4; k++)
            last[k] = 0;
        if (n) {
            const struct schedule_plan *p = &s.of[n].plan;
            assert_true(!last[n] || now - last[n] >= p->every_ns - p->every_ns / 1000 * p->jitter);
            last[n] = now;
        }
        if (s.running && rand() % 20 == 0)
            schedule_over(&s);
    }
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_due_after_its_interval_and_again_after_the_next),
        TEST(jitter_reaches_to_both_sides_and_no_further),
        TEST(at_the_start_means_now_and_without_an_interval_only_then),
        TEST(the_lowest_order_goes_first_and_the_longest_wait_among_equals),
        TEST(two_never_run_at_a_time_and_the_other_waits),
        TEST(what_falls_due_while_its_last_run_is_going_is_skipped),
        TEST(a_clock_that_jumps_ahead_makes_one_run_due),
        TEST(a_clock_that_jumps_back_makes_nobody_wait_longer),
        TEST(one_that_is_put_off_comes_again_at_that_time),
        TEST(a_reload_keeps_the_time_of_a_plan_that_is_as_it_was),
        TEST(a_plan_that_is_gone_is_due_no_more_though_its_run_may_go_on),
        TEST(nothing_begins_after_the_stop),
        TEST(in_any_order_of_events_runs_do_not_overlap_and_keep_their_distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
