#include "cache/ahead.h"

#include <stdlib.h>
#include <uthash.h>
#include "base/check.h"
#include "base/list.h"
#include "proto/shm.h"

struct change {
    uint64_t key_hash, v;
    struct list node; /* of its partition, in the order noted: nearly that of v */
    UT_hash_handle hh;
};

struct ahead {
    struct change *table;
    struct list of[SHM_PARTITIONS];
};

struct ahead *ahead_create(void)
{
    struct ahead *a = must_alloc(sizeof(*a));
    for (unsigned p = 0; p < SHM_PARTITIONS; p++)
        list_init(&a->of[p]);
    return a;
}

struct ahead *ahead_destroy(struct ahead *a)
{
    if (!a)
        return NULL;
    for (unsigned p = 0; p < SHM_PARTITIONS; p++)
        ahead_forget(a, p);
    free(a);
    return NULL;
}

static struct change *find(const struct ahead *a, uint64_t key_hash)
{
    struct change *change;
    HASH_FIND(hh, a->table, &key_hash, sizeof(key_hash), change);
    return change;
}

static void drop(struct ahead *a, struct change *change)
{
    list_remove(&change->node);
    HASH_DEL(a->table, change);
    free(change);
}

void ahead_note(struct ahead *a, unsigned partition, uint64_t key_hash, uint64_t v)
{
    struct change *change = find(a, key_hash);
    if (change) {
        change->v = change->v > v ? change->v : v;
        list_remove(&change->node);
        list_append(&a->of[partition], &change->node);
        return;
    }
    if (HASH_COUNT(a->table) >= AHEAD_MAX)
        return;
    change = must_alloc(sizeof(*change));
    change->key_hash = key_hash;
    change->v = v;
    list_append(&a->of[partition], &change->node);
    HASH_ADD(hh, a->table, key_hash, sizeof(key_hash), change);
}

uint64_t ahead_position(const struct ahead *a, uint64_t key_hash)
{
    const struct change *change = find(a, key_hash);
    return change ? change->v : 0;
}

void ahead_passed(struct ahead *a, unsigned partition, uint64_t v)
{
    struct list *first;
    while ((first = list_first(&a->of[partition]))) {
        struct change *change = CONTAINER_OF(first, struct change, node);
        if (change->v > v)
            return;
        drop(a, change);
    }
}

void ahead_forget(struct ahead *a, unsigned partition)
{
    ahead_passed(a, partition, UINT64_MAX);
}
