/* Which policy a key has, its number, and its tags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/check.h"
#include "base/pattern.h"
#include "cache/policies.h"
#include "proto/status.h"

#define SECOND 1000000000ull

static const struct policy_rule plain = {.ttl = 3600 * SECOND,
                                         .max_ttl = 86400 * SECOND,
                                         .max_value = 1000,
                                         .serve_detached = true,
                                         .l1 = true,
                                         .warm = true,
                                         .l2 = true,
                                         .write_through = true,
                                         .store = true,
                                         .dump = true,
                                         .lease_scope = "host",
                                         .pattern = "",
                                         .namespace = "",
                                         .description = "",
                                         .tags = "",
                                         .cascade = "",
                                         .warming = ""};

static struct policy_source source(const char *name, const char *pattern)
{
    struct policy_source s = {.name = name, .rule = plain};
    s.rule.pattern = pattern;
    return s;
}

static struct policies *made(const struct policy_source *sources, unsigned count,
                             const struct policies *previous)
{
    struct policy_fault fault;
    struct policies *p = policies_create(&plain, sources, count, previous, &fault);
    if (!p)
        fail_msg("%s: %s", fault.option, fault.why);
    return p;
}

static const char *match(const struct policies *p, const char *key)
{
    return policies_match(p, slice_text(key))->name;
}

static void without_policies_everything_is_the_namespaces(void **state)
{
    struct policies *p = made(NULL, 0, NULL);
    assert_string_equal(match(p, "a:b"), "default");
    assert_int_equal(policies_match(p, slice_text("a"))->number, 0);
    assert_int_equal(policies_match(p, slice_text("a"))->ttl_ns, 3600 * SECOND);
    policies_destroy(p);
}

static void the_first_that_matches_wins(void **state)
{
    const struct policy_source sources[] = {source("one", "a:b:*"), source("two", "a:*"),
                                            source("three", "*:b:*"), source("never", "a:c")};
    struct policies *p = made(sources, 4, NULL);
    assert_string_equal(match(p, "a:b:c"), "one");
    assert_string_equal(match(p, "a:c"), "two");
    assert_string_equal(match(p, "x:b:c"), "three");
    assert_string_equal(match(p, "x:c"), "default");
    policies_destroy(p);
}

static void any_alternative_of_a_pattern_will_do(void **state)
{
    const struct policy_source sources[] = {source("static", "css:*, js:* ,img:{id}")};
    struct policies *p = made(sources, 1, NULL);
    assert_string_equal(match(p, "css:main"), "static");
    assert_string_equal(match(p, "js:main"), "static");
    assert_string_equal(match(p, "img:7"), "static");
    assert_string_equal(match(p, "img:7:thumb"), "default");
    policies_destroy(p);
}

static void options_become_what_holds(void **state)
{
    struct policy_source s = source("p", "*");
    s.rule.l2 = false;
    s.rule.l1_ttl = 5 * SECOND;
    s.rule.lease_scope = "fleet";
    struct policies *p = made(&s, 1, NULL);
    const struct policy *is = policies_match(p, slice_text("k"));
    assert_int_equal(is->tiers, 1u << TIER_L1 | 1u << TIER_WARM);
    assert_int_equal(is->l1_ttl_ns, 5 * SECOND);
    assert_int_equal(is->l2_ttl_ns, UINT64_MAX);
    assert_int_equal(is->negative_ttl_ns, is->ttl_ns);
    assert_int_equal(is->lease_scope, LEASE_SCOPE_FLEET);
    policies_destroy(p);
}

/* ======= the index against the plain way ======= */

static void random_text(char *to, unsigned *seed, const char *const *words, unsigned count, unsigned most)
{
    unsigned levels = 1 + (unsigned)rand_r(seed) % most;
    *to = '\0';
    for (unsigned i = 0; i < levels; i++) {
        strcat(to, i ? ":" : "");
        strcat(to, words[(unsigned)rand_r(seed) % count]);
    }
}

static const char *first_by_hand(const struct policy_source *sources, unsigned count, const char *key)
{
    struct key_levels levels;
    key_split(slice_text(key), &levels);
    for (unsigned i = 0; i < count; i++) {
        struct pattern_names names = {.count = 0};
        struct pattern pattern;
        const char *why;
        assert_true(pattern_parse(slice_text(sources[i].rule.pattern), &names, &pattern, &why));
        if (pattern_match(&pattern, &levels))
            return sources[i].name;
    }
    return "default";
}

