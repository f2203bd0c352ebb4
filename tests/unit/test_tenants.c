/* Counts of connections that are bound to a tenant (cache/tenants.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "cache/tenants.h"

static struct tenants *all;

static int begin(void **state)
{
    all = tenants_create();
    return 0;
}

static int end(void **state)
{
    all = tenants_destroy(all);
    return 0;
}

struct sum {
    const char *name;
    uint64_t misses, everybody, rows;
    uint64_t took, all_took, timed; /* of tenants_each */
};

static void sum_up(void *user, struct slice name, const struct tenant *t)
{
    struct sum *s = user;
    s->misses += slice_equal(name, slice_text(s->name)) ? t->misses : 0;
    s->everybody += t->misses;
    s->rows += t->misses > 0;
}

static void sum_up_all(void *user, struct slice name, const struct tenant *t, const struct took *took)
{
    struct sum *s = user;
    sum_up(user, name, t);
    for (enum timed of = 0; took && of < TIMED_COUNT; of++) {
        s->took += slice_equal(name, slice_text(s->name)) ? took[of].turns.count : 0;
        s->all_took += took[of].turns.count;
    }
    s->timed += took && name.size;
}

static struct sum told(const char *name)
{
    struct sum s = {.name = name};
    tenants_each(all, sum_up_all, &s);
    return s;
}

static struct sum taken(const char *name)
{
    struct sum s = {.name = name};
    tenants_take(all, sum_up, &s);
    return s;
}

static struct tenant *miss(const char *name, uint64_t misses)
{
    struct tenant *t = tenants_enter(all, slice_text(name));
    t->misses += misses;
    return t;
}

static void connections_of_one_tenant_have_one_row(void **state)
{
    struct tenant *a = miss("acme", 2), *b = miss("acme", 3);
    assert_ptr_equal(a, b);
    miss("globex", 1);
    assert_int_equal(taken("acme").misses, 5);
    a->misses++;
    struct sum s = taken("acme");
    assert_int_equal(s.misses, 1);
    assert_int_equal(s.everybody, 1);
}

static void what_was_counted_is_told_whole_as_often_as_it_is_asked(void **state)
{
    miss("acme", 2);
    taken("acme");
    assert_int_equal(told("acme").misses, 2);
    assert_int_equal(told("acme").misses, 2);
}

static void a_newcomer_has_the_row_of_the_quietest_that_nobody_is_connected_for(void **state)
{
    char name[16];
    for (unsigned n = 0; n < TENANTS_COUNTED; n++) {
        snprintf(name, sizeof(name), "t%u", n);
        struct tenant *t = miss(name, n + 1);
        if (n > 0)
            tenants_leave(all, t);
    }
    miss("new", 7);
    struct sum s = taken("t0"); /* somebody is */
    assert_int_equal(s.misses, 1);
    assert_int_equal(s.rows, TENANTS_COUNTED + 1); /* and the others, who have what t1 had */
    assert_int_equal(s.everybody, TENANTS_COUNTED * (TENANTS_COUNTED + 1) / 2 + 7);
    miss("t1", 1);
    s = taken("");
    assert_int_equal(s.everybody, 1);
}

static void when_somebody_is_connected_for_each_the_rest_counts_with_the_others(void **state)
{
    char name[16];
    for (unsigned n = 0; n < TENANTS_COUNTED + 5; n++) {
        snprintf(name, sizeof(name), "t%u", n);
        miss(name, 1);
    }
    assert_int_equal(taken("").misses, 5);
}

/* Asked for, and answered; in turn by one verb and by another. */
static void ask(struct tenant *t, unsigned times)
{
    t->misses += times;
    for (unsigned i = 0; i < times; i++)
        took_waited(tenants_took(all, t, i % 2 ? TIMED_SET : TIMED_GET), 1000);
}

/* One more than have a histogram; the one before the last of them asked once, the others twice. */
static struct tenant *one_too_many(struct tenant **ret_quiet)
{
    char name[16];
    struct tenant *t = NULL;
    for (unsigned n = 0; n <= TENANTS_TIMED; n++) {
        snprintf(name, sizeof(name), "t%u", n);
        t = tenants_enter(all, slice_text(name));
        ask(t, n == TENANTS_TIMED - 1 ? 1 : 2);
        *ret_quiet = n == TENANTS_TIMED - 1 ? t : *ret_quiet;
    }
    return t;
}

static void the_time_of_tenants_beyond_those_with_a_histogram_is_the_others(void **state)
{
    struct tenant *quiet;
    one_too_many(&quiet);
    assert_int_equal(told("t0").took, 2);
    assert_int_equal(told("").took, 2);
    struct sum s = told("");
    assert_int_equal(s.timed, TENANTS_TIMED);
    assert_int_equal(s.all_took, s.everybody);
}

static void who_asks_twice_as_much_as_the_quietest_has_its_histogram_from_the_next_minute_on(void **state)
{
    struct tenant *quiet, *loud = one_too_many(&quiet);
    taken(""); /* twice, not more */
    assert_int_equal(told("t31").took, 1);
    ask(loud, 1);
    assert_int_equal(told("t32").took, 0);
    taken("");
    ask(loud, 5);
    ask(quiet, 1);
    assert_int_equal(told("t32").took, 5);
    struct sum s = told("");
    assert_int_equal(s.took, 3 + 1 + 1); /* of the loud one before, all of the quiet one */
    assert_int_equal(s.timed, TENANTS_TIMED);
    assert_int_equal(s.all_took, s.everybody);
}

static void the_time_of_a_tenant_that_lost_its_row_stays_with_the_others(void **state)
{
    struct tenant *t = miss("gone", 0);
    char name[16];
    ask(t, 1);
    tenants_leave(all, t);
    for (unsigned n = 0; n < TENANTS_COUNTED; n++) {
        snprintf(name, sizeof(name), "t%u", n);
        ask(tenants_enter(all, slice_text(name)), 2);
    }
    struct sum s = told("gone");
    assert_int_equal(s.misses, 0);
    assert_int_equal(s.timed, TENANTS_TIMED); /* the newcomer has its histogram's place, too */
    assert_int_equal(s.all_took, s.everybody);
}

static void who_only_stores_is_told_with_the_others_too(void **state)
{
    char name[16];
    for (unsigned n = 0; n <= TENANTS_TIMED; n++) {
        snprintf(name, sizeof(name), "t%u", n);
        struct tenant *t = tenants_enter(all, slice_text(name));
        took_waited(tenants_took(all, t, TIMED_SET),
                    1000); /* a condition that was not met: no entry stored */
    }
    assert_int_equal(told("").took, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(connections_of_one_tenant_have_one_row, begin, end),
        cmocka_unit_test_setup_teardown(what_was_counted_is_told_whole_as_often_as_it_is_asked, begin, end),
        cmocka_unit_test_setup_teardown(a_newcomer_has_the_row_of_the_quietest_that_nobody_is_connected_for,
                                        begin, end),
        cmocka_unit_test_setup_teardown(when_somebody_is_connected_for_each_the_rest_counts_with_the_others,
                                        begin, end),
        cmocka_unit_test_setup_teardown(the_time_of_tenants_beyond_those_with_a_histogram_is_the_others,
                                        begin, end),
        cmocka_unit_test_setup_teardown(
            who_asks_twice_as_much_as_the_quietest_has_its_histogram_from_the_next_minute_on, begin, end),
        cmocka_unit_test_setup_teardown(the_time_of_a_tenant_that_lost_its_row_stays_with_the_others, begin,
                                        end),
        cmocka_unit_test_setup_teardown(who_only_stores_is_told_with_the_others_too, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
