/* Keys that the daemon wants named, in an event loop, with a real daemon: larder_async_register_lister. */
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
#include "client/larder_async.h"
#include "support/daemon.h"

#define T(text) larder_text(text)

enum { NAMED = 3000, QUEUE_OF_THE_DAEMON = 65536, LOADS_MAX = 64 };

/* An app in a loop that names its users, and loads them; and somebody who has them warmed. */
struct fixture {
    struct daemon larderd;
    larder_client *c;
    larder_async *a;
    unsigned limit, named; /* of the listing */
    larder_async_listing *listing;
    bool later; /* the app does not name anything yet */
    int error;  /* with which it ends */
    int told;   /* the last answer to a key */
    bool ended;
    larder_load *loads[LOADS_MAX]; /* not brought */
    unsigned loads_count;
    bool brings;
    /* who warms */
    pthread_t thread;
    uint64_t cancel_at; /* so many keys known: that is enough */
    larder_warm_progress p;
    _Atomic bool done;
};

static int begin(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    larder_options o = LARDER_OPTIONS_INIT;
    daemon_prepare(&f->larderd, "[server]\n[namespace default]\nl1_bytes = 8MiB\n"
                                "[policy users]\npattern = user:*\nwarming = loader\n");
    daemon_start(&f->larderd);
    o.socket = f->larderd.socket;
    o.get_ms = o.change_ms = o.connect_ms = 10000;
    assert_int_equal(larder_open(&f->c, &o), LARDER_OK);
    assert_int_equal(larder_async_open(&f->a, &o), LARDER_OK);
    f->limit = NAMED;
    f->brings = true;
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    larder_async_close(f->a);
    for (unsigned i = 0; i < f->loads_count; i++)
        larder_async_fail(f->loads[i], -1);
    larder_close(f->c);
    daemon_finish(&f->larderd);
    free(f);
    return 0;
}

/* ======= the app ======= */

static void load(void *user, larder_slice key, larder_load *load)
{
    struct fixture *f = user;
    if (!f->brings) {
        f->loads[f->loads_count++] = load;
        return;
    }
    larder_loaded_set(larder_load_result(load), T("loaded"));
    larder_async_fill(load);
}

/* As many as there is room for; room is told of. */
static void name_more(void *user, larder_async_listing *listing)
{
    struct fixture *f = user;
    char key[32];
    f->told = LARDER_OK;
    while (f->named < f->limit && f->told == LARDER_OK) {
        snprintf(key, sizeof(key), "user:%u", f->named);
        f->told = larder_async_listing_add(listing, T(key));
        f->named += f->told == LARDER_OK;
    }
    if (f->told == LARDER_E_BUSY)
        return;
    f->ended = true;
    larder_async_listing_end(listing, f->error);
}

static void name_users(void *user, larder_slice pattern, larder_async_listing *listing)
{
    struct fixture *f = user;
    assert_int_equal(pattern.size, strlen("user:*"));
    larder_async_listing_on_room(listing, name_more, f);
    f->listing = listing;
    if (!f->later)
        name_more(f, listing);
}

static void turn(struct fixture *f)
{
    struct pollfd p = {.fd = larder_async_fd(f->a), .events = larder_async_events(f->a)};
    int ms = larder_async_timeout(f->a);
    poll(&p, 1, ms < 0 || ms > 10 ? 10 : ms);
    larder_async_process(f->a);
}

static bool daemon_shows(struct fixture *f, const char *text)
{
    char *json;
    assert_int_equal(larder_stats(f->c, &json), LARDER_OK);
    bool shown = strstr(json, text) != NULL;
    larder_text_free(json);
    return shown;
}

/* One hand: listings take none. */
static void serve(struct fixture *f)
{
    assert_int_equal(larder_async_register_loader(f->a, T("user:*"), 1, 0, load, f), LARDER_OK);
    assert_int_equal(larder_async_register_lister(f->a, T("user:*"), name_users, f), LARDER_OK);
    while (!daemon_shows(f, "\"loader_hands\":1"))
        turn(f);
}

/* ======= who warms ======= */

static bool goes_on(void *user, const larder_warm_progress *p)
{
    const struct fixture *f = user;
    return !f->cancel_at || p->total < f->cancel_at;
}

static void *warm(void *user)
{
    struct fixture *f = user;
    larder_warm_options how = LARDER_WARM_OPTIONS_INIT;
    how.policy = "users";
    how.progress = goes_on;
    how.user = f;
    larder_warm(f->c, &how, &f->p);
    f->done = true;
    return NULL;
}

static void warm_meanwhile(struct fixture *f)
{
    pthread_create(&f->thread, NULL, warm, f);
}

static larder_warm_progress warmed(struct fixture *f)
{
    while (!f->done)
        turn(f);
    pthread_join(f->thread, NULL);
    return f->p;
}

