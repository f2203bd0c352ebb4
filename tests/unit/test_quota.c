/* Named limits: what is counted, for whom, and what a wrong rule is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "cache/quota.h"
#include "proto/wire.h"

static struct quota_rule rule_of(const char *scope)
{
    return (struct quota_rule){.max = 100, .window = 60 * NS_PER_S, .scope = scope, .alone = "count"};
}

static struct quotas *all;
static struct policy_fault fault;

static int begin(void **state)
{
    all = quotas_create();
    return 0;
}

static int end(void **state)
{
    all = quotas_destroy(all);
    return 0;
}

static void add(const char *name, struct quota_rule rule)
{
    assert_true(quotas_add(all, name, &rule, NULL, 0, &fault));
}

static char room[WIRE_KEY_MAX + 1];

/* What is counted for the words name, value, …, NULL. */
static const char *key_of(const char *name, struct quota_call call, const char *const *words,
                          uint64_t *ret_max)
{
    struct slice arguments[16];
    uint64_t max;
    while (words && words[call.arguments_count]) {
        arguments[call.arguments_count] = slice_text(words[call.arguments_count]);
        call.arguments_count++;
    }
    call.arguments = arguments;
    size_t size = quota_key(quotas_find(all, slice_text(name)), &call, room, ret_max ? ret_max : &max);
    if (size == 0)
        return call.message;
    room[size] = '\0';
    return room;
}

#define WORDS(...)     ((const char *const[]){__VA_ARGS__, NULL})
#define KEY(name, ...) key_of(name, (struct quota_call){.key = slice_of(NULL, 0)}, WORDS(__VA_ARGS__), NULL)

static void without_a_scope_it_counts_by_the_callers_key(void **state)
{
    add("login", rule_of(""));
    assert_string_equal(key_of("login", (struct quota_call){.key = slice_text("10.0.0.1")}, NULL, NULL),
                        ":login:10.0.0.1");
    assert_non_null(
        strstr(key_of("login", (struct quota_call){.key = slice_text("")}, NULL, NULL), "give a key"));
}

static void the_first_scope_whose_arguments_are_given_counts(void **state)
{
    add("api", rule_of("{user} | {ip}"));
    assert_string_equal(KEY("api", "ip", "::1"), ":api:{ip}:%3A%3A1");
    assert_string_equal(KEY("api", "ip", "::1", "user", "7"), ":api:{user}:7");
    assert_string_equal(KEY("api", "user", "", "ip", "7"), ":api:{ip}:7");
    assert_non_null(strstr(KEY("api", "host", "x"), "for none of its scopes"));
}

static void a_scope_without_names_counts_all_together(void **state)
{
    add("api", rule_of("{user} | everybody"));
    assert_string_equal(KEY("api", "ip", "1"), ":api:everybody");
}

static void no_value_passes_for_two(void **state)
{
    char first[WIRE_KEY_MAX];
    add("api", rule_of("{a}-{b}"));
    strcpy(first, KEY("api", "a", "1:2", "b", "3"));
    assert_string_not_equal(first, KEY("api", "a", "1", "b", "2:3"));
    assert_string_not_equal(first, KEY("api", "a", "1%3A2", "b", "3"));
}

static void a_plan_has_its_own_max_and_an_unknown_one_that_of_all(void **state)
{
    struct quota_rule rule = rule_of("");
    const struct quota_plan plans[] = {{"free", 10}, {"pro", 500}};
    const struct quota_call call = {.key = slice_text("k")};
    uint64_t max = 0;
    assert_true(quotas_add(all, "api", &rule, plans, 2, &fault));
    key_of("api", call, WORDS("plan", "free"), &max);
    assert_int_equal(max, 10);
    key_of("api", call, WORDS("plan", "pro"), &max);
    assert_int_equal(max, 500);
    key_of("api", call, WORDS("plan", "gold"), &max);
    assert_int_equal(max, 100);
    key_of("api", call, NULL, &max);
    assert_int_equal(max, 100);
}

