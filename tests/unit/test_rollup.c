/* Statistics by the day: pure, so days pass as fast as the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "admin/rollup_private.h"
#include "admin/rollup_report.h"
#include "base/check.h"

#define DAY_0  (20000 * ROLLUP_DAY_S)
#define MINUTE 60ull

enum { NUMBERS = 8192 };

/* What is on the disk. */
struct disk {
    struct {
        uint8_t *bytes;
        size_t size;
    } of[NUMBERS];
    unsigned written;
    struct rollup *rollup;
    uint64_t now_s;
};

static void keep(void *user, uint64_t number, struct slice record)
{
    struct disk *d = user;
    assert_true(number < NUMBERS && record.size <= ROLLUP_RECORD_BYTES);
    free(d->of[number].bytes);
    d->of[number].bytes = must_alloc(record.size);
    memcpy(d->of[number].bytes, record.data, record.size);
    d->of[number].size = record.size;
    d->written++;
}

static unsigned open_rollup(struct disk *d, uint64_t now_s)
{
    unsigned refused = 0;
    d->rollup = rollup_create(&(struct rollup_store){keep, d});
    for (unsigned n = 0; n < NUMBERS; n++)
        if (d->of[n].bytes && !rollup_load(d->rollup, n, slice_of(d->of[n].bytes, d->of[n].size)))
            refused++;
    rollup_begin(d->rollup, d->now_s = now_s);
    return refused;
}

static int begin(void **state)
{
    struct disk *d = *state = must_alloc(sizeof(*d));
    open_rollup(d, DAY_0);
    return 0;
}

static int end(void **state)
{
    struct disk *d = *state;
    rollup_destroy(d->rollup);
    for (unsigned n = 0; n < NUMBERS; n++)
        free(d->of[n].bytes);
    free(d);
    return 0;
}

static void kill_and_open(struct disk *d, uint64_t now_s)
{
    rollup_destroy(d->rollup);
    assert_int_equal(open_rollup(d, now_s), 0);
}

static void hit(struct disk *d, const char *policy, uint64_t hits)
{
    struct rollup_counts more = {.hits_l1 = hits, .misses = 1};
    rollup_add_policy(d->rollup, slice_text(policy), slice_text("page"), &more);
}

static void go_to(struct disk *d, uint64_t now_s)
{
    assert_true(rollup_is_over(d->rollup, now_s));
    rollup_turn(d->rollup, d->now_s = now_s);
}

static struct rollup_report ask(struct disk *d, unsigned days, enum rollup_by by)
{
    struct rollup_report p;
    rollup_report(d->rollup, days, by, &p);
    return p;
}

static uint64_t total_hits(struct disk *d, unsigned days)
{
    struct rollup_report p = ask(d, days, ROLLUP_BY_DAY);
    uint64_t hits = rollup_hits(&p.total);
    rollup_report_finish(&p);
    return hits;
}

static const struct rollup_line *line_named(const struct rollup_report *p, const char *name)
{
    for (unsigned n = 0; n < p->count; n++)
        if (slice_equal(slice_of(p->lines[n].name, p->lines[n].name_bytes), slice_text(name)))
            return &p->lines[n];
    return NULL;
}

static void assert_rows_add_up(struct disk *d, unsigned days, enum rollup_by by)
{
    struct rollup_report p = ask(d, days, by);
    struct rollup_counts sum = {0};
    for (unsigned n = 0; n < p.count; n++)
        rollup_add_counts(&sum, &p.lines[n].counts);
    if (by != ROLLUP_BY_DAY && by != ROLLUP_BY_MINUTE) /* of the namespace, not of a row */
        p.total.invalidations = p.total.loads = p.total.evictions = p.total.evictions_warm = 0;
    assert_memory_equal(&sum, &p.total, sizeof(sum));
    rollup_report_finish(&p);
}

/* ---- days ---------------------------------------------------------------------------------------------- */

static void what_was_counted_is_told_by_day_and_by_policy(void **state)
{
    struct disk *d = *state;
    hit(d, "pages", 10);
    hit(d, "users", 5);
    go_to(d, DAY_0 + ROLLUP_DAY_S);
    hit(d, "pages", 1);
    struct rollup_report p = ask(d, 2, ROLLUP_BY_DAY);
    assert_int_equal(p.count, 2);
    assert_int_equal(p.lines[0].time, DAY_0);
    assert_int_equal(rollup_hits(&p.lines[0].counts), 15);
    assert_int_equal(rollup_hits(&p.lines[1].counts), 1);
    rollup_report_finish(&p);
    p = ask(d, 2, ROLLUP_BY_POLICY);
    assert_int_equal(p.count, 2);
    assert_int_equal(rollup_hits(&line_named(&p, "pages")->counts), 11);
    assert_int_equal(line_named(&p, "pages")->counts.misses, 2);
    rollup_report_finish(&p);
    assert_int_equal(total_hits(d, 1), 1);
}

