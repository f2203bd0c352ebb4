/* What only a mapped segment can do wrong: daemons that die, stand still or come back, threads, forks, zero copy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "client/larder.h"
#include "support/daemon.h"
#include "support/old_kernel.h"

enum { PATIENCE_MS = 20000, STEP_MS = 2 };
static const char config[] = "[server]\n[namespace default]\nl1_bytes = 8MiB\n";

struct fixture {
    struct daemon larderd;
    larder_client *c;
};

static int prepare(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    larder_options o = LARDER_OPTIONS_INIT;
    daemon_prepare(&f->larderd, config);
    o.socket = f->larderd.socket;
    assert_int_equal(larder_open(&f->c, &o), LARDER_OK);
    *state = f;
    return 0;
}

static int start(void **state)
{
    prepare(state);
    daemon_start(&((struct fixture *)*state)->larderd);
    return 0;
}

static int finish(void **state)
{
    struct fixture *f = *state;
    larder_close(f->c);
    daemon_finish(&f->larderd);
    free(f);
    return 0;
}

static larder_counters counted(larder_client *c)
{
    larder_counters now = {.struct_size = sizeof(now)};
    assert_int_equal(larder_counted(c, &now), LARDER_OK);
    return now;
}

/* A condition that will come true, asked for again and again; no test relies on how soon. */
#define UNTIL(condition)                                    \
    for (int waited = 0; !(condition); waited += STEP_MS) { \
        assert_true(waited < PATIENCE_MS);                  \
        poll(NULL, 0, STEP_MS);                             \
    }

static bool near_hit(larder_client *c, const char *key)
{
    larder_value v = LARDER_VALUE_INIT;
    bool hit = larder_get(c, larder_text(key), NULL, &v) == LARDER_HIT && v.near;
    larder_value_free(&v);
    return hit;
}

static bool stored(larder_client *c, const char *key)
{
    return larder_set(c, larder_text(key), larder_text("v"), NULL) == LARDER_OK;
}

static int reason_of_miss(larder_client *c, const char *key)
{
    larder_value v = LARDER_VALUE_INIT;
    int r = larder_get(c, larder_text(key), NULL, &v);
    int reason = v.reason;
    larder_value_free(&v);
    assert_int_equal(r, LARDER_MISS);
    return reason;
}

/* ======= no daemon ======= */

static void without_a_daemon_a_get_is_a_miss_and_a_change_an_error(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(reason_of_miss(f->c, "k"), LARDER_REASON_UNREACHABLE);
    assert_int_equal(larder_set(f->c, larder_text("k"), larder_text("v"), NULL), LARDER_E_UNREACHABLE);
    assert_int_equal(larder_invalidate(f->c, larder_text("k")), LARDER_E_UNREACHABLE);
    assert_int_equal(larder_ping(f->c), LARDER_E_UNREACHABLE);
    assert_true(counted(f->c).unreachable >= 1003);
    assert_int_equal(counted(f->c).asked, 0);
}

