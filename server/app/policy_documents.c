#include "app/policy_documents.h"

#include <stdio.h>
#include "app/put.h"
#include "app/readable.h"
#include "app/times.h"
#include "base/clock.h"
#include "cache/runs.h"
#include "l1/l1.h"

enum {
    RATIO_NEEDS = 1000, /* keys asked for before a hit ratio says anything: then chance is ± 3 % at most */
};

#define FIGURE_STRUCT struct policy_figures
static const struct figure rows[] = {POLICY_FIGURES(FIGURE_ROW)};
#undef FIGURE_STRUCT

static void put_ratio(json_t *o, const char *name, uint64_t part, uint64_t whole)
{
    json_object_set_new(o, name, json_real(whole ? (double)part / (double)whole : 0));
}

/* ---- figures ------------------------------------------------------------------------------------------- */

struct near_hits {
    uint64_t of[SHM_POLICIES];
};

static struct near_hits near_hits(const struct space *s)
{
    struct near_hits hits = {{0}};
    if (s->l1)
        l1_policy_hits(s->l1, hits.of);
    return hits;
}

struct told {
    struct policy_figures figures;
    bool alone; /* its near hits are counted by themselves */
    uint64_t near, hits;
};

static struct told figures_of(const struct space *s, const struct policy *p, const struct near_hits *near)
{
    struct told t = {.alone = p->number < POLICY_NEAR_MAX};
    cache_measure_policy(s->cache, p->number, &t.figures);
    t.near = t.alone ? near->of[p->number] : 0;
    t.hits = t.figures.hits_l1 + t.figures.hits_warm + t.figures.hits_l2 + t.near;
    return t;
}

static json_t *figures_told(const struct told *t)
{
    json_t *o = json_object();
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        put_number(o, rows[i].name,
                   *(const uint64_t *)(const void *)((const char *)&t->figures + rows[i].offset));
    return o;
}

/* ---- stats --------------------------------------------------------------------------------------------- */

static json_t *head(const struct space *s, const char *name)
{
    json_t *o = json_object();
    json_object_set_new(o, "namespace", json_string(s->config->name));
    json_object_set_new(o, "name", json_string(name));
    return o;
}

static void put_thousandths(json_t *o, const char *name, int ratio)
{
    json_object_set_new(o, name, ratio < 0 ? json_null() : json_real(ratio / 1000.0));
}

static json_t *last_run(const struct run_look *look)
{
    static const char *const words[] = {"", "running", "warmed", "cancelled", "failed"};
    const struct warming_figures *f = &look->last;
    json_t *o = json_object();
    put_text(o, "result", words[f->state]);
    put_text(o, "why", f->why);
    json_object_set_new(o, "began_s", json_integer((json_int_t)(look->last_wall_ns / NS_PER_S)));
    put_number(o, "took_ms", f->elapsed_ns / NS_PER_MS);
    put_number(o, "keys", f->done);
    put_number(o, "loaded", f->loaded);
    put_number(o, "brought", f->brought);
    put_number(o, "here", f->here);
    put_number(o, "missing", f->missing);
    put_number(o, "failed", f->failed);
    put_thousandths(o, "hit_ratio_before", look->ratio_before);
    put_thousandths(o, "hit_ratio_after", look->ratio_after);
    return o;
}

static json_t *day(const struct run_sums *s)
{
    json_t *o = json_object();
    put_number(o, "runs", s->runs);
    put_number(o, "skipped", s->skipped);
    put_number(o, "put_off", s->put_off);
    put_number(o, "keys", s->keys);
    put_number(o, "loaded", s->loaded);
    put_number(o, "brought", s->brought);
    put_number(o, "here", s->here);
    put_number(o, "missing", s->missing);
    put_number(o, "failed", s->failed);
    put_number(o, "took_ms", s->took_ns / NS_PER_MS);
    return o;
}

