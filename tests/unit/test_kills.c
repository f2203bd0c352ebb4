#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/kills.h"
#include "proto/shm.h"

enum { SECRET = 7 };

static uint64_t tag(const char *name)
{
    return shm_hash_name(SECRET, SHM_NAME_TAG, slice_text(name));
}

static uint64_t prefix(const char *name)
{
    return shm_hash_name(SECRET, SHM_NAME_PREFIX, slice_text(name));
}

static enum verdict judge(struct kills *k, const char *key, const char *tag_name, uint64_t v)
{
    uint64_t hash = tag(tag_name);
    return kills_judge(k, slice_text(key), &hash, 1, v);
}

static void a_tag_kill_takes_what_is_older_and_leaves_what_is_not(void **state)
{
    struct kills *k = kills_create(SECRET);
    kills_add(k, tag("a"), 10, false);
    assert_int_equal(judge(k, "x", "a", 9), DEAD);
    assert_int_equal(judge(k, "x", "a", 10), ALIVE);
    assert_int_equal(judge(k, "x", "a", 11), ALIVE);
    assert_int_equal(judge(k, "x", "b", 9), ALIVE);
    kills_destroy(k);
}

static void a_prefix_kill_takes_keys_below_it_only(void **state)
{
    struct kills *k = kills_create(SECRET);
    kills_add(k, prefix("acme:user:"), 10, false);
    assert_int_equal(judge(k, "acme:user:1", "t", 9), DEAD);
    assert_int_equal(judge(k, "acme:user:1:2", "t", 9), DEAD);
    assert_int_equal(judge(k, "acme:user", "t", 9), ALIVE);
    assert_int_equal(judge(k, "acme:users:1", "t", 9), ALIVE);
    kills_destroy(k);
}

static void a_tag_and_a_prefix_of_the_same_text_are_two_names(void **state)
{
    struct kills *k = kills_create(SECRET);
    kills_add(k, tag("acme:"), 10, false);
    assert_int_equal(judge(k, "acme:1", "t", 9), ALIVE);
    kills_destroy(k);
}

static void the_ninth_level_is_no_prefix_any_more(void **state)
{
    struct kills *k = kills_create(SECRET);
    kills_add(k, prefix("1:2:3:4:5:6:7:8:"), 10, false);
    kills_add(k, prefix("a:2:3:4:5:6:7:8:9:"), 10, false);
    assert_int_equal(judge(k, "1:2:3:4:5:6:7:8:9", "t", 9), DEAD);
    assert_int_equal(judge(k, "a:2:3:4:5:6:7:8:9:10", "t", 9), ALIVE);
    kills_destroy(k);
}

static void a_soft_kill_makes_stale_and_a_hard_one_wins_over_it(void **state)
{
    struct kills *k = kills_create(SECRET);
    kills_add(k, tag("a"), 20, true);
    assert_int_equal(judge(k, "x", "a", 9), SOFTENED);
    kills_add(k, tag("a"), 10, false);
    assert_int_equal(judge(k, "x", "a", 9), DEAD);
    assert_int_equal(judge(k, "x", "a", 15), SOFTENED);
    kills_destroy(k);
}

static void the_floor_takes_everything_below_it(void **state)
{
    struct kills *k = kills_create(SECRET);
    kills_add(k, KILLS_ALL, 10, false);
    assert_int_equal(judge(k, "x", "a", 9), DEAD);
    assert_int_equal(judge(k, "x", "a", 10), ALIVE);
    kills_add(k, KILLS_ALL, 20, true);
    assert_int_equal(judge(k, "x", "a", 15), SOFTENED);
    kills_destroy(k);
}

static void what_is_suspect_may_be_softened_as_well(void **state)
{
    struct kills *k = kills_create(SECRET);
    uint64_t red = tag("a");
    kills_add(k, KILLS_UNKNOWN, 20, false);
    kills_add(k, red, 30, true);
    assert_int_equal(judge(k, "x", "a", 15), SUSPECT);
    assert_true(kills_softens(k, slice_text("x"), &red, 1, 15));
    assert_false(kills_softens(k, slice_text("x"), NULL, 0, 15));
    kills_add(k, KILLS_ALL, 16, true);
    assert_true(kills_softens(k, slice_text("x"), NULL, 0, 15));
    kills_destroy(k);
}

