#include "cache/policies.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "cache/policies_private.h"
#include "proto/status.h"
#include "proto/wire.h"

/* ======= bits ======= */

static void bits_set(struct bits *b, unsigned i)
{
    b->words[i / 64] |= 1ull << (i % 64);
}

/* ======= the index ======= */

/* Of the first and the last eight bytes, the size and the level: what it confuses is told apart by the comparison that
 * follows. */
static uint32_t literal_hash(unsigned level, const struct key_level *l)
{
    uint64_t last = 0;
    if (l->text.size > 8)
        memcpy(&last, (const char *)l->text.data + l->text.size - 8, sizeof(last));
    uint64_t h = (l->word ^ last << 1 ^ last >> 63 ^ l->text.size) * 0x9e3779b97f4a7c15ull;
    h = (h ^ h >> 32 ^ level) * 0xbf58476d1ce4e5b9ull;
    return (uint32_t)(h >> 32) | 1;
}

static struct literal *literal_at(const struct policies *p, uint32_t hash)
{
    unsigned i = hash >> 1 & p->literals_mask;
    while (p->literals[i].hash && p->literals[i].hash != hash)
        i = (i + 1) & p->literals_mask;
    return &p->literals[i];
}

static bool is_literal(const struct pattern *p, unsigned level)
{
    return level < p->count && !p->levels[level].any;
}

static void index_level(struct policies *p, unsigned n, unsigned level)
{
    const struct pattern_level *l = &p->patterns[n].levels[level];
    if (!is_literal(&p->patterns[n], level)) {
        bits_set(&p->any[level], n);
        return;
    }
    uint32_t hash = literal_hash(level, &(struct key_level){l->head, l->word});
    struct literal *literal = literal_at(p, hash);
    if (!literal->hash)
        *literal = (struct literal){hash, p->literals_count++};
    bits_set(&p->literal_bits[literal->bits], n);
}

static void index_pattern(struct policies *p, unsigned n)
{
    const struct pattern *pattern = &p->patterns[n];
    for (unsigned level = 0; level < LEVELS_INDEXED; level++)
        index_level(p, n, level);
    for (unsigned levels = 1; levels <= LEVELS_INDEXED + 1; levels++) {
        bool many = levels == LEVELS_INDEXED + 1; /* or more */
        if (pattern->count == levels || (many && pattern->count > levels) ||
            (pattern->rest && pattern->count <= levels))
            bits_set(&p->sized[levels], n);
    }
}

static void build_index(struct policies *p)
{
    unsigned literals = 0, slots = 16;
    for (unsigned n = 0; n < p->patterns_count; n++)
        for (unsigned level = 0; level < LEVELS_INDEXED; level++)
            literals += is_literal(&p->patterns[n], level);
    while (slots < 2 * literals)
        slots *= 2;
    p->literals = must_alloc(slots * sizeof(*p->literals));
    p->literal_bits = must_alloc((literals + 1) * sizeof(*p->literal_bits));
    p->literals_mask = slots - 1;
    p->words = (p->patterns_count + 63) / 64;
    for (unsigned n = 0; n < p->patterns_count; n++)
        index_pattern(p, n);
}

/* ======= matching ======= */

static void narrow(const struct policies *p, struct bits *candidates, unsigned level,
                   const struct key_level *text)
{
    const struct literal *l = literal_at(p, literal_hash(level, text));
    const struct bits *exact = &p->literal_bits[l->bits], *any = &p->any[level];
    for (unsigned w = 0; w < p->words; w++)
        candidates->words[w] &= (l->hash ? exact->words[w] : 0) | any->words[w];
}

const struct policy *policies_match(const struct policies *p, struct slice key)
{
    struct key_levels levels;
    if (p->patterns_count == 0)
        return &p->known[0].shown;
    key_split(key, &levels);
    unsigned count = levels.count < LEVELS_INDEXED ? levels.count : LEVELS_INDEXED;
    struct bits candidates = p->sized[levels.count <= LEVELS_INDEXED ? levels.count : LEVELS_INDEXED + 1];
    for (unsigned level = 0; level < count; level++)
        narrow(p, &candidates, level, &levels.of[level]);
    for (unsigned w = 0; w < p->words; w++)
        for (uint64_t left = candidates.words[w]; left; left &= left - 1) {
            unsigned n = w * 64 + (unsigned)__builtin_ctzll(left);
            if (pattern_match(&p->patterns[n], &levels))
                return &p->known[p->owners[n]].shown;
        }
    return &p->known[0].shown;
}

