/* What stays and what goes: pools, ghosts, classes by end, limits, dead space. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "l1/eviction_private.h"
#include "support/l1_fixture.h"

static char value_bytes[4096];

static int put_value(struct fixture *f, int number, struct slice value, uint64_t ttl_ns)
{
    char key[32];
    snprintf(key, sizeof(key), "key:%08d", number);
    struct entry e = fixture_entry(f, key, value);
    e.hard_ns = e.soft_ns = f->l1->test_now_ns + ttl_ns;
    return f->tier->ops->put(f->tier, &e);
}

static int put_number(struct fixture *f, int number, size_t bytes, uint64_t ttl_ns)
{
    return put_value(f, number, slice_of(value_bytes, bytes), ttl_ns);
}

static bool has_number(struct fixture *f, int number)
{
    char key[32];
    snprintf(key, sizeof(key), "key:%08d", number);
    return slots_find(f->l1, slice_text(key), fixture_hash(key)) != SLOT_NONE;
}

static void touch_number(struct fixture *f, int number)
{
    char key[32];
    snprintf(key, sizeof(key), "key:%08d", number);
    uint32_t slot = slots_find(f->l1, slice_text(key), fixture_hash(key));
    if (slot != SLOT_NONE)
        slots_touch(f->l1, slot);
}

enum { HOUR = 3600 };

static void what_is_touched_outlives_a_scan(void **state)
{
    struct fixture *f = fixture_create(0, 0);
    for (int i = 0; i < 1000; i++)
        put_number(f, i, 100, HOUR * NS_PER_S);
    for (int i = 1000; i < 200000; i++) {
        put_number(f, i, 100, HOUR * NS_PER_S);
        touch_number(f, i % 1000);
    }
    int alive = 0;
    for (int i = 0; i < 1000; i++)
        alive += has_number(f, i);
    assert_true(alive >= 990);
    assert_int_equal(fixture_measure(f)->l1_unstored, 0);
    fixture_destroy(f);
}

static void what_comes_back_after_eviction_is_remembered(void **state)
{
    struct fixture *f = fixture_create(0, 0);
    int i = 0, gone = 0;
    while (fixture_measure(f)->l1_evictions == 0)
        put_number(f, i++, 100, HOUR * NS_PER_S);
    while (has_number(f, gone))
        gone++;
    assert_true(gone < i);
    put_number(f, gone, 100, HOUR * NS_PER_S);
    char key[32];
    snprintf(key, sizeof(key), "key:%08d", gone);
    struct l1_explain x;
    l1_explain(f->l1, slice_text(key), fixture_hash(key), &x);
    assert_true(x.present);
    assert_int_equal(x.frequency, 2);
    fixture_destroy(f);
}

static void room_is_found_even_if_everything_is_touched(void **state)
{
    struct fixture *f = fixture_create(0, 0);
    for (int i = 0; i < 100000; i++) {
        put_number(f, i, 100, HOUR * NS_PER_S);
        touch_number(f, i);
        touch_number(f, i);
        touch_number(f, i - 5000);
    }
    assert_true(has_number(f, 99999));
    assert_true(fixture_measure(f)->l1_unstored < 100);
    fixture_destroy(f);
}

static void a_segment_past_its_last_end_dies_as_a_whole(void **state)
{
    struct fixture *f = fixture_create(0, 0);
    int n = 0;
    while (f->l1->free.count > f->l1->shape.segment_count / 2)
        put_number(f, n++, 100, 10 * NS_PER_S);
    put_number(f, n++, 100, HOUR * NS_PER_S);
    f->l1->test_now_ns += 11 * NS_PER_S;
    for (int i = 0; i < 1000; i++)
        l1_tick(f->l1);
    const struct l1_figures *figures = fixture_measure(f);
    uint64_t in_open_segment = f->l1->segments[f->l1->open_segments[POOL_NEW][0]].live_items;
    assert_int_equal(figures->l1_entries, 1 + in_open_segment);
    assert_int_equal(figures->l1_evictions, 0);
    assert_int_equal(f->l1->doomed.count, 0);
    for (uint32_t slot = 0, used = 0; slot < slots_count(f->l1); slot++) {
        used += slots_word(f->l1, slot) != 0;
        assert_true(used <= 1 + in_open_segment);
    }
    fixture_destroy(f);
}

/* Ten times the room in entries that live a second, a tick of the daemon for each 500, and the clock going on. */
static void a_storm_of_short_lives_leaves_what_is_used(void **state)
{
    struct fixture *f = fixture_create(0, 0);
    for (int i = 0; i < 1000; i++)
        put_number(f, i, 100, HOUR * NS_PER_S);
    for (int i = 1000; i < 200000; i++) {
        put_number(f, i, 100, NS_PER_S);
        if (i % 4 == 0)
            touch_number(f, i / 4 % 1000);
        if (i % 500 == 0) {
            f->l1->test_now_ns += 100 * NS_PER_MS;
            l1_tick(f->l1);
        }
    }
    f->l1->test_now_ns += 2 * NS_PER_S;
    for (int i = 0; i < 1000; i++)
        l1_tick(f->l1);
    int alive = 0;
    for (int i = 0; i < 1000; i++)
        alive += has_number(f, i);
    const struct l1_figures *figures = fixture_measure(f);
    uint64_t in_open_segment = segment_bytes(f->l1) / 144;
    assert_true(alive >= 990);
    assert_true(figures->l1_entries <= 1000 + in_open_segment);
    assert_int_equal(figures->l1_unstored, 0);
    fixture_destroy(f);
}

