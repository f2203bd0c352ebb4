/* Watched keys and what is counted of them: see curve.h.
 *
 * What must stay true: every count is in uses of all keys (what one watched key did, times the keys it stands for), so
 * that counts made while more or fewer keys were watched add up; a dead key takes no bytes, but is remembered, so that
 * what becomes of it is told apart from what was never there. */
#include "l1/curve_private.h"

#include <math.h>
#include <string.h>
#include "base/check.h"
#include "base/clock.h"

enum {
    LEAVES_A_CALL = 8,   /* keys beyond reach that go when another comes */
    LOOKS_A_CALL = 4,    /* keys looked at for whether they have ended */
    CROWD_JUDGED = 4096, /* places in use before it is said that there are too many */
    CROWD_BELOW = 64,    /* touches never silence it: whoever writes their page may write anything */
};

/* Every so often the ceiling doubles, so that a burst of touches is forgotten.  What was counted begins anew then: where
 * touches are always too many, it is tried less and less often. */
#define LIFT_MIN_NS (600 * NS_PER_S)
#define LIFT_MAX_NS (86400 * NS_PER_S)

/* ---- beginning and end ----------------------------------------------------------------------------------------- */

static void forget_all(struct curve *c)
{
    memset(c->heads, 0xff, sizeof(*c->heads) * (c->heads_mask + 1));
    for (uint32_t i = 0; i < c->keys_max; i++)
        c->all[i] = (struct curve_key){.next = (uint16_t)(i + 1 < c->keys_max ? i + 1 : NO_KEY)};
    c->free = 0;
    c->keys = c->dead = c->cursor = 0;
    c->reached = false;
    order_clear(&c->order);
}

struct curve *curve_create(const struct curve_setup *setup)
{
    struct curve *c = must_alloc(sizeof(*c));
    CHECK(setup->keys > 0 && setup->keys <= CURVE_KEYS_MAX);
    c->keys_max = setup->keys;
    c->halving_ns = setup->halving_ns;
    c->halving_uses = setup->halving_uses;
    c->below = c->ceiling = CURVE_TAGS;
    c->lift_ns = LIFT_MIN_NS;
    c->heads_mask = 1;
    while (c->heads_mask < setup->keys)
        c->heads_mask <<= 1;
    c->heads_mask--;
    c->heads = must_alloc(sizeof(*c->heads) * (c->heads_mask + 1));
    c->all = must_alloc(sizeof(*c->all) * setup->keys);
    order_setup(&c->order, setup->keys);
    forget_all(c);
    return c;
}

struct curve *curve_destroy(struct curve *c)
{
    if (!c)
        return NULL;
    order_teardown(&c->order);
    free(c->all);
    free(c->heads);
    free(c);
    return NULL;
}

uint32_t curve_below(const struct curve *c)
{
    return c->below;
}

/* ---- keys ---------------------------------------------------------------------------------------------------------- */

static uint32_t print_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32);
}

static uint16_t *link_of(struct curve *c, uint16_t tag, uint32_t print)
{
    uint16_t *link = &c->heads[print & c->heads_mask];
    while (*link != NO_KEY && (c->all[*link].print != print || c->all[*link].tag != tag))
        link = &c->all[*link].next;
    return link;
}

static uint16_t find(struct curve *c, uint64_t hash)
{
    return (uint16_t)hash < c->below ? *link_of(c, (uint16_t)hash, print_of(hash)) : NO_KEY;
}

static void set_state(struct curve *c, uint16_t key, enum key_state state)
{
    struct curve_key *k = &c->all[key];
    uint64_t from = k->state == KEY_LIVE ? k->bytes : 0, to = state == KEY_LIVE ? k->bytes : 0;
    c->dead += state > KEY_LIVE;
    c->dead -= k->state > KEY_LIVE;
    k->state = (uint8_t)state;
    order_resize(&c->order, k->at, from, to);
}

