/* The rules of flight.h, one by one, and how long a failed key is left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include "client/flight.h"

enum { HASH = 77 };
#define FOREVER_NS (UINT64_MAX / 2)

static struct slice key(void)
{
    return slice_text("a key");
}

/* ======= who may take what ======= */

struct pilot {
    struct flights *flights;
    struct flight *flight;
    uint64_t asked_ns;
    int result;
    bool vouched;
};

/* Another thread's flight: asks at asked_ns and lands. */
static void *lands(void *user)
{
    struct pilot *p = user;
    char text[] = "brought";
    larder_value value = {.data = text, .size = sizeof(text) - 1};
    flight_asks(p->flight, p->asked_ns);
    flight_land(p->flights, p->flight, p->result, 0, p->vouched, &value);
    return NULL;
}

static void *boards(void *user)
{
    struct pilot *p = user;
    bool mine;
    p->flight = flight_board(p->flights, key(), HASH, &mine);
    assert_true(mine);
    return NULL;
}

static void in_a_thread(void *(*what)(void *), struct pilot *p)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, what, p), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* Rides a flight of another thread, as a caller that began at `began_ns`.  True: it took what came. */
static bool ride(uint64_t began_ns, struct pilot p, struct landing *ret)
{
    struct flights flights;
    larder_value value = LARDER_VALUE_INIT;
    bool mine;
    flights_init(&flights);
    p.flights = &flights;
    in_a_thread(boards, &p);
    struct flight *flight = flight_board(&flights, key(), HASH, &mine);
    assert_false(mine);
    in_a_thread(lands, &p);
    bool took = flight_wait(flight, began_ns, FOREVER_NS, ret, &value);
    if (took && ret->result == LARDER_HIT)
        assert_memory_equal(value.data, "brought", 7);
    larder_value_free(&value);
    flights_finish(&flights);
    return took;
}

static void who_began_before_the_source_was_asked_may_take_it(void **state)
{
    struct landing landing;
    assert_true(ride(100, (struct pilot){.asked_ns = 100, .result = LARDER_HIT}, &landing));
    assert_int_equal(landing.result, LARDER_HIT);
}

static void who_began_later_looks_again_unless_the_fill_was_accepted(void **state)
{
    struct landing landing;
    assert_false(ride(101, (struct pilot){.asked_ns = 100, .result = LARDER_HIT}, &landing));
    assert_true(ride(101, (struct pilot){.asked_ns = 100, .result = LARDER_HIT, .vouched = true}, &landing));
}

static void a_flight_that_brought_nothing_helps_nobody(void **state)
{
    struct landing landing;
    assert_false(
        ride(1, (struct pilot){.asked_ns = 100, .result = FLIGHT_NOWHERE, .vouched = true}, &landing));
}

static void a_failure_is_for_all_aboard(void **state)
{
    struct landing landing;
    assert_true(
        ride(500, (struct pilot){.asked_ns = 100, .result = LARDER_E_LOAD, .vouched = true}, &landing));
    assert_int_equal(landing.result, LARDER_E_LOAD);
}

static void nobody_comes_aboard_a_flight_that_is_shut(void **state)
{
    struct flights flights;
    bool first_mine, second_mine;
    flights_init(&flights);
    struct flight *first = flight_board(&flights, key(), HASH, &first_mine);
    flight_shut(&flights, first);
    struct flight *second = flight_board(&flights, key(), HASH, &second_mine);
    assert_true(first_mine && second_mine);
    assert_ptr_not_equal(first, second);
    flight_land(&flights, first, FLIGHT_NOWHERE, 0, false, NULL);
    flight_land(&flights, second, FLIGHT_NOWHERE, 0, false, NULL);
    flights_finish(&flights);
}

static void keys_that_share_a_hash_share_no_flight(void **state)
{
    struct flights flights;
    bool mine, other_mine;
    flights_init(&flights);
    struct flight *flight = flight_board(&flights, key(), HASH, &mine);
    struct flight *other = flight_board(&flights, slice_text("another"), HASH, &other_mine);
    assert_true(mine && other_mine);
    flight_land(&flights, flight, FLIGHT_NOWHERE, 0, false, NULL);
    flight_land(&flights, other, FLIGHT_NOWHERE, 0, false, NULL);
    flights_finish(&flights);
}

