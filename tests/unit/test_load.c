/* Loads on one host: the states of cache/lease.h.  Changes under way meanwhile are in test_load_changes.c, refreshes in
 * test_load_refresh.c. */
#include <stdio.h>
#include "support/load_host_rig.h"

/* ======= one loads, the others wait ======= */

static void what_is_there_needs_no_lease(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    set(f, KEY, "here");
    want(f->cache, &a, &people.ann, KEY);
    ASSERT_VALUE(a, "here");
    assert_int_equal(a.load.token_bytes, 0);
    assert_int_equal(figures(f).loads, 0);
}

static void the_first_to_miss_loads_and_the_others_are_handed_its_value(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b, c;
    want(f->cache, &a, &people.ann, KEY);
    ASSERT_STATUS(a, LEASE);
    want(f->cache, &b, &people.ben, KEY);
    want(f->cache, &c, &people.ann, KEY);
    ASSERT_WAITS(b);
    assert_int_equal(fill_with(f->cache, &a, KEY, "loaded", NULL), STATUS_OK);
    ASSERT_VALUE(b, "loaded");
    ASSERT_VALUE(c, "loaded");
    assert_false(b.load.loaded);
    assert_int_equal(get(f, KEY), STATUS_HIT);
    assert_int_equal(figures(f).loads, 1);
    assert_int_equal(figures(f).load_waits_served, 2);
    assert_int_equal(figures(f).leases, 0);
}

static void the_time_of_those_who_waited_is_summed(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b, c;
    want(f->cache, &a, &people.ann, KEY);
    want(f->cache, &b, &people.ben, KEY);
    f->now_ns += 3 * NS_PER_MS;
    want(f->cache, &c, &people.ben, KEY);
    f->now_ns += 4 * NS_PER_MS;
    assert_int_equal(figures(f).load_waits_ended, 0);
    assert_int_equal(fill_with(f->cache, &a, KEY, "loaded", NULL), STATUS_OK);
    ASSERT_VALUE(c, "loaded");
    assert_int_equal(figures(f).load_waits_ended, 2);
    assert_int_equal(figures(f).load_wait_ns, (7 + 4) * NS_PER_MS);
}

static void that_there_is_none_is_handed_on_too(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    want(f->cache, &a, &people.ann, KEY);
    want(f->cache, &b, &people.ben, KEY);
    struct cache_set s = a_set(KEY, "");
    s.absent = true;
    s.token = token_of(&a);
    cache_set(f->cache, &s);
    ASSERT_STATUS(b, ABSENT);
}

static void each_key_has_its_own_loader(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    want(f->cache, &a, &people.ann, KEY);
    want(f->cache, &b, &people.ben, "acme:other");
    ASSERT_STATUS(a, LEASE);
    ASSERT_STATUS(b, LEASE);
}

static void whoever_will_not_wait_is_told_to(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    want(f->cache, &a, &people.ann, KEY);
    want_as(f->cache, &b, &people.ben, KEY, (struct cache_load){0});
    ASSERT_STATUS(b, WAIT);
}

static void patience_ends_and_the_load_goes_on(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    want(f->cache, &a, &people.ann, KEY);
    want(f->cache, &b, &people.ben, KEY);
    pass(f, NS_PER_S - 1);
    ASSERT_WAITS(b);
    pass(f, 1);
    ASSERT_STATUS(b, WAIT);
    assert_int_equal(fill_with(f->cache, &a, KEY, "loaded", NULL), STATUS_OK);
    assert_int_equal(figures(f).load_waits_over, 1);
}

static void a_cache_that_is_off_gives_no_leases(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    f->options.cache = false;
    want(f->cache, &a, &people.ann, KEY);
    ASSERT_STATUS(a, MISS);
    assert_int_equal(a.load.get.reason, MISS_DISABLED);
}

static void whoever_names_tiers_only_looks(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    want_as(f->cache, &a, &people.ann, KEY, (struct cache_load){.get.tiers = 1u << TIER_L1});
    ASSERT_STATUS(a, MISS);
    assert_int_not_equal(a.load.token_bytes, 0);
    assert_int_equal(figures(f).leases, 0);
}

static void an_impossible_key_is_said_so(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    want(f->cache, &a, &people.ann, "");
    ASSERT_STATUS(a, BAD_KEY);
}

/* ======= how a lease ends ======= */