static void forget(struct curve *c, uint16_t key)
{
    struct curve_key *k = &c->all[key];
    uint16_t *link = link_of(c, k->tag, k->print);
    c->dead -= k->state > KEY_LIVE;
    order_leave(c, key);
    *link = k->next;
    *k = (struct curve_key){.next = c->free};
    c->free = key;
    c->keys--;
}

static void watch_below(struct curve *c, uint32_t below)
{
    c->below = below ? below : 1;
    for (uint32_t i = 0; i < c->keys_max; i++)
        if (c->all[i].state != KEY_FREE && c->all[i].tag >= c->below)
            forget(c, (uint16_t)i);
}

/* One that is free, for a key with that tag; NO_KEY: keys like that are watched no more. */
static uint16_t take_free(struct curve *c, uint16_t tag)
{
    while (c->free == NO_KEY && c->below > 1)
        watch_below(c, c->below - (c->below / 16 ? c->below / 16 : 1));
    if (c->free == NO_KEY)
        forget(c, order_oldest(&c->order));
    return tag < c->below ? c->free : NO_KEY;
}

static void describe(struct curve_key *k, const struct curve_item *item)
{
    k->bytes = item->bytes;
    k->end = item->end;
    k->content = item->content ? item->content : k->content;
    k->policy = item->policy < CURVE_POLICIES ? item->policy : CURVE_POLICIES - 1;
}

/* Alive, whatever it was before, and like that. */
static void live(struct curve *c, uint16_t key, const struct curve_item *item)
{
    struct curve_key *k = &c->all[key];
    uint64_t before = k->state == KEY_LIVE ? k->bytes : 0;
    c->dead -= k->state > KEY_LIVE;
    k->state = KEY_LIVE;
    describe(k, item);
    order_resize(&c->order, k->at, before, k->bytes);
}

static void come(struct curve *c, uint64_t hash, const struct curve_item *item)
{
    uint16_t key = take_free(c, (uint16_t)hash);
    if (key == NO_KEY)
        return;
    struct curve_key *k = &c->all[key];
    c->free = k->next;
    *k = (struct curve_key){.tag = (uint16_t)hash, .print = print_of(hash), .state = KEY_LIVE};
    uint16_t *head = &c->heads[k->print & c->heads_mask];
    k->next = *head;
    *head = key;
    describe(k, item);
    c->keys++;
    order_append(c, key);
}

/* ---- what has ended, and what is too far away ------------------------------------------------------------------- */

/* Some of the keys are looked at each time, so that what has ended takes no bytes; when there are many dead ones, those
 * that are met again go. */
static void look_around(struct curve *c, uint32_t now)
{
    for (int n = 0; n < LOOKS_A_CALL; n++) {
        uint16_t key = (uint16_t)c->cursor;
        c->cursor = c->cursor + 1 < c->keys_max ? c->cursor + 1 : 0;
        if (c->all[key].state == KEY_LIVE && c->all[key].end <= now)
            set_state(c, key, KEY_EXPIRED);
        else if (c->all[key].state > KEY_LIVE && c->dead > c->keys_max / 4)
            forget(c, key);
    }
}

static void let_go(struct curve *c)
{
    double reach = (double)c->capacity * CURVE_REACH / curve_scale(c);
    for (int n = 0; n < LEAVES_A_CALL && c->capacity; n++) {
        uint16_t oldest = order_oldest(&c->order);
        if (oldest == NO_KEY || (double)c->order.bytes <= reach)
            return;
        forget(c, oldest);
        c->reached = true;
    }
}

void curve_capacity(struct curve *c, uint64_t bytes)
{
    c->capacity = bytes;
}

/* ---- uses ---------------------------------------------------------------------------------------------------------- */

static unsigned part_of(uint32_t print)
{
    return print >> 30;
}

unsigned curve_step(double x, double *ret_within)
{
    int octave;
    double fraction = frexp(x < 1 ? 1 : x, &octave) * 2 - 1; /* x = (1 + fraction) * 2^(octave - 1) */
    double step = fraction * STEPS;
    unsigned whole = (unsigned)step, n = (unsigned)(octave - 1) * STEPS + whole;
    *ret_within = step - whole;
    return n < DISTANCES ? n : DISTANCES - 1;
}

