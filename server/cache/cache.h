/* The decision: what a get finds, what a change does, in which order the tiers are asked and told.  One cache per
 * namespace.  Knows tiers only through base/tier.h, knows nothing of sockets.
 *
 * Calls come in two shapes.  They return CACHE_DONE with the answer in the struct, which is by far the most common
 * case, or CACHE_PENDING and call `done` exactly once later (never from inside the call).  The struct belongs to
 * the caller and stays where it is until the answer; so do the bytes its slices point to.
 *
 * Slices in an answer live until control returns to the loop, or until the next call on the same cache changes
 * something.  Whoever answers later than that (a batch with another key pending) copies first.
 *
 * Thread rule: loop thread only. */
#ifndef LARDER_CACHE_CACHE_H
#define LARDER_CACHE_CACHE_H

#include "base/alarms.h"
#include "base/fleet.h"
#include "base/gone.h"
#include "base/kills.h"
#include "base/knob.h"
#include "base/list.h"
#include "base/tier.h"
#include "cache/chronicle.h"
#include "cache/policies.h"
#include "cache/quota.h"
#include "cache/misses.h"
#include "base/turns.h"
#include "cache/tenants.h"
#include "proto/status.h"

struct cache;

#define CACHE_OPTIONS(OPTION)                                                                                \
    OPTION(SWITCH, cache, "on", 0, 1, LIVE, "CACHE_ENABLED", "off: every get misses, every set is SKIPPED")  \
    OPTION(DURATION, ttl, "1h", 1000000ull, 30ull * 86400 * 1000000000ull, LIVE,                             \
           "CACHE_DEFAULT_TTL:S,CACHE_L1_TTL_SECONDS:S", "life of an entry whose set names none")            \
    OPTION(DURATION, stale, "0s", 0, 30ull * 86400 * 1000000000ull, LIVE, "",                                \
           "how much longer it may be served stale when its set names none")                                 \
    OPTION(DURATION, max_ttl, "30d", 1000000ull, 30ull * 86400 * 1000000000ull, LIVE, "",                    \
           "ceiling over what callers ask, stale time included")                                             \
    OPTION(                                                                                                  \
        TEXT, key_shape, "", 0, 0, LIVE, "",                                                                 \
        "parts that every key must have, as tenant:resource:id; tenant:* needs a first and takes the rest")  \
    OPTION(SIZE, max_value, "1MiB", 1, 16ull << 20, START, "", "largest value")                              \
    OPTION(SWITCH, secret, "off", 0, 1, START, "",                                                           \
           "on: nobody is given its shared memory, all work by socket only")                                 \
    OPTION(SWITCH, serve_detached, "on", 0, 1, LIVE, "",                                                     \
           "while Redis is away: answer from what is here, flagged; off: every get misses")                  \
    OPTION(SWITCH, warming, "on", 0, 1, LIVE, "CACHE_WARMING_ENABLED",                                       \
           "off: nothing is warmed by itself, no policy's keys nor what is hot in the fleet")                \
    OPTION(                                                                                                  \
        COUNT, hot_list, "16384", 0, 1000000, LIVE, "",                                                      \
        "keys in the fleet's list of its hottest, from which a host that joins is warmed; 0: takes no part") \
    OPTION(DURATION, detached_max, "60s", 1000 * 1000000ull, 86400ull * 1000000000ull, START, "",            \
           "how long after the last contact with Redis, give or take a fifth by key")

struct cache_options {
    KNOB_FIELDS(CACHE_OPTIONS)
};

