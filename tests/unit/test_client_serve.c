/* Loads that the daemon asks for, with a real daemon: larder_serve_loads in threads, larder_async_register_loader in a
 * loop, what their loaders may do, and daemons that come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "client/larder_async.h"
#include "support/daemon.h"

#define T(text) larder_text(text)

struct app {
    larder_client *c;
    const char *text; /* what its loader brings; NULL: nothing */
    size_t bytes;     /* of zeros instead */
    int result;
    bool absent;
    _Atomic int runs;
    _Atomic bool stop;
    int brought;
    pthread_t thread;
};

struct fixture {
    struct daemon larderd;
    larder_client *c; /* who warms */
    struct app app;
};

static larder_client *open_to(const struct fixture *f)
{
    larder_client *c;
    larder_options o = LARDER_OPTIONS_INIT;
    o.socket = f->larderd.socket;
    o.get_ms = o.change_ms = o.connect_ms = 10000;
    assert_int_equal(larder_open(&c, &o), LARDER_OK);
    return c;
}

#define NAMESPACE                                                                                           \
    "[namespace default]\nl1_bytes = 8MiB\nmax_value = 64KiB\n[policy users]\npattern = user:*\nwarming = " \
    "loader\n"

static int begin_with(void **state, const char *config)
{
    struct fixture *f = calloc(1, sizeof(*f));
    daemon_prepare(&f->larderd, config);
    daemon_start(&f->larderd);
    f->c = open_to(f);
    f->app.c = open_to(f);
    *state = f;
    return 0;
}

static int begin(void **state)
{
    return begin_with(state, "[server]\n" NAMESPACE);
}

static int begin_narrow(void **state)
{
    return begin_with(state, "[server]\nrequests_in_flight = 32\n" NAMESPACE);
}

static int end(void **state)
{
    struct fixture *f = *state;
    larder_close(f->c);
    larder_close(f->app.c);
    daemon_finish(&f->larderd);
    free(f);
    return 0;
}

/* ======= an app that serves ======= */

static int loader(void *user, larder_slice key, larder_loaded *ret)
{
    struct app *a = user;
    static const char zeros[100000];
    a->runs++;
    ret->backoff_ms = 60000;
    ret->absent = a->absent;
    if (a->bytes)
        larder_loaded_set(ret, larder_bytes(zeros, a->bytes));
    else if (a->text)
        larder_loaded_set(ret, T(a->text));
    return a->result;
}

static void *serve(void *user)
{
    struct app *a = user;
    larder_serve_options how = LARDER_SERVE_OPTIONS_INIT;
    how.wait_ms = 20;
    while (!a->stop) {
        int r = larder_serve_loads(a->c, &how);
        a->brought += r > 0 ? r : 0;
    }
    return NULL;
}

static bool has_hands(struct fixture *f, const char *text)
{
    char *json;
    if (larder_stats(f->c, &json) != LARDER_OK)
        return false;
    bool found = strstr(json, text) != NULL;
    larder_text_free(json);
    return found;
}

static void serve_with(struct fixture *f)
{
    pthread_create(&f->app.thread, NULL, serve, &f->app);
    while (!has_hands(f, "\"loader_hands\":1"))
        sched_yield();
}

static void app_begin(struct fixture *f)
{
    assert_int_equal(larder_register_loader(f->app.c, T("user:*"), loader, &f->app), LARDER_OK);
    serve_with(f);
}

static void app_end(struct fixture *f)
{
    f->app.stop = true;
    pthread_join(f->app.thread, NULL);
}

static larder_warm_progress warm(struct fixture *f, const char *key)
{
    larder_slice keys[] = {T(key)};
    larder_warm_options how = LARDER_WARM_OPTIONS_INIT;
    larder_warm_progress p;
    how.keys = keys;
    how.keys_count = 1;
    how.load = true;
    assert_int_equal(larder_warm(f->c, &how, &p), LARDER_OK);
    assert_int_equal(p.state, LARDER_WARM_DONE);
    return p;
}

static int get(struct fixture *f, const char *key, const char *text)
{
    larder_value v = LARDER_VALUE_INIT;
    int r = larder_get(f->c, T(key), NULL, &v);
    if (r == LARDER_HIT) {
        assert_int_equal(v.size, strlen(text));
        assert_memory_equal(v.data, text, v.size);
    }
    larder_value_free(&v);
    return r;
}

