/* The membership of one host: connecting, epochs and gaps, fences, and what is remembered over a restart. */
#include "support/coherence_world.h"

#include "l2/fence.h"

/* ======= connecting ======= */

static void it_begins_suspect_and_asks_for_a_connection(void **state)
{
    struct world *w = *state;
    assert_int_equal(w->view->mode, SHM_SUSPECT);
    assert_int_equal(w->view->serve_until_ns, 0);
    pass(w, 10 * MS);
    assert_string_equal(w->asked, "C0");
}

static void c11_it_is_detached_only_when_the_first_attempt_failed(void **state)
{
    struct world *w = *state;
    connect_to(w);
    greet(w, 0, E, 10, 11);
    assert_int_equal(w->view->mode, SHM_SUSPECT);
    coherence_lost(w->c, "cut", w->now);
    assert_int_equal(w->mode_at_shown, SHM_DETACHED);
    connect_to(w);
    assert_int_equal(w->view->mode, SHM_DETACHED);
}

static void c10_the_order_is_hello_outbox_journal_fence(void **state)
{
    struct world *w = *state;
    queue_key(w, "a", 0);
    connect_to(w);
    assert_string_equal(w->asked, "C0H0H1");
    greet(w, 0, E, 10, 5);
    greet(w, 1, E, 10, 11);
    assert_string_equal(w->asked, "C0H0H1S0");
    assert_int_equal(w->view->mode, SHM_SUSPECT);
    answer(w, w->sent[0], FLEET_COMMITTED, 11);
    assert_string_equal(w->asked, "C0H0H1S0T0T1");
    assert_int_equal(coherence_state(w->c), COHERENCE_CATCHING_UP);
    record(w, 0, 11);
    assert_string_equal(w->asked, "C0H0H1S0T0T1F0F1");
    assert_int_equal(w->mode_at_shown, SHM_FRESH);
    assert_int_equal(w->view->of[0].fresh_until_ns, 0);
    coherence_fenced(w->c, 0, 11, w->now);
    assert_int_equal(w->view->of[0].fresh_until_ns, w->now + FLEET_FRESH_NS);
    assert_int_equal(w->view->of[1].fresh_until_ns, 0);
}

static void detached_lasts_until_every_partition_said_hello(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_lost(w->c, "cut", w->now);
    assert_int_equal(w->mode_at_shown, SHM_DETACHED);
    connect_to(w);
    greet(w, 0, E, 10, 11);
    assert_int_equal(w->view->mode, SHM_DETACHED);
    greet(w, 1, E, 10, 11);
    assert_int_equal(w->view->mode, SHM_FRESH);
}

static void a_redis_that_never_answers_hello_is_left_after_a_second(void **state)
{
    struct world *w = *state;
    connect_to(w);
    pass(w, COHERENCE_ANSWER_NS);
    assert_int_equal(coherence_state(w->c), COHERENCE_HELLO);
    pass(w, 10 * MS);
    assert_int_equal(coherence_state(w->c), COHERENCE_DOWN);
}

static void the_pause_grows_until_a_fence_comes_back(void **state)
{
    struct world *w = *state;
    uint64_t pauses[3];
    pass(w, 10 * MS);
    for (unsigned i = 0; i < 3; i++) {
        coherence_lost(w->c, "refused", w->now);
        uint64_t from = w->now;
        while (coherence_state(w->c) == COHERENCE_DOWN)
            pass(w, MS);
        pauses[i] = w->now - from;
    }
    assert_int_equal(pauses[0], 50 * MS);
    assert_int_equal(pauses[1], 100 * MS);
    assert_int_equal(pauses[2], 200 * MS);
    live(w);
    coherence_lost(w->c, "refused", w->now);
    pass(w, 50 * MS);
    assert_int_equal(coherence_state(w->c), COHERENCE_CONNECTING);
}