#define CACHE_FIGURES(FIGURE)                                                                            \
    FIGURE(COUNTER, gets, "keys asked for over the socket")                                              \
    FIGURE(COUNTER, hits_l1, "answered from L1 by the daemon")                                           \
    FIGURE(COUNTER, hits_warm, "answered from the warm tier")                                            \
    FIGURE(COUNTER, hits_l2, "answered from Redis")                                                      \
    FIGURE(COUNTER, hits_detached, "answered, flagged, while Redis was away")                            \
    FIGURE(COUNTER, compared, "entries not vouched for that Redis said are still the same")              \
    FIGURE(COUNTER, hits_stale, "answered with a stale entry")                                           \
    FIGURE(COUNTER, misses, "not found")                                                                 \
    MISS_FIGURES(FIGURE)                                                                                 \
    FIGURE(COUNTER, reads_joined, "gets that waited for a read of the same key already under way")       \
    FIGURE(COUNTER, promotions, "entries carried from a lower tier into L1")                             \
    FIGURE(COUNTER, fills_refused, "promotions and sets with a token refused: something newer happened") \
    FIGURE(COUNTER, sets, "entries stored")                                                              \
    FIGURE(COUNTER, sets_skipped, "sets that stored nothing by wish: ttl 0, switched off")               \
    FIGURE(COUNTER, sets_unmet, "conditional sets whose condition was not met")                          \
    FIGURE(COUNTER, touches, "entries given a longer life")                                              \
    FIGURE(GAUGE, leases, "keys somebody is loading")                                                    \
    FIGURE(COUNTER, loads, "leases given: somebody was made the one who loads")                          \
    FIGURE(COUNTER, loads_to_refresh, "of those: for a key that is there, stale or soon to be")          \
    FIGURE(COUNTER, loads_done, "fills with a lease that were stored")                                   \
    FIGURE(COUNTER, loads_unstored, "fills with a lease that were not: refused, too large, not wanted")  \
    FIGURE(COUNTER, loads_failed, "leases whose holder said that it could not")                          \
    FIGURE(COUNTER, loads_passed_on, "leases given back, or whose holder went away or took too long")    \
    FIGURE(COUNTER, loads_elsewhere, "times another host was loading the key")                           \
    FIGURE(COUNTER, load_waits, "callers who waited for the load of another")                            \
    FIGURE(COUNTER, load_waits_served, "of those: had its value")                                        \
    FIGURE(COUNTER, load_waits_over, "of those: whose patience ended first")                             \
    FIGURE(COUNTER, load_waits_ended, "waits that are over, however they ended")                         \
    FIGURE(COUNTER, load_wait_ns, "nanoseconds those took")                                              \
    FIGURE(COUNTER, load_rests, "callers told that the load failed a short while ago")                   \
    FIGURE(COUNTER, limits_asked, "rate limits asked")                                                   \
    FIGURE(COUNTER, limits_refused, "of those: refused")                                                 \
    FIGURE(COUNTER, hot_told, "keys told to the fleet as hot here")                                      \
    FIGURE(COUNTER, hot_warmed, "entries pulled up because they are hot in the fleet")                   \
    FIGURE(COUNTER, invalidations, "invalidate calls")                                                   \
    FIGURE(COUNTER, invalidated_keys, "entries dropped by key")                                          \
    FIGURE(COUNTER, invalidated_names, "tags, prefixes and globs killed")                                \
    FIGURE(COUNTER, globs_displaced, "globs that made room for others: what was older is given up")      \
    FIGURE(COUNTER, cascaded, "keys, tags and prefixes added to invalidations by cascade rules")         \
    FIGURE(COUNTER, changes_gated, "changes held back: a killed predecessor had promised, or behind such") \
    FIGURE(COUNTER, changes_unknown, "changes sent to Redis that it did not answer")                     \
    FIGURE(COUNTER, changes_queued, "changes kept for when Redis is back")                               \
    FIGURE(COUNTER, changes_local, "changes done on this host only")                                     \
    FIGURE(COUNTER, records, "changes of the fleet applied here")                                        \
    FIGURE(COUNTER, gaps, "times records of the fleet were lost and entries became suspect")

struct cache_figures {
    FIGURE_FIELDS(CACHE_FIGURES)
};

/* The same words as above, of the keys of one policy. */
#define POLICY_FIGURES(FIGURE)                                                                \
    FIGURE(COUNTER, gets, "keys asked for over the socket")                                   \
    FIGURE(COUNTER, hits_l1, "answered from L1 by the daemon")                                \
    FIGURE(COUNTER, hits_warm, "answered from the warm tier")                                 \
    FIGURE(COUNTER, hits_l2, "answered from Redis")                                           \
    FIGURE(COUNTER, hits_stale, "answered with a stale entry")                                \
    FIGURE(COUNTER, misses, "not found")                                                      \
    MISS_FIGURES(FIGURE)                                                                      \
    FIGURE(COUNTER, sets, "entries stored")                                                   \
    FIGURE(COUNTER, sets_skipped, "sets that stored nothing by wish: ttl 0, or its policy's") \
    FIGURE(COUNTER, sets_refused, "fills that came too late")

