/* tag in a fleet: a change like any, judged against those of the other hosts. */
#include "support/fleet_cache_rig.h"

static void tag_done(struct cache_tag *tag)
{
    done++;
}

static const struct slice late[] = {{"late", 4}};

static struct cache_tag a_tag(void)
{
    return (struct cache_tag){.key = slice_text("k"), .tags = late, .tags_count = 1, .done = tag_done};
}

static struct cache_tag tag(struct fixture *f)
{
    struct cache_tag t = a_tag();
    assert_int_equal(cache_tag(f->cache, &t), CACHE_DONE);
    return t;
}

static void another_hosts_invalidation_of_it_takes_the_entry_along(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    set(f, "k", "v");
    struct cache_tag t = tag(f);
    assert_int_equal(t.status, STATUS_OK);
    assert_int_equal(get(f, &g, "k"), STATUS_HIT);
    assert_int_equal(g.entry.v, t.result.v);
    table_fleet_kill(&f->fleet, 0, "late");
    table_fleet_hear(&f->fleet);
    assert_int_equal(get(f, &g, "k"), STATUS_MISS);
}

static void the_tags_it_had_are_told_again(void **state)
{
    struct fixture *f = *state;
    struct slice tags[] = {slice_text("old")};
    struct cache_set s = a_set("k", "v");
    struct cache_get g;
    s.tags = tags;
    s.tags_count = 1;
    cache_set(f->cache, &s);
    assert_int_equal(tag(f).status, STATUS_OK);
    assert_memory_equal(f->fleet.rows[0].tag_names, "\3\0old\4\0late", 11);
    table_fleet_kill(&f->fleet, 0, "old");
    table_fleet_hear(&f->fleet);
    assert_int_equal(get(f, &g, "k"), STATUS_MISS);
}

static void what_another_host_stored_is_read_there_and_tagged(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    table_fleet_set(&f->fleet, "k", "theirs", f->now_ns + LIFE);
    table_fleet_hear(&f->fleet);
    assert_int_equal(tag(f).status, STATUS_OK);
    get(f, &g, "k");
    assert_value(&g, "theirs");
    assert_int_equal(g.entry.tags_count, 1);
}

static void a_set_in_between_wins_and_is_what_is_tagged(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    struct cache_tag t = a_tag();
    set(f, "k", "old");
    f->fleet.slow_reads = true;
    done = 0;
    assert_int_equal(cache_tag(f->cache, &t), CACHE_PENDING);
    table_fleet_set(&f->fleet, "k", "new", f->now_ns + LIFE);
    table_fleet_answer_reads(&f->fleet); /* the old one: its set is a conflict, and it is read again */
    assert_int_equal(done, 0);
    f->fleet.slow_reads = false;
    table_fleet_answer_reads(&f->fleet);
    assert_int_equal(done, 1);
    assert_int_equal(t.status, STATUS_OK);
    table_fleet_hear(&f->fleet);
    get(f, &g, "k");
    assert_value(&g, "new");
    assert_int_equal(g.entry.tags_count, 1);
}

static void what_is_softened_in_between_stays_stale(void **state)
{
    struct fixture *f = *state;
    struct cache_tag t = a_tag();
    set(f, "k", "v");
    f->fleet.slow_reads = true;
    assert_int_equal(cache_tag(f->cache, &t), CACHE_PENDING);
    table_fleet_soften(&f->fleet, "k");
    table_fleet_answer_reads(&f->fleet); /* read as fresh: a conflict */
    table_fleet_answer_reads(&f->fleet);
    assert_int_equal(t.status, STATUS_OK);
    assert_true(f->fleet.rows[0].entry.stale);
}

/* ======= another host was first, and its record is not here yet ======= */

static void tagged_elsewhere(struct fixture *f)
{
    set(f, "k", "v");
    table_fleet_hear(&f->fleet);
    table_fleet_tag(&f->fleet, "k", "late");
}

static void what_another_host_has_tagged_is_shown_here_without_the_tag_no_more(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    struct cache_invalidate i = {.tags = late, .tags_count = 1};
    tagged_elsewhere(f);
    struct cache_tag t = tag(f);
    assert_int_equal(t.status, STATUS_OK);
    assert_int_equal(get(f, &g, "k"), STATUS_HIT);
    assert_int_equal(g.entry.v, t.result.v);
    assert_int_equal(g.entry.tags_count, 1);
    assert_int_equal(invalidate(f, &i), STATUS_OK);
    assert_int_equal(get(f, &g, "k"), STATUS_MISS);
}

