/* How a connection ends, by whom, and what is heard and said until then; and who has none, or has it no longer, for want of room. */
#include "support/stream_rig.h"

static void a_stream_that_finishes_heard_leaves_nothing_unread(void **state)
{
    struct fixture *f = *state;
    char byte;
    f->answer_bytes = 10;
    say_frames(f, 3, 3);
    stream_finish_heard(f->stream); /* before anything of it was read */
    until_ended(f);
    assert_int_equal(f->why, STREAM_FINISHED);
    assert_int_equal(f->frames, 3);
    assert_int_equal(hear(f, 3 * 14), 3 * 14);
    assert_int_equal(recv(f->peer, &byte, 1, 0), 0); /* the end, and no reset */
}

static void while_it_is_heard_out_its_peer_cannot_say_more(void **state)
{
    struct fixture *f = *state;
    f->shut_at_frame = true;
    say_frames(f, 1, 3);
    stream_finish_heard(f->stream);
    until_ended(f);
    assert_int_equal(f->frames, 1);
    assert_int_equal(f->send_errno, EPIPE);
}

static void half_close_is_answered_then_closed(void **state)
{
    struct fixture *f = *state;
    f->answer_bytes = 10000;
    say_frames(f, 100, 3);
    shutdown(f->peer, SHUT_WR);
    assert_int_equal(hear(f, 100 * 10004 + 1), 100 * 10004);
    until_ended(f);
    assert_int_equal(f->half_closes, 1);
}

static void a_peer_that_closes_is_noticed(void **state)
{
    struct fixture *f = *state;
    close(f->peer);
    f->peer = -1;
    until_ended(f);
    assert_int_equal(f->why, STREAM_GONE);
}

static void what_a_peer_said_before_it_died_is_heard(void **state)
{
    struct fixture *f = *state;
    answer(f, f->stream, 100);
    loop_run_once(f->loop); /* it dies without reading this: a reset, not an end of file */
    say_frames(f, 3, 3);
    close(f->peer);
    f->peer = -1;
    until_ended(f);
    assert_int_equal(f->frames, 3);
}

static void no_greeting_in_time_ends_the_stream(void **state)
{
    struct fixture *f = *state;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    f->options.handshake_timeout = NS_PER_MS;
    f->peer = fds[0];
    f->stream = stream_open(f->streams, fds[1], &ops, f, FRAME_MAX);
    until_ended(f);
    assert_int_equal(f->why, STREAM_NO_HELLO);
}

static void a_frame_fed_drop_by_drop_is_cut_off(void **state)
{
    struct fixture *f = *state;
    f->options.frame_timeout = NS_PER_MS;
    say(f, "\0\0\xff\xff", 4);
    while (!f->ends) {
        (void)!send(f->peer, ".", 1, MSG_NOSIGNAL);
        loop_run_once(f->loop);
    }
    assert_int_equal(f->why, STREAM_HALF_FRAME);
}

static void the_one_who_pins_most_goes_when_all_pin_too_much(void **state)
{
    struct fixture *f = *state, *other;
    begin((void **)&other);
    streams_destroy(other->streams);
    loop_run_once(other->loop);
    loop_destroy(other->loop);
    other->loop = f->loop;
    other->streams = f->streams;
    connect_pair(other, SOCK_STREAM);
    f->options.client_memory = 100000;
    stream_charge(f->stream, 30000);
    stream_charge(other->stream, 80000);
    until_ended(other);
    assert_int_equal(other->why, STREAM_GREEDY);
    assert_int_equal(f->ends, 0);
    assert_int_equal(streams_bytes(f->streams), 30000);
    close(other->peer);
    free(other);
}

static void there_is_no_room_above_the_limit_of_connections(void **state)
{
    struct fixture *f = *state;
    f->options.connections = 2;
    assert_false(streams_full(f->streams));
    f->options.connections = 1;
    assert_true(streams_full(f->streams));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stream_that_finishes_heard_leaves_nothing_unread),
        TEST(while_it_is_heard_out_its_peer_cannot_say_more),
        TEST(half_close_is_answered_then_closed),
        TEST(a_peer_that_closes_is_noticed),
        TEST(what_a_peer_said_before_it_died_is_heard),
        TEST_UNCONNECTED(no_greeting_in_time_ends_the_stream),
        TEST(a_frame_fed_drop_by_drop_is_cut_off),
        TEST(the_one_who_pins_most_goes_when_all_pin_too_much),
        TEST(there_is_no_room_above_the_limit_of_connections),
    };
    return cmocka_run_group_tests_name("stream_ends", tests, NULL, NULL);
}