static void the_index_finds_what_a_look_at_each_would(void **state)
{
    static const char *const parts[] = {"a",  "b",     "cc", "a-long-word-1", "a-long-word-2", "*",
                                        "a*", "x{n}y", ""};
    static const char *const words[] = {"a", "b", "cc", "a-long-word-1", "a-long-word-2", "xny", ""};
    enum { PATTERNS = 100 };
    static char texts[PATTERNS][256], names[PATTERNS][8];
    struct policy_source sources[PATTERNS];
    unsigned seed = 3, found = 0;
    for (unsigned round = 0; round < 40; round++) {
        for (unsigned i = 0; i < PATTERNS; i++) {
            do
                random_text(texts[i], &seed, parts, COUNT_OF(parts), 11);
            while (!*texts[i] || strstr(texts[i], "{n}") != strrchr(texts[i], '{'));
            snprintf(names[i], sizeof(names[i]), "p%u", i);
            sources[i] = source(names[i], texts[i]);
        }
        struct policies *p = made(sources, PATTERNS, NULL);
        for (unsigned k = 0; k < 500; k++) {
            char key[256];
            random_text(key, &seed, words, COUNT_OF(words), 12);
            const char *by_hand = first_by_hand(sources, PATTERNS, key);
            found += strcmp(by_hand, "default") != 0;
            if (*key && strcmp(match(p, key), by_hand) != 0)
                fail_msg("%s is %s, not %s", key, by_hand, match(p, key));
        }
        policies_destroy(p);
    }
    assert_true(found > 1000);
}

static void keys_of_any_bytes_have_a_policy(void **state)
{
    const struct policy_source sources[] = {source("zero", "a:{x}:*")};
    static const char key[] = "a:\0\xff:z";
    struct policies *p = made(sources, 1, NULL);
    assert_string_equal(policies_match(p, slice_of(key, sizeof(key) - 1))->name, "zero");
    policies_destroy(p);
}

/* ======= numbers ======= */

static unsigned number_of(const struct policies *p, const char *key)
{
    return policies_match(p, slice_text(key))->number;
}

static void a_number_follows_the_name(void **state)
{
    const struct policy_source before[] = {source("a", "a:*"), source("b", "b:*")};
    const struct policy_source after[] = {source("c", "c:*"), source("b", "bb:*"), source("a", "a:*")};
    struct policies *p = made(before, 2, NULL), *q = made(after, 3, p);
    assert_int_equal(number_of(q, "a:1"), number_of(p, "a:1"));
    assert_int_equal(number_of(q, "bb:1"), number_of(p, "b:1"));
    assert_int_equal(number_of(q, "c:1"), 3);
    assert_string_equal(policies_at(q, 3)->name, "c");
    assert_string_equal(policies_at(q, 99)->name, "default");
    policies_destroy(p);
    policies_destroy(q);
}

static void a_name_that_comes_back_has_its_number_again(void **state)
{
    const struct policy_source both[] = {source("a", "a:*"), source("b", "b:*")};
    struct policies *p = made(both, 2, NULL), *q = made(both, 1, p), *r = made(both, 2, q);
    assert_string_equal(policies_at(q, 2)->name, "default");
    assert_int_equal(number_of(r, "b:1"), 2);
    policies_destroy(p);
    policies_destroy(q);
    policies_destroy(r);
}

static void numbers_never_run_out(void **state)
{
    struct policy_source sources[POLICIES_MAX];
    static char names[POLICIES_MAX][16];
    struct policies *p = NULL;
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < POLICIES_MAX; i++) {
            snprintf(names[i], sizeof(names[i]), "p%u-%u", round, i);
            sources[i] = source(names[i], names[i]);
        }
        struct policies *next = made(sources, POLICIES_MAX, p);
        policies_destroy(p);
        p = next;
        bool taken[POLICY_NUMBERS] = {true};
        for (unsigned i = 0; i < POLICIES_MAX; i++) {
            unsigned number = number_of(p, names[i]);
            assert_false(taken[number]);
            taken[number] = true;
        }
    }
    policies_destroy(p);
}

