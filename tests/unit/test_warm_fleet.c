/* The warm tier in a fleet: places are never ahead of their effects (I6), positions count within their epoch, what is
 * older than the floor is suspect, and the outbox keeps what it said it keeps (C8). */
#include "support/warm_fleet_rig.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ======= places ======= */

static void nothing_is_known_of_a_partition_before_its_first_place(void **state)
{
    rig_open(&rig);
    struct fleet_memory place = place_of(0, NULL);
    assert_true(place.epoch == 0 && place.applied == 0 && place.floor == 0 && place.last_fence_ns == 0);
    rig_close(&rig);
}

static void the_newest_place_of_each_partition_comes_back(void **state)
{
    rig.partitions = 64;
    rig_open(&rig);
    begin_epoch(0, E1);
    begin_epoch(63, E2);
    for (uint64_t v = 1; v <= 100; v++)
        keep_place(0, E1, v);
    keep_place(63, E2, 7);
    restart();
    struct fleet_memory first = place_of(0, NULL), last = place_of(63, NULL);
    assert_true(first.epoch == E1 && first.applied == 100 && first.floor == 3 && first.last_fence_ns == 77);
    assert_true(last.epoch == E2 && last.applied == 7);
    assert_true(place_of(5, NULL).epoch == 0);
    rig_close(&rig);
}

static void the_last_fence_of_another_boot_is_not_known(void **state)
{
    rig_open(&rig);
    keep_place(0, E1, 10);
    rig_close(&rig);
    rig.boot_id = BOOT_B;
    rig_open(&rig);
    struct fleet_memory place = place_of(0, NULL);
    assert_true(place.epoch == E1 && place.applied == 10 && place.last_fence_ns == 0);
    rig_close(&rig);
}

static void the_position_of_an_entry_ahead_of_its_place_is_remembered(void **state)
{
    uint64_t newest;
    rig_open(&rig);
    begin_epoch(0, E1);
    keep_place(0, E1, 10);
    store("a", E1, 12);
    keep_place(0, E1, 11);
    restart();
    assert_int_equal(place_of(0, &newest).applied, 11);
    assert_int_equal(newest, 12);
    rig_close(&rig);
}

/* ======= epochs ======= */

static void an_entry_is_found_in_its_epoch_and_after_a_restart(void **state)
{
    rig_open(&rig);
    begin_epoch(0, E1);
    store("a", E1, 5);
    keep_place(0, E1, 5);
    assert_int_equal(found_v("a"), 5);
    restart();
    assert_int_equal(found_v("a"), 5);
    rig_close(&rig);
}

static bool is_empty(struct rig *r)
{
    return rig_figures(r).warm_entries == 0;
}

static void an_entry_of_another_epoch_is_dead_and_swept(void **state)
{
    rig.hasty = true;
    rig_open(&rig);
    begin_epoch(0, E1);
    store("a", E1, 5);
    rig_settle(&rig);
    begin_epoch(0, E2);
    assert_int_equal(found_v("a"), 0);
    restart();
    assert_int_equal(found_v("a"), 0);
    wait_with_timer(is_empty);
    rig_close(&rig);
}

static void a_kill_of_another_epoch_is_forgotten(void **state)
{
    rig_open(&rig);
    begin_epoch(0, E1);
    kill_name(rig_tag(&rig, "red"), 1000);
    rig_settle(&rig);
    begin_epoch(0, E2);
    store("a", E2, 5);
    assert_int_equal(found_v("a"), 5);
    restart();
    assert_int_equal(found_v("a"), 5);
    assert_int_equal(stored_kills(), 0);
    rig_close(&rig);
}

static void an_epoch_of_one_partition_spares_the_kills_of_the_others(void **state)
{
    rig.partitions = 4;
    rig_open(&rig);
    for (unsigned p = 0; p < 4; p++) {
        begin_epoch(p, E1);
        kill_name(kills_name(rig_tag(&rig, "red"), p), 1000);
        kill_name(kills_name(KILLS_ALL, p), 9);
    }
    rig_settle(&rig);
    begin_epoch(2, E2);
    rig_settle(&rig);
    assert_int_equal(stored_kills(), 6);
    rig_close(&rig);
}

static void kills_of_two_epochs_in_one_queue_are_two(void **state)
{
    for (unsigned with_page = 0; with_page < 2; with_page++) {
        hour_long_commits();
        rig.with_page = with_page;
        rig_open(&rig);
        begin_epoch(0, E1);
        kill_name(rig_tag(&rig, "red"), 1000);
        begin_epoch(0, E2);
        store("old", E2, 3);
        kill_name(rig_tag(&rig, "red"), 5);
        store("new", E2, 7);
        restart();
        assert_int_equal(found_v("old"), 0);
        assert_int_equal(found_v("new"), 7);
        assert_int_equal(stored_kills(), 1);
        rig_close(&rig);
    }
}

static void a_drop_spares_what_is_newer_in_its_epoch_only(void **state)
{
    rig_open(&rig);
    begin_epoch(0, E1);
    store("a", E1, 9);
    rig_settle(&rig);
    drop("a", 5);
    rig_settle(&rig);
    assert_int_equal(found_v("a"), 9);
    begin_epoch(0, E2);
    drop("a", 5);
    rig_settle(&rig);
    assert_int_equal(rig_figures(&rig).warm_entries, 0);
    rig_close(&rig);
}

