/* Loads on one host and changes under way meanwhile: what was read before a change is stored by nobody, and whoever
 * came after it loads anew (C6, F9). */
#include "support/load_host_rig.h"

/* Ann loads, Ben came before what happens, Cay after it. */
static void overlap(struct fixture *f, void (*happen)(struct fixture *f), const char *tag)
{
    struct caller a, b, c;
    want(f->cache, &a, &people.ann, KEY);
    want(f->cache, &b, &people.ben, KEY);
    happen(f);
    want(f->cache, &c, &people.cay, KEY);
    assert_int_equal(fill_with(f->cache, &a, KEY, "old", tag), STATUS_REFUSED);
    ASSERT_VALUE(b, "old");
    assert_true(b.load.loaded);
    ASSERT_STATUS(c, LEASE);
    assert_int_equal(get(f, KEY), STATUS_MISS);
    assert_int_equal(fill_with(f->cache, &c, KEY, "new", tag), STATUS_OK);
    assert_int_equal(figures(f).leases, 0);
}

static void key_goes(struct fixture *f)
{
    invalidate(f, KEY);
}

static void tag_goes(struct fixture *f)
{
    kill_tag(f, "colour");
}

static void prefix_goes(struct fixture *f)
{
    struct slice prefixes[] = {slice_text("acme:")};
    struct cache_invalidate i = {.prefixes = prefixes, .prefixes_count = 1, .done = invalidate_done};
    assert_int_equal(cache_invalidate(f->cache, &i), CACHE_DONE);
}

static void all_goes(struct fixture *f)
{
    struct cache_invalidate i = {.all = true, .done = invalidate_done};
    assert_int_equal(cache_invalidate(f->cache, &i), CACHE_DONE);
}

static void a_load_that_overlaps_an_invalidation_of_its_key_is_refused(void **state)
{
    overlap(meet(state), key_goes, NULL);
}

static void a_load_that_overlaps_an_invalidation_of_its_tag_is_refused(void **state)
{
    overlap(meet(state), tag_goes, "colour");
}

static void a_load_that_overlaps_an_invalidation_of_its_prefix_is_refused(void **state)
{
    overlap(meet(state), prefix_goes, NULL);
}

static void a_load_that_overlaps_an_invalidation_of_everything_is_refused(void **state)
{
    overlap(meet(state), all_goes, NULL);
}

static void a_newcomer_after_an_invalidation_of_the_key_gets_a_lease_at_once(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    want(f->cache, &a, &people.ann, KEY);
    key_goes(f);
    want(f->cache, &b, &people.ben, KEY);
    ASSERT_STATUS(b, LEASE);
    assert_int_equal(fill_with(f->cache, &b, KEY, "new", NULL), STATUS_OK);
    assert_int_equal(fill_with(f->cache, &a, KEY, "old", NULL), STATUS_REFUSED);
    want(f->cache, &b, &people.ben, KEY);
    ASSERT_VALUE(b, "new");
}

static void a_tag_that_is_not_of_the_value_refuses_nothing_and_costs_no_second_load(void **state)
{
    struct fixture *f = meet(state);
    struct caller a, b;
    want(f->cache, &a, &people.ann, KEY);
    kill_tag(f, "sound");
    want(f->cache, &b, &people.ben, KEY);
    ASSERT_WAITS(b);
    assert_int_equal(fill_with(f->cache, &a, KEY, "loaded", "colour"), STATUS_OK);
    ASSERT_VALUE(b, "loaded");
    assert_false(b.load.loaded);
    assert_int_equal(figures(f).loads, 1);
}

static void a_set_ends_a_lease(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    want(f->cache, &a, &people.ann, KEY);
    set(f, KEY, "newer");
    assert_int_equal(fill_with(f->cache, &a, KEY, "older", NULL), STATUS_REFUSED);
    want(f->cache, &a, &people.ann, KEY);
    ASSERT_VALUE(a, "newer");
}

static void a_change_of_the_key_ends_its_rest(void **state)
{
    struct fixture *f = meet(state);
    struct caller a;
    want(f->cache, &a, &people.ann, KEY);
    fail_with(f->cache, &a, KEY);
    invalidate(f, KEY);
    want(f->cache, &a, &people.ann, KEY);
    ASSERT_STATUS(a, LEASE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_load_that_overlaps_an_invalidation_of_its_key_is_refused),
        TEST(a_load_that_overlaps_an_invalidation_of_its_tag_is_refused),
        TEST(a_load_that_overlaps_an_invalidation_of_its_prefix_is_refused),
        TEST(a_load_that_overlaps_an_invalidation_of_everything_is_refused),
        TEST(a_newcomer_after_an_invalidation_of_the_key_gets_a_lease_at_once),
        TEST(a_tag_that_is_not_of_the_value_refuses_nothing_and_costs_no_second_load),
        TEST(a_set_ends_a_lease),
        TEST(a_change_of_the_key_ends_its_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
