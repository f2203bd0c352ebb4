/* What a get finds, and what it may carry upwards or join; invalidation, listing. */
#include "base/tag_names.h"
#include "support/cache_rig.h"

/* ======= get ======= */

static void a_set_is_found_in_both_tiers(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set(f, "k", "v"), STATUS_OK);
    assert_int_equal(get(f, "k"), STATUS_HIT);
    assert_non_null(table_tier_find(&f->l1, slice_text("k")));
    assert_non_null(table_tier_find(&f->warm, slice_text("k")));
}

static void a_hit_in_warm_is_carried_into_l1(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    table_tier_find(&f->l1, slice_text("k"))->used = false;
    struct asked a;
    ask(f, &a, "k");
    assert_int_equal(a.get.tier, TIER_WARM);
    assert_int_equal(get(f, "k"), STATUS_HIT);
    ask(f, &a, "k");
    assert_int_equal(a.get.tier, TIER_L1);
}

static void promotion_keeps_the_remaining_life(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    uint64_t hard_ns = table_tier_find(&f->warm, slice_text("k"))->entry.hard_ns;
    table_tier_find(&f->l1, slice_text("k"))->used = false;
    f->now_ns += 30 * NS_PER_S;
    get(f, "k");
    assert_int_equal(table_tier_find(&f->l1, slice_text("k"))->entry.hard_ns, hard_ns);
}

static void past_soft_is_stale_and_past_hard_is_a_miss(void **state)
{
    struct fixture *f = *state;
    struct cache_set s = a_set("k", "v");
    s.ttl_ms = 1000;
    s.stale_ms = 1000;
    cache_set(f->cache, &s);
    struct asked a;
    f->now_ns += NS_PER_S;
    ask(f, &a, "k");
    assert_int_equal(a.get.status, STATUS_HIT);
    assert_true(a.get.entry.stale);
    a = (struct asked){.get = {.key = slice_text("k"), .no_stale = true}};
    cache_get(f->cache, &a.get);
    assert_int_equal(a.get.status, STATUS_MISS);
    assert_int_equal(a.get.reason, MISS_STALE);
    f->now_ns += NS_PER_S;
    ask(f, &a, "k");
    assert_int_equal(a.get.status, STATUS_MISS);
    assert_int_equal(a.get.reason, MISS_EXPIRED);
}

static void whoever_only_looks_is_not_counted(void **state)
{
    struct fixture *f = *state;
    struct cache_figures figures;
    set(f, "k", "v");
    struct cache_get found = {.key = slice_text("k"), .no_promote = true};
    struct cache_get missed = {.key = slice_text("none"), .no_promote = true};
    cache_get(f->cache, &found);
    cache_get(f->cache, &missed);
    cache_measure(f->cache, &figures);
    assert_int_equal(figures.gets + figures.hits_l1 + figures.misses, 0);
    get(f, "k");
    get(f, "none");
    cache_measure(f->cache, &figures);
    assert_int_equal(figures.gets, 2);
    assert_int_equal(figures.hits_l1, 1);
    assert_int_equal(figures.misses, 1);
}

static void a_version_that_is_current_is_not_sent_again(void **state)
{
    struct fixture *f = *state;
    struct cache_set s = a_set("k", "v");
    cache_set(f->cache, &s);
    struct cache_get g = {.key = slice_text("k"), .if_version = true, .version = s.result};
    cache_get(f->cache, &g);
    assert_int_equal(g.status, STATUS_NOT_MODIFIED);
    set(f, "k", "w");
    cache_get(f->cache, &g);
    assert_int_equal(g.status, STATUS_HIT);
}

static void gets_of_one_key_share_one_slow_read(void **state)
{
    struct fixture *f = *state;
    struct asked a, b;
    set(f, "k", "v");
    table_tier_find(&f->l1, slice_text("k"))->used = false;
    f->warm.slow = true;
    f->warm.gets = 0;
    assert_int_equal(ask(f, &a, "k"), CACHE_PENDING);
    assert_int_equal(ask(f, &b, "k"), CACHE_PENDING);
    assert_int_equal(f->warm.gets, 1);
    table_tier_land(&f->warm);
    assert_int_equal(a.done + b.done, 2);
    assert_int_equal(b.get.status, STATUS_HIT);
    assert_non_null(table_tier_find(&f->l1, slice_text("k")));
}

/* F9: the loader's question was asked before the change, the second one after it. */
static void a_get_after_a_change_does_not_join_a_read_from_before(void **state)
{
    struct fixture *f = *state;
    struct asked before, after;
    set(f, "k", "old");
    table_tier_find(&f->l1, slice_text("k"))->used = false;
    f->warm.slow = true;
    ask(f, &before, "k");
    invalidate(f, "k");
    f->warm.gets = 0;
    assert_int_equal(ask(f, &after, "k"), CACHE_PENDING);
    assert_int_equal(f->warm.gets, 1);
    table_tier_land(&f->warm);
    assert_int_equal(before.done, 1);
    assert_int_equal(after.get.status, STATUS_MISS);
}