static void an_attempt_that_went_unanswered_counts_as_the_pause_after_it(void **state)
{
    struct world *w = *state;
    pass(w, 10 * MS);
    pass(w, 30 * MS);
    coherence_lost(w->c, "silent", w->now);
    pass(w, 20 * MS - 1);
    assert_int_equal(coherence_state(w->c), COHERENCE_DOWN);
    pass(w, 1);
    assert_int_equal(coherence_state(w->c), COHERENCE_CONNECTING);
    pass(w, COHERENCE_CONNECT_NS);
    coherence_lost(w->c, "silent", w->now);
    pass(w, 1);
    assert_int_equal(coherence_state(w->c), COHERENCE_CONNECTING);
}

/* ======= epochs and gaps ======= */

static void i10_another_epoch_is_told_and_begins_at_its_position(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_lost(w->c, "cut", w->now);
    connect_to(w);
    greet(w, 0, E - 1, 3, 1); /* smaller: only equality counts */
    assert_non_null(strstr(w->heard, "e0"));
    assert_int_equal(w->view->of[0].epoch, E - 1);
    assert_int_equal(w->view->of[0].applied, 3);
    assert_int_equal(w->view->of[0].floor, 0);
    assert_int_equal(w->view->of[0].fresh_until_ns, 0);
}

static void i2_a_position_that_went_back_in_an_epoch_is_not_taken(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_lost(w->c, "cut", w->now);
    connect_to(w);
    greet(w, 0, E, 9, 5);
    assert_int_equal(coherence_state(w->c), COHERENCE_DOWN);
    assert_null(strstr(w->heard, "e0"));
    assert_int_equal(w->view->of[0].seen, 10); /* for the next hello to tell */
    connect_to(w);
    greet(w, 0, E + 1, 9, 10);
    assert_non_null(strstr(w->heard, "e0"));
    assert_int_equal(w->view->of[0].applied, 9);
}

static void i2_a_fence_below_what_was_known_at_its_sending_ends_the_session(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_read_noticed(w->c, w->now);
    pass(w, 50 * MS);
    coherence_fenced(w->c, 0, 9, w->now);
    assert_int_equal(coherence_state(w->c), COHERENCE_DOWN);
    assert_int_equal(w->view->of[0].seen, 10);
}

static void a_record_may_overtake_the_answer_of_a_fence(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_read_noticed(w->c, w->now);
    pass(w, 50 * MS);
    record(w, 0, 11);
    coherence_fenced(w->c, 0, 10, w->now);
    assert_int_equal(coherence_state(w->c), COHERENCE_LIVE);
    assert_null(strstr(w->heard, "e0"));
}

static void i2_a_journal_that_begins_too_late_raises_the_floor(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_lost(w->c, "cut", w->now);
    connect_to(w);
    greet(w, 0, E, 20, 15);
    assert_int_equal(w->told_floor, 14);
    assert_int_equal(w->view->of[0].applied, 14);
    greet(w, 1, E, 20, 11);
    assert_int_equal(w->view->of[1].applied, 10);
    assert_int_equal(w->tail_after[0], 14);
    assert_int_equal(w->tail_after[1], 10);
}

static void i2_a_hole_raises_the_floor_and_goes_on(void **state)
{
    struct world *w = *state;
    live(w);
    record(w, 0, 13);
    assert_string_equal(w->heard, "g0a0r0");
    assert_int_equal(w->told_floor, 12);
    assert_int_equal(w->view->of[0].applied, 13);
    record(w, 0, 14);
    assert_string_equal(w->heard, "g0a0r0r0");
}

static void a_record_twice_is_heard_once(void **state)
{
    struct world *w = *state;
    live(w);
    record(w, 0, 11);
    record(w, 0, 11);
    record(w, 0, 7);
    assert_string_equal(w->heard, "r0");
    assert_int_equal(w->view->of[0].applied, 11);
}

static void notes_are_no_changes(void **state)
{
    struct world *w = *state;
    live(w);
    struct fleet_record note = {.v = 10};
    coherence_record(w->c, 0, 1, &note, w->now);
    note.v = 14;
    coherence_record(w->c, 0, 3, &note, w->now);
    assert_string_equal(w->heard, "");
    assert_int_equal(w->view->of[0].applied, 10);
}

static unsigned fences_in(const char *asked)
{
    unsigned count = 0;
    for (; *asked; asked += 2)
        count += asked[0] == 'F' && asked[1] == '0';
    return count;
}