/* NULL: there is nothing to warm. */
static json_t *warming(const struct space *s, const struct policy *p)
{
    struct run_look look;
    if (!run_look(s->cache, p->number, &look))
        return NULL;
    json_t *o = json_object(), *days = json_array();
    put_switch(o, "running", look.is_running);
    if (look.left_ns == UINT64_MAX)
        json_object_set_new(o, "next_ms", json_null());
    else
        put_number(o, "next_ms", look.left_ns / NS_PER_MS);
    put_text(o, "waits_for", look.waits_for);
    json_object_set_new(o, "last", look.has_last ? last_run(&look) : json_null());
    for (unsigned i = 0; i < RUN_DAYS; i++)
        json_array_append_new(days, day(&look.days[i]));
    json_object_set_new(o, "days", days);
    return o;
}

static json_t *one(const struct space *s, const struct policy *p, const struct near_hits *near)
{
    struct told t = figures_of(s, p, near);
    json_t *o = head(s, p->name), *figures = figures_told(&t);
    put_number(o, "hits", t.hits);
    if (t.alone)
        put_number(o, "hits_shared", t.near);
    else
        json_object_set_new(o, "hits_shared", json_null());
    json_object_update(o, figures);
    json_decref(figures);
    put_ratio(o, "hit_ratio", t.hits, t.hits + t.figures.misses);
    json_object_set_new(o, "times", times_of_policy(s->cache, p->number));
    json_t *warms = warming(s, p);
    if (warms)
        json_object_set_new(o, "warming", warms);
    if (p->expect_hit_ratio)
        put_ratio(o, "expect_hit_ratio", p->expect_hit_ratio, 1000);
    if (p->source_cost_ns)
        json_object_set_new(o, "saved_s", json_real((double)t.hits * (double)p->source_cost_ns / NS_PER_S));
    return o;
}

static json_t *rest(const struct space *s, const struct near_hits *near)
{
    json_t *o = head(s, "(near hits of the policies whose hits_shared is null)");
    put_number(o, "hits", near->of[POLICY_NEAR_MAX]);
    put_number(o, "hits_shared", near->of[POLICY_NEAR_MAX]);
    return o;
}

void list_policies(json_t *array, const struct space *s)
{
    const struct policies *all = cache_policies(s->cache);
    struct near_hits near = near_hits(s);
    for (unsigned i = 0; i < policies_count(all); i++)
        json_array_append_new(array, one(s, policies_nth(all, i), &near));
    if (near.of[POLICY_NEAR_MAX])
        json_array_append_new(array, rest(s, &near));
}

#define FIGURE_STRUCT struct quota_figures
static const struct figure quota_rows[] = {QUOTA_FIGURES(FIGURE_ROW)};
#undef FIGURE_STRUCT

void list_limits(json_t *array, const struct space *s)
{
    const struct quotas *all = cache_quotas(s->cache);
    for (unsigned i = 0; i < quotas_count(all); i++) {
        const struct quota *q = quotas_nth(all, i);
        json_t *o = head(s, q->name);
        put_number(o, "max", q->max);
        put_number(o, "window_ms", q->window_ms);
        for (size_t f = 0; f < sizeof(quota_rows) / sizeof(*quota_rows); f++)
            put_number(o, quota_rows[f].name,
                       *(const uint64_t *)(const void *)((const char *)&q->figures + quota_rows[f].offset));
        json_array_append_new(array, o);
    }
}

#define FIGURE_STRUCT struct tenant
static const struct figure tenant_rows[] = {TENANT_FIGURES(FIGURE_ROW)};
#undef FIGURE_STRUCT

struct tenant_list {
    json_t *array;
    const struct space *space;
};

static void list_tenant(void *user, struct slice name, const struct tenant *t, const struct took *took)
{
    const struct tenant_list *l = user;
    uint64_t hits = t->hits_l1 + t->hits_warm + t->hits_l2;
    json_t *o = head(l->space, NULL);
    json_object_set_new(o, "name", name.size ? readable(name) : json_string("(others)"));
    put_number(o, "hits", hits);
    for (size_t f = 0; f < sizeof(tenant_rows) / sizeof(*tenant_rows); f++)
        put_number(o, tenant_rows[f].name,
                   *(const uint64_t *)(const void *)((const char *)t + tenant_rows[f].offset));
    put_ratio(o, "hit_ratio", hits, hits + t->misses);
    json_object_set_new(o, "times", took ? times_of_tenant(took) : json_null());
    json_array_append_new(l->array, o);
}

