/* The warm tier as cache/ sees it, in one run: what was stored is found, what was changed is not. */
#include "support/warm_rig.h"

/* Nothing is committed before somebody asks for it: for tests of what waits. */
static int open_patient_rig(void **state)
{
    rig_make(&rig);
    hour_long_commits();
    rig.options.warm_queue_bytes = 64 << 10;
    rig_open(&rig);
    return 0;
}

static struct entry fetch(const char *key)
{
    return rig_fetch(&rig, key);
}

/* ======= entries ======= */

static void an_entry_is_found_before_its_commit(void **state)
{
    assert_int_equal(rig_put(&rig, "a", "1"), TIER_DONE);
    rig_expect(&rig, "a", "1");
}

static void an_entry_is_found_after_its_commit(void **state)
{
    rig_put(&rig, "a", "1");
    rig_settle(&rig);
    assert_int_equal(rig_figures(&rig).warm_overlay, 0);
    assert_int_equal(rig_figures(&rig).warm_entries, 1);
    rig_expect(&rig, "a", "1");
}

static void every_field_comes_back(void **state)
{
    struct entry e = rig_entry(&rig, "key", slice_of("v\0w", 3));
    e.user_flags = 0xdeadbeef;
    e.schema = 42;
    e.policy = 63;
    e.absent = true;
    e.tags_count = SHM_TAGS_MAX;
    for (unsigned n = 0; n < SHM_TAGS_MAX; n++)
        e.tags[n] = 1000 + n;
    assert_int_equal(rig.tier->ops->put(rig.tier, &e), TIER_DONE);
    rig_settle(&rig);
    struct entry found = fetch("key");
    assert_true(slice_equal(found.value, e.value));
    assert_true(found.epoch == e.epoch && found.v == e.v && found.id == e.id);
    assert_true(found.hard_ns == e.hard_ns && found.soft_ns == e.soft_ns);
    assert_true(found.user_flags == e.user_flags && found.schema == e.schema && found.policy == e.policy);
    assert_true(found.absent && !found.stale && !found.local);
    assert_memory_equal(found.tags, e.tags, sizeof(e.tags));
}

static void a_second_value_replaces_the_first(void **state)
{
    rig_put(&rig, "a", "1");
    rig_settle(&rig);
    rig_put(&rig, "a", "2");
    rig_expect(&rig, "a", "2");
    rig_settle(&rig);
    rig_expect(&rig, "a", "2");
    assert_int_equal(rig_figures(&rig).warm_entries, 1);
}

static void another_key_with_the_same_hash_is_a_miss(void **state)
{
    struct rig_read r = {.read = {.key = slice_text("b"), .now_ns = loop_now_ns(rig.loop)}};
    rig_put(&rig, "a", "1");
    rig_settle(&rig);
    r.read.key_hash = rig_hash(&rig, "a");
    assert_int_equal(rig.tier->ops->get(rig.tier, &r.read), TIER_MISSED);
}

static void an_entry_past_its_end_is_a_miss(void **state)
{
    struct rig_read r;
    rig_put(&rig, "a", "1");
    uint64_t end = fetch("a").hard_ns;
    rig_get_at(&rig, "a", end - 1, &r);
    assert_int_equal(r.outcome, TIER_FOUND);
    rig_get_at(&rig, "a", end, &r);
    assert_int_equal(r.outcome, TIER_MISSED);
    assert_int_equal(r.read.reason, MISS_EXPIRED);
}

static void a_value_over_a_quarter_of_the_map_is_refused_and_the_old_one_gone(void **state)
{
    size_t size = rig.options.warm_bytes / 4 + 1;
    char *big = must_alloc(size);
    rig_put(&rig, "a", "1");
    struct entry e = rig_entry(&rig, "a", slice_of(big, size));
    assert_int_equal(rig.tier->ops->put(rig.tier, &e), TIER_TOO_BIG);
    rig_expect_none(&rig, "a");
    free(big);
}