/* Somebody reads, and Redis answers each fence with this position. */
static void pass_answered(struct world *w, uint64_t ns, uint64_t v)
{
    for (uint64_t end = w->now + ns; w->now < end;) {
        coherence_read_noticed(w->c, w->now);
        w->asked[0] = 0;
        pass(w, 10 * MS);
        for (const char *asked = w->asked; *asked; asked += 2)
            if (asked[0] == 'F')
                coherence_fenced(w->c, (unsigned)(asked[1] - '0'), v, w->now);
    }
}

static void i2_silence_beyond_delta_when_a_record_is_due_and_redis_answers_is_a_gap(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_saw(w->c, 0, 12);
    pass_answered(w, FLEET_FRESH_NS, 12);
    assert_null(strstr(w->heard, "g0"));
    pass_answered(w, 60 * MS, 12); /* another fence */
    assert_non_null(strstr(w->heard, "g0"));
    assert_int_equal(w->told_floor, 12);
    assert_int_equal(w->view->of[0].applied, 12);
}

/* A Redis that stops between an answer and its record would take everything with it that could have been served without. */
static void i2_silence_of_a_redis_that_answers_nothing_is_no_gap(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_read_noticed(w->c, w->now);
    coherence_saw(w->c, 0, 12);
    pass(w, 2 * NS_PER_S);
    assert_int_equal(fences_in(w->asked), FENCES_MAX);
    coherence_fenced(w->c, 0, 12, w->now); /* it goes on, and the record is on its way */
    pass(w, 10 * MS);
    assert_null(strstr(w->heard, "g0"));
    assert_int_equal(w->view->of[0].floor, 0);
    record(w, 0, 11);
    assert_non_null(strstr(w->heard, "r0"));
}

static void a_stopped_host_does_not_take_its_own_pause_for_silence(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_saw(w->c, 0, 11);
    w->now += 30 * NS_PER_S;
    coherence_tick(w->c, w->now);
    assert_null(strstr(w->heard, "g0"));
    record(w, 0, 11);
    assert_non_null(strstr(w->heard, "r0"));
}

/* ======= fences ======= */

static void f13_a_fence_waits_for_the_journal_and_counts_from_its_sending(void **state)
{
    struct world *w = *state;
    live(w);
    uint64_t before = w->view->of[0].fresh_until_ns;
    coherence_read_noticed(w->c, w->now);
    pass(w, 50 * MS);
    uint64_t sent = w->now;
    pass(w, 20 * MS);
    coherence_fenced(w->c, 0, 12, w->now);
    record(w, 0, 11);
    assert_int_equal(w->view->of[0].fresh_until_ns, before);
    pass(w, 20 * MS);
    record(w, 0, 12);
    assert_int_equal(w->view->of[0].fresh_until_ns, sent + FLEET_FRESH_NS);
}

static void f13_eight_fences_at_most_are_under_way(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_read_noticed(w->c, w->now);
    pass(w, 2 * NS_PER_S);
    assert_int_equal(fences_in(w->asked), FENCES_MAX);
}

static void f13_without_reads_no_more_fences(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_read_noticed(w->c, w->now);
    w->now += FENCE_IDLE_NS;
    coherence_tick(w->c, w->now);
    assert_int_equal(fences_in(w->asked), 0);
    coherence_read_noticed(w->c, w->now);
    pass(w, 10 * MS);
    assert_int_equal(fences_in(w->asked), 1);
}

static void a_fence_nobody_sent_ends_the_session(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_fenced(w->c, 0, 10, w->now);
    assert_int_equal(coherence_state(w->c), COHERENCE_DOWN);
}

static void detached_serves_until_the_oldest_last_fence_and_detached_max(void **state)
{
    struct world *w = *state;
    live(w);
    uint64_t first = w->now;
    coherence_read_noticed(w->c, w->now);
    pass(w, 50 * MS);
    coherence_fenced(w->c, 0, 10, w->now); /* partition 1 is not answered */
    coherence_lost(w->c, "cut", w->now);
    assert_int_equal(w->view->serve_until_ns, first + 48 * NS_PER_S);
    assert_int_equal(w->view->serve_spread_ns, 24 * NS_PER_S);
}