static void a_strict_client_is_told(void **state)
{
    struct fixture *f = *state;
    larder_client *strict;
    larder_value v = LARDER_VALUE_INIT, many[3];
    larder_slice keys[] = {larder_text("a"), larder_text("b"), larder_text("c")};
    larder_options o = LARDER_OPTIONS_INIT;
    memset(many, 0, sizeof(many));
    o.socket = f->larderd.socket;
    o.strict = true;
    assert_int_equal(larder_open(&strict, &o), LARDER_OK);
    assert_int_equal(larder_get(strict, keys[0], NULL, &v), LARDER_E_UNREACHABLE);
    assert_int_equal(larder_mget(strict, keys, 3, NULL, many), LARDER_E_UNREACHABLE);
    assert_int_equal(larder_mget(f->c, keys, 3, NULL, many), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(many[i].reason, LARDER_REASON_UNREACHABLE);
    larder_close(strict);
}

static void a_daemon_that_comes_later_is_found(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(reason_of_miss(f->c, "k"), LARDER_REASON_UNREACHABLE);
    daemon_start(&f->larderd);
    UNTIL(stored(f->c, "k"));
    UNTIL(near_hit(f->c, "k"));
}

static void a_path_no_socket_can_have_is_refused(void **state)
{
    char path[200];
    larder_client *c;
    larder_options o = LARDER_OPTIONS_INIT;
    memset(path, 'p', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    o.socket = path;
    assert_int_equal(larder_open(&c, &o), LARDER_E_INVALID);
}

/* ======= a daemon that stands still ======= */

static void a_frozen_daemon_costs_deadlines_and_no_more(void **state)
{
    struct fixture *f = *state;
    UNTIL(stored(f->c, "k"));
    daemon_freeze(&f->larderd);
    bool timed_out = false;
    for (int i = 0; i < 20; i++) {
        int reason = reason_of_miss(f->c, "nobody has it");
        assert_true(reason == LARDER_REASON_TIMEOUT || reason == LARDER_REASON_UNREACHABLE);
        timed_out |= reason == LARDER_REASON_TIMEOUT;
    }
    assert_true(timed_out);
    int r = larder_set(f->c, larder_text("k"), larder_text("w"), NULL);
    assert_true(r == LARDER_E_TIMEOUT || r == LARDER_E_UNREACHABLE);
    daemon_thaw(&f->larderd);
    UNTIL(stored(f->c, "k"));
    UNTIL(near_hit(f->c, "k"));
}

static void a_change_that_a_frozen_daemon_may_have_got_is_a_time_out(void **state)
{
    struct fixture *f = *state;
    UNTIL(stored(f->c, "k"));
    daemon_freeze(&f->larderd);
    assert_int_equal(larder_set(f->c, larder_text("k"), larder_text("w"), NULL), LARDER_E_TIMEOUT);
    assert_int_equal(counted(f->c).timeouts, 1);
    daemon_thaw(&f->larderd);
}

static void the_health_of_a_hung_daemon_is_read_from_its_segment(void **state)
{
    struct fixture *f = *state;
    char *json = NULL;
    UNTIL(stored(f->c, "k"));
    UNTIL(near_hit(f->c, "k"));
    daemon_freeze(&f->larderd);
    UNTIL(!near_hit(f->c, "k")); /* the lease is over */
    assert_int_equal(larder_health(f->c, &json), LARDER_OK);
    assert_non_null(strstr(json, "\"status\":\"failing\""));
    assert_non_null(strstr(json, "\"daemon\":\"hung\""));
    assert_non_null(
        strstr(json, "\"incarnation\":\"")); /* 64 bits: every second one would be too large for a number */
    larder_text_free(json);
    daemon_thaw(&f->larderd);
}

static void the_health_of_a_hung_daemon_nobody_was_attached_to_is_an_error(void **state)
{
    struct fixture *f = *state;
    char *json = NULL;
    daemon_freeze(&f->larderd);
    int r = larder_health(f->c, &json);
    assert_true(r == LARDER_E_TIMEOUT || r == LARDER_E_UNREACHABLE);
    daemon_thaw(&f->larderd);
}

/* ======= a daemon that dies ======= */

static void after_a_kill_and_a_restart_hits_are_near_again(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        UNTIL(stored(f->c, "k"));
        UNTIL(near_hit(f->c, "k"));
        daemon_kill(&f->larderd);
        UNTIL(!near_hit(f->c, "k"));
        daemon_start(&f->larderd);
    }
    UNTIL(stored(f->c, "k"));
    UNTIL(near_hit(f->c, "k"));
    assert_int_equal(counted(f->c).attaches, 4);
    assert_int_equal(counted(f->c).dead_bytes, 0);
}

static void a_change_alone_attaches_again_too(void **state)
{
    struct fixture *f = *state;
    UNTIL(stored(f->c, "k"));
    assert_int_equal(counted(f->c).attaches, 1);
    daemon_kill(&f->larderd);
    daemon_start(&f->larderd);
    UNTIL(stored(f->c, "k") && counted(f->c).attaches == 2);
}

static void a_connection_that_died_idle_does_not_spoil_a_change(void **state)
{
    struct fixture *f = *state;
    larder_client *far;
    larder_options o = LARDER_OPTIONS_INIT;
    o.socket = f->larderd.socket;
    o.no_shared_memory = true;
    o.change_ms = 10000;
    assert_int_equal(larder_open(&far, &o), LARDER_OK);
    assert_true(stored(far, "k"));
    daemon_kill(&f->larderd);
    daemon_start(&f->larderd);
    assert_true(stored(far, "k")); /* nothing of it had been sent on the dead one */
    larder_close(far);
}

static void idle_lets_go_of_a_segment_whose_daemon_is_gone(void **state)
{
    struct fixture *f = *state;
    UNTIL(stored(f->c, "k"));
    UNTIL(near_hit(f->c, "k"));
    assert_int_equal(counted(f->c).dead_bytes, 0);
    daemon_kill(&f->larderd);
    UNTIL(counted(f->c).dead_bytes > 0);
    assert_int_equal(larder_idle(f->c), LARDER_OK);
    assert_int_equal(counted(f->c).dead_bytes, 0);
    daemon_start(&f->larderd);
    UNTIL(larder_idle(f->c) == LARDER_OK && counted(f->c).attaches == 2);
}

/* ======= zero copy ======= */

static void a_view_that_stayed_true_is_validated(void **state)
{
    struct fixture *f = *state;
    larder_view view;
    UNTIL(stored(f->c, "k"));
    UNTIL(larder_peek(f->c, larder_text("k"), &view) == LARDER_HIT);
    assert_int_equal(view.size, 1);
    assert_memory_equal(view.data, "v", 1);
    assert_int_equal(larder_validate(f->c, &view), LARDER_HIT);
    assert_int_equal(larder_peek(f->c, larder_text("nobody"), &view), LARDER_MISS);
}

static void a_view_whose_key_was_changed_meanwhile_is_not(void **state)
{
    struct fixture *f = *state;
    larder_view view;
    UNTIL(stored(f->c, "k"));
    UNTIL(larder_peek(f->c, larder_text("k"), &view) == LARDER_HIT);
    assert_int_equal(larder_set(f->c, larder_text("k"), larder_text("w"), NULL), LARDER_OK);
    assert_int_equal(larder_validate(f->c, &view), LARDER_MISS);
    assert_int_equal(larder_peek(f->c, larder_text("k"), &view), LARDER_HIT);
    assert_int_equal(larder_invalidate(f->c, larder_text("k")), LARDER_OK);
    assert_int_equal(larder_validate(f->c, &view), LARDER_MISS);
}

static void the_segment_of_an_open_view_stays_mapped_over_a_restart(void **state)
{
    struct fixture *f = *state;
    larder_view view;
    UNTIL(stored(f->c, "k"));
    UNTIL(larder_peek(f->c, larder_text("k"), &view) == LARDER_HIT);
    daemon_kill(&f->larderd);
    daemon_start(&f->larderd);
    UNTIL(stored(f->c, "k") && counted(f->c).attaches == 2);
    assert_true(counted(f->c).dead_bytes > 0);
    assert_memory_equal(view.data, "v", 1); /* would be a fault */
    assert_int_equal(larder_validate(f->c, &view), LARDER_MISS);
    UNTIL(larder_ping(f->c) == LARDER_OK && counted(f->c).dead_bytes == 0);
}

static void at_most_one_dead_segment_is_kept(void **state)
{
    struct fixture *f = *state;
    larder_view view;
    UNTIL(stored(f->c, "k"));
    UNTIL(larder_peek(f->c, larder_text("k"), &view) == LARDER_HIT);
    for (int i = 0; i < 2; i++) {
        daemon_kill(&f->larderd);
        daemon_start(&f->larderd);
        UNTIL(stored(f->c, "k"));
    }
    assert_int_equal(counted(f->c).attaches, 2);
    larder_validate(f->c, &view);
    UNTIL(larder_ping(f->c) == LARDER_OK && counted(f->c).attaches == 3);
    assert_int_equal(counted(f->c).dead_bytes, 0);
}

/* ======= forks ======= */

static int child_answers(larder_client *c)
{
    larder_value v = LARDER_VALUE_INIT;
    for (int waited = 0; waited < PATIENCE_MS; waited += STEP_MS) {
        if (larder_set(c, larder_text("child"), larder_text("from the child"), NULL) == LARDER_OK &&
            larder_get(c, larder_text("parent"), NULL, &v) == LARDER_HIT && v.near)
            return 0;
        poll(NULL, 0, STEP_MS);
    }
    return 1;
}

static void a_child_makes_connections_and_mappings_of_its_own(void **state)
{
    struct fixture *f = *state;
    int status;
    UNTIL(stored(f->c, "parent"));
    UNTIL(near_hit(f->c, "parent"));
    pid_t child = fork();
    if (child == 0) {
        int r = child_answers(f->c);
        larder_close(f->c);
        _exit(r);
    }
    for (int i = 0; i < 100; i++)
        assert_true(stored(f->c, "parent"));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(near_hit(f->c, "child") || near_hit(f->c, "child"));
    assert_int_equal(counted(f->c).attaches, 1); /* the child's own is its own */
}

static void a_view_does_not_outlive_a_fork(void **state)
{
    struct fixture *f = *state;
    larder_view view;
    int status;
    UNTIL(stored(f->c, "k"));
    UNTIL(larder_peek(f->c, larder_text("k"), &view) == LARDER_HIT);
    pid_t child = fork();
    if (child == 0)
        _exit(larder_validate(f->c, &view) == LARDER_MISS ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(larder_validate(f->c, &view), LARDER_HIT);
}

/* ======= threads ======= */

enum { THREADS = 12, ROUNDS = 2000 };

struct worker {
    larder_client *c;
    int number;
    atomic_bool *stop;
    atomic_uint *wrong;
};

/* Each thread writes its own key and reads everybody's: a value is always its key's name. */
static void *work(void *user)
{
    struct worker *w = user;
    char key[16], wanted[16];
    larder_value v = LARDER_VALUE_INIT;
    for (int i = 0; i < ROUNDS && !*w->stop; i++) {
        int other = (w->number + i) % THREADS;
        snprintf(key, sizeof(key), "t:%d", i % 8 ? other : w->number);
        if (i % 8 == 0)
            larder_set(w->c, larder_text(key), larder_text(key), NULL);
        if (i % 97 == 0)
            larder_invalidate(w->c, larder_text(key));
        snprintf(wanted, sizeof(wanted), "%s", key);
        if (larder_get(w->c, larder_text(key), NULL, &v) == LARDER_HIT &&
            (v.size != strlen(wanted) || memcmp(v.data, wanted, v.size) != 0))
            atomic_fetch_add(w->wrong, 1);
    }
    larder_value_free(&v);
    return NULL;
}

static void run_workers(struct fixture *f, int disturbances)
{
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    atomic_bool stop = false;
    atomic_uint wrong = 0;
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){f->c, i, &stop, &wrong};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < disturbances; i++) {
        daemon_kill(&f->larderd);
        daemon_start(&f->larderd);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(wrong, 0);
}

static void many_threads_share_a_client(void **state)
{
    run_workers(*state, 0);
}

static void threads_go_on_while_daemons_come_and_go(void **state)
{
    struct fixture *f = *state;
    run_workers(f, 3);
    UNTIL(stored(f->c, "k"));
    UNTIL(near_hit(f->c, "k"));
    assert_int_equal(counted(f->c).dead_bytes, 0);
}

static void *hit_once(void *user)
{
    struct fixture *f = user;
    UNTIL(near_hit(f->c, "k"));
    return NULL;
}

/* More threads than stripes, one after the other: each gets what the last one left. */
static void threads_that_end_leave_their_stripe_to_others(void **state)
{
    struct fixture *f = *state;
    UNTIL(stored(f->c, "k"));
    UNTIL(near_hit(f->c, "k"));
    uint64_t before = counted(f->c).near_hits;
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, hit_once, f), 0);
        pthread_join(thread, NULL);
    }
    assert_true(counted(f->c).near_hits >= before + 200);
}

