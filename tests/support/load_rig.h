/* Callers who load: a struct each, and short words for what they ask, on either cache rig. */
#ifndef LARDER_TESTS_LOAD_RIG_H
#define LARDER_TESTS_LOAD_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "base/clock.h"
#include "cache/cache.h"

struct caller {
    struct cache_load load;
    unsigned answers;
    char value[64]; /* copied when the answer came: it lives no longer than that */
    size_t value_bytes;
};

static inline void take_value(struct caller *a)
{
    const struct cache_load *l = &a->load;
    a->answers++;
    a->value_bytes = l->status == STATUS_HIT ? l->get.entry.value.size : 0;
    if (a->value_bytes)
        memcpy(a->value, l->get.entry.value.data, a->value_bytes);
}

static inline void load_done(struct cache_load *load)
{
    take_value((struct caller *)load);
}

/* Waits for a second, holds for ten, if the test says nothing else in *as. */
static inline int want_as(struct cache *c, struct caller *a, struct load_peer *peer, const char *key,
                          struct cache_load as)
{
    *a = (struct caller){.load = as};
    a->load.get.key = slice_text(key);
    a->load.peer = peer;
    a->load.hold_ns = as.hold_ns ? as.hold_ns : 10 * NS_PER_S;
    a->load.done = load_done;
    int r = cache_load(c, &a->load);
    if (r == CACHE_DONE)
        take_value(a);
    return r;
}

static inline int want(struct cache *c, struct caller *a, struct load_peer *peer, const char *key)
{
    return want_as(c, a, peer, key, (struct cache_load){.wait_ns = NS_PER_S});
}

#define ASSERT_STATUS(caller, NAME)                                    \
    do {                                                               \
        assert_int_equal((caller).answers, 1);                         \
        assert_string_equal(status_name((caller).load.status), #NAME); \
    } while (0)

#define ASSERT_WAITS(caller) assert_int_equal((caller).answers, 0)

#define ASSERT_VALUE(caller, text)                               \
    do {                                                         \
        ASSERT_STATUS(caller, HIT);                              \
        assert_int_equal((caller).value_bytes, strlen(text));    \
        assert_memory_equal((caller).value, text, strlen(text)); \
    } while (0)

static inline struct slice token_of(const struct caller *a)
{
    return slice_of(a->load.token, a->load.token_bytes);
}

static inline enum status fill_with(struct cache *c, const struct caller *holder, const char *key,
                                    const char *value, const char *tag)
{
    struct slice tags[] = {slice_text(tag ? tag : "")};
    struct cache_set s = {.key = slice_text(key),
                          .value = slice_text(value),
                          .ttl_ms = CACHE_TTL_DEFAULT,
                          .stale_ms = CACHE_TTL_DEFAULT,
                          .tags = tags,
                          .tags_count = tag != NULL,
                          .token = token_of(holder)};
    assert_int_equal(cache_set(c, &s), CACHE_DONE);
    return s.status;
}

static inline enum status fail_with(struct cache *c, const struct caller *holder, const char *key)
{
    return cache_load_failed(c, slice_text(key), token_of(holder), 0);
}

/* ======= three who load, a connection each ======= */

struct people {
    struct load_peer ann, ben, cay;
};

static struct people people;

static inline struct fixture *meet(void **state)
{
    load_peer_init(&people.ann, 1);
    load_peer_init(&people.ben, 2);
    load_peer_init(&people.cay, 3);
    return *state;
}

#endif