static void a_large_value_comes_back_whole(void **state)
{
    size_t size = 3 << 20;
    char *big = must_alloc(size);
    for (size_t n = 0; n < size; n++)
        big[n] = (char)(n * 31 >> 3);
    struct entry e = rig_entry(&rig, "a", slice_of(big, size));
    assert_int_equal(rig.tier->ops->put(rig.tier, &e), TIER_DONE);
    rig_settle(&rig);
    assert_true(slice_equal(fetch("a").value, slice_of(big, size)));
    free(big);
}

/* ======= changes ======= */

static void a_dropped_key_is_not_found_before_or_after_the_commit(void **state)
{
    rig_put(&rig, "a", "1");
    rig_settle(&rig);
    assert_int_equal(rig_drop(&rig, "a"), TIER_DONE);
    rig_expect_none(&rig, "a");
    rig_settle(&rig);
    rig_expect_none(&rig, "a");
    assert_int_equal(rig_figures(&rig).warm_entries, 0);
}

static void a_drop_spares_what_is_newer_than_it(void **state)
{
    rig_put(&rig, "a", "1");
    uint64_t v = rig.v;
    rig.tier->ops->drop(rig.tier, slice_text("a"), rig_hash(&rig, "a"), v);
    rig_expect(&rig, "a", "1");
    rig_settle(&rig);
    rig.tier->ops->drop(rig.tier, slice_text("a"), rig_hash(&rig, "a"), v);
    rig_settle(&rig);
    rig_expect(&rig, "a", "1");
    rig.tier->ops->drop(rig.tier, slice_text("a"), rig_hash(&rig, "a"), v + 1);
    rig_expect_none(&rig, "a");
}

static void a_softened_key_is_stale_before_and_after_the_commit(void **state)
{
    rig_put(&rig, "a", "1");
    rig_settle(&rig);
    assert_int_equal(rig_soften(&rig, "a"), TIER_DONE);
    assert_true(fetch("a").stale);
    rig_settle(&rig);
    assert_true(fetch("a").stale);
    assert_true(fetch("a").soft_ns <= loop_now_ns(rig.loop));
}

static void softening_a_queued_entry_keeps_its_value(void **state)
{
    rig_put(&rig, "a", "1");
    rig_soften(&rig, "a");
    rig_expect(&rig, "a", "1");
    assert_true(fetch("a").stale);
}

static void a_touch_prolongs_and_never_shortens(void **state)
{
    rig_put(&rig, "a", "1");
    rig_settle(&rig);
    struct entry before = fetch("a");
    rig_touch(&rig, &before, before.soft_ns + 5, before.hard_ns + 9);
    rig_touch(&rig, &before, 1, 1);
    assert_true(fetch("a").hard_ns == before.hard_ns + 9 && fetch("a").soft_ns == before.soft_ns + 5);
    rig_settle(&rig);
    assert_true(fetch("a").hard_ns == before.hard_ns + 9 && fetch("a").soft_ns == before.soft_ns + 5);
}

static void a_touch_of_nothing_says_so(void **state)
{
    struct entry e = rig_entry(&rig, "a", slice_text("1"));
    assert_int_equal(rig_touch(&rig, &e, 1, 1), TIER_NOT_THERE);
}

/* The fleet prolonged another version: what is here may be over, and must not come back. */
static void a_touch_of_another_version_prolongs_nothing(void **state)
{
    rig_put(&rig, "a", "1");
    struct entry before = fetch("a"), other = before, twin = before;
    other.v++;
    twin.id++;
    assert_int_equal(rig_touch(&rig, &other, before.soft_ns + 5, before.hard_ns + 9), TIER_NOT_THERE);
    rig_settle(&rig);
    rig_touch(&rig, &other, before.soft_ns + 5, before.hard_ns + 9);
    rig_touch(&rig, &twin, before.soft_ns + 5, before.hard_ns + 9);
    assert_true(fetch("a").hard_ns == before.hard_ns);
    rig_settle(&rig);
    assert_true(fetch("a").hard_ns == before.hard_ns);
}

