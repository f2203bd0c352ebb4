/* The reader, each step of its order by itself.  Words of the header are set by hand where no part of this daemon
 * sets them yet (fence, detachment). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/hostile.h"
#include "support/l1_fixture.h"

static int setup(void **state)
{
    struct fixture *f = fixture_create(0, 0);
    fixture_put_tagged(f, "acme:user:1:v2", "value", "tag");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

static void assert_hit(struct fixture *f)
{
    assert_int_equal(fixture_see(f, "acme:user:1:v2").outcome, SHM_HIT);
}

static void assert_asks(struct fixture *f, enum shm_ask reason)
{
    struct seen s = fixture_see(f, "acme:user:1:v2");
    assert_int_equal(s.outcome, SHM_ASK);
    assert_int_equal(s.found.reason, reason);
}

/* ---- R0 and R6: promises and the clock --------------------------------------------------------------------- */

static void a_lease_that_ran_out_sends_readers_away(void **state)
{
    struct fixture *f = *state;
    assert_hit(f);
    f->l1->header->alive_until = clock_boot_ns();
    assert_asks(f, SHM_ASK_DEAD);
    assert_false(shm_alive(&f->view));
}

static void what_the_clock_may_lag_is_counted_against_the_reader(void **state)
{
    struct fixture *f = *state;
    struct seen s = fixture_see(f, "acme:user:1:v2");
    assert_true(s.found.now_ns >= clock_boot_ns() - 1000 * NS_PER_MS);
    uint64_t before = clock_boot_ns();
    assert_true(fixture_see(f, "acme:user:1:v2").found.now_ns >= before);
}

static void a_closed_segment_sends_readers_away(void **state)
{
    struct fixture *f = *state;
    order_state(f->l1->header, SHM_CLOSED);
    assert_asks(f, SHM_ASK_DEAD);
}

static void a_segment_that_was_never_opened_sends_readers_away(void **state)
{
    struct fixture *f = *state;
    order_state(f->l1->header, SHM_STARTING);
    assert_asks(f, SHM_ASK_DEAD);
}

static void a_dead_owner_sends_readers_away(void **state)
{
    struct fixture *f = *state;
    uint32_t owner = f->l1->header->owner;
    f->l1->header->owner = SHM_OWNER_DIED;
    assert_asks(f, SHM_ASK_DEAD);
    f->l1->header->owner = owner;
}

static void past_the_fence_a_hit_is_suspect(void **state)
{
    struct fixture *f = *state;
    order_promise(f->l1->header, 0, clock_boot_ns());
    assert_asks(f, SHM_ASK_SUSPECT);
}

static void a_detached_daemon_serves_flagged_hits_until_serve_until(void **state)
{
    struct fixture *f = *state;
    order_promise(f->l1->header, 0, clock_boot_ns());
    order_detach(f->l1->header, clock_boot_ns() + 3600 * NS_PER_S);
    struct seen s = fixture_see(f, "acme:user:1:v2");
    assert_int_equal(s.outcome, SHM_HIT);
    assert_true(s.found.detached);
    order_detach(f->l1->header, clock_boot_ns());
    assert_asks(f, SHM_ASK_SUSPECT);
}

static void a_fresh_hit_of_a_detached_daemon_is_not_flagged(void **state)
{
    struct fixture *f = *state;
    order_detach(f->l1->header, clock_boot_ns() + 3600 * NS_PER_S);
    struct seen s = fixture_see(f, "acme:user:1:v2");
    assert_int_equal(s.outcome, SHM_HIT);
    assert_false(s.found.detached);
}

static void put_local(struct fixture *f)
{
    struct entry e = fixture_entry(f, "acme:user:1:v2", slice_text("local"));
    e.local = true;
    assert_int_equal(f->tier->ops->put(f->tier, &e), TIER_DONE);
}

static void a_local_entry_is_served_while_detached_only_but_then_past_serve_until(void **state)
{
    struct fixture *f = *state;
    put_local(f);
    assert_asks(f, SHM_ASK_SUSPECT);
    order_detach(f->l1->header, clock_boot_ns());
    struct seen s = fixture_see(f, "acme:user:1:v2");
    assert_int_equal(s.outcome, SHM_HIT);
    assert_true(s.found.local && s.found.detached);
}

