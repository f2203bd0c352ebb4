/* liblarder against a peer that behaves as no daemon does: a thread that follows a script.  Only for what a real
 * larderd cannot be made to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "proto/status.h"
#include "support/client_peer.h"

/* ======= scripts ======= */

static void until_the_client_leaves(int fd)
{
    struct wire_head head;
    while (peer_take(fd, &head))
        ;
}

static void never_answers(struct peer *p, int fd)
{
    until_the_client_leaves(fd);
}

static void hangs_up(struct peer *p, int fd)
{
}

static void sends_garbage(struct peer *p, int fd)
{
    static const char bytes[] = "\0\0\0\x10garbage garbage!";
    struct wire_head head;
    peer_take(fd, &head);
    send(fd, bytes, sizeof(bytes) - 1, MSG_NOSIGNAL);
    until_the_client_leaves(fd);
}

static void announces_a_giant(struct peer *p, int fd)
{
    struct wire_head head;
    peer_take(fd, &head);
    send(fd, "\xff\xff\xff\xff", 4, MSG_NOSIGNAL);
    until_the_client_leaves(fd);
}

static void says_half_a_welcome(struct peer *p, int fd)
{
    struct wire_head head;
    struct wire_welcome w = peer_welcome(0);
    struct buffer b;
    buffer_init(&b, 4100);
    peer_take(fd, &head);
    wire_write_welcome(&b, head.id, &w, 4096);
    peer_send(fd, &b, b.size / 2);
    buffer_finish(&b);
    until_the_client_leaves(fd);
}

static void says_half_a_welcome_and_hangs_up(struct peer *p, int fd)
{
    struct wire_head head;
    struct wire_welcome w = peer_welcome(0);
    struct buffer b;
    buffer_init(&b, 4100);
    peer_take(fd, &head);
    wire_write_welcome(&b, head.id, &w, 4096);
    peer_send(fd, &b, b.size / 2);
    buffer_finish(&b);
}

static void welcomes_without_limits(struct peer *p, int fd)
{
    struct wire_head head;
    struct wire_welcome w = peer_welcome(0);
    w.frame_max = UINT32_MAX;
    peer_take(fd, &head);
    peer_send_welcome(fd, head.id, &w, NULL, 0);
    until_the_client_leaves(fd);
}

static void speaks_another_version(struct peer *p, int fd)
{
    struct wire_head head;
    struct wire_welcome w = peer_welcome(0);
    w.version = 9;
    peer_take(fd, &head);
    peer_send_welcome(fd, head.id, &w, NULL, 0);
    until_the_client_leaves(fd);
}

static void welcomes_and_falls_silent(struct peer *p, int fd)
{
    if (peer_greet(fd))
        until_the_client_leaves(fd);
}

static void welcomes_and_hangs_up_on_a_request(struct peer *p, int fd)
{
    struct wire_head head;
    if (peer_greet(fd))
        peer_take(fd, &head);
}

static void cuts_a_reply_in_half(struct peer *p, int fd)
{
    struct wire_head head;
    struct buffer b;
    buffer_init(&b, 4100);
    if (peer_greet(fd) && peer_take(fd, &head)) {
        struct wire_pong pong = {.payload = slice_text("larder")};
        wire_write_pong(&b, head.id, &pong, 4096);
        peer_send(fd, &b, b.size - 2);
    }
    buffer_finish(&b);
}

static void answers_late_replies_first(struct peer *p, int fd)
{
    struct wire_head head;
    if (!peer_greet(fd))
        return;
    while (peer_take(fd, &head)) {
        peer_send_pong(fd, head.id + 1000, "another's");
        peer_send_pong(fd, head.id - 1, "late");
        peer_send_pong(fd, head.id, "larder");
    }
}

static void answers_with_another_message(struct peer *p, int fd)
{
    struct wire_head head;
    if (!peer_greet(fd))
        return;
    while (peer_take(fd, &head))
        peer_send_pong(fd, head.id, "not what was asked");
}

