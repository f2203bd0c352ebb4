#include "base/turns.h"

enum { STEPS = 1 << TURNS_STEP_BITS };

static unsigned cell_of(uint64_t ns)
{
    if (ns < STEPS)
        return (unsigned)ns;
    unsigned top = 63 - (unsigned)__builtin_clzll(ns);
    if (top > TURNS_TOP_BIT)
        return TURNS_CELLS - 1;
    unsigned step = (unsigned)(ns >> (top - TURNS_STEP_BITS)) & (STEPS - 1);
    return (top - TURNS_STEP_BITS + 1) * STEPS + step;
}

static uint64_t end_of(unsigned cell)
{
    if (cell < STEPS)
        return cell;
    unsigned shift = cell / STEPS - 1;
    return ((uint64_t)(STEPS + cell % STEPS + 1) << shift) - 1;
}

void turns_add(struct turns *t, uint64_t ns)
{
    turns_add_many(t, ns, 1);
}

void turns_add_many(struct turns *t, uint64_t ns, uint64_t count)
{
    t->count += count;
    t->cells[cell_of(ns)] += count;
    if (count && ns > t->max_ns)
        t->max_ns = ns;
}

void turns_merge(struct turns *t, const struct turns *other)
{
    t->count += other->count;
    for (unsigned cell = 0; cell < TURNS_CELLS; cell++)
        t->cells[cell] += other->cells[cell];
    if (other->max_ns > t->max_ns)
        t->max_ns = other->max_ns;
}

uint64_t turns_quantile(const struct turns *t, unsigned permille)
{
    if (t->count == 0)
        return 0;
    uint64_t wanted = (t->count * permille + 999) / 1000, seen = 0;
    unsigned cell = 0;
    while (cell < TURNS_CELLS - 1 && (seen += t->cells[cell]) < wanted)
        cell++;
    uint64_t end = end_of(cell);
    return end < t->max_ns ? end : t->max_ns;
}

uint64_t turns_within(const struct turns *t, uint64_t ns)
{
    uint64_t within = 0;
    for (unsigned cell = 0; cell < TURNS_CELLS && end_of(cell) <= ns; cell++)
        within += t->cells[cell];
    return within;
}

/* ---- of which a sample is measured --------------------------------------------------------------------- */

void took_waited(struct took *t, uint64_t ns)
{
    turns_add(&t->turns, ns);
    t->sum_ns += ns;
}

void took_measured(struct took *t, uint64_t ns)
{
    took_waited(t, ns);
    t->last_ns = ns;
}

bool took_unmeasured(struct took *t)
{
    if (!t->last_ns)
        return false;
    took_waited(t, t->last_ns);
    return true;
}

void took_merge(struct took *t, const struct took *other)
{
    turns_merge(&t->turns, &other->turns);
    t->sum_ns += other->sum_ns;
    t->last_ns = t->last_ns ? t->last_ns : other->last_ns;
}
