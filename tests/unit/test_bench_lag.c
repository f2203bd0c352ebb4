/* What a round of larder-bench lag means, and when a run may claim a bar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "bench/lag.h"
#include "bench/timing.h"
#include "client/larder.h"

static int make_result(void **state)
{
    *state = calloc(1, sizeof(struct lag_result));
    return *state ? 0 : -1;
}

static int free_result(void **state)
{
    free(*state);
    return 0;
}

static void a_round_counts_from_the_call_and_from_its_ok(void **state)
{
    struct lag_result *r = *state;
    lag_note(r, &(struct lag_round){.sent_ns = 1000, .ok_ns = 1300, .seen_ns = 1700});
    assert_int_equal(r->from_call.max, 700);
    assert_int_equal(r->from_ok.max, 400);
    assert_int_equal(r->call.max, 300);
    assert_int_equal(r->before_ok, 0);
}

static void what_was_gone_before_the_ok_counts_as_nothing_after_it(void **state)
{
    struct lag_result *r = *state;
    lag_note(r, &(struct lag_round){.sent_ns = 1000, .ok_ns = 1300, .seen_ns = 1200});
    assert_int_equal(r->from_call.max, 200);
    assert_int_equal(r->from_ok.count, 1);
    assert_int_equal(r->from_ok.max, 0);
    assert_int_equal(r->before_ok, 1);
}

static void the_first_change_is_due_at_once_and_the_others_evenly(void **state)
{
    assert_int_equal(lag_due(0, 5000), 1);
    assert_int_equal(lag_due(199999, 5000), 1);
    assert_int_equal(lag_due(200000, 5000), 2);
    assert_int_equal(lag_due(NS_PER_S, 5000), 5001);
    assert_int_equal(lag_due_ns(0, 5000), 0);
    assert_int_equal(lag_due_ns(5000, 5000), NS_PER_S);
}

static void a_change_is_never_due_before_its_time(void **state)
{
    for (uint64_t n = 0; n < 100000; n++) {
        uint64_t due_ns = lag_due_ns(n, 3333);
        assert_in_range(lag_due(due_ns, 3333), n, n + 1);
    }
}

static void a_rate_of_nothing_is_never_due(void **state)
{
    assert_int_equal(lag_due(NS_PER_S, 0), 0);
}

static void a_host_without_its_store_spoils_a_round_and_an_error_the_run(void **state)
{
    assert_int_equal(lag_outcome_of(LARDER_OK), LAG_COUNTS);
    assert_int_equal(lag_outcome_of(LARDER_QUEUED), LAG_DETACHED);
    assert_int_equal(lag_outcome_of(LARDER_LOCAL), LAG_DETACHED);
    assert_int_equal(lag_outcome_of(LARDER_E_UNKNOWN), LAG_DETACHED);
    assert_int_equal(lag_outcome_of(LARDER_E_UNREACHABLE), LAG_FAILED);
    assert_int_equal(lag_outcome_of(LARDER_E_NAMESPACE), LAG_FAILED);
}

static void one_round_in_twenty_may_be_spoilt(void **state)
{
    struct lag_result *r = *state;
    r->from_call.count = 2000;
    r->detached = 110;
    assert_false(lag_too_detached(r));
    r->detached = 111;
    assert_true(lag_too_detached(r));
}

static void fill_good(struct lag_result *r)
{
    for (unsigned i = 0; i < 1000; i++)
        lag_note(r, &(struct lag_round){.sent_ns = 1, .ok_ns = 2, .seen_ns = 3});
    r->mutations =
        (struct lag_mutations){.asked = 5000, .begin_ns = 0, .end_ns = 10 * NS_PER_S, .done = 50000};
}

static void a_bar_is_claimed_under_its_own_conditions(void **state)
{
    struct lag_result *r = *state;
    fill_good(r);
    assert_null(lag_no_claim(r));
}

static void a_bar_is_not_claimed_with_too_few_rounds(void **state)
{
    struct lag_result *r = *state;
    fill_good(r);
    r->from_call.count--;
    assert_non_null(lag_no_claim(r));
}

static void a_bar_is_not_claimed_when_the_other_changes_were_slower(void **state)
{
    struct lag_result *r = *state;
    fill_good(r);
    r->mutations.done = 48000;
    assert_non_null(lag_no_claim(r));
}

static void a_bar_is_not_claimed_when_other_changes_failed(void **state)
{
    struct lag_result *r = *state;
    fill_good(r);
    r->mutations.refused = 1;
    assert_non_null(lag_no_claim(r));
}

static void a_bar_is_not_claimed_when_a_host_was_detached(void **state)
{
    struct lag_result *r = *state;
    fill_good(r);
    r->detached = 1;
    assert_non_null(lag_no_claim(r));
}

#define WITH_RESULT(test) cmocka_unit_test_setup_teardown(test, make_result, free_result)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RESULT(a_round_counts_from_the_call_and_from_its_ok),
        WITH_RESULT(what_was_gone_before_the_ok_counts_as_nothing_after_it),
        cmocka_unit_test(the_first_change_is_due_at_once_and_the_others_evenly),
        cmocka_unit_test(a_change_is_never_due_before_its_time),
        cmocka_unit_test(a_rate_of_nothing_is_never_due),
        cmocka_unit_test(a_host_without_its_store_spoils_a_round_and_an_error_the_run),
        WITH_RESULT(one_round_in_twenty_may_be_spoilt),
        WITH_RESULT(a_bar_is_claimed_under_its_own_conditions),
        WITH_RESULT(a_bar_is_not_claimed_with_too_few_rounds),
        WITH_RESULT(a_bar_is_not_claimed_when_the_other_changes_were_slower),
        WITH_RESULT(a_bar_is_not_claimed_when_other_changes_failed),
        WITH_RESULT(a_bar_is_not_claimed_when_a_host_was_detached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