static void a_lease_is_used_once(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    want(f->cache, &a, &people.ann, KEY);
    assert_int_equal(fill_with(f->cache, &a, KEY, "1", NULL), STATUS_OK);
    assert_int_equal(fill_with(f->cache, &a, KEY, "2", NULL), STATUS_REFUSED);
    assert_int_equal(fail_with(f->cache, &a, KEY), STATUS_REFUSED);
    want(f->cache, &a, &people.ann, KEY);
    ASSERT_VALUE(a, "1");
}

static void a_lease_of_one_key_is_none_of_another(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    want(f->cache, &a, &people.ann, KEY);
    assert_int_equal(fill_with(f->cache, &a, "acme:other", "1", NULL), STATUS_REFUSED);
    assert_int_equal(fail_with(f->cache, &a, "acme:other"), STATUS_REFUSED);
    assert_int_equal(fill_with(f->cache, &a, KEY, "1", NULL), STATUS_OK);
}

static void a_made_up_lease_is_refused(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    want(f->cache, &a, &people.ann, KEY);
    a.load.token[5] ^= 1;
    assert_int_equal(fill_with(f->cache, &a, KEY, "1", NULL), STATUS_REFUSED);
    a.load.token_bytes = 3;
    assert_int_equal(fail_with(f->cache, &a, KEY), STATUS_REFUSED);
}

static void a_failed_load_is_told_to_all_and_the_key_rests(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b, c;
    want(f->cache, &a, &people.ann, KEY);
    want(f->cache, &b, &people.ben, KEY);
    assert_int_equal(fail_with(f->cache, &a, KEY), STATUS_OK);
    ASSERT_STATUS(b, LOAD_FAILED);
    assert_in_range(b.load.rest_ns, 80 * NS_PER_MS, 120 * NS_PER_MS);
    want(f->cache, &c, &people.cay, KEY);
    ASSERT_STATUS(c, LOAD_FAILED);
    pass(f, b.load.rest_ns);
    want(f->cache, &c, &people.cay, KEY);
    ASSERT_STATUS(c, LEASE);
    assert_int_equal(figures(f).loads, 2);
    assert_int_equal(figures(f).loads_failed, 1);
}

static void a_fill_after_failures_begins_the_row_anew(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    for (unsigned i = 0; i < 5; i++) {
        want(f->cache, &a, &people.ann, KEY);
        ASSERT_STATUS(a, LEASE);
        fail_with(f->cache, &a, KEY);
        pass(f, 3 * NS_PER_S);
    }
    want(f->cache, &a, &people.ann, KEY);
    fill_with(f->cache, &a, KEY, "1", NULL);
    invalidate(f, KEY);
    want(f->cache, &a, &people.ann, KEY);
    fail_with(f->cache, &a, KEY);
    want(f->cache, &a, &people.ann, KEY);
    ASSERT_STATUS(a, LOAD_FAILED);
    assert_in_range(a.load.rest_ns, 80 * NS_PER_MS, 120 * NS_PER_MS);
}

static void a_lease_given_back_is_the_next_ones(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b, c;
    want(f->cache, &a, &people.ann, KEY);
    want(f->cache, &b, &people.ben, KEY);
    want(f->cache, &c, &people.cay, KEY);
    assert_int_equal(cache_load_return(f->cache, slice_text(KEY), token_of(&a)), STATUS_OK);
    ASSERT_STATUS(b, LEASE);
    ASSERT_WAITS(c);
    assert_int_equal(fill_with(f->cache, &a, KEY, "late", NULL), STATUS_REFUSED);
    assert_int_equal(fill_with(f->cache, &b, KEY, "good", NULL), STATUS_OK);
    ASSERT_VALUE(c, "good");
}

static void a_holder_who_leaves_passes_it_on(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b, c;
    want(f->cache, &a, &people.ann, KEY);
    want(f->cache, &b, &people.ben, KEY);
    want(f->cache, &c, &people.cay, KEY);
    cache_load_abandon(f->cache, &people.ann);
    ASSERT_STATUS(b, LEASE);
    ASSERT_WAITS(c);
    cache_load_abandon(f->cache, &people.ben);
    ASSERT_STATUS(c, LEASE);
    assert_int_equal(figures(f).loads, 3);
    assert_int_equal(figures(f).loads_passed_on, 2);
}

