/* What policies make of gets and sets, on one host. */
#include <stdio.h>
#include "support/cache_rig.h"

#define SECOND NS_PER_S

/* One policy over everything, otherwise as the namespace. */
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

static uint64_t life_ms(const struct table_tier *t, const struct fixture *f, const char *key)
{
    struct table_row *row = table_tier_find((struct table_tier *)t, slice_text(key));
    return row ? (row->entry.hard_ns - f->now_ns) / NS_PER_MS : 0;
}

static bool holds(struct table_tier *t, const char *key)
{
    return table_tier_find(t, slice_text(key)) != NULL;
}

/* ======= lives ======= */

static void its_life_is_that_of_who_names_none(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    s.rule.ttl = 10 * SECOND;
    s.rule.stale = 5 * SECOND;
    take(f, &s);
    set(f, "t:a", "v");
    set(f, "other", "v");
    assert_int_equal(life_ms(&f->l1, f, "t:a"), 15000);
    assert_int_equal(life_ms(&f->l1, f, "other"), 60000);
    struct cache_set mine = a_set("t:b", "v");
    mine.ttl_ms = 20000;
    mine.stale_ms = 0;
    cache_set(f->cache, &mine);
    assert_int_equal(life_ms(&f->l1, f, "t:b"), 20000);
}

static void its_ceiling_is_over_what_callers_ask(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    s.rule.ttl = s.rule.max_ttl = 10 * SECOND;
    take(f, &s);
    struct cache_set mine = a_set("t:b", "v");
    mine.ttl_ms = 20000;
    cache_set(f->cache, &mine);
    assert_int_equal(life_ms(&f->warm, f, "t:b"), 10000);
}

static void what_does_not_exist_has_a_life_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    s.rule.negative_ttl = 3 * SECOND;
    take(f, &s);
    struct cache_set none = a_set("t:none", "");
    none.absent = true;
    cache_set(f->cache, &none);
    assert_int_equal(life_ms(&f->l1, f, "t:none"), 3000);
    none = a_set("t:none", "");
    none.absent = true;
    none.ttl_ms = 7000;
    cache_set(f->cache, &none);
    assert_int_equal(life_ms(&f->l1, f, "t:none"), 7000);
}

static void jitter_shortens_lives_by_its_share_at_most(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    uint64_t least = UINT64_MAX, most = 0;
    char key[16];
    s.rule.ttl = 10 * SECOND;
    s.rule.jitter = 200;
    take(f, &s);
    for (unsigned i = 0; i < 50; i++) {
        snprintf(key, sizeof(key), "t:%u", i);
        set(f, key, "v");
        uint64_t is = life_ms(&f->l1, f, key);
        least = is < least ? is : least;
        most = is > most ? is : most;
        assert_in_range(is, 8000, 10000);
    }
    assert_true(most > 9500 && least < 8500);
}

/* ======= tiers ======= */

static void a_tier_has_its_own_longest_life(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    s.rule.l1_ttl = 5 * SECOND;
    take(f, &s);
    set(f, "t:a", "v");
    assert_int_equal(life_ms(&f->l1, f, "t:a"), 5000);
    assert_int_equal(life_ms(&f->warm, f, "t:a"), 60000);
    f->now_ns += 6 * SECOND;
    assert_int_equal(get(f, "t:a"), STATUS_HIT); /* from warm, and promoted for as long again */
    assert_int_equal(life_ms(&f->l1, f, "t:a"), 5000);
    f->now_ns += 52 * SECOND;
    assert_int_equal(get(f, "t:a"), STATUS_HIT);
    assert_int_equal(life_ms(&f->l1, f, "t:a"), 2000); /* never longer than it has left */
}

static void a_tier_switched_off_holds_nothing_of_it(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    set(f, "t:a", "old");
    s.rule.l1 = false;
    take(f, &s);
    set(f, "t:a", "new");
    assert_false(holds(&f->l1, "t:a"));
    assert_int_equal(get(f, "t:a"), STATUS_HIT);
    assert_false(holds(&f->l1, "t:a")); /* nor by promotion */
    s.rule.l1 = true;
    s.rule.warm = false;
    take(f, &s);
    set(f, "t:a", "newer");
    assert_true(holds(&f->l1, "t:a"));
    assert_false(holds(&f->warm, "t:a"));
}

static void what_a_restart_brings_back_obeys_the_policy_of_today(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    set(f, "t:a", "v");
    struct entry kept = table_tier_find(&f->warm, slice_text("t:a"))->entry;
    f->l1.tier.ops->drop(&f->l1.tier, kept.key, kept.key_hash, kept.v + 1);
    s.rule.l1_ttl = 5 * SECOND;
    take(f, &s);
    assert_true(cache_take_restored(f->cache, &kept));
    assert_int_equal(life_ms(&f->l1, f, "t:a"), 5000);
    f->l1.tier.ops->drop(&f->l1.tier, kept.key, kept.key_hash, kept.v + 1);
    s.rule.l1 = false;
    take(f, &s);
    assert_true(cache_take_restored(f->cache, &kept));
    assert_false(holds(&f->l1, "t:a"));
}