static bool is_settled(struct rig *r)
{
    return warm_swept_v(r->warm) >= 6;
}

static void what_was_swept_in_another_epoch_settles_nothing_in_this_one(void **state)
{
    rig.hasty = true;
    rig_open(&rig);
    begin_epoch(0, E1);
    store("a", E1, 5);
    kill_name(rig_tag(&rig, "red"), 6);
    wait_with_timer(is_settled);
    begin_epoch(0, E2);
    assert_int_equal(warm_swept_v(rig.warm), 0);
    rig_settle(&rig);
    assert_int_equal(warm_swept_v(rig.warm), 0);
    rig_close(&rig);
}

/* ======= fleets and none ======= */

static void what_one_kind_of_run_kept_is_dead_in_the_other_and_ever_after(void **state)
{
    rig.fleet = false;
    rig_open(&rig);
    rig_put(&rig, "a", "1");
    rig_kill_tag(&rig, "red");
    rig_close(&rig);
    rig.fleet = true;
    rig_open(&rig);
    assert_true(rig.memory.empty && rig.memory.why);
    assert_int_equal(kills_count(rig.kills), 0);
    begin_epoch(0, E1);
    keep_place(0, E1, 1);
    store("b", E1, 1);
    rig_close(&rig);
    rig.fleet = false;
    rig_open(&rig);
    rig_expect_none(&rig, "a");
    rig_expect_none(&rig, "b");
    rig_put(&rig, "c", "1");
    restart();
    rig_expect(&rig, "c", "1");
    rig_close(&rig);
}

static void another_number_of_partitions_is_another_fleet(void **state)
{
    rig_open(&rig);
    begin_epoch(0, E1);
    keep_place(0, E1, 1);
    store("a", E1, 1);
    rig_close(&rig);
    rig.partitions = 4;
    rig_open(&rig);
    assert_int_equal(place_of(0, NULL).epoch, 0);
    assert_int_equal(found_v("a"), 0);
    rig_close(&rig);
}

/* ======= suspects ======= */

static void what_is_older_than_the_unknown_is_suspect_and_stays(void **state)
{
    rig.hasty = true;
    rig_open(&rig);
    begin_epoch(0, E1);
    store("a", E1, 5);
    store("b", E1, 15);
    kill_name(kills_name(KILLS_UNKNOWN, 0), 10);
    assert_true(is_suspect("a"));
    assert_false(is_suspect("b"));
    kill_name(rig_tag(&rig, "other"), 16); /* something to sweep for */
    wait_with_timer(is_settled);
    assert_true(is_suspect("a"));
    restart();
    assert_true(is_suspect("a"));
    assert_false(is_suspect("b"));
    rig_close(&rig);
}

static unsigned taken;

static bool take(void *user, const struct entry *e)
{
    assert_false(e->suspect);
    taken++;
    return true;
}

static bool restored;

static void note_restored(void *user, uint64_t count)
{
    restored = true;
}

static bool is_restored(struct rig *r)
{
    return restored;
}

static void a_suspect_is_not_carried_into_l1(void **state)
{
    rig_open(&rig);
    begin_epoch(0, E1);
    store("a", E1, 5);
    store("b", E1, 15);
    keep_place(0, E1, 15);
    kill_name(kills_name(KILLS_UNKNOWN, 0), 10);
    restart();
    taken = 0;
    restored = false;
    warm_restore(rig.warm, take, note_restored, NULL);
    rig_wait(&rig, is_restored);
    assert_int_equal(taken, 1);
    rig_close(&rig);
}

static void an_entry_is_swept_by_the_kills_of_its_own_partition(void **state)
{
    char here[16] = "", there[16] = "";
    rig.partitions = 2;
    for (unsigned n = 0; !here[0] || !there[0]; n++) {
        char key[16];
        snprintf(key, sizeof(key), "k%u", n);
        memcpy(shm_partition(slice_text(key), 2) ? there : here, key, sizeof(key));
    }
    rig.hasty = true;
    rig_open(&rig);
    for (unsigned p = 0; p < 2; p++) {
        begin_epoch(p, E1);
        keep_place(p, E1, 1);
    }
    store(here, E1, 5);
    store(there, E1, 5);
    kill_name(kills_name(rig_tag(&rig, "red"), 1), 9);
    assert_int_equal(found_v(here), 5);
    assert_int_equal(found_v(there), 0);
    restart();
    wait_with_timer(one_is_left);
    assert_int_equal(found_v(here), 5);
    assert_int_equal(warm_swept_v(rig.warm), 0);
    rig_close(&rig);
}

/* ======= the outbox ======= */

static void what_is_kept_comes_back_in_order(void **state)
{
    rig_open(&rig);
    assert_int_equal(keep(1, "one"), TIER_UNSAFE);
    assert_int_equal(keep(2, "two"), TIER_UNSAFE);
    assert_int_equal(keep(300, "more"), TIER_UNSAFE);
    restart();
    assert_string_equal(all_kept(), "1=one 2=two 300=more ");
    rig_close(&rig);
}

