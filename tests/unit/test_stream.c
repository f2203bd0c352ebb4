/* What a connection carries, in and out: frames, replies, descriptors. */
#include "support/stream_rig.h"

/* ======= in ======= */

static void a_frame_is_handed_out_whole(void **state)
{
    struct fixture *f = *state;
    say(f, "\0\0\0\5hello", 9);
    until_frames(f, 1);
    assert_memory_equal(f->seen.data + 4, "hello", 5);
}

static void byte_by_byte_gives_the_same_frames_as_all_at_once(void **state)
{
    struct fixture *f = *state;
    struct buffer b = some_frames();
    say(f, b.data, b.size);
    until_frames(f, SOME_FRAMES);
    struct buffer whole = f->seen;
    f->seen = (struct buffer){.limit = 64 << 20};
    for (size_t i = 0; i < b.size; i++) {
        say(f, b.data + i, 1);
        loop_run_once(f->loop);
    }
    until_frames(f, 2 * SOME_FRAMES);
    assert_int_equal(f->seen.size, whole.size);
    assert_memory_equal(f->seen.data, whole.data, whole.size);
    buffer_finish(&whole);
    buffer_finish(&b);
}

static void a_cut_anywhere_gives_the_same_frames(void **state)
{
    struct fixture *f = *state;
    struct buffer b = some_frames();
    for (size_t cut = 1; cut < b.size; cut++) {
        f->frames = 0;
        say(f, b.data, cut);
        loop_run_once(f->loop);
        say(f, b.data + cut, b.size - cut);
        until_frames(f, SOME_FRAMES);
    }
    buffer_finish(&b);
}

static void frames_of_any_allowed_size_arrive(void **state)
{
    struct fixture *f = *state;
    const size_t sizes[] = {FRAME_BYTES_MIN, 16 * 1024, FRAME_MAX - 1, FRAME_MAX};
    for (unsigned i = 0; i < 4; i++) {
        say_frames(f, 1, sizes[i]);
        until_frames(f, i + 1);
    }
}

static void a_giant_length_ends_the_stream_after_a_last_word(void **state)
{
    struct fixture *f = *state;
    say(f, "\xff\xff\xff\xff", 4);
    until_ended(f);
    assert_int_equal(f->brokens, 1);
    assert_int_equal(f->why, STREAM_BROKEN);
    assert_int_equal(hear(f, 100), FRAME_HEADER_BYTES + 3);
}

static void a_length_below_the_least_ends_the_stream(void **state)
{
    struct fixture *f = *state;
    say(f, "\0\0\0\2ab", 6);
    until_ended(f);
    assert_int_equal(f->why, STREAM_BROKEN);
    assert_int_equal(f->frames, 0);
}

static void frames_before_a_broken_one_count(void **state)
{
    struct fixture *f = *state;
    say(f, "\0\0\0\3abc\xff\xff\xff\xff", 11);
    until_ended(f);
    assert_int_equal(f->frames, 1);
}

static void an_announced_length_reserves_nothing(void **state)
{
    struct fixture *f = *state;
    say(f, "\0\0\xff\xff-", 5);
    loop_run_once(f->loop);
    assert_in_range(streams_bytes(f->streams), 1, 512);
}

static void descriptors_sent_by_a_peer_do_not_pile_up(void **state)
{
    struct fixture *f = *state;
    unsigned before = open_files();
    char control[CMSG_SPACE(10 * sizeof(int))] = {0};
    struct iovec body = {(void *)"\0\0\0\3abc", 7};
    struct msghdr m = {
        .msg_iov = &body, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&m);
    *head = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(10 * sizeof(int))};
    memset(CMSG_DATA(head), 0, 10 * sizeof(int)); /* ten times standard input */
    assert_int_equal(sendmsg(f->peer, &m, 0), 7);
    until_frames(f, 1);
    assert_int_equal(open_files(), before);
}

/* ======= out ======= */

static void replies_of_one_read_leave_in_one_send(void **state)
{
    struct fixture *f = *state;
    connect_pair(f, SOCK_SEQPACKET); /* keeps the borders of sends visible */
    f->answer_bytes = 10;
    say_frames(f, 5, 3);
    until_frames(f, 5);
    char room[1000];
    ssize_t n = recv(f->peer, room, sizeof(room), 0);
    assert_int_equal(n, 5 * (FRAME_HEADER_BYTES + 10));
}

