/* What the curve hears of uses and changes in L1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
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

static struct curve_summary heard(struct fixture *f)
{
    struct curve_summary s;
    curve_summarize(l1_curve(f->l1), &s);
    return s;
}

struct reader {
    struct touch_page *page;
    struct shm_touch_page *shared;
};

static struct reader reader_open(struct fixture *f)
{
    struct reader r;
    int fd;
    assert_int_equal(l1_touch_page_open(f->l1, &r.page, &fd), 0);
    r.shared = mmap(NULL, sizeof(*r.shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(r.shared, MAP_FAILED);
    close(fd);
    atomic_store(&r.shared->stripes_used, 1);
    return r;
}

static void reader_close(struct reader *r)
{
    l1_touch_page_close(r->page);
    munmap(r->shared, sizeof(*r->shared));
}

/* As client/near.h does. */
static void touch(struct fixture *f, struct reader *r, const char *key)
{
    struct seen seen = fixture_see(f, key);
    assert_int_equal(seen.outcome, SHM_HIT);
    uint64_t word = shm_touch(seen.found.slot_number, seen.found.tag);
    atomic_fetch_add(&r->shared->stripes[0].hits[0], 1);
    if (seen.found.tag < atomic_load(&r->shared->watch_below))
        atomic_store(&r->shared->stripes[0].watched[seen.found.slot_number % SHM_TOUCHES], word);
}

static void hits_of_readers_are_uses(void **state)
{
    struct fixture *f = *state;
    struct reader r = reader_open(f);
    fixture_put(f, "k", "v");
    assert_int_equal(atomic_load(&r.shared->watch_below), CURVE_TAGS);
    touch(f, &r, "k");
    l1_tick(f->l1);
    touch(f, &r, "k");
    l1_tick(f->l1);
    assert_true(heard(f).uses == 2 && heard(f).misses == 0);
    assert_true(heard(f).seen > 1.9 && heard(f).seen < 2.1);
    assert_true(curve_lru(l1_curve(f->l1), 1 << 20).misses == 0);
    reader_close(&r);
}

static void a_word_of_a_page_that_names_no_entry_is_no_use(void **state)
{
    struct fixture *f = *state;
    struct reader r = reader_open(f);
    fixture_put(f, "k", "v");
    for (uint64_t i = 0; i < SHM_TOUCHES; i++)
        atomic_store(&r.shared->stripes[0].watched[i], i * 0x123456789abcdefull | 1);
    l1_tick(f->l1);
    assert_true(heard(f).seen == 0);
    reader_close(&r);
}

static void gets_of_the_daemon_are_uses(void **state)
{
    struct fixture *f = *state;
    int outcome;
    fixture_get(f, "k", &outcome);
    fixture_put(f, "k", "v");
    fixture_get(f, "k", &outcome);
    assert_int_equal(outcome, TIER_FOUND);
    struct curve_summary s = heard(f);
    assert_true(s.uses == 2 && s.misses == 1 && s.far == 1 && s.seen == 2);
}

static void looking_is_no_use(void **state)
{
    struct fixture *f = *state;
    fixture_put(f, "k", "v");
    struct tier_read read = {
        .key = slice_text("k"), .key_hash = fixture_hash("k"), .now_ns = f->l1->test_now_ns, .looks = true};
    assert_int_equal(f->tier->ops->get(f->tier, &read), TIER_FOUND);
    assert_true(heard(f).uses == 0 && heard(f).seen == 0);
}

static struct curve_summary missed(struct fixture *f, const char *key)
{
    int outcome;
    fixture_get(f, key, &outcome);
    assert_int_equal(outcome, TIER_MISSED);
    return heard(f);
}

static void it_hears_why_entries_are_gone(void **state)
{
    struct fixture *f = *state;
    fixture_put(f, "by-key", "v");
    fixture_put_tagged(f, "by-tag", "v", "t");
    fixture_put_tagged(f, "by-sweep", "v", "swept");
    fixture_put(f, "by-time", "v");
    f->tier->ops->drop(f->tier, slice_text("by-key"), fixture_hash("by-key"), ++f->v);
    assert_true(missed(f, "by-key").invalidated == 1);
    fixture_kill_tag(f, "swept", false);
    fixture_sweep(f);
    assert_true(missed(f, "by-sweep").invalidated == 2);
    fixture_kill_tag(f, "t", false);
    assert_true(missed(f, "by-tag").invalidated == 3);
    f->l1->test_now_ns += 3601 * NS_PER_S;
    assert_true(missed(f, "by-time").expired == 1);
    assert_true(heard(f).far == 0);
}

static void it_hears_that_the_same_value_came_again(void **state)
{
    struct fixture *f = *state;
    struct curve_policy of[CURVE_POLICIES];
    fixture_put(f, "same", "v");
    fixture_put(f, "other", "v");
    f->l1->test_now_ns += 3601 * NS_PER_S;
    fixture_put(f, "same", "v");
    fixture_put(f, "other", "w");
    curve_policies(l1_curve(f->l1), of);
    assert_true(of[0].expired == 2 && of[0].expired_same == 1);
}

static void it_is_known_when_entries_are_what_is_limited(void **state)
{
    struct fixture *f = fixture_create(0, 1000);
    char key[16];
    assert_false(l1_limited_by_entries(f->l1));
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof(key), "k%06d", i);
        fixture_put(f, key, "0123456789");
    }
    assert_true(l1_limited_by_entries(f->l1));
    fixture_destroy(f);
}

static void switched_off_nothing_is_learnt_and_readers_note_nothing(void **state)
{
    struct fixture *f = *state;
    watch_teardown(f->l1);
    struct reader r = reader_open(f);
    int outcome;
    fixture_put(f, "k", "v");
    fixture_get(f, "k", &outcome);
    l1_tick(f->l1);
    assert_int_equal(atomic_load(&r.shared->watch_below), 0);
    assert_null(l1_curve(f->l1));
    reader_close(&r);
}

static void pages_hear_that_fewer_keys_are_watched(void **state)
{
    struct fixture *f = *state;
    struct reader r = reader_open(f);
    char key[16];
    for (int i = 0; i < 2 * CURVE_KEYS; i++) {
        snprintf(key, sizeof(key), "k%06d", i);
        fixture_put(f, key, "v");
    }
    l1_tick(f->l1);
    assert_true(atomic_load(&r.shared->watch_below) <= CURVE_TAGS / 2 + CURVE_TAGS / 20);
    assert_int_equal(atomic_load(&r.shared->watch_below), curve_below(l1_curve(f->l1)));
    reader_close(&r);
}

int main(void)
{
#define WITH_L1(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_L1(hits_of_readers_are_uses),
        WITH_L1(a_word_of_a_page_that_names_no_entry_is_no_use),
        WITH_L1(gets_of_the_daemon_are_uses),
        WITH_L1(looking_is_no_use),
        WITH_L1(it_hears_why_entries_are_gone),
        WITH_L1(it_hears_that_the_same_value_came_again),
        cmocka_unit_test(it_is_known_when_entries_are_what_is_limited),
        WITH_L1(switched_off_nothing_is_learnt_and_readers_note_nothing),
        WITH_L1(pages_hear_that_fewer_keys_are_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