static void a_key_of_a_doomed_segment_can_be_put_again(void **state)
{
    struct fixture *f = fixture_create(0, 0);
    int n = 0;
    while (f->l1->sealed[POOL_NEW].count == 0)
        put_number(f, n++, 100, 10 * NS_PER_S);
    f->l1->test_now_ns += 11 * NS_PER_S;
    segment_doom_expired(f->l1, f->l1->test_now_ns);
    segment_doom_expired(f->l1, f->l1->test_now_ns);
    assert_int_equal(f->l1->doomed.count, 1);
    assert_false(has_number(f, 0));
    put_number(f, 0, 100, HOUR * NS_PER_S);
    assert_true(has_number(f, 0));
    for (int i = 0; i < 100; i++)
        l1_tick(f->l1);
    assert_int_equal(f->l1->doomed.count, 0);
    assert_true(has_number(f, 0));
    fixture_destroy(f);
}

static void what_dies_together_lies_together(void **state)
{
    struct fixture *f = fixture_create(0, 0);
    static const uint64_t ttl_s[] = {30, 600, 7200, 30 * 86400};
    for (int i = 0; i < 4; i++) {
        put_number(f, i, 100, ttl_s[i] * NS_PER_S);
        char key[32];
        snprintf(key, sizeof(key), "key:%08d", i);
        struct l1_explain x;
        l1_explain(f->l1, slice_text(key), fixture_hash(key), &x);
        assert_int_equal(x.ttl_class, i);
    }
    fixture_destroy(f);
}

static void the_entry_limit_is_kept_and_the_newest_stays(void **state)
{
    struct fixture *f = fixture_create(0, 100);
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(put_number(f, i, 100, HOUR * NS_PER_S), TIER_DONE);
        assert_true(fixture_measure(f)->l1_entries <= 100);
    }
    assert_true(has_number(f, 19999));
    assert_int_equal(f->figures.l1_entries, 100);
    fixture_destroy(f);
}

/* What segments are worth is known from residents looked at for each insertion.  Large values leave the index nearly
 * empty, and looks into empty buckets taught nothing. */
static void each_insertion_looks_at_residents_however_large_they_are(void **state)
{
    enum { INSERTIONS = 1000 };
    struct fixture *f = fixture_create(32 << 20, 0);
    int i = 0;
    while (fixture_measure(f)->l1_evictions == 0)
        put_number(f, i++, sizeof(value_bytes), HOUR * NS_PER_S);
    uint32_t before = f->l1->eviction->looks;
    for (int n = 0; n < INSERTIONS; n++)
        put_number(f, i++, sizeof(value_bytes), HOUR * NS_PER_S);
    uint32_t looks = f->l1->eviction->looks - before;
    assert_in_range(looks, INSERTIONS * eviction_looks(f->l1->eviction) / 2, UINT32_MAX);
    fixture_destroy(f);
}

