/* Threads that share a client with a segment mapped, what is counted of them, and what the daemon hears of it. */
#include "support/client_near_rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

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
    store_near(f->c);
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
    store_near(f->c);
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

/* So many, however often the daemon is asked in between: on a loaded machine it may seem to hang for a moment. */
static void hit(larder_client *c, int times)
{
    while (times > 0)
        times -= near_hit(c, "k");
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
        hit(crowd->f->c, 1);
        pthread_barrier_wait(&crowd->all_in);
    }
    return NULL;
}

static void more_threads_than_stripes_hit_all_the_same(void **state)
{
    struct crowd crowd = {.f = *state};
    pthread_t threads[CROWD];
    store_near(crowd.f->c);
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
    UNTIL(larder_stats(c, &text) == LARDER_OK); /* the usual deadline, on a machine that may be busy */
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
    store_near(f->c);
    assert_int_equal(told(f->c, "\"near\":", "count"), 1);
    hit(f->c, 1023);
    assert_int_equal(told(f->c, "\"near\":", "count"), 1);
    hit(f->c, 1025);
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
    store_near(f->c);
    assert_true(counted(f->c).unreachable >= 100);
    UNTIL(heard_unreachable(f->c) == counted(f->c).unreachable);
    assert_true(heard_timeouts(f->c) <= counted(f->c).timeouts); /* a loaded machine may have had some */
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
    hit(user, HITS);
    return NULL;
}

static void hit_with_all_stripes(struct fixture *f)
{
    pthread_t threads[STRIPES - 1]; /* one stripe is ours */
    for (int i = 0; i < STRIPES - 1; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hit_often, f->c), 0);
    hit_often(f->c);
    for (int i = 0; i < STRIPES - 1; i++)
        pthread_join(threads[i], NULL);
}

/* False: a daemon that got no processor in time was left for a new connection, and what was counted in the old one's page is
 * lost with it, as it may be. */
static bool each_hit_is_counted(struct fixture *f)
{
    uint64_t attaches = counted(f->c).attaches, before = told(f->c, "\"overall\":", "hits_shared");
    hit_with_all_stripes(f);
    uint64_t after = told(f->c, "\"overall\":", "hits_shared");
    if (counted(f->c).attaches != attaches)
        return false;
    assert_int_equal(after, before + STRIPES * HITS);
    return true;
}

static void the_daemon_counts_each_hit_of_as_many_threads_as_there_are_stripes(void **state)
{
    struct fixture *f = *state;
    store_near(f->c);
    UNTIL(each_hit_is_counted(f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    int skipped = take_old_kernel();
    return skipped ? skipped : cmocka_run_group_tests(tests, NULL, NULL);
}
