/* The loop: time, timers, work for later, wake-ups, pool work.  No sleeps: the loop itself is what waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include "base/clock.h"
#include "net/effort.h"
#include "net/loop.h"
#include "base/turns.h"

static struct loop *loop;
static unsigned fired, ended;

static int make_loop(void **state)
{
    fired = ended = 0;
    loop = loop_create();
    return 0;
}

static int drop_loop(void **state)
{
    loop_destroy(loop); /* checks that the test left nothing */
    return 0;
}

static void timer_ended(struct timer *t)
{
    ended++;
}

static void fire_and_stop(struct timer *t)
{
    fired++;
    timer_finish(t, timer_ended);
    loop_stop(t->loop);
}

static void a_timer_never_fires_early(void **state)
{
    struct timer t;
    timer_init(&t, loop, fire_and_stop);
    uint64_t began = clock_mono_ns();
    timer_start(&t, 3 * NS_PER_MS, 0);
    loop_run(loop);
    assert_true(clock_mono_ns() - began >= 3 * NS_PER_MS);
    assert_int_equal(fired, 1);
}

static void a_finished_timer_is_told_so_before_run_returns(void **state)
{
    struct timer t;
    timer_init(&t, loop, fire_and_stop);
    timer_start(&t, 0, 0);
    loop_run(loop);
    assert_int_equal(ended, 1);
}

static void fire_three_times(struct timer *t)
{
    if (++fired == 3)
        fire_and_stop(t);
}

static void a_repeating_timer_fires_again(void **state)
{
    struct timer t;
    timer_init(&t, loop, fire_three_times);
    timer_start(&t, 0, NS_PER_MS);
    loop_run(loop);
    assert_int_equal(fired, 4);
}

static void stop_from_timer(struct timer *t)
{
    fired++;
    loop_stop(t->loop);
}

static void a_stopped_timer_does_not_fire(void **state)
{
    struct timer stopped, other;
    timer_init(&stopped, loop, fire_three_times);
    timer_init(&other, loop, stop_from_timer);
    timer_start(&stopped, 0, 0);
    timer_stop(&stopped);
    timer_start(&other, 2 * NS_PER_MS, 0);
    loop_run(loop);
    assert_int_equal(fired, 1);
    timer_finish(&stopped, NULL);
    timer_finish(&other, NULL);
    loop_run_once(loop);
}

/* ======= later ======= */

static unsigned later_runs;
static uint64_t time_in_later;

static void run_once(struct later *w)
{
    later_runs++;
    time_in_later = loop_now_ns(loop);
}

static struct later *asked_by_timer;

static void ask_twice(struct timer *t)
{
    assert_int_equal(later_runs, 0);
    later_ask(t->loop, asked_by_timer);
    later_ask(t->loop, asked_by_timer);
    assert_int_equal(later_runs, 0);
    timer_finish(t, NULL);
    loop_stop(t->loop);
}

static void work_for_later_runs_once_at_the_end_of_the_turn(void **state)
{
    struct later w;
    struct timer t;
    later_runs = 0;
    asked_by_timer = &w;
    later_init(&w, run_once);
    timer_init(&t, loop, ask_twice);
    timer_start(&t, 0, 0);
    loop_run(loop);
    assert_int_equal(later_runs, 1);
}

static void ask_again(struct later *w)
{
    if (++later_runs < 5)
        later_ask(loop, w);
    else
        loop_stop(loop);
}

static void work_that_asks_for_itself_again_does_not_wait_in_poll(void **state)
{
    struct later w;
    later_runs = 0;
    later_init(&w, ask_again);
    later_ask(loop, &w);
    loop_run(loop); /* nothing else would ever wake it */
    assert_int_equal(later_runs, 5);
}

static void cancelled_work_does_not_run(void **state)
{
    struct later w, last;
    later_runs = 0;
    later_init(&w, run_once);
    later_init(&last, ask_again);
    later_ask(loop, &w);
    later_ask(loop, &last);
    later_cancel(&w);
    time_in_later = 0;
    loop_run(loop);
    assert_int_equal(time_in_later, 0);
}

/* ======= time ======= */

static void the_time_stands_still_within_a_turn(void **state)
{
    uint64_t a = loop_now_ns(loop);
    uint64_t before = clock_boot_ns();
    assert_true(clock_boot_ns() >= before && loop_now_ns(loop) == a);
    assert_true(loop_now_fresh(loop) >= before);
}