static void a_touch_prolongs_each_tier_within_its_bound(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    s.rule.l1_ttl = 5 * SECOND;
    take(f, &s);
    set(f, "t:a", "v");
    f->now_ns += 2 * SECOND;
    struct cache_touch touch = {.key = slice_text("t:a"), .ttl_ms = 100000};
    assert_int_equal(cache_touch(f->cache, &touch), CACHE_DONE);
    assert_int_equal(touch.status, STATUS_OK);
    assert_int_equal(life_ms(&f->l1, f, "t:a"), 5000);
    assert_int_equal(life_ms(&f->warm, f, "t:a"), 100000);
}

/* ======= storing ======= */

static void store_off_keeps_nothing_and_drops_what_was_there(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    struct asked miss;
    set(f, "t:a", "old");
    s.rule.store = false;
    take(f, &s);
    assert_int_equal(set(f, "t:a", "new"), STATUS_SKIPPED);
    assert_false(holds(&f->l1, "t:a"));
    ask(f, &miss, "t:a");
    assert_int_equal(miss.get.status, STATUS_MISS);
    struct cache_set fill = a_set("t:a", "loaded");
    fill.token = slice_of(miss.get.token, miss.get.token_bytes);
    cache_set(f->cache, &fill);
    assert_int_equal(fill.status, STATUS_SKIPPED);
    assert_false(holds(&f->warm, "t:a"));
}

static void write_through_off_makes_a_set_a_removal_and_leaves_fills_alone(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    struct asked miss;
    set(f, "t:a", "old");
    s.rule.write_through = false;
    take(f, &s);
    assert_int_equal(set(f, "t:a", "new"), STATUS_SKIPPED);
    ask(f, &miss, "t:a");
    assert_int_equal(miss.get.status, STATUS_MISS);
    struct cache_set fill = a_set("t:a", "loaded");
    fill.token = slice_of(miss.get.token, miss.get.token_bytes);
    cache_set(f->cache, &fill);
    assert_int_equal(fill.status, STATUS_OK);
    assert_int_equal(get(f, "t:a"), STATUS_HIT);
}

static void its_values_have_a_bound(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    s.rule.max_value = 3;
    take(f, &s);
    assert_int_equal(set(f, "t:a", "123"), STATUS_OK);
    assert_int_equal(set(f, "t:a", "1234"), STATUS_TOO_BIG);
    assert_int_equal(set(f, "other", "1234"), STATUS_OK);
}

/* ======= tags ======= */

static void its_tags_come_on_top_of_the_callers(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    struct slice mine[] = {slice_text("mine"), slice_text("of:t")};
    s.rule.tags = "of:{t}, all";
    take(f, &s);
    struct cache_set x = a_set("t:a", "v");
    x.tags = mine;
    x.tags_count = 2;
    cache_set(f->cache, &x);
    assert_int_equal(table_tier_find(&f->l1, slice_text("t:a"))->entry.tags_count,
                     3); /* one was the caller's too */
    kill_tag(f, "of:t");
    assert_int_equal(get(f, "t:a"), STATUS_MISS);
}

static void caller_and_policy_share_the_bound_on_tags(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    struct slice mine[SHM_TAGS_MAX];
    char names[SHM_TAGS_MAX][4];
    s.rule.tags = "of:{t}";
    take(f, &s);
    for (unsigned i = 0; i < SHM_TAGS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "%u", i);
        mine[i] = slice_text(names[i]);
    }
    struct cache_set x = a_set("t:a", "v");
    x.tags = mine;
    x.tags_count = SHM_TAGS_MAX - 1;
    cache_set(f->cache, &x);
    assert_int_equal(x.status, STATUS_OK);
    set(f, "t:a", "old");
    x.tags_count = SHM_TAGS_MAX;
    cache_set(f->cache, &x);
    assert_int_equal(x.status, STATUS_LIMIT);
    struct asked a;
    ask(f, &a, "t:a");
    assert_true(slice_equal(a.get.entry.value, slice_text("old"))); /* nothing happened */
}

/* ======= another configuration ======= */

static void entries_live_on_when_policies_change(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f), other = a_policy(f);
    struct asked a;
    take(f, &s);
    set(f, "t:a", "v");
    other.name = "q";
    take(f, &other);
    ask(f, &a, "t:a");
    assert_int_equal(a.get.status, STATUS_HIT);
    assert_string_equal(policies_at(cache_policies(f->cache), a.get.entry.policy)->name, "q");
}

static void a_set_held_back_obeys_the_policy_of_when_it_is_let_go(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    cache_destroy(f->cache);
    open_cache(f, f->now_ns + SECOND);
    s.rule.tags = "of:{t}";
    take(f, &s);
    struct cache_set held = a_set("t:a", "v");
    assert_int_equal(cache_set(f->cache, &held), CACHE_PENDING);
    s.rule.pattern = "none";
    s.rule.tags = "";
    take(f, &s);
    f->now_ns += SECOND;
    cache_tick(f->cache);
    assert_int_equal(held.status, STATUS_OK);
    assert_int_equal(table_tier_find(&f->l1, slice_text("t:a"))->entry.tags_count, 0);
}

