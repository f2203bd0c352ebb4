/* Registered loaders: who is asked for a key, and every way it may end (cache/loaders.h). */
#include "cache/loaders.h"

#include <stdio.h>
#include "support/cache_rig.h"
#include "support/load_rig.h"

#define HOLD (10 * NS_PER_S)

/* ======= loaders of the test ======= */

struct hand {
    struct cache_offer offer;
    unsigned answers;
    bool deaf;
    char key[32];
    uint8_t token[64];
    size_t token_bytes;
};

static void take_answer(struct hand *h)
{
    h->answers++;
    snprintf(h->key, sizeof(h->key), "%.*s", (int)h->offer.key.size, (const char *)h->offer.key.data);
    h->token_bytes = h->offer.token.size;
    if (h->token_bytes)
        memcpy(h->token, h->offer.token.data, h->token_bytes);
}

static bool offer_done(struct cache_offer *offer)
{
    struct hand *h = CONTAINER_OF(offer, struct hand, offer);
    if (!h->deaf)
        take_answer(h);
    return !h->deaf;
}

static struct loader *join(struct fixture *f, const char *pattern)
{
    const char *why;
    struct slice patterns[] = {slice_text(pattern)};
    struct loader *l = loader_join(f->cache, 7, slice_text("test"));
    assert_non_null(l);
    assert_true(loader_can(l, patterns, 1, 0, &why));
    return l;
}

static void offer_as(struct fixture *f, struct hand *h, struct loader *l, uint64_t wait_ns, bool deaf)
{
    *h = (struct hand){.offer = {.loader = l, .wait_ns = wait_ns, .hold_ns = HOLD, .done = offer_done},
                       .deaf = deaf};
    cache_offer(f->cache, &h->offer);
}

static void offer_for(struct fixture *f, struct hand *h, struct loader *l, uint64_t wait_ns)
{
    offer_as(f, h, l, wait_ns, false);
}

static void offer(struct fixture *f, struct hand *h, struct loader *l)
{
    offer_for(f, h, l, 3600 * NS_PER_S);
}

#define ASSERT_ASKED(hand, text)               \
    do {                                       \
        assert_int_equal((hand).answers, 1);   \
        assert_string_equal((hand).key, text); \
    } while (0)

static enum status brings(struct fixture *f, const struct hand *h, const char *key, struct slice value)
{
    struct cache_set s = a_set(key, "");
    s.value = value;
    s.token = slice_of(h->token, h->token_bytes);
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    return s.status;
}

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

/* ======= asking ======= */

static void a_key_goes_to_the_hand_that_is_free_and_what_it_brings_is_stored(void **state)
{
    struct fixture *f = *state;
    struct hand h;
    struct wish w;
    struct loader *l = join(f, "user:*");
    offer(f, &h, l);
    wish(f, &w, "user:1");
    ASSERT_ASKED(h, "user:1");
    ASSERT_OPEN(w);
    assert_int_equal(brings(f, &h, "user:1", slice_text("v")), STATUS_OK);
    ASSERT_END(w, FETCH_LOADED);
    assert_int_equal(get(f, "user:1"), STATUS_HIT);
    loader_leave(l);
}

static void without_a_free_hand_a_key_waits_for_the_next(void **state)
{
    struct fixture *f = *state;
    struct hand h;
    struct wish w;
    struct loader *l = join(f, "user:*");
    wish(f, &w, "user:1");
    ASSERT_OPEN(w);
    assert_int_equal(counted(f).fetches_queued, 1);
    offer(f, &h, l);
    ASSERT_ASKED(h, "user:1");
    brings(f, &h, "user:1", slice_text("v"));
    ASSERT_END(w, FETCH_LOADED);
    loader_leave(l);
}

static void nobody_is_asked_for_what_no_loader_offers(void **state)
{
    struct fixture *f = *state;
    struct hand h;
    struct wish w;
    struct loader *l = join(f, "user:*");
    offer(f, &h, l);
    wish(f, &w, "page:1");
    ASSERT_END(w, FETCH_NOBODY);
    assert_int_equal(h.answers, 0);
    loader_leave(l);
}

