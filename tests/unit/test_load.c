/* Loads on one host: every arrow of the states in cache/lease.h. */
#include <stdio.h>
#include "support/cache_rig.h"
#include "support/load_rig.h"

#define KEY "acme:k"

struct people {
    struct load_peer ann, ben, cay;
};

static struct people people;

static struct fixture *meet(void **state)
{
    load_peer_init(&people.ann, 1);
    load_peer_init(&people.ben, 2);
    load_peer_init(&people.cay, 3);
    return *state;
}

static void pass(struct fixture *f, uint64_t ns)
{
    f->now_ns += ns;
    cache_tick(f->cache);
}

static struct cache_figures figures(const struct fixture *f)
{
    struct cache_figures figures;
    cache_measure(f->cache, &figures);
    return figures;
}

static void set_for(struct fixture *f, const char *value, uint64_t ttl_ms, uint64_t stale_ms)
{
    struct cache_set s = a_set(KEY, value);
    s.ttl_ms = ttl_ms;
    s.stale_ms = stale_ms;
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
}

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

/* ======= C6 and F9 ======= */

/* Ann loads, Ben came before what happens, Cay after it. */
static void overlap(struct fixture *f, void (*happen)(struct fixture *f), const char *tag)
{
    struct caller a, b, c;
    want(f->cache, &a, &people.ann, KEY);
    want(f->cache, &b, &people.ben, KEY);
    happen(f);
    want(f->cache, &c, &people.cay, KEY);
    assert_int_equal(fill_with(f->cache, &a, KEY, "old", tag), STATUS_REFUSED);
    ASSERT_VALUE(b, "old");
    assert_true(b.load.loaded);
    ASSERT_STATUS(c, LEASE);
    assert_int_equal(get(f, KEY), STATUS_MISS);
    assert_int_equal(fill_with(f->cache, &c, KEY, "new", tag), STATUS_OK);
    assert_int_equal(figures(f).leases, 0);
}

static void key_goes(struct fixture *f)
{
    invalidate(f, KEY);
}

static void tag_goes(struct fixture *f)
{
    kill_tag(f, "colour");
}

static void prefix_goes(struct fixture *f)
{
    struct slice prefixes[] = {slice_text("acme:")};
    struct cache_invalidate i = {.prefixes = prefixes, .prefixes_count = 1, .done = invalidate_done};
    assert_int_equal(cache_invalidate(f->cache, &i), CACHE_DONE);
}

static void all_goes(struct fixture *f)
{
    struct cache_invalidate i = {.all = true, .done = invalidate_done};
    assert_int_equal(cache_invalidate(f->cache, &i), CACHE_DONE);
}

static void a_load_that_overlaps_an_invalidation_of_its_key_is_refused(void **state)
{
    overlap(meet(state), key_goes, NULL);
}

static void a_load_that_overlaps_an_invalidation_of_its_tag_is_refused(void **state)
{
    overlap(meet(state), tag_goes, "colour");
}

static void a_load_that_overlaps_an_invalidation_of_its_prefix_is_refused(void **state)
{
    overlap(meet(state), prefix_goes, NULL);
}

static void a_load_that_overlaps_an_invalidation_of_everything_is_refused(void **state)
{
    overlap(meet(state), all_goes, NULL);
}

static void a_newcomer_after_an_invalidation_of_the_key_gets_a_lease_at_once(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    want(f->cache, &a, &people.ann, KEY);
    key_goes(f);
    want(f->cache, &b, &people.ben, KEY);
    ASSERT_STATUS(b, LEASE);
    assert_int_equal(fill_with(f->cache, &b, KEY, "new", NULL), STATUS_OK);
    assert_int_equal(fill_with(f->cache, &a, KEY, "old", NULL), STATUS_REFUSED);
    want(f->cache, &b, &people.ben, KEY);
    ASSERT_VALUE(b, "new");
}

static void a_tag_that_is_not_of_the_value_refuses_nothing_and_costs_no_second_load(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    want(f->cache, &a, &people.ann, KEY);
    kill_tag(f, "sound");
    want(f->cache, &b, &people.ben, KEY);
    ASSERT_WAITS(b);
    assert_int_equal(fill_with(f->cache, &a, KEY, "loaded", "colour"), STATUS_OK);
    ASSERT_VALUE(b, "loaded");
    assert_false(b.load.loaded);
    assert_int_equal(figures(f).loads, 1);
}

static void a_set_ends_a_lease(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    want(f->cache, &a, &people.ann, KEY);
    set(f, KEY, "newer");
    assert_int_equal(fill_with(f->cache, &a, KEY, "older", NULL), STATUS_REFUSED);
    want(f->cache, &a, &people.ann, KEY);
    ASSERT_VALUE(a, "newer");
}

/* ======= stale, and soon to be ======= */

static void one_refreshes_what_is_stale_and_nobody_waits(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    set_for(f, "old", 1000, 10000);
    pass(f, 2 * NS_PER_S);
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
    struct fixture *f = meet(state);
    struct caller a, b;
    set_for(f, "old", 1000, 10000);
    pass(f, 2 * NS_PER_S);
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
    struct fixture *f = meet(state);
    struct caller a, b;
    set_for(f, "old", 1000, 10000);
    pass(f, 2 * NS_PER_S);
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

static void a_change_of_the_key_ends_its_rest(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    want(f->cache, &a, &people.ann, KEY);
    fail_with(f->cache, &a, KEY);
    invalidate(f, KEY);
    want(f->cache, &a, &people.ann, KEY);
    ASSERT_STATUS(a, LEASE);
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
        TEST(a_load_that_overlaps_an_invalidation_of_its_key_is_refused),
        TEST(a_load_that_overlaps_an_invalidation_of_its_tag_is_refused),
        TEST(a_load_that_overlaps_an_invalidation_of_its_prefix_is_refused),
        TEST(a_load_that_overlaps_an_invalidation_of_everything_is_refused),
        TEST(a_newcomer_after_an_invalidation_of_the_key_gets_a_lease_at_once),
        TEST(a_tag_that_is_not_of_the_value_refuses_nothing_and_costs_no_second_load),
        TEST(a_set_ends_a_lease),
        TEST(one_refreshes_what_is_stale_and_nobody_waits),
        TEST(what_is_soon_stale_is_refreshed_when_the_caller_says_so),
        TEST(a_refresh_that_failed_lets_the_stale_value_rest),
        TEST(whoever_refuses_stale_waits_for_the_refresh),
        TEST(a_refresh_whose_value_ends_first_is_a_load_that_others_wait_for),
        TEST(a_loader_that_wants_nothing_stored_takes_the_stale_value_away),
        TEST(a_soft_invalidation_during_a_refresh_refuses_it),
        TEST(a_policy_refreshes_after_a_share_of_the_life_it_gives),
        TEST(what_was_loaded_for_less_than_the_policy_gives_is_not_refreshed_at_once),
        TEST(a_key_whose_policy_stores_nothing_is_still_loaded_once),
        TEST(a_change_of_the_key_ends_its_rest),
        TEST(callers_of_a_slow_tier_end_as_one_loader_and_waiters),
        TEST(whoever_left_while_a_tier_was_asked_is_given_nothing),
        TEST(a_connection_holds_a_bounded_number_of_leases),
        TEST(explain_sees_who_holds_the_lease),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
