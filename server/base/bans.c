#include "base/bans.h"

#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/pattern.h"
#include "proto/shm.h"

_Static_assert((int)BAN_BYTES_MAX == (int)PATTERN_BYTES_MAX, "a glob is one pattern");

struct ban {
    uint64_t used; /* when its newest kill came, by the count of all */
    size_t size;   /* 0: nobody knows the glob */
    char text[BAN_BYTES_MAX];
    struct pattern pattern;
    struct ban_positions of[SHM_PARTITIONS];
};

struct bans {
    struct ban *of[BANS_MAX];
    unsigned count;
    uint64_t uses;
    uint64_t newest_v[SHM_PARTITIONS]; /* of any kill: never falls but with its partition */
};

struct bans *bans_create(void)
{
    return must_alloc(sizeof(struct bans));
}

struct bans *bans_destroy(struct bans *b)
{
    for (unsigned n = 0; b && n < BANS_MAX; n++)
        free(b->of[n]);
    free(b);
    return NULL;
}

unsigned bans_count(const struct bans *b)
{
    return b->count;
}

/* ======= globs ======= */

bool bans_glob_ok(struct slice glob, const char **ret_why)
{
    struct pattern_names names = {.count = 0};
    struct pattern pattern;
    return pattern_parse(glob, &names, &pattern, ret_why);
}

/* Up to the first wildcard everything is meant literally. */
struct slice bans_glob_prefix(struct slice glob)
{
    const char *text = glob.data;
    size_t size = 0;
    unsigned levels = 0;
    for (size_t i = 0; i < glob.size && text[i] != '*' && text[i] != '{' && levels < SHM_PREFIX_LEVELS; i++)
        if (text[i] == ':') {
            size = i + 1;
            levels++;
        }
    return slice_of(text, size);
}

bool bans_glob_is_prefix(struct slice glob, struct slice *ret_prefix)
{
    const char *why;
    *ret_prefix = bans_glob_prefix(glob);
    return ret_prefix->size && ret_prefix->size + 1 == glob.size &&
           ((const char *)glob.data)[glob.size - 1] == '*' && bans_glob_ok(glob, &why);
}

/* ======= places ======= */

unsigned bans_place(const struct bans *b, struct slice glob)
{
    unsigned place = BAN_NONE;
    for (unsigned n = BANS_MAX; n-- > 0;) {
        if (!b->of[n])
            place = n;
        else if (slice_equal(bans_glob(b, n), glob))
            return n;
    }
    return place;
}

static struct ban *ban_at(struct bans *b, unsigned place)
{
    CHECK(place < BANS_MAX);
    if (!b->of[place]) {
        b->of[place] = must_alloc(sizeof(struct ban));
        b->count++;
    }
    return b->of[place];
}

void bans_put(struct bans *b, unsigned place, struct slice glob)
{
    struct ban *ban = ban_at(b, place);
    struct pattern_names names = {.count = 0};
    const char *why;
    CHECK(glob.size <= BAN_BYTES_MAX);
    CHECK(ban->size == 0 || slice_equal(bans_glob(b, place), glob));
    memcpy(ban->text, glob.data, glob.size);
    ban->size = glob.size;
    CHECK(pattern_parse(slice_of(ban->text, ban->size), &names, &ban->pattern, &why));
}

struct slice bans_glob(const struct bans *b, unsigned place)
{
    CHECK(place < BANS_MAX);
    return b->of[place] ? slice_of(b->of[place]->text, b->of[place]->size) : slice_of(NULL, 0);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void bans_kill(struct bans *b, unsigned place, unsigned partition, uint64_t v, bool soft)
{
    struct ban *ban = ban_at(b, place);
    struct ban_positions *p = &ban->of[partition];
    uint64_t *position = soft ? &p->soft_v : &p->hard_v;
    *position = larger(*position, v);
    ban->used = ++b->uses;
    b->newest_v[partition] = larger(b->newest_v[partition], v);
}

void bans_remove(struct bans *b, unsigned place)
{
    CHECK(place < BANS_MAX);
    b->count -= b->of[place] != NULL;
    free(b->of[place]);
    b->of[place] = NULL;
}

static uint64_t newest_in(const struct ban *ban, unsigned partition)
{
    return larger(ban->of[partition].hard_v, ban->of[partition].soft_v);
}

/* Of one partition the positions tell, over restarts as well; of several, whose positions have no order, when the kills came
 * here. */
static bool is_older(const struct ban *a, const struct ban *b)
{
    for (unsigned p = 1; p < SHM_PARTITIONS; p++)
        if (newest_in(a, p) || newest_in(b, p))
            return a->used < b->used;
    return newest_in(a, 0) < newest_in(b, 0);
}

unsigned bans_oldest(const struct bans *b)
{
    unsigned oldest = BAN_NONE;
    for (unsigned n = 0; n < BANS_MAX; n++)
        if (b->of[n] && (oldest == BAN_NONE || is_older(b->of[n], b->of[oldest])))
            oldest = n;
    return oldest;
}

struct ban_positions bans_positions(const struct bans *b, unsigned place, unsigned partition)
{
    CHECK(place < BANS_MAX);
    return b->of[place] ? b->of[place]->of[partition] : (struct ban_positions){0, 0};
}

/* ======= forgetting ======= */

static bool has_kills(const struct ban *ban)
{
    for (unsigned p = 0; p < SHM_PARTITIONS; p++)
        if (ban->of[p].hard_v || ban->of[p].soft_v)
            return true;
    return false;
}

void bans_forget(struct bans *b, unsigned partition, uint64_t v)
{
    for (unsigned n = 0; n < BANS_MAX; n++) {
        if (!b->of[n])
            continue;
        struct ban_positions *p = &b->of[n]->of[partition];
        p->hard_v = p->hard_v > v ? p->hard_v : 0;
        p->soft_v = p->soft_v > v ? p->soft_v : 0;
        if (!has_kills(b->of[n]))
            bans_remove(b, n);
    }
    if (b->newest_v[partition] <= v)
        b->newest_v[partition] = 0;
}

/* ======= judging ======= */

static bool hits(const struct ban *ban, const struct key_levels *key)
{
    return ban->size == 0 || pattern_match(&ban->pattern, key);
}

struct ban_positions bans_judge(const struct bans *b, unsigned partition, struct slice key, uint64_t v)
{
    struct ban_positions found = {0, 0};
    struct key_levels levels;
    if (v >= b->newest_v[partition])
        return found;
    key_split(key, &levels);
    for (unsigned n = 0; n < BANS_MAX; n++) {
        const struct ban *ban = b->of[n];
        if (!ban || larger(ban->of[partition].hard_v, ban->of[partition].soft_v) <= v || !hits(ban, &levels))
            continue;
        found.hard_v = larger(found.hard_v, ban->of[partition].hard_v);
        found.soft_v = larger(found.soft_v, ban->of[partition].soft_v);
    }
    return found;
}