static void answers_one_byte_at_a_time(struct peer *p, int fd)
{
    struct wire_head head;
    struct buffer b;
    struct wire_pong pong = {.payload = slice_text("larder")};
    buffer_init(&b, 4100);
    if (peer_greet(fd) && peer_take(fd, &head)) {
        wire_write_pong(&b, head.id, &pong, 4096);
        for (size_t i = 0; i < b.size; i++)
            send(fd, b.data + i, 1, MSG_NOSIGNAL);
        until_the_client_leaves(fd);
    }
    buffer_finish(&b);
}

static void answers_fewer_entries_than_keys(struct peer *p, int fd)
{
    struct wire_head head;
    struct buffer b;
    struct wire_values none = {.entries = {.count = 0}};
    buffer_init(&b, 4100);
    if (peer_greet(fd) && peer_take(fd, &head)) {
        wire_write_values(&b, head.id, &none, 4096);
        peer_send(fd, &b, b.size);
        until_the_client_leaves(fd);
    }
    buffer_finish(&b);
}

/* A first connection that breaks after a request, then one that answers. */
static void breaks_once(struct peer *p, int fd)
{
    struct wire_head head;
    if (!peer_greet(fd) || !peer_take(fd, &head))
        return;
    peer_send_pong(fd, head.id, "larder"); /* the connection is worth keeping */
    if (p->connections == 1) {
        peer_take(fd, &head);
        return;
    }
    while (peer_take(fd, &head))
        peer_send_pong(fd, head.id, "larder");
}

static void carries_out(int fd, const struct wire_head *request)
{
    struct wire_result done = {.status = STATUS_OK};
    struct buffer b;
    buffer_init(&b, 4096);
    wire_write_result(&b, request->id, &done, 4096);
    peer_send(fd, &b, b.size);
    until_the_client_leaves(fd);
    buffer_finish(&b);
}

/* A first connection that is closed with a request in it unread, then one that carries everything out. */
static void leaves_a_request_unread_once(struct peer *p, int fd)
{
    struct wire_head head;
    if (!peer_greet(fd) || !peer_take(fd, &head))
        return;
    if (p->connections == 1) {
        peer_send_pong(fd, head.id, "larder");
        poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1);
        return;
    }
    carries_out(fd, &head);
}

/* As that, and the request is the first on it. */
static void greets_and_leaves_the_first_request_unread_once(struct peer *p, int fd)
{
    struct wire_head head;
    if (!peer_greet(fd))
        return;
    if (p->connections == 1)
        poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1);
    else if (peer_take(fd, &head))
        carries_out(fd, &head);
}

/* One that stops while it is greeted, then one that answers. */
static void hangs_up_on_the_first_greeting(struct peer *p, int fd)
{
    struct wire_head head;
    if (p->connections == 1 || !peer_greet(fd))
        return;
    while (peer_take(fd, &head))
        peer_send_pong(fd, head.id, "larder");
}

/* ======= hellos that go wrong ======= */

static int ping_of(script_fn *script)
{
    struct peer p;
    peer_start(&p, script);
    larder_client *c = peer_client(&p, false);
    int r = larder_ping(c);
    larder_close(c);
    peer_finish(&p);
    return r;
}

static void a_peer_that_never_answers_is_a_time_out(void **state)
{
    assert_int_equal(ping_of(never_answers), LARDER_E_TIMEOUT);
}

static void a_peer_that_hangs_up_is_unreachable(void **state)
{
    assert_int_equal(ping_of(hangs_up), LARDER_E_UNREACHABLE);
}

static void garbage_is_a_protocol_error(void **state)
{
    assert_int_equal(ping_of(sends_garbage), LARDER_E_PROTOCOL);
}

static void a_giant_length_is_refused_before_memory_is_taken(void **state)
{
    assert_int_equal(ping_of(announces_a_giant), LARDER_E_PROTOCOL);
}

static void half_a_welcome_is_a_time_out(void **state)
{
    assert_int_equal(ping_of(says_half_a_welcome), LARDER_E_TIMEOUT);
}

static void half_a_welcome_and_the_end_is_unreachable(void **state)
{
    assert_int_equal(ping_of(says_half_a_welcome_and_hangs_up), LARDER_E_UNREACHABLE);
}