static void nor_does_a_read_bring_it_back_that_had_begun_before(void **state)
{
    struct fixture *f = *state;
    struct cache_get early = a_get("k"), g;
    tagged_elsewhere(f);
    table_tier_find(&f->l1, slice_text("k"))->used = false;
    f->warm.slow = true;
    assert_int_equal(cache_get(f->cache, &early), CACHE_PENDING);
    struct table_row *row = table_tier_find(&f->warm, slice_text("k"));
    struct cache_tag t = tag(f);
    assert_false(row->used);
    row->used = true; /* it had been found already */
    table_tier_land(&f->warm);
    row->used = f->warm.slow = false;
    assert_int_equal(get(f, &g, "k"), STATUS_HIT);
    assert_int_equal(g.entry.v, t.result.v);
}

static void its_record_takes_away_nothing_that_is_read_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    tagged_elsewhere(f);
    tag(f);
    assert_int_equal(get(f, &g, "k"), STATUS_HIT);
    table_fleet_hear(&f->fleet);
    assert_non_null(table_tier_find(&f->warm, slice_text("k")));
}

static void that_it_is_gone_here_survives_a_kill_before_it_is_answered(void **state)
{
    struct fixture *f = *state;
    struct cache_tag t = a_tag();
    tagged_elsewhere(f);
    f->warm.unsafe = true;
    done = 0;
    assert_int_equal(cache_tag(f->cache, &t), CACHE_PENDING);
    table_tier_commit(&f->warm);
    assert_int_equal(done, 1);
    assert_int_equal(t.status, STATUS_OK);
}

static void who_waits_for_all_hosts_waits_for_it_too(void **state)
{
    struct fixture *f = *state;
    struct cache_tag t = a_tag();
    tagged_elsewhere(f);
    t.wait_all = true;
    done = 0;
    assert_int_equal(cache_tag(f->cache, &t), CACHE_PENDING);
    f->now_ns += 250 * NS_PER_MS;
    cache_tick(f->cache);
    assert_int_equal(done, 0);
    f->now_ns += 10 * NS_PER_MS;
    cache_tick(f->cache);
    assert_int_equal(done, 1);
    assert_int_equal(t.status, STATUS_OK);
}

static void what_is_known_here_takes_nothing_away(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    tag(f);
    table_fleet_hear(&f->fleet);
    uint64_t drops = f->warm.drops;
    assert_int_equal(tag(f).status, STATUS_OK);
    assert_int_equal(f->warm.drops, drops);
}

/* What its record took away: the copy without the tag would be served again, by a host that is detached. */
static void what_is_known_here_survives_a_kill_before_it_is_answered(void **state)
{
    struct fixture *f = *state;
    struct cache_tag t = a_tag();
    tagged_elsewhere(f);
    f->warm.unsafe = true;
    table_fleet_hear(&f->fleet);
    done = 0;
    assert_int_equal(cache_tag(f->cache, &t), CACHE_PENDING);
    table_tier_commit(&f->warm);
    assert_int_equal(done, 1);
    assert_int_equal(t.status, STATUS_OK);
}

/* ======= */

/* Only an exact read knows of soft invalidations that this host has not heard of. */
static void it_is_read_exactly(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    uint64_t before = f->fleet.exact;
    assert_int_equal(tag(f).status, STATUS_OK);
    assert_int_equal(f->fleet.exact, before + 1);
}

static void somebody_who_sets_it_all_the_time_is_a_conflict(void **state)
{
    struct fixture *f = *state;
    struct cache_tag t = a_tag();
    unsigned rounds = 0;
    set(f, "k", "old");
    f->fleet.slow_reads = true;
    done = 0;
    assert_int_equal(cache_tag(f->cache, &t), CACHE_PENDING);
    for (; !done; rounds++) {
        assert_true(rounds < 20);
        table_fleet_set(&f->fleet, "k", "newer", f->now_ns + LIFE);
        table_fleet_answer_reads(&f->fleet);
    }
    assert_int_equal(t.status, STATUS_CONFLICT);
    assert_int_equal(rounds, 8);
}

