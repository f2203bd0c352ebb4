/* The cache beside a fleet: what a reader may believe, what a position asks for (C4), changes in several parts, and
 * wait=all (C3). */
#include "support/fleet_cache_rig.h"

/* ======= who vouches ======= */

static void an_entry_nobody_vouches_for_is_compared_and_kept(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    set(f, "k", "v");
    lease_ends(f);
    get(f, &g, "k");
    assert_value(&g, "v");
    assert_int_equal(g.tier, TIER_L1);
    assert_int_equal(f->fleet.compared, 1);
    assert_int_equal(figures(f).compared, 1);
}

static void an_entry_whose_comparison_the_absence_ends_is_served_flagged(void **state)
{
    struct fixture *f = *state;
    struct cache_get g = a_get("k"), suspect = a_get("gap");
    set(f, "gap", "v");
    table_fleet_kill(&f->fleet, 0, "other");
    table_fleet_gap(&f->fleet);
    set(f, "k", "v");
    lease_ends(f);
    f->fleet.slow_reads = true;
    done = 0;
    assert_int_equal(cache_get(f->cache, &g), CACHE_PENDING);
    assert_int_equal(cache_get(f->cache, &suspect), CACHE_PENDING);
    lose(f);
    for (unsigned i = 0; i < 2; i++) {
        f->fleet.reads[i].outcome = TIER_MISSED;
        f->fleet.reads[i].read->reason = MISS_DETACHED;
    }
    f->fleet.slow_reads = false;
    table_fleet_answer_reads(&f->fleet);
    assert_int_equal(done, 2);
    assert_value(&g, "v");
    assert_true(g.detached);
    assert_miss(&suspect, MISS_DETACHED);
}

static void what_is_below_a_gap_is_compared_and_what_changed_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    set(f, "same", "v");
    set(f, "changed", "old");
    table_fleet_set(&f->fleet, "changed", "new", f->now_ns + LIFE);
    table_fleet_gap(&f->fleet);
    get(f, &g, "same");
    assert_value(&g, "v");
    assert_int_equal(g.tier, TIER_L1);
    assert_int_equal(f->fleet.compared, 1);
    get(f, &g, "changed");
    assert_value(&g, "new");
    assert_int_equal(figures(f).gaps, 1);
}

static void what_was_compared_once_is_not_compared_again(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    set(f, "k", "v");
    table_fleet_kill(&f->fleet, 0, "other");
    table_fleet_gap(&f->fleet);
    get(f, &g, "k");
    get(f, &g, "k");
    assert_value(&g, "v");
    assert_int_equal(f->fleet.compared, 1);
}

static void what_is_below_a_gap_is_not_served_while_the_fleet_is_away(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    set(f, "k", "v");
    table_fleet_kill(&f->fleet, 0, "other");
    table_fleet_gap(&f->fleet);
    lose(f);
    get(f, &g, "k");
    assert_miss(&g, MISS_DETACHED);
}

static void another_epoch_makes_everything_here_absent(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    set(f, "k", "v");
    table_fleet_epoch(&f->fleet, EPOCH + 1);
    get(f, &g, "k");
    assert_int_equal(g.status, STATUS_MISS);
}

static void a_token_of_another_epoch_fills_nothing(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    get(f, &g, "k");
    table_fleet_epoch(&f->fleet, EPOCH + 1);
    assert_int_equal(fill(f, &g), STATUS_REFUSED);
}

/* ======= not older than (C4) ======= */

static struct cache_get a_get_after(const char *key, unsigned partition, uint64_t epoch, uint64_t v)
{
    struct cache_get g = a_get(key);
    g.not_older.given = true;
    g.not_older.partition = partition;
    g.not_older.epoch = epoch;
    g.not_older.v = v;
    return g;
}

static void a_reader_who_knows_of_a_change_elsewhere_gets_it_before_the_journal_brings_it(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "old");
    uint64_t v = table_fleet_set(&f->fleet, "k", "new", f->now_ns + LIFE);
    struct cache_get plain, g = a_get_after("k", 0, EPOCH, v);
    assert_int_equal(cache_get(f->cache, &g), CACHE_DONE);
    assert_value(&g, "new");
    get(f, &plain, "k");
    assert_int_equal(plain.status, STATUS_HIT);
}