/* Four values fill a segment but for a sixth, which is no dead item: copying them together gains nothing, was done again
 * and again, and insertions found no room. */
static void tails_too_short_for_large_values_are_not_compacted(void **state)
{
    enum { INSERTIONS = 2000, BYTES = 54000 };
    struct fixture *f = fixture_create(64 << 20, 0);
    char *large = calloc(1, BYTES);
    for (int i = 0; i < INSERTIONS; i++)
        put_value(f, i, slice_of(large, BYTES), HOUR * NS_PER_S);
    const struct l1_figures *x = fixture_measure(f);
    assert_in_range(x->l1_unstored, 0,
                    INSERTIONS / 100); /* an insertion gives up after 20 µs of a busy machine */
    assert_in_range(x->l1_moves, 0, 2 * INSERTIONS);
    free(large);
    fixture_destroy(f);
}

static void an_eviction_never_brings_a_killed_entry_back(void **state)
{
    struct fixture *f = fixture_create(0, 0);
    fixture_put_tagged(f, "victim", "v", "t");
    uint64_t hash = fixture_hash("victim");
    slots_touch(f->l1, slots_find(f->l1, slice_text("victim"), hash)); /* worth copying */
    fixture_kill_tag(f, "t", false);
    for (int i = 0; slots_find(f->l1, slice_text("victim"), hash) != SLOT_NONE; i++) {
        put_number(f, i, 100, HOUR * NS_PER_S);
        assert_int_not_equal(fixture_see(f, "victim").outcome, SHM_HIT);
        assert_true(i < 1000000);
    }
    fixture_destroy(f);
}

static void a_move_keeps_value_life_and_slot(void **state)
{
    struct fixture *f = fixture_create(0, 0);
    fixture_put(f, "kept", "value");
    struct seen before = fixture_see(f, "kept");
    slots_touch(f->l1, before.found.slot_number);
    for (int i = 0; fixture_measure(f)->l1_moves == 0; i++)
        put_number(f, i, 100, HOUR * NS_PER_S);
    struct seen after = fixture_see(f, "kept");
    assert_int_equal(after.outcome, SHM_HIT);
    assert_string_equal(after.value, "value");
    assert_int_equal(after.found.slot_number, before.found.slot_number);
    assert_int_equal(after.found.hard_ns, before.found.hard_ns);
    assert_int_equal(after.found.v, before.found.v);
    fixture_destroy(f);
}

/* Everything the segment and the daemon spend beyond key and value, in a cache full of 100-byte values. */
static void an_entry_costs_at_most_56_bytes_beyond_key_and_value(void **state)
{
    struct fixture *f = fixture_create(64 << 20, 0);
    for (int i = 0; fixture_measure(f)->l1_evictions < 100000; i++)
        put_number(f, i, 100, HOUR * NS_PER_S);
    double entries = (double)f->figures.l1_entries, slots = slots_count(f->l1);
    double items = (double)f->figures.l1_item_bytes / entries - 112;
    double slot = 8 * slots / entries, private = (5 * slots + 4 * slots * 3 / 4) / entries; /* l1_private.h */
    double dead = 100.0 * (double)f->figures.l1_dead_bytes / (double)f->figures.l1_segment_bytes;
    print_message(
        "# bytes an entry beyond key and value: item %.1f, slots %.1f (load %.2f), private %.1f = %.1f; "
        "dead space %.1f %%\n",
        items, slot, entries / slots, private, items + slot + private, dead);
    assert_true(items + slot + private <= 56);
    assert_true(entries / slots <= 0.75);
    assert_true(f->figures.l1_displaced * 1000 < f->figures.l1_puts);
    fixture_destroy(f);
}