static void what_goes_in_between_is_not_found(void **state)
{
    struct fixture *f = *state;
    struct cache_tag t = a_tag();
    set(f, "k", "old");
    f->fleet.slow_reads = true;
    assert_int_equal(cache_tag(f->cache, &t), CACHE_PENDING);
    table_fleet_remove(&f->fleet, "k");
    table_fleet_answer_reads(&f->fleet);
    assert_int_equal(t.status, STATUS_NOT_FOUND);
}

static void while_the_fleet_is_away_it_cannot_be_decided(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    set(f, "k", "v");
    lose(f);
    assert_int_equal(tag(f).status, STATUS_DETACHED);
    assert_int_equal(get(f, &g, "k"), STATUS_HIT);
}

static void what_no_host_has_is_not_found(void **state)
{
    assert_int_equal(tag(*state).status, STATUS_NOT_FOUND);
}

static void what_stays_on_its_host_is_tagged_there(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    struct policy_fault fault;
    struct policy_rule own = cache_default_rule(&f->options);
    own.l2 = false;
    cache_take_policies(f->cache, policies_create(&own, NULL, 0, NULL, &fault));
    struct cache_set s = a_set("k", "v");
    s.tiers = 1u << TIER_L1 | 1u << TIER_WARM;
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    uint64_t commits = f->fleet.commits;
    assert_int_equal(tag(f).status, STATUS_OK);
    assert_int_equal(f->fleet.commits, commits);
    assert_int_equal(get(f, &g, "k"), STATUS_HIT);
    assert_int_equal(g.entry.tags_count, 1);
}

/* A frame of a thousand keys would hold a thousand values. */
static void values_on_their_way_are_bounded(void **state)
{
    enum { LARGE = 15 << 20, FIT = 4, KEYS };
    static char value[LARGE];
    static const char *const keys[KEYS] = {"a", "b", "c", "d", "e"};
    struct fixture *f = *state;
    struct cache_tag t[KEYS];
    f->options.max_value = LARGE;
    take_options(f);
    f->fleet.large = slice_of(value, LARGE);
    f->fleet.slow_commits = true;
    f->fleet.outcome = FLEET_UNKNOWN; /* whatever comes of it */
    for (unsigned n = 0; n < KEYS; n++) {
        table_fleet_set(&f->fleet, keys[n], "", f->now_ns + LIFE);
        t[n] = a_tag();
        t[n].key = slice_text(keys[n]);
        assert_int_equal(cache_tag(f->cache, &t[n]), n < FIT ? CACHE_PENDING : CACHE_DONE);
    }
    assert_int_equal(t[FIT].status, STATUS_BUSY);
    table_fleet_tell_answers(&f->fleet);
    assert_int_equal(t[0].status, STATUS_UNKNOWN);
    assert_int_equal(cache_tag(f->cache, &t[FIT]), CACHE_PENDING);
    table_fleet_tell_answers(&f->fleet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(another_hosts_invalidation_of_it_takes_the_entry_along),
        TEST(the_tags_it_had_are_told_again),
        TEST(what_another_host_stored_is_read_there_and_tagged),
        TEST(a_set_in_between_wins_and_is_what_is_tagged),
        TEST(what_is_softened_in_between_stays_stale),
        TEST(what_another_host_has_tagged_is_shown_here_without_the_tag_no_more),
        TEST(nor_does_a_read_bring_it_back_that_had_begun_before),
        TEST(its_record_takes_away_nothing_that_is_read_meanwhile),
        TEST(that_it_is_gone_here_survives_a_kill_before_it_is_answered),
        TEST(who_waits_for_all_hosts_waits_for_it_too),
        TEST(what_is_known_here_takes_nothing_away),
        TEST(what_is_known_here_survives_a_kill_before_it_is_answered),
        TEST(it_is_read_exactly),
        TEST(somebody_who_sets_it_all_the_time_is_a_conflict),
        TEST(what_goes_in_between_is_not_found),
        TEST(while_the_fleet_is_away_it_cannot_be_decided),
        TEST(what_no_host_has_is_not_found),
        TEST(what_stays_on_its_host_is_tagged_there),
        TEST(values_on_their_way_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