/* ======= tags ======= */

static void tags_are_made_of_the_key(void **state)
{
    struct policy_source s = source("p", "{t}:user:{id}, user:{id}:{t}");
    struct policy_tags tags;
    s.rule.tags = "user:{id}, tenant-{t},all";
    struct policies *p = made(&s, 1, NULL);
    struct slice key = slice_text("user:42:acme");
    assert_true(policies_tags(p, policies_match(p, key), key, &tags));
    assert_int_equal(tags.count, 3);
    assert_true(slice_equal(tags.of[0], slice_text("user:42")));
    assert_true(slice_equal(tags.of[1], slice_text("tenant-acme")));
    assert_true(slice_equal(tags.of[2], slice_text("all")));
    policies_destroy(p);
}

static void a_tag_that_grows_too_long_is_told(void **state)
{
    struct policy_source s = source("p", "{t}:*");
    struct policy_tags tags;
    char key[400];
    s.rule.tags = "x{t}";
    struct policies *p = made(&s, 1, NULL);
    memset(key, 'k', sizeof(key));
    key[254] = ':';
    assert_true(policies_tags(p, policies_match(p, slice_of(key, 300)), slice_of(key, 300), &tags));
    assert_int_equal(tags.of[0].size, 255);
    key[254] = 'k';
    key[255] = ':';
    assert_false(policies_tags(p, policies_match(p, slice_of(key, 300)), slice_of(key, 300), &tags));
    policies_destroy(p);
}

/* ======= what is wrong ======= */

static void a_fault_names_policy_option_and_reason(void **state)
{
    static const struct {
        const char *pattern, *tags, *option, *why;
    } rows[] = {
        {"a:**", "", "pattern", "one * or {name}"},
        {"", "", "pattern", "nothing"},
        {"a, ,b", "", "pattern", "nothing"},
        {"{a}:*", "x{b}", "tags", "no such {name}"},
        {"{a}:*, b:*", "x{a}", "tags", "not every alternative"},
        {"*", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", "tags", "at most 16"},
        {"*", "a,,b", "tags", "nothing"},
    };
    for (unsigned i = 0; i < COUNT_OF(rows); i++) {
        struct policy_source sources[] = {source("fine", "*"), source("wrong", rows[i].pattern)};
        struct policy_fault fault;
        sources[1].rule.tags = rows[i].tags;
        assert_null(policies_create(&plain, sources, 2, NULL, &fault));
        assert_int_equal(fault.source, 1);
        assert_string_equal(fault.option, rows[i].option);
        if (!strstr(fault.why, rows[i].why))
            fail_msg("%s: %s", rows[i].pattern, fault.why);
    }
}

static void patterns_of_all_policies_have_a_bound(void **state)
{
    static char many[3000];
    struct policy_fault fault;
    for (unsigned i = 0; i < POLICY_PATTERNS_MAX; i++)
        snprintf(many + strlen(many), sizeof(many) - strlen(many), "%sp%u", i ? "," : "", i);
    struct policy_source sources[] = {source("many", many), source("one", "x")};
    policies_destroy(made(sources, 1, NULL));
    assert_null(policies_create(&plain, sources, 2, NULL, &fault));
    assert_non_null(strstr(fault.why, "256 patterns"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_policies_everything_is_the_namespaces),
        cmocka_unit_test(the_first_that_matches_wins),
        cmocka_unit_test(any_alternative_of_a_pattern_will_do),
        cmocka_unit_test(options_become_what_holds),
        cmocka_unit_test(the_index_finds_what_a_look_at_each_would),
        cmocka_unit_test(keys_of_any_bytes_have_a_policy),
        cmocka_unit_test(a_number_follows_the_name),
        cmocka_unit_test(a_name_that_comes_back_has_its_number_again),
        cmocka_unit_test(numbers_never_run_out),
        cmocka_unit_test(tags_are_made_of_the_key),
        cmocka_unit_test(a_tag_that_grows_too_long_is_told),
        cmocka_unit_test(a_fault_names_policy_option_and_reason),
        cmocka_unit_test(patterns_of_all_policies_have_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