static void a_position_the_journal_has_passed_costs_nothing(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    table_fleet_hear(&f->fleet);
    uint64_t asked = f->fleet.gets;
    struct cache_get g = a_get_after("k", 0, EPOCH, 1);
    assert_int_equal(cache_get(f->cache, &g), CACHE_DONE);
    assert_value(&g, "v");
    assert_int_equal(f->fleet.gets, asked);
}

static void an_unchanged_entry_is_confirmed_for_a_reader_ahead_of_the_journal(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    uint64_t v = table_fleet_set(&f->fleet, "other", "x", f->now_ns + LIFE);
    struct cache_get g = a_get_after("k", 0, EPOCH, v);
    assert_int_equal(cache_get(f->cache, &g), CACHE_DONE);
    assert_value(&g, "v");
    assert_int_equal(g.tier, TIER_L1);
    assert_int_equal(f->fleet.compared, 1);
    assert_int_equal(f->fleet.exact, 1);
}

static void an_answer_older_than_the_position_is_a_miss(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    struct cache_get g = a_get_after("k", 0, EPOCH, 1000);
    assert_int_equal(cache_get(f->cache, &g), CACHE_DONE);
    assert_miss(&g, MISS_SUSPECT);
}

static void a_position_of_another_epoch_asks_the_fleet(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    table_fleet_hear(&f->fleet);
    struct cache_get g = a_get_after("k", 0, EPOCH - 1, 1000);
    assert_int_equal(cache_get(f->cache, &g), CACHE_DONE);
    assert_value(&g, "v");
    assert_int_equal(f->fleet.compared, 1);
}

static void a_position_that_cannot_be_reached_while_the_fleet_is_away_is_a_miss(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    lose(f);
    struct cache_get g = a_get_after("k", 0, EPOCH, 5);
    assert_int_equal(cache_get(f->cache, &g), CACHE_DONE);
    assert_miss(&g, MISS_DETACHED);
}

/* A process that stood still goes on where it was; so does one whose Redis did. */
static void nobody_joins_a_read_that_is_older_than_what_may_be_served(void **state)
{
    struct fixture *f = *state;
    struct cache_get first = a_get("k"), joins = a_get("k"), late = a_get("k");
    table_fleet_set(&f->fleet, "k", "old", f->now_ns + LIFE);
    f->fleet.slow_reads = true;
    assert_int_equal(cache_get(f->cache, &first), CACHE_PENDING);
    f->now_ns += FLEET_FRESH_NS - 1;
    assert_int_equal(cache_get(f->cache, &joins), CACHE_PENDING);
    table_fleet_set(&f->fleet, "k", "new", f->now_ns + LIFE);
    f->now_ns += 1;
    assert_int_equal(cache_get(f->cache, &late), CACHE_PENDING);
    table_fleet_answer_reads(&f->fleet);
    assert_value(&first, "old");
    assert_value(&joins, "old");
    assert_value(&late, "new");
}

static void a_reader_ahead_of_the_journal_does_not_join_a_read_under_way(void **state)
{
    struct fixture *f = *state;
    struct cache_get first = a_get("k");
    table_fleet_set(&f->fleet, "k", "old", f->now_ns + LIFE);
    f->fleet.slow_reads = true;
    assert_int_equal(cache_get(f->cache, &first), CACHE_PENDING);
    uint64_t v = table_fleet_set(&f->fleet, "k", "new", f->now_ns + LIFE);
    struct cache_get g = a_get_after("k", 0, EPOCH, v);
    assert_int_equal(cache_get(f->cache, &g), CACHE_PENDING);
    table_fleet_answer_reads(&f->fleet);
    assert_int_equal(f->fleet.gets, 2);
    assert_int_equal(g.status, STATUS_HIT);
    assert_int_equal(g.entry.v, v);
}

