/* Open addressing with linear probing at load <= 1/2, indexed by the fingerprint, so that one table answers both
 * by full hash and by fingerprint.  Names are never removed one by one: pruning rebuilds the table. */
#include "base/kills.h"

#include <stdlib.h>
#include "base/check.h"
#include "proto/shm.h"

struct kill {
    uint64_t name; /* 0: empty */
    uint64_t hard_v, soft_v;
};

struct kills {
    struct kill *rows;
    uint64_t mask, count;
    uint64_t hash_secret;
    unsigned partitions;
    struct bans *bans;
    struct floors {
        uint64_t newest_v; /* of any kill or floor: an entry at or above it is alive without a look */
        uint64_t hard_v, soft_v, unknown_v;
    } of[SHM_PARTITIONS];
};

enum { KILLS_FIRST_ROWS = 256 };

struct kills *kills_create(uint64_t hash_secret)
{
    struct kills *k = must_alloc(sizeof(*k));
    k->rows = must_alloc(KILLS_FIRST_ROWS * sizeof(*k->rows));
    k->mask = KILLS_FIRST_ROWS - 1;
    k->hash_secret = hash_secret;
    k->partitions = 1;
    k->bans = bans_create();
    return k;
}

struct kills *kills_destroy(struct kills *k)
{
    if (k) {
        bans_destroy(k->bans);
        free(k->rows);
    }
    free(k);
    return NULL;
}

uint64_t kills_count(const struct kills *k)
{
    return k->count;
}

uint64_t kills_floor(const struct kills *k, unsigned partition)
{
    return k->of[partition].hard_v;
}

void kills_split(struct kills *k, unsigned partitions)
{
    CHECK(k->count == 0 && partitions >= 1 && partitions <= SHM_PARTITIONS);
    k->partitions = partitions;
}

static uint64_t first_row(const struct kills *k, uint32_t fingerprint)
{
    return (fingerprint * 0x9e3779b97f4a7c15ull >> 32) & k->mask;
}

static unsigned partition_of(uint64_t name)
{
    return (unsigned)(name >> KILLS_PARTITION_SHIFT);
}

/* The name 0 marks an empty row; a hash of 0 is as good as any other. */
static uint64_t row_name(const struct kills *k, uint64_t name)
{
    if (k->partitions == 1)
        name &= KILLS_NAME_MASK;
    return name ? name : 1;
}

