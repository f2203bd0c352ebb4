/* A client with a segment mapped, of a daemon that each test starts, freezes and kills as it likes. */
#ifndef LARDER_TESTS_CLIENT_NEAR_RIG_H
#define LARDER_TESTS_CLIENT_NEAR_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include "client/larder.h"
#include "support/daemon.h"
#include "support/old_kernel.h"

enum { PATIENCE_MS = 20000, STEP_MS = 2 };
static const char config[] = "[server]\n[namespace default]\nl1_bytes = 8MiB\n";

struct fixture {
    struct daemon larderd;
    larder_client *c;
};

static inline int prepare(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    larder_options o = LARDER_OPTIONS_INIT;
    daemon_prepare(&f->larderd, config);
    o.socket = f->larderd.socket;
    assert_int_equal(larder_open(&f->c, &o), LARDER_OK);
    *state = f;
    return 0;
}

static inline int start(void **state)
{
    prepare(state);
    daemon_start(&((struct fixture *)*state)->larderd);
    return 0;
}

static inline int finish(void **state)
{
    struct fixture *f = *state;
    larder_close(f->c);
    daemon_finish(&f->larderd);
    free(f);
    return 0;
}

static inline larder_counters counted(larder_client *c)
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

static inline bool near_hit(larder_client *c, const char *key)
{
    larder_value v = LARDER_VALUE_INIT;
    bool hit = larder_get(c, larder_text(key), NULL, &v) == LARDER_HIT && v.near;
    larder_value_free(&v);
    return hit;
}

static inline bool stored(larder_client *c, const char *key)
{
    return larder_set(c, larder_text(key), larder_text("v"), NULL) == LARDER_OK;
}

static inline int reason_of_miss(larder_client *c, const char *key)
{
    larder_value v = LARDER_VALUE_INIT;
    int r = larder_get(c, larder_text(key), NULL, &v);
    int reason = v.reason;
    larder_value_free(&v);
    assert_int_equal(r, LARDER_MISS);
    return reason;
}

/* Until "k" is found in the mapped segment. */
static inline void store_near(larder_client *c)
{
    UNTIL(stored(c, "k"));
    UNTIL(near_hit(c, "k"));
}

#define ALONE(test)   cmocka_unit_test_setup_teardown(test, prepare, finish)
#define RUNNING(test) cmocka_unit_test_setup_teardown(test, start, finish)

/* 0: go on.  With OLD_KERNEL in the environment this process has neither membarrier nor pages that are wiped in a child. */
static inline int take_old_kernel(void)
{
    return getenv("OLD_KERNEL") && old_kernel() < 0 ? 77
                                                    : 0; /* skipped: this machine does not let us filter */
}

#endif