static void a_get_that_names_its_tiers_changes_nothing_in_the_others(void **state)
{
    struct fixture *f = *state;
    struct cache_get g = a_get("k");
    set(f, "k", "old");
    uint64_t v = table_tier_find(&f->l1, slice_text("k"))->entry.v;
    table_fleet_set(&f->fleet, "k", "new", f->now_ns + LIFE);
    f->fleet.slow_reads = true;
    g.tiers = 1u << TIER_L2;
    assert_int_equal(cache_get(f->cache, &g), CACHE_PENDING);
    table_fleet_answer_reads(&f->fleet);
    assert_value(&g, "new");
    assert_int_equal(table_tier_find(&f->l1, slice_text("k"))->entry.v, v);
}

static void a_reader_ahead_of_the_journal_leaves_nothing_older_behind(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "old");
    uint64_t v = table_fleet_set(&f->fleet, "k", "new", f->now_ns + LIFE);
    f->fleet.slow_reads = true;
    struct cache_get g = a_get_after("k", 0, EPOCH, v);
    assert_int_equal(cache_get(f->cache, &g), CACHE_PENDING);
    table_fleet_answer_reads(&f->fleet);
    assert_value(&g, "new");
    assert_null(table_tier_find(&f->l1, slice_text("k")));
}

/* ======= the way there and back ======= */

static void probe_done(struct cache_probe *probe)
{
    done++;
}

static void a_probe_ends_when_its_record_comes_back(void **state)
{
    struct fixture *f = *state;
    struct cache_probe p = {.done = probe_done};
    done = 0;
    assert_int_equal(cache_probe(f->cache, &p), CACHE_PENDING);
    assert_false(cache_idle(f->cache));
    f->now_ns += NS_PER_MS;
    table_fleet_hear(&f->fleet);
    assert_int_equal(done, 1);
    assert_int_equal(p.end, PROBE_BACK);
    assert_int_equal(p.back_ns, NS_PER_MS);
}

static void a_probe_whose_record_came_before_the_answer_has_ended(void **state)
{
    struct fixture *f = *state;
    struct cache_probe p = {.done = probe_done};
    done = 0;
    f->fleet.slow_commits = true;
    assert_int_equal(cache_probe(f->cache, &p), CACHE_PENDING);
    table_fleet_hear(&f->fleet);
    table_fleet_tell_answers(&f->fleet);
    assert_int_equal(done, 1);
    assert_int_equal(p.end, PROBE_BACK);
}

static void a_probe_gives_up_when_no_record_comes(void **state)
{
    struct fixture *f = *state;
    struct cache_probe p = {.done = probe_done};
    done = 0;
    assert_int_equal(cache_probe(f->cache, &p), CACHE_PENDING);
    f->now_ns += 3 * NS_PER_S;
    cache_tick(f->cache);
    assert_int_equal(done, 1);
    assert_int_equal(p.end, PROBE_SILENT);
}

static void a_probe_tells_why_nothing_was_committed(void **state)
{
    struct fixture *f = *state;
    struct cache_probe p = {.done = probe_done};
    f->fleet.outcome = FLEET_FAILED;
    assert_int_equal(cache_probe(f->cache, &p), CACHE_DONE);
    assert_int_equal(p.end, PROBE_REFUSED);
    lose(f);
    assert_int_equal(cache_probe(f->cache, &p), CACHE_DONE);
    assert_int_equal(p.end, PROBE_AWAY);
}

static unsigned partition_of(const char *key)
{
    return shm_partition(slice_text(key), 4);
}

static void a_position_says_nothing_of_keys_of_other_partitions(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    table_fleet_hear(&f->fleet);
    struct cache_get g = a_get_after("k", (partition_of("k") + 1) % 4, EPOCH, 1000);
    assert_int_equal(cache_get(f->cache, &g), CACHE_DONE);
    assert_value(&g, "v");
    assert_int_equal(f->fleet.compared, 0);
}

/* ======= many partitions, many keys ======= */

static void a_tag_is_one_change_in_each_partition(void **state)
{
    struct fixture *f = *state;
    struct slice tags[] = {slice_text("t")};
    struct cache_invalidate i = {.tags = tags, .tags_count = 1};
    assert_int_equal(cache_partitions(f->cache), 4);
    assert_int_equal(invalidate(f, &i), STATUS_OK);
    assert_int_equal(f->fleet.commits, 4);
    for (unsigned p = 0; p < 4; p++)
        assert_int_equal(f->fleet.newest[p], 1);
}

