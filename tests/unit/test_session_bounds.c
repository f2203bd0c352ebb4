/* Bad input, what a peer may pin, and the end of a connection. */
#include "support/session_rig.h"

/* ======= bad input ======= */

static void each_limit_names_itself(void **state)
{
    struct fixture *f = *state;
    static struct slice many[1025];
    for (unsigned i = 0; i < 1025; i++)
        many[i] = S("k");
    SAY(f, get, .keys = {1025, many});
    struct wire_result m = expect_result(f);
    assert_int_equal(m.status, STATUS_LIMIT);
    assert_non_null(memmem(m.message.data, m.message.size, "1024", 4));
    SAY(f, invalidate, .tags = {1025, many});
    expect_status(f, STATUS_LIMIT);
    static char key[1026];
    memset(key, 'k', 1025);
    assert_int_equal(get(f, key).status, STATUS_BAD_KEY);
    assert_int_equal(get(f, "").status, STATUS_BAD_KEY);
    static char value[100001];
    ask_set(f, "k", slice_of(value, sizeof(value)), NULL);
    assert_int_equal(expect_outcome(f).status, STATUS_TOO_BIG);
}

static void seventeen_tags_are_too_many_and_sixteen_repeated_are_not(void **state)
{
    struct fixture *f = *state;
    struct slice tags[32];
    char names[32][4];
    for (unsigned i = 0; i < 32; i++) {
        snprintf(names[i], 4, "%u", i % 16);
        tags[i] = S(names[i]);
    }
    struct wire_item item = {.key = S("k"), .value = S("v"), .ttl_ms = WIRE_TTL_DEFAULT, .tags = {32, tags}};
    SAY(f, set, .items = {1, &item});
    assert_int_equal(expect_outcome(f).status, STATUS_OK);
    tags[31] = S("one more");
    SAY(f, set, .items = {1, &item});
    assert_int_equal(expect_outcome(f).status, STATUS_LIMIT);
}

static void a_payload_that_does_not_decode_is_answered_and_survived(void **state)
{
    struct fixture *f = *state;
    say_bytes(f, "\0\0\0\4\x93\6\7\xc0", 8); /* [GET, 7, nil] */
    struct wire_head head;
    struct reader fields;
    struct wire_result m;
    assert_true(hear(f, &head, &fields));
    assert_int_equal(wire_read_result(&fields, &head, &m), 0);
    assert_int_equal(head.id, 7);
    assert_int_equal(m.status, STATUS_BAD_REQUEST);
    assert_non_null(memmem(m.message.data, m.message.size, "another type", 12));
    assert_int_equal(get(f, "k").status, STATUS_MISS);
}

static void deep_nesting_costs_nothing(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[4 + 2000];
    memset(frame, 0x91, sizeof(frame)); /* an array in an array in an array */
    frame[0] = frame[1] = 0;
    frame[2] = 2000 >> 8;
    frame[3] = 2000 & 0xff;
    frame[4] = 0xdc; /* array of 5: PING, 9, "", then the nest */
    frame[5] = 0;
    frame[6] = 5;
    frame[7] = WIRE_PING;
    frame[8] = 9;
    frame[9] = 0xa0;
    say_bytes(f, frame, sizeof(frame));
    expect_status(f, STATUS_BAD_REQUEST);
    assert_int_equal(get(f, "k").status, STATUS_MISS);
}

static void a_head_that_cannot_be_read_ends_the_connection_with_a_word(void **state)
{
    struct fixture *f = *state;
    say_bytes(f, "\0\0\0\3\xc0\xc0\xc0", 7);
    expect_status(f, STATUS_BAD_FRAME);
    expect_hang_up(f);
}

static void an_unknown_verb_is_named_and_survived(void **state)
{
    struct fixture *f = *state;
    say_bytes(f, "\0\0\0\3\x92\x31\1", 7); /* AUDIT */
    struct wire_result m = expect_result(f);
    assert_int_equal(m.status, STATUS_UNSUPPORTED);
    assert_non_null(memmem(m.message.data, m.message.size, "AUDIT", 5));
    say_bytes(f, "\0\0\0\3\x92\x7f\1", 7);
    expect_status(f, STATUS_UNSUPPORTED);
    SAY(f, pong, .payload = S("")); /* a reply is no request */
    expect_status(f, STATUS_UNSUPPORTED);
}

/* ======= bounds ======= */

static void requests_over_the_bound_are_read_later_not_refused(void **state)
{
    struct fixture *f = *state;
    char key[20];
    f->options.requests_in_flight = 5;
    f->warm.slow = true;
    for (unsigned i = 0; i < 20; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        ask(f, key);
    }
    while (f->warm.waiting_count < 5)
        loop_run_once(f->loop);
    loop_run_once(f->loop);
    assert_int_equal(f->warm.waiting_count, 5);
    assert_int_equal(figures(f).requests_in_flight, 5);
    for (unsigned i = 0; i < 20; i++) {
        while (f->in.size == 0 && hear_some(f) < 0) {
            assert_true(f->warm.waiting_count <= 5);
            table_tier_land(&f->warm);
            loop_run_once(f->loop);
        }
        assert_int_equal(expect_entry(f).status, STATUS_MISS);
    }
}

