#include "cache/guard.h"

#include <stdlib.h>
#include "base/check.h"

enum { GUARD_WAYS = 4 };

/* A change: fingerprint 16 | position 48, relative to base_v.  0: empty. */
struct row {
    uint64_t changes[GUARD_WAYS];
    uint64_t floor; /* relative; changes up to here may have been pushed out */
};

struct guard {
    uint64_t base_v;
    uint64_t floor; /* relative */
    uint32_t mask;
    struct row rows[];
};

#define POSITION_MASK ((1ull << 48) - 1)

static uint64_t change_of(uint64_t key_hash, uint64_t position)
{
    return (key_hash >> 48) << 48 | position;
}

static uint64_t row_index(const struct guard *g, uint64_t key_hash)
{
    return key_hash >> 16 & g->mask;
}

static bool same_key(uint64_t change, uint64_t key_hash)
{
    return change && change >> 48 == key_hash >> 48;
}

struct guard *guard_create(uint64_t base_v, uint32_t rows)
{
    CHECK(rows > 0 && (rows & (rows - 1)) == 0);
    struct guard *g = must_alloc(sizeof(*g) + rows * sizeof(g->rows[0]));
    g->base_v = base_v;
    g->mask = rows - 1;
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
    struct row *row = &g->rows[row_index(g, key_hash)];
    uint64_t *way = pick_way(row, key_hash);
    uint64_t position = v - g->base_v, old = *way & POSITION_MASK;
    if (same_key(*way, key_hash)) {
        position = position > old ? position : old;
    } else if (position < old) { /* the table is full of newer ones: this one is pushed out at once */
        row->floor = position > row->floor ? position : row->floor;
        return;
    } else if (old > row->floor) {
        row->floor = old;
    }
    *way = change_of(key_hash, position);
}

bool guard_changed_since(const struct guard *g, uint64_t key_hash, uint64_t v)
{
    if (v < g->base_v)
        return true;
    uint64_t since = v - g->base_v;
    const struct row *row = &g->rows[row_index(g, key_hash)];
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