/* The next client may lie where the last one lay; what a thread remembers of the one must not be taken for the other's. */
static void a_client_after_another_at_the_same_address_is_another(void **state)
{
    struct fixture *f = *state;
    larder_options o = LARDER_OPTIONS_INIT;
    o.socket = f->larderd.socket;
    UNTIL(stored(f->c, "k"));
    for (int i = 0; i < 50; i++) {
        larder_client *c = NULL;
        assert_int_equal(larder_open(&c, &o), LARDER_OK);
        UNTIL(near_hit(c, "k"));
        assert_true(near_hit(f->c, "k"));
        assert_in_range(counted(c).near_hits, 1, 2);
        larder_close(c);
    }
}

enum { CROWD = 80 }; /* more than there are stripes */

struct crowd {
    struct fixture *f;
    pthread_barrier_t all_in;
};

static void *hit_together(void *user)
{
    struct crowd *crowd = user;
    for (int i = 0; i < 100; i++) {
        assert_true(near_hit(crowd->f->c, "k"));
        pthread_barrier_wait(&crowd->all_in);
    }
    return NULL;
}

static void more_threads_than_stripes_hit_all_the_same(void **state)
{
    struct crowd crowd = {.f = *state};
    pthread_t threads[CROWD];
    UNTIL(stored(crowd.f->c, "k"));
    UNTIL(near_hit(crowd.f->c, "k"));
    uint64_t before = counted(crowd.f->c).near_hits;
    assert_int_equal(pthread_barrier_init(&crowd.all_in, NULL, CROWD), 0);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hit_together, &crowd), 0);
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(counted(crowd.f->c).near_hits - before, CROWD * 100);
    pthread_barrier_destroy(&crowd.all_in);
}

