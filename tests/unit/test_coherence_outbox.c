/* The membership of one host: changes on their way, and those that wait in the outbox. */
#include "support/coherence_world.h"

#include <stdio.h>

/* ======= changes ======= */

static unsigned done_count;
static void done(struct fleet_change *change)
{
    done_count++;
}

static void a_change_is_sent_and_its_position_seen(void **state)
{
    struct world *w = *state;
    live(w);
    struct fleet_change change = invalidation("a", 1);
    change.done = done;
    done_count = 0;
    assert_int_equal(coherence_commit(w->c, &change), FLEET_PENDING);
    answer(w, &change, FLEET_COMMITTED, 12);
    assert_int_equal(done_count, 1);
    assert_int_equal(w->view->of[1].seen, 12);
    assert_int_equal(w->view->of[1].applied, 10);
}

static void c9_what_was_in_flight_is_unknown_and_what_was_not_sent_away(void **state)
{
    struct world *w = *state;
    live(w);
    struct fleet_change first = invalidation("a", 0), second = first;
    first.done = second.done = done;
    done_count = 0;
    assert_int_equal(coherence_commit(w->c, &first), FLEET_PENDING);
    coherence_lost(w->c, "cut", w->now);
    assert_int_equal(done_count, 1);
    assert_int_equal(first.outcome, FLEET_UNKNOWN);
    assert_int_equal(coherence_commit(w->c, &second), FLEET_DONE);
    assert_int_equal(second.outcome, FLEET_AWAY);
    assert_int_equal(done_count, 1);
}

static void without_room_a_change_is_away(void **state)
{
    struct world *w = *state;
    live(w);
    w->no_room = true;
    struct fleet_change change = invalidation("a", 0);
    assert_int_equal(coherence_commit(w->c, &change), FLEET_DONE);
    assert_int_equal(change.outcome, FLEET_AWAY);
}

/* ======= the outbox ======= */

static void equal_invalidations_wait_once(void **state)
{
    struct world *w = *state;
    queue_key(w, "a", 0);
    queue_key(w, "a", 0);
    queue_key(w, "a", 1);
    assert_int_equal(w->kept_count, 2);
    struct fleet_figures figures;
    coherence_measure(w->c, &figures);
    assert_int_equal(figures.outbox, 2);
}

static void one_that_is_on_its_way_is_not_the_later_one(void **state)
{
    struct world *w = *state;
    live(w);
    queue_key(w, "a", 0);
    queue_key(w, "a", 0);
    assert_int_equal(w->sent_count, 1);
    answer(w, w->sent[0], FLEET_COMMITTED, 11);
    assert_int_equal(w->sent_count, 2);
    answer(w, w->sent[1], FLEET_COMMITTED, 12);
    assert_int_equal(w->kept_count, 0);
}

static void i7_what_waited_is_done_here_under_the_position_it_got(void **state)
{
    struct world *w = *state;
    live(w);
    queue_key(w, "a", 0);
    assert_string_equal(w->heard, "");
    answer(w, w->sent[0], FLEET_COMMITTED, 12);
    assert_string_equal(w->heard, "r0");
    assert_int_equal(w->told_v, 12);
    assert_int_equal(w->told_keys, 1);
    assert_int_equal(w->view->of[0].applied, 10);
}

static void the_outbox_forgets_only_what_was_answered(void **state)
{
    struct world *w = *state;
    queue_key(w, "a", 0);
    queue_key(w, "b", 1);
    connect_to(w);
    greet(w, 0, E, 10, 11);
    greet(w, 1, E, 10, 11);
    answer(w, w->sent[1], FLEET_COMMITTED, 11);
    assert_int_equal(w->kept_count, 2); /* in order: the older one still waits */
    answer(w, w->sent[0], FLEET_COMMITTED, 11);
    assert_int_equal(w->kept_count, 0);
}

static void an_unanswered_batch_is_sent_again(void **state)
{
    struct world *w = *state;
    queue_key(w, "a", 0);
    connect_to(w);
    greet(w, 0, E, 10, 11);
    greet(w, 1, E, 10, 11);
    coherence_lost(w->c, "cut", w->now);
    assert_int_equal(w->kept_count, 1);
    connect_to(w);
    greet(w, 0, E, 10, 11);
    greet(w, 1, E, 10, 11);
    assert_int_equal(w->sent_count, 2);
    assert_int_equal(w->sent[1]->keys_count, 1);
}

static const char *trouble(const struct world *w)
{
    struct fleet_figures figures;
    coherence_measure(w->c, &figures);
    return figures.trouble;
}

static void a_refused_batch_ends_the_session_and_stays(void **state)
{
    struct world *w = *state;
    live(w);
    queue_key(w, "a", 0);
    w->sent[0]->why = "full";
    answer(w, w->sent[0], FLEET_FAILED, 0);
    assert_int_equal(coherence_state(w->c), COHERENCE_DOWN);
    assert_string_equal(trouble(w), "full");
    assert_int_equal(w->kept_count, 1);
}

