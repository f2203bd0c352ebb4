#include "cache/guard.h"

#include <stdlib.h>
#include "base/check.h"

enum { GUARD_ROWS = 65536, GUARD_WAYS = 4 };

/* A change: fingerprint 16 | position 48, relative to base_v.  0: empty. */
struct row {
    uint64_t changes[GUARD_WAYS];
    uint64_t floor; /* relative; changes up to here may have been pushed out */
};

struct guard {
    uint64_t base_v;
    uint64_t floor; /* relative */
    struct row rows[GUARD_ROWS];
};

#define POSITION_MASK ((1ull << 48) - 1)

static uint64_t change_of(uint64_t key_hash, uint64_t position)
{
    return (key_hash >> 48) << 48 | position;
}

static uint64_t row_index(uint64_t key_hash)
{
    return key_hash >> 16 & (GUARD_ROWS - 1);
}

static bool same_key(uint64_t change, uint64_t key_hash)
{
    return change && change >> 48 == key_hash >> 48;
}

struct guard *guard_create(uint64_t base_v)
{
    struct guard *g = must_alloc(sizeof(*g));
    g->base_v = base_v;
    return g;
}

struct guard *guard_destroy(struct guard *g)
{
    free(g);
    return NULL;
}

/* The way that already holds the key, else an empty one, else the oldest. */
static uint64_t *pick_way(struct row *row, uint64_t key_hash)
{
    uint64_t *pick = &row->changes[0];
    for (unsigned i = 0; i < GUARD_WAYS; i++) {
        uint64_t *way = &row->changes[i];
        if (same_key(*way, key_hash))
            return way;
        if ((*way & POSITION_MASK) < (*pick & POSITION_MASK))
            pick = way;
    }
    return pick;
}

void guard_note(struct guard *g, uint64_t key_hash, uint64_t v)
{
    CHECK(v > g->base_v && v - g->base_v <= POSITION_MASK);
    struct row *row = &g->rows[row_index(key_hash)];
    uint64_t *way = pick_way(row, key_hash);
    uint64_t pushed_out = same_key(*way, key_hash) ? 0 : *way & POSITION_MASK;
    if (pushed_out > row->floor)
        row->floor = pushed_out;
    *way = change_of(key_hash, v - g->base_v);
}

bool guard_changed_since(const struct guard *g, uint64_t key_hash, uint64_t v)
{
    if (v < g->base_v)
        return true;
    uint64_t since = v - g->base_v;
    const struct row *row = &g->rows[row_index(key_hash)];
    if (since < g->floor || since < row->floor)
        return true;
    for (unsigned i = 0; i < GUARD_WAYS; i++)
        if (same_key(row->changes[i], key_hash) && (row->changes[i] & POSITION_MASK) > since)
            return true;
    return false;
}

void guard_raise(struct guard *g, uint64_t v)
{
    if (v > g->base_v && v - g->base_v > g->floor)
        g->floor = v - g->base_v;
}
