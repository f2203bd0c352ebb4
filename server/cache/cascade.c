#include "cache/cascade.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cache/cache_private.h"
#include "cache/policies_private.h"

/* ======= reading rules ======= */

bool cascade_parse(struct policies *p, struct known *k, struct policy_fault *fault)
{
    struct slice rest = slice_text(k->cascade_text), item;
    const char *why;
    while (rest.size && list_next_item(&rest, &item)) {
        if (k->cascade_count == CASCADE_TARGETS_MAX)
            return policy_fault(fault, "cascade", item, "at most 32 names in a rule");
        k->cascade = must_realloc(k->cascade, (k->cascade_count + 1) * sizeof(*k->cascade));
        struct target *t = &k->cascade[k->cascade_count++];
        if (!target_parse(item, &k->names, false, t, &why))
            return policy_fault(fault, "cascade", item, why);
        if (!policy_names_known(p, k, &t->name))
            return policy_fault(fault, "cascade", item,
                                "not every alternative of the pattern has that {name}");
    }
    p->cascades |= k->cascade_count > 0;
    return true;
}

void cascade_free(struct known *k)
{
    free(k->cascade);
}

/* ======= loops ======= */

static bool leads_to(const struct policies *p, const struct known *from, const struct known *to)
{
    for (unsigned t = 0; t < from->cascade_count; t++)
        for (unsigned n = to->first; n < to->first + to->patterns; n++)
            if (target_reaches(&from->cascade[t], &p->patterns[n]))
                return true;
    return false;
}

/* Policies from the first to the one looked at, each leading to the next. */
struct way {
    const struct policies *p;
    uint8_t at[POLICIES_MAX + 1];
    unsigned length;
    bool seen[POLICIES_MAX + 1]; /* everything it leads to ends */
};

static bool stands_on(const struct way *w, unsigned index)
{
    return memchr(w->at, (int)index, w->length) != NULL;
}

static bool tell_loop(const struct way *w, unsigned back_to, struct policy_fault *ret)
{
    size_t used = 0;
    const uint8_t *from = memchr(w->at, (int)back_to, w->length);
    ret->source = back_to - 1;
    ret->option = "cascade";
    for (const uint8_t *at = from; at < w->at + w->length && used < sizeof(ret->why); at++)
        used += (size_t)snprintf(ret->why + used, sizeof(ret->why) - used, "%s → ", w->p->known[*at].name);
    if (used < sizeof(ret->why))
        snprintf(ret->why + used, sizeof(ret->why) - used, "%s: a rule may not lead back to itself",
                 w->p->known[back_to].name);
    return false;
}

static bool ends_from(struct way *w, unsigned index, struct policy_fault *ret)
{
    if (stands_on(w, index))
        return tell_loop(w, index, ret);
    if (w->seen[index])
        return true;
    w->at[w->length++] = (uint8_t)index;
    for (unsigned to = 1; to < w->p->count; to++)
        if (w->p->known[to].cascade_count && leads_to(w->p, &w->p->known[index], &w->p->known[to]) &&
            !ends_from(w, to, ret))
            return false;
    w->length--;
    w->seen[index] = true;
    return true;
}

bool cascade_ends(const struct policies *p, struct policy_fault *ret_fault)
{
    struct way way = {.p = p};
    for (unsigned i = 1; p->cascades && i < p->count; i++)
        if (p->known[i].cascade_count && !ends_from(&way, i, ret_fault))
            return false;
    return true;
}

/* ======= following them ======= */

struct names {
    struct slice *items;
    unsigned count, room;
};

enum { KINDS = TARGET_PREFIX + 1, SEEN_SLOTS = 64 /* to begin with */ };

struct cascade {
    struct cache_invalidate asked; /* what the caller named */
    struct names names[KINDS];
    unsigned given[KINDS]; /* of the names, those that are the caller's */
    unsigned added;
    uint64_t *
        seen; /* a hash table of what was added, half full at most; 64 bits tell names apart, as in the tiers */
    unsigned slots;
};

static void append(struct names *n, struct slice name)
{
    if (n->count == n->room) {
        n->room = n->room ? 2 * n->room : 64;
        n->items = must_realloc(n->items, n->room * sizeof(*n->items));
    }
    n->items[n->count++] = name;
}

static uint64_t *seen_at(const struct cascade *x, uint64_t hash)
{
    unsigned i = (unsigned)hash & (x->slots - 1);
    while (x->seen[i] && x->seen[i] != hash)
        i = (i + 1) & (x->slots - 1);
    return &x->seen[i];
}

