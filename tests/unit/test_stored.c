/* What a warming takes first of the keys that are stored: what is hot in the fleet, and what is here already stays
 * (cache/stored.c), with the fleet's store and its list in hand. */
#include "cache/seen.h"
#include "cache/warming.h"
#include "support/fleet_cache_rig.h"

enum { MANY = 20, ROOM = 3, PAGE_ROWS = 4 };

/* ======= a fleet that lists its keys, and what is hot ======= */

static struct {
    struct table_fleet *fleet;
    struct fleet_ops ops;
    const char *hot[8];
    unsigned hot_count;
    bool no_list;             /* of what is hot: it cannot be asked */
    struct fleet_list *asked; /* one page at a time is under way */
    bool asked_hot;
} store;

static int ask_hot(struct fleet *fleet, struct fleet_list *list)
{
    if (store.no_list)
        return FLEET_DONE;
    store.asked = list;
    store.asked_hot = true;
    return FLEET_PENDING;
}

static int ask_list(struct fleet *fleet, struct fleet_list *list)
{
    assert_null(store.asked);
    store.asked = list;
    store.asked_hot = false;
    return FLEET_PENDING;
}

static void add_hot(struct fleet *fleet, const struct fleet_hot *keys, unsigned count, uint64_t most)
{
}

static void answer_hot(struct fleet_list *list)
{
    for (; list->cursor < store.hot_count; list->cursor++)
        list->each(list, slice_text(store.hot[list->cursor]));
    list->cursor = 0;
}

static bool begins(const struct fleet_row *row, struct slice prefix)
{
    return row->used && row->entry.key.size >= prefix.size &&
           memcmp(row->entry.key.data, prefix.data, prefix.size) == 0;
}

static void answer_list(struct fleet_list *list)
{
    for (unsigned n = 0; n < PAGE_ROWS && list->cursor < FLEET_ROWS; n++, list->cursor++)
        if (begins(&store.fleet->rows[list->cursor], list->prefix))
            list->each(list, store.fleet->rows[list->cursor].entry.key);
    list->cursor = list->cursor == FLEET_ROWS ? 0 : list->cursor;
}

static void answer(void)
{
    struct fleet_list *list = store.asked;
    store.asked = NULL;
    list->why = NULL;
    if (store.asked_hot)
        answer_hot(list);
    else
        answer_list(list);
    list->done(list);
}

static bool has_room(const struct fixture *f)
{
    struct tier_figures figures;
    f->l1.ops.measure((struct tier *)(uintptr_t)&f->l1.tier, &figures);
    return figures.entries < ROOM;
}

static bool is_full(const struct tier *t)
{
    return !has_room(CONTAINER_OF(t, struct fixture, l1.tier));
}

static const char *name_of(unsigned n)
{
    static char names[FLEET_ROWS][8];
    snprintf(names[n], sizeof(names[n]), "k:%02u", n);
    return names[n];
}

static int begin_stored(void **state)
{
    begin(state);
    struct fixture *f = *state;
    memset(&store, 0, sizeof(store));
    store.fleet = &f->fleet;
    store.ops = *f->fleet.fleet.ops;
    store.ops.list = ask_list;
    store.ops.hot_list = ask_hot;
    store.ops.hot_add = add_hot;
    f->fleet.fleet.ops = &store.ops;
    f->options.hot_list = 1000;
    f->l1.ops.full = is_full;
    for (unsigned n = 0; n < MANY; n++)
        table_fleet_set(&f->fleet, name_of(n), "v", f->now_ns + LIFE);
    table_fleet_hear(&f->fleet);
    return 0;
}

/* ======= shorthands ======= */

static void is_hot(unsigned n)
{
    store.hot[store.hot_count++] = name_of(n);
}

static struct warming *warm(struct fixture *f, const char *prefix)
{
    struct warming *w = warming_begin(f->cache);
    assert_true(warming_source(w, slice_text(prefix), slice_of(NULL, 0)));
    return w;
}

/* To its end, whatever that is. */
static struct warming_figures run(struct fixture *f, struct warming *w)
{
    struct warming_figures figures;
    warming_close(w);
    do {
        f->now_ns += NS_PER_MS;
        cache_tick(f->cache);
        if (store.asked)
            answer();
        warming_measure(w, &figures);
    } while (figures.state == WARMING_RUNS);
    warming_end(w);
    return figures;
}

static bool is_near(struct fixture *f, const char *key)
{
    return table_tier_find(&f->l1, slice_text(key)) != NULL;
}

/* ======= hottest first ======= */

static void what_is_hot_finds_room_and_the_rest_does_not(void **state)
{
    struct fixture *f = *state;
    is_hot(17);
    is_hot(3);
    is_hot(9);
    struct warming_figures figures = run(f, warm(f, "k:"));
    assert_int_equal(figures.state, WARMING_DONE);
    for (unsigned n = 0; n < MANY; n++)
        assert_int_equal(is_near(f, name_of(n)), n == 17 || n == 3 || n == 9);
}

static void a_key_that_is_hot_is_counted_once(void **state)
{
    struct fixture *f = *state;
    is_hot(17);
    is_hot(3);
    is_hot(17); /* lists move while they are read */
    struct warming_figures figures = run(f, warm(f, "k:"));
    assert_int_equal(figures.total, MANY);
    assert_int_equal(figures.done, MANY);
    assert_int_equal(figures.loaded, MANY);
    assert_true(figures.total_known);
}