const struct policy *policies_at(const struct policies *p, unsigned number)
{
    return &p->known[number < POLICY_NUMBERS ? p->by_number[number] : 0].shown;
}

const char *policies_number_name(const struct policies *p, unsigned number)
{
    return number < POLICY_NUMBERS ? p->names[number] : NULL;
}

unsigned policies_count(const struct policies *p)
{
    return p->count;
}

const struct policy *policies_nth(const struct policies *p, unsigned n)
{
    CHECK(n < p->count);
    return &p->known[n].shown;
}

/* ======= tags ======= */

bool policies_remember(const struct policies *p, const struct known *k, struct slice key,
                       struct captures *ret)
{
    struct key_levels levels;
    key_split(key, &levels);
    for (unsigned n = k->first; n < k->first + k->patterns; n++)
        if (pattern_match(&p->patterns[n], &levels)) {
            pattern_remember(&p->patterns[n], &levels, ret);
            return true;
        }
    return false;
}

bool policies_tags(const struct policies *p, const struct policy *policy, struct slice key,
                   struct policy_tags *ret)
{
    const struct known *k = CONTAINER_OF((struct policy *)policy, struct known, shown);
    struct captures captures;
    size_t used = 0;
    ret->count = 0;
    if (k->tags_count == 0)
        return true;
    if (!policies_remember(p, k, key, &captures))
        return true; /* it is the policy of this key no more */
    for (unsigned i = 0; i < k->tags_count; i++) {
        size_t size = template_fill(&k->tags[i], &captures, ret->bytes + used, WIRE_TAG_BYTES_MAX);
        if (size == 0)
            return false;
        ret->of[ret->count++] = slice_of(ret->bytes + used, size);
        used += size;
    }
    return true;
}

/* ======= making one ======= */

bool policy_fault(struct policy_fault *f, const char *option, struct slice text, const char *why)
{
    f->option = option;
    snprintf(f->why, sizeof(f->why), "%.*s: %s", (int)text.size, text.size ? (const char *)text.data : "",
             why);
    return false;
}

static uint8_t tiers_of(const struct policy_rule *r)
{
    return (uint8_t)((r->l1 ? 1u << TIER_L1 : 0) | (r->warm ? 1u << TIER_WARM : 0) |
                     (r->l2 ? 1u << TIER_L2 : 0));
}

static uint64_t or_endless(uint64_t ns)
{
    return ns ? ns : UINT64_MAX;
}

static void take_options(struct known *k, const struct policy_rule *r)
{
    k->shown = (struct policy){
        .name = k->name,
        .pattern = k->pattern,
        .description = k->description,
        .tiers = tiers_of(r),
        .ttl_ns = r->ttl,
        .stale_ns = r->stale,
        .max_ttl_ns = r->max_ttl,
        .negative_ttl_ns = r->negative_ttl ? r->negative_ttl : r->ttl,
        .l1_ttl_ns = or_endless(r->l1_ttl),
        .l2_ttl_ns = or_endless(r->l2_ttl),
        .max_value = r->max_value,
        .compress_min = r->compress_min,
        .jitter = (uint32_t)r->jitter,
        .refresh_at = (uint32_t)r->refresh_at,
        .expect_hit_ratio = (uint32_t)r->expect_hit_ratio,
        .source_cost_ns = r->source_cost,
        .source_price = r->source_price,
        .lease_scope = strcmp(r->lease_scope, "fleet") == 0 ? LEASE_SCOPE_FLEET : LEASE_SCOPE_HOST,
        .schedule = {.every_ns = r->warming_interval,
                     .jitter = (uint32_t)r->warming_jitter,
                     .order = (uint32_t)r->warming_order,
                     .on_start = r->warm_on_start},
        .warming_at_a_time = (uint32_t)r->warming_at_a_time,
        .warming_batch = (uint32_t)r->warming_batch,
        .serve_detached = r->serve_detached,
        .store = r->store,
        .dump = r->dump,
        .write_through = r->write_through,
    };
}

static bool add_alternative(struct policies *p, struct known *k, struct slice text,
                            struct policy_fault *fault)
{
    const char *why = "more than 256 patterns in all policies";
    if (p->patterns_count == POLICY_PATTERNS_MAX ||
        !pattern_parse(text, &k->names, &p->patterns[p->patterns_count], &why))
        return policy_fault(fault, "pattern", text, why);
    p->owners[p->patterns_count++] = (uint8_t)(k - p->known);
    k->patterns++;
    return true;
}

