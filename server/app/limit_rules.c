/* [limit NAME]: how often something may be done, and who is counted. */
#include <stdlib.h>
#include <string.h>
#include "app/config.h"
#include "base/check.h"
#include "base/clock.h"

/* What the environment says of a limit that no file names: only how many. */
#define WINDOW_OF_ENVIRONMENT (60 * NS_PER_S)

/* Values point into their limit, so those stay where they are: room for all there can be. */
static struct config_limit *add(struct config *c, const struct setting *s)
{
    if (!c->limits)
        c->limits = must_alloc(QUOTAS_MAX * sizeof(*c->limits));
    struct config_limit *l = &c->limits[c->limits_count++];
    *l = (struct config_limit){
        .is = config_named_begin(s, limit_table.count + QUOTA_PLANS_MAX),
        .said = {.scope = "", .alone = "count", .window = s->from_file ? 0 : WINDOW_OF_ENVIRONMENT}};
    return l;
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
    struct config_value *v = config_named_place(&l->is, s, &l->said);
    if (v && strcmp(v->knob->name, QUOTA_PLAN) == 0 && !add_plan(l, v->knob, s->key, v)) {
        complain(wrong, "%s: [limit %s] has more than %d plans", s->origin, l->is.name, QUOTA_PLANS_MAX);
        l->is.values_count--;
    } else if (v) {
        config_apply(v, s, &c->settings, wrong);
    }
}

static bool add_to(struct quotas *q, const struct config_limit *l, struct policy_fault *fault)
{
    return quotas_add(q, l->is.name, &l->said, l->plans, l->plans_count, fault);
}

/* What is wrong with a single value was told when it was taken. */
static bool is_told(const struct config_limit *l, const char *option)
{
    const struct config_value *v = config_named_value(&l->is, option);
    return v && !v->origin;
}

static void check(const struct config_limit *l, struct complaints *wrong)
{
    struct policy_fault fault;
    struct quotas *alone = quotas_create();
    if (!add_to(alone, l, &fault) && !is_told(l, fault.option))
        complain(wrong, "%s: [limit %s] %s: %s", config_named_origin(&l->is, fault.option), l->is.name,
                 fault.option, fault.why);
    quotas_destroy(alone);
}

void config_read_limits(struct config *c, struct complaints *wrong)
{
    for (unsigned i = 0; i < c->settings.count; i++) {
        const struct setting *s = &c->settings.items[i];
        if (s->section != SECTION_LIMIT)
            continue;
        struct config_limit *l = config_named_find(c->limits, c->limits_count, sizeof(*l), s->name);
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
        for (unsigned n = 0; n < l->plans_count; n++)
            free((char *)l->plan_knobs[n].name);
        config_named_finish(&l->is);
    }
    free(c->limits);
}
