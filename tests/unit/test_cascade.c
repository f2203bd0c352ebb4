/* Cascade rules: what dies with a key or a prefix, and what is refused when it is loaded. */
#include <stdio.h>
#include "support/cache_rig.h"

struct rule {
    const char *pattern, *cascade;
};

static struct policies *made(struct fixture *f, const struct rule *rules, unsigned count,
                             struct policy_fault *fault)
{
    static char names[POLICIES_MAX][16];
    struct policy_rule own = cache_default_rule(&f->options);
    struct policy_source sources[POLICIES_MAX];
    for (unsigned i = 0; i < count; i++) {
        snprintf(names[i], sizeof(names[i]), "p%u", i);
        sources[i] = (struct policy_source){names[i], own};
        sources[i].rule.pattern = rules[i].pattern;
        sources[i].rule.cascade = rules[i].cascade;
    }
    return policies_create(&own, sources, count, cache_policies(f->cache), fault);
}

static void take(struct fixture *f, const struct rule *rules, unsigned count)
{
    struct policy_fault fault;
    struct policies *p = made(f, rules, count, &fault);
    if (!p)
        fail_msg("%s: %s", fault.option, fault.why);
    cache_take_policies(f->cache, p);
}

static void set_tagged(struct fixture *f, const char *key, const char *tag)
{
    struct slice tags[] = {slice_text(tag)};
    struct cache_set s = a_set(key, "v");
    s.tags = tags;
    s.tags_count = 1;
    cache_set(f->cache, &s);
}

static struct cache_invalidate kill_prefix(struct fixture *f, const char *prefix)
{
    struct slice prefixes[] = {slice_text(prefix)};
    struct cache_invalidate i = {.prefixes = prefixes, .prefixes_count = 1, .done = invalidate_done};
    assert_int_equal(cache_invalidate(f->cache, &i), CACHE_DONE);
    return i;
}

static void a_key_takes_along_what_its_rule_names(void **state)
{
    struct fixture *f = *state;
    take(f, &(struct rule){"{t}:message:{id}", "key \"{t}:thread:{id}\", tag dashboard:{t}, {t}:unread:*"},
         1);
    set(f, "acme:message:7", "v");
    set(f, "acme:thread:7", "v");
    set(f, "acme:thread:8", "v");
    set(f, "acme:unread:u1:x", "v");
    set_tagged(f, "page", "dashboard:acme");
    set_tagged(f, "other", "dashboard:umbrella");
    invalidate(f, "acme:message:7");
    assert_int_equal(get(f, "acme:thread:7"), STATUS_MISS);
    assert_int_equal(get(f, "acme:unread:u1:x"), STATUS_MISS);
    assert_int_equal(get(f, "page"), STATUS_MISS);
    assert_int_equal(get(f, "acme:thread:8"), STATUS_HIT);
    assert_int_equal(get(f, "other"), STATUS_HIT);
}

static void all_of_it_is_one_change_with_one_count(void **state)
{
    struct fixture *f = *state;
    take(f, &(struct rule){"a:{x}", "b:{x}, c:{x}"}, 1);
    set(f, "a:1", "v");
    set(f, "b:1", "v");
    uint64_t before = cache_position(f->cache);
    struct slice keys[] = {slice_text("a:1")};
    struct cache_invalidate i = {.keys = keys, .keys_count = 1, .done = invalidate_done};
    assert_int_equal(cache_invalidate(f->cache, &i), CACHE_DONE);
    assert_int_equal(cache_position(f->cache), before + 1);
    assert_int_equal(i.count, 2);
    assert_ptr_equal(i.keys, keys); /* the caller's again */
    assert_int_equal(i.keys_count, 1);
    struct cache_figures figures;
    cache_measure(f->cache, &figures);
    assert_int_equal(figures.cascaded, 2);
}