static void a_day_turns_at_midnight_of_utc_and_not_before(void **state)
{
    struct disk *d = *state;
    go_to(d, DAY_0 + ROLLUP_DAY_S - 1);
    hit(d, "p", 1);
    struct rollup_report p = ask(d, 1, ROLLUP_BY_DAY);
    assert_int_equal(p.lines[0].time, DAY_0);
    rollup_report_finish(&p);
    go_to(d, DAY_0 + ROLLUP_DAY_S);
    assert_int_equal(total_hits(d, 1), 0);
    assert_int_equal(total_hits(d, 2), 1);
}

/* The last Sundays of March and October have 23 and 25 hours where clocks are put on and back: here none has. */
static void every_day_has_24_hours(void **state)
{
    struct disk *d = *state;
    for (uint64_t hour = 1; hour <= 400 * 24; hour++) {
        hit(d, "p", 1);
        go_to(d, DAY_0 + hour * 3600);
    }
    struct rollup_report p = ask(d, ROLLUP_DAYS, ROLLUP_BY_DAY);
    assert_int_equal(p.count, ROLLUP_DAYS);
    for (unsigned n = 0; n + 1 < p.count; n++)
        assert_int_equal(rollup_hits(&p.lines[n].counts), 24);
    rollup_report_finish(&p);
}

static void the_oldest_day_makes_room(void **state)
{
    struct disk *d = *state;
    for (uint64_t day = 1; day <= ROLLUP_DAYS + 5; day++) {
        hit(d, "p", day);
        go_to(d, DAY_0 + day * ROLLUP_DAY_S);
    }
    kill_and_open(d, d->now_s);
    struct rollup_report p = ask(d, ROLLUP_DAYS, ROLLUP_BY_DAY);
    assert_int_equal(p.count, ROLLUP_DAYS);
    assert_int_equal(p.lines[0].time, DAY_0 + 6 * ROLLUP_DAY_S);
    assert_int_equal(rollup_hits(&p.lines[0].counts), 7);
    rollup_report_finish(&p);
}

/* ---- restarts ------------------------------------------------------------------------------------------ */

static void a_restart_adds_on_to_the_day(void **state)
{
    struct disk *d = *state;
    hit(d, "pages", 10);
    rollup_keep(d->rollup);
    kill_and_open(d, DAY_0 + 10);
    hit(d, "pages", 7);
    hit(d, "users", 1);
    struct rollup_report p = ask(d, 1, ROLLUP_BY_POLICY);
    assert_int_equal(p.count, 2);
    assert_int_equal(rollup_hits(&line_named(&p, "pages")->counts), 17);
    rollup_report_finish(&p);
    go_to(d, DAY_0 + MINUTE);
    p = ask(d, 1, ROLLUP_BY_MINUTE);
    assert_int_equal(p.count, 1);
    assert_int_equal(rollup_hits(&p.total), 18);
    rollup_report_finish(&p);
}

static void a_kill_loses_the_minute_under_way_and_no_more(void **state)
{
    struct disk *d = *state;
    hit(d, "p", 10);
    go_to(d, DAY_0 + MINUTE);
    hit(d, "p", 5);
    kill_and_open(d, DAY_0 + MINUTE + 1);
    assert_int_equal(total_hits(d, 1), 10);
    assert_int_equal(rollup_kept_s(d->rollup), DAY_0 + MINUTE + 1);
}

static void a_daemon_that_starts_again_and_again_uses_up_no_minutes(void **state)
{
    struct disk *d = *state;
    unsigned minutes = 0;
    for (unsigned n = 0; n < 10; n++) {
        hit(d, "p", 1);
        rollup_keep(d->rollup);
        kill_and_open(d, DAY_0 + n);
    }
    for (unsigned n = 0; n < ROLLUP_MINUTES; n++)
        minutes += d->of[n].size > 0;
    assert_int_equal(minutes, 1);
    assert_int_equal(total_hits(d, 1), 10);
}

static void an_idle_daemon_writes_nothing(void **state)
{
    struct disk *d = *state;
    hit(d, "p", 1);
    for (uint64_t n = 1; n < 3000; n++)
        go_to(d, DAY_0 + n * MINUTE);
    assert_int_equal(d->written, 2); /* a minute and a day */
}

