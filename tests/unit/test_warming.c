/* Warming, with the clock and the tiers in hand: what it pulls, how much at a time, and how it ends. */
#include "cache/warming.h"

#include <stdio.h>
#include "support/cache_rig.h"

enum { SOME = 10, WINDOW = 16, SHARE_OF_A_TURN = 1024 };

static const char *name_of(unsigned n)
{
    static char names[TABLE_ROWS][8];
    snprintf(names[n], sizeof(names[n]), "k:%u", n);
    return names[n];
}

/* Entries that only the warm tier has. */
static void store_below(struct fixture *f, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        assert_int_equal(set(f, name_of(n), "v"), STATUS_OK);
        table_tier_find(&f->l1, slice_text(name_of(n)))->used = false;
    }
}

static struct warming *warming_of(struct fixture *f, unsigned count)
{
    struct warming *w = warming_begin(f->cache);
    for (unsigned n = 0; n < count; n++)
        assert_int_equal(warming_keys(w, &(struct slice){name_of(n), strlen(name_of(n))}, 1), 1);
    warming_close(w);
    return w;
}

static void turns(struct fixture *f, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        f->now_ns += NS_PER_MS;
        cache_tick(f->cache);
    }
}

static struct warming_figures figures(const struct warming *w)
{
    struct warming_figures figures;
    warming_measure(w, &figures);
    return figures;
}

static void keys_are_pulled_up_and_counted(void **state)
{
    struct fixture *f = *state;
    store_below(f, SOME);
    struct warming *w = warming_of(f, SOME + 1); /* one more than there are */
    cache_tick(f->cache);
    assert_int_equal(figures(w).state, WARMING_DONE);
    assert_int_equal(figures(w).loaded, SOME);
    assert_int_equal(figures(w).missing, 1);
    for (unsigned n = 0; n < SOME; n++)
        assert_non_null(table_tier_find(&f->l1, slice_text(name_of(n))));
    warming_end(w);
}

static void callers_do_not_see_it_in_the_figures_of_gets(void **state)
{
    struct fixture *f = *state;
    struct cache_figures before, after;
    store_below(f, SOME);
    cache_measure(f->cache, &before);
    struct warming *w = warming_of(f, SOME + 1);
    cache_tick(f->cache);
    cache_measure(f->cache, &after);
    assert_int_equal(after.gets, before.gets);
    assert_int_equal(after.hits_warm, before.hits_warm);
    assert_int_equal(after.misses, before.misses);
    warming_end(w);
}

static void no_more_gets_are_under_way_than_the_window_has_room_for(void **state)
{
    struct fixture *f = *state;
    store_below(f, 40);
    f->warm.slow = true;
    struct warming *w = warming_of(f, 40);
    cache_tick(f->cache);
    cache_tick(f->cache);
    assert_int_equal(f->warm.waiting_count, WINDOW);
    while (f->warm.waiting_count > 0) {
        f->now_ns += NS_PER_MS;
        table_tier_land(&f->warm);
        cache_tick(f->cache);
    }
    assert_int_equal(figures(w).state, WARMING_DONE);
    assert_int_equal(figures(w).done, 40);
    warming_end(w);
}

static void answers_that_come_late_twice_in_a_row_halve_the_window(void **state)
{
    struct fixture *f = *state;
    store_below(f, 80);
    f->warm.slow = true;
    struct warming *w = warming_of(f, 80);
    cache_tick(f->cache);
    f->now_ns += NS_PER_MS;
    table_tier_land(&f->warm); /* as quick as ever */
    cache_tick(f->cache);
    assert_in_range(f->warm.waiting_count, WINDOW, WINDOW + 1);
    for (int late = 0; late < 2; late++) {
        f->now_ns += 100 * NS_PER_MS;
        table_tier_land(&f->warm);
        cache_tick(f->cache);
        assert_in_range(f->warm.waiting_count, WINDOW - 1, WINDOW + 1);
    }
    table_tier_land(&f->warm); /* as they come fewer follow */
    cache_tick(f->cache);
    assert_in_range(f->warm.waiting_count, WINDOW / 2, 3 * WINDOW / 4);
    f->warm.slow = false;
    table_tier_land(&f->warm);
    warming_end(w);
}