static bool take_pattern(struct policies *p, struct known *k, struct policy_fault *fault)
{
    struct slice rest = slice_text(k->pattern), item;
    k->first = p->patterns_count;
    while (list_next_item(&rest, &item))
        if (!add_alternative(p, k, item, fault))
            return false;
    return true;
}

/* A {name} in a tag has to be known whichever alternative matched. */
bool policy_names_known(const struct policies *p, const struct known *k, const struct template *t)
{
    for (unsigned n = k->first; n < k->first + k->patterns; n++)
        if (t->naming & ~p->patterns[n].naming)
            return false;
    return true;
}

static bool take_tags(struct policies *p, struct known *k, struct policy_fault *fault)
{
    struct slice rest = slice_text(k->tags_text), item;
    const char *why;
    while (rest.size && list_next_item(&rest, &item)) {
        if (k->tags_count == SHM_TAGS_MAX)
            return policy_fault(fault, "tags", item, "an entry has at most 16 tags");
        k->tags = must_realloc(k->tags, (k->tags_count + 1) * sizeof(*k->tags));
        struct template *t = &k->tags[k->tags_count++];
        if (!template_parse(item, &k->names, false, t, &why))
            return policy_fault(fault, "tags", item, why);
        if (!policy_names_known(p, k, t))
            return policy_fault(fault, "tags", item, "not every alternative of the pattern has that {name}");
    }
    k->shown.has_tags = k->tags_count > 0;
    return true;
}

static bool take_warming(struct known *k, struct policy_fault *fault)
{
    struct slice rest = slice_text(k->warming_text), item;
    const char *why;
    while (rest.size && list_next_item(&rest, &item)) {
        if (k->sources_count == KEY_SOURCES_MAX)
            return policy_fault(fault, "warming", item, "more than 16 sources of keys");
        k->sources = must_realloc(k->sources, (k->sources_count + 1) * sizeof(*k->sources));
        if (!key_source_parse(item, &k->sources[k->sources_count++], &why))
            return policy_fault(fault, "warming", item, why);
    }
    k->shown.warms = k->sources_count > 0;
    return true;
}

unsigned policies_sources(const struct policies *p, const struct policy *policy,
                          const struct key_source **ret)
{
    const struct known *k = CONTAINER_OF((struct policy *)policy, struct known, shown);
    *ret = k->sources;
    return k->sources_count;
}

unsigned policies_patterns(const struct policies *p, const struct policy *policy)
{
    return CONTAINER_OF((struct policy *)policy, struct known, shown)->patterns;
}

struct slice policies_prefix(const struct policies *p, const struct policy *policy, unsigned n)
{
    const struct known *k = CONTAINER_OF((struct policy *)policy, struct known, shown);
    const struct pattern *pattern = &p->patterns[k->first + n];
    const char *begin = pattern->levels[0].head.data, *end = begin;
    for (unsigned i = 0; i < pattern->count; i++) {
        const struct pattern_level *level = &pattern->levels[i];
        end = (const char *)level->head.data + level->head.size;
        if (level->any)
            break;
        end += i + 1 < pattern->count; /* its ':' */
    }
    return slice_of(begin, (size_t)(end - begin));
}

bool policies_overlap(const struct policies *p, const struct policy *policy, const struct pattern *pattern)
{
    const struct known *k = CONTAINER_OF((struct policy *)policy, struct known, shown);
    for (unsigned n = k->first; n < k->first + k->patterns; n++)
        if (pattern_overlaps(&p->patterns[n], pattern))
            return true;
    return false;
}

static bool take_source(struct policies *p, const char *name, const struct policy_rule *rule,
                        bool has_pattern, struct policy_fault *fault)
{
    struct known *k = &p->known[p->count++];
    k->name = must_strdup(name);
    k->pattern = must_strdup(rule->pattern);
    k->description = must_strdup(rule->description);
    k->tags_text = must_strdup(rule->tags);
    k->cascade_text = must_strdup(rule->cascade);
    k->warming_text = must_strdup(rule->warming);
    take_options(k, rule);
    if (has_pattern && rule->max_ttl < rule->ttl)
        return policy_fault(fault, "ttl", slice_text(name), "its ttl is above its max_ttl");
    return !has_pattern || (take_pattern(p, k, fault) && take_tags(p, k, fault) && take_warming(k, fault) &&
                            cascade_parse(p, k, fault));
}

