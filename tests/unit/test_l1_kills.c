/* Kill cells, floors, exact judgement, re-stamping and the sweep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/l1_fixture.h"

static int setup(void **state)
{
    *state = fixture_create(0, 0);
    return 0;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

/* A tag whose kill lands in the same cell as that of `name`, but is another fingerprint. */
static void colliding_tag(const char *name, char ret[32])
{
    uint32_t print = shm_fingerprint(shm_hash_name(FIXTURE_SECRET, SHM_NAME_TAG, slice_text(name))),
             other = print;
    for (int n = 0; other == print || shm_cell_index(other) != shm_cell_index(print); n++) {
        snprintf(ret, 32, "collider%d", n);
        other = shm_fingerprint(shm_hash_name(FIXTURE_SECRET, SHM_NAME_TAG, slice_text(ret)));
    }
}

static int get(struct fixture *f, const char *key)
{
    int outcome;
    fixture_get(f, key, &outcome);
    return outcome;
}

static void the_daemon_drops_what_a_tag_killed(void **state)
{
    struct fixture *f = *state;
    fixture_put_tagged(f, "k", "v", "t");
    fixture_kill_tag(f, "t", false);
    int outcome;
    struct tier_read read = fixture_get(f, "k", &outcome);
    assert_int_equal(outcome, TIER_MISSED);
    assert_int_equal(read.reason, MISS_INVALIDATED);
    assert_int_equal(fixture_measure(f)->l1_entries, 0);
}

static void a_collision_costs_one_trip_to_the_daemon_and_never_the_entry(void **state)
{
    struct fixture *f = *state;
    char other[32];
    colliding_tag("t", other);
    fixture_put_tagged(f, "k", "v", "t");
    fixture_kill_tag(f, other, false);
    assert_int_equal(fixture_see(f, "k").outcome, SHM_HIT); /* another fingerprint in the cell */
    char third[40];
    snprintf(third, sizeof(third), "%s", other);
    colliding_tag(other, third); /* a second live name: the cell says ANY */
    fixture_kill_tag(f, third, false);
    assert_int_equal(fixture_see(f, "k").found.reason, SHM_ASK_KILLED);
    assert_int_equal(get(f, "k"), TIER_FOUND);
    assert_int_equal(fixture_see(f, "k").outcome, SHM_HIT);
    assert_int_equal(fixture_measure(f)->l1_restamps, 1);
}

static void a_soft_kill_makes_stale_and_keeps_the_entry(void **state)
{
    struct fixture *f = *state;
    fixture_put_tagged(f, "k", "v", "t");
    fixture_kill_tag(f, "t", true);
    assert_int_equal(fixture_see(f, "k").found.reason, SHM_ASK_KILLED);
    int outcome;
    assert_true(fixture_get(f, "k", &outcome).entry.stale);
    struct seen s = fixture_see(f, "k");
    assert_int_equal(s.outcome, SHM_HIT);
    assert_true(s.found.stale);
}

static void touching_does_not_bring_a_killed_entry_back(void **state)
{
    struct fixture *f = *state;
    uint64_t later = f->l1->test_now_ns + 7200 * NS_PER_S;
    fixture_put_tagged(f, "k", "v", "t");
    fixture_kill_tag(f, "t", false);
    assert_int_equal(fixture_touch(f, "k", later, later), TIER_NOT_THERE);
}

static void touching_does_not_make_a_softly_killed_entry_fresh(void **state)
{
    struct fixture *f = *state;
    uint64_t later = f->l1->test_now_ns + 7200 * NS_PER_S;
    fixture_put_tagged(f, "k", "v", "t");
    fixture_kill_tag(f, "t", true);
    assert_int_equal(fixture_touch(f, "k", later, later), TIER_DONE);
    assert_int_equal(fixture_see(f, "k").found.reason, SHM_ASK_REFRESH);
}

