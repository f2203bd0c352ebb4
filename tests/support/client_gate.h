/* Loaders that wait at a gate, and callers of larder_get_or_load in threads of their own who meet there. */
#ifndef LARDER_TESTS_CLIENT_GATE_H
#define LARDER_TESTS_CLIENT_GATE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdbool.h>
#include <string.h>
#include "client/larder.h"

enum { PATIENT_MS = 600000 }; /* a loaded machine is no failure here */

/* A loader.  With a closed gate it says when it is running and goes on when it is told to; an open gate
 * needs no gate_init. */
struct gate {
    const char *text, *tag; /* tag: NULL for none */
    int result;
    bool absent, no_store;
    _Atomic bool open;
    _Atomic int runs;
    sem_t running, go;
};

static inline void gate_init(struct gate *g, const char *text)
{
    *g = (struct gate){.text = text};
    sem_init(&g->running, 0, 0);
    sem_init(&g->go, 0, 0);
}

static inline void sem_take(sem_t *s)
{
    while (sem_wait(s) != 0)
        ;
}

static inline int gated(void *user, larder_slice key, larder_loaded *ret)
{
    struct gate *g = user;
    g->runs++;
    if (!g->open) {
        sem_post(&g->running);
        sem_take(&g->go);
    }
    ret->absent = g->absent;
    ret->no_store = g->no_store;
    ret->backoff_ms = 60000;
    if (g->tag)
        larder_loaded_tag(ret, larder_text(g->tag));
    return g->result < 0 ? g->result : larder_loaded_set(ret, larder_text(g->text));
}

static inline void expect_bytes(const larder_value *v, const char *text)
{
    assert_int_equal(v->size, strlen(text));
    assert_memory_equal(v->data, text, v->size);
}

/* A client whose daemon is not there. */
static inline larder_client *open_alone(size_t fallback_bytes)
{
    larder_client *c;
    larder_options o = LARDER_OPTIONS_INIT;
    o.socket = "/nonexistent/larder.sock";
    o.strict = true; /* which get_or_load does not mind */
    o.fallback_bytes = fallback_bytes;
    assert_int_equal(larder_open(&c, &o), LARDER_OK);
    return c;
}

/* ======= one call, in this thread ======= */

static const larder_load_options plain = LARDER_LOAD_OPTIONS_INIT;

static inline int load(larder_client *c, const char *key, struct gate *g, larder_load_options how,
                       larder_value *v)
{
    how.timeout_ms = how.timeout_ms ? how.timeout_ms : PATIENT_MS;
    return larder_get_or_load(c, larder_text(key), &how, gated, g, v);
}

static inline void expect_load(larder_client *c, const char *key, struct gate *g, const char *text)
{
    larder_value v = LARDER_VALUE_INIT;
    assert_int_equal(load(c, key, g, plain, &v), LARDER_HIT);
    expect_bytes(&v, text);
    larder_value_free(&v);
}

/* ======= one call, in a thread of its own ======= */

struct caller {
    larder_client *c;
    const char *key;
    struct gate *g;
    pthread_t thread;
    larder_value v;
    int result, load_error;
};

static inline void *call(void *user)
{
    struct caller *a = user;
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    how.ret_load_error = &a->load_error;
    a->result = load(a->c, a->key, a->g, how, &a->v);
    return NULL;
}

static inline void caller_start(struct caller *a, larder_client *c, const char *key, struct gate *g)
{
    pthread_attr_t small;
    *a = (struct caller){.c = c, .key = key, .g = g};
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 * 1024);
    assert_int_equal(pthread_create(&a->thread, &small, call, a), 0);
    pthread_attr_destroy(&small);
}

static inline void caller_expect(struct caller *a, const char *text)
{
    assert_int_equal(pthread_join(a->thread, NULL), 0);
    assert_int_equal(a->result, LARDER_HIT);
    expect_bytes(&a->v, text);
    larder_value_free(&a->v);
}

static inline void caller_expect_failure(struct caller *a, int load_error)
{
    assert_int_equal(pthread_join(a->thread, NULL), 0);
    assert_int_equal(a->result, LARDER_E_LOAD);
    assert_int_equal(a->load_error, load_error);
    larder_value_free(&a->v);
}

static inline larder_counters counted(larder_client *c)
{
    larder_counters now = {.struct_size = sizeof(now)};
    assert_int_equal(larder_counted(c, &now), LARDER_OK);
    return now;
}

static inline void wait_joined(larder_client *c, uint64_t count)
{
    while (counted(c).joined < count)
        sched_yield();
}

#endif