static void make_room(struct cascade *x)
{
    uint64_t *old = x->seen;
    unsigned slots = x->slots;
    if (2 * x->added < slots)
        return;
    x->slots = slots ? 2 * slots : SEEN_SLOTS;
    x->seen = must_alloc(x->slots * sizeof(*x->seen));
    for (unsigned i = 0; i < slots; i++)
        if (old[i])
            *seen_at(x, old[i]) = old[i];
    free(old);
}

static bool is_new(struct cascade *x, uint64_t hash)
{
    make_room(x);
    uint64_t *slot = seen_at(x, hash | 1 /* 0 is a free slot */);
    bool new = !*slot;
    *slot = hash | 1;
    return new;
}

static struct slice first_level(struct slice name)
{
    const char *end = name.size ? memchr(name.data, ':', name.size) : NULL;
    return end ? slice_of(name.data, (size_t)(end - (const char *)name.data)) : name;
}

/* Is the first level of what the rule names, or a part of it, a word of the caller's? */
static bool begins_remembered(const struct template *t)
{
    for (unsigned p = 0; p < t->count; p++) {
        if (t->pieces[p].name >= 0)
            return true;
        if (memchr(t->pieces[p].text.data, ':', t->pieces[p].text.size))
            return false;
    }
    return false;
}

/* What a rule says literally is the configuration's to say; what it remembered of a key that a bound connection chose, such as
 * {other} of {t}:mail:{other}, leads to no other tenant. */
static bool confined(const struct cascade *x, const struct target *t, struct slice name)
{
    const struct slice *tenant = &x->asked.within;
    return tenant->size && begins_remembered(&t->name) && !slice_equal(first_level(name), *tenant);
}

static bool add(struct cache *c, struct cascade *x, const struct target *t, const struct captures *captures)
{
    static const size_t longest[] = {
        [TARGET_KEY] = WIRE_KEY_MAX, [TARGET_TAG] = WIRE_TAG_BYTES_MAX, [TARGET_PREFIX] = WIRE_KEY_MAX};
    char room[WIRE_KEY_MAX];
    size_t size = template_fill(&t->name, captures, room, longest[t->kind]);
    struct slice name = slice_of(room, size);
    if (size == 0 || x->added == CASCADE_MAX)
        return false;
    if (confined(x, t, name))
        return true;
    if (!is_new(x, shm_hash_key(c->setup.hash_secret + t->kind, name)))
        return true;
    char *kept = must_alloc(size);
    memcpy(kept, room, size);
    append(&x->names[t->kind], slice_of(kept, size));
    x->added++;
    return true;
}

static const struct known *known_of(const struct cache *c, struct slice key)
{
    const struct policy *policy = policies_match(c->policies, key);
    return CONTAINER_OF((struct policy *)policy, struct known, shown);
}

static bool follow_key(struct cache *c, struct cascade *x, struct slice key)
{
    const struct known *k = known_of(c, key);
    struct captures captures;
    if (k->cascade_count == 0 || !policies_remember(c->policies, k, key, &captures))
        return true;
    for (unsigned t = 0; t < k->cascade_count; t++)
        if (!add(c, x, &k->cascade[t], &captures))
            return false;
    return true;
}

/* Many keys at once: a prefix, or those of a glob. */
struct many {
    struct key_levels prefix;
    struct pattern glob;
    bool is_glob;
};

static bool concerns(const struct pattern *p, const struct many *keys, struct captures *ret,
                     unsigned *ret_known)
{
    return keys->is_glob ? pattern_meets(p, &keys->glob, ret, ret_known)
                         : pattern_reaches(p, &keys->prefix, ret, ret_known);
}

static bool follow_policy(struct cache *c, struct cascade *x, const struct known *k, const struct many *keys)
{
    struct captures captures;
    unsigned known;
    for (unsigned n = k->first; n < k->first + k->patterns; n++) {
        if (!concerns(&c->policies->patterns[n], keys, &captures, &known))
            continue;
        for (unsigned t = 0; t < k->cascade_count; t++)
            if (!(k->cascade[t].name.naming & ~known) && !add(c, x, &k->cascade[t], &captures))
                return false;
    }
    return true;
}