static void a_floor_lets_live_what_is_newer_and_drops_what_is_older(void **state)
{
    struct fixture *f = *state;
    fixture_put(f, "old", "v");
    uint64_t floor = ++f->v;
    fixture_put(f, "new", "v");
    kills_add(f->kills, KILLS_ALL, floor, false);
    f->tier->ops->kill(f->tier, KILLS_ALL, floor, false);
    assert_int_equal(get(f, "old"), TIER_MISSED);
    assert_int_equal(fixture_see(f, "new").found.reason, SHM_ASK_FLOOR);
    assert_int_equal(get(f, "new"), TIER_FOUND);
    assert_int_equal(fixture_see(f, "new").outcome, SHM_HIT);
}

static void ban(struct fixture *f, const char *glob, bool soft)
{
    uint64_t name = kills_name(kills_ban(f->kills, slice_text(glob)), 0);
    kills_add(f->kills, name, ++f->v, soft);
    f->tier->ops->kill(f->tier, name, f->v, soft);
}

/* What it hits is dead for readers who cannot know globs, before anything was swept. */
static void a_glob_makes_readers_ask_about_all_that_begins_alike(void **state)
{
    struct fixture *f = *state;
    fixture_put(f, "acme:k:1", "v");
    fixture_put(f, "acme:l:1", "v");
    fixture_put(f, "other:k:1", "v");
    ban(f, "acme:k*:1", false);
    assert_int_equal(fixture_see(f, "acme:k:1").found.reason, SHM_ASK_KILLED);
    assert_int_equal(fixture_see(f, "acme:l:1").found.reason, SHM_ASK_KILLED);
    assert_int_equal(fixture_see(f, "other:k:1").outcome, SHM_HIT);
    assert_int_equal(get(f, "acme:k:1"), TIER_MISSED);
    assert_int_equal(get(f, "acme:l:1"), TIER_FOUND);
    assert_int_equal(fixture_see(f, "acme:l:1").outcome, SHM_HIT);
}

static void a_glob_that_begins_with_anything_makes_readers_ask_about_everything_once(void **state)
{
    struct fixture *f = *state;
    fixture_put(f, "acme:k:1", "v");
    fixture_put(f, "acme:l:1", "v");
    ban(f, "*:k:*", false);
    assert_int_equal(fixture_see(f, "acme:k:1").found.reason, SHM_ASK_FLOOR);
    assert_int_equal(fixture_see(f, "acme:l:1").found.reason, SHM_ASK_FLOOR);
    assert_int_equal(get(f, "acme:k:1"), TIER_MISSED);
    assert_int_equal(get(f, "acme:l:1"), TIER_FOUND);
    assert_int_equal(fixture_see(f, "acme:l:1").outcome, SHM_HIT);
}

static void the_sweep_finds_what_a_glob_hits(void **state)
{
    struct fixture *f = *state;
    fixture_put(f, "acme:k:1", "v");
    fixture_put(f, "acme:l:1", "v");
    ban(f, "*:k:*", false);
    fixture_sweep(f);
    assert_true(l1_settled(f->l1));
    assert_int_equal(fixture_measure(f)->l1_entries, 1);
    assert_int_equal(fixture_see(f, "acme:l:1").outcome, SHM_HIT);
}

static void a_soft_glob_makes_stale_and_keeps_the_entry(void **state)
{
    struct fixture *f = *state;
    fixture_put(f, "acme:k:1", "v");
    ban(f, "acme:*:1", true);
    fixture_sweep(f);
    struct seen s = fixture_see(f, "acme:k:1");
    assert_int_equal(s.found.reason, SHM_ASK_REFRESH);
    int outcome;
    assert_true(fixture_get(f, "acme:k:1", &outcome).entry.stale);
}

static void a_sweep_drops_the_dead_keeps_the_rest_and_gives_the_fast_path_back(void **state)
{
    struct fixture *f = *state;
    char key[24], tag[24];
    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        snprintf(tag, sizeof(tag), "t%d", i % 10);
        fixture_put_tagged(f, key, "v", tag);
    }
    fixture_kill_tag(f, "t0", false);
    assert_int_not_equal(f->l1->header->last_kill, 0);
    fixture_sweep(f);
    assert_int_equal(f->l1->header->last_kill, 0);
    assert_int_equal(fixture_measure(f)->l1_entries, 2700);
    assert_int_equal(f->figures.l1_sweeps, 1);
    for (uint32_t i = 0; i < SHM_CELLS; i++)
        assert_int_equal(order_own(f->l1->cells + i), 0);
    assert_int_equal(fixture_see(f, "k1").outcome, SHM_HIT);
    assert_int_equal(fixture_see(f, "k10").found.reason, SHM_ASK_NOT_FOUND);
}

