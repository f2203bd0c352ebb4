#include "app/times.h"

#include <stdio.h>
#include "app/put.h"
#include "app/readable.h"
#include "base/check.h"
#include "base/clock.h"
#include "l1/l1.h"
#include "base/turns.h"

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

static const char *const timed_names[] = {[TIMED_GET] = "get", [TIMED_SET] = "set"};
_Static_assert(COUNT_OF(timed_names) == TIMED_COUNT, "so has what is told by policy and tenant");

/* Only these look for entries. */
static bool goes_far(enum session_class op)
{
    return op == CLASS_GET || op == CLASS_LEASE;
}

/* ---- hits of clients ----------------------------------------------------------------------------------- */

/* Cells of shared memory are unions of cells of turns: nothing is lost. */
static void add_near(struct took *near, struct l1 *l1)
{
    struct l1_times t;
    if (!l1)
        return;
    l1_near_times(l1, &t);
    near->sum_ns += t.sum_ns;
    for (unsigned i = 0; i < SHM_TOOK_CELLS; i++)
        if (t.cells[i])
            turns_add_many(&near->turns, shm_took_end(i), t.cells[i]);
}

static void take_near(const struct documents *d, struct took *ret)
{
    *ret = (struct took){.sum_ns = 0};
    for (unsigned i = 0; i < d->spaces_count; i++)
        add_near(ret, d->spaces[i].l1);
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

/* count, avg_us, p50_us, p95_us, p99_us, max_us. */
static json_t *times_one(const struct took *t)
{
    struct session_times times = session_times_of(t);
    return one(&times);
}

static json_t *by_reach(const struct documents *d, enum session_class op)
{
    struct session_times t = {0};
    struct took near;
    json_t *o = json_object();
    if (op == CLASS_GET) {
        take_near(d, &near);
        json_object_set_new(o, "near", times_one(&near));
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

json_t *times_of_space(const struct space *s)
{
    struct took near = {.sum_ns = 0};
    json_t *o = json_object();
    add_near(&near, s->l1);
    json_object_set_new(o, "near", times_one(&near));
    for (unsigned op = 0; op < CLASS_COUNT; op++)
        json_object_set_new(o, op_names[op], times_one(&s->session.times[op]));
    return o;
}

json_t *times_of_policy(const struct cache *c, unsigned number)
{
    struct took took[TIMED_COUNT];
    for (unsigned of = 0; of < TIMED_COUNT; of++)
        cache_measure_policy_took(c, number, of, &took[of]);
    return times_of_tenant(took);
}

json_t *times_of_tenant(const struct took took[TIMED_COUNT])
{
    json_t *o = json_object();
    for (unsigned of = 0; of < TIMED_COUNT; of++)
        json_object_set_new(o, timed_names[of], times_one(&took[of]));
    return o;
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
    struct took near;
    take_near(d, &near);
    struct series s = {.op = op_names[CLASS_GET], .tier = "near", .times = session_times_of(&near)};
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

/* ---- of namespaces, policies and tenants ---- */

/* Fewer, since there may be many series: from what L1 takes to where people notice. */
static const unsigned few_bounds_ns[] = {2500,   5000,    10000,    25000,     50000,     100000,
                                         250000, 1000000, 10000000, 100000000, 1000000000};

struct few {
    struct exposition *e;
    const char *family, *label; /* besides namespace and op; NULL: none */
    const struct space *space;
    bool names; /* of tenants may be told by HTTP */
};

/* Whoever was asked for nothing has no series: a daemon of many policies that few use has few. */
static void expose_few(const struct few *f, const char *op, const char *value, const struct took *t)
{
    struct exposition_label of[EXPOSITION_LABELS] = {
        {"namespace", f->space->config->name}, {"op", op}, {f->label, value}};
    struct exposition_label *le = &of[f->label ? 3 : 2];
    char bound[24];
    if (!t->turns.count)
        return;
    for (unsigned i = 0; i <= COUNT_OF(few_bounds_ns); i++) {
        bool last = i == COUNT_OF(few_bounds_ns);
        uint64_t within = last ? t->turns.count : turns_within(&t->turns, few_bounds_ns[i]);
        if (!last)
            snprintf(bound, sizeof(bound), "%g", few_bounds_ns[i] / 1e9);
        *le = (struct exposition_label){"le", last ? "+Inf" : bound};
        exposition_sample(f->e, f->family, "_bucket", of, (double)within);
    }
    *le = (struct exposition_label){NULL, NULL};
    exposition_sample(f->e, f->family, "_sum", of, (double)t->sum_ns / NS_PER_S);
    exposition_sample(f->e, f->family, "_count", of, (double)t->turns.count);
}

static void expose_space(const struct few *f)
{
    struct took near = {.sum_ns = 0};
    add_near(&near, f->space->l1);
    expose_few(f, "get_near", NULL, &near);
    for (unsigned op = 0; op < CLASS_COUNT; op++)
        expose_few(f, op_names[op], NULL, &f->space->session.times[op]);
}

static void expose_policies(const struct few *f)
{
    const struct policies *all = cache_policies(f->space->cache);
    for (unsigned n = 0; n < policies_count(all); n++) {
        const struct policy *p = policies_nth(all, n);
        for (unsigned of = 0; of < TIMED_COUNT; of++) {
            struct took took;
            cache_measure_policy_took(f->space->cache, p->number, of, &took);
            expose_few(f, timed_names[of], p->name, &took);
        }
    }
}

static void expose_tenant(void *user, struct slice name, const struct tenant *counts, const struct took *took)
{
    json_t *text = name.size ? readable(name) : json_string(":others"); /* no tenant's name has a ':' */
    (void)counts;
    for (unsigned of = 0; took && of < TIMED_COUNT; of++)
        expose_few(user, timed_names[of], json_string_value(text), &took[of]);
    json_decref(text);
}

/* Keys of a secret namespace begin with their names. */
static void expose_tenants(const struct few *f)
{
    struct few of = *f;
    if (f->names && !f->space->config->cache.secret)
        tenants_each(cache_tenants(f->space->cache), expose_tenant, &of);
}

static const struct {
    const char *family, *label, *help;
    void (*expose)(const struct few *f);
} few_rows[] = {
    {"larder_namespace_request_duration_seconds", NULL,
     "Time of the requests of a namespace, as above; op get_near: of hits in shared memory, the sample.",
     expose_space},
    {"larder_policy_request_duration_seconds", "policy",
     "Time until what became of a key was told, by policy; op get: get and lease, op set: set, touch and "
     "tag.",
     expose_policies},
    {"larder_tenant_request_duration_seconds", "tenant",
     "The same of connections that are bound to a tenant: 32 tenants, and the others.", expose_tenants},
};

static void expose_few_rows(struct exposition *e, const struct documents *d)
{
    for (unsigned row = 0; row < COUNT_OF(few_rows); row++) {
        exposition_family(e, few_rows[row].family, "histogram", few_rows[row].help);
        for (unsigned i = 0; i < d->spaces_count; i++) {
            struct few f = {e, few_rows[row].family, few_rows[row].label, &d->spaces[i],
                            d->config->admin.http_names};
            few_rows[row].expose(&f);
        }
    }
}

void times_expose(struct exposition *e, const struct documents *d)
{
    exposition_family(
        e, family, "histogram",
        "Time in the daemon, from the frame to its reply: measured are one in 16 of those answered at once, "
        "for "
        "which they stand, and all that had to wait; tier near: time in the client, of one in 1,024 hits in "
        "shared memory.");
    expose_near(e, d);
    for (unsigned op = 0; op < CLASS_COUNT; op++)
        for (unsigned reach = REACH_NOWHERE; reach < (goes_far(op) ? REACH_COUNT : REACH_L1); reach++)
            expose_op(e, d, op, reach);
    expose_few_rows(e, d);
}
