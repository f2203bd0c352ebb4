/* Why keys went, as far as it is remembered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/gone.h"

/* The n-th key of a set. */
static uint64_t key_of(uint64_t set, uint64_t n)
{
    return set | n << 40;
}

static void what_was_noted_last_is_told(void **state)
{
    struct gone *g = gone_create();
    assert_int_equal(gone_why(g, 0), MISS_COLD);
    gone_note(g, 0, MISS_EVICTED);
    gone_note(g, 0, MISS_INVALIDATED);
    gone_note(g, key_of(0, 1), MISS_TOO_BIG);
    assert_int_equal(gone_why(g, 0), MISS_INVALIDATED);
    assert_int_equal(gone_why(g, key_of(0, 1)), MISS_TOO_BIG);
    assert_int_equal(gone_why(g, key_of(1, 1)), MISS_COLD);
    gone_destroy(g);
}

static void the_newest_keys_of_a_set_are_remembered(void **state)
{
    struct gone *g = gone_create();
    for (uint64_t n = 0; n <= GONE_WAYS; n++) {
        gone_note(g, key_of(5, n), MISS_EVICTED);
        gone_note(g, key_of(5, 1), MISS_EXPIRED); /* again and again: it takes one place */
    }
    assert_int_equal(gone_why(g, key_of(5, 0)), MISS_COLD);
    assert_int_equal(gone_why(g, key_of(5, 1)), MISS_EXPIRED);
    for (uint64_t n = 2; n <= GONE_WAYS; n++)
        assert_int_equal(gone_why(g, key_of(5, n)), MISS_EVICTED);
    gone_destroy(g);
}

static void each_of_as_many_keys_as_there_are_places_is_remembered(void **state)
{
    struct gone *g = gone_create();
    enum { SETS = GONE_PLACES / GONE_WAYS };
    for (uint64_t n = 0; n < GONE_PLACES; n++)
        gone_note(g, key_of(n % SETS, n / SETS), MISS_EVICTED);
    for (uint64_t n = 0; n < GONE_PLACES; n++)
        assert_int_equal(gone_why(g, key_of(n % SETS, n / SETS)), MISS_EVICTED);
    gone_destroy(g);
}

static void nobody_remembers_nothing(void **state)
{
    gone_note(NULL, 1, MISS_EVICTED);
    assert_int_equal(gone_why(NULL, 1), MISS_COLD);
    assert_null(gone_destroy(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_noted_last_is_told),
        cmocka_unit_test(the_newest_keys_of_a_set_are_remembered),
        cmocka_unit_test(each_of_as_many_keys_as_there_are_places_is_remembered),
        cmocka_unit_test(nobody_remembers_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
