/* What a pattern matches and remembers, and what is made of it. */
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

static struct pattern parsed(const char *text, struct pattern_names *names)
{
    struct pattern p;
    const char *why;
    if (!pattern_parse(slice_text(text), names, &p, &why))
        fail_msg("%s: %s", text, why);
    return p;
}

static bool match(const struct pattern *p, struct slice key, struct captures *ret)
{
    struct key_levels levels;
    key_split(key, &levels);
    if (!pattern_match(p, &levels))
        return false;
    if (ret)
        pattern_remember(p, &levels, ret);
    return true;
}

static bool matches(const char *pattern, struct slice key, struct captures *ret)
{
    struct pattern_names names = {.count = 0};
    struct pattern p = parsed(pattern, &names);
    return match(&p, key, ret);
}

static void a_pattern_matches_what_its_levels_say(void **state)
{
    static const struct {
        const char *pattern, *key;
        bool is;
    } rows[] = {
        {"a", "a", true},
        {"a", "ab", false},
        {"a", "a:", false},
        {"org:*", "org:1", true},
        {"org:*", "org:1:members:7", true},
        {"org:*", "org:", true},
        {"org:*", "org", false},
        {"org:*", "organ:1", false},
        {"*", "whatever:it:is", true},
        {"*", ":", true},
        {"session*", "session:1", true},
        {"session*", "sessions", true},
        {"session*", "sess", false},
        {"*:user:*", "t1:user:2", true},
        {"*:user:*", ":user:", true},
        {"*:user:*", "t1:x:user:2", false},
        {"a:*:c", "a:b:c", true},
        {"a:*:c", "a::c", true},
        {"a:*:c", "a:b:b:c", false},
        {"a:{x}:c", "a:b:c", true},
        {"a:{x}:c", "a::c", false},
        {"a:{x}", "a:b", true},
        {"a:{x}", "a:b:c", false},
        {"user_{id}:*.json", "user_7:x.json", true},
        {"user_{id}:*.json", "user_7:.json", true},
        {"user_{id}:*.json", "user_:x.json", false},
        {"ab*ba", "aba", false}, /* head and tail may not share bytes */
        {"ab*ba", "abba", true},
        {":", ":", true},
        {"a:", "a:", true},
        {"a:", "a", false},
    };
    for (unsigned i = 0; i < COUNT_OF(rows); i++)
        if (matches(rows[i].pattern, slice_text(rows[i].key), NULL) != rows[i].is)
            fail_msg("%s and %s", rows[i].pattern, rows[i].key);
}

static void keys_are_bytes(void **state)
{
    struct captures captures;
    static const char key[] = "t\0\xff:m:\n\xc3";
    assert_true(matches("{t}:m:*", slice_of(key, sizeof(key) - 1), &captures));
    assert_int_equal(captures.of[0].size, 3);
    assert_memory_equal(captures.of[0].data, "t\0\xff", 3);
}

static void levels_are_remembered_by_name(void **state)
{
    struct captures captures;
    assert_true(matches("{t}:user_{id}:{part}", slice_text("acme:user_42:profile"), &captures));
    assert_true(slice_equal(captures.of[0], slice_text("acme")));
    assert_true(slice_equal(captures.of[1], slice_text("42")));
    assert_true(slice_equal(captures.of[2], slice_text("profile")));
}

static void alternatives_share_their_names(void **state)
{
    struct pattern_names names = {.count = 0};
    struct captures captures;
    parsed("{t}:a:{id}", &names);
    struct pattern other = parsed("b:{id}:{t}", &names);
    assert_int_equal(names.count, 2);
    assert_true(match(&other, slice_text("b:7:acme"), &captures));
    assert_true(slice_equal(captures.of[0], slice_text("acme")));
    assert_true(slice_equal(captures.of[1], slice_text("7")));
}

static void what_is_no_pattern_is_refused_with_a_reason(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "nothing"},
        {"a:*b*", "one * or {name}"},
        {"**", "one * or {name}"},
        {"{a}{b}", "one * or {name}"},
        {"{a}:{a}", "twice"},
        {"{a", "begins a {name}"},
        {"{}", "begins a {name}"},
        {"{a b}", "begins a {name}"},
        {"{a}:{b}:{c}:{d}:{e}:{f}:{g}:{h}:{i}", "at most 8"},
        {"a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a", "at most 16 levels"},
    };
    for (unsigned i = 0; i < COUNT_OF(rows); i++) {
        struct pattern_names names = {.count = 0};
        struct pattern p;
        const char *why = "";
        if (pattern_parse(slice_text(rows[i].text), &names, &p, &why) || !strstr(why, rows[i].why))
            fail_msg("%s: %s", rows[i].text, why);
    }
    char longest[PATTERN_BYTES_MAX + 2];
    struct pattern_names names = {.count = 0};
    struct pattern p;
    const char *why;
    memset(longest, 'a', sizeof(longest));
    assert_true(pattern_parse(slice_of(longest, PATTERN_BYTES_MAX), &names, &p, &why));
    assert_false(pattern_parse(slice_of(longest, PATTERN_BYTES_MAX + 1), &names, &p, &why));
    assert_non_null(strstr(why, "255"));
}

