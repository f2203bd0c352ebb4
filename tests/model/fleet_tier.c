#include "tests/model/fleet_tier.h"

unsigned model_key(struct slice key)
{
    for (unsigned i = 0; i < KEYS; i++)
        if (slice_equal(key, slice_text(key_texts[i])))
            return i;
    WRONG("a key that is none of the model's");
}

void model_value_into(struct entry *e, const unsigned *value)
{
    e->value = slice_of(value, sizeof(*value));
}

static struct model_tier *self(struct tier *t)
{
    return CONTAINER_OF(t, struct model_tier, tier);
}

static struct model_row *row_of(struct tier *t, struct slice key)
{
    return &self(t)->now.rows[model_key(key)];
}

static int answer(struct model_tier *t, struct tier_read *read)
{
    struct model_row *row = row_of(&t->tier, read->key);
    read->reason = MISS_COLD;
    if (!row->used)
        return TIER_MISSED;
    struct entry *e = &row->entry;
    enum verdict verdict = kills_judge(t->kills, e->key, e->tags, e->tags_count, e->v);
    read->reason = verdict == DEAD ? MISS_INVALIDATED : MISS_EXPIRED;
    if (verdict == DEAD || read->now_ns >= e->hard_ns)
        return TIER_MISSED;
    read->entry = *e;
    model_value_into(&read->entry, &row->value);
    read->entry.stale |= verdict == SOFTENED;
    read->entry.suspect |= verdict == SUSPECT;
    return TIER_FOUND;
}

static int get(struct tier *tier, struct tier_read *read)
{
    struct model_tier *t = self(tier);
    if (!t->slow)
        return answer(t, read);
    CHECK(t->waiting_count < TIER_WAITING);
    t->waiting[t->waiting_count++] = read;
    return TIER_PENDING;
}

void model_tier_land(struct model_tier *t)
{
    struct tier_read *waiting[TIER_WAITING];
    unsigned count = t->waiting_count;
    memcpy(waiting, t->waiting, count * sizeof(waiting[0]));
    t->waiting_count = 0;
    for (unsigned i = 0; i < count; i++)
        waiting[i]->done(waiting[i], answer(t, waiting[i]));
}

void model_tier_committed(struct model_tier *t)
{
    struct tier_barrier *barriers[TIER_WAITING];
    unsigned count = t->barriers_count;
    memcpy(barriers, t->barriers, count * sizeof(barriers[0]));
    t->barriers_count = 0;
    for (unsigned i = 0; i < count; i++)
        barriers[i]->done(barriers[i]);
}

/* I12: what was answered as done survives a kill. */
static int changed(struct model_tier *t)
{
    return t->disk && !t->journaled && !RULE(I12_barrier, false) ? TIER_UNSAFE : TIER_DONE;
}

/* The disk loses what is not to come back; what is to be there comes with the commit. */
static void remove_on_disk(struct model_tier *t, struct slice key)
{
    if (t->disk && t->journaled && !RULE(I12_journal, false))
        t->disk->rows[model_key(key)].used = false;
}

static int put(struct tier *tier, const struct entry *e)
{
    struct model_row *row = row_of(tier, e->key);
    row->used = true;
    row->entry = *e;
    row->entry.key = slice_text(key_texts[model_key(e->key)]);
    row->entry.tag_names = slice_of(NULL, 0); /* nobody keeps them */
    memcpy(&row->value, e->value.data, sizeof(row->value));
    remove_on_disk(self(tier), e->key);
    return changed(self(tier));
}

static int drop(struct tier *tier, struct slice key, uint64_t key_hash, uint64_t v)
{
    struct model_row *row = row_of(tier, key);
    if (self(tier)->disk || row->entry.v < v) /* L1 compares positions */
        row->used = false;
    remove_on_disk(self(tier), key);
    return changed(self(tier));
}

static int soften(struct tier *t, struct slice key, uint64_t key_hash, uint64_t v, uint64_t now_ns)
{
    row_of(t, key)->entry.stale |= row_of(t, key)->entry.v < v;
    if (self(t)->disk && self(t)->journaled)
        self(t)->disk->rows[model_key(key)].entry.stale = true;
    return changed(self(t));
}