static void a_local_entry_does_not_outlive_its_detachment(void **state)
{
    struct fixture *f = *state;
    order_detach(f->l1->header, clock_boot_ns() + 3600 * NS_PER_S);
    put_local(f);
    assert_hit(f);
    order_attach(f->l1->header, ++f->l1->seq, SHM_FRESH);
    assert_asks(f, SHM_ASK_FLOOR);
    order_detach(f->l1->header, clock_boot_ns() + 3600 * NS_PER_S);
    assert_asks(f, SHM_ASK_FLOOR);
}

static struct shm_item *item_of(struct fixture *f)
{
    return item_of_slot(f->l1,
                        slots_find(f->l1, slice_text("acme:user:1:v2"), fixture_hash("acme:user:1:v2")))
        .item;
}

static void past_hard_it_is_expired(void **state)
{
    struct fixture *f = *state;
    order_life(item_of(f), shm_life(1, 1, 0));
    assert_asks(f, SHM_ASK_EXPIRED);
}

static void past_soft_somebody_should_refresh_it(void **state)
{
    struct fixture *f = *state;
    order_life(item_of(f), shm_life(SHM_TICKS_MAX, 1, 0));
    assert_asks(f, SHM_ASK_REFRESH);
}

/* ---- R1 to R4: the item ---------------------------------------------------------------------------------------- */

static void another_key_in_the_same_slot_is_not_found(void **state)
{
    struct fixture *f = *state;
    uint64_t hash = fixture_hash("acme:user:1:v2");
    struct shm_found found;
    char buffer[64];
    assert_int_equal(shm_get(&f->view, slice_text("acme:user:1:v3"), hash, buffer, sizeof(buffer), &found),
                     SHM_ASK);
    assert_int_equal(found.reason, SHM_ASK_NOT_FOUND);
}

static void a_recycled_segment_gives_nothing(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = slots_find(f->l1, slice_text("acme:user:1:v2"), fixture_hash("acme:user:1:v2"));
    order_recycle(f->l1->gens + segment_of(f->l1, shm_slot_offset(slots_word(f->l1, slot))));
    assert_asks(f, SHM_ASK_NOT_FOUND);
}

static void a_small_buffer_is_told_how_large_it_must_be_and_stays_untouched(void **state)
{
    struct fixture *f = *state;
    char buffer[4] = "abc";
    struct shm_found found;
    struct slice key = slice_text("acme:user:1:v2");
    assert_int_equal(shm_get(&f->view, key, fixture_hash("acme:user:1:v2"), buffer, 4, &found), SHM_SMALL);
    assert_int_equal(found.value_bytes, 5);
    assert_string_equal(buffer, "abc");
}

static struct shm_peek peek(struct fixture *f)
{
    struct shm_peek p;
    assert_int_equal(shm_peek(&f->view, slice_text("acme:user:1:v2"), fixture_hash("acme:user:1:v2"), &p),
                     SHM_HIT);
    return p;
}

static void what_was_peeked_and_stayed_is_valid(void **state)
{
    struct fixture *f = *state;
    struct shm_peek p = peek(f);
    assert_memory_equal(p.value, "value", 5);
    assert_true(shm_validate(&f->view, &p));
}

static void what_was_replaced_after_the_peek_is_not(void **state)
{
    struct fixture *f = *state;
    struct shm_peek p = peek(f);
    fixture_put(f, "acme:user:1:v2", "other");
    assert_false(shm_validate(&f->view, &p));
    assert_int_equal(p.found.reason, SHM_ASK_RACE);
}

static void what_was_recycled_after_the_peek_is_not(void **state)
{
    struct fixture *f = *state;
    struct shm_peek p = peek(f);
    order_recycle((au64 *)(uintptr_t)(f->l1->gens + (p.gen_at - f->view.gens)));
    assert_false(shm_validate(&f->view, &p));
}

static void a_promise_made_after_the_peek_does_not_vouch_for_it(void **state)
{
    struct fixture *f = *state;
    order_promise(f->l1->header, 0, clock_boot_ns());
    struct shm_peek p = peek(f);
    order_promise(f->l1->header, 0, UINT64_MAX);
    assert_false(shm_validate(&f->view, &p));
    assert_int_equal(p.found.reason, SHM_ASK_SUSPECT);
}

/* ---- R5: invalidation -------------------------------------------------------------------------------------------- */

static void a_tag_kill_is_seen_by_the_next_instruction(void **state)
{
    struct fixture *f = *state;
    fixture_kill_tag(f, "tag", false);
    assert_asks(f, SHM_ASK_KILLED);
}

