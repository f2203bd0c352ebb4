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

static void one_that_is_late_halves_it_and_those_sent_before_do_not_again(void **state)
{
    struct window w;
    window_init(&w);
    quick(&w, 1);
    for (unsigned i = 0; i < FIRST; i++)
        window_learns(&w, 10 * NS_PER_MS, FIRST - i);
    assert_in_range((unsigned)w.size, FIRST / 2, FIRST / 2 + 1);
    window_learns(&w, 10 * NS_PER_MS, 8); /* sent since */
    assert_in_range((unsigned)w.size, FIRST / 4, FIRST / 4 + 1);
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
        cmocka_unit_test(one_that_is_late_halves_it_and_those_sent_before_do_not_again),
        cmocka_unit_test(it_does_not_shrink_below_its_least),
        cmocka_unit_test(below_a_millisecond_nothing_is_late),
        cmocka_unit_test(what_was_quick_once_is_forgotten_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
