/* When the file of the warm tier is looked through before it is used, and when that would be a waste of a restart. */
#include "support/warm_rig.h"

static void put_one_that_is_committed(void)
{
    rig_put(&rig, "a", "1");
    rig_settle(&rig);
}

static void a_file_nobody_touched_since_the_last_commit_is_not_looked_through_again(void **state)
{
    rig_open(&rig);
    assert_false(rig.memory.scanned); /* there was none */
    put_one_that_is_committed();
    restart();
    assert_false(rig.memory.scanned);
    rig_expect(&rig, "a", "1");
    rig_close(&rig);
    rig_in_killed_child(&rig, put_one_that_is_committed);
    rig_open(&rig);
    assert_false(rig.memory.scanned);
    rig_expect(&rig, "a", "1");
    rig_close(&rig);
}

static void a_file_that_was_changed_by_others_is_looked_through(void **state)
{
    char data[192];
    snprintf(data, sizeof(data), "%s/data.mdb", rig.directory);
    rig_open(&rig);
    put_one_that_is_committed();
    rig_close(&rig);
    assert_int_equal(chmod(data, 0600), 0);
    rig_open(&rig);
    assert_true(rig.memory.scanned);
    rig_expect(&rig, "a", "1");
    rig_close(&rig);
}

static void a_file_that_is_cut_in_the_tick_of_the_last_commit_is_looked_through(void **state)
{
    char data[192];
    snprintf(data, sizeof(data), "%s/data.mdb", rig.directory);
    rig_open(&rig);
    put_one_that_is_committed();
    rig_close(&rig);
    assert_int_equal(truncate(data, 3 * 4096), 0);
    rig_open(&rig);
    assert_true(rig.memory.scanned);
    rig_expect_none(&rig, "a");
    rig_close(&rig);
}

static void a_file_of_another_boot_is_looked_through(void **state)
{
    rig_open(&rig);
    put_one_that_is_committed();
    rig_close(&rig);
    rig.boot_id = BOOT_B;
    rig_open(&rig);
    assert_true(rig.memory.scanned);
    rig_close(&rig);
}

static void without_a_runtime_page_every_file_is_looked_through(void **state)
{
    rig.with_page = false;
    rig_open(&rig);
    put_one_that_is_committed();
    restart();
    assert_true(rig.memory.scanned);
    rig_close(&rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_rig, drop_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_nobody_touched_since_the_last_commit_is_not_looked_through_again),
        TEST(a_file_that_was_changed_by_others_is_looked_through),
        TEST(a_file_that_is_cut_in_the_tick_of_the_last_commit_is_looked_through),
        TEST(a_file_of_another_boot_is_looked_through),
        TEST(without_a_runtime_page_every_file_is_looked_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