/* ======= failures ======= */

static void a_key_that_failed_is_left_alone_for_a_tenth_of_a_second_more_or_less(void **state)
{
    static struct setbacks s;
    uint64_t ns = setback_note(&s, 5, 0, 1000);
    assert_in_range(ns, SETBACK_MIN_NS * 3 / 4, SETBACK_MIN_NS * 5 / 4);
    assert_int_equal(setback_left_ns(&s, 5, 1000), ns);
    assert_int_equal(setback_left_ns(&s, 5, 1000 + ns), 0);
    assert_int_equal(setback_left_ns(&s, 6, 1000), 0);
}

static void each_failure_in_a_row_doubles_it_up_to_ten_seconds(void **state)
{
    static struct setbacks s;
    uint64_t now = 1, expected = SETBACK_MIN_NS;
    for (int i = 0; i < 12; i++) {
        uint64_t ns = setback_note(&s, 5, 0, now);
        assert_in_range(ns, expected * 3 / 4, expected * 5 / 4);
        now += ns;
        expected = expected * 2 > SETBACK_MAX_NS ? SETBACK_MAX_NS : expected * 2;
    }
    assert_int_equal(expected, SETBACK_MAX_NS);
}

static void a_success_or_a_minute_begins_the_row_anew(void **state)
{
    static struct setbacks s;
    uint64_t ns = setback_note(&s, 5, 0, 1);
    ns = setback_note(&s, 5, 0, 1 + ns);
    assert_in_range(ns, SETBACK_MIN_NS * 3 / 2, SETBACK_MIN_NS * 5 / 2);
    setback_over(&s, 5);
    assert_int_equal(setback_left_ns(&s, 5, 1), 0);
    assert_in_range(setback_note(&s, 5, 0, 1), SETBACK_MIN_NS * 3 / 4, SETBACK_MIN_NS * 5 / 4);
    uint64_t later = 2 + SETBACK_MIN_NS * 2 + SETBACK_FORGET_NS;
    assert_in_range(setback_note(&s, 5, 0, later), SETBACK_MIN_NS * 3 / 4, SETBACK_MIN_NS * 5 / 4);
}

static void a_wish_of_the_loader_is_kept_to_the_nanosecond(void **state)
{
    static struct setbacks s;
    assert_int_equal(setback_note(&s, 5, 12345, 1), 12345);
    assert_int_equal(setback_left_ns(&s, 5, 1), 12345);
}

static void keys_that_meet_in_the_table_forget_the_older_one(void **state)
{
    static struct setbacks s;
    setback_note(&s, 5, 0, 1);
    setback_note(&s, 5 + SETBACK_PLACES, 0, 1);
    assert_int_equal(setback_left_ns(&s, 5, 1), 0);
    assert_true(setback_left_ns(&s, 5 + SETBACK_PLACES, 1) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_began_before_the_source_was_asked_may_take_it),
        cmocka_unit_test(who_began_later_looks_again_unless_the_fill_was_accepted),
        cmocka_unit_test(a_flight_that_brought_nothing_helps_nobody),
        cmocka_unit_test(a_failure_is_for_all_aboard),
        cmocka_unit_test(nobody_comes_aboard_a_flight_that_is_shut),
        cmocka_unit_test(keys_that_share_a_hash_share_no_flight),
        cmocka_unit_test(a_key_that_failed_is_left_alone_for_a_tenth_of_a_second_more_or_less),
        cmocka_unit_test(each_failure_in_a_row_doubles_it_up_to_ten_seconds),
        cmocka_unit_test(a_success_or_a_minute_begins_the_row_anew),
        cmocka_unit_test(a_wish_of_the_loader_is_kept_to_the_nanosecond),
        cmocka_unit_test(keys_that_meet_in_the_table_forget_the_older_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
