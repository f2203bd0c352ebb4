/* larder_async against a peer that goes away as daemons do that are stopped or killed: what is sent again, and what not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include "client/larder_async.h"
#include "proto/status.h"
#include "support/client_peer.h"

enum { ONCE = 1, PATIENCE_MS = 20000 };

static struct peer peer;
static larder_async *a;
static _Atomic int taken; /* requests that the peer has read, on all its connections */

struct told {
    int times, result;
};

static void tell(void *user, int result, larder_value *value)
{
    struct told *t = user;
    t->times++;
    t->result = result;
}

/* ======= scripts ======= */

static bool take(int fd, struct wire_head *ret)
{
    bool came = peer_take(fd, ret);
    taken += came;
    return came;
}

static void answer(int fd, const struct wire_head *request, unsigned status)
{
    struct wire_result result = {.status = (uint8_t)status};
    struct buffer b;
    buffer_init(&b, 4100);
    wire_write_result(&b, request->id, &result, 4096);
    peer_send(fd, &b, b.size);
    buffer_finish(&b);
}

static void carries_everything_out(int fd)
{
    struct wire_head head;
    while (take(fd, &head))
        answer(fd, &head, STATUS_OK);
}

static void until_something_came(int fd)
{
    poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1);
}

static void leaves_the_first_unread(struct peer *p, int fd)
{
    if (!peer_greet(fd))
        return;
    if (p->connections == ONCE)
        until_something_came(fd);
    else
        carries_everything_out(fd);
}

static void leaves_all_unread(struct peer *p, int fd)
{
    if (peer_greet(fd))
        until_something_came(fd);
}

static void takes_one_and_goes(struct peer *p, int fd)
{
    struct wire_head head;
    if (peer_greet(fd) && take(fd, &head) && p->connections > ONCE)
        carries_everything_out(fd);
}

static void is_stopping(struct peer *p, int fd)
{
    struct wire_head head;
    if (!peer_greet(fd))
        return;
    if (p->connections > ONCE) {
        carries_everything_out(fd);
        return;
    }
    while (take(fd, &head))
        answer(fd, &head, STATUS_DRAINING);
}

/* Both are there when it is asked to answer the first: they came with one send. */
static void refuses_one_and_goes(struct peer *p, int fd)
{
    struct wire_head head, second;
    if (!peer_greet(fd))
        return;
    if (p->connections > ONCE)
        carries_everything_out(fd);
    else if (take(fd, &head) && take(fd, &second))
        answer(fd, &head, STATUS_DRAINING);
}

static void hangs_up_on_the_first_greeting(struct peer *p, int fd)
{
    if (p->connections > ONCE && peer_greet(fd))
        carries_everything_out(fd);
}

static void hangs_up(struct peer *p, int fd)
{
}

/* ======= the app ======= */

static void begin(script_fn *script)
{
    larder_options o = LARDER_OPTIONS_INIT;
    taken = 0;
    peer_start(&peer, script);
    o.socket = peer.path;
    o.connect_ms = o.get_ms = o.change_ms = PATIENCE_MS;
    o.no_shared_memory = true;
    assert_int_equal(larder_async_open(&a, &o), LARDER_OK);
}

static void end(void)
{
    larder_async_close(a);
    peer_finish(&peer);
}

static void invalidate(const char *key, struct told *ret)
{
    larder_invalidate_options o = LARDER_INVALIDATE_OPTIONS_INIT;
    larder_slice name = larder_text(key);
    *ret = (struct told){0};
    o.keys = &name;
    o.keys_count = 1;
    assert_int_equal(larder_async_invalidate(a, &o, tell, ret), LARDER_OK);
}

static void until_told(const struct told *t)
{
    while (!t->times) {
        struct pollfd p = {.fd = larder_async_fd(a), .events = larder_async_events(a)};
        poll(&p, 1, larder_async_timeout(a));
        larder_async_process(a);
    }
}