/* Longer, never shorter; what is stale stays so. */
static int touch(struct tier *t, const struct entry *as)
{
    struct model_row *row = row_of(t, as->key);
    if (!row->used || row->entry.v != as->v || row->entry.id != as->id)
        return TIER_NOT_THERE;
    row->entry.hard_ns = as->hard_ns > row->entry.hard_ns ? as->hard_ns : row->entry.hard_ns;
    return TIER_DONE;
}

static void keep_kill(struct model_kept *kept, const struct kills *kills, uint64_t name, uint64_t v,
                      bool soft)
{
    unsigned i = 0;
    while (i < kept->kills_count && kept->kills[i].name != name)
        i++;
    CHECK(i < KILLS_KEPT);
    if (i == kept->kills_count) {
        memset(&kept->kills[i], 0, sizeof(kept->kills[i]));
        kept->kills[kept->kills_count++].name = name;
    }
    if (kills_is_ban(name))
        memcpy(kept->kills[i].glob, kills_glob(kills, name).data, sizeof(kept->kills[i].glob));
    uint64_t *at = soft ? &kept->kills[i].soft_v : &kept->kills[i].hard_v;
    *at = *at > v ? *at : v;
}

static int kill_name(struct tier *tier, uint64_t name, uint64_t v, bool soft)
{
    struct model_tier *t = self(tier);
    keep_kill(&t->now, t->kills, name, v, soft);
    if (t->disk && t->journaled)
        keep_kill(t->disk, t->kills, name, v, soft);
    return changed(t);
}

static void forget(struct model_kept *kept, unsigned partition)
{
    unsigned left = 0;
    for (unsigned i = 0; i < kept->kills_count; i++)
        if (kept->kills[i].name >> KILLS_PARTITION_SHIFT != partition)
            kept->kills[left++] = kept->kills[i];
    kept->kills_count = left;
    for (unsigned key = 0; key < KEYS; key++)
        if (shm_partition(slice_text(key_texts[key]), redis_partitions()) == partition)
            kept->rows[key].used = false;
}

void model_tier_forget(struct model_tier *t, unsigned partition)
{
    forget(&t->now, partition);
    if (t->journaled)
        forget(t->disk, partition);
}

void model_tier_end_local(struct model_tier *t)
{
    for (unsigned key = 0; key < KEYS; key++)
        t->now.rows[key].used &= !t->now.rows[key].entry.local;
}

static int confirm(struct tier *t, struct slice key, uint64_t key_hash, uint64_t v, bool stale)
{
    return TIER_DONE;
}

static void barrier(struct tier *tier, struct tier_barrier *b)
{
    struct model_tier *t = self(tier);
    CHECK(t->barriers_count < TIER_WAITING);
    t->barriers[t->barriers_count++] = b;
}

static void list(struct tier *t, uint64_t *cursor, uint32_t limit, uint64_t now_ns,
                 bool (*each)(void *user, const struct tier_listed *listed), void *user)
{
    *cursor = 0;
}

static void measure(struct tier *t, struct tier_figures *ret)
{
    *ret = (struct tier_figures){.available = true};
}

void model_tier_init(struct model_tier *t, enum tier_name name, struct kills *kills, struct model_kept *disk)
{
    memset(t, 0, sizeof(*t));
    t->ops = (struct tier_ops){.name = name,
                               .get = get,
                               .put = put,
                               .drop = drop,
                               .soften = soften,
                               .touch = touch,
                               .kill = kill_name,
                               .confirm = confirm,
                               .barrier = barrier,
                               .list = list,
                               .measure = measure};
    t->tier.ops = &t->ops;
    t->kills = kills;
    t->disk = disk;
    for (unsigned i = 0; disk && i < disk->kills_count; i++) {
        if (kills_is_ban(disk->kills[i].name))
            kills_ban_was(kills, disk->kills[i].name,
                          slice_of(disk->kills[i].glob, sizeof(disk->kills[i].glob)));
        if (disk->kills[i].hard_v)
            kills_add(kills, disk->kills[i].name, disk->kills[i].hard_v, false);
        if (disk->kills[i].soft_v)
            kills_add(kills, disk->kills[i].name, disk->kills[i].soft_v, true);
    }
    if (disk)
        t->now = *disk;
}
