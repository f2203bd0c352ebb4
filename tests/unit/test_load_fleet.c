/* Loads in a fleet: the lease of the shared store, other hosts, and what happens in between. */
#include "support/fleet_cache_rig.h"
#include "support/load_rig.h"

static void pass(struct fixture *f, uint64_t ns)
{
    f->now_ns += ns;
    table_fleet_fresh(&f->fleet, f->now_ns + NS_PER_S);
    f->fleet.view.session--; /* the same link as before */
    cache_tick(f->cache);
}

/* One loader in the fleet. */
static int ask(struct fixture *f, struct caller *a, struct load_peer *peer, const char *key)
{
    return want_as(
        f->cache, a, peer, key,
        (struct cache_load){.scope = LOAD_IN_FLEET, .wait_ns = 100 * NS_PER_S, .hold_ns = 60 * NS_PER_S});
}

/* ======= the lease ======= */

static void the_first_has_the_lease_of_the_fleet_and_its_fill_brings_the_proof(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    ask(f, &a, &people.ann, "k");
    ASSERT_STATUS(a, LEASE);
    ask(f, &b, &people.ben, "k");
    ASSERT_WAITS(b);
    assert_int_equal(f->fleet.leases_asked, 1);
    assert_int_equal(fill_with(f->cache, &a, "k", "loaded", NULL), STATUS_OK);
    ASSERT_VALUE(b, "loaded");
    assert_false(f->fleet.leases[0].used);
}

static void a_host_that_is_asked_by_another_waits_for_the_note(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    table_fleet_lease(&f->fleet, "k", 10 * NS_PER_S);
    ask(f, &a, &people.ann, "k");
    ask(f, &b, &people.ben, "k");
    ASSERT_WAITS(a);
    ASSERT_WAITS(b);
    table_fleet_set(&f->fleet, "k", "theirs", f->now_ns + LIFE);
    table_fleet_lease_ends(&f->fleet, "k", 0);
    ASSERT_VALUE(a, "theirs");
    ASSERT_VALUE(b, "theirs");
    assert_int_equal(figures(f).loads, 0);
}

static void a_record_of_the_key_wakes_as_well(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    table_fleet_lease(&f->fleet, "k", 10 * NS_PER_S);
    ask(f, &a, &people.ann, "k");
    table_fleet_set(&f->fleet, "k", "theirs", f->now_ns + LIFE);
    table_fleet_hear(&f->fleet);
    ASSERT_VALUE(a, "theirs");
}

static void a_note_that_is_lost_costs_a_second(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    table_fleet_lease(&f->fleet, "k", 10 * NS_PER_S);
    ask(f, &a, &people.ann, "k");
    table_fleet_set(&f->fleet, "k", "theirs", f->now_ns + LIFE);
    pass(f, NS_PER_S - 1);
    ASSERT_WAITS(a);
    pass(f, 1);
    ASSERT_VALUE(a, "theirs");
}

static void a_lease_of_another_that_ends_is_the_next_ones_here(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    table_fleet_lease(&f->fleet, "k", 10 * NS_PER_S);
    ask(f, &a, &people.ann, "k");
    ask(f, &b, &people.ben, "k");
    table_fleet_lease_ends(&f->fleet, "k", 0);
    ASSERT_STATUS(a, LEASE);
    ASSERT_WAITS(b);
    fill_with(f->cache, &a, "k", "ours", NULL);
    ASSERT_VALUE(b, "ours");
}

static void whoever_will_not_wait_is_told_that_another_host_loads(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    table_fleet_lease(&f->fleet, "k", 10 * NS_PER_S);
    want_as(f->cache, &a, &people.ann, "k", (struct cache_load){.scope = LOAD_IN_FLEET});
    ASSERT_STATUS(a, WAIT);
    pass(f, NS_PER_S);
    assert_int_equal(figures(f).leases, 0);
}

static void patience_ends_while_another_host_loads(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    table_fleet_lease(&f->fleet, "k", 10 * NS_PER_S);
    want_as(f->cache, &a, &people.ann, "k",
            (struct cache_load){.scope = LOAD_IN_FLEET, .wait_ns = 1500 * NS_PER_MS});
    pass(f, NS_PER_S);
    ASSERT_WAITS(a);
    pass(f, 500 * NS_PER_MS);
    ASSERT_STATUS(a, WAIT);
}

static void a_lease_is_kept_alive_while_its_holder_is_there(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    ask(f, &a, &people.ann, "k");
    for (unsigned s = 0; s < 59; s++)
        pass(f, NS_PER_S);
    assert_in_range(f->fleet.leases_kept, 14, 18);
    assert_int_equal(fill_with(f->cache, &a, "k", "slow", NULL), STATUS_OK);
}