static void what_is_warmed_is_loaded_by_the_app(void **state)
{
    struct fixture *f = *state;
    f->app.text = "loaded";
    app_begin(f);
    assert_int_equal(warm(f, "user:1").brought, 1);
    assert_int_equal(get(f, "user:1", "loaded"), LARDER_HIT);
    assert_int_equal(warm(f, "page:1").missing, 1);
    app_end(f);
    assert_int_equal(f->app.brought, 1);
}

static void the_app_may_say_that_there_is_none(void **state)
{
    struct fixture *f = *state;
    f->app.absent = true;
    app_begin(f);
    assert_int_equal(warm(f, "user:1").brought, 1);
    assert_int_equal(get(f, "user:1", ""), LARDER_ABSENT);
    app_end(f);
}

static void assert_rests(struct fixture *f)
{
    app_begin(f);
    assert_int_equal(warm(f, "user:1").failed, 1);
    assert_int_equal(warm(f, "user:1").failed, 1);
    app_end(f);
    assert_int_equal(f->app.runs, 1);
    assert_int_equal(get(f, "user:1", ""), LARDER_MISS);
}

static void a_loader_that_fails_is_not_called_again_for_a_while(void **state)
{
    struct fixture *f = *state;
    f->app.result = -7;
    assert_rests(f);
}

static void so_is_one_that_brings_nothing(void **state)
{
    struct fixture *f = *state;
    f->app.text = NULL;
    assert_rests(f);
}

static void a_value_that_is_too_large_is_not_stored(void **state)
{
    struct fixture *f = *state;
    f->app.bytes = 100000;
    app_begin(f);
    assert_int_equal(warm(f, "user:1").failed, 1);
    assert_int_equal(get(f, "user:1", ""), LARDER_MISS);
    app_end(f);
    assert_int_equal(f->app.brought, 0);
}

static void a_daemon_that_is_started_again_is_served_again(void **state)
{
    struct fixture *f = *state;
    f->app.text = "loaded";
    app_begin(f);
    daemon_kill(&f->larderd);
    daemon_start(&f->larderd);
    while (!has_hands(f, "\"loader_hands\":1"))
        sched_yield();
    assert_int_equal(warm(f, "user:1").brought, 1);
    app_end(f);
}

static void patterns_the_daemon_does_not_understand_are_an_error_with_a_reason(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(larder_serve_loads(f->app.c, NULL), LARDER_E_INVALID); /* nothing is registered */
    assert_int_equal(larder_register_loader(f->app.c, T("a,b"), loader, &f->app), LARDER_E_INVALID);
    assert_int_equal(larder_register_loader(f->app.c, T(""), loader, &f->app), LARDER_E_INVALID);
    assert_int_equal(larder_register_loader(f->app.c, T("a:{x}*"), loader, &f->app), LARDER_OK);
    assert_int_equal(larder_serve_loads(f->app.c, NULL), LARDER_E_INVALID);
    assert_non_null(strstr(larder_message(f->app.c), "patterns: "));
}

static void the_seventeenth_pattern_is_one_too_many(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 16; i++)
        assert_int_equal(larder_register_loader(f->app.c, T("a:*"), loader, &f->app), LARDER_OK);
    assert_int_equal(larder_register_loader(f->app.c, T("a:*"), loader, &f->app), LARDER_E_LIMIT);
}

static void without_a_daemon_it_waits_and_returns_in_time(void **state)
{
    struct fixture *f = *state;
    larder_serve_options how = LARDER_SERVE_OPTIONS_INIT;
    daemon_kill(&f->larderd);
    how.wait_ms = 30;
    assert_int_equal(larder_register_loader(f->app.c, T("user:*"), loader, &f->app), LARDER_OK);
    assert_int_equal(larder_serve_loads(f->app.c, &how), 0);
}

static int forks(void *user, larder_slice key, larder_loaded *ret)
{
    _Atomic int *child = user;
    pid_t pid = fork();
    if (pid == 0)
        *child = 1;
    else
        waitpid(pid, NULL, 0);
    return larder_loaded_set(ret, T("loaded"));
}

static _Atomic int in_child;

static void *serve_forking(void *user)
{
    struct app *a = user;
    larder_serve_options how = LARDER_SERVE_OPTIONS_INIT;
    how.wait_ms = 20;
    while (!a->stop) {
        larder_serve_loads(a->c, &how);
        if (in_child)
            _exit(0); /* it came back here, and took no part */
    }
    return NULL;
}

