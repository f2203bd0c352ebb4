#include "cache/cache.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "cache/failures.h"
#include "cache/hot.h"
#include "cache/lease.h"
#include "cache/loaders.h"
#include "cache/runs.h"
#include "cache/warming.h"

enum { POSITION_START_SHIFT = 40 }; /* V = start_no << 40 | n: a trillion changes between two starts */

/* The guards share what one has alone. */
static uint32_t guard_rows(unsigned partitions)
{
    uint32_t rows = GUARD_ROWS;
    while (rows > GUARD_ROWS / partitions)
        rows /= 2;
    return rows;
}

static void join_fleet(struct cache *c)
{
    const struct fleet_view *view = c->setup.fleet->view;
    c->fleet = c->setup.fleet;
    c->fleet->heard = load_heard;
    c->fleet->heard_user = c;
    c->tiers[2] = c->fleet->tier;
    c->guard_rows = guard_rows(view->partitions);
    for (unsigned p = 0; p < view->partitions; p++)
        c->guards[p] = guard_create(view->of[p].applied, c->guard_rows);
    c->ahead = ahead_create();
    c->detached = detached_create();
}

struct policy_rule cache_default_rule(const struct cache_options *o)
{
    struct policy_rule rule = {.ttl = o->ttl,
                               .stale = o->stale,
                               .max_ttl = o->max_ttl,
                               .max_value = o->max_value,
                               .serve_detached = o->serve_detached,
                               .l1 = true,
                               .warm = true,
                               .l2 = true,
                               .write_through = true,
                               .store = true,
                               .dump = true,
                               .lease_scope = "host",
                               .pattern = "",
                               .namespace = "",
                               .description = "",
                               .tags = "",
                               .cascade = "",
                               .warming = ""};
    return rule;
}

static struct policies *only_defaults(const struct cache_options *o)
{
    struct policy_rule own = cache_default_rule(o);
    struct policy_fault fault;
    return policies_create(&own, NULL, 0, NULL, &fault);
}

struct cache *cache_create(const struct cache_setup *setup)
{
    CHECK(setup->kills && setup->now_ns && setup->options);
    struct cache *c = must_alloc(sizeof(*c));
    c->setup = *setup;
    c->tiers[0] = setup->l1;
    c->tiers[1] = setup->warm;
    c->position = setup->start_no << POSITION_START_SHIFT;
    c->policies = only_defaults(setup->options);
    c->by_policy = must_alloc(POLICY_NUMBERS * sizeof(*c->by_policy));
    c->took_by_policy = must_alloc(POLICY_NUMBERS * sizeof(*c->took_by_policy));
    c->tenants = tenants_create();
    if (setup->fleet)
        join_fleet(c);
    else
        c->guards[0] = guard_create(c->position, GUARD_ROWS);
    c->chronicle = chronicle_create(setup->notes);
    c->flights = flights_create();
    c->leases = leases_create(cache_now(c));
    c->loaders = loaders_create();
    c->runs = runs_create(setup->runs);
    c->failures = failures_create();
    c->refreshed = failures_create();
    c->id_state = setup->hash_secret ^ c->position;
    list_init(&c->at_gate.waiting);
    list_init(&c->for_all.waiting);
    list_init(&c->probes);
    list_init(&c->warmings);
    return c;
}

static void forget_times(struct cache *c, unsigned number)
{
    for (unsigned of = 0; of < TIMED_COUNT; of++) {
        free(c->took_by_policy[number][of]);
        c->took_by_policy[number][of] = NULL;
    }
}

struct cache *cache_destroy(struct cache *c)
{
    if (!c)
        return NULL;
    CHECK(cache_idle(c));
    c->chronicle = chronicle_destroy(c->chronicle);
    c->flights = flights_destroy(c->flights);
    c->loaders = loaders_destroy(c->loaders);
    c->runs = runs_destroy(c->runs);
    c->leases = leases_destroy(c->leases);
    c->failures = failures_destroy(c->failures);
    c->refreshed = failures_destroy(c->refreshed);
    for (unsigned p = 0; p < FLEET_PARTITIONS_MAX; p++)
        c->guards[p] = guard_destroy(c->guards[p]);
    c->ahead = ahead_destroy(c->ahead);
    c->detached = detached_destroy(c->detached);
    c->limits = limits_destroy(c->limits);
    c->policies = policies_destroy(c->policies);
    c->quotas = quotas_destroy(c->quotas);
    free(c->by_policy);
    for (unsigned n = 0; n < POLICY_NUMBERS; n++)
        forget_times(c, n);
    free(c->took_by_policy);
    tenants_destroy(c->tenants);
    free(c);
    return NULL;
}