static void a_hold_that_is_over_ends_the_lease_of_the_fleet_too(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    ask(f, &a, &people.ann, "k");
    pass(f, 60 * NS_PER_S);
    assert_false(f->fleet.leases[0].used);
    assert_int_equal(fill_with(f->cache, &a, "k", "late", NULL), STATUS_REFUSED);
}

static void a_holder_who_leaves_frees_the_lease_for_other_hosts(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    ask(f, &a, &people.ann, "k");
    cache_load_abandon(f->cache, &people.ann);
    assert_false(f->fleet.leases[0].used);
}

static void whoever_leaves_while_the_store_is_asked_gives_the_lease_to_the_next(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    f->fleet.slow_leases = true;
    ask(f, &a, &people.ann, "k");
    ask(f, &b, &people.ben, "k");
    cache_load_abandon(f->cache, &people.ann);
    table_fleet_answer_leases(&f->fleet);
    ASSERT_STATUS(a, WAIT);
    ASSERT_STATUS(b, LEASE);
}

static void a_lease_that_nobody_waits_for_any_more_goes_back(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    f->fleet.slow_leases = true;
    ask(f, &a, &people.ann, "k");
    cache_load_abandon(f->cache, &people.ann);
    table_fleet_answer_leases(&f->fleet);
    ASSERT_STATUS(a, WAIT);
    assert_false(f->fleet.leases[0].used);
    assert_int_equal(figures(f).leases, 0);
}

static void what_came_into_the_store_meanwhile_is_no_load(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    f->fleet.slow_leases = true;
    table_fleet_lease(&f->fleet, "k", 10 * NS_PER_S);
    ask(f, &a, &people.ann, "k");
    table_fleet_answer_leases(&f->fleet);
    ask(f, &b, &people.ben, "k");
    table_fleet_set(&f->fleet, "k", "theirs", f->now_ns + LIFE);
    table_fleet_hear(&f->fleet);
    table_fleet_answer_leases(&f->fleet);
    ASSERT_VALUE(a, "theirs");
    ASSERT_VALUE(b, "theirs");
}

/* ======= failures ======= */

static void a_failure_here_lets_the_key_rest_in_the_fleet(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    ask(f, &a, &people.ann, "k");
    assert_int_equal(fail_with(f->cache, &a, "k"), STATUS_OK);
    assert_true(f->fleet.leases[0].used && f->fleet.leases[0].rests);
}

static void a_failure_of_another_host_is_told_to_all_here(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b, c;
    table_fleet_lease(&f->fleet, "k", 10 * NS_PER_S);
    ask(f, &a, &people.ann, "k");
    ask(f, &b, &people.ben, "k");
    table_fleet_lease_ends(&f->fleet, "k", 3 * NS_PER_S);
    ASSERT_STATUS(a, LOAD_FAILED);
    ASSERT_STATUS(b, LOAD_FAILED);
    assert_int_equal(a.load.rest_ns, 3 * NS_PER_S);
    unsigned asked = f->fleet.leases_asked;
    ask(f, &c, &people.cay, "k");
    ASSERT_STATUS(c, LOAD_FAILED);
    assert_int_equal(f->fleet.leases_asked, asked); /* this host knows by itself */
}

/* ======= C6 ======= */

static void a_change_of_another_host_between_grant_and_fill_refuses_it(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b, c;
    ask(f, &a, &people.ann, "k");
    ask(f, &b, &people.ben, "k");
    table_fleet_remove(&f->fleet, "k");
    table_fleet_hear(&f->fleet);
    ask(f, &c, &people.cay, "k");
    ASSERT_STATUS(c, LEASE);
    assert_int_equal(fill_with(f->cache, &a, "k", "old", NULL), STATUS_REFUSED);
    ASSERT_VALUE(b, "old");
    assert_true(b.load.loaded);
    assert_int_equal(fill_with(f->cache, &c, "k", "new", NULL), STATUS_OK);
}

static void a_change_this_host_has_not_heard_of_refuses_it_there(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    ask(f, &a, &people.ann, "k");
    table_fleet_remove(&f->fleet, "k");
    assert_int_equal(fill_with(f->cache, &a, "k", "old", NULL), STATUS_REFUSED);
    struct cache_get got;
    assert_int_equal(get(f, &got, "k"), STATUS_MISS);
}