static void a_prefix_kill_is_seen_at_every_level(void **state)
{
    static const char *const prefixes[] = {"acme:", "acme:user:", "acme:user:1:"};
    for (unsigned n = 0; n < COUNT_OF(prefixes); n++) {
        struct fixture *f = fixture_create(0, 0);
        fixture_put(f, "acme:user:1:v2", "value");
        fixture_kill_prefix(f, prefixes[n], false);
        assert_asks(f, SHM_ASK_KILLED);
        fixture_destroy(f);
    }
}

static void a_kill_of_other_names_leaves_a_hit(void **state)
{
    struct fixture *f = *state;
    fixture_kill_tag(f, "other", false);
    fixture_kill_prefix(f, "acme:users:", false);
    assert_hit(f);
}

static void what_is_put_after_a_kill_is_a_hit(void **state)
{
    struct fixture *f = *state;
    fixture_kill_tag(f, "tag", false);
    fixture_put_tagged(f, "acme:user:1:v2", "newer", "tag");
    assert_hit(f);
}

static void a_floor_sends_everything_older_to_the_daemon(void **state)
{
    struct fixture *f = *state;
    kills_add(f->kills, KILLS_ALL, ++f->v, false);
    f->tier->ops->kill(f->tier, KILLS_ALL, f->v, false);
    assert_asks(f, SHM_ASK_FLOOR);
    fixture_put(f, "acme:user:1:v2", "newer");
    assert_hit(f);
}

static void a_kill_after_the_peek_is_seen_by_validate(void **state)
{
    struct fixture *f = *state;
    struct shm_peek p = peek(f);
    fixture_kill_tag(f, "tag", false);
    assert_false(shm_validate(&f->view, &p));
    assert_int_equal(p.found.reason, SHM_ASK_KILLED);
}

static void a_reader_that_slept_through_kill_and_sweep_is_not_fooled(void **state)
{
    struct fixture *f = *state;
    fixture_put(f, "beside", "keeps the segment in use");
    fixture_kill_tag(f, "tag", true);
    struct shm_peek p = peek(f); /* begun after the kill, copied before the sweep got there */
    fixture_sweep(f);
    assert_int_equal(f->l1->header->last_kill, 0);
    assert_false(shm_validate(&f->view, &p));
    assert_int_equal(p.found.reason, SHM_ASK_RACE);
}

/* ---- names and shapes ---------------------------------------------------------------------------------------------- */

static void prefixes_end_with_their_colon(void **state)
{
    struct slice key = slice_text("a:bc::d");
    assert_true(slice_equal(shm_prefix(key, 0), slice_text("a:")));
    assert_true(slice_equal(shm_prefix(key, 1), slice_text("a:bc:")));
    assert_true(slice_equal(shm_prefix(key, 2), slice_text("a:bc::")));
    assert_int_equal(shm_prefix(key, 3).size, 0);
    assert_int_equal(shm_prefix(slice_text(""), 0).size, 0);
}

static void a_partition_is_always_in_range(void **state)
{
    for (uint32_t partitions = 1; partitions <= SHM_PARTITIONS; partitions++)
        for (int i = 0; i < 100; i++)
            assert_true(shm_partition(slice_of(&i, sizeof(i)), partitions) < partitions);
}

static void a_shape_that_does_not_fit_together_is_refused(void **state)
{
    struct hostile h;
    hostile_make(&h);
    const struct shm_shape good = h.shape;
    struct shm_shape bad[18];
    for (unsigned i = 0; i < COUNT_OF(bad); i++)
        bad[i] = good;
    bad[0].magic++;
    bad[1].abi++;
    bad[2].partitions = 0;
    bad[3].partitions = SHM_PARTITIONS + 1;
    bad[4].total_bytes = h.bytes + 1;
    bad[5].segment_shift = SHM_SEGMENT_SHIFT_MIN - 1;
    bad[6].segment_shift = 64;
    bad[7].bucket_count = 1;
    bad[8].bucket_count = UINT32_MAX;
    bad[9].segment_count = 0;
    bad[10].segment_count = UINT32_MAX;
    bad[11].cells_offset = 0;
    bad[12].cells_offset = UINT64_MAX - SHM_PAGE + 1;
    bad[13].gens_offset += 8;
    bad[14].buckets_offset = h.bytes;
    bad[15].segments_offset += SHM_PAGE;
    bad[16].segment_count = 2;
    bad[17].total_bytes = 0;
    struct shm_view view;
    for (unsigned i = 0; i < COUNT_OF(bad); i++) {
        const char *why = NULL;
        memcpy(h.base, &bad[i], sizeof(bad[i]));
        assert_false(shm_view_init(&view, h.base, h.bytes, &why));
        assert_non_null(why);
    }
    memcpy(h.base, &good, sizeof(good));
    assert_true(shm_view_init(&view, h.base, h.bytes, NULL));
    assert_false(shm_view_init(&view, h.base, sizeof(good) - 1, NULL));
    assert_false(shm_view_init(&view, NULL, h.bytes, NULL));
}

