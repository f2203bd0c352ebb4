/* The commonest of many names, in little memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include "base/tally.h"

static void add(struct tally *t, const char *name, unsigned times)
{
    while (times--)
        tally_add(t, slice_text(name));
}

static void few_names_are_counted_exactly_and_the_commonest_comes_first(void **state)
{
    struct tally *t = tally_create();
    struct tallied top[3];
    assert_int_equal(tally_top(t, top, 3), 0);
    add(t, "b", 5);
    add(t, "d", 1);
    add(t, "a", 9);
    add(t, "c", 7);
    assert_int_equal(tally_top(t, top, 3), 3);
    const struct {
        const char *name;
        unsigned count;
    } wanted[] = {{"a", 9}, {"c", 7}, {"b", 5}};
    for (unsigned i = 0; i < 3; i++) {
        assert_true(slice_equal(top[i].name, slice_text(wanted[i].name)));
        assert_int_equal(top[i].count, wanted[i].count);
        assert_int_equal(top[i].error, 0);
    }
    tally_destroy(t);
}

static void a_common_name_is_found_among_any_number_of_rare_ones(void **state)
{
    struct tally *t = tally_create();
    struct tallied top[1];
    char rare[16];
    for (unsigned n = 0; n < 100000; n++) {
        snprintf(rare, sizeof(rare), "rare %u", n);
        add(t, rare, 1);
        if (n % 50 == 0)
            add(t, "common", 1);
    }
    assert_int_equal(tally_top(t, top, 1), 1);
    assert_true(slice_equal(top[0].name, slice_text("common")));
    assert_in_range(2000, top[0].count - top[0].error, top[0].count);
    tally_destroy(t);
}

static void names_of_any_bytes_are_told_apart_and_too_long_ones_passed_over(void **state)
{
    struct tally *t = tally_create();
    struct tallied top[4];
    char longest[TALLY_NAME_MAX + 1];
    memset(longest, 'x', sizeof(longest));
    tally_add(t, slice_of("a\0b", 3));
    tally_add(t, slice_of("a\0c", 3));
    tally_add(t, slice_of(longest, TALLY_NAME_MAX));
    tally_add(t, slice_of(longest, TALLY_NAME_MAX + 1));
    tally_add(t, slice_of("", 0));
    assert_int_equal(tally_top(t, top, 4), 3);
    tally_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_names_are_counted_exactly_and_the_commonest_comes_first),
        cmocka_unit_test(a_common_name_is_found_among_any_number_of_rare_ones),
        cmocka_unit_test(names_of_any_bytes_are_told_apart_and_too_long_ones_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