static void who_waits_and_leaves_is_answered_and_given_nothing(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b, c;
    want(f->cache, &a, &people.ann, KEY);
    want(f->cache, &b, &people.ben, KEY);
    want(f->cache, &c, &people.cay, KEY);
    cache_load_abandon(f->cache, &people.ben);
    ASSERT_STATUS(b, WAIT);
    cache_load_abandon(f->cache, &people.ann);
    ASSERT_STATUS(c, LEASE);
}

static void a_connection_that_waits_for_its_own_lease_leaves_nothing_behind(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    want(f->cache, &a, &people.ann, KEY);
    want(f->cache, &b, &people.ann, KEY);
    cache_load_abandon(f->cache, &people.ann);
    ASSERT_STATUS(b, WAIT);
    assert_int_equal(figures(f).leases, 0);
}

static void a_load_that_takes_too_long_passes_on(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    want_as(f->cache, &a, &people.ann, KEY, (struct cache_load){.hold_ns = 2 * NS_PER_S});
    want_as(f->cache, &b, &people.ben, KEY, (struct cache_load){.wait_ns = 10 * NS_PER_S});
    pass(f, 2 * NS_PER_S - 1);
    ASSERT_WAITS(b);
    pass(f, 1);
    ASSERT_STATUS(b, LEASE);
    assert_int_equal(fill_with(f->cache, &a, KEY, "late", NULL), STATUS_REFUSED);
}

static void whoever_has_the_next_lease_is_asked_what_came_meanwhile(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    want(f->cache, &a, &people.ann, KEY);
    want(f->cache, &b, &people.ben, KEY);
    set(f, KEY, "set meanwhile");
    ASSERT_WAITS(b);
    cache_load_abandon(f->cache, &people.ann);
    ASSERT_VALUE(b, "set meanwhile");
    assert_int_equal(figures(f).loads, 1);
}

/* ======= what is not stored is handed on ======= */

static void a_value_that_is_not_to_be_stored_is_handed_on(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    want(f->cache, &a, &people.ann, KEY);
    want(f->cache, &b, &people.ben, KEY);
    struct cache_set s = a_set(KEY, "once");
    s.ttl_ms = 0;
    s.token = token_of(&a);
    cache_set(f->cache, &s);
    assert_int_equal(s.status, STATUS_SKIPPED);
    ASSERT_VALUE(b, "once");
    assert_true(b.load.loaded);
    assert_int_equal(get(f, KEY), STATUS_MISS);
}

static void a_value_that_is_too_big_is_handed_on_and_the_key_does_not_rest(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    f->options.max_value = 3;
    want(f->cache, &a, &people.ann, KEY);
    want(f->cache, &b, &people.ben, KEY);
    assert_int_equal(fill_with(f->cache, &a, KEY, "four", NULL), STATUS_TOO_BIG);
    ASSERT_VALUE(b, "four");
    assert_true(b.load.loaded);
    want(f->cache, &b, &people.ben, KEY);
    ASSERT_STATUS(b, LEASE);
}

static void a_request_that_contradicts_itself_leaves_the_lease(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    want(f->cache, &a, &people.ann, KEY);
    want(f->cache, &b, &people.ben, KEY);
    struct cache_set s = a_set(KEY, "both");
    s.absent = true;
    s.token = token_of(&a);
    cache_set(f->cache, &s);
    assert_int_equal(s.status, STATUS_BAD_REQUEST);
    ASSERT_WAITS(b);
    assert_int_equal(fill_with(f->cache, &a, KEY, "good", NULL), STATUS_OK);
    ASSERT_VALUE(b, "good");
}

static void a_key_whose_policy_stores_nothing_is_still_loaded_once(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    struct policy_source s = {.name = "p", .rule = cache_default_rule(&f->options)};
    struct policy_rule own = cache_default_rule(&f->options);
    struct policy_fault fault;
    s.rule.pattern = "acme:*";
    s.rule.store = false;
    cache_take_policies(f->cache, policies_create(&own, &s, 1, cache_policies(f->cache), &fault));
    want(f->cache, &a, &people.ann, KEY);
    ASSERT_STATUS(a, LEASE);
    want(f->cache, &b, &people.ben, KEY);
    assert_int_equal(fill_with(f->cache, &a, KEY, "secret", NULL), STATUS_SKIPPED);
    ASSERT_VALUE(b, "secret");
    assert_true(b.load.loaded);
    assert_int_equal(get(f, KEY), STATUS_MISS);
}

