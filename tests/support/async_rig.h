/* larder_async with a real daemon, in a loop of poll(2). */
#ifndef LARDER_TESTS_ASYNC_RIG_H
#define LARDER_TESTS_ASYNC_RIG_H

#include "support/client_rig.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include "client/larder_async.h"
#include "support/daemon.h"

enum { PATIENCE_TURNS = 100000 };

static const char config[] = "[server]\n[namespace default]\nl1_bytes = 8MiB\n";

struct fixture {
    struct daemon larderd;
    larder_async *a;
    larder_client *c; /* another process, as it were */
};

static inline larder_options options_of(const struct fixture *f)
{
    larder_options o = LARDER_OPTIONS_INIT;
    o.socket = f->larderd.socket;
    o.get_ms = o.change_ms = o.connect_ms = 10000; /* a loaded machine is no failure here */
    return o;
}

static inline int open_both(void **state, bool with_daemon)
{
    struct fixture *f = calloc(1, sizeof(*f));
    daemon_prepare(&f->larderd, config);
    if (with_daemon)
        daemon_start(&f->larderd);
    larder_options o = options_of(f);
    assert_int_equal(larder_async_open(&f->a, &o), LARDER_OK);
    assert_int_equal(larder_open(&f->c, &o), LARDER_OK);
    *state = f;
    return 0;
}

static inline int prepare(void **state)
{
    return open_both(state, false);
}

static inline int start(void **state)
{
    return open_both(state, true);
}

static inline int finish(void **state)
{
    struct fixture *f = *state;
    larder_async_close(f->a);
    larder_close(f->c);
    daemon_finish(&f->larderd);
    free(f);
    return 0;
}

/* One turn of an app's loop. */
static inline void turn(larder_async *a)
{
    struct pollfd p = {.fd = larder_async_fd(a), .events = larder_async_events(a)};
    poll(&p, 1, larder_async_timeout(a));
    larder_async_process(a);
}

#define TURN_UNTIL(a, condition)                 \
    for (int turns = 0; !(condition); turns++) { \
        assert_true(turns < PATIENCE_TURNS);     \
        turn(a);                                 \
    }

/* What a callback was told. */
struct told {
    int times, result, hits;
    char text[64];
    size_t size;
    uint32_t flags;
    bool near;
};

static inline void tell(void *user, int result, larder_value *value)
{
    struct told *t = user;
    t->times++;
    t->result = result;
    if (!value)
        return;
    t->size = value->size;
    t->flags = value->flags;
    t->near = value->near;
    if (value->size < sizeof(t->text)) {
        memset(t->text, 0, sizeof(t->text));
        if (value->size)
            memcpy(t->text, value->data, value->size);
    }
}

static inline struct told get_it(larder_async *a, const char *key)
{
    struct told t = {0};
    assert_int_equal(larder_async_get(a, T(key), NULL, tell, &t), LARDER_OK);
    TURN_UNTIL(a, t.times);
    return t;
}

static inline struct told set_it(larder_async *a, const char *key, const char *value)
{
    struct told t = {0};
    assert_int_equal(larder_async_set(a, T(key), T(value), NULL, tell, &t), LARDER_OK);
    TURN_UNTIL(a, t.times);
    return t;
}

/* A segment that was just made takes a moment to be open to readers. */
static inline void get_near(larder_async *a, const char *key)
{
    for (int i = 0; !get_it(a, key).near; i++)
        assert_true(i < PATIENCE_TURNS);
}

#define WITH_DAEMON(test)    cmocka_unit_test_setup_teardown(test, start, finish)
#define WITHOUT_DAEMON(test) cmocka_unit_test_setup_teardown(test, prepare, finish)

#endif
