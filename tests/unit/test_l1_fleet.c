/* L1 in a fleet: what a reader of the shared segment may believe when others change things too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/clock.h"
#include "support/l1_fixture.h"

struct fleet_fixture {
    struct fleet_view fleet;
    struct fixture *f;
};

static int begin(void **state)
{
    struct fleet_fixture *t = must_alloc(sizeof(*t));
    t->fleet = (struct fleet_view){.mode = SHM_SUSPECT, .partitions = 1};
    t->fleet.of[0].epoch = 1;
    t->f = fixture_create_in_fleet(&t->fleet);
    *state = t;
    return 0;
}

static int end(void **state)
{
    struct fleet_fixture *t = *state;
    fixture_destroy(t->f);
    free(t);
    return 0;
}

/* ======= shorthands ======= */

static void vouch(struct fleet_fixture *t)
{
    t->fleet.mode = SHM_FRESH;
    t->fleet.of[0].fresh_until_ns = t->f->l1->test_now_ns + 60 * NS_PER_S;
    l1_fleet_shown(t->f->l1);
}

static void detach(struct fleet_fixture *t)
{
    t->fleet.mode = SHM_DETACHED;
    t->fleet.of[0].fresh_until_ns = 0;
    t->fleet.serve_until_ns = t->f->l1->test_now_ns + 60 * NS_PER_S;
    l1_fleet_shown(t->f->l1);
}

static void attach(struct fleet_fixture *t)
{
    t->fleet.mode = SHM_SUSPECT;
    l1_fleet_shown(t->f->l1);
}

static void put_local(struct fixture *f, const char *key, const char *value)
{
    struct entry e = fixture_entry(f, key, slice_text(value));
    e.local = true;
    assert_int_equal(f->tier->ops->put(f->tier, &e), TIER_DONE);
}

static void suspect_below(struct fixture *f, uint64_t v)
{
    kills_add(f->kills, kills_name(KILLS_UNKNOWN, 0), v, false);
    f->tier->ops->kill(f->tier, kills_name(KILLS_UNKNOWN, 0), v, false);
}

static int reason(struct fixture *f, const char *key)
{
    struct seen s = fixture_see(f, key);
    assert_int_equal(s.outcome, SHM_ASK);
    return (int)s.found.reason;
}

/* ======= promises ======= */

static void without_a_promise_readers_ask(void **state)
{
    struct fleet_fixture *t = *state;
    fixture_put(t->f, "k", "v");
    assert_int_equal(reason(t->f, "k"), SHM_ASK_SUSPECT);
    vouch(t);
    assert_string_equal(fixture_see(t->f, "k").value, "v");
}

static void a_promise_that_ran_out_is_none(void **state)
{
    struct fleet_fixture *t = *state;
    fixture_put(t->f, "k", "v");
    vouch(t);
    t->fleet.of[0].fresh_until_ns = clock_boot_ns() - 1;
    l1_fleet_shown(t->f->l1);
    assert_int_equal(reason(t->f, "k"), SHM_ASK_SUSPECT);
}

static void while_the_fleet_is_away_hits_are_flagged(void **state)
{
    struct fleet_fixture *t = *state;
    fixture_put(t->f, "k", "v");
    detach(t);
    struct seen s = fixture_see(t->f, "k");
    assert_string_equal(s.value, "v");
    assert_true(s.found.detached);
}

static void and_end_with_the_time_they_may_be_served(void **state)
{
    struct fleet_fixture *t = *state;
    fixture_put(t->f, "k", "v");
    detach(t);
    t->fleet.serve_until_ns = 1;
    l1_fleet_shown(t->f->l1);
    assert_int_equal(reason(t->f, "k"), SHM_ASK_SUSPECT);
}

/* ======= LOCAL ======= */

static void a_local_entry_is_served_only_while_the_fleet_is_away(void **state)
{
    struct fleet_fixture *t = *state;
    detach(t);
    put_local(t->f, "k", "here");
    struct seen s = fixture_see(t->f, "k");
    assert_string_equal(s.value, "here");
    assert_true(s.found.local && s.found.detached);
    attach(t);
    assert_int_equal(fixture_see(t->f, "k").outcome, SHM_ASK);
    vouch(t);
    assert_int_equal(fixture_see(t->f, "k").outcome, SHM_ASK);
    int outcome;
    fixture_get(t->f, "k", &outcome);
    assert_int_equal(outcome, TIER_MISSED);
}

static void one_of_an_earlier_absence_stays_dead_in_the_next(void **state)
{
    struct fleet_fixture *t = *state;
    detach(t);
    put_local(t->f, "k", "here");
    attach(t);
    detach(t);
    assert_int_equal(fixture_see(t->f, "k").outcome, SHM_ASK);
}