static void a_key_is_a_change_in_its_own_partition_only(void **state)
{
    struct fixture *f = *state;
    struct slice keys[] = {slice_text("k")};
    struct cache_invalidate i = {.keys = keys, .keys_count = 1};
    assert_int_equal(invalidate(f, &i), STATUS_OK);
    assert_int_equal(f->fleet.commits, 1);
    assert_int_equal(i.partition, partition_of("k"));
    assert_int_equal(i.result.v, 1);
}

static void what_nobody_vouches_for_counts_as_dropped(void **state)
{
    struct fixture *f = *state;
    struct slice keys[] = {slice_text("k"), slice_text("never")};
    struct cache_invalidate i = {.keys = keys, .keys_count = 2};
    set(f, "k", "v");
    lease_ends(f);
    assert_int_equal(invalidate(f, &i), STATUS_OK);
    assert_int_equal(i.count, 1);
}

static void name_keys(char texts[][12], struct slice *keys, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        snprintf(texts[n], sizeof(texts[n]), "k%u", n);
        keys[n] = slice_text(texts[n]);
    }
}

static void more_than_256_keys_are_several_changes(void **state)
{
    struct fixture *f = *state;
    char texts[600][12];
    struct slice keys[600], tags[] = {slice_text("t"), slice_text("u")};
    name_keys(texts, keys, 600);
    struct cache_invalidate i = {.keys = keys, .keys_count = 600, .tags = tags, .tags_count = 2};
    assert_int_equal(invalidate(f, &i), STATUS_OK);
    assert_int_equal(f->fleet.commits, 3); /* 2 names and 254 keys, 256, 90 */
    assert_int_equal(f->fleet.largest, 256);
    assert_int_equal(i.result.v, 3);
}

static void long_keys_make_no_change_of_more_than_64_kib(void **state)
{
    struct fixture *f = *state;
    static char long_texts[100][WIRE_KEY_MAX];
    struct slice keys[100];
    for (unsigned n = 0; n < 100; n++) {
        memset(long_texts[n], 'x', WIRE_KEY_MAX);
        snprintf(long_texts[n], 8, "%u", n);
        keys[n] = slice_of(long_texts[n], WIRE_KEY_MAX);
    }
    f->fleet.outcome = FLEET_UNKNOWN; /* the table's names are short */
    struct cache_invalidate i = {.keys = keys, .keys_count = 100};
    assert_int_equal(invalidate(f, &i), STATUS_QUEUED);
    assert_int_equal(f->fleet.commits, 2);
}

static void many_keys_of_many_partitions_all_go(void **state)
{
    struct fixture *f = *state;
    char texts[1000][12];
    struct slice keys[1000];
    name_keys(texts, keys, 1000);
    for (unsigned n = 0; n < 40; n++)
        set(f, texts[n], "v");
    struct cache_invalidate i = {.keys = keys, .keys_count = 1000, .all = false};
    assert_int_equal(invalidate(f, &i), STATUS_OK);
    assert_in_range(f->fleet.commits, 40 + 4, 40 + 8);
    for (unsigned n = 0; n < 40; n++)
        assert_null(table_tier_find(&f->l1, keys[n]));
}

static void more_than_256_names_are_too_many_for_one_change(void **state)
{
    struct fixture *f = *state;
    char texts[257][12];
    struct slice tags[257];
    name_keys(texts, tags, 257);
    struct cache_invalidate i = {.tags = tags, .tags_count = 257};
    assert_int_equal(invalidate(f, &i), STATUS_LIMIT);
    assert_non_null(i.message);
    assert_int_equal(f->fleet.commits, 0);
}

/* ======= wait=all (C3) ======= */

