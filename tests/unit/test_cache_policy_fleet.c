/* What policies make of changes and reads in a fleet: above all, what must not leave its host. */
#include "support/fleet_cache_rig.h"

#define SECOND NS_PER_S

static struct policy_source a_policy(struct fixture *f)
{
    struct policy_source s = {.name = "p", .rule = cache_default_rule(&f->options)};
    s.rule.pattern = "{t}:*";
    return s;
}

static void take(struct fixture *f, const struct policy_source *s)
{
    struct policy_rule own = cache_default_rule(&f->options);
    struct policy_fault fault;
    struct policies *p = policies_create(&own, s, 1, cache_policies(f->cache), &fault);
    assert_non_null(p);
    cache_take_policies(f->cache, p);
}

static struct fleet_row *in_fleet(struct fixture *f, const char *key)
{
    for (unsigned i = 0; i < FLEET_ROWS; i++)
        if (f->fleet.rows[i].used && strcmp(f->fleet.rows[i].key, key) == 0)
            return &f->fleet.rows[i];
    return NULL;
}

/* ======= l2 = off ======= */

static void keep_here(struct fixture *f)
{
    struct policy_source s = a_policy(f);
    s.rule.l2 = false;
    take(f, &s);
}

static void a_value_never_leaves_its_host_and_the_others_learn_that_theirs_is_old(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    table_fleet_set(&f->fleet, "t:a", "theirs", f->now_ns + LIFE);
    table_fleet_hear(&f->fleet);
    keep_here(f);
    assert_int_equal(set(f, "t:a", "mine"), STATUS_OK);
    assert_null(in_fleet(f, "t:a"));
    assert_string_equal(f->fleet.journal[f->fleet.journal_count - 1].key, "t:a");
    table_fleet_hear(&f->fleet); /* our own record does not take it away */
    get(f, &g, "t:a");
    assert_value(&g, "mine");
    table_fleet_remove(&f->fleet, "t:a");
    table_fleet_hear(&f->fleet);
    assert_int_equal(get(f, &g, "t:a"), STATUS_MISS);
}

static void redis_is_not_asked_for_what_never_gets_there(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    keep_here(f);
    get(f, &g, "t:none");
    assert_int_equal(f->fleet.gets, 0);
    set(f, "t:a", "v");
    table_fleet_hear(&f->fleet);
    get(f, &g, "t:a");
    assert_value(&g, "v");
    assert_int_equal(f->fleet.gets, 0);
}

static void where_nobody_vouches_redis_says_whether_this_host_knows_all_changes(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    keep_here(f);
    set(f, "t:a", "v");
    table_fleet_hear(&f->fleet);
    lease_ends(f);
    get(f, &g, "t:a");
    assert_value(&g, "v");
    assert_int_equal(f->fleet.gets, 1);
    table_fleet_remove(&f->fleet, "t:b");
    get(f, &g, "t:a"); /* that record could have been its own */
    assert_miss(&g, MISS_SUSPECT);
    table_fleet_hear(&f->fleet);
    get(f, &g, "t:a");
    assert_value(&g, "v");
    table_fleet_remove(&f->fleet, "t:a");
    table_fleet_hear(&f->fleet);
    assert_int_equal(get(f, &g, "t:a"), STATUS_MISS);
}

static void after_lost_changes_nothing_that_stayed_here_can_be_proven(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    keep_here(f);
    set(f, "t:a", "v");
    table_fleet_remove(&f->fleet, "t:b");
    table_fleet_gap(&f->fleet);
    get(f, &g, "t:a");
    assert_miss(&g, MISS_SUSPECT);
    lease_ends(f);
    get(f, &g, "t:a");
    assert_miss(&g, MISS_SUSPECT);
}

static void what_redis_has_of_it_from_before_is_not_served(void **state)
{
    struct fixture *f = *state;
    struct cache_get miss, g;
    table_fleet_set(&f->fleet, "t:a", "theirs", f->now_ns + LIFE);
    table_fleet_hear(&f->fleet);
    keep_here(f);
    get(f, &miss, "t:a");
    assert_miss(&miss, MISS_COLD);
    struct cache_set s = a_set("t:a", "loaded");
    s.token = slice_of(miss.token, miss.token_bytes);
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    lease_ends(f);
    get(f, &g, "t:a");
    assert_value(&g, "loaded");
}