static void whoever_comes_while_a_fill_is_on_its_way_reads_what_it_stored(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    ask(f, &a, &people.ann, "k");
    f->fleet.slow_commits = true;
    struct cache_set s = a_set("k", "loaded");
    s.token = token_of(&a);
    assert_int_equal(cache_set(f->cache, &s), CACHE_PENDING);
    ask(f, &b, &people.ben, "k");
    table_fleet_tell_answers(&f->fleet);
    ASSERT_VALUE(b, "loaded");
    assert_int_equal(figures(f).loads, 1);
}

static void an_invalidation_while_a_fill_is_on_its_way_sends_newcomers_round_again(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    ask(f, &a, &people.ann, "k");
    f->fleet.slow_commits = true;
    struct cache_set s = a_set("k", "old");
    s.token = token_of(&a);
    cache_set(f->cache, &s);
    table_fleet_remove(&f->fleet, "k");
    table_fleet_hear(&f->fleet);
    ask(f, &b, &people.ben, "k");
    ASSERT_WAITS(b);
    table_fleet_tell_answers(&f->fleet);
    ASSERT_STATUS(b, LEASE);
}

static void a_new_epoch_refuses_the_leases_of_the_old(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    ask(f, &a, &people.ann, "k");
    memset(f->fleet.leases, 0, sizeof(f->fleet.leases));
    table_fleet_epoch(&f->fleet, EPOCH + 1);
    assert_int_equal(fill_with(f->cache, &a, "k", "old", NULL), STATUS_REFUSED);
    ask(f, &b, &people.ben, "k");
    ASSERT_STATUS(b, LEASE);
}

static void a_caller_who_knows_of_a_newer_change_does_not_join_an_older_load(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    want(f->cache, &a, &people.ann, "k");
    uint64_t v = table_fleet_remove(&f->fleet, "k");
    want_as(f->cache, &b, &people.ben, "k",
            (struct cache_load){.wait_ns = NS_PER_S, .get.not_older = {true, 0, EPOCH, v}});
    ASSERT_STATUS(b, LEASE);
}

/* Nothing happened to the key: the two leases differ in nothing but that one is no longer found. */
static void of_two_leases_of_a_key_only_the_newer_one_is_filled(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    want(f->cache, &a, &people.ann, "k");
    uint64_t v = table_fleet_remove(&f->fleet, "another");
    want_as(f->cache, &b, &people.ben, "k",
            (struct cache_load){.wait_ns = NS_PER_S, .get.not_older = {true, 0, EPOCH, v}});
    ASSERT_STATUS(b, LEASE);
    assert_int_equal(fill_with(f->cache, &a, "k", "older", NULL), STATUS_REFUSED);
    assert_int_equal(fill_with(f->cache, &b, "k", "newer", NULL), STATUS_OK);
}

/* ======= in place of a lease of the fleet ======= */

/* Nobody answered who could have given it; another host had the fleet's, and has filled it. */
static void a_lease_that_nobody_gave_does_not_replace_what_another_host_loaded(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    f->fleet.silent_leases = true;
    ask(f, &a, &people.ann, "k");
    ASSERT_STATUS(a, LEASE);
    f->fleet.silent_leases = false;
    table_fleet_fill(&f->fleet, "k", "theirs", f->now_ns + LIFE);
    assert_int_equal(fill_with(f->cache, &a, "k", "ours", NULL), STATUS_REFUSED);
}

static void a_lease_that_nobody_gave_is_filled_where_nothing_is(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    f->fleet.silent_leases = true;
    ask(f, &a, &people.ann, "k");
    assert_int_equal(fill_with(f->cache, &a, "k", "ours", NULL), STATUS_OK);
}

/* ======= this host's own leases, in a fleet ======= */

/* Redis answered, and the journal lags. */
static void a_miss_ahead_of_the_journal_is_loaded_by_one(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    table_fleet_remove(&f->fleet, "another");
    want(f->cache, &a, &people.ann, "k");
    ASSERT_STATUS(a, LEASE);
    want(f->cache, &b, &people.ben, "k");
    ASSERT_WAITS(b);
    assert_int_equal(fill_with(f->cache, &a, "k", "loaded", NULL), STATUS_OK);
    ASSERT_VALUE(b, "loaded");
}

static void a_lease_of_the_host_is_judged_by_the_journal(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    want(f->cache, &a, &people.ann, "k");
    table_fleet_remove(&f->fleet, "k");
    table_fleet_hear(&f->fleet);
    assert_int_equal(fill_with(f->cache, &a, "k", "old", NULL), STATUS_REFUSED);
}

/* ======= stale ======= */

static void make_stale(struct fixture *f, uint64_t stale_ms)
{
    struct cache_set s = a_set("k", "old");
    s.ttl_ms = 1000;
    s.stale_ms = stale_ms;
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    table_fleet_hear(&f->fleet);
    pass(f, 2 * NS_PER_S);
    f->fleet.rows[0].entry.stale = true; /* the store judges by its own clock */
}

