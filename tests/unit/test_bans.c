/* Globs in the map of kills: what they hit, and that a lost or displaced one hits more, never less. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "base/kills.h"
#include "proto/shm.h"

enum { SECRET = 7 };

static int begin(void **state)
{
    *state = kills_create(SECRET);
    return 0;
}

static int end(void **state)
{
    kills_destroy(*state);
    return 0;
}

static uint64_t ban(struct kills *k, const char *glob, uint64_t v, bool soft)
{
    uint64_t name = kills_ban(k, slice_text(glob));
    if (name)
        kills_add(k, kills_name(name, 0), v, soft);
    return name;
}

static enum verdict judge(struct kills *k, const char *key, uint64_t v)
{
    return kills_judge(k, slice_text(key), NULL, 0, v);
}

static void a_glob_takes_matching_keys_that_are_older_and_nothing_else(void **state)
{
    ban(*state, "*:user_42:*", 10, false);
    assert_int_equal(judge(*state, "acme:user_42:name", 9), DEAD);
    assert_int_equal(judge(*state, "acme:user_42:a:b", 9), DEAD);
    assert_int_equal(judge(*state, "acme:user_42:name", 10), ALIVE);
    assert_int_equal(judge(*state, "acme:user_4:name", 9), ALIVE);
    assert_int_equal(judge(*state, "a:b:user_42:name", 9), ALIVE);
}

static void entries_and_items_of_shared_memory_are_judged_alike(void **state)
{
    ban(*state, "a:*:c", 10, false);
    assert_int_equal(kills_judge_prints(*state, slice_text("a:b:c"), NULL, 0, 9), DEAD);
    assert_int_equal(kills_judge_prints(*state, slice_text("a:b:d"), NULL, 0, 9), ALIVE);
}

static void a_soft_glob_softens_and_a_later_hard_one_kills(void **state)
{
    ban(*state, "a:*", 10, true);
    assert_int_equal(judge(*state, "a:1", 9), SOFTENED);
    assert_true(kills_softens(*state, slice_text("a:1"), NULL, 0, 9));
    ban(*state, "a:*", 12, false);
    assert_int_equal(judge(*state, "a:1", 11), DEAD);
    assert_int_equal(kills_bans(*state), 1);
}

static void of_several_globs_the_worst_counts(void **state)
{
    ban(*state, "a:*", 10, true);
    ban(*state, "*:1", 11, false);
    assert_int_equal(judge(*state, "a:1", 9), DEAD);
    assert_int_equal(judge(*state, "a:2", 9), SOFTENED);
    assert_int_equal(judge(*state, "b:1", 10), DEAD);
}

static void a_glob_counts_in_its_own_partition(void **state)
{
    struct kills *k = *state;
    kills_split(k, 2);
    const char *key = shm_partition(slice_text("a:1"), 2) == 1 ? "a:1" : "a:2";
    if (shm_partition(slice_text(key), 2) != 1)
        key = "a:3";
    assert_int_equal(shm_partition(slice_text(key), 2), 1);
    uint64_t name = kills_ban(k, slice_text("a:*"));
    kills_add(k, kills_name(name, 0), 100, false);
    assert_int_equal(judge(k, key, 9), ALIVE);
    kills_add(k, kills_name(name, 1), 10, false);
    assert_int_equal(judge(k, key, 9), DEAD);
    kills_forget(k, 1);
    assert_int_equal(judge(k, key, 9), ALIVE);
    assert_int_equal(kills_bans(k), 1);
    kills_forget(k, 0);
    assert_int_equal(kills_bans(k), 0);
}

static void pruning_takes_what_is_settled(void **state)
{
    ban(*state, "a:*", 10, false);
    ban(*state, "b:*", 20, false);
    kills_prune(*state, 15);
    assert_int_equal(kills_bans(*state), 1);
    assert_int_equal(judge(*state, "b:1", 9), DEAD);
}

static void a_full_table_has_no_name_for_one_more_but_keeps_those_it_knows(void **state)
{
    char glob[16];
    for (int n = 0; n < BANS_MAX; n++) {
        snprintf(glob, sizeof(glob), "g%d:*", n);
        assert_true(ban(*state, glob, 10 + (uint64_t)n, false) != 0);
    }
    assert_int_equal(ban(*state, "one:*:more", 100, false), 0);
    assert_true(ban(*state, "g0:*", 100, false) != 0); /* used again: g1 is the oldest now */
    uint64_t oldest = kills_oldest_ban(*state);
    assert_true(slice_equal(kills_glob(*state, oldest), slice_text("g1:*")));
    assert_int_equal(kills_ban_positions(*state, oldest, 0).hard_v, 11);
    kills_unban(*state, oldest);
    assert_int_equal(ban(*state, "one:*:more", 101, false), oldest);
    assert_int_equal(judge(*state, "one:1:more", 50), DEAD);
    assert_int_equal(judge(*state, "g1:x", 5), ALIVE); /* whoever took it away sees to that */
}

static void a_name_whose_glob_is_lost_hits_every_key(void **state)
{
    kills_add(*state, kills_name(KILLS_BAN_FIRST + 3, 0), 10, false);
    assert_int_equal(judge(*state, "anything", 9), DEAD);
    assert_int_equal(judge(*state, "anything", 10), ALIVE);
}

static void a_glob_of_an_earlier_run_hits_what_it_hit_then(void **state)
{
    assert_true(kills_ban_was(*state, KILLS_BAN_FIRST + 3, slice_text("a:*")));
    assert_false(kills_ban_was(*state, KILLS_BAN_FIRST + 4, slice_text("*a*")));
    kills_add(*state, kills_name(KILLS_BAN_FIRST + 3, 0), 10, false);
    assert_int_equal(judge(*state, "a:1", 9), DEAD);
    assert_int_equal(judge(*state, "b:1", 9), ALIVE);
    assert_int_equal(ban(*state, "a:*", 11, false), KILLS_BAN_FIRST + 3);
}

static void all_keys_of_a_glob_begin_with_its_prefix(void **state)
{
    const struct {
        const char *glob, *prefix;
    } cases[] = {{"dashboard:*", "dashboard:"},
                 {"a:b:*:c", "a:b:"},
                 {"a:b*:c", "a:"},
                 {"*:a:b", ""},
                 {"user_*", ""},
                 {"a:{x}:b", "a:"},
                 {"plain:key", "plain:"},
                 {"", ""},
                 {"1:2:3:4:5:6:7:8:9:*", "1:2:3:4:5:6:7:8:"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_true(slice_equal(bans_glob_prefix(slice_text(cases[i].glob)), slice_text(cases[i].prefix)));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_glob_takes_matching_keys_that_are_older_and_nothing_else),
        TEST(entries_and_items_of_shared_memory_are_judged_alike),
        TEST(a_soft_glob_softens_and_a_later_hard_one_kills),
        TEST(of_several_globs_the_worst_counts),
        TEST(a_glob_counts_in_its_own_partition),
        TEST(pruning_takes_what_is_settled),
        TEST(a_full_table_has_no_name_for_one_more_but_keeps_those_it_knows),
        TEST(a_name_whose_glob_is_lost_hits_every_key),
        TEST(a_glob_of_an_earlier_run_hits_what_it_hit_then),
        TEST(all_keys_of_a_glob_begin_with_its_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