static void a_kill_of_its_name_kills_a_local_entry_whatever_its_position(void **state)
{
    struct fleet_fixture *t = *state;
    detach(t);
    t->f->v = 1000;
    put_local(t->f, "a:k", "here");
    t->f->v = 5; /* the fleet's positions begin lower */
    fixture_kill_prefix(t->f, "a:", false);
    int outcome;
    assert_int_equal(fixture_see(t->f, "a:k").outcome, SHM_ASK);
    fixture_get(t->f, "a:k", &outcome);
    assert_int_equal(outcome, TIER_MISSED);
}

/* ======= suspicion ======= */

static void below_the_floor_readers_ask_and_the_entry_says_that_it_is_suspect(void **state)
{
    struct fleet_fixture *t = *state;
    int outcome;
    fixture_put(t->f, "k", "v");
    vouch(t);
    suspect_below(t->f, t->f->v + 10);
    assert_int_equal(reason(t->f, "k"), SHM_ASK_FLOOR);
    struct tier_read read = fixture_get(t->f, "k", &outcome);
    assert_int_equal(outcome, TIER_FOUND);
    assert_true(read.entry.suspect);
}

static void a_sweep_keeps_what_is_suspect_and_it_stays_so(void **state)
{
    struct fleet_fixture *t = *state;
    fixture_put(t->f, "k", "v");
    vouch(t);
    suspect_below(t->f, t->f->v + 10);
    fixture_sweep(t->f);
    assert_int_equal(reason(t->f, "k"), SHM_ASK_FLOOR);
    assert_int_equal(fixture_measure(t->f)->l1_entries, 1);
}

static void what_is_confirmed_is_hit_again(void **state)
{
    struct fleet_fixture *t = *state;
    fixture_put(t->f, "k", "v");
    vouch(t);
    uint64_t v = t->f->v;
    suspect_below(t->f, v + 10);
    assert_int_equal(t->f->tier->ops->confirm(t->f->tier, slice_text("k"), fixture_hash("k"), v + 1, false),
                     TIER_NOT_THERE);
    assert_int_equal(reason(t->f, "k"), SHM_ASK_FLOOR);
    t->f->tier->ops->confirm(t->f->tier, slice_text("k"), fixture_hash("k"), v, false);
    struct seen s = fixture_see(t->f, "k");
    assert_string_equal(s.value, "v");
    assert_false(s.found.stale);
}

static void what_is_confirmed_as_stale_is_not_served_as_fresh(void **state)
{
    struct fleet_fixture *t = *state;
    fixture_put(t->f, "k", "v");
    vouch(t);
    suspect_below(t->f, t->f->v + 10);
    t->f->tier->ops->confirm(t->f->tier, slice_text("k"), fixture_hash("k"), t->f->v, true);
    assert_int_equal(reason(t->f, "k"), SHM_ASK_REFRESH);
}

/* ======= epochs ======= */

static void another_epoch_closes_the_segment(void **state)
{
    struct fleet_fixture *t = *state;
    fixture_put(t->f, "k", "v");
    vouch(t);
    t->fleet.of[0].epoch = 2;
    l1_fleet_epoch(t->f->l1);
    vouch(t); /* a promise is made in the new segment only */
    assert_int_equal(reason(t->f, "k"), SHM_ASK_DEAD);
    fixture_attach(t->f);
    assert_int_equal(reason(t->f, "k"), SHM_ASK_NOT_FOUND);
    assert_int_equal(t->f->view.shape.epochs[0], 2);
}

static void a_segment_nobody_has_seen_only_changes_its_epochs(void **state)
{
    struct fleet_fixture *t = *state;
    t->f->l1->handed_out = false; /* the fixture has attached to it */
    t->fleet.of[0].epoch = 7;
    l1_fleet_epoch(t->f->l1);
    fixture_attach(t->f);
    assert_int_equal(t->f->view.shape.epochs[0], 7);
    assert_int_equal(fixture_measure(t->f)->l1_incarnation, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_promise_readers_ask),
        TEST(a_promise_that_ran_out_is_none),
        TEST(while_the_fleet_is_away_hits_are_flagged),
        TEST(and_end_with_the_time_they_may_be_served),
        TEST(a_local_entry_is_served_only_while_the_fleet_is_away),
        TEST(one_of_an_earlier_absence_stays_dead_in_the_next),
        TEST(a_kill_of_its_name_kills_a_local_entry_whatever_its_position),
        TEST(below_the_floor_readers_ask_and_the_entry_says_that_it_is_suspect),
        TEST(a_sweep_keeps_what_is_suspect_and_it_stays_so),
        TEST(what_is_confirmed_is_hit_again),
        TEST(what_is_confirmed_as_stale_is_not_served_as_fresh),
        TEST(another_epoch_closes_the_segment),
        TEST(a_segment_nobody_has_seen_only_changes_its_epochs),
    };
    return cmocka_run_group_tests_name("l1_fleet", tests, NULL, NULL);
}