static void one_host_refreshes_and_the_other_serves_stale(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    make_stale(f, 100000);
    table_fleet_lease(&f->fleet, "k", 10 * NS_PER_S);
    ask(f, &a, &people.ann, "k");
    ASSERT_VALUE(a, "old");
    assert_int_equal(a.load.token_bytes, 0);
    ask(f, &b, &people.ben, "k");
    ASSERT_VALUE(b, "old");
    assert_int_equal(f->fleet.leases_asked, 1); /* not by each caller */
}

static void the_lease_to_refresh_is_the_fleets(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    make_stale(f, 100000);
    ask(f, &a, &people.ann, "k");
    ASSERT_VALUE(a, "old");
    assert_int_not_equal(a.load.token_bytes, 0);
    assert_true(f->fleet.leases[0].used);
    ask(f, &b, &people.ben, "k");
    ASSERT_VALUE(b, "old");
    assert_int_equal(fill_with(f->cache, &a, "k", "new", NULL), STATUS_OK);
    ask(f, &b, &people.ben, "k");
    ASSERT_VALUE(b, "new");
}

static void nobody_refreshes_what_another_host_has_refreshed(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    make_stale(f, 100000);
    f->fleet.rows[0].entry.stale = false;
    f->fleet.rows[0].entry.soft_ns = f->fleet.rows[0].entry.hard_ns = f->now_ns + LIFE;
    want(f->cache, &a, &people.ann, "k");
    ASSERT_VALUE(a, "old");
    assert_false(a.load.get.entry.stale);
    assert_int_equal(a.load.token_bytes, 0);
    assert_int_equal(figures(f).loads, 0);
}

static void the_store_is_asked_before_a_host_refreshes_ahead(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    set(f, "k", "v");
    table_fleet_hear(&f->fleet);
    uint64_t gets = f->fleet.gets;
    want_as(f->cache, &a, &people.ann, "k", (struct cache_load){.refresh_ns = 2 * LIFE});
    ASSERT_VALUE(a, "v");
    assert_int_not_equal(a.load.token_bytes, 0);
    assert_int_equal(f->fleet.gets, gets + 1);
}

static int ask_ahead(struct fixture *f, struct caller *a, struct load_peer *peer)
{
    return want_as(f->cache, a, peer, "k",
                   (struct cache_load){.scope = LOAD_IN_FLEET, .refresh_ns = 2 * LIFE, .wait_ns = NS_PER_S});
}

static void what_is_soon_stale_is_refreshed_by_one_in_the_fleet(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    set(f, "k", "v");
    table_fleet_hear(&f->fleet);
    ask_ahead(f, &a, &people.ann);
    ASSERT_VALUE(a, "v");
    assert_int_not_equal(a.load.token_bytes, 0);
    assert_false(a.load.get.entry.stale);
    ask_ahead(f, &b, &people.ben);
    assert_int_equal(b.load.token_bytes, 0);
    assert_int_equal(f->fleet.leases_asked, 1);
    assert_int_equal(fill_with(f->cache, &a, "k", "new", NULL), STATUS_OK);
    want(f->cache, &b, &people.ben, "k");
    ASSERT_VALUE(b, "new");
}

static void what_another_host_refreshes_ahead_is_served_meanwhile(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    set(f, "k", "v");
    table_fleet_hear(&f->fleet);
    table_fleet_lease(&f->fleet, "k", 10 * NS_PER_S);
    ask_ahead(f, &a, &people.ann);
    ASSERT_VALUE(a, "v");
    assert_int_equal(a.load.token_bytes, 0);
    ask_ahead(f, &a, &people.ann);
    assert_int_equal(f->fleet.leases_asked, 1);
}

/* ======= without the fleet ======= */

static void a_lease_of_an_absence_is_good_for_it_only(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    ask(f, &a, &people.ann, "before");
    lose(f);
    assert_int_equal(fill_with(f->cache, &a, "before", "old", NULL), STATUS_REFUSED);
    ask(f, &a, &people.ann, "k");
    ASSERT_STATUS(a, LEASE);
    ask(f, &b, &people.ben, "k");
    ASSERT_WAITS(b);
    assert_int_equal(fill_with(f->cache, &a, "k", "local", NULL), STATUS_LOCAL);
    ASSERT_VALUE(b, "local");
    assert_true(b.load.get.entry.local);
    ask(f, &a, &people.ann, "during");
    table_fleet_fresh(&f->fleet, f->now_ns + NS_PER_S);
    assert_int_equal(fill_with(f->cache, &a, "during", "local", NULL), STATUS_REFUSED);
}