static void f14_after_a_restart_the_memory_says_how_long_may_be_served(void **state)
{
    struct world *w = *state;
    struct fleet_memory known[PARTITIONS] = {{E, 10, 4, 900 * NS_PER_S}, {E, 8, 0, 950 * NS_PER_S}};
    reopen(w, BACKLOG_MAX, known);
    assert_int_equal(w->view->serve_until_ns, 948 * NS_PER_S);
    assert_int_equal(w->view->of[0].floor, 4);
    struct fleet_memory unknown[PARTITIONS] = {{E, 10, 4, 900 * NS_PER_S}, {E, 8, 0, 0}};
    reopen(w, BACKLOG_MAX, unknown);
    assert_int_equal(w->view->serve_until_ns, 0);
}

static void c11_after_a_restart_the_journal_goes_on_where_the_memory_was(void **state)
{
    struct world *w = *state;
    struct fleet_memory memory[PARTITIONS] = {{E, 8, 0, 0}, {E, 10, 0, 0}};
    reopen(w, BACKLOG_MAX, memory);
    connect_to(w);
    greet(w, 0, E, 10, 1);
    greet(w, 1, E, 10, 1);
    assert_string_equal(w->heard, "");
    assert_int_equal(w->tail_after[0], 8);
    assert_int_equal(w->view->mode, SHM_SUSPECT);
    record(w, 0, 9);
    record(w, 0, 10);
    assert_int_equal(w->view->mode, SHM_FRESH);
}

static void i6_the_position_is_kept_after_its_effects(void **state)
{
    struct world *w = *state;
    live(w);
    pass(w, 10 * MS);
    forget_asked(w);
    record(w, 1, 11);
    assert_string_equal(w->heard, "r1");
    pass(w, 10 * MS);
    assert_string_equal(w->heard, "r1a1");
    pass(w, 50 * MS);
    assert_string_equal(w->heard, "r1a1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_begins_suspect_and_asks_for_a_connection),
        TEST(c11_it_is_detached_only_when_the_first_attempt_failed),
        TEST(c10_the_order_is_hello_outbox_journal_fence),
        TEST(detached_lasts_until_every_partition_said_hello),
        TEST(a_redis_that_never_answers_hello_is_left_after_a_second),
        TEST(the_pause_grows_until_a_fence_comes_back),
        TEST(an_attempt_that_went_unanswered_counts_as_the_pause_after_it),
        TEST(i10_another_epoch_is_told_and_begins_at_its_position),
        TEST(i2_a_position_that_went_back_in_an_epoch_is_not_taken),
        TEST(i2_a_fence_below_what_was_known_at_its_sending_ends_the_session),
        TEST(a_record_may_overtake_the_answer_of_a_fence),
        TEST(i2_a_journal_that_begins_too_late_raises_the_floor),
        TEST(i2_a_hole_raises_the_floor_and_goes_on),
        TEST(a_record_twice_is_heard_once),
        TEST(notes_are_no_changes),
        TEST(i2_silence_beyond_delta_when_a_record_is_due_and_redis_answers_is_a_gap),
        TEST(i2_silence_of_a_redis_that_answers_nothing_is_no_gap),
        TEST(a_stopped_host_does_not_take_its_own_pause_for_silence),
        TEST(f13_a_fence_waits_for_the_journal_and_counts_from_its_sending),
        TEST(f13_eight_fences_at_most_are_under_way),
        TEST(f13_without_reads_no_more_fences),
        TEST(a_fence_nobody_sent_ends_the_session),
        TEST(detached_serves_until_the_oldest_last_fence_and_detached_max),
        TEST(f14_after_a_restart_the_memory_says_how_long_may_be_served),
        TEST(c11_after_a_restart_the_journal_goes_on_where_the_memory_was),
        TEST(i6_the_position_is_kept_after_its_effects),
    };
    return cmocka_run_group_tests_name("coherence", tests, NULL, NULL);
}
