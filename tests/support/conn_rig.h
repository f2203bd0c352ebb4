/* A connection to a redis-server of its own, straight or through a proxy that fails on command (support/link_rig.h). */
#ifndef LARDER_TESTS_CONN_RIG_H
#define LARDER_TESTS_CONN_RIG_H

#include "support/link_rig.h"
#include "support/proxy.h"

static bool have_redis;

struct fixture {
    struct rig rig;
    struct redis redis;
    struct proxy proxy;
    bool proxied;
};

/* Of a group of tests. */
static inline int look_for_redis(void **state)
{
    have_redis = redis_installed();
    if (!have_redis)
        print_message("# no redis-server is installed: what needs one is skipped\n");
    return 0;
}

static inline int begin(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    rig_make(&f->rig);
    redis_prepare(&f->redis, NULL);
    *state = f;
    return 0;
}

static inline int finish(void **state)
{
    struct fixture *f = *state;
    rig_drop(&f->rig);
    if (f->proxied)
        proxy_stop(&f->proxy);
    redis_finish(&f->redis);
    free(f);
    return 0;
}

/* The fixture, with a running Redis. */
static inline struct fixture *running(void **state, const char *options)
{
    struct fixture *f = *state;
    if (!have_redis)
        skip();
    redis_option(&f->redis, "%s", options ? options : "");
    redis_start(&f->redis);
    return f;
}

static inline struct rig *connected(void **state)
{
    struct fixture *f = running(state, NULL);
    rig_dial(&f->rig, "unix:%s", f->redis.socket);
    rig_until_ready(&f->rig);
    return &f->rig;
}

/* Through the proxy, by TCP. */
static inline struct rig *proxied(void **state, bool wait)
{
    struct fixture *f = running(state, NULL);
    proxy_start(&f->proxy, f->redis.socket);
    f->proxied = true;
    rig_dial(&f->rig, "redis://127.0.0.1:%u", f->proxy.port);
    if (wait)
        rig_until_ready(&f->rig);
    return &f->rig;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

#endif
