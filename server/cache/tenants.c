#include "cache/tenants.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"

enum { NAME_BYTES = 255, COUNTS = sizeof(struct tenant) / sizeof(uint64_t) };

struct row {
    struct tenant counts; /* first: this is what a connection has */
    struct tenant taken;
    struct took *took; /* TIMED_COUNT of them; NULL: with the others */
    unsigned connections;
    uint8_t name_bytes;
    char name[NAME_BYTES];
};

struct tenants {
    struct row others;
    struct row *of[TENANTS_COUNTED]; /* up to the first NULL */
    unsigned timed;
};

struct tenants *tenants_create(void)
{
    struct tenants *t = must_alloc(sizeof(*t));
    t->others.took = must_alloc(TIMED_COUNT * sizeof(*t->others.took));
    return t;
}

struct tenants *tenants_destroy(struct tenants *t)
{
    if (!t)
        return NULL;
    for (unsigned n = 0; n < TENANTS_COUNTED && t->of[n]; n++) {
        free(t->of[n]->took);
        free(t->of[n]);
    }
    free(t->others.took);
    free(t);
    return NULL;
}

/* ======= rows ======= */

static void add(struct tenant *to, const struct tenant *more)
{
    for (unsigned n = 0; n < COUNTS; n++)
        ((uint64_t *)(void *)to)[n] += ((const uint64_t *)(const void *)more)[n];
}

static uint64_t traffic(const struct row *row)
{
    const struct tenant *c = &row->counts;
    return c->hits_l1 + c->hits_warm + c->hits_l2 + c->misses + c->sets;
}

static void name_row(struct row *row, struct slice name)
{
    row->name_bytes = (uint8_t)name.size;
    memcpy(row->name, name.data, name.size);
}

/* NULL: somebody is connected for each. */
static struct row *quietest(struct tenants *t)
{
    struct row *found = NULL;
    for (unsigned n = 0; n < TENANTS_COUNTED; n++)
        if (!t->of[n]->connections && (!found || traffic(t->of[n]) < traffic(found)))
            found = t->of[n];
    return found;
}

/* ======= whose time is told apart ======= */

static void give_took(struct tenants *t, struct row *row)
{
    if (row->took || t->timed == TENANTS_TIMED)
        return;
    row->took = must_alloc(TIMED_COUNT * sizeof(*row->took));
    t->timed++;
}

static void take_took(struct tenants *t, struct row *row)
{
    if (!row->took)
        return;
    for (unsigned of = 0; of < TIMED_COUNT; of++)
        took_merge(&t->others.took[of], &row->took[of]);
    free(row->took);
    row->took = NULL;
    t->timed--;
}

/* Twice as loud: of two that are alike neither loses what was counted for it to the other, again and again. */
static void look_for_louder(struct tenants *t)
{
    struct row *quiet = NULL, *loud = NULL;
    for (unsigned n = 0; n < TENANTS_COUNTED && t->of[n]; n++) {
        struct row *row = t->of[n];
        if (row->took && (!quiet || traffic(row) < traffic(quiet)))
            quiet = row;
        if (!row->took && (!loud || traffic(row) > traffic(loud)))
            loud = row;
    }
    if (!loud || !traffic(loud))
        return;
    if (t->timed == TENANTS_TIMED && traffic(loud) > 2 * traffic(quiet))
        take_took(t, quiet);
    give_took(t, loud);
}

struct took *tenants_took(struct tenants *t, struct tenant *tenant, enum timed of)
{
    struct row *row = CONTAINER_OF(tenant, struct row, counts);
    return &(row->took ? row->took : t->others.took)[of];
}

/* ======= who has a row ======= */

/* What was not taken of it is taken as the others'. */
static void empty(struct tenants *t, struct row *row)
{
    add(&t->others.counts, &row->counts);
    add(&t->others.taken, &row->taken);
    take_took(t, row);
    memset(row, 0, sizeof(*row));
}

static struct row *find(struct tenants *t, struct slice name)
{
    for (unsigned n = 0; n < TENANTS_COUNTED; n++) {
        if (!t->of[n]) {
            t->of[n] = must_alloc(sizeof(*t->of[n]));
            name_row(t->of[n], name);
            give_took(t, t->of[n]);
        }
        if (slice_equal(slice_of(t->of[n]->name, t->of[n]->name_bytes), name))
            return t->of[n];
    }
    struct row *row = quietest(t);
    if (!row)
        return &t->others;
    empty(t, row);
    name_row(row, name);
    give_took(t, row);
    return row;
}

struct tenant *tenants_enter(struct tenants *t, struct slice name)
{
    CHECK(name.size && name.size <= NAME_BYTES);
    struct row *row = find(t, name);
    row->connections++;
    return &row->counts;
}

void tenants_leave(struct tenants *t, struct tenant *tenant)
{
    struct row *row = CONTAINER_OF(tenant, struct row, counts);
    (void)t;
    CHECK(row->connections > 0);
    row->connections--;
}

/* ======= telling ======= */

static bool was_timed(const struct row *row)
{
    uint64_t count = 0;
    for (unsigned of = 0; of < TIMED_COUNT; of++)
        count += row->took[of].turns.count;
    return count;
}

void tenants_each(const struct tenants *t,
                  void (*each)(void *user, struct slice name, const struct tenant *all,
                               const struct took *took),
                  void *user)
{
    for (unsigned n = 0; n < TENANTS_COUNTED && t->of[n]; n++)
        each(user, slice_of(t->of[n]->name, t->of[n]->name_bytes), &t->of[n]->counts, t->of[n]->took);
    if (traffic(&t->others) || was_timed(&t->others))
        each(user, slice_text(""), &t->others.counts, t->others.took);
}

static void take(struct row *row, void (*each)(void *user, struct slice name, const struct tenant *more),
                 void *user)
{
    struct tenant more;
    for (unsigned n = 0; n < COUNTS; n++)
        ((uint64_t *)(void *)&more)[n] =
            ((uint64_t *)(void *)&row->counts)[n] - ((uint64_t *)(void *)&row->taken)[n];
    row->taken = row->counts;
    each(user, slice_of(row->name, row->name_bytes), &more);
}

void tenants_take(struct tenants *t, void (*each)(void *user, struct slice name, const struct tenant *more),
                  void *user)
{
    for (unsigned n = 0; n < TENANTS_COUNTED && t->of[n]; n++)
        take(t->of[n], each, user);
    take(&t->others, each, user);
    look_for_louder(t);
}
