/* What entries the index is made for: as they turn out, when that is worth making it anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include "support/l1_fixture.h"
#include "l1/l1_private.h"

/* ---- the rule ------------------------------------------------------------------------------------------- */

enum { MIB = 1 << 20 };

/* A segment of 64 MiB, 60 of it for items, full of entries of that size. */
static struct fit full_of(uint64_t entry_bytes, uint64_t made_for)
{
    uint64_t each = sizeof(struct shm_item) + entry_bytes;
    uint64_t slots = fit_items(64 * MIB, made_for) / FIT_BUCKET_ITEMS * SHM_SLOTS;
    uint64_t entries = 58 * MIB / each < slots ? 58 * MIB / each : slots;
    return (struct fit){.total_bytes = 64 * MIB,
                        .segment_bytes = 60 * MIB,
                        .item_bytes = entries * each,
                        .entries = entries,
                        .slots = slots,
                        .free_bytes = 60 * MIB - entries * each - MIB,
                        .made_for = made_for};
}

static uint64_t wanted_by(uint64_t entry_bytes, uint64_t made_for)
{
    struct fit f = full_of(entry_bytes, made_for);
    return fit_wanted(&f);
}

static void an_index_twice_as_large_as_its_entries_need_is_made_anew(void **state)
{
    assert_int_equal(wanted_by(4096, FIT_DEFAULT), 4096);
    assert_int_equal(wanted_by(300, FIT_DEFAULT), 300);
    assert_int_equal(wanted_by(200, FIT_DEFAULT), FIT_DEFAULT);
    assert_int_equal(wanted_by(8000, 4096), 4096);
    assert_int_equal(wanted_by(8300, 4096), 8300);
}

static void an_index_that_is_full_before_the_segments_are_is_made_anew(void **state)
{
    assert_int_equal(wanted_by(100, 4096), 100);
    assert_int_equal(wanted_by(20, FIT_DEFAULT), 20);
    assert_int_equal(wanted_by(100, FIT_DEFAULT), FIT_DEFAULT);
}

static void what_it_was_just_made_for_it_stays_made_for(void **state)
{
    for (uint64_t bytes = 1; bytes < 100000; bytes += 1 + bytes / 7) {
        uint64_t wanted = wanted_by(bytes, FIT_DEFAULT);
        assert_int_equal(wanted_by(bytes, wanted), wanted);
    }
}

static void entries_that_all_find_room_are_left_where_they_are(void **state)
{
    struct fit f = full_of(4096, FIT_DEFAULT);
    f.free_bytes = f.segment_bytes / 8;
    f.item_bytes -= f.free_bytes;
    f.entries = f.item_bytes / (sizeof(struct shm_item) + 4096);
    assert_int_equal(fit_wanted(&f), FIT_DEFAULT);
    assert_int_equal(fit_usual(&f), 4096);
}

static void a_few_entries_say_nothing(void **state)
{
    struct fit f = full_of(4096, FIT_DEFAULT);
    f.item_bytes = f.segment_bytes / 3;
    f.entries = f.item_bytes / (sizeof(struct shm_item) + 4096);
    assert_int_equal(fit_usual(&f), 0);
    assert_int_equal(fit_wanted(&f), FIT_DEFAULT);
    struct fit few = full_of(1 << 20, FIT_DEFAULT);
    assert_true(few.entries < 100);
    assert_int_equal(fit_usual(&few), 0);
}

static void the_option_goes_before_what_is_remembered_and_that_before_the_default(void **state)
{
    assert_int_equal(fit_at_start(300, 4096), 300);
    assert_int_equal(fit_at_start(0, 4096), 4096);
    assert_int_equal(fit_at_start(0, 0), FIT_DEFAULT);
    assert_int_equal(fit_at_start(0, 1), FIT_SMALLEST);
    assert_int_equal(fit_at_start(0, UINT64_MAX), FIT_LARGEST);
}

