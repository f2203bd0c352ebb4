/* The cache beside a fleet: what a change does here, and what is left when the fleet is away. */
#include "support/fleet_cache_rig.h"

/* ======= changes ======= */

static void a_set_is_here_when_the_fleet_has_answered_and_not_before(void **state)
{
    struct fixture *f = *state;
    struct cache_set s = a_set("k", "new");
    f->fleet.slow_commits = true;
    assert_int_equal(cache_set(f->cache, &s), CACHE_PENDING);
    assert_null(table_tier_find(&f->l1, slice_text("k")));
    done = 0;
    table_fleet_tell_answers(&f->fleet);
    assert_int_equal(done, 1);
    assert_int_equal(s.status, STATUS_OK);
    assert_int_equal(s.result.epoch, EPOCH);
    assert_int_equal(s.result.v, 1);
    struct cache_get g;
    get(f, &g, "k");
    assert_value(&g, "new");
    assert_int_equal(g.tier, TIER_L1);
}

/* Both committed; the journal brings the second before the first is answered. */
static void an_answer_that_comes_after_a_newer_record_stores_nothing(void **state)
{
    struct fixture *f = *state;
    struct cache_set s = a_set("k", "mine");
    f->fleet.slow_commits = true;
    assert_int_equal(cache_set(f->cache, &s), CACHE_PENDING);
    table_fleet_set(&f->fleet, "k", "theirs", f->now_ns + LIFE);
    table_fleet_hear(&f->fleet);
    table_fleet_tell_answers(&f->fleet);
    assert_int_equal(s.status, STATUS_OK);
    assert_null(table_tier_find(&f->l1, slice_text("k")));
    assert_null(table_tier_find(&f->warm, slice_text("k")));
    struct cache_get g;
    get(f, &g, "k");
    assert_value(&g, "theirs");
}

static void a_read_asked_before_a_change_is_inserted_nowhere(void **state)
{
    struct fixture *f = *state;
    struct cache_get g = a_get("k");
    table_fleet_set(&f->fleet, "k", "old", f->now_ns + LIFE);
    table_fleet_hear(&f->fleet);
    f->fleet.slow_reads = true;
    assert_int_equal(cache_get(f->cache, &g), CACHE_PENDING);
    table_fleet_remove(&f->fleet, "k");
    table_fleet_hear(&f->fleet);
    table_fleet_answer_reads(&f->fleet);
    assert_int_equal(g.status, STATUS_HIT);
    assert_true(g.overtaken);
    assert_null(table_tier_find(&f->l1, slice_text("k")));
}

/* What somebody was shown and nobody could keep must not be followed by our own older set (C5). */
static void an_answer_older_than_what_was_shown_meanwhile_stores_nothing(void **state)
{
    struct fixture *f = *state;
    struct cache_set s = a_set("k", "mine");
    struct cache_get g = a_get("k"), later;
    struct slice beside[] = {slice_text("beside")};
    struct cache_invalidate i = {.tags = beside, .tags_count = 1, .done = invalidate_done};
    f->fleet.slow_commits = f->fleet.slow_reads = true;
    assert_int_equal(cache_set(f->cache, &s), CACHE_PENDING);
    table_fleet_set(&f->fleet, "k", "theirs", f->now_ns + LIFE);
    assert_int_equal(cache_get(f->cache, &g), CACHE_PENDING);
    f->fleet.slow_commits = false;
    assert_int_equal(cache_invalidate(f->cache, &i), CACHE_DONE); /* the read under way is put nowhere */
    table_fleet_answer_reads(&f->fleet);
    assert_value(&g, "theirs");
    table_fleet_tell_answers(&f->fleet);
    assert_int_equal(s.status, STATUS_OK);
    f->fleet.slow_reads = false;
    get(f, &later, "k");
    assert_value(&later, "theirs");
}

/* The tiers take what they are given for younger than every kill before. */
static void an_answer_that_comes_after_a_soft_kill_of_its_tag_is_stored_stale(void **state)
{
    struct fixture *f = *state;
    struct slice tags[] = {slice_text("t")};
    struct cache_set s = a_set("k", "mine");
    struct cache_invalidate i = {.tags = tags, .tags_count = 1, .soft = true, .done = invalidate_done};
    s.tags = tags;
    s.tags_count = 1;
    s.stale_ms = 1000;
    s.ttl_ms = 1000;
    f->fleet.slow_commits = true;
    assert_int_equal(cache_set(f->cache, &s), CACHE_PENDING);
    f->fleet.slow_commits = false;
    assert_int_equal(cache_invalidate(f->cache, &i), CACHE_DONE);
    table_fleet_tell_answers(&f->fleet);
    assert_int_equal(s.status, STATUS_OK);
    assert_true(table_tier_find(&f->l1, slice_text("k"))->entry.stale);
    assert_true(table_tier_find(&f->warm, slice_text("k"))->entry.stale);
}