struct policy_figures {
    FIGURE_FIELDS(POLICY_FIGURES)
};

struct cache_setup {
    const struct cache_options *options;     /* read on each use: LIVE ones may change between turns */
    uint64_t (*now_ns)(const void *clock);   /* CLOCK_BOOTTIME, as of the current loop turn */
    bool (*turn_is_long)(const void *clock); /* what can wait is for the next one; NULL: none ever is */
    const void *clock;
    const char *namespace;
    struct kills *kills;
    struct gone *gone;   /* why keys are not here any more; NULL: nobody remembers */
    struct tier *l1;     /* NULL: none */
    struct tier *warm;   /* NULL: none */
    struct fleet *fleet; /* NULL: none, STANDALONE */
    uint64_t hash_secret;
    uint64_t epoch;    /* STANDALONE: of all positions */
    uint64_t start_no; /* STANDALONE: V = start_no << 40 | n */
    /* What runs of policies need (cache/runs.h); NULL: without. */
    void (*near_hits)(void *user, uint64_t ret_of[SHM_POLICIES]);     /* hits in shared memory, by policy */
    struct warming_feed *(*read_keys)(void *user, struct slice path); /* a file of keys, one a line */
    void *user;
    struct outbox *notes;   /* where the chronicle is kept; NULL: in memory only */
    struct outbox *runs;    /* where statistics of warmings are kept; the same */
    uint64_t gate_until_ns; /* no change is acknowledged before: a killed predecessor's promises to readers */
};

struct cache *cache_create(const struct cache_setup *setup);
struct cache *cache_destroy(struct cache *c); /* nothing may be pending; NULL ok, returns NULL */

/* No policy's warming begins any more, and the one under way ends. */
void cache_stop_runs(struct cache *c);

/* To be called every 10 to 50 ms.  True: cache_let_go is to be called in the next turn. */
bool cache_tick(struct cache *c);
/* Lets changes go that waited, for the gate or until everybody knows of them: in the order in which they came, and as far as the
 * turn goes.  True: to be called again in the next turn. */
bool cache_let_go(struct cache *c);
/* Nothing waits: no read under way, no change held back. */
bool cache_idle(const struct cache *c);
/* No tier holds an entry that a kill at a position up to v would still mask: the map may forget those. */
void cache_prune_kills(struct cache *c, uint64_t v);
/* The newest position given out, STANDALONE; with a fleet, what the journal of partition 0 was applied up to. */
uint64_t cache_position(const struct cache *c);

/* What the fleet tells (base/fleet.h); `user` is the cache. */
void cache_fleet_record(void *user, unsigned partition, const struct fleet_record *record);
void cache_fleet_gap(void *user, unsigned partition, uint64_t floor);
void cache_fleet_epoch(void *user, unsigned partition);
void cache_fleet_applied(void *user, unsigned partition);

enum { CACHE_DONE = 0, CACHE_PENDING = 1 };

struct version {
    uint64_t epoch, v;
    uint32_t id;
};

/* ---- get ----------------------------------------------------------------------------------------------- */