static void a_dry_run_counts_what_would_go_along(void **state)
{
    struct fixture *f = *state;
    take(f, &(struct rule){"a:{x}", "b:{x}"}, 1);
    set(f, "b:1", "v");
    struct slice keys[] = {slice_text("a:1")};
    struct cache_invalidate i = {.keys = keys, .keys_count = 1, .dry_run = true, .done = invalidate_done};
    assert_int_equal(cache_invalidate(f->cache, &i), CACHE_DONE);
    assert_int_equal(i.count, 1);
    assert_int_equal(get(f, "b:1"), STATUS_HIT);
}

static void what_is_named_is_followed_in_turn(void **state)
{
    struct fixture *f = *state;
    take(f, (struct rule[]){{"a:{x}", "b:{x}"}, {"b:{x}", "c:{x}:{x}"}, {"c:{x}:*", "tag t{x}"}}, 3);
    set_tagged(f, "page", "t1");
    set(f, "c:1:1", "v");
    invalidate(f, "a:1");
    assert_int_equal(get(f, "c:1:1"), STATUS_MISS);
    assert_int_equal(get(f, "page"), STATUS_MISS);
}

static void a_glob_follows_the_rules_of_what_it_may_match_as_far_as_it_decides_their_names(void **state)
{
    struct fixture *f = *state;
    take(f,
         &(struct rule){"{t}:message:{id}", "tag dashboard:{t}, key \"{t}:thread:{id}\", key \"{t}:count\""},
         1);
    set_tagged(f, "page", "dashboard:acme");
    set(f, "acme:thread:7", "v");
    set(f, "acme:count", "v");
    struct slice beside[] = {slice_text("acme:note:*")},
                 globs[] = {slice_text("acme:*:7x"), slice_text("acme:mess*:*")};
    struct cache_invalidate i = {.globs = beside, .globs_count = 1};
    cache_invalidate(f->cache, &i);
    assert_int_equal(get(f, "page"), STATUS_HIT);
    i = (struct cache_invalidate){.globs = globs, .globs_count = 2};
    cache_invalidate(f->cache, &i);
    assert_int_equal(i.status, STATUS_OK);
    assert_int_equal(get(f, "page"), STATUS_MISS);
    assert_int_equal(get(f, "acme:count"), STATUS_MISS);
    assert_int_equal(get(f, "acme:thread:7"), STATUS_HIT); /* {id} is 7x, or not known */
}

static void a_prefix_follows_the_rules_of_what_lies_below_it(void **state)
{
    struct fixture *f = *state;
    take(f,
         (struct rule[]){{"{t}:message:{id}", "tag all:{t}, tag one:{id}"}, {"{t}:user:*", "tag users:{t}"}},
         2);
    set_tagged(f, "x", "all:acme");
    set_tagged(f, "y", "users:acme");
    set_tagged(f, "z", "all:umbrella");
    kill_prefix(f, "acme:message:");
    assert_int_equal(get(f, "x"), STATUS_MISS);
    assert_int_equal(get(f, "y"), STATUS_HIT);
    assert_int_equal(get(f, "z"), STATUS_HIT);
    kill_prefix(f, "acme:");
    assert_int_equal(get(f, "y"), STATUS_MISS);
    assert_int_equal(kill_prefix(f, "acme:message:7:").status, STATUS_OK); /* no key of a rule is below */
}

static void only_the_rule_of_a_keys_own_policy_holds(void **state)
{
    struct fixture *f = *state;
    take(f, (struct rule[]){{"a:1", ""}, {"a:{x}", "b:{x}"}}, 2);
    set(f, "b:1", "v");
    set(f, "b:2", "v");
    invalidate(f, "a:1");
    invalidate(f, "a:2");
    assert_int_equal(get(f, "b:1"), STATUS_HIT);
    assert_int_equal(get(f, "b:2"), STATUS_MISS);
}