static void late_answers_above_the_bound_are_busy(void **state)
{
    struct fixture *f = *state;
    enum { ASKED = 40 };
    unsigned busy = 0, hits = 0;
    f->options.write_stop = f->options.write_kill = 1000;
    set(f, "k", "a value of some length, so that a few of them are more than the bound", NULL);
    f->l1.ops.drop(&f->l1.tier, S("k"), 0, UINT64_MAX);
    f->warm.slow = true;
    for (unsigned i = 0; i < ASKED; i++)
        ask(f, "k");
    while (figures(f).requests_in_flight < ASKED)
        loop_run_once(f->loop);
    table_tier_land(&f->warm); /* answers all in one turn */
    for (unsigned i = 0; i < ASKED; i++) {
        struct wire_entry e = expect_entry(f);
        busy += e.status == STATUS_BUSY;
        hits += e.status == STATUS_HIT;
    }
    assert_int_equal(busy + hits, ASKED);
    assert_in_range(hits, 5, 20);
}

static void a_peer_that_dies_with_requests_under_way_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    f->warm.slow = true;
    struct slice keys[] = {S("a"), S("b")};
    SAY(f, get, .keys = {2, keys});
    while (!f->warm.waiting_count)
        loop_run_once(f->loop);
    close(f->fd);
    f->fd = -1;
    while (figures(f).client_connections)
        loop_run_once(f->loop);
    assert_int_equal(figures(f).requests_in_flight, 1);
    table_tier_land(&f->warm);
    assert_int_equal(figures(f).requests_in_flight, 0);
    assert_int_equal(figures(f).replies_dropped, 1);
}

static void half_close_waits_for_what_is_under_way(void **state)
{
    struct fixture *f = *state;
    f->warm.slow = true;
    ask(f, "k");
    shutdown(f->fd, SHUT_WR);
    while (!f->warm.waiting_count)
        loop_run_once(f->loop);
    loop_run_once(f->loop);
    table_tier_land(&f->warm);
    assert_int_equal(expect_entry(f).status, STATUS_MISS);
    expect_hang_up(f);
}

static void one_client_too_many_is_told_busy(void **state)
{
    struct fixture *f = *state;
    f->options.connections = 1;
    int first = f->fd;
    f->fd = connect_session(f);
    expect_status(f, STATUS_BUSY);
    expect_hang_up(f);
    close(first);
    assert_int_equal(figures(f).connections_refused, 1);
}

/* ======= drain ======= */

static void a_drain_finishes_what_is_under_way(void **state)
{
    struct fixture *f = *state;
    f->warm.slow = true;
    ask(f, "k");
    while (!f->warm.waiting_count)
        loop_run_once(f->loop);
    drain(f, 3600 * NS_PER_S);
    ask(f, "late");
    expect_status(f, STATUS_DRAINING);
    table_tier_land(&f->warm);
    assert_int_equal(expect_entry(f).status, STATUS_MISS);
    expect_hang_up(f);
    while (!f->drained)
        loop_run_once(f->loop);
}

static void a_drain_serves_what_came_before_it(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 10; i++)
        ask(f, "nothing");
    drain(f, 3600 * NS_PER_S);
    for (int i = 0; i < 10; i++)
        assert_int_equal(expect_entry(f).status, STATUS_MISS);
    expect_hang_up(f);
    while (!f->drained)
        loop_run_once(f->loop);
}

static void a_drain_tells_those_whose_requests_lie_unread(void **state)
{
    struct fixture *f = *state;
    drain(f, 3600 * NS_PER_S);
    ask(f, "unread");
    ask(f, "as well");
    expect_status(f, STATUS_DRAINING);
    expect_status(f, STATUS_DRAINING);
    expect_hang_up(f);
    while (!f->drained)
        loop_run_once(f->loop);
}

static void a_drain_cuts_at_its_deadline(void **state)
{
    struct fixture *f = *state;
    f->warm.slow = true;
    ask(f, "k");
    while (!f->warm.waiting_count)
        loop_run_once(f->loop);
    drain(f, 0);
    expect_hang_up(f);
    assert_false(f->drained); /* the cache still holds the request */
    table_tier_land(&f->warm);
    while (!f->drained)
        loop_run_once(f->loop);
}

static void nobody_is_taken_while_draining(void **state)
{
    struct fixture *f = *state;
    drain(f, NS_PER_S);
    close(f->fd);
    f->fd = connect_session(f);
    expect_status(f, STATUS_BUSY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GREETED(each_limit_names_itself),
        GREETED(seventeen_tags_are_too_many_and_sixteen_repeated_are_not),
        GREETED(a_payload_that_does_not_decode_is_answered_and_survived),
        GREETED(deep_nesting_costs_nothing),
        GREETED(a_head_that_cannot_be_read_ends_the_connection_with_a_word),
        GREETED(an_unknown_verb_is_named_and_survived),
        GREETED(requests_over_the_bound_are_read_later_not_refused),
        GREETED(late_answers_above_the_bound_are_busy),
        GREETED(a_peer_that_dies_with_requests_under_way_leaves_nothing),
        GREETED(half_close_waits_for_what_is_under_way),
        GREETED(one_client_too_many_is_told_busy),
        GREETED(a_drain_finishes_what_is_under_way),
        GREETED(a_drain_serves_what_came_before_it),
        GREETED(a_drain_tells_those_whose_requests_lie_unread),
        GREETED(a_drain_cuts_at_its_deadline),
        GREETED(nobody_is_taken_while_draining),
    };
    return cmocka_run_group_tests_name("session_bounds", tests, NULL, NULL);
}