static void a_kill_during_a_sweep_outlives_it(void **state)
{
    struct fixture *f = *state;
    fixture_put_tagged(f, "k", "v", "t");
    fixture_kill_tag(f, "other", false);
    assert_true(cells_sweep(f->l1, 0)); /* one bite, the item was seen */
    fixture_kill_tag(f, "t", false);
    while (f->l1->swept_seq == 0)
        cells_sweep(f->l1, 0);
    assert_int_equal(fixture_see(f, "k").found.reason, SHM_ASK_KILLED);
    fixture_sweep(f);
    assert_int_equal(fixture_see(f, "k").found.reason, SHM_ASK_NOT_FOUND);
    assert_int_equal(f->l1->header->last_kill, 0);
}

static void a_sweep_survives_segments_that_are_recycled_under_it(void **state)
{
    struct fixture *f = *state;
    char key[24];
    for (int i = 0; i < 60000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        fixture_put_tagged(f, key, "a value of some length, different from time to time",
                           i % 2 ? "odd" : "even");
        if (i % 1000 == 0)
            fixture_kill_tag(f, "odd", false);
        if (i % 3 == 0)
            cells_sweep(f->l1, 0);
    }
    fixture_sweep(f);
    assert_int_equal(f->l1->header->last_kill, 0);
    assert_true(fixture_measure(f)->l1_sweeps > 1);
}

/* F18: 8 tags an entry and 1,000 unrelated kills a second emptied the cache within a minute. */
static void entries_nobody_invalidated_survive_heavy_killing(void **state)
{
    struct fixture *f = *state;
    enum { ENTRIES = 2000, TAGS = 8, KILLS = 60000 };
    char key[32], name[32];
    for (int i = 0; i < ENTRIES; i++) {
        snprintf(key, sizeof(key), "t%d:user:%d:v", i % 7, i);
        struct entry e = fixture_entry(f, key, slice_text("value"));
        for (int t = 0; t < TAGS; t++) {
            snprintf(name, sizeof(name), "tag%d-%d", i, t);
            e.tags[e.tags_count++] = shm_hash_name(FIXTURE_SECRET, SHM_NAME_TAG, slice_text(name));
        }
        assert_int_equal(f->tier->ops->put(f->tier, &e), TIER_DONE);
    }
    int hits = 0, gets = 0;
    for (int n = 0; n < KILLS; n++) {
        snprintf(name, sizeof(name), "unrelated%d", n);
        fixture_kill_tag(f, name, false);
        if (n % 1000 == 0)
            fixture_sweep(f); /* once a second at that rate */
        snprintf(key, sizeof(key), "t%d:user:%d:v", n % ENTRIES % 7, n % ENTRIES);
        gets++;
        hits += fixture_see(f, key).outcome == SHM_HIT;
        assert_int_equal(get(f, key), TIER_FOUND);
    }
    assert_int_equal(fixture_measure(f)->l1_entries, ENTRIES);
    assert_true(hits >= gets * 95 / 100);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_daemon_drops_what_a_tag_killed),
        T(a_collision_costs_one_trip_to_the_daemon_and_never_the_entry),
        T(a_soft_kill_makes_stale_and_keeps_the_entry),
        T(touching_does_not_bring_a_killed_entry_back),
        T(touching_does_not_make_a_softly_killed_entry_fresh),
        T(a_floor_lets_live_what_is_newer_and_drops_what_is_older),
        T(a_glob_makes_readers_ask_about_all_that_begins_alike),
        T(a_glob_that_begins_with_anything_makes_readers_ask_about_everything_once),
        T(the_sweep_finds_what_a_glob_hits),
        T(a_soft_glob_makes_stale_and_keeps_the_entry),
        T(a_sweep_drops_the_dead_keeps_the_rest_and_gives_the_fast_path_back),
        T(a_kill_during_a_sweep_outlives_it),
        T(a_sweep_survives_segments_that_are_recycled_under_it),
        T(entries_nobody_invalidated_survive_heavy_killing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