/* ======= other threads ======= */

static void woken(struct wakeup *w)
{
    fired++;
    loop_stop(loop);
}

static void wakeup_ended(struct wakeup *w)
{
    ended++;
}

static void *send_wakeup(void *w)
{
    wakeup_send(w);
    return NULL;
}

static void another_thread_wakes_the_loop(void **state)
{
    struct wakeup w;
    pthread_t thread;
    wakeup_init(&w, loop, woken);
    pthread_create(&thread, NULL, send_wakeup, &w);
    loop_run(loop);
    pthread_join(thread, NULL);
    assert_true(fired >= 1);
    wakeup_finish(&w, wakeup_ended);
    while (!ended)
        loop_run_once(loop);
}

struct pool_job {
    struct offload offload;
    pthread_t worked_on;
    bool done;
};

static void pool_work(struct offload *o)
{
    CONTAINER_OF(o, struct pool_job, offload)->worked_on = pthread_self();
}

static void pool_done(struct offload *o)
{
    CONTAINER_OF(o, struct pool_job, offload)->done = true;
    loop_stop(loop);
}

static void offloaded_work_runs_on_another_thread(void **state)
{
    struct pool_job job = {.offload = {.work = pool_work, .done = pool_done}};
    offload_start(loop, &job.offload);
    loop_run(loop);
    assert_true(job.done);
    assert_false(pthread_equal(job.worked_on, pthread_self()));
}

static void run_returns_only_after_pool_work_is_done(void **state)
{
    struct pool_job job = {.offload = {.work = pool_work, .done = pool_done}};
    struct timer t;
    timer_init(&t, loop, fire_and_stop);
    timer_start(&t, 0, 0);
    offload_start(loop, &job.offload);
    loop_run(loop);
    assert_true(job.done);
}

/* ======= figures ======= */

static void turns_are_counted(void **state)
{
    struct loop_turns before, after;
    loop_turns(loop, &before);
    struct timer t;
    timer_init(&t, loop, fire_three_times);
    timer_start(&t, 0, NS_PER_MS);
    loop_run(loop);
    loop_turns(loop, &after);
    assert_true(after.turns > before.turns);
    assert_true(after.p50_ns <= after.p99_ns && after.p99_ns <= after.max_ns);
}

static void a_turn_that_slept_was_on_no_processor(void **state)
{
    struct effort e = {.looked_ns = 100 * NS_PER_MS, .cpu_ns = 7 * NS_PER_MS};
    effort_turn(&e, 110 * NS_PER_MS, 9 * NS_PER_MS, 9 * NS_PER_MS);
    assert_int_equal(e.max_ns, 2 * NS_PER_MS);
    assert_int_equal(e.off_ns, 7 * NS_PER_MS);
}

static void what_a_turn_took_is_counted_from_the_last_look(void **state)
{
    struct effort e = {.cpu_ns = 0};
    assert_true(effort_wants(&e, EFFORT_LOOK_NS, 0));
    effort_turn(&e, EFFORT_LOOK_NS, 0, 900000); /* short ones until now */
    assert_false(effort_wants(&e, 2 * EFFORT_LOOK_NS - 1, EFFORT_LOOK_NS - 1));
    assert_true(effort_wants(&e, 2 * EFFORT_LOOK_NS, EFFORT_LOOK_NS));
    effort_turn(&e, 5 * NS_PER_MS, 3 * NS_PER_MS, 900000 + 3 * NS_PER_MS);
    assert_int_equal(e.max_ns, 3 * NS_PER_MS);
    assert_int_equal(e.off_ns, 0);
}

static void a_turn_took_no_more_of_a_processor_than_it_lasted(void **state)
{
    struct effort e = {.cpu_ns = 0};
    effort_turn(&e, 10 * NS_PER_MS, 2 * NS_PER_MS, 3 * NS_PER_MS); /* some of it before the turn began */
    assert_int_equal(e.max_ns, 2 * NS_PER_MS);
    assert_int_equal(e.off_ns, 0);
}

static void work_until_it_was_long(struct later *w)
{
    uint64_t from = clock_thread_ns();
    while (clock_thread_ns() - from < 2 * EFFORT_LOOK_NS)
        ;
    fired++;
}