static void what_was_dropped_does_not_come_back(void **state)
{
    rig_open(&rig);
    keep(1, "one");
    keep(2, "two");
    keep(3, "three");
    drop_up_to(2);
    restart();
    assert_string_equal(all_kept(), "3=three ");
    drop_up_to(3);
    restart();
    assert_string_equal(all_kept(), "");
    rig_close(&rig);
}

static void the_outbox_outlives_a_change_to_no_fleet_and_back(void **state)
{
    rig_open(&rig);
    keep(1, "one");
    rig_close(&rig);
    rig.fleet = false;
    rig_open(&rig);
    rig_close(&rig);
    rig.fleet = true;
    rig_open(&rig);
    assert_string_equal(all_kept(), "1=one ");
    rig_close(&rig);
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void fail_commits(void)
{
    signal(SIGXFSZ, SIG_IGN);
    limit_files(4096);
    store("a", E1, 1);
    wait_with_timer(commits_fail);
}

static void while_commits_fail_nothing_is_kept_but_in_memory_and_nobody_waits_for_it(void **state)
{
    rig_open(&rig);
    begin_epoch(0, E1);
    rig_settle(&rig);
    fail_commits();
    assert_int_equal(keep(1, "one"), TIER_UNSTORED);
    rig_barrier(&rig);
    limit_files(RLIM_INFINITY);
    restart();
    assert_string_equal(all_kept(), "1=one ");
    rig_close(&rig);
}

static void who_waits_for_a_keep_hears_of_it_after_its_commit_only(void **state)
{
    struct rig_barrier b = {.barrier.done = rig_reached};
    rig.with_page = false;
    rig_open(&rig);
    begin_epoch(0, E1);
    rig_settle(&rig);
    signal(SIGXFSZ, SIG_IGN);
    limit_files(4096);
    assert_int_equal(keep(1, "one"), TIER_UNSAFE);
    rig.tier->ops->barrier(rig.tier, &b.barrier);
    wait_with_timer(commits_fail);
    drop("a", 9); /* whoever waits for this is let go by giving everything up */
    rig_barrier(&rig);
    assert_int_equal(rig_figures(&rig).warm_collapses, 1);
    assert_false(b.reached);
    limit_files(RLIM_INFINITY);
    wait_with_timer(is_well);
    while (!b.reached)
        loop_run_once(rig.loop);
    assert_string_equal(all_kept(), "1=one ");
    rig_close(&rig);
}

static void an_epoch_outlives_giving_everything_up(void **state)
{
    rig_open(&rig);
    begin_epoch(0, E1);
    kill_name(rig_tag(&rig, "red"), 1000);
    rig_settle(&rig);
    signal(SIGXFSZ, SIG_IGN);
    rig.with_page = false;
    limit_files(4096);
    begin_epoch(0, E2);
    wait_with_timer(commits_fail);
    while (page_append(rig.page, PAGE_KEY, 1, 1))
        ;
    store("a", E2, 1); /* there is no room for it in the journal */
    assert_int_equal(rig_figures(&rig).warm_collapses, 1);
    limit_files(RLIM_INFINITY);
    rig_settle(&rig);
    assert_int_equal(stored_kills(), 0);
    rig.with_page = true;
    restart();
    assert_int_equal(place_of(0, NULL).epoch, E2);
    assert_int_equal(found_v("a"), 1);
    rig_close(&rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_fleet_rig, drop_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_known_of_a_partition_before_its_first_place),
        TEST(the_newest_place_of_each_partition_comes_back),
        TEST(the_last_fence_of_another_boot_is_not_known),
        TEST(the_position_of_an_entry_ahead_of_its_place_is_remembered),
        TEST(an_entry_is_found_in_its_epoch_and_after_a_restart),
        TEST(an_entry_of_another_epoch_is_dead_and_swept),
        TEST(a_kill_of_another_epoch_is_forgotten),
        TEST(an_epoch_of_one_partition_spares_the_kills_of_the_others),
        TEST(kills_of_two_epochs_in_one_queue_are_two),
        TEST(a_drop_spares_what_is_newer_in_its_epoch_only),
        TEST(what_was_swept_in_another_epoch_settles_nothing_in_this_one),
        TEST(what_one_kind_of_run_kept_is_dead_in_the_other_and_ever_after),
        TEST(another_number_of_partitions_is_another_fleet),
        TEST(what_is_older_than_the_unknown_is_suspect_and_stays),
        TEST(a_suspect_is_not_carried_into_l1),
        TEST(an_entry_is_swept_by_the_kills_of_its_own_partition),
        TEST(what_is_kept_comes_back_in_order),
        TEST(what_was_dropped_does_not_come_back),
        TEST(the_outbox_outlives_a_change_to_no_fleet_and_back),
        TEST(while_commits_fail_nothing_is_kept_but_in_memory_and_nobody_waits_for_it),
        TEST(who_waits_for_a_keep_hears_of_it_after_its_commit_only),
        TEST(an_epoch_outlives_giving_everything_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
