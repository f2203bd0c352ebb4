/* [limit NAME]: how often something may be done, and who is counted. */
#include <stdlib.h>
#include <string.h>
#include "app/config.h"
#include "base/check.h"
#include "base/clock.h"

static struct config_limit *find(struct config *c, const char *name)
{
    for (unsigned i = 0; i < c->limits_count; i++)
        if (strcmp(c->limits[i].name, name) == 0)
            return &c->limits[i];
    return NULL;
}

/* What the environment says of a limit that no file names: only how many. */
#define WINDOW_OF_ENVIRONMENT (60 * NS_PER_S)

/* Values point into their limit, so those stay where they are: room for all there can be. */
static struct config_limit *add(struct config *c, const struct setting *s)
{
    if (!c->limits)
        c->limits = must_alloc(QUOTAS_MAX * sizeof(*c->limits));
    struct config_limit *l = &c->limits[c->limits_count++];
    *l = (struct config_limit){
        .name = must_strdup(s->name),
        .origin = must_strdup(s->origin),
        .said = {.scope = "", .alone = "count", .window = s->from_file ? 0 : WINDOW_OF_ENVIRONMENT},
        .values = must_alloc((limit_table.count + QUOTA_PLANS_MAX) * sizeof(*l->values))};
    return l;
}

static struct config_value *value_named(const struct config_limit *l, const char *option)
{
    for (unsigned i = 0; i < l->values_count; i++)
        if (strcmp(l->values[i].knob->name, option) == 0)
            return &l->values[i];
    return NULL;
}

/* A plan becomes an option of its own, so that it is shown as it was written. */
static bool add_plan(struct config_limit *l, const struct knob *family, const char *key,
                     struct config_value *v)
{
    if (l->plans_count == QUOTA_PLANS_MAX)
        return false;
    struct knob *knob = &l->plan_knobs[l->plans_count];
    struct quota_plan *plan = &l->plans[l->plans_count++];
    *knob = *family;
    knob->name = must_strdup(key);
    plan->name = strchr(knob->name, '.') + 1;
    v->knob = knob;
    v->field = &plan->max;
    return true;
}

static void take(struct config *c, struct config_limit *l, const struct setting *s, struct complaints *wrong)
{
    const struct option_table *table;
    const struct knob *knob = s->key ? option_find(SECTION_LIMIT, s->key, &table) : NULL;
    if (!knob)
        return; /* the section itself; or unknown, and complained of already */
    struct config_value *v = value_named(l, s->key);
    if (!v) {
        v = &l->values[l->values_count];
        *v = (struct config_value){.section = SECTION_LIMIT,
                                   .namespace = l->name,
                                   .knob = knob,
                                   .field = (char *)&l->said + knob->offset};
        if (strcmp(knob->name, QUOTA_PLAN) == 0 && !add_plan(l, knob, s->key, v)) {
            complain(wrong, "%s: [limit %s] has more than %d plans", s->origin, l->name, QUOTA_PLANS_MAX);
            return;
        }
        l->values_count++;
    }
    config_apply(v, s, &c->settings, wrong);
}

static bool add_to(struct quotas *q, const struct config_limit *l, struct policy_fault *fault)
{
    return quotas_add(q, l->name, &l->said, l->plans, l->plans_count, fault);
}

/* What is wrong with a single value was told when it was taken. */
static bool is_told(const struct config_limit *l, const char *option)
{
    const struct config_value *v = value_named(l, option);
    return v && !v->origin;
}

static void check(const struct config_limit *l, struct complaints *wrong)
{
    struct policy_fault fault;
    struct quotas *alone = quotas_create();
    if (!add_to(alone, l, &fault) && !is_told(l, fault.option)) {
        const struct config_value *v = value_named(l, fault.option);
        complain(wrong, "%s: [limit %s] %s: %s", v ? v->origin : l->origin, l->name, fault.option, fault.why);
    }
    quotas_destroy(alone);
}

void config_read_limits(struct config *c, struct complaints *wrong)
{
    for (unsigned i = 0; i < c->settings.count; i++) {
        const struct setting *s = &c->settings.items[i];
        if (s->section != SECTION_LIMIT)
            continue;
        struct config_limit *l = find(c, s->name);
        if (!l && c->limits_count == QUOTAS_MAX) {
            if (!s->key)
                complain(wrong, "%s: more than %d limits", s->origin, QUOTAS_MAX);
            continue;
        }
        take(c, l ? l : add(c, s), s, wrong);
    }
    for (unsigned i = 0; i < c->limits_count; i++)
        check(&c->limits[i], wrong);
}

struct quotas *config_make_quotas(const struct config *c)
{
    struct quotas *made = quotas_create();
    struct policy_fault fault;
    for (unsigned i = 0; i < c->limits_count; i++)
        CHECK(add_to(made, &c->limits[i], &fault));
    return made;
}

void config_free_limits(struct config *c)
{
    for (unsigned i = 0; i < c->limits_count; i++) {
        struct config_limit *l = &c->limits[i];
        for (unsigned n = 0; n < l->values_count; n++)
            config_value_free(&l->values[n]);
        for (unsigned n = 0; n < l->plans_count; n++)
            free((char *)l->plan_knobs[n].name);
        free(l->values);
        free(l->name);
        free(l->origin);
    }
    free(c->limits);
}