/* ======= tests ======= */

static void a_lister_needs_a_loader_of_its_pattern_and_is_the_only_one(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(larder_async_register_lister(f->a, T("user:*"), name_users, f), LARDER_E_INVALID);
    assert_int_equal(larder_async_register_loader(f->a, T("user:*"), 1, 0, load, f), LARDER_OK);
    assert_int_equal(larder_async_register_lister(f->a, T("user:*"), NULL, f), LARDER_E_INVALID);
    assert_int_equal(larder_async_register_lister(f->a, T("user:*"), name_users, f), LARDER_OK);
    assert_int_equal(larder_async_register_lister(f->a, T("user:*"), name_users, f), LARDER_E_INVALID);
}

static void what_the_loop_names_is_loaded_by_it_meanwhile(void **state)
{
    struct fixture *f = *state;
    serve(f);
    warm_meanwhile(f);
    larder_warm_progress p = warmed(f);
    assert_int_equal(p.state, LARDER_WARM_DONE);
    assert_int_equal(p.brought, NAMED);
}

/* Asked for its keys, and has named none yet. */
static struct fixture *begin_listing(struct fixture *f)
{
    f->later = true;
    serve(f);
    warm_meanwhile(f);
    while (!f->listing)
        turn(f);
    return f;
}

static void keys_may_be_named_long_after_the_loop_was_asked(void **state)
{
    struct fixture *f = begin_listing(*state);
    turn(f);
    name_more(f, f->listing);
    assert_int_equal(warmed(f).brought, NAMED);
}

static void a_key_that_is_none_is_refused_and_the_others_are_named(void **state)
{
    struct fixture *f = begin_listing(*state);
    assert_int_equal(larder_async_listing_add(f->listing, larder_bytes("", 0)), LARDER_E_KEY);
    assert_int_equal(larder_async_listing_add(f->listing, T("user:1")), LARDER_OK);
    larder_async_listing_end(f->listing, 0);
    assert_int_equal(warmed(f).brought, 1);
}

static void a_loop_that_cannot_name_them_ends_the_run(void **state)
{
    struct fixture *f = *state;
    f->limit = 10;
    f->error = -7;
    serve(f);
    warm_meanwhile(f);
    larder_warm_progress p = warmed(f);
    assert_int_equal(p.state, LARDER_WARM_FAILED);
    assert_string_equal(p.why, "the loader that was to name its keys could not");
}

/* Nothing is loaded, so the daemon's queue fills; then the run is cancelled. */
static void who_names_too_many_waits_and_hears_that_nobody_wants_them_any_more(void **state)
{
    struct fixture *f = *state;
    f->limit = 4 * QUEUE_OF_THE_DAEMON;
    f->brings = false;
    f->cancel_at = QUEUE_OF_THE_DAEMON;
    serve(f);
    warm_meanwhile(f);
    while (!f->ended)
        turn(f);
    assert_int_equal(f->told, LARDER_REFUSED);
    assert_in_range(f->named, QUEUE_OF_THE_DAEMON, 2 * QUEUE_OF_THE_DAEMON);
    assert_int_equal(warmed(f).state, LARDER_WARM_CANCELLED);
}

static void a_listing_that_outlives_its_object_takes_no_more_and_may_be_ended(void **state)
{
    struct fixture *f = begin_listing(*state);
    larder_async_close(f->a);
    f->a = NULL;
    assert_int_equal(larder_async_listing_add(f->listing, T("user:1")), LARDER_E_UNREACHABLE);
    larder_async_listing_end(f->listing, 0);
    pthread_join(f->thread, NULL);
    assert_int_equal(f->p.state, LARDER_WARM_FAILED);
}

static void a_daemon_that_dies_is_heard_of_by_who_waits_for_room(void **state)
{
    struct fixture *f = *state;
    f->limit = 4 * QUEUE_OF_THE_DAEMON;
    f->brings = false;
    serve(f);
    warm_meanwhile(f);
    while (f->named < QUEUE_OF_THE_DAEMON)
        turn(f);
    daemon_kill(&f->larderd);
    while (!f->ended)
        turn(f);
    assert_true(f->told < 0);
    pthread_join(f->thread, NULL);
    daemon_start(&f->larderd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lister_needs_a_loader_of_its_pattern_and_is_the_only_one),
        TEST(what_the_loop_names_is_loaded_by_it_meanwhile),
        TEST(keys_may_be_named_long_after_the_loop_was_asked),
        TEST(a_key_that_is_none_is_refused_and_the_others_are_named),
        TEST(a_loop_that_cannot_name_them_ends_the_run),
        TEST(who_names_too_many_waits_and_hears_that_nobody_wants_them_any_more),
        TEST(a_listing_that_outlives_its_object_takes_no_more_and_may_be_ended),
        TEST(a_daemon_that_dies_is_heard_of_by_who_waits_for_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