static void what_changes_while_redis_is_asked_about_it_is_asked_about_again(void **state)
{
    struct fixture *f = *state;
    struct cache_get g = a_get("t:a");
    keep_here(f);
    set(f, "t:a", "v");
    table_fleet_hear(&f->fleet);
    lease_ends(f);
    f->fleet.slow_reads = true;
    assert_int_equal(cache_get(f->cache, &g), CACHE_PENDING);
    table_fleet_remove(&f->fleet, "t:a");
    table_fleet_hear(&f->fleet);
    table_fleet_answer_reads(&f->fleet);
    assert_int_equal(g.status, STATUS_MISS);
}

static void a_fill_of_it_stays_here_and_bothers_nobody(void **state)
{
    struct fixture *f = *state;
    struct cache_get miss, g;
    keep_here(f);
    get(f, &miss, "t:a");
    struct cache_set s = a_set("t:a", "loaded");
    s.token = slice_of(miss.token, miss.token_bytes);
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    assert_int_equal(s.status, STATUS_OK);
    assert_int_equal(f->fleet.commits, 0);
    get(f, &g, "t:a");
    assert_value(&g, "loaded");
    table_fleet_remove(&f->fleet, "t:a"); /* another host invalidates it */
    table_fleet_hear(&f->fleet);
    assert_int_equal(get(f, &g, "t:a"), STATUS_MISS);
}

static void a_fill_of_it_after_an_invalidation_is_refused(void **state)
{
    struct fixture *f = *state;
    struct cache_get miss;
    keep_here(f);
    get(f, &miss, "t:a");
    remove_key(f, "t:a");
    struct cache_set s = a_set("t:a", "loaded");
    s.token = slice_of(miss.token, miss.token_bytes);
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    assert_int_equal(s.status, STATUS_REFUSED);
}

static void its_conditions_are_judged_by_what_this_host_has(void **state)
{
    struct fixture *f = *state;
    keep_here(f);
    set(f, "t:a", "v");
    struct cache_set s = a_set("t:a", "w");
    s.condition = CACHE_IF_ABSENT;
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    assert_int_equal(s.status, STATUS_EXISTS);
    assert_null(in_fleet(f, "t:a"));
}

static enum status set_here(struct fixture *f, const char *value)
{
    struct cache_set s = a_set("k", value);
    s.tiers = 1u << TIER_L1 | 1u << TIER_WARM;
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    return s.status;
}

static void a_value_for_this_host_alone_replaces_what_it_had(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    assert_int_equal(set_here(f, "first"), STATUS_OK);
    assert_int_equal(set_here(f, "second"), STATUS_OK); /* nothing happened in the fleet in between */
    get(f, &g, "k");
    assert_value(&g, "second");
}

static void it_replaces_what_this_host_told_the_fleet_a_moment_ago(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    remove_key(f, "k");
    assert_int_equal(set(f, "k", "shared"), STATUS_OK);
    assert_int_equal(set_here(f, "mine"), STATUS_OK);
    get(f, &g, "k");
    assert_value(&g, "mine");
    table_fleet_hear(&f->fleet); /* of what came before it */
    get(f, &g, "k");
    assert_value(&g, "mine");
    table_fleet_remove(&f->fleet, "k");
    table_fleet_hear(&f->fleet);
    get(f, &g, "k");
    assert_miss(&g, MISS_COLD);
}

static void a_condition_that_holds_here_is_obeyed_here_at_once(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    keep_here(f);
    assert_int_equal(set(f, "t:a", "first"), STATUS_OK); /* told to all, and not heard back yet */
    struct cache_set s = a_set("t:a", "second");
    s.condition = CACHE_IF_PRESENT;
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    assert_int_equal(s.status, STATUS_OK);
    get(f, &g, "t:a");
    assert_value(&g, "second");
    table_fleet_hear(&f->fleet);
    get(f, &g, "t:a");
    assert_value(&g, "second");
}

static void a_touch_of_it_is_done_here(void **state)
{
    struct fixture *f = *state;
    keep_here(f);
    set(f, "t:a", "v");
    uint64_t commits = f->fleet.commits;
    struct cache_touch touch = {.key = slice_text("t:a"), .ttl_ms = 500000};
    assert_int_equal(cache_touch(f->cache, &touch), CACHE_DONE);
    assert_int_equal(touch.status, STATUS_OK);
    assert_int_equal(f->fleet.commits, commits);
}

/* ======= the others ======= */