bool cache_idle(const struct cache *c)
{
    return flights_empty(c->flights) && list_empty(&c->at_gate.waiting) && list_empty(&c->for_all.waiting) &&
           list_empty(&c->probes) && list_empty(&c->warmings) && loaders_idle(c->loaders) &&
           c->limits_open == 0 && c->committing == 0;
}

uint64_t cache_position(const struct cache *c)
{
    return c->fleet ? c->fleet->view->of[0].applied : c->position;
}

uint64_t cache_next_position(struct cache *c)
{
    CHECK((c->position + 1) >> POSITION_START_SHIFT == c->setup.start_no);
    return ++c->position;
}

uint64_t cache_random(struct cache *c)
{
    /* splitmix64 (Steele, Lea, Flood, 2014) */
    uint64_t z = c->id_state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

uint32_t cache_next_id(struct cache *c)
{
    return (uint32_t)(cache_random(c) & 0xffffff);
}

const char *cache_namespace(const struct cache *c)
{
    return c->setup.namespace;
}

uint64_t cache_value_max(const struct cache *c)
{
    return c->setup.options->max_value;
}

unsigned cache_mode(const struct cache *c)
{
    return c->fleet ? c->fleet->view->mode : WIRE_STANDALONE;
}

unsigned cache_partitions(const struct cache *c)
{
    return c->fleet ? c->fleet->view->partitions : 1;
}

void cache_measure(const struct cache *c, struct cache_figures *ret)
{
    *ret = c->figures;
    ret->leases = c->leases->count;
}

const struct chronicle *cache_chronicle(const struct cache *c)
{
    return c->chronicle;
}

void cache_last_invalidation(const struct cache *c, const struct cache_get *get, struct chronicle_found *ret)
{
    uint64_t hashes[SHM_TAGS_MAX];
    struct policy_tags tags;
    struct named_of of = {.key = get->key, .tags = hashes, .hash_secret = c->setup.hash_secret};
    of.tags_known = get->status == STATUS_HIT || get->status == STATUS_ABSENT || get->entry.tags_count > 0;
    if (of.tags_known) {
        of.tags = get->entry.tags;
        of.tags_count = get->entry.tags_count;
    } else if (policies_tags(c->policies, policies_match(c->policies, get->key), get->key, &tags)) {
        for (; of.tags_count < tags.count; of.tags_count++)
            hashes[of.tags_count] = shm_hash_name(c->setup.hash_secret, SHM_NAME_TAG, tags.of[of.tags_count]);
    }
    chronicle_find(c->chronicle, &of, ret);
}

/* ======= policies ======= */

/* A number that goes to another name begins anew. */
static bool changes_hands(const struct policies *from, const struct policies *to, unsigned number)
{
    const char *was = policies_number_name(from, number), *is = policies_number_name(to, number);
    return was && is && strcmp(was, is) != 0;
}

static void begin_anew(struct cache *c, unsigned number)
{
    c->by_policy[number] = (struct policy_figures){0};
    forget_times(c, number);
}

void cache_take_policies(struct cache *c, struct policies *taken)
{
    for (unsigned n = 1; n < POLICY_NUMBERS; n++)
        if (changes_hands(c->policies, taken, n))
            begin_anew(c, n);
    policies_destroy(c->policies);
    c->policies = taken;
    runs_plan(c);
}

const struct policies *cache_policies(const struct cache *c)
{
    return c->policies;
}

void cache_measure_policy(const struct cache *c, unsigned number, struct policy_figures *ret)
{
    CHECK(number < POLICY_NUMBERS);
    *ret = c->by_policy[number];
}

struct took *cache_policy_took(struct cache *c, unsigned number, enum timed of)
{
    CHECK(number < POLICY_NUMBERS);
    struct took **took = &c->took_by_policy[number][of];
    if (__builtin_expect(!*took, 0))
        *took = must_alloc(sizeof(**took));
    return *took;
}

void cache_measure_policy_took(const struct cache *c, unsigned number, enum timed of, struct took *ret)
{
    CHECK(number < POLICY_NUMBERS);
    const struct took *took = c->took_by_policy[number][of];
    *ret = took ? *took : (struct took){.sum_ns = 0};
}

struct tenants *cache_tenants(const struct cache *c)
{
    return c->tenants;
}

/* ======= what waits: for the gate, for all (C3) ======= */

/* One moment after the answer of the commit, every promise of freshness made before it has run out everywhere (F12): a
 * fence vouches FLEET_FRESH_NS from its sending; a thousandth for clocks that run at other speeds, two ticks for readers.  */
#define WAIT_ALL_NS (FLEET_FRESH_NS + FLEET_FRESH_NS / 1000 + 2 * 4 * NS_PER_MS)

/* In a turn that is long already: some 20 us, so that everything that waits goes on in every turn; and as many as have come
 * meanwhile, which had they found nobody would have been done then: so there are fewer each turn, however many come. */
enum { LET_GO_AT_LEAST = 8 };

static struct waiting *first_due(const struct cache *c, const struct waiting_line *line)
{
    struct list *node = list_first(&line->waiting);
    struct waiting *w = node ? CONTAINER_OF(node, struct waiting, node) : NULL;
    return w && cache_now(c) >= w->due_ns ? w : NULL;
}

static void wait_until(struct cache *c, struct waiting_line *line, struct waiting *w, uint64_t due_ns,
                       void (*then)(struct waiting *w))
{
    line->came += first_due(c, line) != NULL;
    w->due_ns = due_ns;
    w->then = then;
    list_append(&line->waiting, &w->node);
}

void cache_wait_for_gate(struct cache *c, struct waiting *w, void (*then)(struct waiting *w))
{
    c->figures.changes_gated++;
    wait_until(c, &c->at_gate, w, c->setup.gate_until_ns, then);
}

void cache_wait_for_all(struct cache *c, struct waiting *w, void (*then)(struct waiting *w))
{
    wait_until(c, &c->for_all, w, clock_after(cache_now(c), WAIT_ALL_NS), then);
}

static bool turn_is_long(const struct cache *c)
{
    return c->setup.turn_is_long && c->setup.turn_is_long(c->setup.clock);
}

/* True: there are more that could go. */
static bool let_go(struct cache *c, struct waiting_line *line)
{
    struct waiting *w;
    unsigned at_least = LET_GO_AT_LEAST + line->came;
    line->came = 0;
    for (unsigned n = 0; (w = first_due(c, line)); n++) {
        if (n >= at_least && turn_is_long(c))
            return true;
        list_remove(&w->node);
        w->then(w);
    }
    return false;
}

bool cache_let_go(struct cache *c)
{
    bool at_gate = let_go(c, &c->at_gate), for_all = let_go(c, &c->for_all);
    return at_gate || for_all;
}

bool cache_tick(struct cache *c)
{
    bool more = cache_let_go(c);
    probes_tick(c);
    warmings_tick(c);
    alarms_turn(c->leases->alarms, cache_now(c));
    loaders_tick(c);
    runs_tick(c);
    hot_tick(c);
    return more;
}

void cache_stop_runs(struct cache *c)
{
    runs_stop(c);
    hot_stop(c);
}

/* ======= safety ======= */

static void safety_reached(struct tier_barrier *barrier)
{
    struct cache_safety *safety = CONTAINER_OF(barrier, struct cache_safety, barrier);
    safety->reached = true;
    if (safety->waited_for)
        safety->then(safety);
}

int cache_make_safe(struct cache *c, struct cache_safety *safety, void (*then)(struct cache_safety *safety))
{
    *safety = (struct cache_safety){.barrier.done = safety_reached, .then = then};
    c->setup.warm->ops->barrier(c->setup.warm, &safety->barrier);
    safety->waited_for = !safety->reached;
    return safety->reached ? CACHE_DONE : CACHE_PENDING;
}

/* ======= kills ======= */

void cache_prune_kills(struct cache *c, uint64_t v)
{
    if (c->fleet)
        c->fleet->ops->forgot(c->fleet, 0, v); /* first: from now on Redis judges what is older */
    kills_prune(c->setup.kills, v);
    guard_raise(c->guards[0], v); /* a token that old cannot be judged any more */
}

/* ======= tokens ======= */

void token_write(uint8_t ret_token[TOKEN_BYTES], const struct token *t)
{
    ret_token[0] = (uint8_t)t->kind;
    memcpy(ret_token + 1, &t->epoch, sizeof(t->epoch));
    memcpy(ret_token + 9, &t->v, sizeof(t->v));
}

bool token_read(struct slice bytes, struct token *ret)
{
    const uint8_t *p = bytes.data;
    if (bytes.size != TOKEN_BYTES || p[0] < TOKEN_POSITION || p[0] > TOKEN_LEASE)
        return false;
    ret->kind = p[0];
    memcpy(&ret->epoch, p + 1, sizeof(ret->epoch));
    memcpy(&ret->v, p + 9, sizeof(ret->v));
    return true;
}

uint64_t cache_near_hits(const struct cache *c)
{
    uint64_t of[SHM_POLICIES] = {0}, sum = 0;
    if (c->setup.near_hits)
        c->setup.near_hits(c->setup.user, of);
    for (unsigned n = 0; n < SHM_POLICIES; n++)
        sum += of[n];
    return sum;
}
