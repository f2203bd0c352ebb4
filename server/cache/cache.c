#include "cache/cache.h"

#include <stdlib.h>
#include <string.h>
#include "cache/cache_private.h"

enum { POSITION_START_SHIFT = 40 }; /* V = start_no << 40 | n: a trillion changes between two starts */

struct cache *cache_create(const struct cache_setup *setup)
{
    CHECK(setup->kills && setup->now_ns && setup->options);
    struct cache *c = must_alloc(sizeof(*c));
    c->setup = *setup;
    c->tiers[0] = setup->l1;
    c->tiers[1] = setup->warm;
    c->tiers[2] = setup->l2;
    c->position = setup->start_no << POSITION_START_SHIFT;
    c->guard = guard_create(c->position);
    c->flights = flights_create();
    c->id_state = setup->hash_secret ^ c->position;
    list_init(&c->gated_sets);
    list_init(&c->gated_invalidations);
    return c;
}

struct cache *cache_destroy(struct cache *c)
{
    if (!c)
        return NULL;
    CHECK(cache_idle(c));
    c->flights = flights_destroy(c->flights);
    c->guard = guard_destroy(c->guard);
    free(c);
    return NULL;
}

bool cache_idle(const struct cache *c)
{
    return flights_empty(c->flights) && list_empty(&c->gated_sets) && list_empty(&c->gated_invalidations);
}

uint64_t cache_position(const struct cache *c)
{
    return c->position;
}

uint64_t cache_next_position(struct cache *c)
{
    CHECK((c->position + 1) >> POSITION_START_SHIFT == c->setup.start_no);
    return ++c->position;
}

const char *cache_namespace(const struct cache *c)
{
    return c->setup.namespace;
}

uint64_t cache_value_max(const struct cache *c)
{
    return c->setup.options->max_value;
}

unsigned cache_mode(const struct cache *c)
{
    (void)c;
    return WIRE_STANDALONE;
}

void cache_measure(const struct cache *c, struct cache_figures *ret)
{
    *ret = c->figures;
}

/* ======= the gate ======= */

/* In the order in which they came, sets before invalidations of the same turn: both are changes, and whoever sent
 * them at once asked for no order. */
static void open_gate(struct cache *c)
{
    struct list *node;
    while ((node = list_first(&c->gated_sets))) {
        list_remove(node);
        cache_set_resume(CONTAINER_OF(node, struct cache_set, waiting));
    }
    while ((node = list_first(&c->gated_invalidations))) {
        list_remove(node);
        cache_invalidate_resume(CONTAINER_OF(node, struct cache_invalidate, waiting));
    }
}

void cache_tick(struct cache *c)
{
    if (cache_gate_open(c))
        open_gate(c);
}

/* ======= safety ======= */

static void safety_reached(struct tier_barrier *barrier)
{
    struct cache_safety *safety = CONTAINER_OF(barrier, struct cache_safety, barrier);
    safety->reached = true;
    if (safety->waited_for)
        safety->then(safety);
}

int cache_make_safe(struct cache *c, struct cache_safety *safety, void (*then)(struct cache_safety *safety))
{
    *safety = (struct cache_safety){.barrier.done = safety_reached, .then = then};
    c->setup.warm->ops->barrier(c->setup.warm, &safety->barrier);
    safety->waited_for = !safety->reached;
    return safety->reached ? CACHE_DONE : CACHE_PENDING;
}

/* ======= kills ======= */

void cache_prune_kills(struct cache *c, uint64_t v)
{
    kills_prune(c->setup.kills, v);
    guard_raise(c->guard, v); /* a token that old cannot be judged any more */
}

/* ======= tokens ======= */

void token_write(uint8_t ret_token[TOKEN_BYTES], uint64_t epoch, uint64_t v)
{
    ret_token[0] = TOKEN_FORMAT;
    memcpy(ret_token + 1, &epoch, sizeof(epoch));
    memcpy(ret_token + 9, &v, sizeof(v));
}

bool token_read(struct slice token, uint64_t *ret_epoch, uint64_t *ret_v)
{
    const uint8_t *p = token.data;
    if (token.size != TOKEN_BYTES || p[0] != TOKEN_FORMAT)
        return false;
    memcpy(ret_epoch, p + 1, sizeof(*ret_epoch));
    memcpy(ret_v, p + 9, sizeof(*ret_v));
    return true;
}
