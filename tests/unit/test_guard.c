#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "cache/guard.h"

enum { BASE = 1000 };

static uint64_t mix(uint64_t n)
{
    return n * 0x9e3779b97f4a7c15ull ^ n << 32;
}

static void a_change_refuses_older_tokens_of_its_key_only(void **state)
{
    struct guard *g = guard_create(BASE, GUARD_ROWS);
    guard_note(g, mix(1), BASE + 5);
    assert_true(guard_changed_since(g, mix(1), BASE + 4));
    assert_false(guard_changed_since(g, mix(1), BASE + 5));
    assert_false(guard_changed_since(g, mix(2), BASE + 4));
    guard_destroy(g);
}

static void tokens_of_an_earlier_life_are_refused(void **state)
{
    struct guard *g = guard_create(BASE, GUARD_ROWS);
    assert_true(guard_changed_since(g, mix(1), BASE - 1));
    assert_false(guard_changed_since(g, mix(1), BASE));
    guard_destroy(g);
}

static void a_raised_floor_refuses_every_older_token(void **state)
{
    struct guard *g = guard_create(BASE, GUARD_ROWS);
    guard_raise(g, BASE + 10);
    assert_true(guard_changed_since(g, mix(1), BASE + 9));
    assert_false(guard_changed_since(g, mix(1), BASE + 10));
    guard_destroy(g);
}

/* What the table cannot remember it must refuse, however many changes there were. */
static void no_change_is_ever_forgotten(void **state)
{
    enum { CHANGES = 2000000 };
    struct guard *g = guard_create(BASE, GUARD_ROWS);
    for (uint64_t i = 1; i <= CHANGES; i++)
        guard_note(g, mix(i), BASE + i);
    for (uint64_t i = 1; i <= CHANGES; i += 97)
        assert_true(guard_changed_since(g, mix(i), BASE + i - 1));
    guard_destroy(g);
}

static void recent_tokens_are_seldom_refused_for_nothing(void **state)
{
    enum { CHANGES = 100000 };
    struct guard *g = guard_create(BASE, GUARD_ROWS);
    unsigned refused = 0;
    for (uint64_t i = 1; i <= CHANGES; i++)
        guard_note(g, mix(i), BASE + i);
    for (uint64_t i = 1; i <= 10000; i++)
        refused += guard_changed_since(g, mix(CHANGES + i), BASE + CHANGES - 10000);
    assert_in_range(refused, 0, 10); /* 4 ways of 16-bit fingerprints: 1 in 16,000 */
    guard_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_refuses_older_tokens_of_its_key_only),
        cmocka_unit_test(tokens_of_an_earlier_life_are_refused),
        cmocka_unit_test(a_raised_floor_refuses_every_older_token),
        cmocka_unit_test(no_change_is_ever_forgotten),
        cmocka_unit_test(recent_tokens_are_seldom_refused_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
