/* How many questions are under way, from how long the answers took. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/clock.h"
#include "cache/window.h"

enum { FIRST = 16, LEAST = 4, MOST = 128 };

static void quick(struct window *w, unsigned answers)
{
    for (unsigned i = 0; i < answers; i++)
        window_learns(w, NS_PER_MS / 10, FIRST);
}

static void a_windowful_in_time_makes_it_one_larger(void **state)
{
    struct window w;
    window_init(&w);
    assert_true(window_has_room(&w, FIRST - 1));
    assert_false(window_has_room(&w, FIRST));
    quick(&w, FIRST + 1);
    assert_true(window_has_room(&w, FIRST));
    assert_false(window_has_room(&w, FIRST + 1));
}

static void it_does_not_grow_beyond_its_most(void **state)
{
    struct window w;
    window_init(&w);
    quick(&w, 1000 * MOST);
    assert_false(window_has_room(&w, MOST));
    assert_true(window_has_room(&w, MOST - 1));
}

/* All that are under way at a time, answered. */
static void windowful(struct window *w, unsigned count, uint64_t took_ns)
{
    for (unsigned i = 0; i < count; i++)
        window_learns(w, took_ns, count);
}

static void two_windowfuls_without_one_in_time_halve_it(void **state)
{
    struct window w;
    window_init(&w);
    windowful(&w, FIRST, NS_PER_MS / 10);
    windowful(&w, FIRST, 10 * NS_PER_MS);
    assert_in_range((unsigned)w.size, FIRST, FIRST + 1);
    windowful(&w, FIRST, 10 * NS_PER_MS);
    assert_in_range((unsigned)w.size, FIRST / 2, FIRST / 2 + 1);
}

static void those_under_way_when_it_was_halved_do_not_halve_it_again(void **state)
{
    struct window w;
    window_init(&w);
    windowful(&w, FIRST, NS_PER_MS / 10);
    for (unsigned i = 0; i < 3; i++)
        windowful(&w, FIRST, 10 * NS_PER_MS);
    assert_in_range((unsigned)w.size, FIRST / 2, FIRST / 2 + 1);
    windowful(&w, FIRST / 2, 10 * NS_PER_MS); /* asked since */
    assert_in_range((unsigned)w.size, FIRST / 4, FIRST / 4 + 1);
}

static void a_pause_that_makes_all_late_that_are_under_way_does_not_halve_it(void **state)
{
    struct window w;
    window_init(&w);
    for (unsigned i = 0; i < 100; i++) {
        windowful(&w, FIRST, NS_PER_MS / 10);
        windowful(&w, FIRST, 10 * NS_PER_MS);
    }
    assert_true(w.size >= FIRST);
}

static void one_in_time_is_enough(void **state)
{
    struct window w;
    window_init(&w);
    for (unsigned i = 0; i < 100; i++) {
        window_learns(&w, NS_PER_MS / 10, FIRST);
        for (unsigned n = 1; n < FIRST; n++)
            window_learns(&w, 10 * NS_PER_MS, FIRST);
    }
    assert_true(w.size >= FIRST);
}

static void it_does_not_shrink_below_its_least(void **state)
{
    struct window w;
    window_init(&w);
    quick(&w, 1);
    for (unsigned i = 0; i < 100; i++)
        window_learns(&w, 10 * NS_PER_MS, 1);
    assert_true(window_has_room(&w, LEAST - 1));
    assert_false(window_has_room(&w, LEAST));
}

static void below_a_millisecond_nothing_is_late(void **state)
{
    struct window w;
    window_init(&w);
    window_learns(&w, 1, FIRST);
    window_learns(&w, NS_PER_MS, FIRST);
    assert_true(w.size > FIRST);
}

static void what_was_quick_once_is_forgotten_in_time(void **state)
{
    struct window w;
    window_init(&w);
    window_learns(&w, NS_PER_MS, 1);
    for (unsigned i = 0; i < 100 * 1000; i++)
        window_learns(&w, 20 * NS_PER_MS, 1);
    assert_true(w.size > 100); /* the way is that long now, whatever it was */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_windowful_in_time_makes_it_one_larger),
        cmocka_unit_test(it_does_not_grow_beyond_its_most),
        cmocka_unit_test(two_windowfuls_without_one_in_time_halve_it),
        cmocka_unit_test(those_under_way_when_it_was_halved_do_not_halve_it_again),
        cmocka_unit_test(a_pause_that_makes_all_late_that_are_under_way_does_not_halve_it),
        cmocka_unit_test(one_in_time_is_enough),
        cmocka_unit_test(it_does_not_shrink_below_its_least),
        cmocka_unit_test(below_a_millisecond_nothing_is_late),
        cmocka_unit_test(what_was_quick_once_is_forgotten_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