static bool follow_many(struct cache *c, struct cascade *x, const struct many *keys)
{
    for (unsigned i = 1; i < c->policies->count; i++)
        if (c->policies->known[i].cascade_count && !follow_policy(c, x, &c->policies->known[i], keys))
            return false;
    return true;
}

static bool follow_prefix(struct cache *c, struct cascade *x, struct slice prefix)
{
    struct many keys = {.is_glob = false};
    key_split(prefix, &keys.prefix);
    return follow_many(c, x, &keys);
}

static bool follow_globs(struct cache *c, struct cascade *x)
{
    const char *why;
    bool fits = true;
    for (unsigned n = 0; n < x->asked.globs_count && fits; n++) {
        struct many keys = {.is_glob = true};
        struct pattern_names names = {.count = 0};
        CHECK(pattern_parse(x->asked.globs[n], &names, &keys.glob, &why)); /* judged before */
        fits = follow_many(c, x, &keys);
    }
    return fits;
}

/* What is added is followed too, until nothing new comes. */
static bool follow(struct cache *c, struct cascade *x)
{
    struct names *keys = &x->names[TARGET_KEY], *prefixes = &x->names[TARGET_PREFIX];
    unsigned key = 0, prefix = 0;
    if (!follow_globs(c, x))
        return false;
    while (key < keys->count || prefix < prefixes->count) {
        bool fits = key < keys->count ? follow_key(c, x, keys->items[key++])
                                      : follow_prefix(c, x, prefixes->items[prefix++]);
        if (!fits)
            return false;
    }
    return true;
}

static void take_given(struct cascade *x, enum target_kind kind, const struct slice *names, unsigned count)
{
    for (unsigned n = 0; n < count; n++)
        append(&x->names[kind], names[n]);
    x->given[kind] = count;
}

static void show(struct cache_invalidate *i, const struct cascade *x)
{
    i->keys = x->names[TARGET_KEY].items;
    i->keys_count = x->names[TARGET_KEY].count;
    i->tags = x->names[TARGET_TAG].items;
    i->tags_count = x->names[TARGET_TAG].count;
    i->prefixes = x->names[TARGET_PREFIX].items;
    i->prefixes_count = x->names[TARGET_PREFIX].count;
}

static bool leads_anywhere(const struct cache *c, const struct cache_invalidate *i)
{
    if (!c->policies->cascades || i->all)
        return false;
    bool leads = i->prefixes_count > 0 || i->globs_count > 0;
    for (unsigned n = 0; !leads && n < i->keys_count; n++)
        leads = known_of(c, i->keys[n])->cascade_count;
    return leads;
}

bool cascade_begin(struct cache *c, struct cache_invalidate *i)
{
    if (!leads_anywhere(c, i))
        return true;
    struct cascade *x = i->cascade = must_alloc(sizeof(*x));
    x->asked = *i;
    take_given(x, TARGET_KEY, i->keys, i->keys_count);
    take_given(x, TARGET_TAG, i->tags, i->tags_count);
    take_given(x, TARGET_PREFIX, i->prefixes, i->prefixes_count);
    bool fits = follow(c, x);
    c->figures.cascaded += fits ? x->added : 0;
    show(i, x);
    return fits;
}

unsigned cascade_asked(const struct cache_invalidate *i, enum named_kind kind)
{
    const struct cache_invalidate *asked = i->cascade ? &i->cascade->asked : i;
    const unsigned counts[NAMED_KINDS] = {[NAMED_KEY] = asked->keys_count,
                                          [NAMED_TAG] = asked->tags_count,
                                          [NAMED_PREFIX] = asked->prefixes_count,
                                          [NAMED_GLOB] = asked->globs_count,
                                          [NAMED_ALL] = asked->all};
    return counts[kind];
}

unsigned cascade_added(const struct cache_invalidate *i)
{
    return i->cascade ? i->cascade->added : 0;
}

void cascade_end(struct cache_invalidate *i)
{
    struct cascade *x = i->cascade;
    if (!x)
        return;
    i->keys = x->asked.keys;
    i->keys_count = x->asked.keys_count;
    i->tags = x->asked.tags;
    i->tags_count = x->asked.tags_count;
    i->prefixes = x->asked.prefixes;
    i->prefixes_count = x->asked.prefixes_count;
    i->cascade = NULL;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        for (unsigned n = x->given[kind]; n < x->names[kind].count; n++)
            free((void *)x->names[kind].items[n].data);
        free(x->names[kind].items);
    }
    free(x->seen);
    free(x);
}