static void fingerprints_find_what_full_hashes_find(void **state)
{
    struct kills *k = kills_create(SECRET);
    kills_add(k, tag("a"), 10, false);
    uint32_t print = shm_fingerprint(tag("a")), other = shm_fingerprint(tag("b"));
    assert_int_equal(kills_judge_prints(k, slice_text("x"), &print, 1, 9), DEAD);
    assert_int_equal(kills_judge_prints(k, slice_text("x"), &other, 1, 9), ALIVE);
    kills_destroy(k);
}

static void of_two_names_with_one_fingerprint_the_newer_kill_counts(void **state)
{
    struct kills *k = kills_create(SECRET);
    uint64_t name = tag("a"), twin = name ^ 1ull << 50;
    uint32_t print = shm_fingerprint(name);
    kills_add(k, name, 10, false);
    kills_add(k, twin, 20, false);
    assert_int_equal(kills_judge_prints(k, slice_text("x"), &print, 1, 15), DEAD);
    assert_int_equal(judge(k, "x", "a", 15), ALIVE);
    kills_destroy(k);
}

static void many_names_are_all_kept(void **state)
{
    struct kills *k = kills_create(SECRET);
    for (uint64_t i = 1; i <= 50000; i++)
        kills_add(k, i * 0x9e3779b97f4a7c15ull, i, false);
    assert_int_equal(kills_count(k), 50000);
    for (uint64_t i = 1; i <= 50000; i++) {
        uint64_t name = i * 0x9e3779b97f4a7c15ull;
        assert_int_equal(kills_judge(k, slice_text("x"), &name, 1, i - 1), DEAD);
        assert_int_equal(kills_judge(k, slice_text("x"), &name, 1, i), ALIVE);
    }
    kills_destroy(k);
}

static void pruning_forgets_old_kills_and_keeps_newer_ones(void **state)
{
    struct kills *k = kills_create(SECRET);
    kills_add(k, tag("a"), 10, false);
    kills_add(k, tag("b"), 20, false);
    kills_prune(k, 10);
    assert_int_equal(kills_count(k), 1);
    assert_int_equal(judge(k, "x", "a", 5), ALIVE);
    assert_int_equal(judge(k, "x", "b", 5), DEAD);
    kills_destroy(k);
}

static void one_name_too_many_collapses_into_a_floor(void **state)
{
    struct kills *k = kills_create(SECRET);
    for (uint64_t i = 1; i <= KILLS_MAX; i++)
        assert_int_equal(kills_add(k, i * 0x9e3779b97f4a7c15ull, i, false), KILLS_ADDED);
    assert_int_equal(kills_add(k, tag("a"), KILLS_MAX + 1, false), KILLS_COLLAPSED);
    assert_int_equal(kills_count(k), 0);
    assert_int_equal(judge(k, "x", "whatever", KILLS_MAX), DEAD);
    assert_int_equal(judge(k, "x", "whatever", KILLS_MAX + 1), ALIVE);
    kills_destroy(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tag_kill_takes_what_is_older_and_leaves_what_is_not),
        cmocka_unit_test(a_prefix_kill_takes_keys_below_it_only),
        cmocka_unit_test(a_tag_and_a_prefix_of_the_same_text_are_two_names),
        cmocka_unit_test(the_ninth_level_is_no_prefix_any_more),
        cmocka_unit_test(a_soft_kill_makes_stale_and_a_hard_one_wins_over_it),
        cmocka_unit_test(the_floor_takes_everything_below_it),
        cmocka_unit_test(what_is_suspect_may_be_softened_as_well),
        cmocka_unit_test(fingerprints_find_what_full_hashes_find),
        cmocka_unit_test(of_two_names_with_one_fingerprint_the_newer_kill_counts),
        cmocka_unit_test(many_names_are_all_kept),
        cmocka_unit_test(pruning_forgets_old_kills_and_keeps_newer_ones),
        cmocka_unit_test(one_name_too_many_collapses_into_a_floor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