static void limits_that_make_no_sense_are_a_protocol_error(void **state)
{
    assert_int_equal(ping_of(welcomes_without_limits), LARDER_E_PROTOCOL);
}

static void another_version_is_named_so(void **state)
{
    assert_int_equal(ping_of(speaks_another_version), LARDER_E_VERSION);
}

/* It would pass over the words in silence, and the caller would believe a promise nobody gave. */
static void what_an_older_daemon_does_not_know_is_not_asked_of_it(void **state)
{
    struct peer p;
    larder_set_options set = LARDER_SET_OPTIONS_INIT;
    larder_invalidate_options invalidate = LARDER_INVALIDATE_OPTIONS_INIT;
    peer_start(&p, welcomes_and_falls_silent);
    larder_client *c = peer_client(&p, false);
    set.wait_all = invalidate.wait_all = invalidate.all = true;
    assert_int_equal(larder_set(c, larder_text("k"), larder_text("v"), &set), LARDER_E_UNSUPPORTED);
    assert_int_equal(larder_invalidate_all_of(c, &invalidate), LARDER_E_UNSUPPORTED);
    larder_close(c);
    peer_finish(&p);
}

/* ======= replies that go wrong ======= */

static void silence_after_a_request_is_a_time_out(void **state)
{
    assert_int_equal(ping_of(welcomes_and_falls_silent), LARDER_E_TIMEOUT);
}

static void replies_to_others_are_dropped(void **state)
{
    assert_int_equal(ping_of(answers_late_replies_first), LARDER_OK);
}

static void a_reply_in_single_bytes_is_put_together(void **state)
{
    assert_int_equal(ping_of(answers_one_byte_at_a_time), LARDER_OK);
}

static void a_reply_cut_in_half_is_unreachable_for_a_read(void **state)
{
    assert_int_equal(ping_of(cuts_a_reply_in_half), LARDER_E_UNREACHABLE);
}

static void a_reply_of_another_kind_is_a_protocol_error(void **state)
{
    struct peer p;
    peer_start(&p, answers_with_another_message);
    larder_client *c = peer_client(&p, false);
    assert_int_equal(larder_invalidate(c, larder_text("k")), LARDER_E_PROTOCOL);
    larder_close(c);
    peer_finish(&p);
}

static void an_entry_too_few_is_a_protocol_error(void **state)
{
    struct peer p;
    larder_value v = LARDER_VALUE_INIT;
    peer_start(&p, answers_fewer_entries_than_keys);
    larder_client *c = peer_client(&p, false);
    assert_int_equal(larder_get(c, larder_text("k"), NULL, &v), LARDER_E_PROTOCOL);
    larder_value_free(&v);
    larder_close(c);
    peer_finish(&p);
}

static void a_change_whose_reply_never_comes_is_unknown_and_sent_once(void **state)
{
    struct peer p;
    peer_start(&p, welcomes_and_hangs_up_on_a_request);
    larder_client *c = peer_client(&p, false);
    assert_int_equal(larder_set(c, larder_text("k"), larder_text("v"), NULL), LARDER_E_UNKNOWN);
    larder_close(c);
    peer_finish(&p);
    assert_int_equal(p.connections, 1);
}

static void a_change_that_was_left_unread_is_sent_again_on_a_new_connection(void **state)
{
    struct peer p;
    peer_start(&p, leaves_a_request_unread_once);
    larder_client *c = peer_client(&p, false);
    assert_int_equal(larder_ping(c), LARDER_OK);
    assert_int_equal(larder_invalidate(c, larder_text("k")), LARDER_OK);
    larder_close(c);
    peer_finish(&p);
    assert_int_equal(p.connections, 2);
}

static void so_is_one_left_unread_by_a_daemon_that_had_just_greeted(void **state)
{
    struct peer p;
    peer_start(&p, greets_and_leaves_the_first_request_unread_once);
    larder_client *c = peer_client(&p, false);
    assert_int_equal(larder_invalidate(c, larder_text("k")), LARDER_OK);
    larder_close(c);
    peer_finish(&p);
    assert_int_equal(p.connections, 2);
}