static void a_loader_that_forks_comes_back_in_the_child_without_the_load(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(larder_register_loader(f->app.c, T("user:*"), forks, &in_child), LARDER_OK);
    pthread_create(&f->app.thread, NULL, serve_forking, &f->app);
    while (!has_hands(f, "\"loader_hands\":1"))
        sched_yield();
    assert_int_equal(warm(f, "user:1").brought, 1);
    assert_int_equal(get(f, "user:1", "loaded"), LARDER_HIT);
    app_end(f);
}

/* ======= keys by name ======= */

enum { NAMED = 3000 };

static int list_users(void *user, larder_slice pattern, larder_listing *ret)
{
    char key[32];
    int r = larder_listing_add(ret, larder_bytes("", 0));
    assert_int_equal(r, LARDER_E_KEY);
    for (int i = 0; i < NAMED && r != LARDER_REFUSED; i++) {
        snprintf(key, sizeof(key), "user:%d", i);
        r = larder_listing_add(ret, T(key));
    }
    return *(int *)user;
}

static larder_warm_progress run(struct fixture *f)
{
    larder_warm_options how = LARDER_WARM_OPTIONS_INIT;
    larder_warm_progress p;
    how.policy = "users";
    assert_int_equal(larder_warm(f->c, &how, &p), LARDER_OK);
    return p;
}

static void the_app_names_what_is_to_be_warmed_and_loads_it(void **state)
{
    struct fixture *f = *state;
    int result = 0;
    f->app.text = "loaded";
    assert_int_equal(larder_register_lister(f->app.c, T("user:*"), list_users, &result), LARDER_E_INVALID);
    assert_int_equal(larder_register_loader(f->app.c, T("user:*"), loader, &f->app), LARDER_OK);
    assert_int_equal(larder_register_lister(f->app.c, T("user:*"), list_users, &result), LARDER_OK);
    serve_with(f);
    larder_warm_progress p = run(f);
    assert_int_equal(p.state, LARDER_WARM_DONE);
    assert_int_equal(p.brought, NAMED);
    assert_int_equal(get(f, "user:2999", "loaded"), LARDER_HIT);
    app_end(f);
}

static void an_app_that_cannot_name_them_ends_the_run(void **state)
{
    struct fixture *f = *state;
    int result = -3;
    assert_int_equal(larder_register_loader(f->app.c, T("user:*"), loader, &f->app), LARDER_OK);
    assert_int_equal(larder_register_lister(f->app.c, T("user:*"), list_users, &result), LARDER_OK);
    serve_with(f);
    larder_warm_progress p = run(f);
    assert_int_equal(p.state, LARDER_WARM_FAILED);
    assert_string_equal(p.why, "the loader that was to name its keys could not");
    app_end(f);
}

/* ======= in a loop ======= */

enum { KEYS = 5, HANDS = 2 };

struct desk {
    larder_load *loads[KEYS];
    unsigned count, most, ended;
};

static void begin_load(void *user, larder_slice key, larder_load *load)
{
    struct desk *d = user;
    d->loads[d->count++] = load;
    if (d->count - d->ended > d->most)
        d->most = d->count - d->ended;
}

struct warmer {
    struct fixture *f;
    pthread_t thread;
    larder_warm_progress p;
    _Atomic bool done;
};

static void *warm_all(void *user)
{
    struct warmer *w = user;
    larder_slice keys[KEYS] = {T("user:0"), T("user:1"), T("user:2"), T("user:3"), T("user:4")};
    larder_warm_options how = LARDER_WARM_OPTIONS_INIT;
    how.keys = keys;
    how.keys_count = KEYS;
    how.load = true;
    larder_warm(w->f->c, &how, &w->p);
    w->done = true;
    return NULL;
}

static larder_async *open_async(struct fixture *f, struct desk *d, unsigned at_a_time)
{
    larder_async *a;
    larder_options o = LARDER_OPTIONS_INIT;
    o.socket = f->larderd.socket;
    o.get_ms = o.change_ms = o.connect_ms = 10000;
    assert_int_equal(larder_async_open(&a, &o), LARDER_OK);
    assert_int_equal(larder_async_register_loader(a, T("user:*"), at_a_time, 0, begin_load, d), LARDER_OK);
    return a;
}

static void turn(larder_async *a)
{
    struct pollfd p = {.fd = larder_async_fd(a), .events = larder_async_events(a)};
    int ms = larder_async_timeout(a);
    poll(&p, 1, ms < 0 || ms > 10 ? 10 : ms);
    larder_async_process(a);
}