static void a_read_is_promoted_with_the_position_it_has_in_the_fleet(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    uint64_t v = table_fleet_set(&f->fleet, "k", "theirs", f->now_ns + LIFE);
    get(f, &g, "k");
    assert_value(&g, "theirs");
    assert_int_equal(g.tier, TIER_L2);
    assert_int_equal(table_tier_find(&f->l1, slice_text("k"))->entry.v, v);
    assert_int_equal(table_tier_find(&f->warm, slice_text("k"))->entry.v, v);
}

static void the_record_of_an_own_change_does_not_remove_it(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    set(f, "k", "mine");
    table_fleet_hear(&f->fleet);
    get(f, &g, "k");
    assert_value(&g, "mine");
    assert_int_equal(g.tier, TIER_L1);
    assert_non_null(table_tier_find(&f->warm, slice_text("k")));
}

static void the_record_of_another_host_removes_what_is_older(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    set(f, "k", "mine");
    table_fleet_remove(&f->fleet, "k");
    table_fleet_hear(&f->fleet);
    get(f, &g, "k");
    assert_int_equal(g.status, STATUS_MISS);
}

static void a_change_without_an_answer_removes_the_key_and_is_told_again(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "old");
    f->fleet.outcome = FLEET_UNKNOWN;
    assert_int_equal(set(f, "k", "new"), STATUS_UNKNOWN);
    assert_int_equal(f->fleet.queued, 1);
    assert_null(table_tier_find(&f->l1, slice_text("k")));
    assert_null(table_tier_find(&f->warm, slice_text("k")));
    assert_int_equal(figures(f).changes_unknown, 1);
}

static void a_change_the_store_refuses_removes_the_key_and_is_busy(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "old");
    f->fleet.outcome = FLEET_FAILED;
    assert_int_equal(set(f, "k", "new"), STATUS_BUSY);
    assert_int_equal(f->fleet.queued, 1);
    assert_null(table_tier_find(&f->l1, slice_text("k")));
}

/* ======= away ======= */

static void a_set_while_the_fleet_is_away_is_local_and_the_old_value_is_queued_for_removal(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    set(f, "k", "old");
    lose(f);
    assert_int_equal(set(f, "k", "new"), STATUS_LOCAL);
    assert_int_equal(f->fleet.queued, 1);
    get(f, &g, "k");
    assert_value(&g, "new");
    assert_true(g.entry.local);
    assert_true(g.detached);
    assert_null(table_tier_find(&f->warm, slice_text("k")));
}

static void a_local_entry_is_served_no_more_when_the_fleet_is_back(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    lose(f);
    set(f, "k", "new");
    table_fleet_fresh(&f->fleet, f->now_ns + NS_PER_S);
    get(f, &g, "k");
    assert_int_equal(g.status, STATUS_MISS);
}

static void an_invalidation_while_the_fleet_is_away_is_queued(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    set(f, "k", "old");
    lose(f);
    assert_int_equal(remove_key(f, "k"), STATUS_QUEUED);
    get(f, &g, "k");
    assert_int_equal(g.status, STATUS_MISS);
}

static void an_invalidation_that_nothing_keeps_is_local(void **state)
{
    struct fixture *f = *state;
    lose(f);
    f->fleet.outbox_lost = true;
    assert_int_equal(remove_key(f, "k"), STATUS_LOCAL);
}

static void conditions_cannot_be_decided_while_the_fleet_is_away(void **state)
{
    struct fixture *f = *state;
    lose(f);
    for (int condition = CACHE_IF_ABSENT; condition <= CACHE_IF_VERSION; condition++) {
        struct cache_set s = a_set("k", "v");
        s.condition = (enum cache_condition)condition;
        assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
        assert_int_equal(s.status, STATUS_DETACHED);
    }
    assert_int_equal(f->fleet.queued, 0);
}

static void conditions_are_the_fleets_to_judge(void **state)
{
    struct fixture *f = *state;
    struct cache_set s = a_set("k", "mine");
    table_fleet_set(&f->fleet, "k", "theirs", f->now_ns + LIFE);
    s.condition = CACHE_IF_ABSENT;
    cache_set(f->cache, &s);
    assert_int_equal(s.status, STATUS_EXISTS);
}