struct cache_get {
    /* the question */
    struct slice key;
    uint8_t tiers;   /* bits 1 << enum tier_name; 0: all */
    bool no_stale;   /* stale counts as a miss */
    bool no_promote; /* only looking: listings, explain, dump */
    bool warming; /* nobody waits for it: it is promoted where nothing has to make room, and is not counted */
    uint64_t only_tag;     /* of a warming get: promoted only with this tag (shm_hash_name); 0: in any case */
    bool beyond_host;      /* what this host has will not do: ask the fleet, if there is one */
    struct tenant *tenant; /* of a bound connection: counted for it as well; else NULL */
    bool tag_names;        /* its tags are wanted by name: who does not know them does not have it */
    bool if_version;       /* answer NOT_MODIFIED when the entry has this version */
    struct version version;
    uint32_t schema; /* not 0: an entry with another one is a miss */
    /* Nothing older than this change (C4).  Says nothing of keys of other partitions. */
    struct {
        bool given;
        unsigned partition;
        uint64_t epoch, v;
    } not_older;
    void (*done)(struct cache_get *get);
    /* the answer */
    enum status status; /* HIT ABSENT NOT_MODIFIED MISS, BAD_KEY BAD_SHAPE */
    enum miss_reason reason;
    enum tier_name tier;
    bool too_big_for_l1; /* it will never be found in shared memory */
    bool overtaken;      /* the key changed while the read was under way: true once, but not any more */
    bool detached;       /* nobody vouches for it: the fleet is away */
    bool due;            /* it is stale or soon to be, and there are registered loaders: cache_fetch_ahead */
    uint64_t now_ns;     /* what the decision took for now */
    struct entry
        entry; /* of HIT, ABSENT, NOT_MODIFIED; of MISS its tags, where what was invalidated is known still */
    uint8_t token[64]; /* of MISS */
    uint8_t token_bytes;
    /* cache/'s own */
    struct cache *cache;
    uint64_t key_hash;
    unsigned partition;
    uint8_t policy; /* its number when the get began */
    uint8_t step, next, compared;
    bool held;                       /* an entry is here that nobody vouches for, of version `known` */
    bool confirmed, confirmed_stale; /* the fleet said that `known` is the current one */
    struct version known;
    uint64_t at_v; /* of the fleet's answer */
    struct list waiting;
};
int cache_get(struct cache *c, struct cache_get *get);

/* A change waiting for the gate; or, done, until all hosts must know it.  cache/'s own. */
struct waiting {
    struct list node;
    uint64_t due_ns;
    void (*then)(struct waiting *waiting);
};

/* A change waiting until kill -9 could not undo it any more.  cache/'s own. */
struct cache_safety {
    struct tier_barrier barrier;
    bool reached, waited_for;
    void (*then)(struct cache_safety *safety);
};

/* ---- loads ----------------------------------------------------------------------------------------------- */

/* Who asks for leases and holds them: a connection.  The caller owns it, until nothing of it is asked any more. */
struct load_peer {
    uint32_t pid;
    bool gone;
    struct list holds, waits;
    unsigned holds_count;
};
void load_peer_init(struct load_peer *peer, uint32_t pid);

enum load_scope { LOAD_AS_POLICY, LOAD_ON_HOST, LOAD_IN_FLEET };

/* A get that says who loads what is not there: one caller, while the others wait for it. */
struct cache_load {
    struct cache_get
        get; /* the question: key, tiers, no_stale, not_older; and the answer of HIT and ABSENT */
    struct load_peer *peer;
    enum load_scope scope;
    uint64_t wait_ns;    /* how long to wait for another's load; 0: not at all */
    uint64_t hold_ns;    /* how long a lease given lasts */
    uint64_t refresh_ns; /* what has less fresh life is to be refreshed; 0: as the policy says */
    void (*done)(struct cache_load *load);
    /* the answer */
    enum status status; /* HIT ABSENT MISS LEASE WAIT LOAD_FAILED LIMIT, or an error of get */
    bool loaded;        /* the value is what a loader brought, and may not be stored */
    uint64_t rest_ns;   /* of LOAD_FAILED: how long nobody may try */
    uint8_t token[64];  /* of MISS and LEASE; of HIT and ABSENT when the caller is to refresh */
    uint8_t token_bytes;
    /* cache/'s own */
    struct cache *cache;
    struct lease *lease; /* that this call is about to have */
    uint8_t stage, rounds;
    bool late, waited;
    uint64_t patience_ns; /* when to stop waiting */
    uint64_t waits_since_ns;
    uint64_t late_ns, late_absent_ns; /* what the policy says of it */
    struct list waiting, of_peer;
    struct alarm alarm;
};
int cache_load(struct cache *c, struct cache_load *load);

/* The holder could not load; for backoff_ns nobody may try, 0: as long as the cache thinks right.  OK, or REFUSED: that is
 * no lease of the key. */
