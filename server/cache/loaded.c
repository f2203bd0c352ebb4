/* How a lease ends: filled, failed, given back, its connection gone.  What is said of those who wait is in lease.h. */
#include "base/clock.h"
#include "cache/failures.h"
#include "cache/lease.h"
#include "cache/loaders.h"

/* ======= the end of a lease ======= */

static struct lease *take(struct cache *c, struct slice key, struct slice bytes)
{
    struct token token;
    bool valid = token_read(bytes, &token) && token.kind == TOKEN_LEASE;
    return valid ? lease_take(c->leases, &token, key) : NULL;
}

static void fail(struct cache *c, struct lease *s, uint64_t backoff_ns, enum status why)
{
    struct cache_fetch *fetch = s->fetch;
    struct list waiting;
    uint64_t now_ns = cache_now(c), hash = cache_key_hash(c, lease_key(s));
    uint64_t until_ns = failures_note(c->failures, hash, backoff_ns, now_ns, (uint32_t)cache_random(c));
    c->figures.loads_failed++;
    lease_drop_there(c, s, until_ns - now_ns);
    lease_end(s, &waiting);
    loads_fail(c, &waiting);
    fetch_over(fetch, FETCH_FAILED, why);
}

enum status cache_load_failed(struct cache *c, struct slice key, struct slice token, uint64_t backoff_ns)
{
    struct lease *s = take(c, key, token);
    if (!s)
        return STATUS_REFUSED;
    fail(c, s, backoff_ns, STATUS_LOAD_FAILED);
    return STATUS_OK;
}

enum status cache_load_return(struct cache *c, struct slice key, struct slice token)
{
    struct lease *s = take(c, key, token);
    if (!s)
        return STATUS_REFUSED;
    lease_pass_on(c, s);
    return STATUS_OK;
}

void cache_load_abandon(struct cache *c, struct load_peer *peer)
{
    struct list *first;
    peer->gone = true;
    while ((first = list_first(&peer->waits))) {
        struct cache_load *l = CONTAINER_OF(first, struct cache_load, of_peer);
        load_stop_waiting(l);
        load_answer(l, STATUS_WAIT);
        l->done(l);
    }
    while ((first = list_first(&peer->holds)))
        lease_pass_on(c, CONTAINER_OF(first, struct lease, of_peer));
}

/* ======= fills ======= */

/* A registered loader that brings a key it was not asked for will not bring the one it was. */
static void brought_another(struct cache *c, const struct token *token)
{
    struct lease *s = lease_held(c->leases, token);
    if (s && s->fetch)
        fail(c, lease_take(c->leases, token, lease_key(s)), 0, STATUS_CONFLICT);
}

bool load_take(struct cache *c, struct cache_set *set, const struct token *token)
{
    set->lease = lease_take(c->leases, token, set->key);
    if (!set->lease)
        brought_another(c, token);
    return set->lease != NULL;
}

/* The value straight from the holder's hands, as if it had been found. */
static void serve(struct cache *c, struct cache_load *l, const struct cache_set *set, bool stored)
{
    struct life life = cache_set_life(c, set, cache_now(c));
    l->get.now_ns = cache_now(c);
    l->get.tier = TIER_NONE;
    l->get.detached = l->get.too_big_for_l1 = false;
    l->get.entry = (struct entry){.key = l->get.key,
                                  .key_hash = l->get.key_hash,
                                  .value = set->value,
                                  .epoch = set->result.epoch,
                                  .v = set->result.v,
                                  .id = set->result.id,
                                  .hard_ns = life.hard_ns,
                                  .soft_ns = life.soft_ns,
                                  .user_flags = set->user_flags,
                                  .schema = set->schema,
                                  .absent = set->absent,
                                  .local = set->status == STATUS_LOCAL};
    l->get.status = set->absent ? STATUS_ABSENT : STATUS_HIT;
    l->loaded = !stored;
    c->figures.load_waits_served++;
    load_answer(l, l->get.status);
    l->done(l);
}

/* A life of its own, shorter perhaps than the policy's share of lateness: each reader would refresh it at once. */
static void note_refreshed(struct cache *c, const struct cache_set *set, uint64_t key_hash)
{
    const struct policy *p = policies_match(c->policies, set->key);
    uint64_t now_ns = cache_now(c);
    if (!p->refresh_at || set->ttl_ms == CACHE_TTL_DEFAULT)
        return;
    uint64_t fresh_ns = cache_set_life(c, set, now_ns).soft_ns - now_ns;
    failures_hear(c->refreshed, key_hash, clock_after(now_ns, fresh_ns / 1000 * p->refresh_at));
}

void load_landed(struct cache *c, struct cache_set *set)
{
    struct lease *s = set->lease;
    struct list waiting, late;
    struct cache_load *l;
    struct cache_fetch *fetch = s->fetch;
    bool stored = set->status == STATUS_OK || set->status == STATUS_LOCAL;
    set->lease = NULL;
    c->figures.loads_done += stored;
    c->figures.loads_unstored += !stored;
    failures_forget(c->failures, cache_key_hash(c, set->key));
    if (stored)
        note_refreshed(c, set, cache_key_hash(c, set->key));
    if (set->status != STATUS_OK) /* else the fill ended it there */
        lease_drop_there(c, s, 0);
    lease_end(s, &waiting);
    list_init(&late);
    while ((l = load_next(&waiting))) {
        if (l->late)
            list_append(&late, &l->waiting);
        else
            serve(c, l, set, stored);
    }
    loads_ask_again(c, &late);
    fetch_over(fetch, stored ? FETCH_LOADED : FETCH_UNSTORED, set->status);
}

/* ======= looking in ======= */

static const char *const state_texts[] = {[LEASE_ASKING] = "asking",
                                          [LEASE_BUSY] = "elsewhere",
                                          [LEASE_HELD] = "held",
                                          [LEASE_FILLING] = "filling"};

static uint64_t count(const struct list *l)
{
    uint64_t n = 0;
    LIST_FOR(node, l)
    n++;
    return n;
}

void cache_load_look(const struct cache *c, struct slice key, struct load_look *ret)
{
    uint64_t now_ns = cache_now(c);
    const struct lease *s = lease_find(c->leases, key);
    *ret = (struct load_look){.rest_ns = failures_left_ns(c->failures, cache_key_hash(c, key), now_ns)};
    if (!s)
        return;
    ret->there = true;
    ret->state = state_texts[s->state];
    ret->in_fleet = s->in_fleet || s->state == LEASE_BUSY;
    ret->to_refresh = s->refresh;
    ret->holder_pid = s->peer ? s->peer->pid : 0;
    ret->left_ns = s->state == LEASE_HELD && s->ends_ns > now_ns ? s->ends_ns - now_ns : 0;
    ret->waiting = count(&s->waiting);
}
