#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/mman.h>
#include "support/l1_fixture.h"

static int setup(void **state)
{
    *state = fixture_create(0, 0);
    return 0;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

static void what_was_put_is_seen_by_memory_and_by_the_daemon(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_put(f, "k", "value"), TIER_DONE);
    struct seen s = fixture_see(f, "k");
    assert_int_equal(s.outcome, SHM_HIT);
    assert_string_equal(s.value, "value");
    int outcome;
    struct tier_read read = fixture_get(f, "k", &outcome);
    assert_int_equal(outcome, TIER_FOUND);
    assert_true(slice_equal(read.entry.value, slice_text("value")));
}

static void every_attribute_of_an_entry_arrives(void **state)
{
    struct fixture *f = *state;
    struct entry e = fixture_entry(f, "k", slice_text("v"));
    e.id = 0xabcdef;
    e.user_flags = 0xdeadbeef;
    e.schema = 0x12345678;
    e.policy = 63;
    e.absent = true;
    for (int i = 0; i < SHM_TAGS_MAX; i++)
        e.tags[e.tags_count++] = shm_hash_name(FIXTURE_SECRET, SHM_NAME_TAG, slice_of(&i, sizeof(i)));
    assert_int_equal(f->tier->ops->put(f->tier, &e), TIER_DONE);
    struct seen s = fixture_see(f, "k");
    assert_int_equal(s.outcome, SHM_HIT);
    assert_int_equal(s.found.id, e.id);
    assert_int_equal(s.found.user_flags, e.user_flags);
    assert_int_equal(s.found.schema, e.schema);
    assert_int_equal(s.found.policy, e.policy);
    assert_int_equal(s.found.v, e.v);
    assert_true(s.found.absent);
    assert_true(s.found.hard_ns <= e.hard_ns && s.found.hard_ns + SHM_TICK_NS > e.hard_ns);
    int outcome;
    struct tier_read read = fixture_get(f, "k", &outcome);
    assert_int_equal(read.entry.schema, e.schema);
    assert_int_equal(read.entry.tags_count, SHM_TAGS_MAX);
    assert_int_equal(read.entry.id, e.id);
}

static void a_newer_value_takes_the_same_slot(void **state)
{
    struct fixture *f = *state;
    fixture_put(f, "k", "old");
    uint32_t slot = fixture_see(f, "k").found.slot_number;
    fixture_put(f, "k", "new and longer");
    struct seen s = fixture_see(f, "k");
    assert_string_equal(s.value, "new and longer");
    assert_int_equal(s.found.slot_number, slot);
    assert_int_equal(fixture_measure(f)->l1_entries, 1);
}

static void a_dropped_key_is_not_found(void **state)
{
    struct fixture *f = *state;
    fixture_put(f, "k", "v");
    assert_int_equal(f->tier->ops->drop(f->tier, slice_text("k"), fixture_hash("k"), f->v + 1), TIER_DONE);
    assert_int_equal(fixture_see(f, "k").outcome, SHM_ASK);
    assert_int_equal(fixture_measure(f)->l1_entries, 0);
}

static void a_drop_older_than_the_entry_does_nothing(void **state)
{
    struct fixture *f = *state;
    fixture_put(f, "k", "v");
    f->tier->ops->drop(f->tier, slice_text("k"), fixture_hash("k"), f->v);
    assert_int_equal(fixture_see(f, "k").outcome, SHM_HIT);
}

static void a_softened_entry_is_asked_for_once_and_then_served_stale(void **state)
{
    struct fixture *f = *state;
    fixture_put(f, "k", "v");
    f->tier->ops->soften(f->tier, slice_text("k"), fixture_hash("k"), f->v + 1, f->l1->test_now_ns);
    struct seen s = fixture_see(f, "k");
    assert_int_equal(s.outcome, SHM_ASK);
    assert_int_equal(s.found.reason, SHM_ASK_REFRESH);
    int outcome;
    assert_true(fixture_get(f, "k", &outcome).entry.stale);
    assert_int_equal(outcome, TIER_FOUND);
    s = fixture_see(f, "k");
    assert_int_equal(s.outcome, SHM_HIT);
    assert_true(s.found.stale);
}

static void a_touched_entry_lives_longer_and_never_shorter(void **state)
{
    struct fixture *f = *state;
    fixture_put(f, "k", "v");
    uint64_t before = fixture_see(f, "k").found.hard_ns, longer = f->l1->test_now_ns + 100 * 3600 * NS_PER_S;
    assert_int_equal(fixture_touch(f, "k", longer, longer), TIER_DONE);
    uint64_t after = fixture_see(f, "k").found.hard_ns;
    assert_true(after > before && after <= longer);
    assert_int_equal(fixture_measure(f)->l1_moves, 1); /* out of its class: an hour became four days */
    fixture_touch(f, "k", 0, 0);
    assert_int_equal(fixture_see(f, "k").found.hard_ns, after);
}

