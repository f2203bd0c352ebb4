/* Refreshing on one host what is stale or will be soon: one loads, nobody waits who need not. */
#include "support/load_host_rig.h"

/* KEY is there, stale for some seconds more. */
static struct fixture *meet_stale(void **state)
{
    struct fixture *f = meet(state);
    set_for(f, "old", 1000, 10000);
    pass(f, 2 * NS_PER_S);
    return f;
}

static void one_refreshes_what_is_stale_and_nobody_waits(void **state)
{
    struct fixture *f = meet_stale(state);
    struct caller a, b;
    want(f->cache, &a, &people.ann, KEY);
    ASSERT_VALUE(a, "old");
    assert_true(a.load.get.entry.stale);
    assert_int_not_equal(a.load.token_bytes, 0);
    want(f->cache, &b, &people.ben, KEY);
    ASSERT_VALUE(b, "old");
    assert_int_equal(b.load.token_bytes, 0);
    assert_int_equal(fill_with(f->cache, &a, KEY, "new", NULL), STATUS_OK);
    want(f->cache, &b, &people.ben, KEY);
    ASSERT_VALUE(b, "new");
    assert_int_equal(figures(f).loads_to_refresh, 1);
}

static void what_is_soon_stale_is_refreshed_when_the_caller_says_so(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    struct cache_load ahead = {.refresh_ns = 5 * NS_PER_S};
    set_for(f, "old", 10000, 0);
    want_as(f->cache, &a, &people.ann, KEY, ahead);
    assert_int_equal(a.load.token_bytes, 0);
    pass(f, 6 * NS_PER_S);
    want_as(f->cache, &a, &people.ann, KEY, ahead);
    ASSERT_VALUE(a, "old");
    assert_false(a.load.get.entry.stale);
    assert_int_not_equal(a.load.token_bytes, 0);
}

static void a_refresh_that_failed_lets_the_stale_value_rest(void **state)
{
    struct fixture *f = meet_stale(state);
    struct caller a, b;
    want(f->cache, &a, &people.ann, KEY);
    fail_with(f->cache, &a, KEY);
    want(f->cache, &b, &people.ben, KEY);
    ASSERT_VALUE(b, "old");
    assert_int_equal(b.load.token_bytes, 0);
    pass(f, NS_PER_S);
    want(f->cache, &b, &people.ben, KEY);
    ASSERT_VALUE(b, "old");
    assert_int_not_equal(b.load.token_bytes, 0);
}

static void whoever_refuses_stale_waits_for_the_refresh(void **state)
{
    struct fixture *f = meet_stale(state);
    struct caller a, b;
    want(f->cache, &a, &people.ann, KEY);
    want_as(f->cache, &b, &people.ben, KEY, (struct cache_load){.get.no_stale = true, .wait_ns = NS_PER_S});
    ASSERT_WAITS(b);
    fill_with(f->cache, &a, KEY, "new", NULL);
    ASSERT_VALUE(b, "new");
}

static void a_refresh_whose_value_ends_first_is_a_load_that_others_wait_for(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    set_for(f, "old", 1000, 1000);
    pass(f, 1500 * NS_PER_MS);
    want(f->cache, &a, &people.ann, KEY);
    pass(f, NS_PER_S);
    want(f->cache, &b, &people.ben, KEY);
    ASSERT_WAITS(b);
    fill_with(f->cache, &a, KEY, "new", NULL);
    ASSERT_VALUE(b, "new");
}

static void a_loader_that_wants_nothing_stored_takes_the_stale_value_away(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    set_for(f, "old", 1000, 10000);
    pass(f, 2 * NS_PER_S);
    want(f->cache, &a, &people.ann, KEY);
    struct cache_set s = a_set(KEY, "secret");
    s.ttl_ms = 0;
    s.token = token_of(&a);
    cache_set(f->cache, &s);
    assert_int_equal(s.status, STATUS_SKIPPED);
    assert_int_equal(get(f, KEY), STATUS_MISS);
}

static void a_soft_invalidation_during_a_refresh_refuses_it(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    set_for(f, "old", 1000, 10000);
    pass(f, 2 * NS_PER_S);
    want(f->cache, &a, &people.ann, KEY);
    struct slice keys[] = {slice_text(KEY)};
    struct cache_invalidate i = {.keys = keys, .keys_count = 1, .soft = true, .done = invalidate_done};
    cache_invalidate(f->cache, &i);
    assert_int_equal(fill_with(f->cache, &a, KEY, "between", NULL), STATUS_REFUSED);
}

/* ======= policies ======= */

static void obey(struct fixture *f, uint32_t refresh_at)
{
    struct policy_source s = {.name = "p", .rule = cache_default_rule(&f->options)};
    struct policy_rule own = cache_default_rule(&f->options);
    struct policy_fault fault;
    s.rule.pattern = "acme:*";
    s.rule.refresh_at = refresh_at;
    struct policies *p = policies_create(&own, &s, 1, cache_policies(f->cache), &fault);
    assert_non_null(p);
    cache_take_policies(f->cache, p);
}

static bool wants_refresh(struct fixture *f)
{
    struct caller a;
    want(f->cache, &a, &people.ann, KEY);
    ASSERT_STATUS(a, HIT);
    if (!a.load.token_bytes)
        return false;
    cache_load_return(f->cache, slice_text(KEY), token_of(&a));
    return true;
}

static void a_policy_refreshes_after_a_share_of_the_life_it_gives(void **state)
{
    struct fixture *f = meet(state);
    obey(f, 800);
    set(f, KEY, "v"); /* for a minute */
    pass(f, 47 * NS_PER_S);
    assert_false(wants_refresh(f));
    pass(f, 2 * NS_PER_S);
    assert_true(wants_refresh(f));
    set(f, "other", "v");
    struct caller a;
    pass(f, 58 * NS_PER_S);
    want(f->cache, &a, &people.ann, "other");
    assert_int_equal(a.load.token_bytes, 0);
}

static void what_was_loaded_for_less_than_the_policy_gives_is_not_refreshed_at_once(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    obey(f, 800);
    want(f->cache, &a, &people.ann, KEY);
    struct cache_set s = a_set(KEY, "v");
    s.ttl_ms = 10000;
    s.token = token_of(&a);
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    assert_false(wants_refresh(f));
    pass(f, 7 * NS_PER_S);
    assert_false(wants_refresh(f));
    pass(f, 2 * NS_PER_S);
    assert_true(wants_refresh(f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_refreshes_what_is_stale_and_nobody_waits),
        TEST(what_is_soon_stale_is_refreshed_when_the_caller_says_so),
        TEST(a_refresh_that_failed_lets_the_stale_value_rest),
        TEST(whoever_refuses_stale_waits_for_the_refresh),
        TEST(a_refresh_whose_value_ends_first_is_a_load_that_others_wait_for),
        TEST(a_loader_that_wants_nothing_stored_takes_the_stale_value_away),
        TEST(a_soft_invalidation_during_a_refresh_refuses_it),
        TEST(a_policy_refreshes_after_a_share_of_the_life_it_gives),
        TEST(what_was_loaded_for_less_than_the_policy_gives_is_not_refreshed_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
