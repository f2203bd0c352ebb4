/* Registered loaders: who is asked for a key, and every way it may end (cache/loaders.h). */
#include "support/loader_rig.h"

#include "support/load_rig.h"

static struct loader_look looked;

static void look_at(void *user, const struct loader_look *look)
{
    looked = *look;
}

static const char *trouble(struct fixture *f)
{
    loaders_look(f->cache, look_at, NULL);
    return looked.trouble;
}

static struct loader_figures counted(struct fixture *f)
{
    struct loader_figures figures;
    loaders_measure(f->cache, &figures);
    return figures;
}

/* ======= who wants keys ======= */

struct wish {
    struct cache_fetch fetch;
    unsigned ends;
};

static void wish_done(struct cache_fetch *fetch)
{
    CONTAINER_OF(fetch, struct wish, fetch)->ends++;
}

static void wish_waiting(struct fixture *f, struct wish *w, const char *key, uint64_t wait_ns)
{
    *w = (struct wish){.fetch = {.key = slice_text(key), .wait_ns = wait_ns, .done = wish_done}};
    if (cache_fetch(f->cache, &w->fetch) == CACHE_DONE)
        w->ends++;
}

static void wish(struct fixture *f, struct wish *w, const char *key)
{
    wish_waiting(f, w, key, 0);
}

#define ASSERT_END(wish, how)                    \
    do {                                         \
        assert_int_equal((wish).ends, 1);        \
        assert_int_equal((wish).fetch.end, how); \
    } while (0)
#define ASSERT_OPEN(wish) assert_int_equal((wish).ends, 0)

/* ======= who there is ======= */

static struct scene {
    struct loader *ann, *ben; /* of user:*; NULL: not there */
    struct hand a, b, spare;  /* one each, and another one */
    struct wish wish, next;   /* for user:1, and what comes after it */
    struct load_peer peer;    /* somebody who loads by himself */
    struct caller caller;
} the; /* and not on a stack: leaving answers what is open */

static int begin_scene(void **state)
{
    the = (struct scene){0};
    load_peer_init(&the.peer, 1);
    return begin(state);
}

static int end_scene(void **state)
{
    struct fixture *f = *state;
    the.ann = loader_leave(the.ann);
    the.ben = loader_leave(the.ben);
    cache_load_abandon(f->cache, &the.peer);
    return end(state);
}

/* Ann without a hand. */
static struct fixture *alone(void **state)
{
    the.ann = join(*state, "user:*");
    return *state;
}

static struct fixture *ready(void **state)
{
    struct fixture *f = alone(state);
    offer(f, &the.a, the.ann);
    return f;
}

static struct fixture *asked_for_user_1(void **state)
{
    struct fixture *f = ready(state);
    wish(f, &the.wish, "user:1");
    ASSERT_ASKED(the.a, "user:1");
    return f;
}

static struct fixture *both_ready(void **state)
{
    struct fixture *f = ready(state);
    the.ben = join(f, "user:*");
    offer(f, &the.b, the.ben);
    return f;
}

/* ======= asking ======= */

static void a_key_goes_to_the_hand_that_is_free_and_what_it_brings_is_stored(void **state)
{
    struct fixture *f = asked_for_user_1(state);
    ASSERT_OPEN(the.wish);
    bring(f, &the.a, "v");
    ASSERT_END(the.wish, FETCH_LOADED);
    assert_int_equal(get(f, "user:1"), STATUS_HIT);
}

static void without_a_free_hand_a_key_waits_for_the_next(void **state)
{
    struct fixture *f = alone(state);
    wish(f, &the.wish, "user:1");
    ASSERT_OPEN(the.wish);
    assert_int_equal(counted(f).fetches_queued, 1);
    offer(f, &the.a, the.ann);
    ASSERT_ASKED(the.a, "user:1");
    bring(f, &the.a, "v");
    ASSERT_END(the.wish, FETCH_LOADED);
}

static void nobody_is_asked_for_what_no_loader_offers(void **state)
{
    struct fixture *f = ready(state);
    wish(f, &the.wish, "page:1");
    ASSERT_END(the.wish, FETCH_NOBODY);
    assert_int_equal(the.a.answers, 0);
}

static void what_is_there_meanwhile_is_not_loaded_and_the_hand_stays_free(void **state)
{
    struct fixture *f = ready(state);
    set(f, "user:1", "v");
    wish(f, &the.wish, "user:1");
    ASSERT_END(the.wish, FETCH_THERE);
    wish(f, &the.next, "user:2");
    ASSERT_ASKED(the.a, "user:2");
}

static void a_key_that_somebody_loads_already_is_not_asked_for_twice(void **state)
{
    struct fixture *f = ready(state);
    want(f->cache, &the.caller, &the.peer, "user:1");
    ASSERT_STATUS(the.caller, LEASE);
    wish(f, &the.wish, "user:1");
    ASSERT_END(the.wish, FETCH_ELSEWHERE);
    assert_int_equal(the.a.answers, 0);
}

