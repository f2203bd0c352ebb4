/* The membership of one host: which replies of the shared store are believed, and since when its kills are known. */
#include "support/coherence_world.h"

/* ======= believing ======= */

static void i9_a_reply_of_an_older_session_is_not_believed(void **state)
{
    struct world *w = *state;
    live(w);
    uint64_t session = w->view->session;
    assert_true(coherence_may_believe(w->c, session, 0, E, 10));
    coherence_lost(w->c, "cut", w->now);
    assert_false(coherence_may_believe(w->c, session, 0, E, 10));
    live(w);
    assert_false(coherence_may_believe(w->c, session, 0, E, 10));
    assert_true(coherence_may_believe(w->c, w->view->session, 0, E, 10));
    assert_false(coherence_may_believe(w->c, w->view->session, 0, E + 1, 10));
}

static void f14_each_absence_is_another_session(void **state)
{
    struct world *w = *state;
    connect_to(w);
    uint64_t granted_before_hello = w->view->session;
    greet(w, 0, E, 10, 11);
    greet(w, 1, E, 10, 11);
    coherence_lost(w->c, "cut", w->now);
    assert_int_equal(w->view->mode, SHM_DETACHED);
    assert_int_not_equal(w->view->session, granted_before_hello);
}

/* What was granted while Redis is away holds as long as it is away: nothing was heard of it in between. */
static void f14_an_attempt_that_never_connected_is_no_other_absence(void **state)
{
    struct world *w = *state;
    live(w);
    coherence_lost(w->c, "cut", w->now);
    uint64_t granted = w->view->session;
    for (unsigned attempts = 0; attempts < 3; attempts++) {
        while (coherence_state(w->c) == COHERENCE_DOWN)
            pass(w, 10 * MS);
        coherence_lost(w->c, "refused", w->now);
        assert_int_equal(w->view->session, granted);
    }
    connect_to(w);
    assert_int_not_equal(w->view->session, granted);
}

static void i3_a_reply_below_the_floor_is_not_believed(void **state)
{
    struct world *w = *state;
    live(w);
    record(w, 0, 21);
    assert_false(coherence_may_believe(w->c, w->view->session, 0, E, 19));
    assert_true(coherence_may_believe(w->c, w->view->session, 0, E, 20));
    assert_true(coherence_may_believe(w->c, w->view->session, 1, E, 10));
}

static void c8_a_reply_read_before_the_outbox_was_through_is_not_believed(void **state)
{
    struct world *w = *state;
    queue_key(w, "a", 0);
    connect_to(w);
    greet(w, 0, E, 10, 11);
    greet(w, 1, E, 10, 11);
    assert_false(coherence_may_believe(w->c, w->view->session, 0, E, 10));
    answer(w, w->sent[0], FLEET_COMMITTED, 11);
    assert_false(coherence_may_believe(w->c, w->view->session, 0, E, 10));
    assert_true(coherence_may_believe(w->c, w->view->session, 0, E, 11));
    assert_true(coherence_may_believe(w->c, w->view->session, 1, E, 10));
}

static void kills_are_known_from_the_greeting_or_the_gap(void **state)
{
    struct world *w = *state;
    connect_to(w);
    struct coherence_hello hello = {.epoch = E, .v = 10, .first = 1, .killed = 6};
    coherence_greeted(w->c, 0, &hello, w->now);
    greet(w, 1, E, 10, 11);
    assert_false(coherence_knows_kills(w->c, 0, 5, 10, w->now));
    assert_true(coherence_knows_kills(w->c, 0, 6, 10, w->now));
    coherence_forgot(w->c, 0, 8);
    assert_false(coherence_knows_kills(w->c, 0, 7, 10, w->now));
    record(w, 0, 15);
    assert_false(coherence_knows_kills(w->c, 0, 13, 15, w->now));
    assert_true(coherence_knows_kills(w->c, 0, 14, 15, w->now));
}

/* What the journal lost before a restart is not known after it either: an entry from before may have been softened. */
static void c2_kills_below_the_floor_of_an_earlier_run_are_not_known(void **state)
{
    struct world *w = *state;
    struct fleet_memory memory[PARTITIONS] = {{E, 10, 7, 0}, {E, 10, 0, 0}};
    reopen(w, BACKLOG_MAX, memory);
    live(w);
    assert_false(coherence_knows_kills(w->c, 0, 6, 10, w->now));
    assert_true(coherence_knows_kills(w->c, 0, 7, 10, w->now));
    assert_true(coherence_knows_kills(w->c, 1, 6, 10, w->now));
}

static void c2_kills_that_wait_in_the_journal_are_known_only_while_somebody_vouches(void **state)
{
    struct world *w = *state;
    live(w);
    assert_true(coherence_knows_kills(w->c, 0, 9, 12, w->now));
    assert_false(coherence_knows_kills(w->c, 0, 9, 12, w->now + FLEET_FRESH_NS));
    assert_true(coherence_knows_kills(w->c, 0, 9, 10, w->now + FLEET_FRESH_NS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(i9_a_reply_of_an_older_session_is_not_believed),
        TEST(f14_each_absence_is_another_session),
        TEST(f14_an_attempt_that_never_connected_is_no_other_absence),
        TEST(i3_a_reply_below_the_floor_is_not_believed),
        TEST(c8_a_reply_read_before_the_outbox_was_through_is_not_believed),
        TEST(kills_are_known_from_the_greeting_or_the_gap),
        TEST(c2_kills_below_the_floor_of_an_earlier_run_are_not_known),
        TEST(c2_kills_that_wait_in_the_journal_are_known_only_while_somebody_vouches),
    };
    return cmocka_run_group_tests_name("coherence_believing", tests, NULL, NULL);
}
