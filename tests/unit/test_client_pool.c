/* How long a client waits before it tries again: short where an attempt costs nothing, longer each time where it does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "client/client.h"

struct place {
    char folder[32], path[64];
    larder_client *client;
};

static int make(void **state, uint32_t connect_ms)
{
    static struct place p;
    larder_options o = LARDER_OPTIONS_INIT;
    snprintf(p.folder, sizeof(p.folder), "/tmp/larder-test.XXXXXX");
    assert_non_null(mkdtemp(p.folder));
    snprintf(p.path, sizeof(p.path), "%s/s", p.folder);
    o.socket = p.path;
    o.connect_ms = connect_ms;
    o.no_shared_memory = true; /* one attempt a call: attaching would be another one */
    assert_int_equal(larder_open(&p.client, &o), LARDER_OK);
    *state = &p;
    return 0;
}

/* A refusal comes at once, however long one would wait, on a machine that is busy too. */
static int make_place(void **state)
{
    return make(state, 10000);
}

static int make_hasty_place(void **state)
{
    return make(state, 1);
}

static int drop_place(void **state)
{
    struct place *p = *state;
    larder_close(p->client);
    unlink(p->path);
    rmdir(p->folder);
    return 0;
}

/* As if the time to try again had come. */
static int try_again(struct place *p)
{
    atomic_store(&p->client->pool.retry_at_ns, 0);
    return larder_ping(p->client);
}

static uint64_t backoff_ns(struct place *p)
{
    return atomic_load(&p->client->pool.backoff_ns);
}

static int listen_at(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 16), 0);
    return fd;
}

static void where_nobody_listens_the_wait_stays_short(void **state)
{
    struct place *p = *state;
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(try_again(p), LARDER_E_UNREACHABLE);
    assert_int_equal(backoff_ns(p), BACKOFF_REFUSED_NS);
}

static void a_dead_daemons_socket_is_tried_as_often(void **state)
{
    struct place *p = *state;
    close(listen_at(p->path));
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(try_again(p), LARDER_E_UNREACHABLE);
    assert_int_equal(backoff_ns(p), BACKOFF_REFUSED_NS);
}

static void a_daemon_that_says_nothing_is_tried_less_and_less(void **state)
{
    struct place *p = *state;
    int fd = listen_at(p->path);
    uint64_t expected = BACKOFF_MIN_NS;
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(try_again(p), LARDER_E_TIMEOUT);
        assert_int_equal(backoff_ns(p), expected);
        expected = expected * 2 > BACKOFF_MAX_NS ? BACKOFF_MAX_NS : expected * 2;
    }
    close(fd);
}

static uint64_t gets_wait_ms(const char *environment, uint32_t get_ms)
{
    larder_client *c;
    larder_options o = LARDER_OPTIONS_INIT;
    o.get_ms = get_ms;
    setenv("LARDER_TIMEOUT_MS", environment, 1);
    assert_int_equal(larder_open(&c, &o), LARDER_OK);
    uint64_t ns = c->get_ns;
    larder_close(c);
    unsetenv("LARDER_TIMEOUT_MS");
    return ns / 1000000;
}

static void the_environment_says_the_deadlines_that_the_program_leaves_open(void **state)
{
    (void)state;
    assert_int_equal(gets_wait_ms("7000", 0), 7000);
    assert_int_equal(gets_wait_ms("7000", 20), 20);
    assert_int_equal(gets_wait_ms("99999999999999999999", 0), 60000);
    for (const char *const *nothing = (const char *const[]){"", "0", "-5", "soon", NULL}; *nothing; nothing++)
        assert_int_equal(gets_wait_ms(*nothing, 0), 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_environment_says_the_deadlines_that_the_program_leaves_open),
        cmocka_unit_test_setup_teardown(where_nobody_listens_the_wait_stays_short, make_place, drop_place),
        cmocka_unit_test_setup_teardown(a_dead_daemons_socket_is_tried_as_often, make_place, drop_place),
        cmocka_unit_test_setup_teardown(a_daemon_that_says_nothing_is_tried_less_and_less, make_hasty_place,
                                        drop_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
