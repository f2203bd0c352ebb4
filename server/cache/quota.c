#include "cache/quota.h"

#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/pattern.h"
#include "cache/policies_private.h"
#include "proto/wire.h"

enum { VALUE_MAX = 255 };

struct known_quota {
    struct quota shown; /* first: what is handed out */
    char *name, *scope;
    struct quota_plan plans[QUOTA_PLANS_MAX]; /* names are ours */
    unsigned plans_count;
    struct pattern_names names;
    struct slice texts[QUOTA_SCOPES_MAX];
    struct template scopes[QUOTA_SCOPES_MAX];
    unsigned scopes_count;
};

struct quotas {
    struct known_quota *of[QUOTAS_MAX];
    unsigned count;
};

struct quotas *quotas_create(void)
{
    return must_alloc(sizeof(struct quotas));
}

static void quota_free(struct known_quota *k)
{
    for (unsigned p = 0; p < k->plans_count; p++)
        free((char *)k->plans[p].name);
    free(k->name);
    free(k->scope);
    free(k);
}

struct quotas *quotas_destroy(struct quotas *q)
{
    for (unsigned i = 0; q && i < q->count; i++)
        quota_free(q->of[i]);
    free(q);
    return NULL;
}

/* ======= reading rules ======= */

static struct slice trimmed(const char *from, size_t size)
{
    while (size && *from == ' ')
        from++, size--;
    while (size && from[size - 1] == ' ')
        size--;
    return slice_of(from, size);
}

static bool parse_scopes(struct known_quota *k, struct policy_fault *fault)
{
    const char *at = k->scope, *why;
    while (*at) {
        size_t size = strcspn(at, "|");
        struct slice text = trimmed(at, size);
        if (k->scopes_count == QUOTA_SCOPES_MAX)
            return policy_fault(fault, "scope", text, "more than 8 alternatives");
        if (!text.size)
            return policy_fault(fault, "scope", slice_text(k->scope), "an alternative is empty");
        if (!template_parse(text, &k->names, true, &k->scopes[k->scopes_count], &why))
            return policy_fault(fault, "scope", text, why);
        k->texts[k->scopes_count++] = text;
        at += size + (at[size] == '|');
        if (at[-1] == '|' && !*at)
            return policy_fault(fault, "scope", slice_text(k->scope), "an alternative is empty");
    }
    return true;
}

static unsigned alone_of(const char *word)
{
    return strcmp(word, "allow") == 0 ? 1 : strcmp(word, "refuse") == 0 ? 2 : 0;
}

static bool complete(const struct quota_rule *rule, const char *name, struct policy_fault *fault)
{
    if (!rule->max)
        return policy_fault(fault, "max", slice_text(name), "says not how many: expected max = 100");
    if (!rule->window)
        return policy_fault(fault, "window", slice_text(name),
                            "says not in which time: expected window = 60s");
    return true;
}

bool quotas_add(struct quotas *q, const char *name, const struct quota_rule *rule,
                const struct quota_plan *plans, unsigned plans_count, struct policy_fault *ret_fault)
{
    if (!complete(rule, name, ret_fault))
        return false;
    if (q->count == QUOTAS_MAX)
        return policy_fault(ret_fault, "max", slice_text(name), "more than 64 limits");
    CHECK(plans_count <= QUOTA_PLANS_MAX && !quotas_find(q, slice_text(name)));
    struct known_quota *k = must_alloc(sizeof(*k));
    *k = (struct known_quota){.name = must_strdup(name), .scope = must_strdup(rule->scope)};
    k->shown = (struct quota){.name = k->name,
                              .scope = k->scope,
                              .max = rule->max,
                              .window_ms = rule->window / NS_PER_MS,
                              .alone = alone_of(rule->alone)};
    for (; k->plans_count < plans_count; k->plans_count++)
        k->plans[k->plans_count] =
            (struct quota_plan){must_strdup(plans[k->plans_count].name), plans[k->plans_count].max};
    if (!parse_scopes(k, ret_fault)) {
        quota_free(k);
        return false;
    }
    q->of[q->count++] = k;
    return true;
}

/* ======= looking in ======= */

void quotas_inherit(struct quotas *to, const struct quotas *from)
{
    for (unsigned i = 0; from && i < from->count; i++) {
        struct quota *heir = quotas_find(to, slice_text(from->of[i]->name));
        if (heir)
            heir->figures = from->of[i]->shown.figures;
    }
}