/* ======= numbers ======= */

static bool is_live(const struct policies *p, unsigned number)
{
    return p->by_number[number] != 0;
}

static unsigned number_with_name(const struct policies *p, const char *name)
{
    for (unsigned n = 1; n < POLICY_NUMBERS; n++)
        if (p->names[n] && strcmp(p->names[n], name) == 0)
            return n;
    return 0;
}

/* One nobody ever had, else one that counts no near hits of its own and whose policy is gone: there are more of those
 * than policies. */
static unsigned free_number(const struct policies *p)
{
    for (unsigned n = 1; n < POLICY_NUMBERS; n++)
        if (!p->names[n])
            return n;
    for (unsigned n = POLICY_NEAR_MAX; n < POLICY_NUMBERS; n++)
        if (!is_live(p, n))
            return n;
    WRONG("more policies than numbers");
}

static void give_number(struct policies *p, unsigned index, unsigned number)
{
    struct known *k = &p->known[index];
    free(p->names[number]);
    p->names[number] = must_strdup(k->name);
    p->by_number[number] = (uint8_t)index;
    k->shown.number = (uint8_t)number;
}

/* Those who had one first. */
static void give_numbers(struct policies *p, const struct policies *previous)
{
    for (unsigned n = 1; previous && n < POLICY_NUMBERS; n++)
        p->names[n] = previous->names[n] ? must_strdup(previous->names[n]) : NULL;
    for (unsigned i = 1; i < p->count; i++) {
        unsigned number = number_with_name(p, p->known[i].name);
        if (number)
            give_number(p, i, number);
    }
    for (unsigned i = 1; i < p->count; i++)
        if (p->known[i].shown.number == 0)
            give_number(p, i, free_number(p));
}

_Static_assert(POLICY_NUMBERS - POLICY_NEAR_MAX > POLICIES_MAX, "a number can be taken from who is gone");

/* ======= the whole ======= */

/* Of all sources, and one more, at which it is too many. */
static unsigned alternatives(const struct policy_source *sources, unsigned count)
{
    unsigned all = 1;
    for (unsigned i = 0; i < count; i++) {
        struct slice rest = slice_text(sources[i].rule.pattern), item;
        while (list_next_item(&rest, &item))
            all++;
    }
    return all < POLICY_PATTERNS_MAX ? all : POLICY_PATTERNS_MAX;
}

struct policies *policies_create(const struct policy_rule *own, const struct policy_source *sources,
                                 unsigned count, const struct policies *previous,
                                 struct policy_fault *ret_fault)
{
    CHECK(count <= POLICIES_MAX);
    struct policies *p = must_alloc(sizeof(*p));
    p->known = must_alloc((count + 1) * sizeof(*p->known));
    p->patterns = must_alloc(alternatives(sources, count) * sizeof(*p->patterns));
    p->owners = must_alloc(POLICY_PATTERNS_MAX);
    *ret_fault = (struct policy_fault){0};
    bool right = take_source(p, POLICY_OF_NAMESPACE, own, false, ret_fault);
    for (unsigned i = 0; right && i < count; i++) {
        ret_fault->source = i;
        right = take_source(p, sources[i].name, &sources[i].rule, true, ret_fault);
    }
    if (!right || !cascade_ends(p, ret_fault))
        return policies_destroy(p);
    give_numbers(p, previous);
    build_index(p);
    return p;
}

static void finish_known(struct known *k)
{
    free(k->name);
    free(k->pattern);
    free(k->description);
    free(k->tags_text);
    free(k->cascade_text);
    free(k->warming_text);
    free(k->sources);
    free(k->tags);
    cascade_free(k);
}

struct policies *policies_destroy(struct policies *p)
{
    if (!p)
        return NULL;
    for (unsigned i = 0; i < p->count; i++)
        finish_known(&p->known[i]);
    for (unsigned n = 0; n < POLICY_NUMBERS; n++)
        free(p->names[n]);
    for (unsigned i = 0; i < p->events_count; i++)
        event_free(&p->events[i]);
    free(p->events);
    free(p->known);
    free(p->patterns);
    free(p->owners);
    free(p->literals);
    free(p->literal_bits);
    free(p);
    return NULL;
}
