#include "cache/limit.h"

#include <assert.h>
#include <stdlib.h>
#include "base/clock.h"
#include "cache/cache_private.h"

/* ======= the sums ======= */

/* Sums of fractions of a request: an error of a millionth of one is nobody's. */
#define GRAIN 1e-6

/* A clock that went back, or another limit meanwhile, leaves a bucket that is full at most. */
static double level_now(const struct bucket *b, uint64_t now_ns, double max, double window_ns)
{
    double leaked = now_ns > b->at_ns ? (double)(now_ns - b->at_ns) * max / window_ns : 0;
    double level = b->level > leaked ? b->level - leaked : 0;
    return level < max ? level : max;
}

void bucket_ask(struct bucket *b, uint64_t now_ns, uint64_t max, uint64_t window_ns, uint64_t cost,
                struct bucket_answer *ret)
{
    CHECK(max >= 1 && window_ns >= 1 && cost <= max);
    double one_ns = (double)window_ns / (double)max;
    double level = level_now(b, now_ns, (double)max, (double)window_ns);
    double over = level + (double)cost - (double)max;
    ret->allowed = over <= GRAIN;
    if (ret->allowed && cost > 0)
        *b = (struct bucket){now_ns, level += (double)cost};
    ret->remaining = (uint64_t)((double)max - level + GRAIN);
    ret->reset_ns = (uint64_t)(level * one_ns + 0.5);
    ret->retry_ns = ret->allowed ? 0 : (uint64_t)(over * one_ns + 0.5);
}

/* ======= here ======= */

struct limit_cell {
    uint64_t key_hash, idle_ns;
    struct bucket bucket;
};
static_assert(sizeof(struct limit_cell) == 32, "contract: limit.h");

struct limits {
    struct limit_cell rows[LIMITS_ROWS][LIMITS_WAYS];
};

struct limits *limits_create(void)
{
    return must_alloc(sizeof(struct limits));
}

struct limits *limits_destroy(struct limits *l)
{
    free(l);
    return NULL;
}

static struct limit_cell *cell_of(struct limits *l, uint64_t key_hash)
{
    struct limit_cell *row = l->rows[(key_hash >> 32) % LIMITS_ROWS], *soonest = row;
    for (unsigned i = 0; i < LIMITS_WAYS; i++) {
        if (row[i].key_hash == key_hash)
            return &row[i];
        if (row[i].idle_ns < soonest->idle_ns)
            soonest = &row[i];
    }
    *soonest = (struct limit_cell){.key_hash = key_hash};
    return soonest;
}

void limits_ask(struct limits *l, uint64_t key_hash, uint64_t now_ns, uint64_t max, uint64_t window_ns,
                uint64_t cost, struct bucket_answer *ret)
{
    struct limit_cell *cell = cell_of(l, key_hash);
    bucket_ask(&cell->bucket, now_ns, max, window_ns, cost, ret);
    cell->idle_ns = now_ns + ret->reset_ns;
}

/* ======= the call ======= */

static void tell_quota(struct cache *c, const struct cache_limit *limit, bool allowed)
{
    struct quota *q = limit->name.size ? quotas_find(c->quotas, limit->name) : NULL;
    if (!q)
        return; /* or a reload took it away meanwhile */
    q->figures.asked++;
    q->figures.refused += !allowed;
    q->figures.local += limit->local;
}

static int answer(struct cache *c, struct cache_limit *limit, const struct bucket_answer *a)
{
    tell_quota(c, limit, a->allowed);
    limit->status = a->allowed ? STATUS_OK : STATUS_LIMITED;
    limit->remaining = a->remaining;
    limit->reset_ms = policy_left_ms(a->reset_ns, 0);
    limit->retry_ms = policy_left_ms(a->retry_ns, 0);
    c->figures.limits_asked++;
    c->figures.limits_refused += !a->allowed;
    return CACHE_DONE;
}

static int answer_here(struct cache *c, struct cache_limit *limit)
{
    struct bucket_answer a;
    if (!c->limits)
        c->limits = limits_create();
    limits_ask(c->limits, cache_key_hash(c, limit->key), cache_now(c), limit->max,
               limit->window_ms * NS_PER_MS, limit->cost, &a);
    return answer(c, limit, &a);
}

/* Nobody counts for the fleet now. */
static int answer_alone(struct cache *c, struct cache_limit *limit)
{
    limit->local = true;
    if (limit->alone == CACHE_LIMIT_LOCAL)
        return answer_here(c, limit);
    bool open = limit->alone == CACHE_LIMIT_OPEN;
    return answer(c, limit, &(struct bucket_answer){.allowed = open, .remaining = open ? limit->max : 0});
}

static int answered(struct cache *c, struct cache_limit *limit)
{
    const struct fleet_limit *there = &limit->there;
    c->limits_open--;
    if (!there->answered)
        return answer_alone(c, limit);
    return answer(c, limit,
                  &(struct bucket_answer){.allowed = there->allowed,
                                          .remaining = there->remaining,
                                          .reset_ns = there->reset_us * 1000,
                                          .retry_ns = there->retry_us * 1000});
}

static void fleet_answered(struct fleet_limit *there)
{
    struct cache_limit *limit = CONTAINER_OF(there, struct cache_limit, there);
    if (answered(limit->cache, limit) == CACHE_DONE)
        limit->done(limit);
}

static int ask_fleet(struct cache *c, struct cache_limit *limit)
{
    limit->there = (struct fleet_limit){.partition = cache_partition(c, limit->key),
                                        .key = limit->key,
                                        .max = limit->max,
                                        .window_us = limit->window_ms * 1000,
                                        .cost = limit->cost,
                                        .done = fleet_answered};
    c->limits_open++;
    int r = c->fleet->ops->limit ? c->fleet->ops->limit(c->fleet, &limit->there) : FLEET_DONE;
    return r == FLEET_PENDING ? CACHE_PENDING : answered(c, limit);
}

static enum status judge(const struct cache_limit *limit)
{
    if (!cache_key_valid(limit->key))
        return STATUS_BAD_KEY;
    bool sums = limit->max >= 1 && limit->max <= CACHE_LIMIT_MAX && limit->window_ms >= 1 &&
                limit->window_ms <= CACHE_LIMIT_WINDOW_MS && limit->cost <= limit->max;
    return sums && limit->alone <= CACHE_LIMIT_CLOSED ? STATUS_OK : STATUS_BAD_REQUEST;
}

int cache_limit(struct cache *c, struct cache_limit *limit)
{
    limit->cache = c;
    limit->local = false;
    limit->status = judge(limit);
    if (limit->status != STATUS_OK)
        return CACHE_DONE;
    return c->fleet ? ask_fleet(c, limit) : answer_here(c, limit);
}

/* ======= by name ======= */

bool cache_limit_by_name(struct cache *c, struct cache_limit *limit, struct quota_call *call, char *room)
{
    const struct quota *q = quotas_find(c->quotas, limit->name);
    call->message = q ? NULL : "no such limit is configured";
    size_t size = q ? quota_key(q, call, room, &limit->max) : 0;
    if (size == 0)
        return false;
    limit->key = slice_of(room, size);
    limit->window_ms = q->window_ms;
    limit->alone = (enum cache_limit_alone)q->alone;
    return true;
}

void cache_take_quotas(struct cache *c, struct quotas *taken)
{
    quotas_inherit(taken, c->quotas);
    quotas_destroy(c->quotas);
    c->quotas = taken;
}

const struct quotas *cache_quotas(const struct cache *c)
{
    return c->quotas;
}