static void the_lists_names_of_other_prefixes_are_passed_over(void **state)
{
    struct fixture *f = *state;
    is_hot(17);
    store.hot[store.hot_count++] = "other:1";
    table_fleet_set(&f->fleet, "other:1", "v", f->now_ns + LIFE);
    struct warming_figures figures = run(f, warm(f, "k:"));
    assert_int_equal(figures.total, MANY);
    assert_false(is_near(f, "other:1"));
}

static void what_is_hot_for_all_sources_comes_before_the_rest_of_any(void **state)
{
    struct fixture *f = *state;
    table_fleet_set(&f->fleet, "other:1", "v", f->now_ns + LIFE);
    store.hot[store.hot_count++] = "other:1";
    struct warming *w = warm(f, "k:");
    assert_true(warming_source(w, slice_text("other:"), slice_of(NULL, 0)));
    struct warming_figures figures = run(f, w);
    assert_int_equal(figures.total, MANY + 1);
    assert_true(is_near(f, "other:1"));
}

static void one_key_of_two_sources_is_looked_at_for_each(void **state)
{
    struct fixture *f = *state;
    is_hot(17);
    struct warming *w = warm(f, "k:");
    assert_true(warming_source(w, slice_text("k:"), slice_text("red")));
    struct warming_figures figures = run(f, w);
    assert_int_equal(figures.total, 2 * MANY);
    assert_int_equal(figures.others, MANY);
}

static void a_list_that_cannot_be_asked_leaves_the_rest_as_it_is(void **state)
{
    struct fixture *f = *state;
    store.no_list = true;
    is_hot(17);
    struct warming_figures figures = run(f, warm(f, "k:"));
    assert_int_equal(figures.state, WARMING_DONE);
    assert_int_equal(figures.loaded, MANY);
}

static void one_that_is_cancelled_while_the_list_is_read_takes_nothing_of_it(void **state)
{
    struct fixture *f = *state;
    is_hot(17);
    struct warming *w = warm(f, "k:");
    cache_tick(f->cache);
    assert_true(store.asked_hot);
    warming_cancel(w);
    answer();
    assert_int_equal(run(f, w).total, 0);
}

static void what_is_in_a_full_l1_stays_whatever_is_hot_elsewhere(void **state)
{
    struct fixture *f = *state;
    struct cache_get g;
    for (unsigned n = 0; n < ROOM; n++)
        get(f, &g, name_of(n));
    uint64_t puts = f->l1.puts;
    is_hot(17);
    run(f, warm(f, "k:"));
    assert_int_equal(f->l1.puts, puts);
    for (unsigned n = 0; n < ROOM; n++)
        assert_true(is_near(f, name_of(n)));
}

static void nothing_is_pulled_while_something_hotter_comes_back(void **state)
{
    struct fixture *f = *state;
    struct warming *w = warm(f, "k:");
    uint64_t gets = f->fleet.gets;
    cache_hold_warmings(f->cache, true);
    for (unsigned n = 0; n < 8; n++) {
        f->now_ns += NS_PER_MS;
        cache_tick(f->cache);
        if (store.asked)
            answer();
    }
    assert_int_equal(f->fleet.gets, gets);
    cache_hold_warmings(f->cache, false);
    assert_int_equal(run(f, w).loaded, MANY);
}

/* ======= what was seen ======= */

static void a_name_is_seen_once_it_was_added_and_0_is_one_too(void **state)
{
    struct seen s = {.count = 0};
    assert_false(seen_has(&s, 0));
    for (uint64_t n = 0; n < 1000; n++)
        seen_add(&s, n << 20); /* all in one place */
    seen_add(&s, 0);
    assert_int_equal(s.count, 1000);
    assert_true(seen_has(&s, 0) && seen_has(&s, 999ull << 20));
    assert_false(seen_has(&s, 1000ull << 20));
    seen_finish(&s);
}

static void what_is_full_takes_no_more_and_forgets_nothing(void **state)
{
    struct seen s = {.count = 0};
    for (uint64_t n = 1; n <= SEEN_MAX + 1; n++)
        seen_add(&s, n);
    assert_true(seen_full(&s) && seen_has(&s, 1) && seen_has(&s, SEEN_MAX));
    assert_false(seen_has(&s, SEEN_MAX + 1));
    seen_finish(&s);
}

#define STORED(name) cmocka_unit_test_setup_teardown(name, begin_stored, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORED(what_is_hot_finds_room_and_the_rest_does_not),
        STORED(a_key_that_is_hot_is_counted_once),
        STORED(the_lists_names_of_other_prefixes_are_passed_over),
        STORED(what_is_hot_for_all_sources_comes_before_the_rest_of_any),
        STORED(one_key_of_two_sources_is_looked_at_for_each),
        STORED(a_list_that_cannot_be_asked_leaves_the_rest_as_it_is),
        STORED(one_that_is_cancelled_while_the_list_is_read_takes_nothing_of_it),
        STORED(what_is_in_a_full_l1_stays_whatever_is_hot_elsewhere),
        STORED(nothing_is_pulled_while_something_hotter_comes_back),
        cmocka_unit_test(a_name_is_seen_once_it_was_added_and_0_is_one_too),
        cmocka_unit_test(what_is_full_takes_no_more_and_forgets_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
