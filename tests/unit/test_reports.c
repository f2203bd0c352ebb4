/* Reports are made a step a turn, and the last of each grouping serves the pages that follow (admin/reports.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "admin/reports.h"
#include "base/check.h"

#define DAY_0 (20000 * ROLLUP_DAY_S)
#define FROM  (1000 * REPORTS_KEPT_NS)

enum { MANY = 100, TURNS_MOST = 1000 };

static struct scene {
    struct rollup *rollup;
    struct reports *reports;
    uint64_t now_s, now_ns;
    unsigned asked; /* for the rollup */
} the;

static void forget(void *user, uint64_t number, struct slice record)
{
}

static const struct rollup *up_to_now(void *user)
{
    the.asked++;
    return the.rollup;
}

static void hit(uint64_t hits)
{
    struct rollup_counts more = {.hits_l1 = hits};
    rollup_add_policy(the.rollup, slice_text("pages"), slice_text("page"), &more);
}

static void pass_day(void)
{
    rollup_turn(the.rollup, the.now_s += ROLLUP_DAY_S);
}

/* A hit a day, and one today. */
static int begin(void **state)
{
    the = (struct scene){.now_s = DAY_0, .now_ns = FROM};
    the.rollup = rollup_create(&(struct rollup_store){forget, NULL});
    the.reports = reports_create(up_to_now, NULL);
    rollup_begin(the.rollup, the.now_s);
    for (unsigned n = 1; n < MANY; n++) {
        hit(1);
        pass_day();
    }
    hit(1);
    return 0;
}

static int end(void **state)
{
    reports_destroy(the.reports);
    rollup_destroy(the.rollup);
    return 0;
}

static const struct rollup_report *get(unsigned days, bool anew)
{
    return reports_get(the.reports, &(struct reports_wanted){days, ROLLUP_BY_POLICY, anew}, the.now_ns);
}

/* As one who waits asks: anew at first, then in each turn. */
static const struct rollup_report *wait_for(unsigned days, unsigned *ret_turns)
{
    const struct rollup_report *p = get(days, true);
    for (*ret_turns = 1; !p; ++*ret_turns) {
        assert_true(*ret_turns < TURNS_MOST);
        p = get(days, false);
    }
    return p;
}

static uint64_t hits_of(const struct rollup_report *p)
{
    assert_non_null(p);
    return rollup_hits(&p->total);
}

static void of_few_days_it_is_there_at_once_of_many_after_some_turns(void **state)
{
    unsigned turns;
    assert_int_equal(hits_of(wait_for(2, &turns)), 2);
    assert_int_equal(turns, 1);
    assert_int_equal(hits_of(wait_for(MANY, &turns)), MANY);
    assert_in_range(turns, MANY / 10, MANY);
}

static void what_is_counted_until_it_is_whole_is_in_it(void **state)
{
    assert_null(get(MANY, true));
    hit(1000);
    const struct rollup_report *p = NULL;
    while (!p)
        p = get(MANY, false);
    assert_int_equal(hits_of(p), MANY + 1000);
}

static void a_day_that_passes_meanwhile_is_in_it_once(void **state)
{
    assert_null(get(MANY + 1, true));
    pass_day();
    hit(1000);
    const struct rollup_report *p = NULL;
    while (!p)
        p = get(MANY + 1, false);
    assert_int_equal(hits_of(p), MANY + 1000);
    assert_int_equal(p->to_day, the.now_s / ROLLUP_DAY_S);
}

static void later_pages_are_of_the_same_report_and_a_first_one_is_anew(void **state)
{
    unsigned turns;
    wait_for(MANY, &turns);
    unsigned asked = the.asked;
    hit(1000);
    assert_int_equal(hits_of(get(MANY, false)), MANY);
    assert_int_equal(the.asked, asked);
    assert_null(get(MANY, true));
    assert_int_equal(hits_of(wait_for(MANY, &turns)), MANY + 1000);
}

static void nobody_asks_for_it_and_it_is_gone(void **state)
{
    unsigned turns;
    wait_for(MANY, &turns);
    the.now_ns += REPORTS_KEPT_NS;
    reports_tick(the.reports, the.now_ns);
    assert_non_null(get(MANY, false));
    the.now_ns += REPORTS_KEPT_NS + 1;
    reports_tick(the.reports, the.now_ns);
    assert_null(get(MANY, false));
}

static void one_that_nobody_waits_for_any_more_is_gone_too(void **state)
{
    assert_null(get(MANY, true));
    reports_tick(the.reports, the.now_ns += REPORTS_KEPT_NS + 1);
    hit(1000);
    unsigned turns;
    assert_int_equal(hits_of(wait_for(2, &turns)), 1002);
    assert_int_equal(turns, 1);
}

/* Two who ask by turns for other days of one grouping. */
static void those_who_want_other_days_get_theirs_one_after_the_other(void **state)
{
    const struct rollup_report *p = get(MANY, true);
    assert_null(p);
    assert_null(get(MANY / 2, true));
    unsigned first = 0, second = 0;
    for (unsigned turn = 1; turn < TURNS_MOST && !(first && second); turn++) {
        if (!first && (p = get(MANY, false))) {
            assert_int_equal(hits_of(p), MANY);
            first = turn;
        }
        if (!second && (p = get(MANY / 2, false))) {
            assert_int_equal(hits_of(p), MANY / 2);
            second = turn;
        }
    }
    assert_true(first && second);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(of_few_days_it_is_there_at_once_of_many_after_some_turns),
        T(what_is_counted_until_it_is_whole_is_in_it),
        T(a_day_that_passes_meanwhile_is_in_it_once),
        T(later_pages_are_of_the_same_report_and_a_first_one_is_anew),
        T(nobody_asks_for_it_and_it_is_gone),
        T(one_that_nobody_waits_for_any_more_is_gone_too),
        T(those_who_want_other_days_get_theirs_one_after_the_other),
    };
    return cmocka_run_group_tests_name("reports", tests, NULL, NULL);
}
