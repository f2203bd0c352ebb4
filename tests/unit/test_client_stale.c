/* get_or_load of what is stale, or will be soon, with a real daemon: who refreshes it, and what the others are given. */
#include "support/client_rig.h"

#include "support/client_gate.h"

static void make_stale(larder_client *c, const char *key, const char *text)
{
    larder_slice name = T(key);
    larder_invalidate_options o = LARDER_INVALIDATE_OPTIONS_INIT;
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    how.ttl_ms = how.stale_ms = 600000;
    assert_int_equal(larder_set(c, name, T(text), &how), LARDER_OK);
    o.keys = &name;
    o.keys_count = 1;
    o.soft = true;
    assert_int_equal(larder_invalidate_all_of(c, &o), LARDER_OK);
}

static void whoever_refreshes_inline_gets_the_fresh_value_and_the_others_the_stale_one_at_once(void **state)
{
    larder_client *a = open_default(), *b = open_default();
    larder_value v = LARDER_VALUE_INIT;
    struct caller refresher;
    struct gate g;
    struct gate never = {.text = "never", .open = true};
    gate_init(&g, "fresh");
    make_stale(a, "stale:inline", "stale");
    caller_start(&refresher, a, "stale:inline", &g);
    sem_take(&g.running);
    for (int i = 0; i < 3; i++) {
        larder_client *c = i == 0 ? a : b;
        assert_int_equal(load(c, "stale:inline", &never, plain, &v), LARDER_HIT);
        expect_bytes(&v, "stale");
        assert_true(v.flags & LARDER_STALE);
    }
    sem_post(&g.go);
    caller_expect(&refresher, "fresh");
    assert_int_equal(never.runs, 0);
    expect_load(b, "stale:inline", &never, "fresh");
    larder_value_free(&v);
    larder_close(a);
    larder_close(b);
}

static void a_refresh_for_later_is_done_by_whoever_works(void **state)
{
    larder_client *c = open_default();
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    larder_value v = LARDER_VALUE_INIT;
    struct gate g = {.text = "fresh", .open = true};
    make_stale(c, "stale:later", "stale");
    how.refresh = LARDER_REFRESH_LATER;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(load(c, "stale:later", &g, how, &v), LARDER_HIT);
        expect_bytes(&v, "stale");
    }
    assert_int_equal(g.runs, 0);
    assert_int_equal(larder_work(c, 0), 1);
    assert_int_equal(g.runs, 1);
    assert_int_equal(larder_work(c, 0), 0);
    expect_text(c, "stale:later", "fresh");
    larder_value_free(&v);
    larder_close(c);
}

static void a_refresh_that_fails_leaves_the_stale_value_and_says_so(void **state)
{
    larder_client *c = open_default();
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    larder_value v = LARDER_VALUE_INIT;
    struct gate g = {.text = "", .open = true};
    int load_error = 0;
    g.result = -9;
    how.ret_load_error = &load_error;
    make_stale(c, "stale:fails", "stale");
    assert_int_equal(load(c, "stale:fails", &g, how, &v), LARDER_HIT);
    expect_bytes(&v, "stale");
    assert_int_equal(v.flags & (LARDER_STALE | LARDER_LOAD_FAILED), LARDER_STALE | LARDER_LOAD_FAILED);
    assert_int_equal(load_error, -9);
    assert_int_equal(load(c, "stale:fails", &g, how, &v), LARDER_HIT); /* nobody tries again at once */
    assert_int_equal(g.runs, 1);
    assert_int_equal(load_error, 0);
    larder_value_free(&v);
    larder_close(c);
}

static void whoever_takes_nothing_stale_gets_an_error_when_the_loader_fails(void **state)
{
    larder_client *c = open_default();
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    larder_value v = LARDER_VALUE_INIT;
    struct gate g = {.text = "", .open = true};
    g.result = -9;
    how.no_stale = true;
    make_stale(c, "stale:refused", "stale");
    assert_int_equal(load(c, "stale:refused", &g, how, &v), LARDER_E_LOAD);
    larder_value_free(&v);
    larder_close(c);
}

static void who_wants_something_fresher_waits_that_long_and_then_takes_what_is_stale(void **state)
{
    larder_client *a = open_default(), *b = open_default();
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    larder_value held = LARDER_VALUE_INIT, v = LARDER_VALUE_INIT;
    struct gate never = {.text = "never", .open = true};
    make_stale(a, "stale:soft", "stale");
    assert_int_equal(larder_lease(a, T("stale:soft"), NULL, &held), LARDER_HIT);
    assert_int_not_equal(held.token.size, 0);
    how.soft_ms = 20;
    assert_int_equal(load(b, "stale:soft", &never, how, &v), LARDER_HIT);
    expect_bytes(&v, "stale");
    assert_int_equal(larder_lease_fill(a, T("stale:soft"), &held.token, T("fresh"), NULL), LARDER_OK);
    how.soft_ms = PATIENT_MS;
    assert_int_equal(load(b, "stale:soft", &never, how, &v), LARDER_HIT);
    expect_bytes(&v, "fresh");
    assert_int_equal(never.runs, 0);
    larder_value_free(&held);
    larder_value_free(&v);
    larder_close(a);
    larder_close(b);
}

static void a_value_that_will_be_stale_soon_is_refreshed_early_when_asked_for(void **state)
{
    larder_client *c = open_default();
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    larder_value v = LARDER_VALUE_INIT;
    struct gate g = {.text = "renewed", .open = true};
    set_text(c, "stale:early", "first");
    expect_text(c, "stale:early", "first"); /* in shared memory from now on */
    assert_int_equal(load(c, "stale:early", &g, how, &v), LARDER_HIT);
    assert_int_equal(g.runs, 0);
    how.early_ms = UINT32_MAX;
    assert_int_equal(load(c, "stale:early", &g, how, &v), LARDER_HIT);
    expect_bytes(&v, "renewed");
    assert_int_equal(g.runs, 1);
    larder_value_free(&v);
    larder_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_refreshes_inline_gets_the_fresh_value_and_the_others_the_stale_one_at_once),
        cmocka_unit_test(a_refresh_for_later_is_done_by_whoever_works),
        cmocka_unit_test(a_refresh_that_fails_leaves_the_stale_value_and_says_so),
        cmocka_unit_test(whoever_takes_nothing_stale_gets_an_error_when_the_loader_fails),
        cmocka_unit_test(who_wants_something_fresher_waits_that_long_and_then_takes_what_is_stale),
        cmocka_unit_test(a_value_that_will_be_stale_soon_is_refreshed_early_when_asked_for),
    };
    return cmocka_run_group_tests(tests, rig_start, rig_finish);
}