static void a_touch_after_softening_leaves_it_stale(void **state)
{
    rig_put(&rig, "a", "1");
    rig_settle(&rig);
    rig_soften(&rig, "a");
    uint64_t now = loop_now_ns(rig.loop);
    struct entry e = fetch("a");
    rig_touch(&rig, &e, now + 1, now + 2);
    rig_settle(&rig);
    assert_true(fetch("a").stale);
}

static void a_killed_tag_hides_its_members_and_no_others(void **state)
{
    rig_put_tagged(&rig, "a", "1", "red");
    rig_put_tagged(&rig, "b", "2", "blue");
    rig_settle(&rig);
    assert_int_equal(rig_kill_tag(&rig, "red"), TIER_DONE);
    rig_expect_none(&rig, "a");
    rig_expect(&rig, "b", "2");
    rig_put_tagged(&rig, "a", "3", "red");
    rig_expect(&rig, "a", "3");
}

static void a_floor_hides_everything_below_it(void **state)
{
    rig_put(&rig, "a", "1");
    kills_add(rig.kills, KILLS_ALL, ++rig.v, false);
    assert_int_equal(rig.tier->ops->kill(rig.tier, KILLS_ALL, rig.v, false), TIER_DONE);
    rig_expect_none(&rig, "a");
    rig_put(&rig, "b", "2");
    rig_expect(&rig, "b", "2");
}

static void changes_of_one_key_coalesce_while_they_wait(void **state)
{
    for (unsigned n = 0; n < 500; n++)
        rig_put(&rig, "a", "1");
    assert_int_equal(rig_figures(&rig).warm_overlay, 1);
    rig_settle(&rig);
    assert_int_equal(rig_figures(&rig).warm_puts, 1);
}

/* ======= reads on the pool ======= */

static void a_read_on_the_pool_does_not_miss_a_change_made_meanwhile(void **state)
{
    struct rig_read r = {0};
    rig_put(&rig, "a", "old");
    rig_settle(&rig);
    rig.warm->reader = env_reader_destroy(rig.warm->reader); /* without one, every read goes to the pool */
    r.read = (struct tier_read){.key = slice_text("a"),
                                .key_hash = rig_hash(&rig, "a"),
                                .now_ns = loop_now_ns(rig.loop),
                                .done = rig_read_done};
    assert_int_equal(rig.tier->ops->get(rig.tier, &r.read), TIER_PENDING);
    rig_drop(&rig, "a");
    while (!r.done)
        loop_run_once(rig.loop);
    assert_int_equal(r.outcome, TIER_MISSED);
    assert_int_equal(rig_figures(&rig).warm_reads_offloaded, 1);
}

static void a_committed_change_lingers_until_older_reads_are_over(void **state)
{
    struct warm_read under_way;
    rig_put(&rig, "a", "old");
    rig_settle(&rig);
    warm_read_begin(rig.warm, &under_way);
    rig_drop(&rig, "a");
    rig_settle(&rig);
    assert_int_equal(rig_figures(&rig).warm_overlay, 1);
    warm_read_end(rig.warm, &under_way);
    assert_int_equal(rig_figures(&rig).warm_overlay, 0);
}

static void a_read_on_the_pool_finds_what_is_there(void **state)
{
    rig_put(&rig, "a", "1");
    rig_settle(&rig);
    rig.warm->reader = env_reader_destroy(rig.warm->reader);
    rig_expect(&rig, "a", "1");
    rig_expect_none(&rig, "b");
}

/* ======= bounds ======= */

static void a_full_queue_drops_puts_but_never_removals(void **state)
{
    char value[16 << 10] = {0};
    rig_put(&rig, "old", "1");
    rig_settle(&rig);
    for (unsigned n = 0; n < 3; n++) {
        struct entry e = rig_entry(&rig, (const char *[]){"a", "b", "c"}[n], slice_of(value, sizeof(value)));
        assert_int_equal(rig.tier->ops->put(rig.tier, &e), TIER_DONE);
    }
    struct entry e = rig_entry(&rig, "old", slice_of(value, sizeof(value)));
    assert_int_equal(rig.tier->ops->put(rig.tier, &e), TIER_UNSTORED);
    assert_int_equal(rig_figures(&rig).warm_puts_dropped, 1);
    rig_expect_none(&rig, "old");
    rig_settle(&rig);
    rig_expect_none(&rig, "old");
}

