/* The warm tier while commits fail and while its bounds are reached: nobody waits for ever, nothing un-happens, and it
 * goes on when there is room again.
 *
 * A file size limit of a page breaks every commit and nothing else: the page on tmpfs is memory by then, and the
 * file for the floor is allocated. */
#include "support/warm_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void break_disk(void)
{
    limit_files(4096);
}

static void mend_disk(void)
{
    limit_files(RLIM_INFINITY);
}

static int make_rig_on_a_disk(void **state)
{
    signal(SIGXFSZ, SIG_IGN);
    rig_make(&rig);
    return 0;
}

static int drop_rig_and_mend(void **state)
{
    mend_disk();
    rig_remove(&rig);
    return 0;
}

static void store_a(void)
{
    rig_put(&rig, "a", "1");
    rig_settle(&rig);
}

static void in_killed_child(void (*life)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        rig_open(&rig);
        life();
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* ======= failing commits ======= */

static void a_removal_whose_commit_fails_stays_done(void **state)
{
    rig_open(&rig);
    store_a();
    break_disk();
    assert_int_equal(rig_drop(&rig, "a"), TIER_DONE);
    wait_with_timer(commits_fail);
    rig_expect_none(&rig, "a");
    assert_non_null(warm_trouble(rig.warm));
    mend_disk();
    rig_settle(&rig);
    rig_expect_none(&rig, "a");
    assert_int_equal(rig_figures(&rig).warm_entries, 0);
    rig_close(&rig);
}

static void an_entry_whose_commit_fails_is_served_and_kept_when_the_disk_is_mended(void **state)
{
    rig_open(&rig);
    store_a();
    break_disk();
    rig_put(&rig, "a", "2");
    wait_with_timer(commits_fail);
    rig_expect(&rig, "a", "2");
    mend_disk();
    rig_settle(&rig);
    rig_expect(&rig, "a", "2");
    wait_with_timer(is_well);
    rig_close(&rig);
}

static void store_and_drop_on_a_broken_disk(void)
{
    store_a();
    break_disk();
    rig_drop(&rig, "a");
    wait_with_timer(commits_fail);
}

static void a_removal_whose_commit_fails_survives_kill_9(void **state)
{
    in_killed_child(store_and_drop_on_a_broken_disk);
    rig_open(&rig);
    rig_expect_none(&rig, "a");
    rig_close(&rig);
}

static void a_stop_on_a_broken_disk_is_unclean_and_ends_at_its_deadline(void **state)
{
    rig_open(&rig);
    store_a();
    break_disk();
    rig_drop(&rig, "a");
    wait_with_timer(commits_fail);
    warm_stop(rig.warm, clock_after(loop_now_fresh(rig.loop), 300 * NS_PER_MS), rig_on_closed, &rig);
    while (!rig.closed)
        loop_run_once(rig.loop);
    while (!rig.warm->last_news.exited) /* it gives up by itself then, too; a test may not leave it behind */
        writer_collect(rig.warm->writer, &rig.warm->lingering, &rig.warm->last_news);
    rig.warm->exited = true;
    assert_false(rig.warm->last_news.clean);
    rig_drop_loop(&rig, true);
    mend_disk();
    rig_open(&rig);
    rig_expect_none(&rig, "a");
    rig_close(&rig);
}

/* ======= ahead of the disk ======= */

enum { AHEAD_MAX = 1 << 18 };

static int drop_numbered(unsigned n)
{
    return rig.tier->ops->drop(rig.tier, slice_text("x"), (uint64_t)(n + 1) * 0x9e3779b97f4a7c15ull, ++rig.v);
}

static void run_ahead(void)
{
    for (unsigned n = 0; rig.warm->sequence < rig.warm->last_news.committed + AHEAD_MAX; n++)
        assert_int_equal(drop_numbered(n), TIER_DONE);
}

static void who_is_far_ahead_of_the_disk_waits_until_he_is_not(void **state)
{
    struct rig_barrier b = {.barrier.done = rig_reached};
    hour_long_commits();
    rig_open(&rig);
    run_ahead();
    assert_int_equal(rig_drop(&rig, "a"), TIER_UNSAFE);
    assert_true(rig.warm->safe >= rig.warm->unsafe);
    rig.tier->ops->barrier(rig.tier, &b.barrier);
    assert_false(b.reached);
    assert_int_equal(b.barrier.tier_private[2], rig.warm->sequence - AHEAD_MAX); /* and for no more */
    while (!b.reached)
        loop_run_once(rig.loop);
    rig_settle(&rig);
    assert_int_equal(rig_drop(&rig, "a"), TIER_DONE);
    rig_close(&rig);
}

static void a_disk_that_begins_to_fail_holds_up_nobody_and_gives_up_nothing(void **state)
{
    hour_long_commits();
    rig_open(&rig);
    store_a();
    break_disk();
    run_ahead();
    assert_int_equal(rig_drop(&rig, "b"), TIER_UNSAFE);
    rig_barrier(&rig);
    assert_true(rig.warm->failing);
    assert_int_equal(rig_figures(&rig).warm_collapses, 0);
    rig_expect(&rig, "a", "1");
    mend_disk();
    rig_close(&rig);
}

/* ======= the journal is full ======= */

enum { JOURNAL_RECORDS = (8 << 20) / 24 };

static void a_change_is_unsafe_when_the_journal_is_full(void **state)
{
    hour_long_commits();
    rig_open(&rig);
    store_a();
    while (page_append(rig.page, PAGE_KEY, 1, 1))
        ;
    assert_int_equal(rig_drop(&rig, "a"), TIER_UNSAFE);
    rig_barrier(&rig);
    assert_true(rig.warm->safe >= rig.warm->sequence);
    rig_close(&rig);
}

static void overflow_the_journal_on_a_broken_disk(void)
{
    store_a();
    break_disk();
    rig_drop(&rig, "b");
    wait_with_timer(commits_fail);
    for (unsigned n = 0; n < JOURNAL_RECORDS + 10; n++)
        CHECK(drop_numbered(n) == TIER_DONE);
    CHECK(rig_figures(&rig).warm_collapses == 1);
    rig_expect_none(&rig, "a");
    CHECK(rig_drop(&rig, "a") == TIER_DONE);
}

static void with_a_full_journal_and_failing_commits_everything_is_given_up_and_nobody_waits(void **state)
{
    in_killed_child(overflow_the_journal_on_a_broken_disk);
    rig_open(&rig);
    rig_expect_none(&rig, "a");
    rig_put(&rig, "b", "2");
    restart();
    rig_expect_none(&rig, "a");
    rig_expect(&rig, "b", "2");
    rig_close(&rig);
}

static void what_is_stored_after_a_collapse_is_kept(void **state)
{
    rig_open(&rig);
    overflow_the_journal_on_a_broken_disk();
    mend_disk();
    rig_put(&rig, "a", "3");
    rig_settle(&rig);
    rig_expect(&rig, "a", "3");
    restart();
    rig_expect(&rig, "a", "3");
    assert_int_equal(rig_figures(&rig).warm_entries, 1);
    rig_close(&rig);
}

/* ======= without a page ======= */

static void drop_without_page_on_a_broken_disk(void)
{
    store_a();
    break_disk();
    CHECK(rig_drop(&rig, "a") == TIER_UNSAFE);
    rig_barrier(&rig);
    rig_expect_none(&rig, "a");
}

static void without_a_page_a_barrier_on_a_broken_disk_gives_up_the_entries(void **state)
{
    rig.with_page = false;
    in_killed_child(drop_without_page_on_a_broken_disk);
    rig_open(&rig);
    rig_expect_none(&rig, "a");
    rig_close(&rig);
}

static void too_many_changes_collapse_the_overlay(void **state)
{
    rig.with_page = false;
    rig_open(&rig);
    store_a();
    break_disk();
    rig_drop(&rig, "b");
    wait_with_timer(commits_fail);
    for (unsigned n = 0; n < OVERLAY_MAX; n++)
        drop_numbered(n);
    assert_int_equal(rig_figures(&rig).warm_collapses, 1);
    assert_true(rig_figures(&rig).warm_overlay <= 10);
    rig_expect_none(&rig, "a");
    mend_disk();
    rig_settle(&rig);
    restart();
    rig_expect_none(&rig, "a");
    rig_close(&rig);
}

/* ======= a small disk ======= */

/* A tmpfs of our own, in a mount namespace of our own: gone with the process. */
static bool mount_disk(const char *where, const char *size)
{
    char options[32];
    snprintf(options, sizeof(options), "size=%s", size);
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mkdir(where, 0700) == 0 && mount("tmpfs", where, "tmpfs", 0, options) == 0;
}

static void fill_disk(const char *path)
{
    char zero[4096] = {0};
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    while (write(fd, zero, sizeof(zero)) > 0)
        ;
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

static void put_many(unsigned count)
{
    char key[16];
    static char value[4000];
    for (unsigned n = 0; n < count; n++) {
        snprintf(key, sizeof(key), "k%u", n);
        struct entry e = rig_entry(&rig, key, slice_of(value, sizeof(value)));
        rig.tier->ops->put(rig.tier, &e);
        if (n % 100 == 0)
            rig_settle(&rig);
    }
    rig_settle(&rig);
}

static bool keeps_entries(struct rig *r)
{
    struct rig_read read;
    if (rig_put(r, "again", "1") != TIER_DONE)
        return false;
    rig_settle(r);
    rig_get(r, "again", &read);
    return read.outcome == TIER_FOUND && !r->warm->failing;
}

static void a_full_disk_is_survived_and_left_behind(void **state)
{
    char disk[96], filler[128];
    snprintf(disk, sizeof(disk), "%s/disk", rig.root);
    snprintf(filler, sizeof(filler), "%s/filler", disk);
    if (!mount_disk(disk, "4m")) {
        print_message("cannot mount a small tmpfs here\n");
        skip();
    }
    snprintf(rig.directory, sizeof(rig.directory), "%s/state", disk);
    rig_open(&rig);
    put_many(3000); /* 12 MB into 4 MB: evicted from the front */
    assert_true(rig_figures(&rig).warm_evictions > 0);
    fill_disk(filler);
    put_many(500);
    rig_put(&rig, "last", "1");
    rig_drop(&rig, "last");
    rig_expect_none(&rig, "last");
    unlink(filler);
    wait_with_timer(keeps_entries);
    restart();
    rig_expect(&rig, "again", "1");
    rig_expect_none(&rig, "last");
    rig_close(&rig);
    umount(disk);
}

static bool disk_has_a_name(struct rig *r)
{
    return warm_trouble(r->warm) && strstr(warm_trouble(r->warm), "disk");
}

enum { LARGE_BYTES = 200 << 10 };

static void put_large(unsigned n)
{
    static char value[LARGE_BYTES];
    char key[16];
    snprintf(key, sizeof(key), "large%u", n);
    struct entry e = rig_entry(&rig, key, slice_of(value, sizeof(value)));
    rig.tier->ops->put(rig.tier, &e);
    rig_settle(&rig);
}

/* Somebody else fills the disk: a few entries go for a new one, not all of a tier of large ones, and health says why. */
static void a_full_disk_has_a_name_and_does_not_cost_all_entries(void **state)
{
    char disk[96], filler[128];
    snprintf(disk, sizeof(disk), "%s/disk", rig.root);
    snprintf(filler, sizeof(filler), "%s/filler", disk);
    if (!mount_disk(disk, "8m")) {
        print_message("cannot mount a small tmpfs here\n");
        skip();
    }
    snprintf(rig.directory, sizeof(rig.directory), "%s/state", disk);
    rig_open(&rig);
    for (unsigned n = 0; n < 20; n++)
        put_large(n);
    assert_int_equal(rig_figures(&rig).warm_entries, 20);
    assert_null(warm_trouble(rig.warm));
    fill_disk(filler);
    unsigned n = 20;
    while (!disk_has_a_name(&rig))
        put_large(n++);
    assert_true(rig_figures(&rig).warm_evictions > 0 && rig_figures(&rig).warm_entries >= 10);
    unlink(filler);
    wait_with_timer(is_well);
    rig_close(&rig);
    umount(disk);
}

static void a_disk_without_any_room_is_refused_or_started_empty(void **state)
{
    char disk[96], filler[128];
    snprintf(disk, sizeof(disk), "%s/disk", rig.root);
    snprintf(filler, sizeof(filler), "%s/filler", disk);
    if (!mount_disk(disk, "1m")) {
        print_message("cannot mount a small tmpfs here\n");
        skip();
    }
    fill_disk(filler);
    snprintf(rig.directory, sizeof(rig.directory), "%s/state", disk);
    assert_int_equal(rig_try_open(&rig), WARM_E_FULL);
    rig.page = page_close(rig.page, false);
    loop_destroy(rig.loop);
    unlink(filler);
    rig_open(&rig);
    rig_close(&rig);
    umount(disk);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_rig_on_a_disk, drop_rig_and_mend)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_removal_whose_commit_fails_stays_done),
        TEST(an_entry_whose_commit_fails_is_served_and_kept_when_the_disk_is_mended),
        TEST(a_removal_whose_commit_fails_survives_kill_9),
        TEST(a_stop_on_a_broken_disk_is_unclean_and_ends_at_its_deadline),
        TEST(who_is_far_ahead_of_the_disk_waits_until_he_is_not),
        TEST(a_disk_that_begins_to_fail_holds_up_nobody_and_gives_up_nothing),
        TEST(a_change_is_unsafe_when_the_journal_is_full),
        TEST(with_a_full_journal_and_failing_commits_everything_is_given_up_and_nobody_waits),
        TEST(what_is_stored_after_a_collapse_is_kept),
        TEST(without_a_page_a_barrier_on_a_broken_disk_gives_up_the_entries),
        TEST(too_many_changes_collapse_the_overlay),
        TEST(a_full_disk_is_survived_and_left_behind),
        TEST(a_full_disk_has_a_name_and_does_not_cost_all_entries),
        TEST(a_disk_without_any_room_is_refused_or_started_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