static void a_long_turn_says_what_it_took_of_a_processor(void **state)
{
    struct later w;
    struct loop_turns t;
    later_init(&w, work_until_it_was_long);
    for (fired = 0; fired < 2;) { /* the first may belong to no turn: nothing came before it */
        later_ask(loop, &w);
        loop_run_once(loop);
    }
    loop_turns(loop, &t);
    assert_true(t.cpu_max_ns >= 2 * EFFORT_LOOK_NS);
    assert_true(t.cpu_max_ns <= t.max_ns);
}

static void quantiles_are_right_to_one_step(void **state)
{
    static struct turns t;
    for (uint64_t us = 1; us <= 1000; us++)
        turns_add(&t, us * 1000);
    uint64_t p50 = turns_quantile(&t, 500), p99 = turns_quantile(&t, 990);
    assert_in_range(p50, 500000, 500000 * 9 / 8);
    assert_in_range(p99, 990000, 1000000);
    assert_int_equal(turns_quantile(&t, 1000), 1000000);
}

static void sums_of_turns_are_as_if_all_had_been_one(void **state)
{
    static struct turns all, odd, even;
    for (uint64_t us = 1; us <= 1000; us++) {
        turns_add(us % 2 ? &odd : &even, us * 1000);
        turns_add(&all, us * 1000);
    }
    turns_add_many(&even, 5000000, 3);
    turns_add_many(&even, 9000000, 0);
    for (int i = 0; i < 3; i++)
        turns_add(&all, 5000000);
    turns_merge(&odd, &even);
    assert_memory_equal(&odd, &all, sizeof(all));
}

static void a_turn_of_any_length_has_a_cell(void **state)
{
    static struct turns t;
    turns_add(&t, 0);
    assert_int_equal(turns_quantile(&t, 500), 0);
    turns_add(&t, UINT64_MAX);
    assert_int_equal(t.max_ns, UINT64_MAX);
    assert_int_equal(t.count, 2);
}

static void what_was_not_measured_counts_as_the_last_of_the_sample_did(void **state)
{
    static struct took t;
    assert_false(took_unmeasured(&t)); /* the first is to be measured */
    took_measured(&t, 1000);
    took_waited(&t, 1000000);
    for (int i = 0; i < 15; i++)
        assert_true(took_unmeasured(&t));
    assert_int_equal(t.turns.count, 17);
    assert_int_equal(t.sum_ns, 16 * 1000 + 1000000);
    assert_int_equal(turns_within(&t.turns, 2000), 16); /* the one that waited is one */
}

static void sums_of_what_things_took_lose_nothing(void **state)
{
    static struct took a, b;
    took_waited(&a, 5000);
    took_measured(&b, 1000);
    took_merge(&a, &b);
    assert_true(took_unmeasured(&a));
    assert_int_equal(a.turns.count, 3);
    assert_int_equal(a.sum_ns, 7000);
}

#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, make_loop, drop_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(a_timer_never_fires_early),
        LOOP_TEST(a_finished_timer_is_told_so_before_run_returns),
        LOOP_TEST(a_repeating_timer_fires_again),
        LOOP_TEST(a_stopped_timer_does_not_fire),
        LOOP_TEST(work_for_later_runs_once_at_the_end_of_the_turn),
        LOOP_TEST(work_that_asks_for_itself_again_does_not_wait_in_poll),
        LOOP_TEST(cancelled_work_does_not_run),
        LOOP_TEST(the_time_stands_still_within_a_turn),
        LOOP_TEST(another_thread_wakes_the_loop),
        LOOP_TEST(offloaded_work_runs_on_another_thread),
        LOOP_TEST(run_returns_only_after_pool_work_is_done),
        LOOP_TEST(turns_are_counted),
        LOOP_TEST(a_long_turn_says_what_it_took_of_a_processor),
        cmocka_unit_test(a_turn_that_slept_was_on_no_processor),
        cmocka_unit_test(what_a_turn_took_is_counted_from_the_last_look),
        cmocka_unit_test(a_turn_took_no_more_of_a_processor_than_it_lasted),
        cmocka_unit_test(quantiles_are_right_to_one_step),
        cmocka_unit_test(sums_of_turns_are_as_if_all_had_been_one),
        cmocka_unit_test(a_turn_of_any_length_has_a_cell),
        cmocka_unit_test(what_was_not_measured_counts_as_the_last_of_the_sample_did),
        cmocka_unit_test(sums_of_what_things_took_lose_nothing),
    };
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