/* ======= figures ======= */

static struct policy_figures figures(struct fixture *f, const char *name)
{
    const struct policies *p = cache_policies(f->cache);
    struct policy_figures is = {0};
    for (unsigned i = 0; i < policies_count(p); i++)
        if (strcmp(policies_nth(p, i)->name, name) == 0)
            cache_measure_policy(f->cache, policies_nth(p, i)->number, &is);
    return is;
}

static void each_policy_counts_its_own(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    take(f, &s);
    set(f, "t:a", "v");
    get(f, "t:a");
    get(f, "t:b");
    get(f, "other");
    assert_int_equal(figures(f, "p").sets, 1);
    assert_int_equal(figures(f, "p").gets, 2);
    assert_int_equal(figures(f, "p").hits_l1, 1);
    assert_int_equal(figures(f, "p").misses, 1);
    assert_int_equal(figures(f, "default").gets, 1);
    assert_int_equal(figures(f, "default").sets, 0);
}

static void figures_survive_a_reload_by_name(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    take(f, &s);
    get(f, "t:b");
    take(f, &s);
    get(f, "t:b");
    assert_int_equal(figures(f, "p").misses, 2);
    s.name = "q";
    take(f, &s);
    assert_int_equal(figures(f, "q").misses, 0);
}

static void a_change_says_whose_it_was_even_of_what_is_not_there(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    struct slice name = slice_text("late");
    take(f, &s);
    for (int there = 0; there < 2; there++) {
        struct cache_touch touch = {.key = slice_text("t:a"), .ttl_ms = 100000};
        struct cache_tag tag = {.key = slice_text("t:a"), .tags = &name, .tags_count = 1};
        cache_touch(f->cache, &touch);
        cache_tag(f->cache, &tag);
        assert_int_equal(touch.status, there ? STATUS_OK : STATUS_NOT_FOUND);
        assert_int_equal(tag.status, touch.status);
        assert_string_equal(policies_number_name(cache_policies(f->cache), touch.policy), "p");
        assert_string_equal(policies_number_name(cache_policies(f->cache), tag.policy), "p");
        set(f, "t:a", "v");
    }
}

/* The histogram of the policy of that key, with one more in it. */
static uint64_t timed(struct fixture *f, const char *key, enum timed of)
{
    struct took took;
    unsigned number = policies_match(cache_policies(f->cache), slice_text(key))->number;
    took_waited(cache_policy_took(f->cache, number, of), 1000);
    cache_measure_policy_took(f->cache, number, of, &took);
    return took.turns.count;
}

static void times_survive_a_reload_by_name(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    take(f, &s);
    for (enum timed of = 0; of < TIMED_COUNT; of++) {
        assert_int_equal(timed(f, "t:a", of), 1);
        assert_int_equal(timed(f, "other", of), 1);
    }
    s.rule.ttl = 2 * SECOND;
    take(f, &s);
    for (enum timed of = 0; of < TIMED_COUNT; of++) {
        assert_int_equal(timed(f, "t:a", of), 2);
        assert_int_equal(timed(f, "other", of), 2);
    }
}

static void times_of_a_number_that_goes_to_another_name_begin_anew(void **state)
{
    struct fixture *f = *state;
    struct policy_source s = a_policy(f);
    char name[16];
    s.name = name;
    for (unsigned n = 0; n < 2 * POLICY_NUMBERS; n++) {
        snprintf(name, sizeof(name), "p%u", n);
        take(f, &s);
        assert_int_equal(timed(f, "t:a", TIMED_GET), 1);
        assert_int_equal(timed(f, "t:a", TIMED_SET), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(its_life_is_that_of_who_names_none),
        TEST(its_ceiling_is_over_what_callers_ask),
        TEST(what_does_not_exist_has_a_life_of_its_own),
        TEST(jitter_shortens_lives_by_its_share_at_most),
        TEST(a_tier_has_its_own_longest_life),
        TEST(a_tier_switched_off_holds_nothing_of_it),
        TEST(what_a_restart_brings_back_obeys_the_policy_of_today),
        TEST(a_touch_prolongs_each_tier_within_its_bound),
        TEST(store_off_keeps_nothing_and_drops_what_was_there),
        TEST(write_through_off_makes_a_set_a_removal_and_leaves_fills_alone),
        TEST(its_values_have_a_bound),
        TEST(its_tags_come_on_top_of_the_callers),
        TEST(caller_and_policy_share_the_bound_on_tags),
        TEST(entries_live_on_when_policies_change),
        TEST(a_set_held_back_obeys_the_policy_of_when_it_is_let_go),
        TEST(each_policy_counts_its_own),
        TEST(figures_survive_a_reload_by_name),
        TEST(a_change_says_whose_it_was_even_of_what_is_not_there),
        TEST(times_survive_a_reload_by_name),
        TEST(times_of_a_number_that_goes_to_another_name_begin_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