static void who_asks_for_the_key_meanwhile_waits_for_the_loader(void **state)
{
    struct fixture *f = asked_for_user_1(state);
    want(f->cache, &the.caller, &the.peer, "user:1");
    ASSERT_WAITS(the.caller);
    bring(f, &the.a, "v");
    ASSERT_VALUE(the.caller, "v");
}

static void keys_go_to_whoever_has_least_to_do_in_turn(void **state)
{
    struct fixture *f = both_ready(state);
    static struct hand a, b;
    static struct wish wishes[4];
    const char *names[] = {"user:0", "user:1", "user:2", "user:3"};
    offer(f, &a, the.ann);
    offer(f, &b, the.ben);
    for (unsigned i = 0; i < 4; i++)
        wish(f, &wishes[i], names[i]);
    ASSERT_ASKED(the.a, "user:0");
    ASSERT_ASKED(the.b, "user:1");
    ASSERT_ASKED(a, "user:2");
    ASSERT_ASKED(b, "user:3");
}

static void a_loader_has_64_keys_out_at_most(void **state)
{
    struct fixture *f = *state;
    static struct hand hands[LOADS_A_LOADER + 1];
    static struct wish wishes[LOADS_A_LOADER + 1];
    static char names[LOADS_A_LOADER + 1][8];
    the.ann = join(f, "*");
    for (unsigned i = 0; i <= LOADS_A_LOADER; i++) {
        offer(f, &hands[i], the.ann);
        snprintf(names[i], sizeof(names[i]), "k%u", i);
    }
    for (unsigned i = 0; i <= LOADS_A_LOADER; i++)
        wish(f, &wishes[i], names[i]);
    assert_int_equal(hands[LOADS_A_LOADER].answers, 0);
    bring(f, &hands[0], "v");
    cache_tick(f->cache);
    ASSERT_ASKED(hands[LOADS_A_LOADER], names[LOADS_A_LOADER]);
}

static void an_offer_that_waits_in_vain_is_answered_with_nothing(void **state)
{
    struct fixture *f = alone(state);
    offer_as(f, &the.a, the.ann, NS_PER_S, false);
    assert_int_equal(the.a.answers, 0);
    pass(f, 2 * NS_PER_S);
    ASSERT_ASKED(the.a, "");
    assert_int_equal(counted(f).loader_hands, 0);
    offer_as(f, &the.a, the.ann, 0, false);
    ASSERT_ASKED(the.a, "");
}

static void patterns_that_make_no_sense_are_refused_with_a_reason(void **state)
{
    struct fixture *f = alone(state);
    const char *why = NULL;
    struct slice wrong[] = {slice_text("a:{x}*")};
    assert_false(loader_can(the.ann, wrong, 1, 0, &why));
    assert_non_null(why);
    assert_false(loader_can(the.ann, NULL, 0, 0, &why));
    assert_true(cache_can_fetch(f->cache, slice_text("user:1")));
}

/* ======= what goes wrong ======= */

static void a_loader_whose_connection_ends_passes_its_key_to_another(void **state)
{
    struct fixture *f = both_ready(state);
    wish(f, &the.wish, "user:1");
    ASSERT_ASKED(the.a, "user:1");
    the.ann = loader_leave(the.ann);
    ASSERT_ASKED(the.b, "user:1");
    assert_int_equal(counted(f).fetches_lost, 1);
    come_too_late(f, &the.a);
    bring(f, &the.b, "v");
    ASSERT_END(the.wish, FETCH_LOADED);
}

static void a_key_that_only_the_dead_could_load_is_given_up(void **state)
{
    struct fixture *f = asked_for_user_1(state);
    wish(f, &the.next, "user:2");
    the.ann = loader_leave(the.ann);
    ASSERT_END(the.wish, FETCH_NOBODY);
    ASSERT_END(the.next, FETCH_NOBODY);
}

static void a_key_that_kills_its_loaders_is_tried_three_times(void **state)
{
    struct fixture *f = alone(state);
    wish(f, &the.wish, "user:1");
    for (unsigned i = 0; i < FETCH_TRIES; i++) {
        ASSERT_OPEN(the.wish);
        the.ben = join(f, "user:*");
        offer(f, &the.b, the.ben);
        ASSERT_ASKED(the.b, "user:1");
        the.ben = loader_leave(the.ben);
    }
    ASSERT_END(the.wish, FETCH_NOBODY);
}

