/* The fallback of larder_get_or_load: what a process keeps for itself while there is no daemon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include "support/client_changes.h"
#include "support/client_gate.h"

static void without_a_fallback_each_call_loads(void **state)
{
    larder_client *c = open_alone(0);
    larder_value v = LARDER_VALUE_INIT;
    struct gate p = {.text = "v", .open = true};
    load(c, "k", &p, plain, &v);
    load(c, "k", &p, plain, &v);
    assert_int_equal(p.runs, 2);
    larder_value_free(&v);
    larder_close(c);
}

static void with_a_fallback_the_second_call_finds_it_flagged_local_and_short_lived(void **state)
{
    larder_client *c = open_alone(1 << 20);
    larder_value v = LARDER_VALUE_INIT;
    struct gate p = {.text = "v", .open = true};
    load(c, "k", &p, plain, &v);
    assert_int_equal(load(c, "k", &p, plain, &v), LARDER_HIT);
    expect_bytes(&v, "v");
    assert_int_equal(p.runs, 1);
    assert_int_equal(v.flags, LARDER_IS_LOCAL);
    assert_in_range(v.ttl_ms, 1, 60000);
    larder_value_free(&v);
    larder_close(c);
}

static void the_fallback_keeps_nothing_that_is_not_to_be_stored(void **state)
{
    larder_client *c = open_alone(1 << 20);
    larder_value v = LARDER_VALUE_INIT;
    struct gate p = {.text = "secret", .no_store = true, .open = true};
    load(c, "k", &p, plain, &v);
    load(c, "k", &p, plain, &v);
    assert_int_equal(p.runs, 2);
    larder_value_free(&v);
    larder_close(c);
}

static void the_fallback_drops_what_this_process_changes(void **state)
{
    larder_client *c = open_alone(1 << 20);
    larder_value v = LARDER_VALUE_INIT;
    struct gate p = {.text = "v", .open = true};
    for (enum over by = 0; by < CHANGES; by++) {
        p.runs = 0;
        load(c, OVER_KEY, &p, plain, &v);
        load(c, OVER_KEY, &p, plain, &v);
        change_over(c, by);
        p.runs = 0;
        load(c, OVER_KEY, &p, plain, &v);
        assert_int_equal(p.runs, 1);
    }
    larder_value_free(&v);
    larder_close(c);
}

static void a_load_that_began_before_a_change_is_not_kept_after_it(void **state)
{
    larder_client *c = open_alone(1 << 20);
    larder_value v = LARDER_VALUE_INIT;
    struct gate now = {.text = "new", .open = true};
    struct caller a;
    struct gate g;
    gate_init(&g, "old");
    caller_start(&a, c, OVER_KEY, &g);
    sem_take(&g.running);
    change_over(c, BY_KEY);
    sem_post(&g.go);
    caller_expect(&a, "old");
    load(c, OVER_KEY, &now, plain, &v);
    expect_bytes(&v, "new");
    larder_value_free(&v);
    larder_close(c);
}

static void the_fallback_forgets_what_was_not_used_for_longest_when_it_is_full(void **state)
{
    larder_client *c = open_alone(16 * 1024);
    larder_value v = LARDER_VALUE_INIT;
    struct gate first = {.text = "first", .open = true}, p = {.text = "filler", .open = true};
    char key[32];
    load(c, "first", &first, plain, &v);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "filler:%d", i);
        load(c, key, &p, plain, &v);
        load(c, "first", &first, plain, &v);
    }
    assert_int_equal(first.runs, 1); /* used all the time */
    assert_int_equal(p.runs, 1000);
    load(c, "filler:0", &p, plain, &v);
    assert_int_equal(p.runs, 1001);
    load(c, "filler:999", &p, plain, &v);
    assert_int_equal(p.runs, 1001);
    larder_value_free(&v);
    larder_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_fallback_each_call_loads),
        cmocka_unit_test(with_a_fallback_the_second_call_finds_it_flagged_local_and_short_lived),
        cmocka_unit_test(the_fallback_keeps_nothing_that_is_not_to_be_stored),
        cmocka_unit_test(the_fallback_drops_what_this_process_changes),
        cmocka_unit_test(a_load_that_began_before_a_change_is_not_kept_after_it),
        cmocka_unit_test(the_fallback_forgets_what_was_not_used_for_longest_when_it_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
