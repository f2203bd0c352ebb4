/* What the warm tier does by itself: what is over or dead goes, kills that mask nothing any more are forgotten. */
#include "support/warm_rig.h"

static int open_patient_rig(void **state)
{
    rig_make(&rig);
    hour_long_commits();
    rig_open(&rig);
    return 0;
}

static struct entry fetch(const char *key)
{
    return rig_fetch(&rig, key);
}

static void the_sweep_removes_what_is_over_or_killed(void **state)
{
    struct entry e = rig_entry(&rig, "short", slice_text("1"));
    e.hard_ns = e.soft_ns = loop_now_ns(rig.loop) + 1;
    rig.tier->ops->put(rig.tier, &e);
    rig_put_tagged(&rig, "red", "1", "red");
    rig_put(&rig, "stays", "1");
    rig_kill_tag(&rig, "red");
    rig_settle(&rig);
    restart(); /* a pass begins with a run */
    wait_with_timer(one_is_left);
    rig_expect(&rig, "stays", "1");
}

static uint64_t wanted_v;

static bool is_settled(struct rig *r)
{
    return warm_swept_v(r->warm) >= wanted_v;
}

static void wait_until_kills_are_settled(void)
{
    wanted_v = rig.v;
    wait_with_timer(is_settled);
}

static void after_a_sweep_a_killed_entry_is_gone_for_good_and_an_older_one_stays(void **state)
{
    rig_put(&rig, "ancient", "1");
    rig_put_tagged(&rig, "red", "2", "red");
    rig_kill_tag(&rig, "red");
    wait_until_kills_are_settled();
    kills_prune(rig.kills, warm_swept_v(rig.warm));
    assert_int_equal(kills_count(rig.kills), 0);
    rig_expect_none(&rig, "red");
    rig_expect(&rig, "ancient", "1");
}

static bool no_kill_is_stored(struct rig *r)
{
    return stored_kills() == 0;
}

static bool one_kill_is_stored(struct rig *r)
{
    return stored_kills() == 1;
}

static void a_name_is_swept_and_a_floor_is_kept(void **state)
{
    rig_put(&rig, "ancient", "1");
    rig_put_tagged(&rig, "red", "2", "red");
    rig.tier->ops->kill(rig.tier, KILLS_ALL, 1, false);
    rig.tier->ops->kill(rig.tier, rig_tag(&rig, "red"), ++rig.v, false);
    wait_until_kills_are_settled();
    wait_with_timer(one_kill_is_stored);
    assert_int_equal(rig_figures(&rig).warm_entries, 1);
}

static void settled_kills_leave_the_database_and_nothing_comes_back_in_the_next_run(void **state)
{
    rig_put(&rig, "ancient", "1");
    rig_put_tagged(&rig, "red", "2", "red");
    rig_kill_tag(&rig, "red");
    rig_settle(&rig);
    wait_with_timer(no_kill_is_stored);
    restart();
    assert_int_equal(kills_count(rig.kills), 0);
    rig_expect_none(&rig, "red");
    rig_expect(&rig, "ancient", "1");
}

static void kills_of_an_earlier_run_are_settled_too(void **state)
{
    rig_put_tagged(&rig, "red", "2", "red");
    rig_kill_tag(&rig, "red");
    uint64_t v = rig.v;
    restart();
    assert_int_equal(kills_count(rig.kills), 1);
    rig.v = v;
    wait_until_kills_are_settled();
    wait_with_timer(no_kill_is_stored);
    rig_expect_none(&rig, "red");
}

static void kill_softly(const char *tag)
{
    kills_add(rig.kills, rig_tag(&rig, tag), ++rig.v, true);
    rig.tier->ops->kill(rig.tier, rig_tag(&rig, tag), rig.v, true);
}

static void after_a_sweep_a_softened_entry_is_stale_without_its_kill(void **state)
{
    rig_put_tagged(&rig, "a", "1", "red");
    rig_put(&rig, "b", "1");
    kill_softly("red");
    wait_until_kills_are_settled();
    kills_prune(rig.kills, warm_swept_v(rig.warm));
    assert_true(fetch("a").stale && fetch("a").soft_ns <= loop_now_ns(rig.loop));
    assert_false(fetch("b").stale);
    rig_expect(&rig, "a", "1");
}

static void a_queued_entry_that_was_killed_gets_no_new_life(void **state)
{
    struct entry e = rig_entry(&rig, "a", slice_text("1"));
    e.tags_count = 1;
    e.tags[0] = rig_tag(&rig, "red");
    rig.tier->ops->put(rig.tier, &e);
    rig_kill_tag(&rig, "red");
    rig_soften(&rig, "a");
    assert_int_equal(rig_touch(&rig, &e, e.soft_ns, e.hard_ns), TIER_NOT_THERE);
    kills_prune(rig.kills, 0);
    rig_expect_none(&rig, "a");
}

static void a_queued_entry_that_was_softened_takes_that_into_its_new_life(void **state)
{
    rig_put_tagged(&rig, "a", "1", "red");
    struct entry e = fetch("a");
    kill_softly("red");
    assert_int_equal(rig_touch(&rig, &e, e.soft_ns, e.hard_ns + 5), TIER_DONE);
    kills_prune(rig.kills, rig.v);
    assert_true(fetch("a").stale);
}

static bool writer_is_through(struct rig *r)
{
    return r->warm->swept.v >= wanted_v;
}

static void kills_are_not_settled_while_a_read_from_before_is_under_way(void **state)
{
    struct warm_read under_way;
    rig_put_tagged(&rig, "red", "2", "red");
    warm_read_begin(rig.warm, &under_way);
    rig_kill_tag(&rig, "red");
    wanted_v = rig.v;
    wait_with_timer(writer_is_through);
    assert_true(warm_swept_v(rig.warm) < rig.v);
    warm_read_end(rig.warm, &under_way);
    assert_true(warm_swept_v(rig.warm) >= rig.v);
}

#define TEST(name)         cmocka_unit_test_setup_teardown(name, open_rig, close_rig)
#define TEST_PATIENT(name) cmocka_unit_test_setup_teardown(name, open_patient_rig, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_sweep_removes_what_is_over_or_killed),
        TEST(after_a_sweep_a_killed_entry_is_gone_for_good_and_an_older_one_stays),
        TEST(a_name_is_swept_and_a_floor_is_kept),
        TEST(settled_kills_leave_the_database_and_nothing_comes_back_in_the_next_run),
        TEST(kills_of_an_earlier_run_are_settled_too),
        TEST(after_a_sweep_a_softened_entry_is_stale_without_its_kill),
        TEST_PATIENT(a_queued_entry_that_was_killed_gets_no_new_life),
        TEST_PATIENT(a_queued_entry_that_was_softened_takes_that_into_its_new_life),
        TEST(kills_are_not_settled_while_a_read_from_before_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
