/* A cache beside a table that plays the fleet (support/table_fleet.h), so every order of events can be had, and short
 * words for what the tests ask of it. */
#ifndef LARDER_TESTS_FLEET_CACHE_RIG_H
#define LARDER_TESTS_FLEET_CACHE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/clock.h"
#include "cache/cache.h"
#include "proto/wire.h"
#include "support/table_fleet.h"
#include "support/table_tier.h"

enum { SECRET = 7, EPOCH = 99 };
#define LIFE (60 * NS_PER_S)

struct fixture {
    uint64_t now_ns; /* first: the clock */
    bool turn_is_long;
    struct cache_options options;
    struct kills *kills;
    struct table_tier l1, warm;
    struct table_fleet fleet;
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

static inline void open_cache(struct fixture *f, unsigned partitions)
{
    f->kills = kills_create(SECRET);
    kills_split(f->kills, partitions);
    table_tier_init(&f->l1, TIER_L1, f->kills);
    table_tier_init(&f->warm, TIER_WARM, f->kills);
    table_fleet_init(&f->fleet, partitions, EPOCH, SECRET);
    table_fleet_fresh(&f->fleet, f->now_ns + NS_PER_S);
    struct cache_setup setup = {.options = &f->options,
                                .now_ns = fake_now,
                                .turn_is_long = fake_turn_is_long,
                                .clock = f,
                                .namespace = "default",
                                .kills = f->kills,
                                .l1 = &f->l1.tier,
                                .warm = &f->warm.tier,
                                .fleet = &f->fleet.fleet,
                                .hash_secret = SECRET};
    f->cache = f->fleet.cache = cache_create(&setup);
    f->fleet.now_ns = &f->now_ns;
}

/* What f->options say holds from now on. */
static inline void take_options(struct fixture *f)
{
    struct policy_rule own = cache_default_rule(&f->options);
    struct policy_fault fault;
    cache_take_policies(f->cache, policies_create(&own, NULL, 0, cache_policies(f->cache), &fault));
}

static inline int begin_with(void **state, unsigned partitions)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->now_ns = 1000 * NS_PER_S;
    f->options = (struct cache_options){.cache = true,
                                        .ttl = LIFE,
                                        .max_ttl = 600 * NS_PER_S,
                                        .max_value = 1000,
                                        .serve_detached = true,
                                        .detached_max = 60 * NS_PER_S};
    open_cache(f, partitions);
    *state = f;
    return 0;
}

static inline int begin(void **state)
{
    return begin_with(state, 1);
}

static inline int begin_4(void **state)
{
    return begin_with(state, 4);
}

static inline int end(void **state)
{
    struct fixture *f = *state;
    cache_destroy(f->cache);
    kills_destroy(f->kills);
    free(f);
    return 0;
}

#define TEST(name)   cmocka_unit_test_setup_teardown(name, begin, end)
#define TEST_4(name) cmocka_unit_test_setup_teardown(name, begin_4, end)

/* ======= shorthands ======= */

static unsigned done;

static inline void get_done(struct cache_get *get)
{
    done++;
}

static inline void set_done(struct cache_set *set)
{
    done++;
}

static inline void invalidate_done(struct cache_invalidate *i)
{
    done++;
}

static inline struct cache_get a_get(const char *key)
{
    return (struct cache_get){.key = slice_text(key), .done = get_done};
}

static inline struct cache_set a_set(const char *key, const char *value)
{
    return (struct cache_set){.key = slice_text(key),
                              .value = slice_text(value),
                              .ttl_ms = CACHE_TTL_DEFAULT,
                              .stale_ms = CACHE_TTL_DEFAULT,
                              .done = set_done};
}

static inline enum status get(struct fixture *f, struct cache_get *get, const char *key)
{
    *get = a_get(key);
    assert_int_equal(cache_get(f->cache, get), CACHE_DONE);
    return get->status;
}

static inline enum status set(struct fixture *f, const char *key, const char *value)
{
    struct cache_set s = a_set(key, value);
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    return s.status;
}

static inline enum status invalidate(struct fixture *f, struct cache_invalidate *i)
{
    i->done = invalidate_done;
    assert_int_equal(cache_invalidate(f->cache, i), CACHE_DONE);
    return i->status;
}

static inline enum status remove_key(struct fixture *f, const char *key)
{
    struct slice keys[] = {slice_text(key)};
    struct cache_invalidate i = {.keys = keys, .keys_count = 1};
    return invalidate(f, &i);
}

static inline void assert_value(const struct cache_get *get, const char *value)
{
    assert_int_equal(get->status, STATUS_HIT);
    assert_int_equal(get->entry.value.size, strlen(value));
    assert_memory_equal(get->entry.value.data, value, strlen(value));
}

static inline void assert_miss(const struct cache_get *get, enum miss_reason reason)
{
    assert_string_equal(status_name(get->status), "MISS");
    assert_string_equal(miss_reason_name(get->reason), miss_reason_name(reason));
}

static inline struct cache_figures figures(const struct fixture *f)
{
    struct cache_figures figures;
    cache_measure(f->cache, &figures);
    return figures;
}

static inline void lease_ends(struct fixture *f)
{
    f->now_ns += 2 * NS_PER_S;
}

static inline void lose(struct fixture *f)
{
    table_fleet_lose(&f->fleet, f->now_ns + 48 * NS_PER_S, 24 * NS_PER_S);
}

static inline enum status fill(struct fixture *f, const struct cache_get *miss)
{
    struct cache_set s = a_set("k", "loaded");
    s.token = slice_of(miss->token, miss->token_bytes);
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    return s.status;
}

#endif
