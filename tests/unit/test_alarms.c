#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/alarms.h"
#include "base/clock.h"

enum { MANY = 5000 };

struct counted {
    struct alarm alarm;
    unsigned rung;
};

static void count(struct alarm *alarm)
{
    CONTAINER_OF(alarm, struct counted, alarm)->rung++;
}

static void an_alarm_rings_once_and_not_before_its_time(void **state)
{
    struct alarms *a = alarms_create(5 * NS_PER_S);
    struct counted one = {0};
    alarm_init(&one.alarm, count);
    alarm_set(a, &one.alarm, 7 * NS_PER_S);
    alarms_turn(a, 7 * NS_PER_S - 1);
    assert_int_equal(one.rung, 0);
    alarms_turn(a, 7 * NS_PER_S);
    alarms_turn(a, 7000 * NS_PER_S);
    assert_int_equal(one.rung, 1);
    alarms_destroy(a);
}

static void an_alarm_called_off_does_not_ring(void **state)
{
    struct alarms *a = alarms_create(0);
    struct counted one = {0};
    alarm_init(&one.alarm, count);
    alarm_set(a, &one.alarm, NS_PER_S);
    alarm_off(&one.alarm);
    alarm_off(&one.alarm);
    alarms_turn(a, 2 * NS_PER_S);
    assert_int_equal(one.rung, 0);
    alarms_destroy(a);
}

static void an_alarm_set_again_is_moved(void **state)
{
    struct alarms *a = alarms_create(0);
    struct counted one = {0};
    alarm_init(&one.alarm, count);
    alarm_set(a, &one.alarm, NS_PER_S);
    alarm_set(a, &one.alarm, 3 * NS_PER_S);
    alarms_turn(a, 2 * NS_PER_S);
    assert_int_equal(one.rung, 0);
    alarms_turn(a, 3 * NS_PER_S);
    assert_int_equal(one.rung, 1);
    alarms_destroy(a);
}

static void an_alarm_set_in_the_past_rings_in_the_next_turn(void **state)
{
    struct alarms *a = alarms_create(100 * NS_PER_S);
    struct counted one = {0};
    alarm_init(&one.alarm, count);
    alarm_set(a, &one.alarm, NS_PER_S);
    alarms_turn(a, 100 * NS_PER_S);
    assert_int_equal(one.rung, 1);
    alarms_destroy(a);
}

static void alarms_beyond_one_turn_of_the_wheel_wait_for_their_own_time(void **state)
{
    struct alarms *a = alarms_create(0);
    struct counted late = {0};
    alarm_init(&late.alarm, count);
    alarm_set(a, &late.alarm, 3600 * NS_PER_S);
    for (uint64_t s = 0; s < 3600; s++)
        alarms_turn(a, s * NS_PER_S);
    assert_int_equal(late.rung, 0);
    alarms_turn(a, 3600 * NS_PER_S);
    assert_int_equal(late.rung, 1);
    alarms_destroy(a);
}

static void one_long_sleep_rings_all_that_were_due(void **state)
{
    static struct counted many[MANY];
    struct alarms *a = alarms_create(0);
    for (uint64_t i = 0; i < MANY; i++) {
        alarm_init(&many[i].alarm, count);
        alarm_set(a, &many[i].alarm, i * NS_PER_S);
    }
    alarms_turn(a, 2 * (uint64_t)MANY * NS_PER_S);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(many[i].rung, 1);
    alarms_destroy(a);
}

static struct alarms *shared;
static struct counted other;

static void call_the_other_off(struct alarm *alarm)
{
    alarm_off(&other.alarm);
    alarm_set(shared, alarm, 0); /* in the past: not again in this turn, or it would never end */
}

static void an_alarm_may_call_off_another_of_its_turn_and_set_itself(void **state)
{
    struct alarm first;
    shared = alarms_create(0);
    alarm_init(&first, call_the_other_off);
    alarm_init(&other.alarm, count);
    alarm_set(shared, &first, NS_PER_S);
    alarm_set(shared, &other.alarm, NS_PER_S);
    alarms_turn(shared, NS_PER_S);
    assert_int_equal(other.rung, 0);
    alarm_off(&first);
    alarms_destroy(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alarm_rings_once_and_not_before_its_time),
        cmocka_unit_test(an_alarm_called_off_does_not_ring),
        cmocka_unit_test(an_alarm_set_again_is_moved),
        cmocka_unit_test(an_alarm_set_in_the_past_rings_in_the_next_turn),
        cmocka_unit_test(alarms_beyond_one_turn_of_the_wheel_wait_for_their_own_time),
        cmocka_unit_test(one_long_sleep_rings_all_that_were_due),
        cmocka_unit_test(an_alarm_may_call_off_another_of_its_turn_and_set_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
