/* Globs in the warm tier: masked at once, safe with their commit, swept, and what they hit after a restart. */
#include "support/warm_rig.h"

static int ban(const char *glob, bool soft)
{
    uint64_t name = kills_name(kills_ban(rig.kills, slice_text(glob)), 0);
    kills_add(rig.kills, name, ++rig.v, soft);
    return rig.tier->ops->kill(rig.tier, name, rig.v, soft);
}

static void a_glob_masks_at_once_and_says_that_it_must_be_committed(void **state)
{
    rig_put(&rig, "a:1:x", "1");
    rig_settle(&rig);
    rig_put(&rig, "a:2:x", "1");
    assert_int_equal(ban("a:*:x", false), TIER_UNSAFE);
    rig_expect_none(&rig, "a:1:x");
    rig_expect_none(&rig, "a:2:x");
    rig_put(&rig, "a:1:x", "newer");
    rig_expect(&rig, "a:1:x", "newer");
    rig_barrier(&rig);
}

static void the_sweep_removes_what_a_glob_hits(void **state)
{
    rig_put(&rig, "a:1:x", "1");
    rig_put(&rig, "a:1:y", "1");
    ban("a:*:x", false);
    rig_settle(&rig);
    restart(); /* a pass begins with a run */
    wait_with_timer(one_is_left);
    rig_expect(&rig, "a:1:y", "1");
}

static bool is_settled(struct rig *r)
{
    return warm_swept_v(r->warm) >= r->v;
}

static void a_settled_glob_may_be_forgotten_and_nothing_comes_back(void **state)
{
    rig_put(&rig, "a:1:x", "1");
    ban("a:*:x", false);
    wait_with_timer(is_settled);
    kills_prune(rig.kills, warm_swept_v(rig.warm));
    assert_int_equal(kills_bans(rig.kills), 0);
    rig_expect_none(&rig, "a:1:x");
}

static void a_soft_glob_is_swept_into_the_entries(void **state)
{
    rig_put(&rig, "a:1:x", "1");
    ban("a:*:x", true);
    wait_with_timer(is_settled);
    kills_prune(rig.kills, warm_swept_v(rig.warm));
    struct entry e = rig_fetch(&rig, "a:1:x");
    assert_true(e.stale);
}

/* ======= kill -9 ======= */

static void ban_and_wait(void)
{
    rig_put(&rig, "a:1:x", "1");
    rig_put(&rig, "a:1:y", "1");
    rig_settle(&rig);
    ban("a:*:x", false);
    rig_barrier(&rig);
}

static void a_glob_that_was_answered_survives_a_kill_and_hits_no_more_than_before(void **state)
{
    rig_in_killed_child(&rig, ban_and_wait);
    rig_open(&rig);
    assert_int_equal(kills_bans(rig.kills), 1);
    rig_expect_none(&rig, "a:1:x");
    rig_expect(&rig, "a:1:y", "1");
    rig_close(&rig);
}

/* The name of the first glob goes to a second one before anything is committed: the first is what the floor stands for. */
static void displace_and_wait(void)
{
    rig_put(&rig, "a:1:x", "1");
    rig_put(&rig, "b:1:x", "1");
    rig_settle(&rig);
    uint64_t name = kills_ban(rig.kills, slice_text("a:*:x"));
    ban("a:*:x", false);
    uint64_t floor_v = rig.v;
    kills_unban(rig.kills, name);
    kills_add(rig.kills, kills_name(KILLS_ALL, 0), floor_v, false);
    rig.tier->ops->kill(rig.tier, kills_name(KILLS_ALL, 0), floor_v, false);
    rig_put(&rig, "c:1:x", "1");
    ban("c:*:y", false);
    rig_barrier(&rig);
}

static void a_displaced_glob_is_a_floor_after_a_kill(void **state)
{
    rig_in_killed_child(&rig, displace_and_wait);
    rig_open(&rig);
    rig_expect_none(&rig, "a:1:x");
    rig_expect_none(&rig, "b:1:x");
    assert_int_equal(kills_floor(rig.kills, 0), (rig.memory.start_no - 1) << 40 | 3);
    rig_close(&rig);
}

/* Or the first caller would be answered by a commit that has neither its glob nor the floor. */
static void a_change_of_another_glob_takes_nobodys_place_in_the_queue(void **state)
{
    struct op *old = op_create(OP_KILL, OP_OF_NAME, KILLS_BAN_FIRST, 3),
              *same = op_create(OP_KILL, OP_OF_NAME, KILLS_BAN_FIRST, 3),
              *other = op_create(OP_KILL, OP_OF_NAME, KILLS_BAN_FIRST, 3);
    memcpy(old->bytes, "a:*", 3);
    memcpy(same->bytes, "a:*", 3);
    memcpy(other->bytes, "b:*", 3);
    assert_true(op_may_go_ahead(old, same) && op_is_covered_by(old, same));
    assert_false(op_may_go_ahead(old, other) || op_is_covered_by(old, other));
    free(old);
    free(same);
    free(other);
}

static void lose_text(void)
{
    ban_and_wait();
    struct env_txn t;
    rig_settle(&rig);
    CHECK(env_begin(rig.warm->env, &t) == 0);
    CHECK(env_save_glob(&t, 0, slice_text("*no*glob*")) == 0);
    CHECK(env_commit(&t) == 0);
}

static void a_glob_whose_text_is_lost_takes_everything_that_is_older(void **state)
{
    rig_in_killed_child(&rig, lose_text);
    rig_open(&rig);
    rig_expect_none(&rig, "a:1:x");
    rig_expect_none(&rig, "a:1:y");
    rig_close(&rig);
}

#define OPENED(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)
#define KILLED(name) cmocka_unit_test_setup_teardown(name, make_rig, drop_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OPENED(a_glob_masks_at_once_and_says_that_it_must_be_committed),
        OPENED(the_sweep_removes_what_a_glob_hits),
        OPENED(a_settled_glob_may_be_forgotten_and_nothing_comes_back),
        OPENED(a_soft_glob_is_swept_into_the_entries),
        KILLED(a_glob_that_was_answered_survives_a_kill_and_hits_no_more_than_before),
        KILLED(a_displaced_glob_is_a_floor_after_a_kill),
        cmocka_unit_test(a_change_of_another_glob_takes_nobodys_place_in_the_queue),
        KILLED(a_glob_whose_text_is_lost_takes_everything_that_is_older),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