static int invalidated(const char *key)
{
    struct told t;
    invalidate(key, &t);
    until_told(&t);
    assert_int_equal(t.times, 1);
    return t.result;
}

/* ======= tests ======= */

static void a_change_that_was_left_unread_is_sent_again(void **state)
{
    begin(leaves_the_first_unread);
    assert_int_equal(invalidated("k"), LARDER_OK);
    end();
    assert_int_equal(taken, 1);
}

static void but_only_once(void **state)
{
    begin(leaves_all_unread);
    assert_int_equal(invalidated("k"), LARDER_E_UNREACHABLE);
    end();
}

static void of_several_left_unread_the_last_alone_is_certain(void **state)
{
    struct told first, last;
    begin(leaves_the_first_unread);
    invalidate("first", &first);
    invalidate("last", &last);
    until_told(&first);
    until_told(&last);
    assert_int_equal(first.result, LARDER_E_UNKNOWN);
    assert_int_equal(last.result, LARDER_OK);
    end();
    assert_int_equal(taken, 1);
}

static void a_change_that_was_read_and_not_answered_is_unknown_and_sent_once(void **state)
{
    begin(takes_one_and_goes);
    assert_int_equal(invalidated("k"), LARDER_E_UNKNOWN);
    end();
    assert_int_equal(taken, 1);
}

static void a_read_is_sent_again_whatever_became_of_it(void **state)
{
    struct told t = {0};
    begin(takes_one_and_goes);
    assert_int_equal(larder_async_get(a, larder_text("k"), NULL, tell, &t), LARDER_OK);
    while (taken < 2 && !t.times) {
        struct pollfd p = {.fd = larder_async_fd(a), .events = larder_async_events(a)};
        poll(&p, 1, 1);
        larder_async_process(a);
    }
    assert_int_equal(t.times, 0);
    end();
    assert_int_equal(t.times, 1);
}

static void what_a_stopping_daemon_refused_is_sent_to_the_next(void **state)
{
    begin(is_stopping);
    assert_int_equal(invalidated("k"), LARDER_OK);
    assert_int_equal(invalidated("another"), LARDER_OK);
    end();
    assert_int_equal(taken, 3);
}

static void so_is_what_was_sent_behind_a_refused_one(void **state)
{
    struct told first, second;
    begin(refuses_one_and_goes);
    invalidate("first", &first);
    invalidate("second", &second);
    until_told(&first);
    until_told(&second);
    assert_int_equal(first.result, LARDER_OK);
    assert_int_equal(second.result, LARDER_OK);
    end();
    assert_int_equal(taken, 4);
}

static void a_daemon_that_stops_while_it_is_greeted_is_followed_by_the_next(void **state)
{
    begin(hangs_up_on_the_first_greeting);
    assert_int_equal(invalidated("k"), LARDER_OK);
    end();
    assert_int_equal(taken, 1);
}

static void but_one_that_always_hangs_up_is_no_daemon(void **state)
{
    begin(hangs_up);
    assert_int_equal(invalidated("k"), LARDER_E_UNREACHABLE);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_that_was_left_unread_is_sent_again),
        cmocka_unit_test(but_only_once),
        cmocka_unit_test(of_several_left_unread_the_last_alone_is_certain),
        cmocka_unit_test(a_change_that_was_read_and_not_answered_is_unknown_and_sent_once),
        cmocka_unit_test(a_read_is_sent_again_whatever_became_of_it),
        cmocka_unit_test(what_a_stopping_daemon_refused_is_sent_to_the_next),
        cmocka_unit_test(so_is_what_was_sent_behind_a_refused_one),
        cmocka_unit_test(a_daemon_that_stops_while_it_is_greeted_is_followed_by_the_next),
        cmocka_unit_test(but_one_that_always_hangs_up_is_no_daemon),
    };
    alarm(60);
    return cmocka_run_group_tests_name("client_async_again", tests, NULL, NULL);
}
