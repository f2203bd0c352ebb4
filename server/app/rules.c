/* [policy NAME]: what each says, laid over what its namespace says.  [event NAME]: what dies of it.
 *
 * A policy has values only for what its section says.  Merging is done anew whenever a set of policies is made, so a
 * namespace's option that changes on reload changes all policies that do not say otherwise. */
#include "app/config.h"

#include <stdlib.h>
#include <string.h>
#include "base/check.h"

/* ---- what is said -------------------------------------------------------------------------------------- */

static struct config_policy *add(struct config *c, const struct setting *s, struct complaints *wrong)
{
    if (strcmp(s->name, POLICY_OF_NAMESPACE) == 0)
        complain(wrong, "%s: a policy cannot be called %s: that is what a namespace's own options are called",
                 s->origin, s->name);
    struct config_policy *p = &c->policies[c->policies_count++];
    *p = (struct config_policy){
        .is = config_named_begin(s, policy_table.count),
        .said = {
            .pattern = "", .namespace = "", .description = "", .tags = "", .cascade = "", .warming = ""}};
    return p;
}

/* ---- events -------------------------------------------------------------------------------------------- */

/* As of policies: they stay where they are. */
static struct config_event *add_event(struct config *c, const struct setting *s)
{
    if (!c->events)
        c->events = must_alloc(EVENTS_MAX * sizeof(*c->events));
    struct config_event *e = &c->events[c->events_count++];
    *e = (struct config_event){.is = config_named_begin(s, event_table.count), .said = {.invalidate = ""}};
    return e;
}

static void take_event(struct config *c, const struct setting *s, struct complaints *wrong)
{
    struct config_event *e = config_named_find(c->events, c->events_count, sizeof(*e), s->name);
    if (!e && c->events_count == EVENTS_MAX) {
        if (!s->key)
            complain(wrong, "%s: more than %d events", s->origin, EVENTS_MAX);
        return;
    }
    e = e ? e : add_event(c, s);
    config_named_take(c, &e->is, s, &e->said, wrong);
}

static bool add_events(const struct config *c, struct policies *p, unsigned count,
                       struct policy_fault *ret_fault)
{
    for (unsigned i = 0; i < count; i++) {
        ret_fault->source = i;
        if (!policies_add_event(p, c->events[i].is.name, &c->events[i].said, ret_fault))
            return false;
    }
    return true;
}

static void check_event(const struct config_event *e, struct complaints *wrong)
{
    struct policy_rule own = cache_default_rule(&(struct cache_options){.max_ttl = 1});
    struct policy_fault fault;
    struct policies *alone = policies_create(&own, NULL, 0, NULL, &fault);
    if (!config_named_value(&e->is, "invalidate"))
        complain(wrong,
                 "%s: [event %s] says nothing: expected invalidate = NAMES, such as key \"user:{id}\", tag "
                 "\"users\"",
                 e->is.origin, e->is.name);
    else if (!policies_add_event(alone, e->is.name, &e->said, &fault))
        complain(wrong, "%s: [event %s] %s: %s", config_named_origin(&e->is, fault.option), e->is.name,
                 fault.option, fault.why);
    policies_destroy(alone);
}

/* ---- merging ------------------------------------------------------------------------------------------- */

static struct policy_rule own_rule(const struct config_namespace *n)
{
    struct policy_rule rule = cache_default_rule(&n->cache);
    const struct policy_defaults *d = &n->policy;
#define TAKE_DEFAULT(TYPE, name, fallback, min, max, reload, aliases, sentence) rule.name = d->name;
    POLICY_OPTIONS(TAKE_DEFAULT)
#undef TAKE_DEFAULT
    rule.l1 = n->l1.l1;
    rule.warm = n->warm.warm;
    return rule;
}

static size_t field_bytes(enum knob_type type)
{
    return type == KNOB_SWITCH ? sizeof(bool) : type == KNOB_TEXT ? sizeof(char *) : sizeof(uint64_t);
}

/* A tier the namespace does without cannot be had by a policy, nor a value larger than it takes. */
static struct policy_rule merge(const struct policy_rule *own, const struct config_policy *p)
{
    struct policy_rule rule = *own;
    for (unsigned i = 0; i < p->is.values_count; i++) {
        const struct knob *knob = p->is.values[i].knob;
        if (!p->is.values[i].origin)
            continue;
        memcpy((char *)&rule + knob->offset, (const char *)&p->said + knob->offset, field_bytes(knob->type));
    }
    rule.l1 = rule.l1 && own->l1;
    rule.warm = rule.warm && own->warm;
    rule.max_value = rule.max_value < own->max_value ? rule.max_value : own->max_value;
    return rule;
}

static bool concerns(const struct config_policy *p, const struct config_namespace *n)
{
    return !*p->said.namespace || strcmp(p->said.namespace, n->name) == 0;
}

/* `only`: that one and no other; NULL: all. */
static struct policies *make(const struct config *c, const struct config_namespace *n,
                             const struct config_policy *only, const struct policies *previous,
                             struct policy_fault *ret_fault)
{
    struct policy_rule own = own_rule(n);
    struct policy_source *sources = must_alloc((c->policies_count + 1) * sizeof(*sources));
    unsigned count = 0;
    for (unsigned i = 0; i < c->policies_count && count < POLICIES_MAX; i++) {
        const struct config_policy *p = &c->policies[i];
        if (concerns(p, n) && (!only || p == only))
            sources[count++] = (struct policy_source){p->is.name, merge(&own, p)};
    }
    struct policies *made = policies_create(&own, sources, count, previous, ret_fault);
    free(sources);
    return made;
}