static void a_record_that_is_broken_is_left_out_and_the_others_are_not(void **state)
{
    struct disk *d = *state;
    for (uint64_t day = 1; day <= 3; day++) {
        hit(d, "p", 1);
        go_to(d, DAY_0 + day * ROLLUP_DAY_S);
    }
    for (unsigned n = 0; n < NUMBERS; n++)
        if (d->of[n].bytes && n == NUMBERS / 2 + 1) /* the second day */
            d->of[n].bytes[d->of[n].size / 2] ^= 0xff;
    for (size_t cut = 0; cut < d->of[NUMBERS / 2].size; cut++) {
        struct rollup *r = rollup_create(&(struct rollup_store){keep, d});
        assert_false(rollup_load(r, NUMBERS / 2, slice_of(d->of[NUMBERS / 2].bytes, cut)));
        rollup_destroy(r);
    }
    rollup_destroy(d->rollup);
    assert_int_equal(open_rollup(d, d->now_s), 1);
    assert_int_equal(total_hits(d, 10), 2);
}

static void a_record_of_another_version_is_left_out(void **state)
{
    struct disk *d = *state;
    hit(d, "p", 1);
    rollup_keep(d->rollup);
    assert_int_equal(d->of[NUMBERS / 2].bytes[1], ROLLUP_VERSION);
    d->of[NUMBERS / 2].bytes[1] = ROLLUP_VERSION + 1;
    rollup_destroy(d->rollup);
    assert_int_equal(open_rollup(d, DAY_0), 1);
    assert_int_equal(total_hits(d, 1), 0);
}

static void what_a_later_version_appends_is_stepped_over(void **state)
{
    struct disk *d = *state;
    struct buffer b = {.limit = 4096};
    struct rollup_minute m;
    pack_array(&b, 6);
    pack_uint(&b, ROLLUP_VERSION);
    pack_uint(&b, 1);
    pack_uint(&b, 1);
    pack_uint(&b, DAY_0 / 60);
    pack_array(&b, 30);
    for (unsigned n = 0; n < 30; n++)
        pack_uint(&b, n);
    pack_text(&b, slice_text("new"));
    assert_true(rollup_minute_read(slice_of(b.data, b.size), &m));
    assert_int_equal(m.counts.hits_l1, 1);
    assert_int_equal(m.counts.evictions_warm, 22);
    rollup_destroy(d->rollup);
    keep(d, 1, slice_of(b.data, b.size));
    assert_int_equal(open_rollup(d, DAY_0), 0);
    buffer_finish(&b);
}

/* ---- clocks that jump ---------------------------------------------------------------------------------- */

static void a_clock_that_goes_back_goes_on_with_the_day_it_shows(void **state)
{
    struct disk *d = *state;
    hit(d, "p", 1);
    go_to(d, DAY_0 + ROLLUP_DAY_S);
    hit(d, "p", 10);
    go_to(d, DAY_0 + 3600);
    hit(d, "p", 100);
    go_to(d, DAY_0 + ROLLUP_DAY_S + 7200);
    struct rollup_report p = ask(d, 2, ROLLUP_BY_DAY);
    assert_int_equal(p.count, 2);
    assert_int_equal(rollup_hits(&p.lines[0].counts), 101);
    assert_int_equal(rollup_hits(&p.lines[1].counts), 10);
    rollup_report_finish(&p);
    assert_rows_add_up(d, 2, ROLLUP_BY_MINUTE);
}

/* 1970 before the time is known, 2100 for want of a battery: each costs the oldest day of a full ring, and no other. */
static void a_clock_that_is_wrong_for_a_while_costs_one_day_at_most(void **state)
{
    static const uint64_t wrong[] = {0, 47482 * ROLLUP_DAY_S};
    struct disk *d = *state;
    for (uint64_t day = 1; day <= ROLLUP_DAYS; day++) {
        hit(d, "p", 1);
        go_to(d, DAY_0 + day * ROLLUP_DAY_S);
    }
    uint64_t now_s = d->now_s;
    hit(d, "p", 1);
    for (unsigned n = 0; n < COUNT_OF(wrong); n++) {
        go_to(d, wrong[n]);
        hit(d, "p", 1000);
        kill_and_open(d, wrong[n] + 5);
        hit(d, "p", 1000);
        go_to(d, now_s += MINUTE);
    }
    assert_int_equal(total_hits(d, ROLLUP_DAYS), ROLLUP_DAYS - 2);
}

/* ---- bounds -------------------------------------------------------------------------------------------- */