static void a_set_that_waits_for_all_is_answered_when_every_promise_has_run_out(void **state)
{
    struct fixture *f = *state;
    struct cache_set s = a_set("k", "v");
    s.wait_all = true;
    done = 0;
    assert_int_equal(cache_set(f->cache, &s), CACHE_PENDING);
    f->now_ns += FLEET_FRESH_NS;
    cache_tick(f->cache);
    assert_int_equal(done, 0);
    f->now_ns += FLEET_FRESH_NS / 10;
    cache_tick(f->cache);
    assert_int_equal(done, 1);
    assert_int_equal(s.status, STATUS_OK);
}

static void a_long_turn_leaves_most_of_those_who_waited_for_all_to_the_next(void **state)
{
    enum { MANY = 50 }; /* the table has no room for more */
    struct fixture *f = *state;
    static struct cache_set sets[MANY];
    done = 0;
    for (unsigned n = 0; n < MANY; n++) {
        sets[n] = a_set("k", "v");
        sets[n].wait_all = true;
        assert_int_equal(cache_set(f->cache, &sets[n]), CACHE_PENDING);
    }
    f->now_ns += 2 * FLEET_FRESH_NS;
    f->turn_is_long = true;
    assert_true(cache_tick(f->cache));
    assert_in_range(done, 1, MANY / 4);
    while (cache_let_go(f->cache))
        ;
    assert_int_equal(done, MANY);
    assert_true(cache_idle(f->cache));
}

static void an_invalidation_that_waits_for_all_and_is_queued_is_answered_at_once(void **state)
{
    struct fixture *f = *state;
    struct slice keys[] = {slice_text("k")};
    struct cache_invalidate i = {.keys = keys, .keys_count = 1, .wait_all = true};
    lose(f);
    assert_int_equal(invalidate(f, &i), STATUS_QUEUED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_entry_nobody_vouches_for_is_compared_and_kept),
        TEST(an_entry_whose_comparison_the_absence_ends_is_served_flagged),
        TEST(what_is_below_a_gap_is_compared_and_what_changed_is_replaced),
        TEST(what_was_compared_once_is_not_compared_again),
        TEST(what_is_below_a_gap_is_not_served_while_the_fleet_is_away),
        TEST(another_epoch_makes_everything_here_absent),
        TEST(a_token_of_another_epoch_fills_nothing),
        TEST(a_reader_who_knows_of_a_change_elsewhere_gets_it_before_the_journal_brings_it),
        TEST(a_position_the_journal_has_passed_costs_nothing),
        TEST(an_unchanged_entry_is_confirmed_for_a_reader_ahead_of_the_journal),
        TEST(an_answer_older_than_the_position_is_a_miss),
        TEST(a_position_of_another_epoch_asks_the_fleet),
        TEST(a_position_that_cannot_be_reached_while_the_fleet_is_away_is_a_miss),
        TEST(nobody_joins_a_read_that_is_older_than_what_may_be_served),
        TEST(a_reader_ahead_of_the_journal_does_not_join_a_read_under_way),
        TEST(a_get_that_names_its_tiers_changes_nothing_in_the_others),
        TEST(a_reader_ahead_of_the_journal_leaves_nothing_older_behind),
        TEST(a_probe_ends_when_its_record_comes_back),
        TEST(a_probe_whose_record_came_before_the_answer_has_ended),
        TEST(a_probe_gives_up_when_no_record_comes),
        TEST(a_probe_tells_why_nothing_was_committed),
        TEST_4(a_position_says_nothing_of_keys_of_other_partitions),
        TEST_4(a_tag_is_one_change_in_each_partition),
        TEST_4(a_key_is_a_change_in_its_own_partition_only),
        TEST(what_nobody_vouches_for_counts_as_dropped),
        TEST(more_than_256_keys_are_several_changes),
        TEST(long_keys_make_no_change_of_more_than_64_kib),
        TEST_4(many_keys_of_many_partitions_all_go),
        TEST(more_than_256_names_are_too_many_for_one_change),
        TEST(a_set_that_waits_for_all_is_answered_when_every_promise_has_run_out),
        TEST(an_invalidation_that_waits_for_all_and_is_queued_is_answered_at_once),
        TEST(a_long_turn_leaves_most_of_those_who_waited_for_all_to_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