static void who_waits_for_another_host_loads_here_when_the_store_goes_away(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    table_fleet_lease(&f->fleet, "k", 10 * NS_PER_S);
    ask(f, &a, &people.ann, "k");
    lose(f);
    f->now_ns += NS_PER_S;
    cache_tick(f->cache);
    ASSERT_STATUS(a, LEASE);
}

static void a_newcomer_does_not_wait_for_a_lease_from_before_the_absence(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    ask(f, &a, &people.ann, "k");
    lose(f);
    ask(f, &b, &people.ben, "k");
    ASSERT_STATUS(b, LEASE);
}

static void an_answer_that_never_comes_still_serves_those_who_wait(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    ask(f, &a, &people.ann, "k");
    ask(f, &b, &people.ben, "k");
    f->fleet.outcome = FLEET_UNKNOWN;
    assert_int_equal(fill_with(f->cache, &a, "k", "loaded", NULL), STATUS_UNKNOWN);
    ASSERT_VALUE(b, "loaded");
    assert_true(b.load.loaded);
}

static void a_loader_that_wants_nothing_stored_leaves_no_record(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    ask(f, &a, &people.ann, "k");
    ask(f, &b, &people.ben, "k");
    uint64_t commits = f->fleet.commits;
    struct cache_set s = a_set("k", "once");
    s.ttl_ms = 0;
    s.token = token_of(&a);
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    assert_int_equal(s.status, STATUS_SKIPPED);
    ASSERT_VALUE(b, "once");
    assert_int_equal(f->fleet.commits, commits);
    assert_false(f->fleet.leases[0].used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_has_the_lease_of_the_fleet_and_its_fill_brings_the_proof),
        TEST(a_host_that_is_asked_by_another_waits_for_the_note),
        TEST(a_record_of_the_key_wakes_as_well),
        TEST(a_note_that_is_lost_costs_a_second),
        TEST(a_lease_of_another_that_ends_is_the_next_ones_here),
        TEST(whoever_will_not_wait_is_told_that_another_host_loads),
        TEST(patience_ends_while_another_host_loads),
        TEST(a_lease_is_kept_alive_while_its_holder_is_there),
        TEST(a_hold_that_is_over_ends_the_lease_of_the_fleet_too),
        TEST(a_holder_who_leaves_frees_the_lease_for_other_hosts),
        TEST(whoever_leaves_while_the_store_is_asked_gives_the_lease_to_the_next),
        TEST(a_lease_that_nobody_waits_for_any_more_goes_back),
        TEST(what_came_into_the_store_meanwhile_is_no_load),
        TEST(a_failure_here_lets_the_key_rest_in_the_fleet),
        TEST(a_failure_of_another_host_is_told_to_all_here),
        TEST(a_change_of_another_host_between_grant_and_fill_refuses_it),
        TEST(a_change_this_host_has_not_heard_of_refuses_it_there),
        TEST(whoever_comes_while_a_fill_is_on_its_way_reads_what_it_stored),
        TEST(an_invalidation_while_a_fill_is_on_its_way_sends_newcomers_round_again),
        TEST(a_new_epoch_refuses_the_leases_of_the_old),
        TEST(a_caller_who_knows_of_a_newer_change_does_not_join_an_older_load),
        TEST(of_two_leases_of_a_key_only_the_newer_one_is_filled),
        TEST(a_lease_that_nobody_gave_does_not_replace_what_another_host_loaded),
        TEST(a_lease_that_nobody_gave_is_filled_where_nothing_is),
        TEST(a_miss_ahead_of_the_journal_is_loaded_by_one),
        TEST(a_lease_of_the_host_is_judged_by_the_journal),
        TEST(one_host_refreshes_and_the_other_serves_stale),
        TEST(the_lease_to_refresh_is_the_fleets),
        TEST(nobody_refreshes_what_another_host_has_refreshed),
        TEST(the_store_is_asked_before_a_host_refreshes_ahead),
        TEST(what_is_soon_stale_is_refreshed_by_one_in_the_fleet),
        TEST(what_another_host_refreshes_ahead_is_served_meanwhile),
        TEST(a_lease_of_an_absence_is_good_for_it_only),
        TEST(who_waits_for_another_host_loads_here_when_the_store_goes_away),
        TEST(a_newcomer_does_not_wait_for_a_lease_from_before_the_absence),
        TEST(an_answer_that_never_comes_still_serves_those_who_wait),
        TEST(a_loader_that_wants_nothing_stored_leaves_no_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