static void of_more_policies_the_quietest_are_summed(void **state)
{
    struct disk *d = *state;
    char name[32];
    for (unsigned n = 0; n < 3 * ROLLUP_POLICIES; n++) {
        snprintf(name, sizeof(name), "policy %u", n);
        hit(d, name, n == 7 ? 1000000 : n);
        struct rollup_counts of_tenant = {.hits_l1 = n, .sets = 0};
        rollup_add_tenant(d->rollup, slice_text(name), &of_tenant);
    }
    rollup_add(d->rollup, &(struct rollup_counts){.evictions = 3, .loads = 4});
    for (unsigned times = 0; times < 2; times++) {
        struct rollup_report p = ask(d, 1, ROLLUP_BY_POLICY);
        assert_int_equal(p.count, ROLLUP_POLICIES + 1);
        assert_int_equal(rollup_hits(&line_named(&p, "policy 7")->counts), 1000000);
        assert_non_null(line_named(&p, "(others)"));
        assert_int_equal(p.total.evictions, 3);
        rollup_report_finish(&p);
        p = ask(d, 1, ROLLUP_BY_TENANT);
        assert_int_equal(p.count, ROLLUP_TENANTS + 2);
        rollup_report_finish(&p);
        for (unsigned by = 0; by < ROLLUP_BY_COUNT; by++)
            assert_rows_add_up(d, 1, by);
        rollup_keep(d->rollup);
        kill_and_open(d, DAY_0); /* and so they are on the disk */
        rollup_add(d->rollup, &(struct rollup_counts){0});
    }
}

static void the_largest_day_fits_into_its_record(void **state)
{
    struct disk *d = *state;
    char name[ROLLUP_NAME_BYTES + 1], key[2000];
    struct rollup_counts most;
    memset(&most, 0x7f, sizeof(most));
    memset(name, 'n', sizeof(name));
    memset(key, 'k', sizeof(key));
    for (unsigned n = 0; n < 200; n++) {
        snprintf(name, 8, "%06u", n);
        name[6] = 'x';
        snprintf(key, 8, "%06u", n);
        key[6] = 'x';
        rollup_add_policy(d->rollup, slice_of(name, sizeof(name)), slice_of(name, sizeof(name)), &most);
        rollup_add_tenant(d->rollup, slice_of(name, sizeof(name)), &most);
        rollup_add_key(d->rollup, slice_of(key, sizeof(key)), UINT64_MAX / 4096, true);
    }
    rollup_keep(d->rollup);
    kill_and_open(d, DAY_0);
    struct rollup_report p = ask(d, 1, ROLLUP_BY_POLICY);
    assert_int_equal(p.count, ROLLUP_POLICIES + 1);
    assert_int_equal(p.keys_count, ROLLUP_KEYS);
    rollup_report_finish(&p);
}

static void names_of_a_report_are_bounded_too(void **state)
{
    struct disk *d = *state;
    char name[32];
    for (unsigned n = 0; n < 2 * ROLLUP_LINES; n++) {
        snprintf(name, sizeof(name), "policy %u", n);
        hit(d, name, 1);
        if (n % 40 == 0)
            go_to(d, d->now_s + ROLLUP_DAY_S);
    }
    struct rollup_report p = ask(d, 30, ROLLUP_BY_POLICY);
    assert_int_equal(p.count, ROLLUP_LINES + 1);
    rollup_report_finish(&p);
    assert_rows_add_up(d, 30, ROLLUP_BY_POLICY);
}

static void minutes_are_those_of_the_last_day(void **state)
{
    struct disk *d = *state;
    for (uint64_t n = 1; n <= 2 * ROLLUP_MINUTES; n++) {
        hit(d, "p", 1);
        go_to(d, DAY_0 + n * MINUTE);
    }
    hit(d, "p", 1);
    for (unsigned times = 0; times < 2; times++) {
        struct rollup_report p = ask(d, 1, ROLLUP_BY_MINUTE);
        assert_int_equal(p.count, ROLLUP_MINUTES - (times == 1));
        assert_int_equal(p.lines[0].time, d->now_s - (ROLLUP_MINUTES - 1) * MINUTE);
        rollup_report_finish(&p);
        kill_and_open(d, d->now_s);
    }
}

/* ---- keys and resources -------------------------------------------------------------------------------- */