static void a_change_says_whose_it_was_even_of_what_is_not_there(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    struct slice name = slice_text("late");
    take(f, &s);
    for (int there = 0; there < 2; there++) {
        struct cache_touch touch = {.key = slice_text("t:a"), .ttl_ms = 500000};
        struct cache_tag tag = {.key = slice_text("t:a"), .tags = &name, .tags_count = 1};
        assert_int_equal(cache_touch(f->cache, &touch), CACHE_DONE);
        assert_int_equal(cache_tag(f->cache, &tag), CACHE_DONE);
        assert_int_equal(touch.status, there ? STATUS_OK : STATUS_NOT_FOUND);
        assert_int_equal(tag.status, touch.status);
        assert_string_equal(policies_number_name(cache_policies(f->cache), touch.policy), "p");
        assert_string_equal(policies_number_name(cache_policies(f->cache), tag.policy), "p");
        set(f, "t:a", "v");
    }
}

static void a_value_lives_as_long_in_redis_as_its_policy_says(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    s.rule.ttl = 20 * SECOND;
    s.rule.l2_ttl = 5 * SECOND;
    take(f, &s);
    set(f, "t:a", "v");
    assert_int_equal(in_fleet(f, "t:a")->entry.hard_ns, f->now_ns + 5 * SECOND);
    assert_int_equal(table_tier_find(&f->warm, slice_text("t:a"))->entry.hard_ns, f->now_ns + 20 * SECOND);
}

static void what_redis_has_is_promoted_where_the_policy_allows(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    struct cache_get g;
    s.rule.warm = false;
    s.rule.l1_ttl = 5 * SECOND;
    take(f, &s);
    table_fleet_set(&f->fleet, "t:a", "v", f->now_ns + LIFE);
    table_fleet_hear(&f->fleet);
    get(f, &g, "t:a");
    assert_value(&g, "v");
    assert_null(table_tier_find(&f->warm, slice_text("t:a")));
    assert_int_equal(table_tier_find(&f->l1, slice_text("t:a"))->entry.hard_ns, f->now_ns + 5 * SECOND);
}

static void tags_of_a_policy_are_known_to_the_fleet(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    struct cache_get g;
    s.rule.tags = "of:{t}";
    take(f, &s);
    set(f, "t:a", "v");
    assert_int_equal(in_fleet(f, "t:a")->entry.tags_count, 1);
    table_fleet_kill(&f->fleet, 0, "of:t");
    table_fleet_hear(&f->fleet);
    assert_int_equal(get(f, &g, "t:a"), STATUS_MISS);
}

static void a_policy_may_refuse_to_serve_while_the_fleet_is_away(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    struct cache_get g;
    s.rule.serve_detached = false;
    take(f, &s);
    set(f, "t:a", "v");
    set(f, "other", "v");
    lose(f);
    get(f, &g, "t:a");
    assert_miss(&g, MISS_DETACHED);
    assert_int_equal(get(f, &g, "other"), STATUS_HIT);
    assert_int_equal(set(f, "t:a", "w"), STATUS_QUEUED); /* told later, kept by nobody */
    assert_null(table_tier_find(&f->l1, slice_text("t:a")));
}

static void write_through_off_removes_everywhere(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    set(f, "t:a", "old");
    s.rule.write_through = false;
    take(f, &s);
    assert_int_equal(set(f, "t:a", "new"), STATUS_SKIPPED);
    assert_null(in_fleet(f, "t:a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_value_never_leaves_its_host_and_the_others_learn_that_theirs_is_old),
        TEST(redis_is_not_asked_for_what_never_gets_there),
        TEST(where_nobody_vouches_redis_says_whether_this_host_knows_all_changes),
        TEST(after_lost_changes_nothing_that_stayed_here_can_be_proven),
        TEST(what_redis_has_of_it_from_before_is_not_served),
        TEST(what_changes_while_redis_is_asked_about_it_is_asked_about_again),
        TEST(a_fill_of_it_stays_here_and_bothers_nobody),
        TEST(a_fill_of_it_after_an_invalidation_is_refused),
        TEST(its_conditions_are_judged_by_what_this_host_has),
        TEST(a_value_for_this_host_alone_replaces_what_it_had),
        TEST(it_replaces_what_this_host_told_the_fleet_a_moment_ago),
        TEST(a_condition_that_holds_here_is_obeyed_here_at_once),
        TEST(a_touch_of_it_is_done_here),
        TEST(a_change_says_whose_it_was_even_of_what_is_not_there),
        TEST(a_value_lives_as_long_in_redis_as_its_policy_says),
        TEST(what_redis_has_is_promoted_where_the_policy_allows),
        TEST(tags_of_a_policy_are_known_to_the_fleet),
        TEST(a_policy_may_refuse_to_serve_while_the_fleet_is_away),
        TEST(write_through_off_removes_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