static void a_peer_that_reads_nothing_is_read_no_further(void **state)
{
    struct fixture *f = *state;
    f->answer_bytes = 10000;
    say_frames(f, 1000, 3);
    loop_run_once(f->loop);
    assert_true(f->frames < 1000);
    assert_true(stream_unsent(f->stream) <= f->options.write_stop + 10000 + FRAME_HEADER_BYTES);
}

static void what_was_held_back_is_answered_when_the_peer_reads(void **state)
{
    struct fixture *f = *state;
    f->answer_bytes = 10000;
    say_frames(f, 1000, 3);
    assert_int_equal(hear(f, 1000 * 10004), 1000 * 10004);
    assert_int_equal(f->frames, 1000);
}

static void a_peer_that_takes_nothing_for_too_long_is_cut_off(void **state)
{
    struct fixture *f = *state;
    f->options.slow_client = NS_PER_MS;
    f->answer_bytes = 50000;
    say_frames(f, 100, 3);
    until_ended(f);
    assert_int_equal(f->why, STREAM_SLOW);
}

static void a_paused_stream_hands_out_nothing_until_it_is_resumed(void **state)
{
    struct fixture *f = *state;
    f->pause_after_each = true;
    say_frames(f, 3, 3);
    until_frames(f, 1);
    for (unsigned i = 2; i <= 3; i++) {
        stream_resume(f->stream);
        until_frames(f, i);
    }
}

/* 100 of 1000 bytes, and with them the 4 KiB behind which the clock is looked at: in poll, after it, before the next. */
enum { LONG_FRAMES = 100, LONG_BYTES = 1000, LONG_A_TURN = 15 };

static void a_long_turn_leaves_frames_for_the_next(void **state)
{
    struct fixture *f = *state;
    f->takes_long = true;
    say_frames(f, LONG_FRAMES, LONG_BYTES);
    for (unsigned before = 0; f->frames < LONG_FRAMES; before = f->frames) {
        loop_run_once(f->loop);
        assert_in_range(f->frames, before + 1, before + LONG_A_TURN);
    }
}

static void long_turns_hand_out_the_same_frames(void **state)
{
    struct fixture *f = *state;
    struct buffer all = {.limit = 1 << 24};
    f->takes_long = true;
    for (unsigned i = 0; i < LONG_FRAMES; i++)
        add_frame(&all, LONG_BYTES + i);
    say(f, all.data, all.size - 500); /* the last one later */
    until_frames(f, LONG_FRAMES - 1);
    say(f, all.data + all.size - 500, 500);
    until_frames(f, LONG_FRAMES);
    assert_int_equal(f->seen.size, all.size);
    for (size_t at = 0, i = 0; i < LONG_FRAMES; at += FRAME_HEADER_BYTES + LONG_BYTES + i, i++)
        assert_memory_equal(f->seen.data + at + 4, all.data + at + FRAME_HEADER_BYTES, LONG_BYTES + i);
    buffer_finish(&all);
}

static void what_a_dead_peer_had_said_is_heard_through_long_turns(void **state)
{
    struct fixture *f = *state;
    f->takes_long = true;
    f->answer_bytes = 100; /* which nobody reads */
    say_frames(f, LONG_FRAMES, LONG_BYTES);
    loop_run_once(f->loop);
    assert_true(f->frames < LONG_FRAMES);
    close(f->peer);
    f->peer = -1;
    until_ended(f);
    assert_int_equal(f->frames, LONG_FRAMES);
}

static void half_a_frame_behind_held_ones_is_not_lost(void **state)
{
    struct fixture *f = *state;
    f->pause_after_each = true;
    say(f, "\0\0\0\3abc\0\0\0\3def\0\0\0\3g", 19);
    until_frames(f, 1);
    stream_resume(f->stream);
    until_frames(f, 2);
    stream_resume(f->stream);
    loop_run_once(f->loop);
    say(f, "hi", 2);
    until_frames(f, 3);
    assert_memory_equal(f->seen.data + f->seen.size - 3, "ghi", 3);
}

/* ======= descriptors ======= */