static void the_hottest_keys_are_told_and_names_that_may_not_be_kept_are_not_written(void **state)
{
    struct disk *d = *state;
    char key[32];
    for (unsigned round = 0; round < 50; round++)
        for (unsigned n = 0; n < 400; n++) {
            snprintf(key, sizeof(key), "key:%u", n);
            rollup_add_key(d->rollup, slice_text(key), n < 5 ? 15 - n : n % 2, n != 1);
        }
    hit(d, "p", 1);
    for (unsigned times = 0; times < 2; times++) {
        struct rollup_report p = ask(d, 1, ROLLUP_BY_DAY);
        assert_memory_equal(p.keys[0].key, "key:0", 5);
        assert_memory_equal(p.keys[1].key, times == 0 ? "key:1" : "key:2", 5);
        rollup_report_finish(&p);
        rollup_keep(d->rollup);
        kill_and_open(d, DAY_0);
    }
    for (unsigned n = 0; n < NUMBERS; n++)
        assert_true(!d->of[n].bytes || !memmem(d->of[n].bytes, d->of[n].size, "\x05key:1", 6));
}

/* Keys that were hot in the morning do not keep those of the afternoon out. */
static void a_key_that_becomes_hot_among_ever_new_ones_is_not_missed(void **state)
{
    struct disk *d = *state;
    char key[32];
    for (unsigned n = 0; n < ROLLUP_KEYS_WATCHED; n++) {
        snprintf(key, sizeof(key), "morning:%u", n);
        rollup_add_key(d->rollup, slice_text(key), 100, true);
    }
    for (unsigned n = 0; n < 5000; n++) {
        snprintf(key, sizeof(key), "once:%u", n);
        rollup_add_key(d->rollup, slice_text(key), 1, true);
        rollup_add_key(d->rollup, slice_text("afternoon"), 1, true);
    }
    struct rollup_report p = ask(d, 1, ROLLUP_BY_DAY);
    assert_memory_equal(p.keys[0].key, "afternoon", 9);
    rollup_report_finish(&p);
}

static void policies_of_one_resource_are_one_row(void **state)
{
    struct disk *d = *state;
    struct rollup_counts one = {.hits_l1 = 1, .saved_us = 5};
    rollup_add_policy(d->rollup, slice_text("a"), slice_text("page"), &one);
    rollup_add_policy(d->rollup, slice_text("b"), slice_text("page"), &one);
    rollup_add_policy(d->rollup, slice_text("default"), slice_text(""), &one);
    struct rollup_report p = ask(d, 1, ROLLUP_BY_RESOURCE);
    assert_int_equal(p.count, 2);
    assert_int_equal(line_named(&p, "page")->counts.saved_us, 10);
    assert_int_equal(rollup_hits(&line_named(&p, "(of any kind)")->counts), 1);
    rollup_report_finish(&p);
}

static void a_count_that_went_back_began_anew(void **state)
{
    struct rollup_counts was = {.sets = 10, .misses = 5}, is = {.sets = 12, .misses = 2};
    struct rollup_counts since = rollup_since(&is, &was);
    assert_int_equal(since.sets, 2);
    assert_int_equal(since.misses, 2);
}

int main(void)
{
#define WITH_DISK(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        WITH_DISK(what_was_counted_is_told_by_day_and_by_policy),
        WITH_DISK(a_day_turns_at_midnight_of_utc_and_not_before),
        WITH_DISK(every_day_has_24_hours),
        WITH_DISK(the_oldest_day_makes_room),
        WITH_DISK(a_restart_adds_on_to_the_day),
        WITH_DISK(a_kill_loses_the_minute_under_way_and_no_more),
        WITH_DISK(an_idle_daemon_writes_nothing),
        WITH_DISK(a_record_that_is_broken_is_left_out_and_the_others_are_not),
        WITH_DISK(a_record_of_another_version_is_left_out),
        WITH_DISK(what_a_later_version_appends_is_stepped_over),
        WITH_DISK(a_clock_that_goes_back_goes_on_with_the_day_it_shows),
        WITH_DISK(a_clock_that_is_wrong_for_a_while_costs_one_day_at_most),
        WITH_DISK(of_more_policies_the_quietest_are_summed),
        WITH_DISK(the_largest_day_fits_into_its_record),
        WITH_DISK(names_of_a_report_are_bounded_too),
        WITH_DISK(minutes_are_those_of_the_last_day),
        WITH_DISK(the_hottest_keys_are_told_and_names_that_may_not_be_kept_are_not_written),
        WITH_DISK(a_key_that_becomes_hot_among_ever_new_ones_is_not_missed),
        WITH_DISK(policies_of_one_resource_are_one_row),
        WITH_DISK(a_daemon_that_starts_again_and_again_uses_up_no_minutes),
        WITH_DISK(a_count_that_went_back_began_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