/* The smallest LRU cache that would have found it. */
static double size_needed(const struct curve *c, const struct curve_key *k)
{
    return (double)order_newer(&c->order, k->at) * curve_scale(c) + k->bytes;
}

static void count_near(struct curve *c, const struct curve_key *k, double weight)
{
    double within;
    unsigned step = curve_step(size_needed(c, k), &within);
    c->counted.near[part_of(k->print)][step] += weight * curve_scale(c);
}

static void see(struct curve *c, double weight)
{
    c->counted.seen += weight;
    c->since_halving += weight;
}

static void to_front(struct curve *c, uint16_t key)
{
    order_leave(c, key);
    order_append(c, key);
}

/* Its state as of now. */
static enum key_state state_now(struct curve *c, uint16_t key, uint32_t now)
{
    struct curve_key *k = &c->all[key];
    if (k->state == KEY_LIVE && k->end <= now)
        set_state(c, key, KEY_EXPIRED);
    return (enum key_state)k->state;
}

/* It is there, so whatever is thought of it, it lives.  Where the order has not been full yet, nothing is known of how
 * long ago it was used. */
static void find_unknown(struct curve *c, uint64_t hash, const struct curve_item *item, double weight)
{
    double *as = c->reached ? &c->counted.far[part_of(print_of(hash))] : &c->counted.unknown;
    *as += weight * curve_scale(c);
    come(c, hash, item);
}

void curve_found(struct curve *c, uint64_t hash, const struct curve_item *item, double weight, uint32_t now)
{
    if ((uint16_t)hash >= c->below)
        return;
    see(c, weight);
    uint16_t key = find(c, hash);
    if (key == NO_KEY) {
        find_unknown(c, hash, item, weight);
    } else {
        live(c, key, item);
        count_near(c, &c->all[key], weight);
        to_front(c, key);
    }
    let_go(c);
    look_around(c, now);
}

static void count_miss(struct curve *c, uint64_t hash, uint16_t key, uint32_t now)
{
    switch (key == NO_KEY ? KEY_FREE : state_now(c, key, now)) {
    case KEY_FREE: c->counted.far[part_of(print_of(hash))] += curve_scale(c); break;
    case KEY_EXPIRED: c->counted.expired[part_of(print_of(hash))] += curve_scale(c); break;
    case KEY_INVALIDATED: c->counted.invalidated[part_of(print_of(hash))] += curve_scale(c); break;
    case KEY_LIVE:
        count_near(c, &c->all[key], 1);
        to_front(c, key);
        break;
    }
}

void curve_missed(struct curve *c, uint64_t hash, uint32_t now)
{
    if ((uint16_t)hash >= c->below)
        return;
    see(c, 1);
    count_miss(c, hash, find(c, hash), now);
    look_around(c, now);
}

/* ---- changes ------------------------------------------------------------------------------------------------------- */

static void compare(struct curve *c, const struct curve_key *k, uint32_t content)
{
    struct came_back *b = &c->counted.back[k->policy][k->state == KEY_INVALIDATED];
    if (!k->content || !content)
        return;
    b->times++;
    b->same += k->content == content;
}

static void change(struct curve *c, uint16_t key, const struct curve_item *item, uint32_t now)
{
    bool lived = state_now(c, key, now) == KEY_LIVE;
    if (!lived)
        compare(c, &c->all[key], item->content);
    live(c, key, item);
    if (!lived)
        to_front(c, key);
}

void curve_stored(struct curve *c, uint64_t hash, const struct curve_item *item, uint32_t now)
{
    if ((uint16_t)hash >= c->below)
        return;
    uint16_t key = find(c, hash);
    if (key == NO_KEY)
        come(c, hash, item);
    else
        change(c, key, item, now);
    let_go(c);
    look_around(c, now);
}

void curve_prolonged(struct curve *c, uint64_t hash, uint32_t end)
{
    uint16_t key = find(c, hash);
    if (key != NO_KEY)
        c->all[key].end = end;
}