static void what_a_bound_connection_counts_begins_with_its_tenant(void **state)
{
    add("api", rule_of("{user}"));
    assert_string_equal(
        key_of("api", (struct quota_call){.owner = slice_text("acme:")}, WORDS("user", "7"), NULL),
        "acme::api:{user}:7");
}

static void what_is_too_long_is_refused_and_nothing_is_written_past_the_room(void **state)
{
    char value[400];
    add("api", rule_of("{a}{b}{c}{d}"));
    add("key", rule_of(""));
    memset(value, ':', 255);
    value[255] = '\0';
    room[WIRE_KEY_MAX] = 'x';
    assert_non_null(strstr(KEY("api", "a", value, "b", value, "c", value, "d", value), "longer than 1024"));
    assert_int_equal(room[WIRE_KEY_MAX], 'x');
    memset(value, 'v', 256);
    value[256] = '\0';
    assert_non_null(strstr(KEY("api", "a", value, "b", "1", "c", "1", "d", "1"), "more than 255"));
    assert_non_null(strstr(key_of("key", (struct quota_call){.key = slice_of(room, 1020)}, NULL, NULL),
                           "longer than 1024"));
}

static void those_who_stay_go_on_counting_over_a_reload(void **state)
{
    struct quotas *next = quotas_create();
    struct quota_rule rule = rule_of("");
    rule.max = 7;
    add("api", rule_of(""));
    add("gone", rule_of(""));
    quotas_find(all, slice_text("api"))->figures.asked = 5;
    assert_true(quotas_add(next, "new", &rule, NULL, 0, &fault));
    assert_true(quotas_add(next, "api", &rule, NULL, 0, &fault));
    quotas_inherit(next, all);
    assert_int_equal(quotas_find(next, slice_text("api"))->figures.asked, 5);
    assert_int_equal(quotas_find(next, slice_text("api"))->max, 7);
    assert_int_equal(quotas_find(next, slice_text("new"))->figures.asked, 0);
    assert_null(quotas_find(next, slice_text("gone")));
    quotas_destroy(next);
}

static void a_wrong_scope_is_told_and_nothing_is_added(void **state)
{
    static const struct {
        const char *scope, *why;
    } rows[] = {{"{user", "a { begins a {name}"},      {"{ip} |", "an alternative is empty"},
                {"| {ip}", "an alternative is empty"}, {"{ip} | | {user}", "an alternative is empty"},
                {"a|b|c|d|e|f|g|h|i", "more than 8"},  {"{a}{b}{c}{d}{e}{f}{g}{h}{i}", "{name}"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct quota_rule rule = rule_of(rows[i].scope);
        assert_false(quotas_add(all, "api", &rule, NULL, 0, &fault));
        assert_string_equal(fault.option, "scope");
        if (!strstr(fault.why, rows[i].why))
            fail_msg("%s: %s", rows[i].scope, fault.why);
    }
    assert_int_equal(quotas_count(all), 0);
}

static void there_is_a_bound(void **state)
{
    struct quota_rule rule = rule_of("");
    char name[16];
    for (unsigned i = 0; i < QUOTAS_MAX; i++) {
        snprintf(name, sizeof(name), "l%u", i);
        add(name, rule_of(""));
    }
    assert_false(quotas_add(all, "more", &rule, NULL, 0, &fault));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_scope_it_counts_by_the_callers_key),
        TEST(the_first_scope_whose_arguments_are_given_counts),
        TEST(a_scope_without_names_counts_all_together),
        TEST(no_value_passes_for_two),
        TEST(a_plan_has_its_own_max_and_an_unknown_one_that_of_all),
        TEST(what_a_bound_connection_counts_begins_with_its_tenant),
        TEST(what_is_too_long_is_refused_and_nothing_is_written_past_the_room),
        TEST(those_who_stay_go_on_counting_over_a_reload),
        TEST(a_wrong_scope_is_told_and_nothing_is_added),
        TEST(there_is_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
