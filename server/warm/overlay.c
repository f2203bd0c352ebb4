/* Chains in a fixed table: at the usual few hundred changes every chain is one long, at the bound fifteen; nothing is
 * ever rehashed in a loop turn. */
#include "warm/overlay.h"

#include <stdlib.h>
#include "base/check.h"

enum { BUCKETS = 1 << 16 };

struct overlay {
    uint64_t count;
    struct op *buckets[BUCKETS];
};

/* ======= changes ======= */

struct op *op_create(enum op_kind kind, enum op_class class, uint64_t hash, size_t size)
{
    struct op *op = malloc(sizeof(*op) + size);
    CHECK(op && size <= UINT32_MAX);
    *op = (struct op){.hash = hash, .kind = kind, .class = class, .size = (uint32_t)size};
    list_init(&op->node);
    return op;
}

/* A key's journal record says "gone" or "stale" and fits whatever comes after it; the record of a kill holds its
 * position and fits no later one.  What has no record and waits for its commit may be anything. */
bool op_may_inherit(const struct op *old, const struct op *op)
{
    if (!op_may_go_ahead(old, op))
        return false;
    if (op->need == COVER_NONE || op_unsafe(old))
        return true;
    return op->class == OP_OF_KEY && old->cover >= op->need;
}

/* A name may have gone to another glob: then the old one is still what the floor that came after it relies on. */
static bool same_glob(const struct op *old, const struct op *op)
{
    return op->kind != OP_KILL || slice_equal(slice_of(old->bytes, old->size), slice_of(op->bytes, op->size));
}

bool op_may_go_ahead(const struct op *old, const struct op *op)
{
    return op->class != OP_OF_PLACE && old->epoch == op->epoch && same_glob(old, op);
}

bool op_is_covered_by(const struct op *old, const struct op *op)
{
    return old->class == OP_OF_PLACE ? old->kind == OP_PLACE : old->epoch == op->epoch && same_glob(old, op);
}

void op_inherit(const struct op *old, struct op *op)
{
    op->sequence = old->sequence;
    op->journal_end = old->journal_end;
    op->cover = op_unsafe(old) || op->class != OP_OF_KEY ? COVER_NONE : old->cover;
}

/* ======= table ======= */

struct overlay *overlay_create(void)
{
    return must_alloc(sizeof(struct overlay));
}

struct overlay *overlay_destroy(struct overlay *o)
{
    if (o)
        CHECK(o->count == 0);
    free(o);
    return NULL;
}

static struct op **link_of(struct overlay *o, enum op_class class, uint64_t hash)
{
    struct op **link = &o->buckets[(hash >> 16) % BUCKETS];
    while (*link && ((*link)->hash != hash || (*link)->class != class))
        link = &(*link)->chain;
    return link;
}

struct op *overlay_find(const struct overlay *o, enum op_class class, uint64_t hash)
{
    return *link_of((struct overlay *)o, class, hash);
}

void overlay_insert(struct overlay *o, struct op *op)
{
    struct op **link = link_of(o, op->class, op->hash);
    struct op *old = *link;
    if (old) {
        *link = old->chain;
        old->chain = NULL;
        old->in_table = false;
        o->count--;
    }
    op->chain = *link;
    *link = op;
    op->in_table = true;
    o->count++;
}

void overlay_remove(struct overlay *o, struct op *op)
{
    if (!op->in_table)
        return;
    struct op **link = link_of(o, op->class, op->hash);
    CHECK(*link == op);
    *link = op->chain;
    op->chain = NULL;
    op->in_table = false;
    o->count--;
}

void overlay_clear(struct overlay *o)
{
    for (uint32_t n = 0; n < BUCKETS; n++)
        while (o->buckets[n])
            overlay_remove(o, o->buckets[n]);
}

uint64_t overlay_count(const struct overlay *o)
{
    return o->count;
}

void overlay_walk(const struct overlay *o, uint32_t *bucket, uint32_t buckets,
                  bool (*each)(void *user, const struct op *op), void *user)
{
    for (; buckets > 0 && *bucket < BUCKETS; buckets--, (*bucket)++)
        for (const struct op *op = o->buckets[*bucket]; op; op = op->chain)
            if (!each(user, op))
                return;
    if (*bucket == BUCKETS)
        *bucket = 0;
}