unsigned quotas_count(const struct quotas *q)
{
    return q ? q->count : 0;
}

const struct quota *quotas_nth(const struct quotas *q, unsigned n)
{
    CHECK(n < q->count);
    return &q->of[n]->shown;
}

struct quota *quotas_find(struct quotas *q, struct slice name)
{
    for (unsigned i = 0; q && i < q->count; i++)
        if (slice_equal(slice_text(q->of[i]->name), name))
            return &q->of[i]->shown;
    return NULL;
}

/* ======= a call ======= */

/* Bytes written one after the other; too many are remembered. */
struct pen {
    char *at;
    size_t left;
    bool full;
};

static void put(struct pen *p, const void *from, size_t size)
{
    if (size > p->left) {
        p->full = true;
        return;
    }
    if (size)
        memcpy(p->at, from, size);
    p->at += size;
    p->left -= size;
}

static void put_escaped(struct pen *p, struct slice value)
{
    const char *bytes = value.data;
    for (size_t i = 0; i < value.size; i++) {
        bool special = bytes[i] == ':' || bytes[i] == '%';
        put(p, special ? bytes[i] == ':' ? "%3A" : "%25" : &bytes[i], special ? 3 : 1);
    }
}

static bool argument(const struct quota_call *call, struct slice name, struct slice *ret_value)
{
    for (unsigned a = 0; a + 1 < call->arguments_count; a += 2)
        if (slice_equal(call->arguments[a], name)) {
            *ret_value = call->arguments[a + 1];
            return ret_value->size > 0;
        }
    return false;
}

static bool all_given(const struct known_quota *k, const struct template *scope,
                      const struct quota_call *call)
{
    struct slice value;
    for (unsigned n = 0; n < k->names.count; n++)
        if (scope->naming & 1u << n && !argument(call, k->names.of[n], &value))
            return false;
    return true;
}

static bool put_values(const struct known_quota *k, const struct template *scope,
                       const struct quota_call *call, struct pen *pen)
{
    struct slice value;
    for (unsigned n = 0; n < k->names.count; n++) {
        if (!(scope->naming & 1u << n))
            continue;
        CHECK(argument(call, k->names.of[n], &value));
        if (value.size > VALUE_MAX)
            return false;
        put(pen, ":", 1);
        put_escaped(pen, value);
    }
    return true;
}

static bool put_scope(const struct known_quota *k, struct quota_call *call, struct pen *pen)
{
    unsigned s = 0;
    while (s < k->scopes_count && !all_given(k, &k->scopes[s], call))
        s++;
    if (s == k->scopes_count)
        call->message = "it counts by arguments, and for none of its scopes all are given";
    else if (put(pen, k->texts[s].data, k->texts[s].size), !put_values(k, &k->scopes[s], call, pen))
        call->message = "an argument it counts by has more than 255 bytes";
    return !call->message;
}

static bool put_key(struct quota_call *call, struct pen *pen)
{
    if (!call->key.size)
        call->message = "it has no scope: give a key";
    put(pen, call->key.data, call->key.size);
    return !call->message;
}

static uint64_t max_for(const struct known_quota *k, const struct quota_call *call)
{
    struct slice plan;
    if (argument(call, slice_text("plan"), &plan))
        for (unsigned p = 0; p < k->plans_count; p++)
            if (slice_equal(slice_text(k->plans[p].name), plan))
                return k->plans[p].max;
    return k->shown.max;
}

size_t quota_key(const struct quota *quota, struct quota_call *call, char *room, uint64_t *ret_max)
{
    const struct known_quota *k = CONTAINER_OF(quota, const struct known_quota, shown);
    struct pen pen = {room, WIRE_KEY_MAX, false};
    call->message = NULL;
    put(&pen, call->owner.data, call->owner.size);
    put(&pen, ":", 1);
    put(&pen, k->name, strlen(k->name));
    put(&pen, ":", 1);
    if (!(k->scopes_count ? put_scope(k, call, &pen) : put_key(call, &pen)))
        return 0;
    if (pen.full) {
        call->message = "what it counts by is longer than 1024 bytes";
        return 0;
    }
    *ret_max = max_for(k, call);
    return WIRE_KEY_MAX - pen.left;
}