static void what_is_there_meanwhile_is_not_loaded_and_the_hand_stays_free(void **state)
{
    struct fixture *f = *state;
    struct hand h;
    struct wish w, next;
    struct loader *l = join(f, "user:*");
    offer(f, &h, l);
    set(f, "user:1", "v");
    wish(f, &w, "user:1");
    ASSERT_END(w, FETCH_THERE);
    wish(f, &next, "user:2");
    ASSERT_ASKED(h, "user:2");
    loader_leave(l);
}

static void a_key_that_somebody_loads_already_is_not_asked_for_twice(void **state)
{
    struct fixture *f = *state;
    struct load_peer ann;
    struct caller a;
    struct hand h;
    struct wish w;
    struct loader *l = join(f, "user:*");
    load_peer_init(&ann, 1);
    offer(f, &h, l);
    want(f->cache, &a, &ann, "user:1");
    ASSERT_STATUS(a, LEASE);
    wish(f, &w, "user:1");
    ASSERT_END(w, FETCH_ELSEWHERE);
    assert_int_equal(h.answers, 0);
    cache_load_abandon(f->cache, &ann);
    loader_leave(l);
}

static void who_asks_for_the_key_meanwhile_waits_for_the_loader(void **state)
{
    struct fixture *f = *state;
    struct load_peer ann;
    struct caller a;
    struct hand h;
    struct wish w;
    struct loader *l = join(f, "user:*");
    load_peer_init(&ann, 1);
    offer(f, &h, l);
    wish(f, &w, "user:1");
    want(f->cache, &a, &ann, "user:1");
    ASSERT_WAITS(a);
    brings(f, &h, "user:1", slice_text("v"));
    ASSERT_VALUE(a, "v");
    loader_leave(l);
}

static void keys_go_to_whoever_has_least_to_do_in_turn(void **state)
{
    struct fixture *f = *state;
    struct hand a[2], b[2];
    struct wish w[4];
    const char *names[] = {"user:0", "user:1", "user:2", "user:3"};
    struct loader *ann = join(f, "user:*"), *ben = join(f, "user:*");
    for (unsigned i = 0; i < 2; i++) {
        offer(f, &a[i], ann);
        offer(f, &b[i], ben);
    }
    for (unsigned i = 0; i < 4; i++)
        wish(f, &w[i], names[i]);
    ASSERT_ASKED(a[0], "user:0");
    ASSERT_ASKED(b[0], "user:1");
    ASSERT_ASKED(a[1], "user:2");
    ASSERT_ASKED(b[1], "user:3");
    loader_leave(ann);
    loader_leave(ben);
}

static void a_loader_has_64_keys_out_at_most(void **state)
{
    struct fixture *f = *state;
    static struct hand hands[LOADS_A_LOADER + 1];
    static struct wish wishes[LOADS_A_LOADER + 1];
    static char names[LOADS_A_LOADER + 1][8];
    struct loader *l = join(f, "*");
    for (unsigned i = 0; i <= LOADS_A_LOADER; i++) {
        offer(f, &hands[i], l);
        snprintf(names[i], sizeof(names[i]), "k%u", i);
    }
    for (unsigned i = 0; i <= LOADS_A_LOADER; i++)
        wish(f, &wishes[i], names[i]);
    assert_int_equal(hands[LOADS_A_LOADER].answers, 0);
    brings(f, &hands[0], "k0", slice_text("v"));
    cache_tick(f->cache);
    ASSERT_ASKED(hands[LOADS_A_LOADER], names[LOADS_A_LOADER]);
    loader_leave(l);
}

static void an_offer_that_waits_in_vain_is_answered_with_nothing(void **state)
{
    struct fixture *f = *state;
    struct hand h;
    struct loader *l = join(f, "user:*");
    offer_for(f, &h, l, NS_PER_S);
    assert_int_equal(h.answers, 0);
    pass(f, 2 * NS_PER_S);
    ASSERT_ASKED(h, "");
    assert_int_equal(counted(f).loader_hands, 0);
    offer_for(f, &h, l, 0);
    ASSERT_ASKED(h, "");
    loader_leave(l);
}