/* I3: what a read brings that a change overtook is inserted nowhere. */
static void an_overtaken_read_is_not_promoted(void **state)
{
    struct fixture *f = *state;
    struct asked a;
    set(f, "k", "old");
    struct table_row kept = *table_tier_find(&f->warm, slice_text("k"));
    table_tier_find(&f->l1, slice_text("k"))->used = false;
    f->warm.slow = true;
    ask(f, &a, "k");
    invalidate(f, "k");
    kept.entry.key.data = kept.key; /* the read had seen the old record: hand it out late */
    kept.entry.value.data = kept.value;
    f->warm.rows[0] = kept;
    f->warm.rows[0].entry.key.data = f->warm.rows[0].key;
    f->warm.rows[0].entry.value.data = f->warm.rows[0].value;
    table_tier_land(&f->warm);
    assert_int_equal(a.done, 1);
    assert_null(table_tier_find(&f->l1, slice_text("k")));
}

static void a_key_is_1_to_1024_bytes(void **state)
{
    struct fixture *f = *state;
    static char longest[1025];
    memset(longest, 'k', sizeof(longest));
    struct cache_get g = {.key = slice_of(longest, 1024)};
    cache_get(f->cache, &g);
    assert_int_equal(g.status, STATUS_MISS);
    g.key.size = 1025;
    cache_get(f->cache, &g);
    assert_int_equal(g.status, STATUS_BAD_KEY);
    g.key.size = 0;
    cache_get(f->cache, &g);
    assert_int_equal(g.status, STATUS_BAD_KEY);
}

static void switched_off_everything_misses_and_nothing_is_stored(void **state)
{
    struct fixture *f = *state;
    f->options.cache = false;
    assert_int_equal(set(f, "k", "v"), STATUS_SKIPPED);
    struct asked a;
    ask(f, &a, "k");
    assert_int_equal(a.get.reason, MISS_DISABLED);
}

/* ======= touch ======= */

static void touch_lengthens_and_never_shortens(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    struct cache_touch t = {.key = slice_text("k"), .ttl_ms = 300000};
    cache_touch(f->cache, &t);
    assert_int_equal(t.status, STATUS_OK);
    assert_int_equal(t.ttl_left_ms, 300000);
    t.ttl_ms = 1000;
    cache_touch(f->cache, &t);
    assert_int_equal(t.ttl_left_ms, 300000);
    f->now_ns += 299 * NS_PER_S;
    assert_int_equal(get(f, "k"), STATUS_HIT);
    t.key = slice_text("nobody");
    cache_touch(f->cache, &t);
    assert_int_equal(t.status, STATUS_NOT_FOUND);
}

/* ======= invalidate ======= */

static void everything_named_in_one_call_is_one_position(void **state)
{
    struct fixture *f = *state;
    set(f, "a", "1");
    set(f, "b", "2");
    struct slice keys[] = {slice_text("a"), slice_text("b"), slice_text("nobody")},
                 tags[] = {slice_text("t")};
    struct cache_invalidate i = {.keys = keys, .keys_count = 3, .tags = tags, .tags_count = 1};
    uint64_t before = cache_position(f->cache);
    cache_invalidate(f->cache, &i);
    assert_int_equal(i.count, 2);
    assert_int_equal(cache_position(f->cache), before + 1);
    assert_int_equal(i.result.v, before + 1);
    assert_int_equal(get(f, "a"), STATUS_MISS);
}

static void a_killed_tag_hides_what_carried_it_and_not_what_is_set_later(void **state)
{
    struct fixture *f = *state;
    struct slice tags[] = {slice_text("t")};
    struct cache_set s = a_set("k", "v");
    s.tags = tags;
    s.tags_count = 1;
    cache_set(f->cache, &s);
    set(f, "plain", "v");
    kill_tag(f, "t");
    struct asked a;
    ask(f, &a, "k");
    assert_int_equal(a.get.reason, MISS_INVALIDATED);
    assert_int_equal(get(f, "plain"), STATUS_HIT);
    cache_set(f->cache, &s);
    assert_int_equal(get(f, "k"), STATUS_HIT);
}

static enum status get_named(struct fixture *f, const char *key, struct cache_get *g)
{
    *g = (struct cache_get){.key = slice_text(key), .tag_names = true, .done = get_done};
    assert_int_equal(cache_get(f->cache, g), CACHE_DONE);
    return g->status;
}

/* L1 has prints of them only. */
static void tags_are_told_by_who_knows_their_names(void **state)
{
    struct fixture *f = *state;
    struct slice tags[] = {slice_text("red"), slice_text("blue")}, rest, name;
    struct cache_set s = a_set("k", "v");
    struct cache_get g;
    s.tags = tags;
    s.tags_count = 2;
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    table_tier_find(&f->l1, slice_text("k"))->entry.tag_names.size = 0;
    assert_int_equal(get(f, "k"), STATUS_HIT);
    assert_int_equal(get_named(f, "k", &g), STATUS_HIT);
    assert_int_equal(g.tier, TIER_WARM);
    rest = g.entry.tag_names;
    assert_true(tag_names_next(&rest, &name) && slice_equal(name, tags[0]));
    assert_true(tag_names_next(&rest, &name) && slice_equal(name, tags[1]));
}