static void one_that_never_brings_it_loses_the_lease_when_its_time_is_over(void **state)
{
    struct fixture *f = asked_for_user_1(state);
    want_as(f->cache, &the.caller, &the.peer, "user:1", (struct cache_load){.wait_ns = 60 * NS_PER_S});
    pass(f, HOLD + NS_PER_S);
    ASSERT_END(the.wish, FETCH_LATE);
    ASSERT_STATUS(the.caller, LEASE);
    assert_string_equal(trouble(f), "it did not bring what it was asked for within the time it had named");
    come_too_late(f, &the.a);
}

static void one_that_is_late_three_times_in_a_row_rests(void **state)
{
    struct fixture *f = alone(state);
    for (unsigned i = 0; i < LATE_IN_A_ROW; i++) {
        offer(f, &the.a, the.ann);
        wish(f, &the.wish, "user:1");
        pass(f, HOLD + NS_PER_S);
        ASSERT_END(the.wish, FETCH_LATE);
    }
    offer(f, &the.a, the.ann);
    wish(f, &the.next, "user:2");
    assert_int_equal(the.a.answers, 0);
    trouble(f);
    assert_int_equal(looked.rest_ns, NS_PER_S);
    pass(f, NS_PER_S);
    ASSERT_ASKED(the.a, "user:2");
}

static void one_that_fails_lets_the_key_rest(void **state)
{
    struct fixture *f = asked_for_user_1(state);
    cache_load_failed(f->cache, slice_text("user:1"), hand_token(&the.a), NS_PER_S);
    ASSERT_END(the.wish, FETCH_FAILED);
    assert_string_equal(trouble(f), "it said that it could not load what it was asked for");
    offer(f, &the.spare, the.ann);
    wish(f, &the.next, "user:1");
    ASSERT_END(the.next, FETCH_RESTS);
    assert_int_equal(the.spare.answers, 0);
}

static void one_that_brings_nothing_and_gives_it_back_is_said_to(void **state)
{
    struct fixture *f = asked_for_user_1(state);
    cache_load_return(f->cache, slice_text("user:1"), hand_token(&the.a));
    ASSERT_END(the.wish, FETCH_FAILED);
    assert_string_equal(trouble(f), "it gave back what it was asked for");
}

static void one_that_brings_another_key_is_refused_and_loses_the_lease(void **state)
{
    struct fixture *f = asked_for_user_1(state);
    assert_int_equal(brings(f, &the.a, "user:2", slice_text("v")), STATUS_REFUSED);
    ASSERT_END(the.wish, FETCH_FAILED);
    assert_string_equal(trouble(f), "it brought another key than the one it was asked for");
    assert_int_equal(get(f, "user:2"), STATUS_MISS);
    come_too_late(f, &the.a);
}

static void one_that_brings_too_much_is_told_and_nothing_is_stored(void **state)
{
    struct fixture *f = asked_for_user_1(state);
    static char big[2000];
    assert_int_equal(brings(f, &the.a, "user:1", slice_of(big, sizeof(big))), STATUS_TOO_BIG);
    ASSERT_END(the.wish, FETCH_UNSTORED);
    assert_string_equal(trouble(f), "a value it brought was larger than the limit");
    assert_int_equal(get(f, "user:1"), STATUS_MISS);
}

static void what_is_invalidated_while_it_is_loaded_is_refused_and_loaded_anew(void **state)
{
    struct fixture *f = asked_for_user_1(state);
    invalidate(f, "user:1");
    come_too_late(f, &the.a);
    ASSERT_OPEN(the.wish);
    offer(f, &the.spare, the.ann);
    ASSERT_ASKED(the.spare, "user:1");
    bring(f, &the.spare, "new");
    ASSERT_END(the.wish, FETCH_LOADED);
}

static void a_key_whose_loader_does_not_read_goes_to_another(void **state)
{
    struct fixture *f = both_ready(state);
    the.a.deaf = true;
    wish(f, &the.wish, "user:1");
    ASSERT_ASKED(the.b, "user:1");
    bring(f, &the.b, "v");
    ASSERT_END(the.wish, FETCH_LOADED);
}

static void a_key_that_cannot_be_told_to_the_hand_just_offered_goes_to_the_next(void **state)
{
    struct fixture *f = alone(state);
    the.ben = join(f, "user:*");
    wish(f, &the.wish, "user:1");
    offer_as(f, &the.a, the.ann, 3600 * NS_PER_S, true);
    ASSERT_OPEN(the.wish);
    assert_null(trouble(f)); /* it gave nothing back: it was told nothing */
    offer(f, &the.b, the.ben);
    ASSERT_ASKED(the.b, "user:1");
    bring(f, &the.b, "v");
    ASSERT_END(the.wish, FETCH_LOADED);
}

