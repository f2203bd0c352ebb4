#include "cache/lease.h"

#include <stdlib.h>
#include <string.h>

struct leases *leases_create(uint64_t now_ns)
{
    struct leases *all = must_alloc(sizeof(*all));
    all->alarms = alarms_create(now_ns);
    return all;
}

static void end_unwaited(struct lease *l)
{
    struct list waiting;
    CHECK(list_empty(&l->waiting));
    lease_end(l, &waiting);
}

/* Those that newcomers found, and those that were overtaken while somebody held them. */
struct leases *leases_destroy(struct leases *all)
{
    struct lease *l, *next;
    if (!all)
        return NULL;
    HASH_ITER(by_key, all->by_key, l, next)
    end_unwaited(l);
    HASH_ITER(by_token, all->by_token, l, next)
    end_unwaited(l);
    CHECK(all->count == 0);
    all->alarms = alarms_destroy(all->alarms);
    free(all);
    return NULL;
}

struct lease *lease_find(const struct leases *all, struct slice key)
{
    struct lease *l = NULL;
    if (all->by_key)
        HASH_FIND(by_key, all->by_key, key.data, key.size, l);
    return l;
}

struct lease *lease_begin(struct cache *c, struct slice key, void (*ring)(struct alarm *alarm))
{
    struct leases *all = c->leases;
    struct lease *l = must_alloc(sizeof(*l) + key.size);
    l->all = all;
    l->cache = c;
    l->state = LEASE_ASKING;
    l->key_bytes = key.size;
    memcpy(l->key, key.data, key.size);
    list_init(&l->of_peer);
    list_init(&l->waiting);
    alarm_init(&l->alarm, ring);
    HASH_ADD_KEYPTR(by_key, all->by_key, l->key, l->key_bytes, l);
    all->count++;
    return l;
}

void lease_give(struct lease *l, struct load_peer *peer, uint64_t random, uint64_t ends_ns)
{
    CHECK(l->state == LEASE_ASKING);
    l->state = LEASE_HELD;
    l->token = (struct token){TOKEN_LEASE, random, ++l->all->given};
    l->ends_ns = ends_ns;
    l->peer = peer;
    list_append(&peer->holds, &l->of_peer);
    peer->holds_count++;
    HASH_ADD(by_token, l->all->by_token, token.v, sizeof(l->token.v), l);
}

/* Nobody holds it any more. */
static void let_go(struct lease *l)
{
    alarm_off(&l->alarm);
    if (l->state != LEASE_HELD)
        return;
    HASH_DELETE(by_token, l->all->by_token, l);
    list_remove(&l->of_peer);
    l->peer->holds_count--;
    l->peer = NULL;
}

struct lease *lease_held(const struct leases *all, const struct token *token)
{
    struct lease *l = NULL;
    if (all->by_token)
        HASH_FIND(by_token, all->by_token, &token->v, sizeof(token->v), l);
    return l && l->token.epoch == token->epoch ? l : NULL;
}

struct lease *lease_take(struct leases *all, const struct token *token, struct slice key)
{
    struct lease *l = lease_held(all, token);
    if (!l || !slice_equal(lease_key(l), key))
        return NULL;
    let_go(l);
    l->state = LEASE_FILLING;
    return l;
}

void lease_overtake(struct lease *l)
{
    if (l->overtaken)
        return;
    HASH_DELETE(by_key, l->all->by_key, l);
    l->overtaken = true;
}

void lease_end(struct lease *l, struct list *ret_waiting)
{
    list_init(ret_waiting);
    struct list *first;
    while ((first = list_first(&l->waiting))) {
        list_remove(first);
        list_append(ret_waiting, first);
    }
    lease_overtake(l);
    let_go(l);
    l->all->count--;
    free(l);
}