void curve_invalidated(struct curve *c, uint64_t hash)
{
    uint16_t key = find(c, hash);
    if (key != NO_KEY && c->all[key].state == KEY_LIVE)
        set_state(c, key, KEY_INVALIDATED);
}

void curve_cleared(struct curve *c)
{
    for (uint32_t i = 0; i < c->keys_max; i++)
        if (c->all[i].state == KEY_LIVE)
            set_state(c, (uint16_t)i, KEY_INVALIDATED);
}

/* ---- touches ------------------------------------------------------------------------------------------------------- */

/* A place keeps the last of the keys that fell on it: with n of m places in use, about -m ln(1 - n/m) keys were noted in
 * all.  Three quarters in use stand for 1.4 of m; beyond, fewer keys are watched. */
double curve_crowd(struct curve *c, uint32_t taken, uint32_t places)
{
    double share = (double)taken / places, most = 1 - 0.5 / places;
    c->taken += taken;
    c->crowded += share > 0.75 ? taken : 0;
    if (c->taken >= CROWD_JUDGED) {
        if (c->crowded > c->taken / 2) {
            uint32_t fewer = c->below - c->below / 4;
            if (c->below > CROWD_BELOW)
                watch_below(c, fewer > CROWD_BELOW ? fewer : CROWD_BELOW);
            c->ceiling = c->below > CROWD_BELOW ? c->below : CROWD_BELOW;
            c->cut = true;
        }
        c->taken = c->crowded = 0;
    }
    return taken ? -log(1 - (share < most ? share : most)) / share : 1;
}

/* ---- time ------------------------------------------------------------------------------------------------------------ */

static void halve(struct curve *c)
{
    double *counts = (double *)&c->counted;
    for (size_t i = 0; i < sizeof(c->counted) / sizeof(double); i++)
        counts[i] /= 2;
    c->since_halving = 0;
}

static uint64_t next_lift_ns(const struct curve *c)
{
    uint64_t ns = c->cut ? c->lift_ns * 2 : c->lift_ns / 2;
    return ns < LIFT_MIN_NS ? LIFT_MIN_NS : ns > LIFT_MAX_NS ? LIFT_MAX_NS : ns;
}

/* By the clock alone: with few keys watched there are few uses to go by. */
static bool lift_ceiling(struct curve *c, uint64_t now_ns)
{
    if (now_ns - c->lifted_ns < c->lift_ns)
        return false;
    c->lifted_ns = now_ns;
    c->lift_ns = next_lift_ns(c);
    c->cut = false;
    c->ceiling = c->ceiling < CURVE_TAGS / 2 ? 2 * c->ceiling : CURVE_TAGS;
    return true;
}

/* Entries have become fewer or larger, and more keys can be watched.  Nothing is known of those that join, so what was
 * counted begins anew. */
static void widen(struct curve *c, uint64_t now_ns)
{
    bool lifted = lift_ceiling(c, now_ns);
    uint64_t below = (uint64_t)c->below * c->keys_max / 4 / (c->keys + 1);
    below = below < c->ceiling ? below : c->ceiling;
    if ((!lifted && c->counted.seen < c->keys_max) || below < 2 * c->below)
        return;
    forget_all(c);
    c->counted = (struct counted){.uses = 0};
    c->since_ns = c->halved_ns = now_ns;
    c->below = (uint32_t)below;
}

void curve_told(struct curve *c, uint64_t uses, uint64_t misses, uint64_t now_ns)
{
    c->counted.uses += (double)(uses - c->told_uses);
    c->counted.misses += (double)(misses - c->told_misses);
    if (c->since_ns)
        c->counted.seconds += (double)(now_ns - c->told_ns) / 1e9;
    c->told_ns = now_ns;
    c->told_uses = uses;
    c->told_misses = misses;
    if (!c->since_ns)
        c->since_ns = c->halved_ns = c->lifted_ns = now_ns;
    widen(c, now_ns);
    if (!c->halving_ns || now_ns - c->halved_ns < c->halving_ns || c->since_halving < (double)c->halving_uses)
        return;
    c->halved_ns = now_ns;
    halve(c);
}