static struct kill *find_row(const struct kills *k, uint64_t name)
{
    uint64_t i = first_row(k, shm_fingerprint(name));
    while (k->rows[i].name && k->rows[i].name != name)
        i = (i + 1) & k->mask;
    return &k->rows[i];
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void keep_row(struct kills *k, const struct kill *row)
{
    *find_row(k, row->name) = *row;
    k->count++;
}

enum { NO_PARTITION = SHM_PARTITIONS };

struct prune {
    unsigned partition; /* or NO_PARTITION */
    uint64_t up_to_v;
};

static bool outlives(const struct kill *row, const struct prune *p)
{
    return row->name &&
           (partition_of(row->name) != p->partition || larger(row->hard_v, row->soft_v) > p->up_to_v);
}

static void rebuild(struct kills *k, uint64_t rows_count, struct prune prune)
{
    struct kill *old = k->rows;
    uint64_t old_count = k->mask + 1;
    k->rows = must_alloc(rows_count * sizeof(*k->rows));
    k->mask = rows_count - 1;
    k->count = 0;
    for (uint64_t i = 0; i < old_count; i++)
        if (outlives(&old[i], &prune))
            keep_row(k, &old[i]);
    free(old);
}

static void shrink(struct kills *k)
{
    uint64_t rows_count = k->mask + 1;
    while (rows_count > KILLS_FIRST_ROWS && 8 * k->count < rows_count)
        rows_count /= 2;
    if (rows_count != k->mask + 1)
        rebuild(k, rows_count, (struct prune){NO_PARTITION, 0});
}

static int collapse(struct kills *k)
{
    for (unsigned p = 0; p < k->partitions; p++) {
        k->of[p].hard_v = larger(k->of[p].hard_v, k->of[p].newest_v);
        rebuild(k, k->mask + 1, (struct prune){p, UINT64_MAX});
        bans_forget(k->bans, p, UINT64_MAX);
    }
    shrink(k);
    return KILLS_COLLAPSED;
}

/* A floor's name is its partition and its kind, and nothing else. */
static void add_floor(struct kills *k, uint64_t name, uint64_t v, bool soft)
{
    struct floors *f = &k->of[partition_of(name)];
    bool unknown = (name & KILLS_NAME_MASK) == KILLS_UNKNOWN;
    uint64_t *floor_v = unknown ? &f->unknown_v : soft ? &f->soft_v : &f->hard_v;
    *floor_v = larger(*floor_v, v);
    f->newest_v = larger(f->newest_v, v);
}

static struct kill *add_row(struct kills *k, uint64_t name)
{
    if (2 * (k->count + 1) > k->mask + 1)
        rebuild(k, 2 * (k->mask + 1), (struct prune){NO_PARTITION, 0});
    struct kill *row = find_row(k, name);
    row->name = name;
    k->count++;
    return row;
}

static void add_ban(struct kills *k, uint64_t name, uint64_t v, bool soft)
{
    struct floors *f = &k->of[partition_of(name)];
    bans_kill(k->bans, kills_ban_place(name), partition_of(name), v, soft);
    f->newest_v = larger(f->newest_v, v);
}

int kills_add(struct kills *k, uint64_t name_hash, uint64_t v, bool soft)
{
    if (kills_is_floor(name_hash) || kills_is_ban(name_hash)) {
        (kills_is_ban(name_hash) ? add_ban : add_floor)(k, name_hash, v, soft);
        return KILLS_ADDED;
    }
    uint64_t name = row_name(k, name_hash);
    struct kill *row = find_row(k, name);
    struct floors *f = &k->of[partition_of(name)];
    f->newest_v = larger(f->newest_v, v);
    if (!row->name && k->count == KILLS_MAX)
        return collapse(k);
    if (!row->name)
        row = add_row(k, name);
    uint64_t *position = soft ? &row->soft_v : &row->hard_v;
    *position = larger(*position, v);
    return KILLS_ADDED;
}

void kills_prune(struct kills *k, uint64_t v)
{
    rebuild(k, k->mask + 1, (struct prune){0, v});
    bans_forget(k->bans, 0, v);
    shrink(k);
}

void kills_forget(struct kills *k, unsigned partition)
{
    rebuild(k, k->mask + 1, (struct prune){partition, UINT64_MAX});
    bans_forget(k->bans, partition, UINT64_MAX);
    shrink(k);
    k->of[partition] = (struct floors){0};
}

/* ======= globs ======= */

uint64_t kills_ban(struct kills *k, struct slice glob)
{
    unsigned place = bans_place(k->bans, glob);
    if (place == BAN_NONE)
        return 0;
    bans_put(k->bans, place, glob);
    return KILLS_BAN_FIRST + place;
}

bool kills_ban_was(struct kills *k, uint64_t name, struct slice glob)
{
    const char *why;
    if (!bans_glob_ok(glob, &why))
        return false;
    bans_put(k->bans, kills_ban_place(name), glob);
    return true;
}

struct slice kills_glob(const struct kills *k, uint64_t name)
{
    return bans_glob(k->bans, kills_ban_place(name));
}

uint64_t kills_bans(const struct kills *k)
{
    return bans_count(k->bans);
}

uint64_t kills_oldest_ban(const struct kills *k)
{
    unsigned place = bans_oldest(k->bans);
    CHECK(place != BAN_NONE);
    return KILLS_BAN_FIRST + place;
}

struct ban_positions kills_ban_positions(const struct kills *k, uint64_t name, unsigned partition)
{
    return bans_positions(k->bans, kills_ban_place(name), partition);
}

void kills_unban(struct kills *k, uint64_t name)
{
    bans_remove(k->bans, kills_ban_place(name));
}

/* ======= judging ======= */

static enum verdict judge_row(const struct kill *row, uint64_t v)
{
    if (row->hard_v > v)
        return DEAD;
    return row->soft_v > v ? SOFTENED : ALIVE;
}

static enum verdict worse(enum verdict a, enum verdict b)
{
    return a > b ? a : b;
}

static enum verdict judge_name(const struct kills *k, unsigned p, uint64_t name_hash, uint64_t v)
{
    return judge_row(find_row(k, row_name(k, kills_name(name_hash, p))), v);
}

/* Several names can share a fingerprint: the worst of them counts. */
static enum verdict judge_print(const struct kills *k, unsigned p, uint32_t print, uint64_t v)
{
    enum verdict verdict = ALIVE;
    for (uint64_t i = first_row(k, print); k->rows[i].name; i = (i + 1) & k->mask)
        if (shm_fingerprint(k->rows[i].name) == print && partition_of(k->rows[i].name) == p)
            verdict = worse(verdict, judge_row(&k->rows[i], v));
    return verdict;
}

static enum verdict judge_floors(const struct floors *f, uint64_t v)
{
    if (v < f->hard_v)
        return DEAD;
    if (v < f->unknown_v)
        return SUSPECT;
    return v < f->soft_v ? SOFTENED : ALIVE;
}

static enum verdict judge_bans(const struct kills *k, unsigned p, struct slice key, uint64_t v)
{
    struct ban_positions found = bans_judge(k->bans, p, key, v);
    return judge_row(&(struct kill){.hard_v = found.hard_v, .soft_v = found.soft_v}, v);
}

static enum verdict judge_prefixes(const struct kills *k, unsigned p, struct slice key, uint64_t v)
{
    enum verdict verdict = ALIVE;
    for (unsigned n = 0; n < SHM_PREFIX_LEVELS && verdict != DEAD; n++) {
        struct slice prefix = shm_prefix(key, n);
        if (prefix.size == 0)
            break;
        verdict = worse(verdict, judge_name(k, p, shm_hash_name(k->hash_secret, SHM_NAME_PREFIX, prefix), v));
    }
    return verdict;
}

static enum verdict judge_names(const struct kills *k, unsigned p, struct slice key, const uint64_t *tags,
                                unsigned tags_count, uint64_t v)
{
    enum verdict verdict = bans_count(k->bans) ? judge_bans(k, p, key, v) : ALIVE;
    if (k->count == 0)
        return verdict;
    for (unsigned i = 0; i < tags_count && verdict != DEAD; i++)
        verdict = worse(verdict, judge_name(k, p, tags[i], v));
    return verdict == DEAD ? DEAD : worse(verdict, judge_prefixes(k, p, key, v));
}

enum verdict kills_judge(const struct kills *k, struct slice key, const uint64_t *tags, unsigned tags_count,
                         uint64_t v)
{
    unsigned p = shm_partition(key, k->partitions);
    if (v >= k->of[p].newest_v)
        return ALIVE;
    enum verdict verdict = judge_floors(&k->of[p], v);
    return verdict == DEAD ? DEAD : worse(verdict, judge_names(k, p, key, tags, tags_count, v));
}

bool kills_softens(const struct kills *k, struct slice key, const uint64_t *tags, unsigned tags_count,
                   uint64_t v)
{
    unsigned p = shm_partition(key, k->partitions);
    return v < k->of[p].soft_v || judge_names(k, p, key, tags, tags_count, v) == SOFTENED;
}

enum verdict kills_judge_prints(const struct kills *k, struct slice key, const uint32_t *prints,
                                unsigned prints_count, uint64_t v)
{
    unsigned p = shm_partition(key, k->partitions);
    if (v >= k->of[p].newest_v)
        return ALIVE;
    enum verdict verdict = judge_floors(&k->of[p], v);
    if (bans_count(k->bans))
        verdict = worse(verdict, judge_bans(k, p, key, v));
    if (k->count == 0)
        return verdict;
    for (unsigned i = 0; i < prints_count && verdict != DEAD; i++)
        verdict = worse(verdict, judge_print(k, p, prints[i], v));
    return verdict == DEAD ? DEAD : worse(verdict, judge_prefixes(k, p, key, v));
}
