/* A cache over two tables with a clock of its own, and short words for what the tests ask of it. */
#ifndef LARDER_TESTS_CACHE_RIG_H
#define LARDER_TESTS_CACHE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/clock.h"
#include "cache/cache.h"
#include "support/table_tier.h"

enum { SECRET = 7, EPOCH = 99 };

struct fixture {
    uint64_t now_ns; /* first: the clock */
    bool turn_is_long;
    struct cache_options options;
    struct kills *kills;
    struct table_tier l1, warm;
    bool no_l1; /* switched off; before open_cache */
    struct cache *cache;
};

static inline uint64_t fake_now(const void *clock)
{
    return *(const uint64_t *)clock;
}

static inline bool fake_turn_is_long(const void *clock)
{
    return ((const struct fixture *)clock)->turn_is_long;
}

static inline void open_cache(struct fixture *f, uint64_t gate_until_ns)
{
    struct cache_setup setup = {.options = &f->options,
                                .now_ns = fake_now,
                                .turn_is_long = fake_turn_is_long,
                                .clock = f,
                                .namespace = "default",
                                .kills = f->kills,
                                .l1 = f->no_l1 ? NULL : &f->l1.tier,
                                .warm = &f->warm.tier,
                                .hash_secret = SECRET,
                                .epoch = EPOCH,
                                .start_no = 3,
                                .gate_until_ns = gate_until_ns};
    f->cache = cache_create(&setup);
}

static inline int begin(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->now_ns = 1000 * NS_PER_S;
    f->options = (struct cache_options){
        .cache = true, .ttl = 60 * NS_PER_S, .max_ttl = 600 * NS_PER_S, .max_value = 1000};
    f->kills = kills_create(SECRET);
    table_tier_init(&f->l1, TIER_L1, f->kills);
    table_tier_init(&f->warm, TIER_WARM, f->kills);
    open_cache(f, 0);
    *state = f;
    return 0;
}

static inline int end(void **state)
{
    struct fixture *f = *state;
    cache_destroy(f->cache);
    kills_destroy(f->kills);
    free(f);
    return 0;
}

/* ======= shorthands ======= */

struct asked {
    struct cache_get get;
    unsigned done;
};

static inline void get_done(struct cache_get *get)
{
    ((struct asked *)get)->done++;
}

static inline int ask(struct fixture *f, struct asked *a, const char *key)
{
    *a = (struct asked){.get = {.key = slice_text(key), .done = get_done}};
    return cache_get(f->cache, &a->get);
}

static inline enum status get(struct fixture *f, const char *key)
{
    struct asked a;
    assert_int_equal(ask(f, &a, key), CACHE_DONE);
    return a.get.status;
}

static unsigned sets_done;

static inline void set_done(struct cache_set *set)
{
    sets_done++;
}

static inline struct cache_set a_set(const char *key, const char *value)
{
    return (struct cache_set){.key = slice_text(key),
                              .value = slice_text(value),
                              .ttl_ms = CACHE_TTL_DEFAULT,
                              .stale_ms = CACHE_TTL_DEFAULT,
                              .done = set_done};
}

static inline enum status set(struct fixture *f, const char *key, const char *value)
{
    struct cache_set s = a_set(key, value);
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    return s.status;
}

static inline void pass(struct fixture *f, uint64_t ns)
{
    f->now_ns += ns;
    cache_tick(f->cache);
}

static inline void invalidate_done(struct cache_invalidate *i)
{
    sets_done++;
}

static inline enum status invalidate(struct fixture *f, const char *key)
{
    struct slice keys[] = {slice_text(key)};
    struct cache_invalidate i = {.keys = keys, .keys_count = 1, .done = invalidate_done};
    assert_int_equal(cache_invalidate(f->cache, &i), CACHE_DONE);
    return i.status;
}

static inline enum status kill_tag(struct fixture *f, const char *tag)
{
    struct slice tags[] = {slice_text(tag)};
    struct cache_invalidate i = {.tags = tags, .tags_count = 1, .done = invalidate_done};
    assert_int_equal(cache_invalidate(f->cache, &i), CACHE_DONE);
    return i.status;
}

static inline enum status set_with_token(struct fixture *f, const struct cache_get *miss, const char *value,
                                         const char *tag)
{
    struct slice tags[] = {slice_text(tag)};
    struct cache_set s = a_set("acme:k", value);
    s.token = slice_of(miss->token, miss->token_bytes);
    s.tags = tags;
    s.tags_count = 1;
    cache_set(f->cache, &s);
    return s.status;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

#endif