static void what_was_named_but_not_asked_for_yet_is_forgotten_when_it_is_cancelled(void **state)
{
    struct fixture *f = *state;
    store_below(f, SOME);
    struct warming *w = warming_of(f, SOME);
    warming_cancel(w);
    cache_tick(f->cache);
    assert_int_equal(figures(w).state, WARMING_CANCELLED);
    assert_int_equal(figures(w).done, 0);
    assert_null(table_tier_find(&f->l1, slice_text(name_of(0))));
    warming_end(w);
}

static void one_that_was_let_go_stays_until_its_gets_have_landed(void **state)
{
    struct fixture *f = *state;
    store_below(f, SOME);
    f->warm.slow = true;
    struct warming *w = warming_of(f, SOME);
    cache_tick(f->cache);
    assert_null(warming_end(w));
    assert_false(cache_idle(f->cache));
    table_tier_land(&f->warm);
    assert_true(cache_idle(f->cache));
}

static void an_invalidation_while_it_is_read_keeps_it_out(void **state)
{
    struct fixture *f = *state;
    store_below(f, 1);
    f->warm.slow = true;
    struct warming *w = warming_of(f, 1);
    cache_tick(f->cache);
    invalidate(f, name_of(0));
    table_tier_land(&f->warm);
    assert_null(table_tier_find(&f->l1, slice_text(name_of(0))));
    warming_end(w);
}

static void a_full_queue_takes_no_more(void **state)
{
    struct fixture *f = *state;
    static struct slice keys[WARMING_KEYS_MAX + 1];
    struct warming *w = warming_begin(f->cache);
    for (unsigned n = 0; n <= WARMING_KEYS_MAX; n++)
        keys[n] = slice_text("k");
    assert_int_equal(warming_keys(w, keys, WARMING_KEYS_MAX + 1), WARMING_KEYS_MAX);
    assert_int_equal(warming_keys(w, keys, 1), 0);
    assert_null(warming_end(w));
}

static void a_fifth_is_too_many_and_one_that_ends_makes_room(void **state)
{
    struct fixture *f = *state;
    struct warming *all[WARMINGS_MAX];
    for (unsigned n = 0; n < WARMINGS_MAX; n++)
        assert_non_null(all[n] = warming_begin(f->cache));
    assert_null(warming_begin(f->cache));
    all[0] = warming_end(all[0]);
    assert_non_null(all[0] = warming_begin(f->cache));
    for (unsigned n = 0; n < WARMINGS_MAX; n++)
        warming_end(all[n]);
}

static void without_a_fleet_a_prefix_means_what_is_held_here(void **state)
{
    struct fixture *f = *state;
    store_below(f, SOME);
    struct warming *w = warming_begin(f->cache);
    assert_true(warming_source(w, slice_text("k:"), slice_of(NULL, 0)));
    assert_true(warming_source(w, slice_text("nobody:"), slice_of(NULL, 0)));
    warming_close(w);
    turns(f, 8);
    assert_int_equal(figures(w).state, WARMING_DONE);
    assert_int_equal(figures(w).loaded, SOME);
    assert_true(figures(w).total_known);
    warming_end(w);
}

static bool is_full(const struct tier *t)
{
    return true;
}

/* What is below is not known to be hotter, so nothing goes for it. */
static void what_is_in_a_full_l1_stays_and_nothing_comes(void **state)
{
    struct fixture *f = *state;
    store_below(f, SOME);
    assert_int_equal(set(f, "here", "v"), STATUS_OK);
    uint64_t puts = f->l1.puts;
    f->l1.ops.full = is_full;
    struct warming *w = warming_begin(f->cache);
    assert_true(warming_source(w, slice_of(NULL, 0), slice_of(NULL, 0)));
    warming_close(w);
    turns(f, 8);
    assert_int_equal(figures(w).done, SOME + 1);
    assert_int_equal(f->l1.puts, puts);
    assert_non_null(table_tier_find(&f->l1, slice_text("here")));
    warming_end(w);
}