void list_tenants(json_t *array, const struct space *s)
{
    struct tenant_list l = {array, s};
    if (s->config->cache.secret)
        return; /* keys begin with them */
    tenants_each(cache_tenants(s->cache), list_tenant, &l);
}

/* ---- explain ------------------------------------------------------------------------------------------- */

static void put_ms(json_t *o, const char *name, uint64_t ns)
{
    if (ns != UINT64_MAX)
        put_number(o, name, ns / NS_PER_MS);
}

static void put_tags(json_t *o, const struct policies *all, const struct policy *p, struct slice key)
{
    struct policy_tags tags;
    json_t *array = json_array();
    bool fit = policies_tags(all, p, key, &tags);
    for (unsigned i = 0; fit && i < tags.count; i++)
        json_array_append_new(array, readable(tags.of[i]));
    json_object_set_new(o, "tags", array);
}

static void put_tiers(json_t *o, const struct policy *p)
{
    for (unsigned tier = TIER_L1; tier <= TIER_L2; tier++)
        json_object_set_new(o, tier_name_text(tier), json_boolean(p->tiers & 1u << tier));
}

json_t *explain_policy(const struct space *s, struct slice key)
{
    const struct policies *all = cache_policies(s->cache);
    const struct policy *p = policies_match(all, key);
    json_t *o = json_object();
    json_object_set_new(o, "pattern", json_string(p->pattern));
    json_object_set_new(o, "description", json_string(p->description));
    put_ms(o, "ttl_ms", p->ttl_ns);
    put_ms(o, "stale_ms", p->stale_ns);
    put_ms(o, "negative_ttl_ms", p->negative_ttl_ns);
    put_ms(o, "max_ttl_ms", p->max_ttl_ns);
    put_ratio(o, "jitter", p->jitter, 1000);
    put_tiers(o, p);
    put_ms(o, "l1_ttl_ms", p->l1_ttl_ns);
    put_ms(o, "l2_ttl_ms", p->l2_ttl_ns);
    put_tags(o, all, p, key);
    put_number(o, "max_value", p->max_value);
    if (p->compress_min)
        put_number(o, "compress_min", p->compress_min);
    json_object_set_new(o, "store", json_boolean(p->store));
    json_object_set_new(o, "dump", json_boolean(p->dump));
    json_object_set_new(o, "write_through", json_boolean(p->write_through));
    json_object_set_new(o, "serve_detached", json_boolean(p->serve_detached));
    put_ratio(o, "refresh_at", p->refresh_at, 1000);
    json_object_set_new(o, "lease_scope",
                        json_string(p->lease_scope == LEASE_SCOPE_FLEET ? "fleet" : "host"));
    return o;
}

/* ---- health -------------------------------------------------------------------------------------------- */

void each_disappointment(const struct space *s,
                         void (*find)(void *user, const char *scope, const char *issue), void *user)
{
    const struct policies *all = cache_policies(s->cache);
    struct near_hits near = near_hits(s);
    for (unsigned i = 0; i < policies_count(all); i++) {
        const struct policy *p = policies_nth(all, i);
        struct told t = figures_of(s, p, &near);
        uint64_t asked = t.hits + t.figures.misses;
        char scope[80], issue[160];
        if (!p->expect_hit_ratio || !t.alone || asked < RATIO_NEEDS ||
            t.hits * 1000 >= asked * p->expect_hit_ratio)
            continue;
        snprintf(scope, sizeof(scope), "%s/%s", s->config->name, p->name);
        snprintf(issue, sizeof(issue), "hit ratio %.1f %%, expected %.1f %%",
                 100.0 * (double)t.hits / (double)asked, p->expect_hit_ratio / 10.0);
        find(user, scope, issue);
    }
}