static void a_fill_of_an_absent_key_takes_no_position(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    get(f, &g, "k");
    assert_int_equal(fill(f, &g), STATUS_OK);
    assert_int_equal(f->fleet.journal_count, 0);
}

/* F14 */
static void a_token_of_the_linked_state_fills_nothing_while_away(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    get(f, &g, "k");
    lose(f);
    assert_int_equal(fill(f, &g), STATUS_REFUSED);
}

static void a_token_of_an_absence_fills_nothing_when_linked(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    lose(f);
    get(f, &g, "k");
    table_fleet_fresh(&f->fleet, f->now_ns + NS_PER_S);
    assert_int_equal(fill(f, &g), STATUS_REFUSED);
}

static void a_token_of_another_absence_fills_nothing(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    lose(f);
    get(f, &g, "k");
    table_fleet_fresh(&f->fleet, f->now_ns + NS_PER_S);
    lose(f);
    assert_int_equal(fill(f, &g), STATUS_REFUSED);
}

static void a_token_of_this_absence_fills_until_the_key_changes(void **state)
{
    struct fixture *f = *state;
    struct cache_get g, again;
    lose(f);
    get(f, &g, "k");
    assert_int_equal(fill(f, &g), STATUS_LOCAL);
    remove_key(f, "k");
    assert_int_equal(fill(f, &g), STATUS_REFUSED);
    get(f, &again, "k");
    assert_int_equal(fill(f, &again), STATUS_LOCAL);
}

/* D20: not the whole host at once. */
static void entries_end_their_service_one_by_one_while_the_fleet_is_away(void **state)
{
    struct fixture *f = *state;
    unsigned served[3] = {0};
    char key[8];
    f->options.ttl = 600 * NS_PER_S;
    take_options(f);
    for (unsigned i = 0; i < 30; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        set(f, key, "v");
    }
    lose(f);
    uint64_t began_ns = f->now_ns;
    for (unsigned at = 0; at < 3; at++) {
        f->now_ns =
            began_ns + (47 + 13 * at) * NS_PER_S; /* 47, 60, 73 s: before, amid and after the spread */
        for (unsigned i = 0; i < 30; i++) {
            struct cache_get g;
            snprintf(key, sizeof(key), "k%u", i);
            served[at] += get(f, &g, key) == STATUS_HIT && g.detached;
        }
    }
    assert_int_equal(served[0], 30);
    assert_in_range(served[1], 1, 29);
    assert_int_equal(served[2], 0);
}

static void nothing_is_served_while_the_fleet_is_away_when_that_is_the_wish(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    set(f, "k", "v");
    f->options.serve_detached = false;
    take_options(f);
    lose(f);
    get(f, &g, "k");
    assert_miss(&g, MISS_DETACHED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_set_is_here_when_the_fleet_has_answered_and_not_before),
        TEST(an_answer_that_comes_after_a_newer_record_stores_nothing),
        TEST(a_read_asked_before_a_change_is_inserted_nowhere),
        TEST(an_answer_older_than_what_was_shown_meanwhile_stores_nothing),
        TEST(an_answer_that_comes_after_a_soft_kill_of_its_tag_is_stored_stale),
        TEST(a_read_is_promoted_with_the_position_it_has_in_the_fleet),
        TEST(the_record_of_an_own_change_does_not_remove_it),
        TEST(the_record_of_another_host_removes_what_is_older),
        TEST(a_change_without_an_answer_removes_the_key_and_is_told_again),
        TEST(a_change_the_store_refuses_removes_the_key_and_is_busy),
        TEST(a_set_while_the_fleet_is_away_is_local_and_the_old_value_is_queued_for_removal),
        TEST(a_local_entry_is_served_no_more_when_the_fleet_is_back),
        TEST(an_invalidation_while_the_fleet_is_away_is_queued),
        TEST(an_invalidation_that_nothing_keeps_is_local),
        TEST(conditions_cannot_be_decided_while_the_fleet_is_away),
        TEST(conditions_are_the_fleets_to_judge),
        TEST(a_fill_of_an_absent_key_takes_no_position),
        TEST(a_token_of_the_linked_state_fills_nothing_while_away),
        TEST(a_token_of_an_absence_fills_nothing_when_linked),
        TEST(a_token_of_another_absence_fills_nothing),
        TEST(a_token_of_this_absence_fills_until_the_key_changes),
        TEST(entries_end_their_service_one_by_one_while_the_fleet_is_away),
        TEST(nothing_is_served_while_the_fleet_is_away_when_that_is_the_wish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
