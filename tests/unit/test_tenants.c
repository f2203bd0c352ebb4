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
};

static void sum_up(void *user, struct slice name, const struct tenant *t)
{
    struct sum *s = user;
    s->misses += slice_equal(name, slice_text(s->name)) ? t->misses : 0;
    s->everybody += t->misses;
    s->rows += t->misses > 0;
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
    struct sum s = {.name = "acme"};
    miss("acme", 2);
    taken("acme");
    tenants_each(all, sum_up, &s);
    tenants_each(all, sum_up, &s);
    assert_int_equal(s.misses, 4);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(connections_of_one_tenant_have_one_row, begin, end),
        cmocka_unit_test_setup_teardown(what_was_counted_is_told_whole_as_often_as_it_is_asked, begin, end),
        cmocka_unit_test_setup_teardown(a_newcomer_has_the_row_of_the_quietest_that_nobody_is_connected_for,
                                        begin, end),
        cmocka_unit_test_setup_teardown(when_somebody_is_connected_for_each_the_rest_counts_with_the_others,
                                        begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
