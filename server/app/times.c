#include "app/times.h"

#include <stdio.h>
#include "app/put.h"
#include "base/check.h"
#include "base/clock.h"
#include "l1/l1.h"
#include "net/turns.h"

static const char *const op_names[] = {[CLASS_GET] = "get",
                                       [CLASS_SET] = "set",
                                       [CLASS_INVALIDATE] = "invalidate",
                                       [CLASS_LOOK] = "look",
                                       [CLASS_LEASE] = "lease"};
_Static_assert(COUNT_OF(op_names) == CLASS_COUNT, "every class has a name");

static const char *const reach_names[] = {[REACH_NOWHERE] = "none",
                                          [REACH_L1] = "l1",
                                          [REACH_WARM] = "warm",
                                          [REACH_L2] = "l2",
                                          [REACH_MISS] = "miss"};
_Static_assert(COUNT_OF(reach_names) == REACH_COUNT, "every reach has a name");

/* Only these look for entries. */
static bool goes_far(enum session_class op)
{
    return op == CLASS_GET || op == CLASS_LEASE;
}

/* ---- hits of clients ----------------------------------------------------------------------------------- */

struct near {
    struct turns turns;
    uint64_t sum_ns;
};

/* Cells of shared memory are unions of cells of turns: nothing is lost. */
static void add_near(struct near *near, struct l1 *l1)
{
    struct l1_times t;
    l1_near_times(l1, &t);
    near->sum_ns += t.sum_ns;
    for (unsigned i = 0; i < SHM_TOOK_CELLS; i++)
        if (t.cells[i])
            turns_add_many(&near->turns, shm_took_end(i), t.cells[i]);
}

static void take_near(const struct documents *d, struct near *ret)
{
    *ret = (struct near){.sum_ns = 0};
    for (unsigned i = 0; i < d->spaces_count; i++)
        if (d->spaces[i].l1)
            add_near(ret, d->spaces[i].l1);
}

static struct session_times times_of(const struct near *near)
{
    const struct turns *t = &near->turns;
    return (struct session_times){.count = t->count,
                                  .sum_ns = near->sum_ns,
                                  .p50_ns = turns_quantile(t, 500),
                                  .p95_ns = turns_quantile(t, 950),
                                  .p99_ns = turns_quantile(t, 990),
                                  .max_ns = t->max_ns};
}

/* ---- stats --------------------------------------------------------------------------------------------- */

void put_us(json_t *object, const char *name, uint64_t ns)
{
    json_object_set_new(object, name, json_real((double)ns / 1000));
}

static json_t *one(const struct session_times *t)
{
    json_t *o = json_object();
    put_number(o, "count", t->count);
    put_us(o, "avg_us", t->count ? t->sum_ns / t->count : 0);
    put_us(o, "p50_us", t->p50_ns);
    put_us(o, "p95_us", t->p95_ns);
    put_us(o, "p99_us", t->p99_ns);
    put_us(o, "max_us", t->max_ns);
    return o;
}

static json_t *by_reach(const struct documents *d, enum session_class op)
{
    struct session_times t = {0};
    struct near near;
    json_t *o = json_object();
    if (op == CLASS_GET) {
        take_near(d, &near);
        t = times_of(&near);
        json_object_set_new(o, "near", one(&t));
    }
    for (unsigned reach = REACH_L1; reach < REACH_COUNT; reach++) {
        sessions_times_to(d->sessions, op, reach, &t);
        json_object_set_new(o, reach_names[reach], one(&t));
    }
    return o;
}

json_t *times_document(const struct documents *d)
{
    json_t *all = json_object();
    for (unsigned op = 0; op < CLASS_COUNT; op++) {
        struct session_times t = {0};
        sessions_times(d->sessions, op, &t);
        json_t *o = one(&t);
        if (goes_far(op))
            json_object_set_new(o, "tiers", by_reach(d, op));
        json_object_set_new(all, op_names[op], o);
    }
    return all;
}

/* ---- metrics ------------------------------------------------------------------------------------------- */

static const char family[] = "larder_request_duration_seconds";

/* The same for all, so that they can be added; the first few are for hits in shared memory. */
static const unsigned bounds_ns[] = {50,       100,       250,       500,       1000,     2500,
                                     5000,     10000,     25000,     50000,     100000,   250000,
                                     500000,   1000000,   2500000,   5000000,   10000000, 25000000,
                                     50000000, 100000000, 250000000, 1000000000};

struct series {
    const char *op, *tier;
    struct session_times times;
    uint64_t within[COUNT_OF(bounds_ns)];
};

#define LABELS(...) ((const struct exposition_label[EXPOSITION_LABELS]){__VA_ARGS__})

static void expose(struct exposition *e, const struct series *s)
{
    char bound[24];
    for (unsigned i = 0; i < COUNT_OF(bounds_ns); i++) {
        snprintf(bound, sizeof(bound), "%g", bounds_ns[i] / 1e9);
        exposition_sample(e, family, "_bucket", LABELS({"op", s->op}, {"tier", s->tier}, {"le", bound}),
                          (double)s->within[i]);
    }
    exposition_sample(e, family, "_bucket", LABELS({"op", s->op}, {"tier", s->tier}, {"le", "+Inf"}),
                      (double)s->times.count);
    exposition_sample(e, family, "_sum", LABELS({"op", s->op}, {"tier", s->tier}),
                      (double)s->times.sum_ns / NS_PER_S);
    exposition_sample(e, family, "_count", LABELS({"op", s->op}, {"tier", s->tier}), (double)s->times.count);
}

static void expose_near(struct exposition *e, const struct documents *d)
{
    struct near near;
    take_near(d, &near);
    struct series s = {.op = op_names[CLASS_GET], .tier = "near", .times = times_of(&near)};
    for (unsigned i = 0; i < COUNT_OF(bounds_ns); i++)
        s.within[i] = turns_within(&near.turns, bounds_ns[i]);
    expose(e, &s);
}

static void expose_op(struct exposition *e, const struct documents *d, enum session_class op,
                      enum session_reach reach)
{
    struct series s = {.op = op_names[op], .tier = reach_names[reach]};
    sessions_times_to(d->sessions, op, reach, &s.times);
    for (unsigned i = 0; i < COUNT_OF(bounds_ns); i++)
        s.within[i] = sessions_times_within(d->sessions, op, reach, bounds_ns[i]);
    expose(e, &s);
}

void times_expose(struct exposition *e, const struct documents *d)
{
    exposition_family(
        e, family, "histogram",
        "Time in the daemon, from the frame to its reply: one in 16 of those answered at once, all "
        "that had to wait; tier near: time in the client, of one in 1,024 hits in shared memory.");
    expose_near(e, d);
    for (unsigned op = 0; op < CLASS_COUNT; op++)
        for (unsigned reach = REACH_NOWHERE; reach < (goes_far(op) ? REACH_COUNT : REACH_L1); reach++)
            expose_op(e, d, op, reach);
}