enum status cache_load_failed(struct cache *c, struct slice key, struct slice token, uint64_t backoff_ns);
/* The holder gives the lease back, or could not even be told of it: the next who waits has it. */
enum status cache_load_return(struct cache *c, struct slice key, struct slice token);
/* The connection ends: who waits for it is answered WAIT, its leases pass on, and it is given none any more. */
void cache_load_abandon(struct cache *c, struct load_peer *peer);

/* For explain. */
struct load_look {
    bool there;        /* somebody loads it */
    const char *state; /* "held", "filling", "asking", "elsewhere" */
    bool in_fleet, to_refresh;
    uint32_t holder_pid; /* 0: unknown, or on another host */
    uint64_t left_ns, waiting;
    uint64_t rest_ns; /* nobody may load it for so long */
};
void cache_load_look(const struct cache *c, struct slice key, struct load_look *ret);

/* ---- set and touch ------------------------------------------------------------------------------------- */

#define CACHE_TTL_DEFAULT UINT64_MAX

enum cache_condition { CACHE_ALWAYS, CACHE_IF_ABSENT, CACHE_IF_PRESENT, CACHE_IF_VERSION };

struct cache_set {
    struct slice key, value;
    uint64_t ttl_ms;   /* 0: drop and store nothing; CACHE_TTL_DEFAULT */
    uint64_t stale_ms; /* on top of ttl_ms; CACHE_TTL_DEFAULT together with that ttl_ms: the namespace's */
    uint32_t user_flags, schema;
    bool absent;
    const struct slice *tags;
    unsigned tags_count; /* before removing repeats; more than SHM_TAGS_MAX after it: LIMIT */
    struct slice token;  /* of a miss or of a lease; empty: an assertion to be newer than everything */
    enum cache_condition condition;
    struct version version;
    uint8_t tiers;         /* 0: all */
    struct tenant *tenant; /* as of a get */
    void (*done)(struct cache_set *set);
    bool wait_all; /* answer when no host of the fleet can serve anything older unflagged (C3) */
    enum status
        status; /* OK SKIPPED LOCAL EXISTS NOT_FOUND CONFLICT REFUSED BAD_KEY BAD_SHAPE TOO_BIG LIMIT BUSY UNKNOWN
                            DETACHED */
    struct version result;
    unsigned partition;
    uint64_t ttl_left_ms;
    struct cache *cache;
    const struct entry *like; /* stored anew (tag.c): with its life, and its tags beside the caller's; NULL */
    struct cache_get look;
    struct lease *lease; /* that the token is of, until those who wait for it were answered */
    unsigned attempts;
    bool in_fleet;
    uint8_t policy, names_count;
    uint64_t names[SHM_TAGS_MAX]; /* the tags of caller and policy, hashed */
    uint64_t began_ns;            /* lives count from here, not from the fleet's answer */
    struct cache_safety safety;
    struct waiting waiting;
    struct fleet_change change;
};
int cache_set(struct cache *c, struct cache_set *set);

struct cache_touch {
    struct slice key;
    uint64_t ttl_ms, stale_ms;
    void (*done)(struct cache_touch *touch);
    enum status status; /* OK NOT_FOUND BAD_KEY BAD_SHAPE BUSY UNKNOWN DETACHED */
    struct version result;
    unsigned partition;
    uint64_t ttl_left_ms;
    struct cache *cache;
    uint8_t policy; /* its number when the touch began; 0 when the key is none */
    struct cache_get look;
    struct fleet_change change;
};
int cache_touch(struct cache *c, struct cache_touch *touch);

/* Tags beside those an entry has: it is stored anew, at a position of its own, with its value and what is left of its life.
 * The version is another one then, and a lease of the key is over.  Nothing is done where it has them all. */