static void a_loop_loads_as_many_at_a_time_as_it_said(void **state)
{
    struct fixture *f = *state;
    struct desk d = {.count = 0};
    struct warmer w = {.f = f};
    larder_async *a = open_async(f, &d, HANDS);
    while (!has_hands(f, "\"loader_hands\":2"))
        turn(a);
    pthread_create(&w.thread, NULL, warm_all, &w);
    while (!w.done) {
        turn(a);
        if (d.count - d.ended < (KEYS - d.ended < HANDS ? KEYS - d.ended : HANDS))
            continue;
        if (d.ended < d.count) {
            larder_load *load = d.loads[d.ended++];
            larder_loaded_set(larder_load_result(load), T("loaded"));
            larder_async_fill(load);
        }
    }
    pthread_join(w.thread, NULL);
    assert_int_equal(w.p.brought, KEYS);
    assert_int_equal(d.most, HANDS);
    assert_int_equal(get(f, "user:4", "loaded"), LARDER_HIT);
    larder_async_close(a);
}

static void a_loop_that_closes_with_a_load_out_leaves_the_key_to_others(void **state)
{
    struct fixture *f = *state;
    struct desk d = {.count = 0};
    struct warmer w = {.f = f};
    larder_async *a = open_async(f, &d, HANDS);
    while (!has_hands(f, "\"loader_hands\":2"))
        turn(a);
    pthread_create(&w.thread, NULL, warm_all, &w);
    while (d.count < HANDS)
        turn(a);
    larder_async_close(a);
    for (unsigned i = 0; i < d.count; i++)
        larder_async_fail(d.loads[i], -1);
    pthread_join(w.thread, NULL);
    assert_int_equal(w.p.state, LARDER_WARM_DONE);
    assert_int_equal(w.p.failed + w.p.missing, KEYS);
}

static void a_loop_offers_again_to_a_daemon_that_was_started_again(void **state)
{
    struct fixture *f = *state;
    struct desk d = {.count = 0};
    larder_async *a = open_async(f, &d, HANDS);
    while (!has_hands(f, "\"loader_hands\":2"))
        turn(a);
    daemon_kill(&f->larderd);
    daemon_start(&f->larderd);
    while (!has_hands(f, "\"loader_hands\":2"))
        turn(a);
    larder_async_close(a);
}

static unsigned long offers_counted(struct fixture *f)
{
    static const char name[] = "\"requests_lease\":";
    char *json;
    assert_int_equal(larder_stats(f->c, &json), LARDER_OK);
    const char *at = strstr(json, name);
    assert_non_null(at);
    unsigned long count = strtoul(at + sizeof(name) - 1, NULL, 10);
    larder_text_free(json);
    return count;
}

static unsigned long monotonic_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (unsigned long)t.tv_sec * 1000 + (unsigned long)t.tv_nsec / 1000000;
}

/* A daemon of 32 requests at a time lets 28 of 64 wait; the others come again every 50 ms, not with every turn. */
static void hands_the_daemon_has_no_room_for_are_not_offered_with_every_turn(void **state)
{
    struct fixture *f = *state;
    struct desk d = {.count = 0};
    unsigned long began_ms = monotonic_ms();
    larder_async *a = open_async(f, &d, 64);
    while (!has_hands(f, "\"loader_hands\":28"))
        turn(a);
    for (int n = 0; n < 200; n++)
        turn(a);
    unsigned long offers = offers_counted(f);
    assert_true(offers <= 64 * (2 + (monotonic_ms() - began_ms) / 50));
    larder_async_close(a);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_warmed_is_loaded_by_the_app),
        TEST(the_app_may_say_that_there_is_none),
        TEST(a_loader_that_fails_is_not_called_again_for_a_while),
        TEST(so_is_one_that_brings_nothing),
        TEST(a_value_that_is_too_large_is_not_stored),
        TEST(a_daemon_that_is_started_again_is_served_again),
        TEST(patterns_the_daemon_does_not_understand_are_an_error_with_a_reason),
        TEST(the_seventeenth_pattern_is_one_too_many),
        TEST(without_a_daemon_it_waits_and_returns_in_time),
        TEST(a_loader_that_forks_comes_back_in_the_child_without_the_load),
        TEST(the_app_names_what_is_to_be_warmed_and_loads_it),
        TEST(an_app_that_cannot_name_them_ends_the_run),
        TEST(a_loop_loads_as_many_at_a_time_as_it_said),
        TEST(a_loop_that_closes_with_a_load_out_leaves_the_key_to_others),
        TEST(a_loop_offers_again_to_a_daemon_that_was_started_again),
        cmocka_unit_test_setup_teardown(hands_the_daemon_has_no_room_for_are_not_offered_with_every_turn,
                                        begin_narrow, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