/* ======= what the daemon hears of it ======= */

static uint64_t told(larder_client *c, const char *part, const char *name)
{
    char *text = NULL, wanted[64];
    assert_int_equal(larder_stats(c, &text), LARDER_OK);
    const char *at = strstr(text, part);
    assert_non_null(at);
    snprintf(wanted, sizeof(wanted), "\"%s\":", name);
    at = strstr(at, wanted);
    assert_non_null(at);
    uint64_t value = strtoull(at + strlen(wanted), NULL, 10);
    larder_text_free(text);
    return value;
}

static void the_first_hit_of_a_thread_and_then_one_in_1024_is_measured(void **state)
{
    struct fixture *f = *state;
    UNTIL(stored(f->c, "k"));
    UNTIL(near_hit(f->c, "k"));
    assert_int_equal(told(f->c, "\"near\":", "count"), 1);
    for (int i = 1; i < 1024; i++)
        assert_true(near_hit(f->c, "k"));
    assert_int_equal(told(f->c, "\"near\":", "count"), 1);
    for (int i = 0; i < 1025; i++)
        assert_true(near_hit(f->c, "k"));
    assert_int_equal(told(f->c, "\"near\":", "count"), 3);
}

static uint64_t heard_unreachable(larder_client *c)
{
    return told(c, "\"sessions\":", "clients_unreachable");
}