static void a_soft_invalidation_is_soft_all_along(void **state)
{
    struct fixture *f = *state;
    take(f, &(struct rule){"a:{x}", "b:{x}"}, 1);
    struct cache_set s = a_set("b:1", "v");
    s.ttl_ms = 1000;
    s.stale_ms = 1000;
    cache_set(f->cache, &s);
    struct slice keys[] = {slice_text("a:1")};
    struct cache_invalidate i = {.keys = keys, .keys_count = 1, .soft = true, .done = invalidate_done};
    assert_int_equal(cache_invalidate(f->cache, &i), CACHE_DONE);
    struct asked a;
    ask(f, &a, "b:1");
    assert_true(a.get.entry.stale);
}

static void a_name_that_grows_too_long_stops_it_before_anything_happens(void **state)
{
    struct fixture *f = *state;
    static char key[1000];
    take(f, &(struct rule){"a:{x}", "b:{x}{x}, tag {x}"}, 1);
    memset(key, 'k', sizeof(key) - 1);
    memcpy(key, "a:", 2);
    uint64_t before = cache_position(f->cache);
    assert_int_equal(invalidate(f, key), STATUS_LIMIT);
    assert_int_equal(cache_position(f->cache), before);
}

static void a_change_held_back_is_followed_when_it_is_let_go(void **state)
{
    struct fixture *f = *state;
    cache_destroy(f->cache);
    open_cache(f, f->now_ns + NS_PER_S);
    take(f, &(struct rule){"a:{x}", "b:{x}"}, 1);
    struct slice keys[] = {slice_text("a:1")};
    struct cache_invalidate i = {.keys = keys, .keys_count = 1, .done = invalidate_done};
    assert_int_equal(cache_invalidate(f->cache, &i), CACHE_PENDING);
    f->now_ns += NS_PER_S;
    cache_tick(f->cache);
    assert_int_equal(i.status, STATUS_OK);
    assert_int_equal(f->l1.drops, 2);
}

/* ======= what is refused ======= */

static void rules_that_lead_back_to_themselves_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        struct rule rules[3];
        unsigned count, source;
        const char *why;
    } rows[] = {
        {{{"a:{x}", "a:{x}"}}, 1, 0, "p0 → p0: a rule may not lead back to itself"},
        {{{"a:*", "b:1"}, {"b:*", "c:1"}, {"c:*", "a:1"}}, 3, 0, "p0 → p1 → p2 → p0: a rule may"},
        {{{"z", "a:1"}, {"a:*", "b:1"}, {"b:*", "a:1"}}, 3, 1, "p1 → p2 → p1"},
        {{{"a:{x}", "prefix \"a:\""}}, 1, 0, "p0 → p0"},
        {{{"{t}:x:*", "{t}:*"}}, 1, 0, "p0 → p0"},
    };
    for (unsigned i = 0; i < COUNT_OF(rows); i++) {
        struct policy_fault fault;
        assert_null(made(f, rows[i].rules, rows[i].count, &fault));
        assert_string_equal(fault.option, "cascade");
        assert_int_equal(fault.source, rows[i].source);
        if (!strstr(fault.why, rows[i].why))
            fail_msg("%u: %s", i, fault.why);
    }
}

static void rules_that_meet_without_a_circle_are_fine(void **state)
{
    struct fixture *f = *state;
    take(f,
         (struct rule[]){
             {"a:{x}", "c:{x}, tag a"}, {"b:{x}", "c:{x}, tag b"}, {"c:{x}", "d:{x}"}, {"d:*", ""}},
         4);
    take(f, (struct rule[]){{"course:{id}", "course:{id}:stats, course:{id}:*"}}, 1);
}