static uint64_t waiting(struct rig *r)
{
    return rig_figures(r).warm_overlay;
}

static int put_large(struct rig *r, const char *key)
{
    static char value[48 << 10];
    struct entry e = rig_entry(r, key, slice_of(value, sizeof(value)));
    return r->tier->ops->put(r->tier, &e);
}

/* All the room there is. */
static void fill_queue(struct rig *r)
{
    assert_int_equal(put_large(r, "filler"), TIER_DONE);
}

/* Millions of keys set again after a kill: no removal of each is to be written, and waited for. */
static void a_refused_put_queues_nothing_where_nothing_lives(void **state)
{
    struct entry e = rig_entry(&rig, "dead", slice_text("1"));
    e.tags_count = 1;
    e.tags[0] = rig_tag(&rig, "red");
    rig.tier->ops->put(rig.tier, &e);
    rig_kill_tag(&rig, "red");
    rig_settle(&rig);
    fill_queue(&rig);
    assert_int_equal(put_large(&rig, "dead"), TIER_UNSTORED);
    assert_int_equal(put_large(&rig, "never there"), TIER_UNSTORED);
    assert_int_equal(waiting(&rig), 1);
    rig_expect_none(&rig, "dead");
    rig_close(&rig);
    rig_open(&rig);
    rig_expect_none(&rig, "dead");
}

/* The first pass comes when the writer's thread first runs, or right behind its first commit; the next seconds later. */
static void let_the_first_sweep_pass(void)
{
    for (unsigned commits = 0; commits < 2; commits++) {
        rig_put(&rig, "a", "1");
        rig_settle(&rig);
    }
}

/* Its own bytes are all that says it is over; a wall clock may say otherwise in the next boot. */
static void a_refused_put_removes_what_is_over_but_not_killed(void **state)
{
    let_the_first_sweep_pass();
    struct entry e = rig_entry(&rig, "over", slice_text("1"));
    e.hard_ns = e.soft_ns = 1;
    rig.tier->ops->put(rig.tier, &e);
    rig_settle(&rig);
    assert_int_equal(rig_figures(&rig).warm_entries, 2);
    fill_queue(&rig);
    assert_int_equal(put_large(&rig, "over"), TIER_UNSTORED);
    assert_int_equal(waiting(&rig), 2);
}

/* What it has may have been evicted since. */
static void a_refused_put_is_told_to_reads_under_way(void **state)
{
    struct warm_read read;
    fill_queue(&rig);
    warm_read_begin(rig.warm, &read);
    assert_int_equal(put_large(&rig, "gone"), TIER_UNSTORED);
    assert_int_equal(waiting(&rig), 2);
    warm_read_end(rig.warm, &read);
    assert_int_equal(put_large(&rig, "never there"), TIER_UNSTORED);
    assert_int_equal(waiting(&rig), 2);
}

/* A glob has no room in the page: a kill -9 before its commit would bring back what it killed. */
static void a_refused_put_relies_on_no_kill_that_is_not_safe(void **state)
{
    rig_put(&rig, "a:1:x", "1");
    rig_settle(&rig);
    uint64_t glob = kills_name(kills_ban(rig.kills, slice_text("a:*:x")), 0);
    kills_add(rig.kills, glob, ++rig.v, false);
    assert_int_equal(rig.tier->ops->kill(rig.tier, glob, rig.v, false), TIER_UNSAFE);
    rig_expect_none(&rig, "a:1:x");
    fill_queue(&rig);
    uint64_t before = waiting(&rig);
    assert_int_equal(put_large(&rig, "a:1:x"), TIER_UNSTORED);
    assert_int_equal(waiting(&rig), before + 1);
}