static uint64_t heard_timeouts(larder_client *c)
{
    return told(c, "\"sessions\":", "clients_timeouts");
}

static void a_daemon_is_told_once_of_each_call_that_found_none(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(reason_of_miss(f->c, "k"), LARDER_REASON_UNREACHABLE);
    daemon_start(&f->larderd);
    UNTIL(stored(f->c, "k"));
    UNTIL(near_hit(f->c, "k"));
    assert_true(counted(f->c).unreachable >= 100);
    assert_int_equal(heard_unreachable(f->c), counted(f->c).unreachable);
    assert_int_equal(heard_timeouts(f->c), 0);
    larder_client *other;
    larder_options o = LARDER_OPTIONS_INIT;
    o.socket = f->larderd.socket;
    assert_int_equal(larder_open(&other, &o), LARDER_OK);
    assert_int_equal(heard_unreachable(other), counted(f->c).unreachable);
    larder_close(other);
}

static void a_daemon_that_hung_is_told_once_of_each_call_that_gave_up_on_it(void **state)
{
    struct fixture *f = *state;
    UNTIL(stored(f->c, "k"));
    daemon_freeze(&f->larderd);
    for (int i = 0; i < 20; i++)
        reason_of_miss(f->c, "nobody has it");
    daemon_thaw(&f->larderd);
    UNTIL(stored(f->c, "k"));
    assert_true(counted(f->c).timeouts > 0);
    UNTIL(heard_timeouts(f->c) == counted(f->c).timeouts);
    assert_int_equal(heard_unreachable(f->c), counted(f->c).unreachable);
}