static void random_bytes_give_no_crash_and_no_loop(void **state)
{
    struct hostile h;
    hostile_make(&h);
    uint64_t x = 88172645463325252ull;
    uint8_t data[512], key[40];
    for (int n = 0; n < 20000; n++) {
        for (size_t i = 0; i < sizeof(data); i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            data[i] = (uint8_t)(x >> (n % 3 ? 0 : 60)); /* now and then mostly zeroes */
        }
        memcpy(key, data + 32, sizeof(key));
        struct slice k = slice_of(key, 1 + (size_t)n % sizeof(key));
        hostile_fill(&h, k, data, sizeof(data) - (size_t)n % 100);
        hostile_read(&h, k);
    }
}

static void the_last_byte_of_the_last_segment_can_be_read_and_none_behind_it(void **state)
{
    struct hostile h;
    hostile_make(&h);
    struct slice key = slice_text("key");
    for (uint32_t value_bytes = 0; value_bytes < 200; value_bytes++) {
        uint8_t zero[1] = {0};
        hostile_fill(&h, key, zero, 1);
        uint64_t shape = shm_item_shape(value_bytes, 3, 0, 0, 0, 0), bytes = shm_item_bytes(shape);
        uint64_t offset = h.bytes - bytes;
        struct shm_item item = {.shape = shape, .life = shm_life(SHM_TICKS_MAX, SHM_TICKS_MAX, 0)};
        memcpy(h.base + offset, &item, sizeof(item));
        memcpy(h.base + offset + sizeof(item), "key", 3);
        uint64_t slot = shm_slot(shm_tag(shm_hash_key(99, key)), 0, offset);
        memcpy(h.base + h.shape.buckets_offset, &slot, 8);
        struct shm_view view;
        struct shm_found found;
        uint8_t buffer[200];
        assert_true(shm_view_init(&view, h.base, h.bytes, NULL));
        assert_int_equal(shm_get(&view, key, shm_hash_key(99, key), buffer, sizeof(buffer), &found), SHM_HIT);
        assert_int_equal(found.value_bytes, value_bytes);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_lease_that_ran_out_sends_readers_away),
        T(what_the_clock_may_lag_is_counted_against_the_reader),
        T(a_closed_segment_sends_readers_away),
        T(a_segment_that_was_never_opened_sends_readers_away),
        T(a_dead_owner_sends_readers_away),
        T(past_the_fence_a_hit_is_suspect),
        T(a_detached_daemon_serves_flagged_hits_until_serve_until),
        T(a_fresh_hit_of_a_detached_daemon_is_not_flagged),
        T(a_local_entry_is_served_while_detached_only_but_then_past_serve_until),
        T(a_local_entry_does_not_outlive_its_detachment),
        T(past_hard_it_is_expired),
        T(past_soft_somebody_should_refresh_it),
        T(another_key_in_the_same_slot_is_not_found),
        T(a_recycled_segment_gives_nothing),
        T(a_small_buffer_is_told_how_large_it_must_be_and_stays_untouched),
        T(what_was_peeked_and_stayed_is_valid),
        T(what_was_replaced_after_the_peek_is_not),
        T(what_was_recycled_after_the_peek_is_not),
        T(a_promise_made_after_the_peek_does_not_vouch_for_it),
        T(a_tag_kill_is_seen_by_the_next_instruction),
        T(a_prefix_kill_is_seen_at_every_level),
        T(a_kill_of_other_names_leaves_a_hit),
        T(what_is_put_after_a_kill_is_a_hit),
        T(a_floor_sends_everything_older_to_the_daemon),
        T(a_kill_after_the_peek_is_seen_by_validate),
        T(a_reader_that_slept_through_kill_and_sweep_is_not_fooled),
        cmocka_unit_test(prefixes_end_with_their_colon),
        cmocka_unit_test(a_partition_is_always_in_range),
        cmocka_unit_test(a_shape_that_does_not_fit_together_is_refused),
        cmocka_unit_test(random_bytes_give_no_crash_and_no_loop),
        cmocka_unit_test(the_last_byte_of_the_last_segment_can_be_read_and_none_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