/* ======= slow tiers ======= */

static void callers_of_a_slow_tier_end_as_one_loader_and_waiters(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    f->warm.slow = true;
    want(f->cache, &a, &people.ann, KEY);
    want(f->cache, &b, &people.ben, KEY);
    table_tier_land(&f->warm);
    ASSERT_STATUS(a, LEASE);
    ASSERT_WAITS(b);
    fill_with(f->cache, &a, KEY, "loaded", NULL);
    ASSERT_VALUE(b, "loaded");
}

static void whoever_left_while_a_tier_was_asked_is_given_nothing(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    f->warm.slow = true;
    want(f->cache, &a, &people.ann, KEY);
    want(f->cache, &b, &people.ben, KEY);
    cache_load_abandon(f->cache, &people.ann);
    table_tier_land(&f->warm);
    ASSERT_STATUS(a, WAIT);
    ASSERT_STATUS(b, LEASE);
}

/* ======= bounds ======= */

static void a_connection_holds_a_bounded_number_of_leases(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    char key[32];
    for (unsigned i = 0; i < 1024; i++) {
        snprintf(key, sizeof(key), "acme:%u", i);
        want(f->cache, &a, &people.ann, key);
        ASSERT_STATUS(a, LEASE);
    }
    want(f->cache, &a, &people.ann, KEY);
    ASSERT_STATUS(a, LIMIT);
    want(f->cache, &a, &people.ben, KEY);
    ASSERT_STATUS(a, LEASE);
    cache_load_abandon(f->cache, &people.ann);
    assert_int_equal(figures(f).leases, 1);
}

static void explain_sees_who_holds_the_lease(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    struct load_look look;
    want(f->cache, &a, &people.ben, KEY);
    want(f->cache, &b, &people.cay, KEY);
    cache_load_look(f->cache, slice_text(KEY), &look);
    assert_true(look.there);
    assert_string_equal(look.state, "held");
    assert_int_equal(look.holder_pid, 2);
    assert_int_equal(look.waiting, 1);
    assert_int_equal(look.left_ns, 10 * NS_PER_S);
    fail_with(f->cache, &a, KEY);
    cache_load_look(f->cache, slice_text(KEY), &look);
    assert_false(look.there);
    assert_int_not_equal(look.rest_ns, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_there_needs_no_lease),
        TEST(the_first_to_miss_loads_and_the_others_are_handed_its_value),
        TEST(the_time_of_those_who_waited_is_summed),
        TEST(that_there_is_none_is_handed_on_too),
        TEST(each_key_has_its_own_loader),
        TEST(whoever_will_not_wait_is_told_to),
        TEST(patience_ends_and_the_load_goes_on),
        TEST(a_cache_that_is_off_gives_no_leases),
        TEST(whoever_names_tiers_only_looks),
        TEST(an_impossible_key_is_said_so),
        TEST(a_lease_is_used_once),
        TEST(a_lease_of_one_key_is_none_of_another),
        TEST(a_made_up_lease_is_refused),
        TEST(a_failed_load_is_told_to_all_and_the_key_rests),
        TEST(a_fill_after_failures_begins_the_row_anew),
        TEST(a_lease_given_back_is_the_next_ones),
        TEST(a_holder_who_leaves_passes_it_on),
        TEST(who_waits_and_leaves_is_answered_and_given_nothing),
        TEST(a_connection_that_waits_for_its_own_lease_leaves_nothing_behind),
        TEST(a_load_that_takes_too_long_passes_on),
        TEST(whoever_has_the_next_lease_is_asked_what_came_meanwhile),
        TEST(a_value_that_is_not_to_be_stored_is_handed_on),
        TEST(a_value_that_is_too_big_is_handed_on_and_the_key_does_not_rest),
        TEST(a_request_that_contradicts_itself_leaves_the_lease),
        TEST(a_key_whose_policy_stores_nothing_is_still_loaded_once),
        TEST(callers_of_a_slow_tier_end_as_one_loader_and_waiters),
        TEST(whoever_left_while_a_tier_was_asked_is_given_nothing),
        TEST(a_connection_holds_a_bounded_number_of_leases),
        TEST(explain_sees_who_holds_the_lease),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
