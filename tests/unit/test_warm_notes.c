/* What the database keeps for others, beside the entries: kinds by themselves, over kills, and over more than entries. */
#include <fcntl.h>
#include "support/warm_rig.h"

/* "number=bytes " in order. */
static void write_down(void *user, uint64_t number, struct slice bytes)
{
    char *text = user;
    sprintf(text + strlen(text), "%u=%.*s ", (unsigned)number, (int)bytes.size, (const char *)bytes.data);
}

static void expect_kept(struct outbox *o, const char *wanted)
{
    char text[256] = "";
    o->ops->each(o, write_down, text);
    assert_string_equal(text, wanted);
}

static void keep(struct outbox *o, uint64_t number, const char *bytes)
{
    assert_int_equal(o->ops->keep(o, number, slice_text(bytes)), TIER_DONE);
}

static void keep_some(void)
{
    rig_put(&rig, "a", "1");
    keep(warm_notes(rig.warm), 1, "line");
    keep(warm_rollups(rig.warm), 1, "day");
    keep(warm_rollups(rig.warm), 7, "minute");
    keep(warm_runs(rig.warm), 1, "run");
    keep(warm_rollups(rig.warm), 1, "day again");
    rig_settle(&rig);
}

static void keep_some_and_one_uncommitted(void)
{
    keep_some();
    keep(warm_rollups(rig.warm), 9, "not yet");
}

static void kinds_are_kept_apart_and_a_number_has_one_record(void **state)
{
    rig_open(&rig);
    keep_some();
    restart();
    expect_kept(warm_notes(rig.warm), "1=line ");
    expect_kept(warm_rollups(rig.warm), "1=day again 7=minute ");
    expect_kept(warm_runs(rig.warm), "1=run ");
    struct outbox *o = warm_rollups(rig.warm);
    o->ops->drop_up_to(o, 5);
    restart();
    expect_kept(warm_rollups(rig.warm), "7=minute ");
    expect_kept(warm_runs(rig.warm), "1=run ");
    rig_close(&rig);
}

static void what_was_committed_survives_a_kill(void **state)
{
    rig_in_killed_child(&rig, keep_some_and_one_uncommitted);
    rig_open(&rig);
    rig_expect(&rig, "a", "1");
    char text[256] = "";
    struct outbox *o = warm_rollups(rig.warm);
    o->ops->each(o, write_down, text);
    assert_int_equal(strncmp(text, "1=day again 7=minute ", 21), 0);
    rig_close(&rig);
}

static void statistics_outlive_entries_that_nobody_can_vouch_for(void **state)
{
    rig_in_killed_child(&rig, keep_some);
    rig.boot_id = BOOT_B; /* a power cut */
    rig_open(&rig);
    assert_true(rig.memory.empty && rig.memory.why);
    expect_kept(warm_rollups(rig.warm), "1=day again 7=minute ");
    expect_kept(warm_runs(rig.warm), "1=run ");
    expect_kept(warm_notes(rig.warm), "");
    restart();
    expect_kept(warm_rollups(rig.warm), "1=day again 7=minute ");
    rig_close(&rig);
}

static void flip(const char *needle)
{
    static char bytes[4 << 20];
    char path[256];
    snprintf(path, sizeof(path), "%s/data.mdb", rig.directory);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ssize_t size = read(fd, bytes, sizeof(bytes));
    for (char *at = bytes; (at = memmem(at, (size_t)(bytes + size - at), needle, strlen(needle))); at++)
        assert_int_equal(pwrite(fd, "?", 1, at - bytes), 1);
    close(fd);
}

static void a_record_that_is_broken_is_left_out(void **state)
{
    rig_open(&rig);
    keep_some();
    rig_close(&rig);
    flip("minute");
    rig_open(&rig);
    expect_kept(warm_rollups(rig.warm), "1=day again ");
    rig_close(&rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_rig, drop_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(kinds_are_kept_apart_and_a_number_has_one_record),
        TEST(what_was_committed_survives_a_kill),
        TEST(statistics_outlive_entries_that_nobody_can_vouch_for),
        TEST(a_record_that_is_broken_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