static uint64_t entries_of_4_kib_in(uint64_t entry_bytes)
{
    struct fixture *f = fixture_create_for(16 << 20, entry_bytes);
    for (int i = 0; fixture_measure(f)->l1_evictions < 10000; i++)
        put_number(f, i, 4096, HOUR * NS_PER_S);
    uint64_t entries = f->figures.l1_entries;
    fixture_destroy(f);
    return entries;
}

static void an_index_made_for_large_entries_leaves_more_room_for_them(void **state)
{
    uint64_t usual = entries_of_4_kib_in(0), large = entries_of_4_kib_in(4096);
    print_message("# entries of 4 KiB in 16 MiB: %llu, with an index made for them %llu\n",
                  (unsigned long long)usual, (unsigned long long)large);
    assert_true(large * 100 >= usual * 105);
}

/* Then places are scarce before bytes are: both buckets of a key are full, and the least worthy there goes. */
static void smaller_entries_than_the_index_was_made_for_are_held_as_far_as_it_reaches(void **state)
{
    struct fixture *f = fixture_create_for(4 << 20, 4096);
    for (int i = 0; i < 20000; i++)
        assert_int_equal(put_number(f, i, 100, HOUR * NS_PER_S), TIER_DONE);
    fixture_measure(f);
    assert_true(f->figures.l1_displaced > 0);
    assert_in_range(f->figures.l1_entries, slots_count(f->l1) / 2, slots_count(f->l1));
    assert_int_equal(f->figures.l1_evictions + f->figures.l1_displaced + f->figures.l1_entries, 20000);
    fixture_destroy(f);
}

static void dead_space_stays_small_under_churn(void **state)
{
    struct fixture *f = fixture_create(16 << 20, 0);
    uint64_t x = 1, worst = 0, stored = 0;
    for (int i = 0; i < 700000; i++) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        int number =
            (int)(x >> 33) % 90000; /* somewhat more than fits: overwrites, evictions and comebacks */
        stored += put_number(f, number, 20 + (x >> 20) % 200, HOUR * NS_PER_S) == TIER_DONE;
        touch_number(f, (int)(x >> 40) % 3000);
        uint64_t dead = segment_dead_bytes(f->l1);
        if (i > 400000 && dead > worst)
            worst = dead;
    }
    const struct l1_figures *figures = fixture_measure(f);
    print_message("# worst dead space %.1f %%, %.2f moves a put, %.3f evictions a put\n",
                  100.0 * (double)worst / (double)figures->l1_segment_bytes,
                  (double)figures->l1_moves / (double)figures->l1_puts,
                  (double)figures->l1_evictions / (double)figures->l1_puts);
    assert_true(worst * 10 <= figures->l1_segment_bytes);
    assert_true(stored > 699000);
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_touched_outlives_a_scan),
        cmocka_unit_test(what_comes_back_after_eviction_is_remembered),
        cmocka_unit_test(room_is_found_even_if_everything_is_touched),
        cmocka_unit_test(a_segment_past_its_last_end_dies_as_a_whole),
        cmocka_unit_test(a_storm_of_short_lives_leaves_what_is_used),
        cmocka_unit_test(a_key_of_a_doomed_segment_can_be_put_again),
        cmocka_unit_test(what_dies_together_lies_together),
        cmocka_unit_test(the_entry_limit_is_kept_and_the_newest_stays),
        cmocka_unit_test(each_insertion_looks_at_residents_however_large_they_are),
        cmocka_unit_test(tails_too_short_for_large_values_are_not_compacted),
        cmocka_unit_test(an_eviction_never_brings_a_killed_entry_back),
        cmocka_unit_test(a_move_keeps_value_life_and_slot),
        cmocka_unit_test(an_entry_costs_at_most_56_bytes_beyond_key_and_value),
        cmocka_unit_test(an_index_made_for_large_entries_leaves_more_room_for_them),
        cmocka_unit_test(smaller_entries_than_the_index_was_made_for_are_held_as_far_as_it_reaches),
        cmocka_unit_test(dead_space_stays_small_under_churn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
