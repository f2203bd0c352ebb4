/* Registered loaders on the cache rig: their hands, what they were asked for, and what they bring. */
#ifndef LARDER_TESTS_LOADER_RIG_H
#define LARDER_TESTS_LOADER_RIG_H

#include <stdio.h>
#include "cache/loaders.h"
#include "support/cache_rig.h"

#define HOLD (10 * NS_PER_S)

struct hand {
    struct cache_offer offer;
    unsigned answers;
    bool deaf; /* cannot be told: its connection does not read */
    char key[32];
    uint8_t token[64];
    size_t token_bytes;
};

static inline bool told(struct cache_offer *offer)
{
    struct hand *h = CONTAINER_OF(offer, struct hand, offer);
    h->answers++;
    snprintf(h->key, sizeof(h->key), "%.*s", (int)offer->key.size, (const char *)offer->key.data);
    h->token_bytes = offer->token.size;
    if (h->token_bytes)
        memcpy(h->token, offer->token.data, h->token_bytes);
    return !h->deaf;
}

static inline struct slice hand_token(const struct hand *h)
{
    return slice_of(h->token, h->token_bytes);
}

static inline bool can(struct loader *l, const char *pattern, unsigned lists)
{
    const char *why;
    struct slice patterns[] = {slice_text(pattern)};
    return loader_can(l, patterns, 1, lists, &why);
}

static inline struct loader *join(struct fixture *f, const char *pattern)
{
    struct loader *l = loader_join(f->cache, 7, slice_text("test"));
    assert_non_null(l);
    assert_true(can(l, pattern, 0));
    return l;
}

static inline void offer_as(struct fixture *f, struct hand *h, struct loader *l, uint64_t wait_ns, bool deaf)
{
    *h = (struct hand){.offer = {.loader = l, .wait_ns = wait_ns, .hold_ns = HOLD, .done = told},
                       .deaf = deaf};
    cache_offer(f->cache, &h->offer);
}

static inline void offer(struct fixture *f, struct hand *h, struct loader *l)
{
    offer_as(f, h, l, 3600 * NS_PER_S, false);
}

#define ASSERT_ASKED(hand, text)               \
    do {                                       \
        assert_int_equal((hand).answers, 1);   \
        assert_string_equal((hand).key, text); \
    } while (0)

static inline enum status brings(struct fixture *f, const struct hand *h, const char *key, struct slice value)
{
    struct cache_set s = a_set(key, "");
    s.value = value;
    s.token = hand_token(h);
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    return s.status;
}

/* What it was asked for, and it is taken. */
static inline void bring(struct fixture *f, const struct hand *h, const char *value)
{
    assert_int_equal(brings(f, h, h->key, slice_text(value)), STATUS_OK);
}

static inline void come_too_late(struct fixture *f, const struct hand *h)
{
    assert_int_equal(brings(f, h, h->key, slice_text("late")), STATUS_REFUSED);
}

#endif
