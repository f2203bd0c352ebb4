/* What became of warmings, over restarts and clocks that jump (cache/runs_private.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "cache/runs_private.h"

#define DAY (86400 * NS_PER_S)
#define NOW (20000 * DAY)

static struct disk {
    struct outbox outbox;
    struct {
        char bytes[4096];
        size_t size;
    } of[RUNS_KEPT];
} disk;

static int keep(struct outbox *o, uint64_t number, struct slice bytes)
{
    assert_true(number < RUNS_KEPT && bytes.size <= sizeof(disk.of[0].bytes));
    memcpy(disk.of[number].bytes, bytes.data, bytes.size);
    disk.of[number].size = bytes.size;
    return TIER_DONE;
}

static void tell(struct outbox *o, void (*each)(void *user, uint64_t number, struct slice bytes), void *user)
{
    for (unsigned n = 0; n < RUNS_KEPT; n++)
        if (disk.of[n].size)
            each(user, n, slice_of(disk.of[n].bytes, disk.of[n].size));
}

static const struct outbox_ops ops = {.keep = keep, .each = tell};

static struct runs_kept kept;

static int begin(void **state)
{
    memset(&disk, 0, sizeof(disk));
    memset(&kept, 0, sizeof(kept));
    disk.outbox.ops = &ops;
    log_setup(LOG_ERROR, LOG_LOGFMT, 2);
    runs_kept_load(&kept, &disk.outbox);
    return 0;
}

static int end(void **state)
{
    runs_kept_free(&kept);
    return 0;
}

static void restart(void)
{
    end(NULL);
    memset(&kept, 0, sizeof(kept));
    runs_kept_load(&kept, &disk.outbox);
}

static struct run *after_a_run(const char *policy)
{
    struct run *r = runs_kept_of(&kept, policy);
    r->look.has_last = true;
    r->look.last_wall_ns = NOW;
    r->look.ratio_before = 750;
    r->look.last = (struct warming_figures){.state = WARMING_FAILED,
                                            .total = 9,
                                            .done = 7,
                                            .loaded = 4,
                                            .elapsed_ns = 12 * NS_PER_MS,
                                            .why = "Redis does not answer"};
    run_today(r, NOW)->runs++;
    run_today(r, NOW)->loaded += 4;
    runs_kept_save(&kept, r);
    return r;
}

static void the_last_run_and_the_days_are_there_after_a_restart(void **state)
{
    struct run_sums days[RUN_DAYS];
    after_a_run("pages");
    after_a_run("users");
    restart();
    const struct run *r = runs_kept_of(&kept, "pages");
    assert_true(r->look.has_last);
    assert_int_equal(r->look.last.state, WARMING_FAILED);
    assert_int_equal(r->look.last.loaded, 4);
    assert_string_equal(r->look.last.why, "Redis does not answer");
    assert_int_equal(r->look.ratio_before, 750);
    run_tell_days(r, NOW + DAY, days);
    assert_int_equal(days[0].runs, 0);
    assert_int_equal(days[1].runs, 1);
    assert_int_equal(days[1].loaded, 4);
}

static void a_restart_adds_on_to_the_day(void **state)
{
    struct run_sums days[RUN_DAYS];
    after_a_run("pages");
    restart();
    run_tell_days(after_a_run("pages"), NOW, days);
    assert_int_equal(days[0].runs, 2);
}

static void a_clock_that_jumps_and_comes_back_loses_no_day_but_the_oldest(void **state)
{
    struct run_sums days[RUN_DAYS];
    struct run *r = runs_kept_of(&kept, "pages");
    for (unsigned n = 0; n < RUN_DAYS; n++)
        run_today(r, NOW + n * DAY)->runs = n + 1;
    run_today(r, 90000 * DAY)->runs = 100;
    run_tell_days(r, NOW + 6 * DAY, days);
    for (unsigned n = 0; n < RUN_DAYS; n++)
        assert_int_equal(days[n].runs, n == 6 ? 0 : 7 - n);
    run_today(r, NOW + 6 * DAY)->runs++;
    run_tell_days(r, NOW + 6 * DAY, days);
    assert_int_equal(days[0].runs, 8);
}

static void what_is_broken_or_of_another_version_is_left_out(void **state)
{
    after_a_run("pages");
    size_t size = disk.of[0].size;
    for (size_t cut = 0; cut < size; cut++) {
        disk.of[0].size = cut;
        restart();
        assert_null(kept.of[0]);
    }
    disk.of[0].size = size;
    disk.of[0].bytes[1]++; /* the version */
    restart();
    assert_false(runs_kept_of(&kept, "pages")->look.has_last);
}

static void there_is_room_for_any_number_of_names(void **state)
{
    char name[32];
    for (unsigned n = 0; n < 2 * RUNS_KEPT; n++) {
        snprintf(name, sizeof(name), "policy-%u", n);
        after_a_run(name);
    }
    restart();
    assert_string_equal(runs_kept_of(&kept, name)->name, name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_last_run_and_the_days_are_there_after_a_restart, begin, end),
        cmocka_unit_test_setup_teardown(a_restart_adds_on_to_the_day, begin, end),
        cmocka_unit_test_setup_teardown(a_clock_that_jumps_and_comes_back_loses_no_day_but_the_oldest, begin,
                                        end),
        cmocka_unit_test_setup_teardown(what_is_broken_or_of_another_version_is_left_out, begin, end),
        cmocka_unit_test_setup_teardown(there_is_room_for_any_number_of_names, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