/* ======= templates ======= */

static void names_are_made_of_what_was_remembered(void **state)
{
    struct pattern_names names = {.count = 0};
    struct captures captures;
    struct template t;
    const char *why;
    char room[64];
    struct pattern p = parsed("{t}:user:{id}", &names);
    assert_true(match(&p, slice_text("acme:user:42"), &captures));
    assert_true(template_parse(slice_text("u-{id}@{t}!"), &names, false, &t, &why));
    size_t size = template_fill(&t, &captures, room, sizeof(room));
    assert_true(slice_equal(slice_of(room, size), slice_text("u-42@acme!")));
    assert_int_equal(template_fill(&t, &captures, room, size), size);
    assert_int_equal(template_fill(&t, &captures, room, size - 1), 0);
}

static void a_template_names_only_what_the_pattern_has(void **state)
{
    struct pattern_names names = {.count = 0};
    struct template t;
    const char *why;
    parsed("{t}:*", &names);
    assert_false(template_parse(slice_text("x{id}"), &names, false, &t, &why));
    assert_non_null(strstr(why, "no such {name}"));
    assert_false(template_parse(slice_text("x{t"), &names, false, &t, &why));
    assert_false(template_parse(slice_text(""), &names, false, &t, &why));
    assert_false(template_parse(slice_text("{t}{t}{t}{t}{t}{t}{t}{t}{t}{t}{t}{t}{t}{t}{t}{t}{t}{t}"), &names,
                                false, &t, &why));
    assert_non_null(strstr(why, "too many"));
}

/* ======= overlap ======= */

static bool overlap(const char *a, const char *b)
{
    struct pattern_names names = {.count = 0};
    struct pattern x = parsed(a, &names), y = parsed(b, &names);
    bool one = pattern_overlaps(&x, &y), other = pattern_overlaps(&y, &x);
    assert_int_equal(one, other);
    return one;
}

static void patterns_overlap_when_a_key_matches_both(void **state)
{
    static const struct {
        const char *a, *b;
        bool is;
    } rows[] = {
        {"a:*", "a:b", true},        {"a:*", "b:*", false},     {"*", "a", true},
        {"a*", "ab:c", true},        {"a*", "b", false},        {"{t}:m:*", "x:m:1:2", true},
        {"{t}:m:*", "x:c:*", false}, {"a:b", "a:b:c", false},   {"a:b*", "a:b:c", true},
        {"a:b", "a:{x}", true},      {"a:x{y}", "a:y*", false}, {"a:*z", "a:*y", false},
        {"a:*", "a", false},         {"a:b:*", "a:*", true},    {"ab*", "a*", true},
        {"a:bb*", "a:b", false},     {"*:b", "a:*", true},      {"a:{x}:c", "a:*", true},
    };
    for (unsigned i = 0; i < COUNT_OF(rows); i++)
        if (overlap(rows[i].a, rows[i].b) != rows[i].is)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
}

static void random_text(char *to, unsigned *seed, const char *const *words, unsigned count)
{
    unsigned levels = 1 + (unsigned)rand_r(seed) % 4;
    *to = '\0';
    for (unsigned i = 0; i < levels; i++) {
        strcat(to, i ? ":" : "");
        strcat(to, words[(unsigned)rand_r(seed) % count]);
    }
}

static void no_key_matches_two_patterns_that_do_not_overlap(void **state)
{
    static const char *const parts[] = {"a", "b", "*", "a*", "*b", "ab*", ""};
    static const char *const words[] = {"a", "b", "ab", "abb", ""};
    unsigned seed = 5, both = 0;
    for (unsigned round = 0; round < 200000; round++) {
        char a[64], b[64], key[64];
        random_text(a, &seed, parts, COUNT_OF(parts));
        random_text(b, &seed, parts, COUNT_OF(parts));
        random_text(key, &seed, words, COUNT_OF(words));
        if (!*a || !*b || !matches(a, slice_text(key), NULL) || !matches(b, slice_text(key), NULL))
            continue;
        both++;
        if (!overlap(a, b))
            fail_msg("%s matches %s and %s", key, a, b);
    }
    assert_true(both > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_matches_what_its_levels_say),
        cmocka_unit_test(keys_are_bytes),
        cmocka_unit_test(levels_are_remembered_by_name),
        cmocka_unit_test(alternatives_share_their_names),
        cmocka_unit_test(what_is_no_pattern_is_refused_with_a_reason),
        cmocka_unit_test(names_are_made_of_what_was_remembered),
        cmocka_unit_test(a_template_names_only_what_the_pattern_has),
        cmocka_unit_test(patterns_overlap_when_a_key_matches_both),
        cmocka_unit_test(no_key_matches_two_patterns_that_do_not_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
