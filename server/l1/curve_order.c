/* In which order watched keys were last used, and how many bytes lie between.
 *
 * What must stay true: a key that is in the order has one place, and its bytes (0 once it is dead) are in the sums there;
 * `bytes` is the sum of all. */
#include "l1/curve_private.h"

#include "base/check.h"

void order_setup(struct order *o, uint32_t keys_max)
{
    o->places = keys_max + keys_max / 2;
    o->sums = must_alloc(sizeof(*o->sums) * (o->places + 1));
    o->keys = must_alloc(sizeof(*o->keys) * o->places);
    order_clear(o);
}

void order_teardown(struct order *o)
{
    free(o->sums);
    free(o->keys);
}

void order_clear(struct order *o)
{
    for (uint32_t i = 0; i <= o->places; i++)
        o->sums[i] = 0;
    for (uint32_t i = 0; i < o->places; i++)
        o->keys[i] = NO_KEY;
    o->next = o->oldest = 0;
    o->bytes = 0;
}

/* Sums wrap, and come right again: what is taken away was added before. */
static void add(struct order *o, uint32_t place, uint64_t bytes)
{
    for (uint32_t i = place + 1; i <= o->places; i += i & -i)
        o->sums[i] += bytes;
    o->bytes += bytes;
}

void order_resize(struct order *o, uint32_t place, uint64_t from, uint64_t to)
{
    if (from != to)
        add(o, place, to - from);
}

uint64_t order_newer(const struct order *o, uint32_t place)
{
    uint64_t up_to = 0;
    for (uint32_t i = place + 1; i > 0; i -= i & -i)
        up_to += o->sums[i];
    return o->bytes - up_to;
}

static uint64_t bytes_at(const struct curve *c, uint32_t place)
{
    uint16_t key = c->order.keys[place];
    return key != NO_KEY && c->all[key].state == KEY_LIVE ? c->all[key].bytes : 0;
}

/* The sums of the places as they are: each is passed on to the one it is part of. */
static void sum_up(struct curve *c)
{
    struct order *o = &c->order;
    for (uint32_t i = 1; i <= o->places; i++)
        o->sums[i] = bytes_at(c, i - 1);
    for (uint32_t i = 1; i <= o->places; i++)
        if (i + (i & -i) <= o->places)
            o->sums[i + (i & -i)] += o->sums[i];
}

static void renumber(struct curve *c)
{
    struct order *o = &c->order;
    uint32_t to = 0;
    for (uint32_t from = o->oldest; from < o->next; from++) {
        uint16_t key = o->keys[from];
        o->keys[from] = NO_KEY;
        if (key == NO_KEY)
            continue;
        o->keys[to] = key;
        c->all[key].at = (uint16_t)to++;
    }
    o->oldest = 0;
    o->next = to;
    CHECK(o->next < o->places);
    sum_up(c);
}

void order_append(struct curve *c, uint16_t key)
{
    struct order *o = &c->order;
    if (o->next == o->places)
        renumber(c);
    c->all[key].at = (uint16_t)o->next;
    o->keys[o->next] = key;
    add(o, o->next++, c->all[key].state == KEY_LIVE ? c->all[key].bytes : 0);
}

void order_leave(struct curve *c, uint16_t key)
{
    uint32_t place = c->all[key].at;
    order_resize(&c->order, place, bytes_at(c, place), 0);
    c->order.keys[place] = NO_KEY;
}

uint16_t order_oldest(struct order *o)
{
    while (o->oldest < o->next && o->keys[o->oldest] == NO_KEY)
        o->oldest++;
    return o->oldest < o->next ? o->keys[o->oldest] : NO_KEY;
}
