#include "support/table_tier.h"

#include <string.h>
#include "base/check.h"

static struct table_tier *self(struct tier *t)
{
    return CONTAINER_OF(t, struct table_tier, tier);
}

struct table_row *table_tier_find(struct table_tier *t, struct slice key)
{
    for (unsigned i = 0; i < TABLE_ROWS; i++)
        if (t->rows[i].used && slice_equal(t->rows[i].entry.key, key))
            return &t->rows[i];
    return NULL;
}

static int answer(struct table_tier *t, struct tier_read *read)
{
    struct table_row *row = table_tier_find(t, read->key);
    read->reason = MISS_COLD;
    if (!row)
        return TIER_MISSED;
    const struct entry *e = &row->entry;
    enum verdict verdict = kills_judge(t->kills, e->key, e->tags, e->tags_count, e->v);
    read->reason = verdict == DEAD ? MISS_INVALIDATED : MISS_EXPIRED;
    if (verdict == DEAD || read->now_ns >= e->hard_ns)
        return TIER_MISSED;
    read->entry = *e;
    read->entry.stale |= verdict == SOFTENED;
    read->entry.suspect = verdict == SUSPECT && !row->confirmed;
    return TIER_FOUND;
}

static int table_get(struct tier *tier, struct tier_read *read)
{
    struct table_tier *t = self(tier);
    t->gets++;
    if (!t->slow)
        return answer(t, read);
    CHECK(t->waiting_count < TABLE_WAITING);
    t->waiting[t->waiting_count++] = read;
    return TIER_PENDING;
}

void table_tier_land(struct table_tier *t)
{
    struct tier_read *waiting[TABLE_WAITING];
    unsigned count = t->waiting_count;
    memcpy(waiting, t->waiting, sizeof(waiting));
    t->waiting_count = 0;
    for (unsigned i = 0; i < count; i++)
        waiting[i]->done(waiting[i], answer(t, waiting[i]));
}

void table_tier_commit(struct table_tier *t)
{
    unsigned count = t->barriers_count;
    t->barriers_count = 0;
    for (unsigned i = 0; i < count; i++)
        t->barriers[i]->done(t->barriers[i]);
}

static int changed(struct table_tier *t)
{
    return t->unsafe ? TIER_UNSAFE : TIER_DONE;
}

static void forget(struct table_tier *t, struct slice key)
{
    struct table_row *row = table_tier_find(t, key);
    if (row)
        row->used = false;
}

static struct table_row *free_row(struct table_tier *t)
{
    for (unsigned i = 0; i < TABLE_ROWS; i++)
        if (!t->rows[i].used)
            return &t->rows[i];
    WRONG("the table is full");
}

static int table_put(struct tier *tier, const struct entry *e)
{
    struct table_tier *t = self(tier);
    t->puts++;
    forget(t, e->key);
    if (!t->boundless && e->key.size + e->value.size > TABLE_BYTES)
        return TIER_TOO_BIG;
    if (t->refuse)
        return TIER_UNSTORED;
    struct table_row *row = free_row(t);
    row->used = true;
    row->confirmed = true;
    row->entry = *e;
    if (e->value.size)
        memcpy(row->value, e->value.data, e->value.size);
    memcpy(row->key, e->key.data, e->key.size);
    row->entry.key.data = row->key;
    row->entry.value.data = row->value;
    CHECK(e->tag_names.size <= TABLE_BYTES);
    if (e->tag_names.size)
        memcpy(row->names, e->tag_names.data, e->tag_names.size);
    row->entry.tag_names.data = row->names;
    return changed(t);
}

static int table_drop(struct tier *tier, struct slice key, uint64_t key_hash, uint64_t v)
{
    struct table_tier *t = self(tier);
    t->drops++;
    struct table_row *row = table_tier_find(t, key);
    if (row && row->entry.v < v)
        row->used = false;
    return changed(t);
}

static int table_soften(struct tier *tier, struct slice key, uint64_t key_hash, uint64_t v, uint64_t now_ns)
{
    struct table_row *row = table_tier_find(self(tier), key);
    if (row && row->entry.v < v)
        row->entry.stale = true;
    return changed(self(tier));
}

static int table_touch(struct tier *tier, const struct entry *as)
{
    struct table_row *row = table_tier_find(self(tier), as->key);
    if (!row || row->entry.v != as->v || row->entry.id != as->id)
        return TIER_NOT_THERE;
    row->entry.soft_ns = as->soft_ns;
    row->entry.hard_ns = as->hard_ns;
    return TIER_DONE;
}

static int table_kill(struct tier *tier, uint64_t name_hash, uint64_t v, bool soft)
{
    for (unsigned i = 0; i < TABLE_ROWS && kills_is_floor(name_hash); i++)
        self(tier)->rows[i].confirmed = false;
    return changed(self(tier));
}

static int table_confirm(struct tier *tier, struct slice key, uint64_t key_hash, uint64_t v, bool stale)
{
    struct table_row *row = table_tier_find(self(tier), key);
    if (!row || row->entry.v != v)
        return TIER_NOT_THERE;
    row->confirmed = true;
    row->entry.stale |= stale;
    return TIER_DONE;
}

static void table_barrier(struct tier *tier, struct tier_barrier *barrier)
{
    struct table_tier *t = self(tier);
    if (!t->unsafe) {
        barrier->done(barrier);
        return;
    }
    CHECK(t->barriers_count < TABLE_WAITING);
    t->barriers[t->barriers_count++] = barrier;
}

static void table_list(struct tier *tier, uint64_t *cursor, uint32_t limit, uint64_t now_ns,
                       bool (*each)(void *user, const struct tier_listed *listed), void *user)
{
    struct table_tier *t = self(tier);
    for (uint32_t seen = 0; *cursor < TABLE_ROWS && seen < limit; ++*cursor) {
        const struct table_row *row = &t->rows[*cursor];
        if (!row->used)
            continue;
        struct tier_listed listed = {row->entry.key, row->entry.key_hash, row->entry.hard_ns,
                                     row->entry.value.size};
        if (!each(user, &listed))
            return;
        seen++;
    }
    *cursor = *cursor == TABLE_ROWS ? 0 : *cursor;
}

static void table_measure(struct tier *tier, struct tier_figures *ret)
{
    *ret = (struct tier_figures){.available = true};
    for (unsigned i = 0; i < TABLE_ROWS; i++)
        ret->entries += self(tier)->rows[i].used;
}

void table_tier_init(struct table_tier *t, enum tier_name name, const struct kills *kills)
{
    memset(t, 0, sizeof(*t));
    t->ops = (struct tier_ops){.name = name,
                               .get = table_get,
                               .put = table_put,
                               .drop = table_drop,
                               .soften = table_soften,
                               .touch = table_touch,
                               .kill = table_kill,
                               .confirm = table_confirm,
                               .barrier = table_barrier,
                               .list = table_list,
                               .measure = table_measure};
    t->tier.ops = &t->ops;
    t->kills = kills;
}