static void patterns_that_make_no_sense_are_refused_with_a_reason(void **state)
{
    struct fixture *f = *state;
    const char *why = NULL;
    struct slice wrong[] = {slice_text("a:{x}*")};
    struct loader *l = join(f, "user:*");
    assert_false(loader_can(l, wrong, 1, 0, &why));
    assert_non_null(why);
    assert_false(loader_can(l, NULL, 0, 0, &why));
    assert_true(cache_can_fetch(f->cache, slice_text("user:1")));
    loader_leave(l);
}

/* ======= what goes wrong ======= */

static void a_loader_whose_connection_ends_passes_its_key_to_another(void **state)
{
    struct fixture *f = *state;
    struct hand a, b;
    struct wish w;
    struct loader *ann = join(f, "user:*"), *ben = join(f, "user:*");
    offer(f, &a, ann);
    offer(f, &b, ben);
    wish(f, &w, "user:1");
    ASSERT_ASKED(a, "user:1");
    loader_leave(ann);
    ASSERT_ASKED(b, "user:1");
    assert_int_equal(counted(f).fetches_lost, 1);
    assert_int_equal(brings(f, &a, "user:1", slice_text("late")), STATUS_REFUSED);
    assert_int_equal(brings(f, &b, "user:1", slice_text("v")), STATUS_OK);
    ASSERT_END(w, FETCH_LOADED);
    loader_leave(ben);
}

static void a_key_that_only_the_dead_could_load_is_given_up(void **state)
{
    struct fixture *f = *state;
    struct hand h;
    struct wish out, queued;
    struct loader *l = join(f, "user:*");
    offer(f, &h, l);
    wish(f, &out, "user:1");
    wish(f, &queued, "user:2");
    loader_leave(l);
    ASSERT_END(out, FETCH_NOBODY);
    ASSERT_END(queued, FETCH_NOBODY);
}

static void a_key_that_kills_its_loaders_is_tried_three_times(void **state)
{
    struct fixture *f = *state;
    struct hand h;
    struct wish w;
    struct loader *patient = join(f, "user:*"); /* offers no hand */
    wish(f, &w, "user:1");
    for (unsigned i = 0; i < FETCH_TRIES; i++) {
        ASSERT_OPEN(w);
        struct loader *l = join(f, "user:*");
        offer(f, &h, l);
        ASSERT_ASKED(h, "user:1");
        loader_leave(l);
    }
    ASSERT_END(w, FETCH_NOBODY);
    loader_leave(patient);
}

static void one_that_never_brings_it_loses_the_lease_when_its_time_is_over(void **state)
{
    struct fixture *f = *state;
    struct load_peer ann;
    struct caller a;
    struct hand h;
    struct wish w;
    struct loader *l = join(f, "user:*");
    load_peer_init(&ann, 1);
    offer(f, &h, l);
    wish(f, &w, "user:1");
    want_as(f->cache, &a, &ann, "user:1", (struct cache_load){.wait_ns = 60 * NS_PER_S});
    pass(f, HOLD + NS_PER_S);
    ASSERT_END(w, FETCH_LATE);
    ASSERT_STATUS(a, LEASE);
    assert_string_equal(trouble(f), "it did not bring what it was asked for within the time it had named");
    assert_int_equal(brings(f, &h, "user:1", slice_text("late")), STATUS_REFUSED);
    cache_load_abandon(f->cache, &ann);
    loader_leave(l);
}

static void one_that_is_late_three_times_in_a_row_rests(void **state)
{
    struct fixture *f = *state;
    struct hand h;
    struct wish w;
    struct loader *l = join(f, "user:*");
    for (unsigned i = 0; i < LATE_IN_A_ROW; i++) {
        offer(f, &h, l);
        wish(f, &w, "user:1");
        pass(f, HOLD + NS_PER_S);
        ASSERT_END(w, FETCH_LATE);
    }
    offer(f, &h, l);
    wish(f, &w, "user:2");
    assert_int_equal(h.answers, 0);
    trouble(f);
    assert_int_equal(looked.rest_ns, NS_PER_S);
    pass(f, NS_PER_S);
    ASSERT_ASKED(h, "user:2");
    loader_leave(l);
}