static void what_is_no_rule_is_refused_with_a_reason(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *cascade, *why;
    } rows[] = {
        {"b:{y}", "no such {name}"},        {"\"b:{x}", "quotation mark"},
        {"b:*:c", "a * can only end it"},   {"prefix b", "ends with ':'"},
        {"b*", "a * can only end it"},      {"prefix \"a:a:a:a:a:a:a:a:a:\"", "at most 8"},
        {"b:{x},,c", "nothing in it"},      {"tag \"\"", "nothing in it"},
        {"key b:*", "a * can only end it"},
    };
    for (unsigned i = 0; i < COUNT_OF(rows); i++) {
        struct policy_fault fault;
        assert_null(made(f, &(struct rule){"a:{x}", rows[i].cascade}, 1, &fault));
        if (!strstr(fault.why, rows[i].why))
            fail_msg("%s: %s", rows[i].cascade, fault.why);
    }
}

/* ======= events ======= */

static void take_event(struct fixture *f, const char *name, const char *invalidate)
{
    struct policy_rule own = cache_default_rule(&f->options);
    struct policy_fault fault;
    struct policies *p = policies_create(&own, NULL, 0, cache_policies(f->cache), &fault);
    assert_true(policies_add_event(p, name, &(struct event_rule){invalidate}, &fault));
    cache_take_policies(f->cache, p);
}

static void an_event_names_what_its_rule_says(void **state)
{
    struct fixture *f = *state;
    _Alignas(max_align_t) char room[CACHE_EVENT_ROOM(4)];
    const struct slice words[] = {slice_text("other"), slice_text("x"), slice_text("id"), slice_text("7")};
    struct cache_event e = {.name = slice_text("e"), .arguments = words, .arguments_count = 4};
    take_event(f, "e", "a:{id}, tag t, {id}:*, key \"b\"");
    assert_int_equal(cache_event_names(f->cache, slice_text("e")), 4);
    assert_int_equal(cache_event_names(f->cache, slice_text("none")), 0);
    assert_int_equal(cache_event_fill(f->cache, &e, room), STATUS_OK);
    assert_int_equal(e.keys_count, 2);
    assert_true(slice_equal(e.keys[0], slice_text("a:7")) && slice_equal(e.keys[1], slice_text("b")));
    assert_true(e.tags_count == 1 && slice_equal(e.tags[0], slice_text("t")));
    assert_true(e.prefixes_count == 1 && slice_equal(e.prefixes[0], slice_text("7:")));
}

static void an_event_whose_names_grow_too_long_is_refused(void **state)
{
    struct fixture *f = *state;
    _Alignas(max_align_t) char room[CACHE_EVENT_ROOM(1)], value[255];
    memset(value, 'v', sizeof(value));
    const struct slice words[] = {slice_text("id"), slice_of(value, sizeof(value))};
    struct cache_event e = {.name = slice_text("e"), .arguments = words, .arguments_count = 2};
    take_event(f, "e", "tag x{id}");
    assert_int_equal(cache_event_fill(f->cache, &e, room), STATUS_LIMIT);
    take_event(f, "e", "tag {id}");
    assert_int_equal(cache_event_fill(f->cache, &e, room), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_key_takes_along_what_its_rule_names),
        TEST(all_of_it_is_one_change_with_one_count),
        TEST(a_dry_run_counts_what_would_go_along),
        TEST(what_is_named_is_followed_in_turn),
        TEST(a_glob_follows_the_rules_of_what_it_may_match_as_far_as_it_decides_their_names),
        TEST(a_prefix_follows_the_rules_of_what_lies_below_it),
        TEST(only_the_rule_of_a_keys_own_policy_holds),
        TEST(a_soft_invalidation_is_soft_all_along),
        TEST(a_name_that_grows_too_long_stops_it_before_anything_happens),
        TEST(a_change_held_back_is_followed_when_it_is_let_go),
        TEST(rules_that_lead_back_to_themselves_are_refused),
        TEST(rules_that_meet_without_a_circle_are_fine),
        TEST(what_is_no_rule_is_refused_with_a_reason),
        TEST(an_event_names_what_its_rule_says),
        TEST(an_event_whose_names_grow_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