/* More than a socket holds: some of it has left when the connection breaks. */
static void so_is_one_that_had_only_begun_to_leave(void **state)
{
    enum { KEYS = 900, BYTES = 1000 };
    static char text[BYTES];
    larder_slice keys[KEYS];
    larder_invalidate_options o = LARDER_INVALIDATE_OPTIONS_INIT;
    struct peer p;
    memset(text, 'k', BYTES);
    for (int i = 0; i < KEYS; i++)
        keys[i] = larder_bytes(text, BYTES);
    o.keys = keys;
    o.keys_count = KEYS;
    peer_start(&p, greets_and_leaves_the_first_request_unread_once);
    larder_client *c = peer_client(&p, false);
    assert_int_equal(larder_invalidate_all_of(c, &o), LARDER_OK);
    larder_close(c);
    peer_finish(&p);
    assert_int_equal(p.connections, 2);
}

static void a_daemon_that_stops_while_it_is_greeted_is_followed_by_the_next(void **state)
{
    struct peer p;
    peer_start(&p, hangs_up_on_the_first_greeting);
    larder_client *c = peer_client(&p, false);
    assert_int_equal(larder_ping(c), LARDER_OK);
    larder_close(c);
    peer_finish(&p);
    assert_int_equal(p.connections, 2);
}

static void a_read_whose_connection_breaks_is_asked_again_on_a_new_one(void **state)
{
    struct peer p;
    peer_start(&p, breaks_once);
    larder_client *c = peer_client(&p, false);
    assert_int_equal(larder_ping(c), LARDER_OK);
    assert_int_equal(larder_ping(c), LARDER_OK);
    larder_close(c);
    peer_finish(&p);
    assert_int_equal(p.connections, 2);
}

static void a_peer_that_cannot_be_had_is_left_alone_for_a_while(void **state)
{
    struct peer p;
    larder_value v = LARDER_VALUE_INIT;
    peer_start(&p, hangs_up);
    larder_client *c = peer_client(&p, false);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(larder_get(c, larder_text("k"), NULL, &v), LARDER_E_UNREACHABLE);
    larder_close(c);
    peer_finish(&p);
    assert_true(p.connections < 100); /* a few, one a back-off */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_that_never_answers_is_a_time_out),
        cmocka_unit_test(a_peer_that_hangs_up_is_unreachable),
        cmocka_unit_test(garbage_is_a_protocol_error),
        cmocka_unit_test(a_giant_length_is_refused_before_memory_is_taken),
        cmocka_unit_test(half_a_welcome_is_a_time_out),
        cmocka_unit_test(half_a_welcome_and_the_end_is_unreachable),
        cmocka_unit_test(limits_that_make_no_sense_are_a_protocol_error),
        cmocka_unit_test(another_version_is_named_so),
        cmocka_unit_test(what_an_older_daemon_does_not_know_is_not_asked_of_it),
        cmocka_unit_test(silence_after_a_request_is_a_time_out),
        cmocka_unit_test(replies_to_others_are_dropped),
        cmocka_unit_test(a_reply_in_single_bytes_is_put_together),
        cmocka_unit_test(a_reply_cut_in_half_is_unreachable_for_a_read),
        cmocka_unit_test(a_reply_of_another_kind_is_a_protocol_error),
        cmocka_unit_test(an_entry_too_few_is_a_protocol_error),
        cmocka_unit_test(a_change_whose_reply_never_comes_is_unknown_and_sent_once),
        cmocka_unit_test(a_change_that_was_left_unread_is_sent_again_on_a_new_connection),
        cmocka_unit_test(so_is_one_left_unread_by_a_daemon_that_had_just_greeted),
        cmocka_unit_test(so_is_one_that_had_only_begun_to_leave),
        cmocka_unit_test(a_daemon_that_stops_while_it_is_greeted_is_followed_by_the_next),
        cmocka_unit_test(a_read_whose_connection_breaks_is_asked_again_on_a_new_one),
        cmocka_unit_test(a_peer_that_cannot_be_had_is_left_alone_for_a_while),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