static void one_that_fails_lets_the_key_rest(void **state)
{
    struct fixture *f = *state;
    struct hand h, next;
    struct wish w, again;
    struct loader *l = join(f, "user:*");
    offer(f, &h, l);
    wish(f, &w, "user:1");
    cache_load_failed(f->cache, slice_text("user:1"), slice_of(h.token, h.token_bytes), NS_PER_S);
    ASSERT_END(w, FETCH_FAILED);
    assert_string_equal(trouble(f), "it said that it could not load what it was asked for");
    offer(f, &next, l);
    wish(f, &again, "user:1");
    ASSERT_END(again, FETCH_RESTS);
    assert_int_equal(next.answers, 0);
    loader_leave(l);
}

static void one_that_brings_nothing_and_gives_it_back_is_said_to(void **state)
{
    struct fixture *f = *state;
    struct hand h;
    struct wish w;
    struct loader *l = join(f, "user:*");
    offer(f, &h, l);
    wish(f, &w, "user:1");
    cache_load_return(f->cache, slice_text("user:1"), slice_of(h.token, h.token_bytes));
    ASSERT_END(w, FETCH_FAILED);
    assert_string_equal(trouble(f), "it gave back what it was asked for");
    loader_leave(l);
}

static void one_that_brings_another_key_is_refused_and_loses_the_lease(void **state)
{
    struct fixture *f = *state;
    struct hand h;
    struct wish w;
    struct loader *l = join(f, "user:*");
    offer(f, &h, l);
    wish(f, &w, "user:1");
    assert_int_equal(brings(f, &h, "user:2", slice_text("v")), STATUS_REFUSED);
    ASSERT_END(w, FETCH_FAILED);
    assert_string_equal(trouble(f), "it brought another key than the one it was asked for");
    assert_int_equal(get(f, "user:2"), STATUS_MISS);
    assert_int_equal(brings(f, &h, "user:1", slice_text("v")), STATUS_REFUSED);
    loader_leave(l);
}

static void one_that_brings_too_much_is_told_and_nothing_is_stored(void **state)
{
    struct fixture *f = *state;
    static char big[2000];
    struct hand h;
    struct wish w;
    struct loader *l = join(f, "user:*");
    offer(f, &h, l);
    wish(f, &w, "user:1");
    assert_int_equal(brings(f, &h, "user:1", slice_of(big, sizeof(big))), STATUS_TOO_BIG);
    ASSERT_END(w, FETCH_UNSTORED);
    assert_string_equal(trouble(f), "a value it brought was larger than the limit");
    assert_int_equal(get(f, "user:1"), STATUS_MISS);
    loader_leave(l);
}

static void what_is_invalidated_while_it_is_loaded_is_refused_and_loaded_anew(void **state)
{
    struct fixture *f = *state;
    struct hand h, next;
    struct wish w;
    struct loader *l = join(f, "user:*");
    offer(f, &h, l);
    wish(f, &w, "user:1");
    invalidate(f, "user:1");
    assert_int_equal(brings(f, &h, "user:1", slice_text("old")), STATUS_REFUSED);
    ASSERT_OPEN(w);
    offer(f, &next, l);
    ASSERT_ASKED(next, "user:1");
    assert_int_equal(brings(f, &next, "user:1", slice_text("new")), STATUS_OK);
    ASSERT_END(w, FETCH_LOADED);
    loader_leave(l);
}

static void a_key_whose_loader_does_not_read_goes_to_another(void **state)
{
    struct fixture *f = *state;
    struct hand a, b;
    struct wish w;
    struct loader *ann = join(f, "user:*"), *ben = join(f, "user:*");
    offer(f, &a, ann);
    offer(f, &b, ben);
    a.deaf = true;
    wish(f, &w, "user:1");
    ASSERT_ASKED(b, "user:1");
    assert_int_equal(brings(f, &b, "user:1", slice_text("v")), STATUS_OK);
    ASSERT_END(w, FETCH_LOADED);
    loader_leave(ann);
    loader_leave(ben);
}