struct cache_tag {
    struct slice key;
    const struct slice *tags;
    unsigned tags_count;
    bool wait_all; /* as of a set */
    void (*done)(struct cache_tag *tag);
    enum status
        status; /* OK NOT_FOUND CONFLICT LIMIT BAD_KEY BAD_SHAPE TOO_BIG BUSY UNKNOWN DETACHED SKIPPED */
    struct version result;
    unsigned partition;
    uint64_t ttl_left_ms;
    /* cache/'s own */
    struct cache *cache;
    unsigned attempts;
    uint8_t policy; /* as of a touch */
    bool by_hash; /* no tier of this host knows its tags by name */
    struct tag_copy *copy;
    struct cache_safety safety;
    struct waiting all;
    union {
        struct cache_get look;
        struct tier_read read;
        struct cache_set set;
    };
};
int cache_tag(struct cache *c, struct cache_tag *tag);

/* ---- invalidate ---------------------------------------------------------------------------------------- */

/* One call may not push out more than a quarter of the globs that are kept (base/bans.h). */
enum { CACHE_GLOBS_MAX = BANS_MAX / 4 };

struct cache_invalidate {
    const struct slice *keys, *tags, *prefixes, *globs;
    unsigned keys_count, tags_count, prefixes_count, globs_count;
    bool all, soft, dry_run;
    bool wait_all;       /* as of a set */
    struct slice within; /* of a bound connection: its tenant; rules follow none of its words out of it */
    struct slice by,
        cause; /* for the chronicle: who the caller says it is, the event that named it; or empty */
    uint32_t pid;
    void (*done)(struct cache_invalidate *invalidate);
    enum status status;    /* OK, QUEUED, LOCAL; BAD_KEY BAD_SHAPE BAD_REQUEST (no prefix, no glob) LIMIT */
    const char *message;   /* static sentence with an error, else NULL */
    uint64_t count;        /* entries of named keys that were there; names count nothing: they are O(1) */
    struct version result; /* of the last change that committed; many keys or partitions make several */
    unsigned partition;
    struct cache *cache;
    struct cache_safety safety;
    struct waiting waiting;
    struct cascade *cascade; /* while what its rules add is named too */
    struct part *parts;      /* the changes the call consists of, in a fleet */
    unsigned parts_count, parts_open;
    bool unsafe;
};
int cache_invalidate(struct cache *c, struct cache_invalidate *invalidate);

/* ---- named events ---------------------------------------------------------------------------------------- */

/* The app says what happened, the configuration what dies of it. */
struct cache_event {
    struct slice name;
    const struct slice *arguments; /* name and value in turn; those it has no use for are passed over */
    unsigned arguments_count;      /* slices */
    /* the answer: for cache_invalidate */
    struct slice *keys, *tags, *prefixes;
    unsigned keys_count, tags_count, prefixes_count;
    const char *message; /* static sentence with an error, else NULL */
    struct slice wanted; /* of BAD_REQUEST: the name of the argument that is missing or wrong */
};
/* How many names it invalidates; 0: there is no such event. */
unsigned cache_event_names(const struct cache *c, struct slice name);
/* `room`: CACHE_EVENT_ROOM(names) bytes, kept as long as the answer.  OK, BAD_REQUEST, LIMIT. */
#define CACHE_EVENT_ROOM(names) ((names) * (3 * sizeof(struct slice) + 1024))
enum status cache_event_fill(const struct cache *c, struct cache_event *event, void *room);

/* ---- rate limits (cache/limit.h) ----------------------------------------------------------------------- */

#define CACHE_LIMIT_MAX       QUOTA_MAX
#define CACHE_LIMIT_WINDOW_MS (QUOTA_WINDOW_NS / 1000000) /* 30 days */
enum cache_limit_alone { CACHE_LIMIT_LOCAL, CACHE_LIMIT_OPEN, CACHE_LIMIT_CLOSED };

struct cache_limit {
    struct slice name; /* of a quota, whose figures count it; empty: none */
    struct slice key;
    uint64_t max, window_ms, cost;
    enum cache_limit_alone alone; /* while the fleet's store is away: count here, allow, refuse */
    void (*done)(struct cache_limit *limit);
    enum status status; /* OK, LIMITED; BAD_KEY, BAD_REQUEST */
    bool local;         /* only this host counted, though there is a fleet */
    uint64_t remaining, reset_ms, retry_ms;
    struct cache *cache;
    struct fleet_limit there;
};
int cache_limit(struct cache *c, struct cache_limit *limit);
/* Before it, of one with a name: key, max, window and alone.  `room`: WIRE_KEY_MAX bytes, kept as long as the limit.  False:
 * see call->message. */