/* ---- in the segment ------------------------------------------------------------------------------------- */

static void fill(struct fixture *f, unsigned from, unsigned count, uint32_t bytes)
{
    static const char zeros[8192];
    char key[32];
    for (unsigned n = from; n < from + count; n++) {
        snprintf(key, sizeof(key), "number:%u", n);
        struct entry e = fixture_entry(f, key, slice_of(zeros, bytes));
        f->tier->ops->put(f->tier, &e);
    }
}

static uint64_t entries_after(struct fixture *f, unsigned count, uint32_t bytes)
{
    fill(f, 0, count, bytes);
    return fixture_measure(f)->l1_entries;
}

static void large_entries_get_the_room_of_an_index_they_do_not_need(void **state)
{
    struct fixture *f = fixture_create(16 << 20, 0);
    uint64_t before = entries_after(f, 8000, 4096);
    uint64_t incarnation = l1_incarnation(f->l1);
    assert_int_equal(l1_refit(f->l1), 0);
    assert_true(l1_incarnation(f->l1) != incarnation);
    assert_int_equal(fixture_measure(f)->l1_entries, 0);
    assert_true(entries_after(f, 8000, 4096) * 100 >= before * 105);
    assert_int_equal(fixture_measure(f)->l1_refits, 1);
    assert_in_range(f->figures.l1_made_for, 4096, 4096 + 40);
    assert_int_equal(l1_refit(f->l1), L1_FITS);
    fixture_destroy(f);
}

static void readers_of_the_old_segment_are_sent_away_and_hit_in_the_new_one(void **state)
{
    struct fixture *f = fixture_create(16 << 20, 0);
    fill(f, 0, 8000, 4096);
    fixture_put(f, "mine", "1");
    assert_int_equal(fixture_see(f, "mine").outcome, SHM_HIT);
    assert_int_equal(l1_refit(f->l1), 0);
    struct seen seen = fixture_see(f, "mine");
    assert_int_equal(seen.outcome, SHM_ASK);
    fixture_attach(f);
    fixture_put(f, "mine", "2");
    seen = fixture_see(f, "mine");
    assert_int_equal(seen.outcome, SHM_HIT);
    assert_string_equal(seen.value, "2");
    fixture_destroy(f);
}

/* They are more than its slots until it is. */
static void small_entries_get_an_index_that_reaches(void **state)
{
    struct fixture *f = fixture_create(16 << 20, 0);
    fill(f, 0, 8000, 8000);
    assert_int_equal(l1_refit(f->l1), 0);
    uint64_t few = entries_after(f, 60000, 20);
    assert_int_equal(l1_refit(f->l1), 0);
    assert_in_range(f->l1->made_for, 28, 40); /* keys, and what items are rounded up by */
    assert_true(entries_after(f, 60000, 20) > 5 * few);
    fixture_destroy(f);
}

static void an_index_of_a_size_that_was_asked_for_stays(void **state)
{
    struct fixture *f = fixture_create_for(16 << 20, 100);
    fill(f, 0, 8000, 4096);
    assert_int_equal(l1_refit(f->l1), L1_FITS);
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_index_twice_as_large_as_its_entries_need_is_made_anew),
        cmocka_unit_test(an_index_that_is_full_before_the_segments_are_is_made_anew),
        cmocka_unit_test(what_it_was_just_made_for_it_stays_made_for),
        cmocka_unit_test(entries_that_all_find_room_are_left_where_they_are),
        cmocka_unit_test(a_few_entries_say_nothing),
        cmocka_unit_test(the_option_goes_before_what_is_remembered_and_that_before_the_default),
        cmocka_unit_test(large_entries_get_the_room_of_an_index_they_do_not_need),
        cmocka_unit_test(readers_of_the_old_segment_are_sent_away_and_hit_in_the_new_one),
        cmocka_unit_test(small_entries_get_an_index_that_reaches),
        cmocka_unit_test(an_index_of_a_size_that_was_asked_for_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