enum { STRIPES = 64, HITS = 2000 };

static void *hit_often(void *user)
{
    larder_client *c = user;
    for (int i = 0; i < HITS; i++)
        assert_true(near_hit(c, "k"));
    return NULL;
}

static void the_daemon_counts_each_hit_of_as_many_threads_as_there_are_stripes(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[STRIPES - 1]; /* one stripe is ours */
    UNTIL(stored(f->c, "k"));
    UNTIL(near_hit(f->c, "k"));
    uint64_t before = told(f->c, "\"overall\":", "hits_shared");
    for (int i = 0; i < STRIPES - 1; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hit_often, f->c), 0);
    hit_often(f->c);
    for (int i = 0; i < STRIPES - 1; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(told(f->c, "\"overall\":", "hits_shared"), before + STRIPES * HITS);
}

#define ALONE(test)   cmocka_unit_test_setup_teardown(test, prepare, finish)
#define RUNNING(test) cmocka_unit_test_setup_teardown(test, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(without_a_daemon_a_get_is_a_miss_and_a_change_an_error),
        ALONE(a_strict_client_is_told),
        ALONE(a_daemon_that_comes_later_is_found),
        ALONE(a_path_no_socket_can_have_is_refused),
        RUNNING(a_frozen_daemon_costs_deadlines_and_no_more),
        RUNNING(a_change_that_a_frozen_daemon_may_have_got_is_a_time_out),
        RUNNING(the_health_of_a_hung_daemon_is_read_from_its_segment),
        RUNNING(the_health_of_a_hung_daemon_nobody_was_attached_to_is_an_error),
        RUNNING(after_a_kill_and_a_restart_hits_are_near_again),
        RUNNING(a_change_alone_attaches_again_too),
        RUNNING(a_connection_that_died_idle_does_not_spoil_a_change),
        RUNNING(idle_lets_go_of_a_segment_whose_daemon_is_gone),
        RUNNING(a_view_that_stayed_true_is_validated),
        RUNNING(a_view_whose_key_was_changed_meanwhile_is_not),
        RUNNING(the_segment_of_an_open_view_stays_mapped_over_a_restart),
        RUNNING(at_most_one_dead_segment_is_kept),
        RUNNING(a_child_makes_connections_and_mappings_of_its_own),
        RUNNING(a_view_does_not_outlive_a_fork),
        RUNNING(many_threads_share_a_client),
        RUNNING(threads_go_on_while_daemons_come_and_go),
        RUNNING(a_client_after_another_at_the_same_address_is_another),
        RUNNING(threads_that_end_leave_their_stripe_to_others),
        RUNNING(more_threads_than_stripes_hit_all_the_same),
        ALONE(a_daemon_is_told_once_of_each_call_that_found_none),
        RUNNING(a_daemon_that_hung_is_told_once_of_each_call_that_gave_up_on_it),
        RUNNING(the_first_hit_of_a_thread_and_then_one_in_1024_is_measured),
        RUNNING(the_daemon_counts_each_hit_of_as_many_threads_as_there_are_stripes),
    };
    if (getenv("OLD_KERNEL") && old_kernel() < 0)
        return 77; /* skipped: this machine does not let us filter */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