bool cache_limit_by_name(struct cache *c, struct cache_limit *limit, struct quota_call *call, char *room);
/* In force from now on; `taken` is the cache's. */
void cache_take_quotas(struct cache *c, struct quotas *taken);
const struct quotas *cache_quotas(const struct cache *c); /* NULL: none yet */

/* Hits in shared memory since the daemon's start. */
uint64_t cache_near_hits(const struct cache *c);

/* ---- the way to the fleet and back ---------------------------------------------------------------------- */

enum cache_probe_end {
    PROBE_BACK,       /* its record came back through the journal */
    PROBE_STANDALONE, /* there is no fleet */
    PROBE_AWAY,       /* nothing was sent */
    PROBE_REFUSED,    /* the store said no; `why` */
    PROBE_UNKNOWN,    /* sent, and not answered */
    PROBE_SILENT,     /* committed, and no record of it came */
};

/* Invalidates a key that nobody has, and waits for its record; a few seconds at most.  For the doctor. */
struct cache_probe {
    void (*done)(struct cache_probe *probe);
    enum cache_probe_end end;
    const char *why;             /* static sentence or NULL */
    uint64_t commit_ns, back_ns; /* from the beginning: until it was committed, until its record was here */
    struct cache *cache;
    uint64_t began_ns;
    struct list node;
    struct fleet_change change;
    struct slice key;
    char name[32];
};
int cache_probe(struct cache *c, struct cache_probe *probe);

/* ---- looking in ---------------------------------------------------------------------------------------- */

/* Keys of all tiers, each once, in no order.  Cursor as in struct tier_ops, with the tier in its top byte. */
struct cache_listed {
    struct slice key;
    enum tier_name tier;
    uint64_t ttl_ms, value_bytes;
    bool no_dump; /* its policy keeps it out of dumps */
};
void cache_list(struct cache *c, uint64_t *cursor, uint32_t limit,
                bool (*each)(void *user, const struct cache_listed *listed), void *user);

/* The restart: an entry of the warm tier for L1.  False when L1 will take no more.  `user` is the cache. */
bool cache_take_restored(void *user, const struct entry *e);
/* Until what was hot before the stop is back, warmings pull nothing: theirs is colder, and would take its room. */
void cache_hold_warmings(struct cache *c, bool held);

void cache_measure(const struct cache *c, struct cache_figures *ret);

/* Another set of policies from the next call on; the cache owns it from now.  A cache has its options as its only
 * policy until it is given some. */
const struct chronicle *cache_chronicle(const struct cache *c);
/* The newest invalidation of the chronicle that concerned the key of a get that was answered: by its tags, where they are
 * known, else by those that its policy gives to it. */
void cache_last_invalidation(const struct cache *c, const struct cache_get *get, struct chronicle_found *ret);
void cache_take_policies(struct cache *c, struct policies *taken);
const struct policies *cache_policies(const struct cache *c); /* until the next are taken */
void cache_measure_policy(const struct cache *c, unsigned number, struct policy_figures *ret);
/* How long the keys of a policy took that were answered, counted by who answers; the number is that of struct cache_get, set,
 * touch and tag.  It goes on for as long as the policy's figures do: over a reload that keeps the name.  One is made at the
 * first key, so TIMED_COUNT * POLICY_NUMBERS of 2.5 KiB at most, 1.25 MiB a namespace. */
struct took *cache_policy_took(struct cache *c, unsigned number, enum timed of);
void cache_measure_policy_took(const struct cache *c, unsigned number, enum timed of, struct took *ret);
struct tenants *cache_tenants(const struct cache *c);
/* What the policies of a cache without policies would be. */
struct policy_rule cache_default_rule(const struct cache_options *options);
const char *cache_namespace(const struct cache *c);
uint64_t cache_value_max(const struct cache *c);
/* enum wire_mode; STANDALONE without a fleet. */
unsigned cache_mode(const struct cache *c);
/* Positions have partitions 0 to this - 1. */
unsigned cache_partitions(const struct cache *c);

#endif