static void a_batch_lost_with_its_link_leaves_the_reason_to_the_link(void **state)
{
    struct world *w = *state;
    live(w);
    queue_key(w, "a", 0);
    answer(w, w->sent[0], FLEET_UNKNOWN, 0);
    assert_int_equal(coherence_state(w->c), COHERENCE_LIVE);
    coherence_lost(w->c, "cut", w->now);
    assert_string_equal(trouble(w), "cut");
    assert_int_equal(w->kept_count, 1);
    connect_to(w);
    greet(w, 0, E, 10, 11);
    greet(w, 1, E, 10, 11);
    assert_int_equal(w->sent_count, 2);
}

static void the_outbox_survives_a_restart(void **state)
{
    struct world *w = *state;
    queue_key(w, "a", 0);
    struct slice tag = slice_text("t"), prefix = slice_text("p:");
    struct fleet_change names = {.verb = FLEET_INVALIDATE,
                                 .partition = 1,
                                 .tags = &tag,
                                 .tags_count = 1,
                                 .prefixes = &prefix,
                                 .prefixes_count = 1,
                                 .soft = true};
    coherence_queue(w->c, &names);
    reopen(w, BACKLOG_MAX, NULL);
    connect_to(w);
    greet(w, 0, E, 10, 11);
    greet(w, 1, E, 10, 11);
    assert_int_equal(w->sent_count, 2);
    assert_int_equal(w->sent[0]->keys_count, 1);
    assert_false(w->sent[0]->soft);
    assert_int_equal(w->sent[1]->tags_count, 1);
    assert_int_equal(w->sent[1]->prefixes_count, 1);
    assert_true(w->sent[1]->soft);
}

static void a_full_outbox_becomes_everything_for_each_partition(void **state)
{
    struct world *w = *state;
    reopen(w, 4, NULL);
    queue_key(w, "a", 0);
    queue_key(w, "b", 0);
    queue_key(w, "c", 1);
    queue_key(w, "d", 1);
    queue_key(w, "e", 0);
    struct fleet_figures figures;
    coherence_measure(w->c, &figures);
    assert_int_equal(figures.outbox, 2);
    queue_key(w, "f", 1);
    assert_int_equal(w->kept_count, 2);
    connect_to(w);
    greet(w, 0, E, 10, 11);
    greet(w, 1, E, 10, 11);
    assert_true(w->sent[0]->all && w->sent[1]->all);
    assert_false(w->sent[0]->soft);
}

static void a_batch_holds_256_of_one_softness(void **state)
{
    struct world *w = *state;
    w->outbox.ops = NULL;
    struct backlog *b = backlog_create(1, BACKLOG_MAX, NULL);
    char text[8];
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof(text), "k%d", i);
        struct fleet_change change = invalidation(text, 0);
        change.soft = i == 299;
        backlog_add(b, &change);
    }
    static struct backlog_batch batch;
    assert_true(backlog_next(b, 0, &batch));
    assert_int_equal(batch.change.keys_count, BACKLOG_BATCH);
    backlog_answered(b, 0);
    assert_true(backlog_next(b, 0, &batch));
    assert_int_equal(batch.change.keys_count, 43);
    assert_false(batch.change.soft);
    backlog_answered(b, 0);
    assert_true(backlog_next(b, 0, &batch));
    assert_true(batch.change.soft);
    backlog_answered(b, 0);
    assert_false(backlog_next(b, 0, &batch));
    backlog_destroy(b);
}

static void globs_wait_in_the_backlog_like_other_names(void **state)
{
    struct world *w = *state;
    w->outbox.ops = NULL;
    struct backlog *b = backlog_create(1, BACKLOG_MAX, NULL);
    struct slice globs[] = {slice_text("a:*"), slice_text("*:b")};
    struct fleet_change change = {.verb = FLEET_INVALIDATE, .globs = globs, .globs_count = 2};
    backlog_add(b, &change);
    backlog_add(b, &change);
    static struct backlog_batch batch;
    assert_int_equal(backlog_count(b), 2);
    assert_true(backlog_next(b, 0, &batch));
    assert_int_equal(batch.change.globs_count, 2);
    assert_true(slice_equal(batch.change.globs[1], globs[1]));
    backlog_answered(b, 0);
    backlog_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_change_is_sent_and_its_position_seen),
        TEST(c9_what_was_in_flight_is_unknown_and_what_was_not_sent_away),
        TEST(without_room_a_change_is_away),
        TEST(equal_invalidations_wait_once),
        TEST(one_that_is_on_its_way_is_not_the_later_one),
        TEST(i7_what_waited_is_done_here_under_the_position_it_got),
        TEST(the_outbox_forgets_only_what_was_answered),
        TEST(an_unanswered_batch_is_sent_again),
        TEST(a_refused_batch_ends_the_session_and_stays),
        TEST(a_batch_lost_with_its_link_leaves_the_reason_to_the_link),
        TEST(the_outbox_survives_a_restart),
        TEST(a_full_outbox_becomes_everything_for_each_partition),
        TEST(a_batch_holds_256_of_one_softness),
        TEST(globs_wait_in_the_backlog_like_other_names),
    };
    return cmocka_run_group_tests_name("coherence_outbox", tests, NULL, NULL);
}
