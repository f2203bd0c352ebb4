#include "cache/tenants.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"

enum { NAME_BYTES = 255, COUNTS = sizeof(struct tenant) / sizeof(uint64_t) };

struct row {
    struct tenant counts; /* first: this is what a connection has */
    struct tenant taken;
    unsigned connections;
    uint8_t name_bytes;
    char name[NAME_BYTES];
};

struct tenants {
    struct row others;
    struct row *of[TENANTS_COUNTED]; /* up to the first NULL */
};

struct tenants *tenants_create(void)
{
    return must_alloc(sizeof(struct tenants));
}

struct tenants *tenants_destroy(struct tenants *t)
{
    for (unsigned n = 0; t && n < TENANTS_COUNTED; n++)
        free(t->of[n]);
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

/* What was not taken of it is taken as the others'. */
static void empty(struct tenants *t, struct row *row)
{
    add(&t->others.counts, &row->counts);
    add(&t->others.taken, &row->taken);
    memset(row, 0, sizeof(*row));
}

static struct row *find(struct tenants *t, struct slice name)
{
    for (unsigned n = 0; n < TENANTS_COUNTED; n++) {
        if (!t->of[n]) {
            t->of[n] = must_alloc(sizeof(*t->of[n]));
            name_row(t->of[n], name);
        }
        if (slice_equal(slice_of(t->of[n]->name, t->of[n]->name_bytes), name))
            return t->of[n];
    }
    struct row *row = quietest(t);
    if (!row)
        return &t->others;
    empty(t, row);
    name_row(row, name);
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

void tenants_each(const struct tenants *t,
                  void (*each)(void *user, struct slice name, const struct tenant *all), void *user)
{
    for (unsigned n = 0; n < TENANTS_COUNTED && t->of[n]; n++)
        each(user, slice_of(t->of[n]->name, t->of[n]->name_bytes), &t->of[n]->counts);
    if (traffic(&t->others))
        each(user, slice_text(""), &t->others.counts);
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
}