static void a_value_the_empty_queue_cannot_hold_is_too_big(void **state)
{
    char value[64 << 10] = {0};
    rig_put(&rig, "a", "1");
    rig_settle(&rig);
    struct entry e = rig_entry(&rig, "a", slice_of(value, sizeof(value)));
    assert_int_equal(rig.tier->ops->put(rig.tier, &e), TIER_TOO_BIG);
    rig_expect_none(&rig, "a");
    e = rig_entry(&rig, "a", slice_of(value, sizeof(value) - 1024));
    assert_int_equal(rig.tier->ops->put(rig.tier, &e), TIER_DONE);
}

static int open_pageless_rig(void **state)
{
    rig_make(&rig);
    rig.with_page = false;
    rig_open(&rig);
    return 0;
}

static void too_big_is_the_answer_without_a_page_too_and_the_removal_waits_for_its_commit(void **state)
{
    static char value[17 << 20];
    rig_put(&rig, "a", "1");
    rig_settle(&rig);
    struct entry e = rig_entry(&rig, "a", slice_of(value, sizeof(value)));
    assert_int_equal(rig.tier->ops->put(rig.tier, &e), TIER_TOO_BIG);
    rig_barrier(&rig);
    assert_true(rig.warm->safe >= rig.warm->sequence);
}

static bool some_are_evicted(struct rig *r)
{
    return rig_figures(r).warm_evictions > 0;
}

static void a_full_map_evicts_from_the_front(void **state)
{
    static char value[60 << 10];
    char key[16];
    unsigned n = 0;
    while (!some_are_evicted(&rig)) {
        snprintf(key, sizeof(key), "k%u", n++);
        struct entry e = rig_entry(&rig, key, slice_of(value, sizeof(value)));
        rig.tier->ops->put(rig.tier, &e);
        if (n % 64 == 0)
            rig_settle(&rig);
    }
    rig_settle(&rig);
    rig_expect_none(&rig, "k0");
    struct rig_read r;
    rig_get(&rig, key, &r);
    assert_int_equal(r.outcome, TIER_FOUND);
    assert_true(rig_figures(&rig).warm_bytes_used <= rig.options.warm_bytes);
    assert_int_equal(rig_figures(&rig).warm_commits_failed, 0);
}

static int open_tiny_patient_rig(void **state)
{
    rig_make(&rig);
    rig.options.warm_bytes = 1 << 20;
    hour_long_commits();
    rig_open(&rig);
    return 0;
}

static void more_than_a_small_map_holds_is_committed_in_parts_and_nothing_is_refused(void **state)
{
    char key[16];
    for (unsigned n = 0; n < 900; n++) { /* twice as much as the map holds */
        static char value[2000];
        snprintf(key, sizeof(key), "k%u", n);
        struct entry e = rig_entry(&rig, key, slice_of(value, sizeof(value)));
        assert_int_equal(rig.tier->ops->put(rig.tier, &e), TIER_DONE);
    }
    rig_settle(&rig);
    struct rig_read r;
    rig_get(&rig, key, &r);
    assert_int_equal(r.outcome, TIER_FOUND);
    assert_true(rig_figures(&rig).warm_puts == 900 && rig_figures(&rig).warm_puts_dropped == 0);
    assert_int_equal(rig_figures(&rig).warm_commits_failed, 0);
}

/* ======= listing ======= */

static unsigned listed[100], listed_count, listed_stop;

static bool note_listed(void *user, const struct tier_listed *l)
{
    if (listed_count == listed_stop)
        return false;
    char number[8] = ""; /* a slice does not end with a zero */
    assert_in_range(l->key.size, 2, sizeof(number));
    memcpy(number, (const char *)l->key.data + 1, l->key.size - 1);
    listed[atoi(number)]++;
    listed_count++;
    return true;
}

static void list_all(uint32_t limit)
{
    uint64_t cursor = 0;
    memset(listed, 0, sizeof(listed));
    listed_count = 0;
    listed_stop = UINT32_MAX;
    do
        rig.tier->ops->list(rig.tier, &cursor, limit, loop_now_ns(rig.loop), note_listed, NULL);
    while (cursor);
}

