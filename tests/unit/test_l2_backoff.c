/* Back-off and breaker by table: clock and dice are arguments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "l2/backoff.h"

#define MS NS_PER_MS

static struct backoff usual(void)
{
    return backoff_of(BACKOFF_BASE_NS, BACKOFF_CAP_NS);
}

static void the_longest_pause_doubles_up_to_the_cap(void **state)
{
    static const uint64_t longest_ms[] = {50, 100, 200, 400, 500, 500, 500};
    struct backoff b = usual();
    for (unsigned i = 0; i < COUNT_OF(longest_ms); i++)
        assert_int_equal(backoff_next(&b, UINT64_MAX), longest_ms[i] * MS);
}

static void the_shortest_pause_is_never_nothing(void **state)
{
    struct backoff b = usual();
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(backoff_next(&b, 0), BACKOFF_LEAST_NS);
}

static void even_dice_give_an_even_spread(void **state)
{
    enum { THROWS = 1000 };
    for (uint64_t i = 0; i < THROWS; i++) {
        struct backoff b = usual();
        uint64_t pause = backoff_next(&b, i * (UINT64_MAX / THROWS)), wanted = 1 * MS + i * 49 * MS / THROWS;
        assert_in_range(pause, wanted - MS / 10, wanted + MS / 10);
    }
}

static void a_reset_begins_again_at_the_base(void **state)
{
    struct backoff b = usual();
    backoff_next(&b, 0);
    backoff_next(&b, 0);
    backoff_reset(&b);
    assert_int_equal(backoff_next(&b, UINT64_MAX), 50 * MS);
}

static void a_base_and_a_cap_of_the_largest_numbers_do_not_overflow(void **state)
{
    struct backoff b = backoff_of(UINT64_MAX / 2 + 1, UINT64_MAX);
    for (unsigned i = 0; i < 100; i++)
        assert_true(backoff_next(&b, UINT64_MAX) >= UINT64_MAX / 2 + 1);
}

static void thousands_of_millions_of_failures_do_not_wrap(void **state)
{
    struct backoff b = usual();
    b.failures = UINT32_MAX;
    assert_int_equal(backoff_next(&b, UINT64_MAX), 500 * MS);
    assert_int_equal(b.failures, UINT32_MAX);
}

/* One step a row: at `now`, what happens, what is said then, and the state after it. */
enum step { ASK, FAIL, SUCCEED, ABANDON };
struct row {
    uint64_t now_ms;
    enum step step;
    bool allowed;
    enum breaker_state after;
};

static void walk(const struct row *rows, size_t count)
{
    struct breaker b = breaker_of(3, usual());
    for (size_t i = 0; i < count; i++) {
        uint64_t now = rows[i].now_ms * MS;
        switch (rows[i].step) {
        case ASK: assert_int_equal(breaker_allows(&b, now), rows[i].allowed); break;
        case FAIL: breaker_failed(&b, now, UINT64_MAX); break;
        case SUCCEED: breaker_succeeded(&b); break;
        case ABANDON: breaker_abandoned(&b, now); break;
        }
        assert_int_equal(b.state, rows[i].after);
    }
}
#define WALK(rows) walk(rows, COUNT_OF(rows))

static void the_circuit_opens_at_the_threshold_and_not_before(void **state)
{
    static const struct row rows[] = {
        {0, ASK, true, BREAKER_CLOSED}, {1, FAIL, 0, BREAKER_CLOSED}, {2, FAIL, 0, BREAKER_CLOSED},
        {3, ASK, true, BREAKER_CLOSED}, {4, FAIL, 0, BREAKER_OPEN},   {5, ASK, false, BREAKER_OPEN},
        {53, ASK, false, BREAKER_OPEN},
    };
    WALK(rows);
}

static void a_success_between_failures_starts_the_count_again(void **state)
{
    static const struct row rows[] = {
        {0, FAIL, 0, BREAKER_CLOSED}, {0, FAIL, 0, BREAKER_CLOSED}, {0, SUCCEED, 0, BREAKER_CLOSED},
        {0, FAIL, 0, BREAKER_CLOSED}, {0, FAIL, 0, BREAKER_CLOSED}, {0, FAIL, 0, BREAKER_OPEN},
    };
    WALK(rows);
}

#define OPENED                                                  \
    {0, FAIL, 0, BREAKER_CLOSED}, {0, FAIL, 0, BREAKER_CLOSED}, \
    {                                                           \
        0, FAIL, 0, BREAKER_OPEN                                \
    }

static void after_the_pause_one_probe_goes_and_nothing_beside_it(void **state)
{
    static const struct row rows[] = {
        OPENED,
        {50, ASK, true, BREAKER_HALF_OPEN},
        {50, ASK, false, BREAKER_HALF_OPEN},
        {9000, ASK, false, BREAKER_HALF_OPEN},
    };
    WALK(rows);
}

static void a_probe_that_succeeds_closes_the_circuit(void **state)
{
    static const struct row rows[] = {
        OPENED,
        {50, ASK, true, BREAKER_HALF_OPEN},
        {51, SUCCEED, 0, BREAKER_CLOSED},
        {51, ASK, true, BREAKER_CLOSED},
    };
    WALK(rows);
}

static void a_probe_that_fails_opens_it_for_longer(void **state)
{
    static const struct row rows[] = {
        OPENED,
        {50, ASK, true, BREAKER_HALF_OPEN},
        {60, FAIL, 0, BREAKER_OPEN},
        {159, ASK, false, BREAKER_OPEN},
        {160, ASK, true, BREAKER_HALF_OPEN},
    };
    WALK(rows);
}

static void late_failures_of_what_was_begun_before_do_not_make_it_longer(void **state)
{
    static const struct row rows[] = {
        OPENED,
        {10, FAIL, 0, BREAKER_OPEN},
        {20, FAIL, 0, BREAKER_OPEN},
        {50, ASK, true, BREAKER_HALF_OPEN},
    };
    WALK(rows);
}

static void an_abandoned_probe_is_given_to_the_next(void **state)
{
    static const struct row rows[] = {
        OPENED,
        {50, ASK, true, BREAKER_HALF_OPEN},
        {55, ABANDON, 0, BREAKER_OPEN},
        {55, ASK, true, BREAKER_HALF_OPEN},
        {56, SUCCEED, 0, BREAKER_CLOSED},
        {57, ABANDON, 0, BREAKER_CLOSED},
    };
    WALK(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_pause_doubles_up_to_the_cap),
        cmocka_unit_test(the_shortest_pause_is_never_nothing),
        cmocka_unit_test(even_dice_give_an_even_spread),
        cmocka_unit_test(a_reset_begins_again_at_the_base),
        cmocka_unit_test(a_base_and_a_cap_of_the_largest_numbers_do_not_overflow),
        cmocka_unit_test(thousands_of_millions_of_failures_do_not_wrap),
        cmocka_unit_test(the_circuit_opens_at_the_threshold_and_not_before),
        cmocka_unit_test(a_success_between_failures_starts_the_count_again),
        cmocka_unit_test(after_the_pause_one_probe_goes_and_nothing_beside_it),
        cmocka_unit_test(a_probe_that_succeeds_closes_the_circuit),
        cmocka_unit_test(a_probe_that_fails_opens_it_for_longer),
        cmocka_unit_test(late_failures_of_what_was_begun_before_do_not_make_it_longer),
        cmocka_unit_test(an_abandoned_probe_is_given_to_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