/* A caller may keep its connection, and with it the figures, for as long as it likes. */
static void one_that_is_over_takes_no_place_though_its_figures_are_kept(void **state)
{
    struct fixture *f = *state;
    struct warming *done[WARMINGS_MAX], *next;
    for (unsigned n = 0; n < WARMINGS_MAX; n++)
        done[n] = warming_of(f, 0);
    turns(f, 1);
    assert_int_equal(figures(done[0]).state, WARMING_DONE);
    assert_non_null(next = warming_begin(f->cache));
    warming_end(next);
    for (unsigned n = 0; n < WARMINGS_MAX; n++)
        warming_end(done[n]);
}

static void one_that_was_cancelled_keeps_its_place_until_its_gets_have_landed(void **state)
{
    struct fixture *f = *state;
    struct warming *all[WARMINGS_MAX];
    store_below(f, SOME);
    f->warm.slow = true;
    for (unsigned n = 0; n < WARMINGS_MAX; n++)
        all[n] = warming_of(f, SOME);
    turns(f, 1);
    warming_cancel(all[0]);
    assert_null(warming_begin(f->cache));
    table_tier_land(&f->warm);
    assert_non_null(all[0] = (warming_end(all[0]), warming_begin(f->cache)));
    for (unsigned n = 0; n < WARMINGS_MAX; n++)
        warming_end(all[n]);
}

/* Answered at once, each get asks for the next: without a share of the turn the callers would wait for all of them. */
static void a_turn_does_not_begin_more_gets_than_its_share(void **state)
{
    struct fixture *f = *state;
    static struct slice keys[2 * SHARE_OF_A_TURN];
    for (unsigned n = 0; n < 2 * SHARE_OF_A_TURN; n++)
        keys[n] = slice_text("nobody");
    struct warming *w = warming_begin(f->cache);
    assert_int_equal(warming_keys(w, keys, 2 * SHARE_OF_A_TURN), 2 * SHARE_OF_A_TURN);
    warming_close(w);
    cache_tick(f->cache);
    cache_tick(f->cache); /* the same turn still */
    assert_int_equal(figures(w).done, SHARE_OF_A_TURN);
    turns(f, 1);
    assert_int_equal(figures(w).done, 2 * SHARE_OF_A_TURN);
    assert_int_equal(figures(w).state, WARMING_DONE);
    warming_end(w);
}

static void what_does_not_carry_the_tag_is_counted_apart_and_stays_where_it_is(void **state)
{
    struct fixture *f = *state;
    struct cache_set red = a_set("k:red", "v");
    red.tags = &(struct slice){"red", 3};
    red.tags_count = 1;
    store_below(f, SOME);
    assert_int_equal(cache_set(f->cache, &red), CACHE_DONE);
    struct warming *w = warming_begin(f->cache);
    assert_true(warming_source(w, slice_text("k:"), slice_text("red")));
    warming_close(w);
    turns(f, 8);
    assert_int_equal(figures(w).others, SOME);
    assert_int_equal(figures(w).loaded + figures(w).here, 1);
    assert_int_equal(figures(w).done, SOME + 1);
    assert_null(table_tier_find(&f->l1, slice_text(name_of(0))));
    warming_end(w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_are_pulled_up_and_counted),
        TEST(callers_do_not_see_it_in_the_figures_of_gets),
        TEST(no_more_gets_are_under_way_than_the_window_has_room_for),
        TEST(answers_that_come_late_twice_in_a_row_halve_the_window),
        TEST(what_was_named_but_not_asked_for_yet_is_forgotten_when_it_is_cancelled),
        TEST(one_that_was_let_go_stays_until_its_gets_have_landed),
        TEST(an_invalidation_while_it_is_read_keeps_it_out),
        TEST(a_full_queue_takes_no_more),
        TEST(a_fifth_is_too_many_and_one_that_ends_makes_room),
        TEST(without_a_fleet_a_prefix_means_what_is_held_here),
        TEST(what_is_in_a_full_l1_stays_and_nothing_comes),
        TEST(one_that_is_over_takes_no_place_though_its_figures_are_kept),
        TEST(one_that_was_cancelled_keeps_its_place_until_its_gets_have_landed),
        TEST(a_turn_does_not_begin_more_gets_than_its_share),
        TEST(what_does_not_carry_the_tag_is_counted_apart_and_stays_where_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
