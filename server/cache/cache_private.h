/* What the files of this folder share.  Nobody else includes this. */
#ifndef LARDER_CACHE_CACHE_PRIVATE_H
#define LARDER_CACHE_CACHE_PRIVATE_H

#include "base/check.h"
#include "cache/ahead.h"
#include "cache/apply.h"
#include "cache/cache.h"
#include "cache/detached.h"
#include "cache/flight.h"
#include "cache/guard.h"
#include "cache/limit.h"
#include "cache/policy.h"
#include "cache/probe.h"
#include "cache/shape.h"
#include "proto/wire.h"

/* From fast to slow: where a get looks in turn.  The last is the fleet's: changes reach it by commit, not as a tier. */
enum { CACHE_TIERS = 3, CACHE_LOCAL_TIERS = 2 };

/* They go in the order in which they came. */
struct waiting_line {
    struct list waiting; /* struct waiting, oldest first */
    unsigned came;       /* since some of them went last, though others could go */
};

struct cache {
    struct cache_setup setup;
    struct tier *tiers[CACHE_TIERS]; /* L1, warm, L2; NULL where there is none */
    struct fleet *fleet;
    struct guard *guards[FLEET_PARTITIONS_MAX]; /* one a partition; STANDALONE has one partition */
    uint32_t guard_rows;
    struct flights *flights;
    struct leases *leases;
    struct loaders *loaders;
    struct runs *runs;
    struct {
        bool looked;
        struct warming *warming; /* from the fleet's hot list */
    } hot;
    struct failures *failures;
    struct failures *refreshed; /* keys not to be refreshed ahead yet, though their policy would */
    uint64_t kills_seen;        /* kills by name done here, gaps and new epochs too */
    struct ahead *ahead;        /* NULL without a fleet */
    struct detached *detached;
    struct chronicle *chronicle;
    uint64_t position; /* STANDALONE: newest V given out */
    uint64_t id_state;
    struct waiting_line at_gate, for_all;
    struct limits *limits; /* NULL until one is asked that the fleet does not count */
    unsigned limits_open;  /* that the fleet has not answered yet */
    struct list warmings;  /* struct warming */
    bool warmings_held;    /* something hotter is coming */
    struct list probes;    /* struct cache_probe: committed, and not heard of yet */
    unsigned committing;   /* changes the fleet has not answered yet */
    size_t tag_copies;     /* bytes of values that are being stored again, tag.c */
    struct cache_figures figures;
    struct policies *policies;
    struct quotas *quotas;                       /* NULL: none yet */
    struct policy_figures *by_policy;            /* POLICY_NUMBERS of them */
    struct took *(*took_by_policy)[TIMED_COUNT]; /* as many; NULL until one of its keys is answered */
    struct tenants *tenants;
};

static inline uint64_t cache_now(const struct cache *c)
{
    return c->setup.now_ns(c->setup.clock);
}

/* May a change be made now?  Behind those that wait it waits too: else it would be overtaken by an older one. */
static inline bool cache_gate_open(const struct cache *c)
{
    return cache_now(c) >= c->setup.gate_until_ns && list_empty(&c->at_gate.waiting);
}

static inline uint64_t cache_key_hash(const struct cache *c, struct slice key)
{
    return shm_hash_key(c->setup.hash_secret, key);
}

static inline bool cache_key_valid(struct slice key)
{
    return key.size >= 1 && key.size <= WIRE_KEY_MAX;
}

/* May there be an entry of that key?  OK, BAD_KEY, BAD_SHAPE. */
static inline enum status cache_judge_key(const struct cache *c, struct slice key)
{
    const char *shape = c->setup.options->key_shape;
    if (!cache_key_valid(key))
        return STATUS_BAD_KEY;
    return !shape || !*shape || shape_fits(shape, key) ? STATUS_OK : STATUS_BAD_SHAPE;
}

static inline const struct policy *cache_policy(const struct cache *c, struct slice key)
{
    return policies_match(c->policies, key);
}

/* May this call use that tier? */
static inline bool cache_may_use(uint8_t tiers, const struct tier *t)
{
    return t && (tiers == 0 || tiers & 1u << t->ops->name);
}

static inline unsigned cache_partition(const struct cache *c, struct slice key)
{
    return c->fleet ? shm_partition(key, c->fleet->view->partitions) : 0;
}

/* Positions of this partition belong to it. */
static inline uint64_t cache_epoch(const struct cache *c, unsigned partition)
{
    return c->fleet ? c->fleet->view->of[partition].epoch : c->setup.epoch;
}

/* A position no change has reached yet, which is above everything that is in the tiers. */
static inline uint64_t cache_above_all(const struct cache *c, unsigned partition)
{
    return c->fleet->view->of[partition].seen + 1;
}

/* A warming get wants this entry in the fast tiers. */
bool cache_warms(const struct cache_get *get, const struct entry *e);
/* L1 would have to evict for one more, or had to already: what comes unasked stays out. */
bool cache_l1_full(const struct cache *c);
/* The key will be asked for in a moment. */
void cache_expect(const struct cache *c, struct slice key);

/* STANDALONE: the position of the next change. */
uint64_t cache_next_position(struct cache *c);
uint32_t cache_next_id(struct cache *c);
uint64_t cache_random(struct cache *c);

/* The newest change may be undone by a kill -9 until this returns CACHE_DONE or, after CACHE_PENDING, calls `then`. */
int cache_make_safe(struct cache *c, struct cache_safety *safety, void (*then)(struct cache_safety *safety));

/* Calls `then` once the gate is open. */
void cache_wait_for_gate(struct cache *c, struct waiting *w, void (*then)(struct waiting *w));

/* Calls `then` once no host of the fleet can serve anything older unflagged. */
void cache_wait_for_all(struct cache *c, struct waiting *w, void (*then)(struct waiting *w));

/* The life its entry has when it begins at `from_ns`. */
struct life cache_set_life(const struct cache *c, const struct cache_set *set, uint64_t from_ns);

/* ---- tokens: what a miss hands out and the set after it brings back ---- */

enum token_kind { TOKEN_POSITION = 1, TOKEN_DETACHED = 2, TOKEN_LEASE = 3 };
enum { TOKEN_BYTES = 17 };
struct token {
    enum token_kind kind;
    uint64_t epoch,
        v; /* of TOKEN_DETACHED: which time of being detached, and how many changes it had seen (F14);
              of TOKEN_LEASE: a random number and the lease's own */
};
void token_write(uint8_t ret_token[TOKEN_BYTES], const struct token *t);
bool token_read(struct slice bytes, struct token *ret);
/* What a miss now would give: a position that the source will be read after. */
void token_now(struct cache *c, const struct cache_get *get, struct token *ret);
/* Would a fill that began with the token be let in?  By what is known here, and, without tags, of the key alone. */
bool token_admits(struct cache *c, const struct token *t, const struct entry *e, unsigned partition);

/* ---- loads ---- */

/* Its policy wants it loaded anew, though it may be fresh yet. */
bool load_is_late(const struct cache *c, const struct policy *p, const struct entry *e, uint64_t key_hash,
                  uint64_t now_ns);

/* A set brings a token of that kind: sets set->lease.  False: it is no lease of that key. */
bool load_take(struct cache *c, struct cache_set *set, const struct token *token);
/* The set is over, whatever became of it: those who waited are answered. */
void load_landed(struct cache *c, struct cache_set *set);
/* The lease of the key may have ended on another host; `user` is the cache. */
void load_heard(void *user, unsigned partition, struct slice key);

#endif