static void a_listing_shows_each_key_once(void **state)
{
    char key[16];
    for (unsigned n = 0; n < 100; n++) {
        snprintf(key, sizeof(key), "k%u", n);
        rig_put(&rig, key, "x");
        if (n == 79)
            rig_settle(&rig);
    }
    rig_drop(&rig, "k3");
    list_all(7);
    for (unsigned n = 0; n < 100; n++)
        assert_int_equal(listed[n], n != 3);
}

static void a_listing_goes_on_with_the_entry_that_was_refused(void **state)
{
    uint64_t cursor = 0;
    rig_put(&rig, "k1", "x");
    rig_put(&rig, "k2", "x");
    rig_settle(&rig);
    memset(listed, 0, sizeof(listed));
    listed_count = 0;
    listed_stop = 1;
    rig.tier->ops->list(rig.tier, &cursor, 10, loop_now_ns(rig.loop), note_listed, NULL);
    listed_stop = 2;
    rig.tier->ops->list(rig.tier, &cursor, 10, loop_now_ns(rig.loop), note_listed, NULL);
    assert_true(listed[1] == 1 && listed[2] == 1 && cursor == 0);
}

#define TEST(name)         cmocka_unit_test_setup_teardown(name, open_rig, close_rig)
#define TEST_PATIENT(name) cmocka_unit_test_setup_teardown(name, open_patient_rig, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_entry_is_found_before_its_commit),
        TEST(an_entry_is_found_after_its_commit),
        TEST(every_field_comes_back),
        TEST(a_second_value_replaces_the_first),
        TEST(another_key_with_the_same_hash_is_a_miss),
        TEST(an_entry_past_its_end_is_a_miss),
        TEST(a_value_over_a_quarter_of_the_map_is_refused_and_the_old_one_gone),
        TEST(a_large_value_comes_back_whole),
        TEST(a_dropped_key_is_not_found_before_or_after_the_commit),
        TEST(a_drop_spares_what_is_newer_than_it),
        TEST(a_softened_key_is_stale_before_and_after_the_commit),
        TEST(softening_a_queued_entry_keeps_its_value),
        TEST(a_touch_prolongs_and_never_shortens),
        TEST(a_touch_of_nothing_says_so),
        TEST(a_touch_of_another_version_prolongs_nothing),
        TEST(a_touch_after_softening_leaves_it_stale),
        TEST(a_killed_tag_hides_its_members_and_no_others),
        TEST(a_floor_hides_everything_below_it),
        TEST_PATIENT(changes_of_one_key_coalesce_while_they_wait),
        TEST(a_read_on_the_pool_does_not_miss_a_change_made_meanwhile),
        TEST(a_committed_change_lingers_until_older_reads_are_over),
        TEST(a_read_on_the_pool_finds_what_is_there),
        TEST_PATIENT(a_full_queue_drops_puts_but_never_removals),
        TEST_PATIENT(a_refused_put_queues_nothing_where_nothing_lives),
        TEST_PATIENT(a_refused_put_removes_what_is_over_but_not_killed),
        TEST_PATIENT(a_refused_put_is_told_to_reads_under_way),
        TEST_PATIENT(a_refused_put_relies_on_no_kill_that_is_not_safe),
        TEST_PATIENT(a_value_the_empty_queue_cannot_hold_is_too_big),
        cmocka_unit_test_setup_teardown(
            too_big_is_the_answer_without_a_page_too_and_the_removal_waits_for_its_commit, open_pageless_rig,
            close_rig),
        TEST(a_full_map_evicts_from_the_front),
        cmocka_unit_test_setup_teardown(
            more_than_a_small_map_holds_is_committed_in_parts_and_nothing_is_refused, open_tiny_patient_rig,
            close_rig),
        TEST(a_listing_shows_each_key_once),
        TEST(a_listing_goes_on_with_the_entry_that_was_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