struct policies *config_make_policies(const struct config *c, const struct config_namespace *n,
                                      const struct policies *previous, struct policy_fault *ret_fault)
{
    struct policies *made = make(c, n, NULL, previous, ret_fault);
    return !made || add_events(c, made, c->events_count, ret_fault) ? made : policies_destroy(made);
}

/* ---- judging ------------------------------------------------------------------------------------------- */

static void check_alone(const struct config *c, const struct config_policy *p, struct complaints *wrong)
{
    if (!*p->said.pattern)
        complain(
            wrong,
            "%s: [policy %s] has no pattern: expected pattern = KEYS, such as org:* or {tenant}:user:{id}",
            p->is.origin, p->is.name);
    if (*p->said.namespace && !config_has_namespace(c, p->said.namespace))
        complain(wrong, "%s: namespace = %s: expected the name of a [namespace NAME] of this configuration",
                 config_named_origin(&p->is, "namespace"), p->said.namespace);
}

static unsigned count_of(const struct config *c, const struct config_namespace *n)
{
    unsigned count = 0;
    for (unsigned i = 0; i < c->policies_count; i++)
        count += concerns(&c->policies[i], n);
    return count;
}

/* The n-th of those that concern the namespace. */
static const struct config_policy *nth(const struct config *c, const struct config_namespace *n,
                                       unsigned index)
{
    unsigned i = 0;
    while (!concerns(&c->policies[i], n) || index-- > 0)
        i++;
    return &c->policies[i];
}

static void complain_fault(const struct config_policy *p, const struct policy_fault *fault,
                           struct complaints *wrong)
{
    complain(wrong, "%s: [policy %s] %s: %s", config_named_origin(&p->is, fault->option), p->is.name,
             fault->option, fault->why);
}

/* Each by itself, so that what is wrong with one does not hide the next. */
static bool check_in(const struct config *c, const struct config_policy *p, const struct config_namespace *n,
                     struct complaints *wrong)
{
    struct policy_fault fault;
    struct policies *made = make(c, n, p, NULL, &fault);
    if (!made)
        complain_fault(p, &fault, wrong);
    policies_destroy(made);
    return made;
}

static bool check_all(const struct config *c, const struct config_namespace *n, struct complaints *wrong)
{
    struct policy_fault fault;
    if (count_of(c, n) > POLICIES_MAX) {
        complain(wrong, "%s: more than %d policies in [namespace %s]", nth(c, n, POLICIES_MAX)->is.origin,
                 POLICIES_MAX, n->name);
        return false;
    }
    struct policies *made = make(c, n, NULL, NULL, &fault);
    if (!made)
        complain_fault(nth(c, n, fault.source), &fault, wrong);
    policies_destroy(made);
    return made;
}

/* Those that are right one by one may still be too many together, or go round in circles; with a wrong one among them
 * nobody can tell. */
static void check(const struct config *c, unsigned known, struct complaints *wrong)
{
    for (unsigned i = 0; i < c->policies_count; i++) {
        const struct config_policy *p = &c->policies[i];
        bool right = *p->said.pattern; /* told already */
        for (unsigned n = 0; right && n < c->namespaces_count; n++)
            right = !concerns(p, &c->namespaces[n]) || check_in(c, p, &c->namespaces[n], wrong);
    }
    for (unsigned n = 0; c->policies_count && n < c->namespaces_count && wrong->count == known; n++)
        if (!check_all(c, &c->namespaces[n], wrong))
            break;
}

/* Values point into their policies, so those stay where they are: room for all there can be. */
static unsigned sections(const struct config *c)
{
    unsigned count = 0;
    for (unsigned i = 0; i < c->settings.count; i++)
        count += c->settings.items[i].section == SECTION_POLICY && !c->settings.items[i].key;
    return count;
}

void config_read_policies(struct config *c, struct complaints *wrong)
{
    unsigned known = wrong->count;
    c->policies = must_alloc((sections(c) + 1) * sizeof(*c->policies));
    for (unsigned i = 0; i < c->settings.count; i++) {
        const struct setting *s = &c->settings.items[i];
        if (s->section == SECTION_EVENT)
            take_event(c, s, wrong);
        if (s->section != SECTION_POLICY)
            continue;
        struct config_policy *p = config_named_find(c->policies, c->policies_count, sizeof(*p), s->name);
        p = p ? p : add(c, s, wrong);
        config_named_take(c, &p->is, s, &p->said, wrong);
    }
    for (unsigned i = 0; i < c->policies_count; i++)
        check_alone(c, &c->policies[i], wrong);
    for (unsigned i = 0; i < c->events_count; i++)
        check_event(&c->events[i], wrong);
    check(c, known, wrong);
}

void config_free_policies(struct config *c)
{
    for (unsigned i = 0; i < c->policies_count; i++)
        config_named_finish(&c->policies[i].is);
    free(c->policies);
    for (unsigned i = 0; i < c->events_count; i++)
        config_named_finish(&c->events[i].is);
    free(c->events);
}