/* The fleet prolonged another version: what is here may be over, and must not come back. */
static void touching_another_version_prolongs_nothing(void **state)
{
    struct fixture *f = *state;
    fixture_put(f, "k", "v");
    uint64_t before = fixture_see(f, "k").found.hard_ns, longer = f->l1->test_now_ns + 100 * 3600 * NS_PER_S;
    int outcome;
    struct entry other = fixture_get(f, "k", &outcome).entry, twin = other;
    other.soft_ns = other.hard_ns = twin.soft_ns = twin.hard_ns = longer;
    other.v++;
    twin.id ^= 1;
    assert_int_equal(f->tier->ops->touch(f->tier, &other), TIER_NOT_THERE);
    assert_int_equal(f->tier->ops->touch(f->tier, &twin), TIER_NOT_THERE);
    assert_int_equal(fixture_see(f, "k").found.hard_ns, before);
}

static void touching_what_is_not_there_says_so(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_touch(f, "k", 1, 1), TIER_NOT_THERE);
}

static void a_value_over_a_quarter_segment_is_too_big_and_takes_the_old_one_with_it(void **state)
{
    struct fixture *f = *state;
    uint32_t most = l1_value_max(f->l1, 1, 0);
    char *bytes = must_alloc(most + 1);
    struct entry e = fixture_entry(f, "k", slice_of(bytes, most));
    assert_int_equal(f->tier->ops->put(f->tier, &e), TIER_DONE);
    assert_int_equal(fixture_see(f, "k").outcome, SHM_SMALL);
    assert_int_equal(fixture_see(f, "k").found.value_bytes, most);
    e.value.size++;
    assert_int_equal(f->tier->ops->put(f->tier, &e), TIER_TOO_BIG);
    assert_int_equal(fixture_see(f, "k").outcome, SHM_ASK);
    free(bytes);
}

static void keys_and_values_of_every_small_size_come_back_whole(void **state)
{
    struct fixture *f = *state;
    char bytes[300];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)('!' + i % 90);
    for (size_t key_bytes = 1; key_bytes < 70; key_bytes++)
        for (size_t value_bytes = 0; value_bytes < 220; value_bytes += key_bytes < 20 ? 1 : 7) {
            struct slice key = slice_of(bytes, key_bytes);
            uint64_t hash = shm_hash_key(FIXTURE_SECRET, key);
            struct entry e = fixture_entry(f, "", slice_of(bytes + 40, value_bytes));
            e.key = key;
            e.key_hash = hash;
            e.schema = value_bytes % 3 == 0;
            assert_int_equal(f->tier->ops->put(f->tier, &e), TIER_DONE);
            char buffer[300];
            memset(buffer, '~', sizeof(buffer));
            struct shm_found found;
            assert_int_equal(shm_get(&f->view, key, hash, buffer, value_bytes, &found), SHM_HIT);
            assert_int_equal(found.value_bytes, value_bytes);
            assert_memory_equal(buffer, bytes + 40, value_bytes);
            assert_int_equal(buffer[value_bytes], '~');
        }
}

static bool count(void *user, const struct tier_listed *listed)
{
    ++*(uint64_t *)user;
    return true;
}

static void a_listing_names_every_key_once(void **state)
{
    struct fixture *f = *state;
    char key[16];
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof(key), "key%d", i);
        fixture_put(f, key, "v");
    }
    fixture_kill_prefix(f, "key", false); /* no boundary: kills nobody here */
    uint64_t cursor = 0, seen = 0;
    do
        f->tier->ops->list(f->tier, &cursor, 7, f->l1->test_now_ns, count, &seen);
    while (cursor);
    assert_int_equal(seen, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_put_is_seen_by_memory_and_by_the_daemon, setup, teardown),
        cmocka_unit_test_setup_teardown(every_attribute_of_an_entry_arrives, setup, teardown),
        cmocka_unit_test_setup_teardown(a_newer_value_takes_the_same_slot, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dropped_key_is_not_found, setup, teardown),
        cmocka_unit_test_setup_teardown(a_drop_older_than_the_entry_does_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_softened_entry_is_asked_for_once_and_then_served_stale, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_touched_entry_lives_longer_and_never_shorter, setup, teardown),
        cmocka_unit_test_setup_teardown(touching_another_version_prolongs_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(touching_what_is_not_there_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_value_over_a_quarter_segment_is_too_big_and_takes_the_old_one_with_it, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_and_values_of_every_small_size_come_back_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_listing_names_every_key_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