static void a_key_that_cannot_be_told_to_the_hand_just_offered_goes_to_the_next(void **state)
{
    struct fixture *f = *state;
    struct hand a, b;
    struct wish w;
    struct loader *ann = join(f, "user:*"), *ben = join(f, "user:*");
    wish(f, &w, "user:1");
    offer_as(f, &a, ann, 3600 * NS_PER_S, true);
    ASSERT_OPEN(w);
    assert_null(trouble(f)); /* it gave nothing back: it was told nothing */
    offer(f, &b, ben);
    ASSERT_ASKED(b, "user:1");
    assert_int_equal(brings(f, &b, "user:1", slice_text("v")), STATUS_OK);
    ASSERT_END(w, FETCH_LOADED);
    loader_leave(ann);
    loader_leave(ben);
}

static void a_connection_that_ends_while_a_tier_is_asked_gets_no_lease(void **state)
{
    struct fixture *f = *state;
    struct hand h;
    struct wish w;
    struct loader *l = join(f, "user:*");
    offer(f, &h, l);
    f->warm.slow = true;
    wish(f, &w, "user:1");
    loader_leave(l);
    ASSERT_OPEN(w);
    table_tier_land(&f->warm);
    ASSERT_END(w, FETCH_NOBODY);
    ASSERT_ASKED(h, "");
    struct cache_figures figures;
    cache_measure(f->cache, &figures);
    assert_int_equal(figures.leases, 0);
}

/* Nobody is left who could load it: waiting for the other one would only hold up a stop. */
static void a_wait_for_another_ends_with_the_last_loader_even_while_a_tier_is_asked(void **state)
{
    struct fixture *f = *state;
    struct load_peer ann;
    struct caller a;
    struct hand h;
    struct wish w;
    struct loader *l = join(f, "user:*");
    load_peer_init(&ann, 1);
    offer(f, &h, l);
    want(f->cache, &a, &ann, "user:1");
    ASSERT_STATUS(a, LEASE);
    f->warm.slow = true;
    wish_waiting(f, &w, "user:1", 60 * NS_PER_S);
    table_tier_land(&f->warm); /* the loader's own load found it leased; now the wait looks */
    assert_int_equal(f->warm.waiting_count, 1);
    loader_leave(l);
    ASSERT_OPEN(w);
    table_tier_land(&f->warm);
    ASSERT_END(w, FETCH_ELSEWHERE);
    cache_load_abandon(f->cache, &ann);
}

static void who_joins_after_the_last_has_left_is_waited_for_as_ever(void **state)
{
    struct fixture *f = *state;
    struct load_peer ann;
    struct caller a;
    struct hand h;
    struct wish w;
    load_peer_init(&ann, 1);
    loader_leave(join(f, "user:*"));
    struct loader *l = join(f, "user:*");
    offer(f, &h, l);
    want(f->cache, &a, &ann, "user:1");
    wish_waiting(f, &w, "user:1", 60 * NS_PER_S);
    ASSERT_OPEN(w);
    fill_with(f->cache, &a, "user:1", "v", NULL);
    ASSERT_END(w, FETCH_THERE);
    loader_leave(l);
}

static void no_hand_in_time_is_the_end_of_it(void **state)
{
    struct fixture *f = *state;
    struct wish w;
    struct loader *l = join(f, "user:*");
    wish(f, &w, "user:1");
    pass(f, 31 * NS_PER_S);
    ASSERT_END(w, FETCH_NOBODY);
    assert_int_equal(counted(f).fetches_refused, 1);
    loader_leave(l);
}

/* ======= refresh-ahead ======= */

static void a_stale_key_is_refreshed_by_the_loader_and_only_once(void **state)
{
    struct fixture *f = *state;
    struct hand h, other;
    struct loader *l = join(f, "user:*");
    offer(f, &h, l);
    offer(f, &other, l);
    struct cache_set s = a_set("user:1", "old");
    s.ttl_ms = 1000;
    s.stale_ms = 60000;
    cache_set(f->cache, &s);
    pass(f, 2 * NS_PER_S);
    assert_true(cache_fetch_ahead(f->cache, slice_text("user:1")));
    assert_false(cache_fetch_ahead(f->cache, slice_text("user:1")));
    ASSERT_ASKED(h, "user:1");
    assert_int_equal(other.answers, 0);
    assert_int_equal(brings(f, &h, "user:1", slice_text("new")), STATUS_OK);
    loader_leave(l);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

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