static void a_connection_that_ends_while_a_tier_is_asked_gets_no_lease(void **state)
{
    struct fixture *f = ready(state);
    f->warm.slow = true;
    wish(f, &the.wish, "user:1");
    the.ann = loader_leave(the.ann);
    ASSERT_OPEN(the.wish);
    table_tier_land(&f->warm);
    ASSERT_END(the.wish, FETCH_NOBODY);
    ASSERT_ASKED(the.a, "");
    struct cache_figures figures;
    cache_measure(f->cache, &figures);
    assert_int_equal(figures.leases, 0);
}

/* Nobody is left who could load it: waiting for the other one would only hold up a stop. */
static void a_wait_for_another_ends_with_the_last_loader_even_while_a_tier_is_asked(void **state)
{
    struct fixture *f = ready(state);
    want(f->cache, &the.caller, &the.peer, "user:1");
    ASSERT_STATUS(the.caller, LEASE);
    f->warm.slow = true;
    wish_waiting(f, &the.wish, "user:1", 60 * NS_PER_S);
    table_tier_land(&f->warm); /* the loader's own load found it leased; now the wait looks */
    assert_int_equal(f->warm.waiting_count, 1);
    the.ann = loader_leave(the.ann);
    ASSERT_OPEN(the.wish);
    table_tier_land(&f->warm);
    ASSERT_END(the.wish, FETCH_ELSEWHERE);
}

static void who_joins_after_the_last_has_left_is_waited_for_as_ever(void **state)
{
    loader_leave(join(*state, "user:*"));
    struct fixture *f = ready(state);
    want(f->cache, &the.caller, &the.peer, "user:1");
    wish_waiting(f, &the.wish, "user:1", 60 * NS_PER_S);
    ASSERT_OPEN(the.wish);
    fill_with(f->cache, &the.caller, "user:1", "v", NULL);
    ASSERT_END(the.wish, FETCH_THERE);
}

static void no_hand_in_time_is_the_end_of_it(void **state)
{
    struct fixture *f = alone(state);
    wish(f, &the.wish, "user:1");
    pass(f, 31 * NS_PER_S);
    ASSERT_END(the.wish, FETCH_NOBODY);
    assert_int_equal(counted(f).fetches_refused, 1);
}

/* ======= refresh-ahead ======= */

static void a_stale_key_is_refreshed_by_the_loader_and_only_once(void **state)
{
    struct fixture *f = ready(state);
    offer(f, &the.spare, the.ann);
    struct cache_set s = a_set("user:1", "old");
    s.ttl_ms = 1000;
    s.stale_ms = 60000;
    cache_set(f->cache, &s);
    pass(f, 2 * NS_PER_S);
    assert_true(cache_fetch_ahead(f->cache, slice_text("user:1")));
    assert_false(cache_fetch_ahead(f->cache, slice_text("user:1")));
    ASSERT_ASKED(the.a, "user:1");
    assert_int_equal(the.spare.answers, 0);
    bring(f, &the.a, "new");
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin_scene, end_scene)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_key_goes_to_the_hand_that_is_free_and_what_it_brings_is_stored),
        T(without_a_free_hand_a_key_waits_for_the_next),
        T(nobody_is_asked_for_what_no_loader_offers),
        T(what_is_there_meanwhile_is_not_loaded_and_the_hand_stays_free),
        T(a_key_that_somebody_loads_already_is_not_asked_for_twice),
        T(who_asks_for_the_key_meanwhile_waits_for_the_loader),
        T(keys_go_to_whoever_has_least_to_do_in_turn),
        T(a_loader_has_64_keys_out_at_most),
        T(an_offer_that_waits_in_vain_is_answered_with_nothing),
        T(patterns_that_make_no_sense_are_refused_with_a_reason),
        T(a_loader_whose_connection_ends_passes_its_key_to_another),
        T(a_key_that_only_the_dead_could_load_is_given_up),
        T(a_key_that_kills_its_loaders_is_tried_three_times),
        T(one_that_never_brings_it_loses_the_lease_when_its_time_is_over),
        T(one_that_is_late_three_times_in_a_row_rests),
        T(one_that_fails_lets_the_key_rest),
        T(one_that_brings_nothing_and_gives_it_back_is_said_to),
        T(one_that_brings_another_key_is_refused_and_loses_the_lease),
        T(one_that_brings_too_much_is_told_and_nothing_is_stored),
        T(what_is_invalidated_while_it_is_loaded_is_refused_and_loaded_anew),
        T(a_key_whose_loader_does_not_read_goes_to_another),
        T(a_key_that_cannot_be_told_to_the_hand_just_offered_goes_to_the_next),
        T(a_connection_that_ends_while_a_tier_is_asked_gets_no_lease),
        T(a_wait_for_another_ends_with_the_last_loader_even_while_a_tier_is_asked),
        T(who_joins_after_the_last_has_left_is_waited_for_as_ever),
        T(no_hand_in_time_is_the_end_of_it),
        T(a_stale_key_is_refreshed_by_the_loader_and_only_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