static ssize_t hear_with_fds(struct fixture *f, char *room, size_t size, int *ret_fds, unsigned *ret_count)
{
    char control[CMSG_SPACE(4 * sizeof(int))];
    struct iovec body = {room, size};
    struct msghdr m = {
        .msg_iov = &body, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    ssize_t n;
    while ((n = recvmsg(f->peer, &m, MSG_CMSG_CLOEXEC)) < 0 && errno == EAGAIN)
        loop_run_once(f->loop);
    struct cmsghdr *head = m.msg_controllen ? CMSG_FIRSTHDR(&m) : NULL;
    *ret_count = head ? (unsigned)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int)) : 0;
    if (head)
        memcpy(ret_fds, CMSG_DATA(head), *ret_count * sizeof(int));
    return n;
}

static void pass_two(struct fixture *f)
{
    int fds[2] = {open("/dev/null", O_RDONLY | O_CLOEXEC), open("/dev/zero", O_RDONLY | O_CLOEXEC)};
    size_t mark = stream_out(f->stream)->size;
    answer(f, f->stream, 20);
    stream_pass(f->stream, mark, fds, 2);
}

static void descriptors_ride_on_the_first_byte_of_their_frame(void **state)
{
    struct fixture *f = *state;
    char room[1000];
    int fds[4];
    unsigned count;
    answer(f, f->stream, 7);
    pass_two(f);
    answer(f, f->stream, 9);
    loop_run_once(f->loop);
    assert_int_equal(hear_with_fds(f, room, FRAME_HEADER_BYTES + 7, fds, &count), FRAME_HEADER_BYTES + 7);
    assert_int_equal(count, 0);
    assert_true(hear_with_fds(f, room, 1, fds, &count) == 1);
    assert_int_equal(count, 2);
    assert_int_equal(read(fds[1], room, 4), 4); /* the second is /dev/zero */
    close(fds[0]);
    close(fds[1]);
}

static void descriptors_wait_for_room_like_everything_else(void **state)
{
    struct fixture *f = *state;
    char room[1 << 16];
    int fds[4];
    unsigned count = 0;
    while (stream_unsent(f->stream) == 0) { /* until the socket takes no more */
        answer(f, f->stream, 50000);
        loop_run_once(f->loop);
    }
    pass_two(f);
    while (!count)
        assert_true(hear_with_fds(f, room, sizeof(room), fds, &count) > 0);
    assert_int_equal(count, 2);
    close(fds[0]);
    close(fds[1]);
}

static void descriptors_of_a_dead_peer_are_closed(void **state)
{
    struct fixture *f = *state;
    unsigned before = open_files();
    pass_two(f);
    stream_cut(f->stream);
    until_ended(f);
    assert_int_equal(open_files(), before - 1); /* the connection's own */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_frame_is_handed_out_whole),
        TEST(byte_by_byte_gives_the_same_frames_as_all_at_once),
        TEST(a_cut_anywhere_gives_the_same_frames),
        TEST(frames_of_any_allowed_size_arrive),
        TEST(a_giant_length_ends_the_stream_after_a_last_word),
        TEST(a_length_below_the_least_ends_the_stream),
        TEST(frames_before_a_broken_one_count),
        TEST(an_announced_length_reserves_nothing),
        TEST(descriptors_sent_by_a_peer_do_not_pile_up),
        TEST_UNCONNECTED(replies_of_one_read_leave_in_one_send),
        TEST(a_peer_that_reads_nothing_is_read_no_further),
        TEST(what_was_held_back_is_answered_when_the_peer_reads),
        TEST(a_peer_that_takes_nothing_for_too_long_is_cut_off),
        TEST(a_paused_stream_hands_out_nothing_until_it_is_resumed),
        TEST(a_long_turn_leaves_frames_for_the_next),
        TEST(long_turns_hand_out_the_same_frames),
        TEST(what_a_dead_peer_had_said_is_heard_through_long_turns),
        TEST(half_a_frame_behind_held_ones_is_not_lost),
        TEST(descriptors_ride_on_the_first_byte_of_their_frame),
        TEST(descriptors_wait_for_room_like_everything_else),
        TEST(descriptors_of_a_dead_peer_are_closed),
    };
    return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
