/* The warm tier as cache/ sees it: what was stored is found, what was changed is not, over restarts too. */
#include "test_warm_rig.h"

static struct rig rig;

static int make_rig(void **state)
{
    rig_make(&rig);
    return 0;
}

static int drop_rig(void **state)
{
    rig_remove(&rig);
    return 0;
}

static void an_entry_is_found_before_its_commit(void **state)
{
    rig_open(&rig);
    assert_int_equal(rig_put(&rig, "a", "1"), TIER_DONE);
    rig_expect(&rig, "a", "1");
    rig_close(&rig);
}

static void an_entry_is_found_after_its_commit(void **state)
{
    rig_open(&rig);
    rig_put(&rig, "a", "1");
    rig_settle(&rig);
    assert_int_equal(rig_figures(&rig).warm_overlay, 0);
    assert_int_equal(rig_figures(&rig).warm_entries, 1);
    rig_expect(&rig, "a", "1");
    rig_close(&rig);
}

static void an_entry_survives_a_restart(void **state)
{
    rig_open(&rig);
    rig_put(&rig, "a", "1");
    rig_close(&rig);
    rig_open(&rig);
    assert_false(rig.memory.empty);
    rig_expect(&rig, "a", "1");
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_entry_is_found_before_its_commit, make_rig, drop_rig),
        cmocka_unit_test_setup_teardown(an_entry_is_found_after_its_commit, make_rig, drop_rig),
        cmocka_unit_test_setup_teardown(an_entry_survives_a_restart, make_rig, drop_rig),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
