/* Leases of the library with a peer that is late, or from before there were any. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include "client/larder_async.h"
#include "proto/status.h"
#include "support/client_peer.h"

static const char lease_token[] = "the lease", miss_token[] = "the miss";

/* ======= what the peer does ======= */

static _Atomic int leases, gets, fills, failures;
static sem_t may_answer;

static void greet(int fd, uint8_t version)
{
    struct wire_head head;
    struct wire_welcome w = peer_welcome(0);
    w.version = version;
    if (peer_take(fd, &head) && head.code == WIRE_HELLO)
        peer_send_welcome(fd, head.id, &w, NULL, 0);
}

static void send_entry(int fd, uint64_t id, uint8_t status, const char *token)
{
    struct buffer b;
    struct wire_entry entry = {
        .status = status, .reason = status == STATUS_MISS ? MISS_COLD : 0, .token = slice_text(token)};
    struct wire_values values = {.entries = {.count = 1, .items = &entry}};
    buffer_init(&b, 4096);
    assert_int_equal(wire_write_values(&b, id, &values, 4000), 0);
    peer_send(fd, &b, b.size);
    buffer_finish(&b);
}

static void send_done(int fd, uint64_t id, bool of_set)
{
    struct buffer b;
    struct wire_outcome outcome = {.status = STATUS_OK};
    struct wire_outcomes outcomes = {.outcomes = {.count = 1, .items = &outcome}};
    struct wire_result result = {.status = STATUS_OK};
    buffer_init(&b, 4096);
    assert_int_equal(
        of_set ? wire_write_outcomes(&b, id, &outcomes, 4000) : wire_write_result(&b, id, &result, 4000), 0);
    peer_send(fd, &b, b.size);
    buffer_finish(&b);
}

/* Something nobody asked for shows that it lives; the lease itself comes when its asker has long gone on without it. */
static void answer_late(int fd, uint64_t id)
{
    send_entry(fd, UINT64_MAX, STATUS_MISS, "");
    while (sem_wait(&may_answer) != 0)
        ;
    send_entry(fd, id, STATUS_LEASE, lease_token);
}

static void serve(int fd, uint8_t version)
{
    struct wire_head head;
    greet(fd, version);
    while (peer_take(fd, &head)) {
        switch (head.code) {
        case WIRE_LEASE:
            leases++;
            answer_late(fd, head.id);
            break;
        case WIRE_GET:
            gets++;
            send_entry(fd, head.id, STATUS_MISS, miss_token);
            break;
        case WIRE_SET:
            fills++;
            send_done(fd, head.id, true);
            break;
        case WIRE_FAIL:
            failures++;
            send_done(fd, head.id, false);
            break;
        default: break;
        }
    }
}

static void late_script(struct peer *p, int fd)
{
    serve(fd, 3);
}

static void old_script(struct peer *p, int fd)
{
    if (p->connections == 1) /* whoever came later has left by now */
        serve(fd, 2);
}

static void start(struct peer *p, script_fn *script)
{
    leases = gets = fills = failures = 0;
    sem_init(&may_answer, 0, 0);
    peer_start(p, script);
}

/* ======= what the app does ======= */

static larder_async *open_async(const struct peer *p, uint32_t get_ms)
{
    larder_async *a;
    larder_options o = LARDER_OPTIONS_INIT;
    o.socket = p->path;
    o.no_shared_memory = true;
    o.get_ms = get_ms;
    o.change_ms = o.connect_ms = 10000;
    assert_int_equal(larder_async_open(&a, &o), LARDER_OK);
    return a;
}

static void turn_until(larder_async *a, const _Atomic int *count)
{
    while (*count == 0) {
        struct pollfd fd = {.fd = larder_async_fd(a), .events = larder_async_events(a)};
        poll(&fd, 1, larder_async_timeout(a));
        larder_async_process(a);
    }
}

static _Atomic int loads, answers;

static void load_now(void *user, larder_slice key, larder_load *load)
{
    loads++;
    assert_int_equal(larder_loaded_set(larder_load_result(load), larder_text("value")), LARDER_OK);
    larder_async_fill(load);
}

static void count_answer(void *user, int result, larder_value *value)
{
    answers++;
    *(int *)user = result;
}

static int load_plainly(void *user, larder_slice key, larder_loaded *ret)
{
    loads++;
    return larder_loaded_set(ret, larder_text("value"));
}

/* ======= tests ======= */

static void a_lease_that_comes_too_late_is_given_back(void **state)
{
    struct peer p;
    int result;
    start(&p, late_script);
    larder_async *a = open_async(&p, 1000); /* time enough for the peer to show that it lives */
    loads = answers = 0;
    larder_async_get_or_load(a, larder_text("late"), NULL, load_now, NULL, count_answer, &result);
    turn_until(a, &answers);
    assert_int_equal(result, LARDER_HIT);
    sem_post(&may_answer);
    turn_until(a, &failures);
    assert_int_equal(leases, 1);
    assert_int_equal(loads, 1);
    larder_async_close(a);
    peer_finish(&p);
}

static void a_daemon_from_before_leases_is_asked_as_it_can_be(void **state)
{
    struct peer p;
    larder_value v = LARDER_VALUE_INIT;
    start(&p, old_script);
    larder_options o = LARDER_OPTIONS_INIT;
    larder_client *c;
    o.socket = p.path;
    o.no_shared_memory = true;
    o.get_ms = 10000;
    o.connect_ms = 1000; /* the fill goes over another connection, and this peer serves one at a time */
    assert_int_equal(larder_open(&c, &o), LARDER_OK);
    loads = 0;
    assert_int_equal(larder_get_or_load(c, larder_text("k"), NULL, load_plainly, NULL, &v), LARDER_HIT);
    assert_int_equal(leases, 0);
    assert_int_equal(gets, 1);
    assert_int_equal(loads, 1);
    larder_value_free(&v);
    larder_close(c);
    peer_finish(&p);
}

static void so_it_is_in_a_loop(void **state)
{
    struct peer p;
    int result;
    start(&p, old_script);
    larder_async *a = open_async(&p, 10000);
    loads = answers = 0;
    larder_async_get_or_load(a, larder_text("k"), NULL, load_now, NULL, count_answer, &result);
    turn_until(a, &answers);
    assert_int_equal(result, LARDER_HIT);
    assert_int_equal(leases, 0);
    assert_int_equal(gets, 1);
    assert_int_equal(fills, 1);
    larder_async_close(a);
    peer_finish(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lease_that_comes_too_late_is_given_back),
        cmocka_unit_test(a_daemon_from_before_leases_is_asked_as_it_can_be),
        cmocka_unit_test(so_it_is_in_a_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