static void what_nobody_knows_the_tags_of_is_not_given_without_them(void **state)
{
    struct fixture *f = *state;
    struct slice tag = slice_text("red");
    struct cache_set s = a_set("k", "v");
    struct cache_get g;
    s.tags = &tag;
    s.tags_count = 1;
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    assert_int_equal(set(f, "untagged", "v"), STATUS_OK);
    table_tier_find(&f->l1, slice_text("k"))->entry.tag_names.size = 0;
    table_tier_find(&f->warm, slice_text("k"))->entry.tag_names.size = 0;
    assert_int_equal(get_named(f, "k", &g), STATUS_MISS);
    assert_int_equal(g.reason, MISS_UNNAMED);
    assert_int_equal(get_named(f, "untagged", &g), STATUS_HIT);
    assert_int_equal(g.tier, TIER_L1);
}

static void a_soft_invalidation_leaves_it_stale(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    struct slice keys[] = {slice_text("k")};
    struct cache_invalidate i = {.keys = keys, .keys_count = 1, .soft = true};
    cache_invalidate(f->cache, &i);
    struct asked a;
    ask(f, &a, "k");
    assert_int_equal(a.get.status, STATUS_HIT);
    assert_true(a.get.entry.stale);
}

static void a_dry_run_counts_and_changes_nothing(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    struct slice keys[] = {slice_text("k")};
    struct cache_invalidate i = {.keys = keys, .keys_count = 1, .dry_run = true};
    uint64_t before = cache_position(f->cache);
    cache_invalidate(f->cache, &i);
    assert_int_equal(i.count, 1);
    assert_int_equal(cache_position(f->cache), before);
    assert_int_equal(get(f, "k"), STATUS_HIT);
}

static void what_is_no_prefix_is_refused_with_a_sentence(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"acme", "", "1:2:3:4:5:6:7:8:9:"};
    for (unsigned n = 0; n < 3; n++) {
        struct slice prefixes[] = {slice_text(bad[n])};
        struct cache_invalidate i = {.prefixes = prefixes, .prefixes_count = 1};
        cache_invalidate(f->cache, &i);
        assert_int_equal(i.status, STATUS_BAD_REQUEST);
        assert_non_null(i.message);
    }
    struct cache_invalidate nothing = {0};
    cache_invalidate(f->cache, &nothing);
    assert_int_equal(nothing.status, STATUS_BAD_REQUEST);
}

static void forgetting_kills_refuses_tokens_from_before_them(void **state)
{
    struct fixture *f = *state;
    struct asked miss;
    ask(f, &miss, "acme:k");
    kill_tag(f, "t");
    cache_prune_kills(f->cache, cache_position(f->cache));
    assert_int_equal(kills_count(f->kills), 0);
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_REFUSED);
}

/* ======= listing ======= */

static bool count_listed(void *user, const struct cache_listed *listed)
{
    ++*(unsigned *)user;
    return true;
}

static void every_key_is_listed_once_whatever_the_tiers_and_the_page(void **state)
{
    struct fixture *f = *state;
    set(f, "both", "v");
    set(f, "also", "v");
    struct cache_set s = a_set("warm", "v");
    s.tiers = 1 << TIER_WARM;
    cache_set(f->cache, &s);
    s = a_set("near", "v");
    s.tiers = 1 << TIER_L1;
    cache_set(f->cache, &s);
    for (uint32_t limit = 1; limit < 5; limit++) {
        unsigned seen = 0;
        uint64_t cursor = 0;
        do
            cache_list(f->cache, &cursor, limit, count_listed, &seen);
        while (cursor);
        assert_int_equal(seen, 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_set_is_found_in_both_tiers),
        TEST(a_hit_in_warm_is_carried_into_l1),
        TEST(promotion_keeps_the_remaining_life),
        TEST(past_soft_is_stale_and_past_hard_is_a_miss),
        TEST(whoever_only_looks_is_not_counted),
        TEST(a_version_that_is_current_is_not_sent_again),
        TEST(gets_of_one_key_share_one_slow_read),
        TEST(a_get_after_a_change_does_not_join_a_read_from_before),
        TEST(an_overtaken_read_is_not_promoted),
        TEST(a_key_is_1_to_1024_bytes),
        TEST(switched_off_everything_misses_and_nothing_is_stored),
        TEST(touch_lengthens_and_never_shortens),
        TEST(everything_named_in_one_call_is_one_position),
        TEST(a_killed_tag_hides_what_carried_it_and_not_what_is_set_later),
        TEST(tags_are_told_by_who_knows_their_names),
        TEST(what_nobody_knows_the_tags_of_is_not_given_without_them),
        TEST(a_soft_invalidation_leaves_it_stale),
        TEST(a_dry_run_counts_and_changes_nothing),
        TEST(what_is_no_prefix_is_refused_with_a_sentence),
        TEST(forgetting_kills_refuses_tokens_from_before_them),
        TEST(every_key_is_listed_once_whatever_the_tiers_and_the_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
