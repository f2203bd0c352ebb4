/* What holds for a key: the options of the first policy whose pattern it matches, merged over those of its namespace.
 *
 * A set of policies is compiled once, from the configuration, and never changes: a reload compiles another one and the
 * cache exchanges them between two turns.  So whoever keeps something over a turn keeps the key or the policy's number,
 * never a `struct policy *`.
 *
 * NUMBERS.  A policy has a number, 1 to POLICY_NUMBERS - 1; 0 is the namespace itself ("default").  A number follows the
 * policy's name through all reloads of a daemon's life.  It stands in entries for one purpose: clients count their near
 * hits by the number in the shared item.  Nothing is decided by a stored number: options are looked up by matching the
 * key anew, so entries of an earlier configuration, an earlier daemon or another host need no care.
 *
 * Pure memory, no clock, no I/O.  Thread rule: loop thread only. */
#ifndef LARDER_CACHE_POLICIES_H
#define LARDER_CACHE_POLICIES_H

#include <stdbool.h>
#include <stdint.h>
#include "base/knob.h"
#include "cache/schedule.h"
#include "cache/sources.h"
#include "proto/shm.h"
#include "proto/slice.h"

#define POLICY_SECOND 1000000000ull
#define POLICY_MONTH  (30 * 86400 * POLICY_SECOND)

/* Of [policy NAME] alone, by the side of what a namespace calls the same and where it takes its default from. */
#define POLICY_OWN_OPTIONS(OPTION)                                                                           \
    OPTION(DURATION, ttl, "1h", 1000000ull, POLICY_MONTH, LIVE, "", "life of an entry whose set names none") \
    OPTION(DURATION, stale, "0s", 0, POLICY_MONTH, LIVE, "",                                                 \
           "how much longer it may be served stale when its set names none")                                 \
    OPTION(DURATION, max_ttl, "30d", 1000000ull, POLICY_MONTH, LIVE, "",                                     \
           "ceiling over what callers ask, stale time included")                                             \
    OPTION(SIZE, max_value, "1MiB", 1, 16ull << 20, LIVE, "", "largest value; never above the namespace's")  \
    OPTION(SWITCH, serve_detached, "on", 0, 1, LIVE, "",                                                     \
           "while Redis is away: answer from what is here, flagged; off: a miss")                            \
    OPTION(SWITCH, l1, "on", 0, 1, LIVE, "", "keep them in shared memory")                                   \
    OPTION(SWITCH, warm, "on", 0, 1, LIVE, "", "keep them on disk")

/* Of [policy NAME], and of [namespace NAME] as its default. */
#define POLICY_OPTIONS(OPTION)                                                                             \
    OPTION(DURATION, negative_ttl, "0s", 0, POLICY_MONTH, LIVE, "",                                        \
           "life of \"there is none\" when its set names none; 0: as ttl")                                 \
    OPTION(                                                                                                \
        RATIO, jitter, "0%", 0, 500, LIVE, "",                                                             \
        "lives are shortened by up to that share, so that what was stored together does not end together") \
    OPTION(DURATION, l1_ttl, "0s", 0, POLICY_MONTH, LIVE, "",                                              \
           "life in shared memory at most; 0: as the entry")                                               \
    OPTION(SWITCH, l2, "on", 0, 1, LIVE, "", "keep them in Redis; off: a value never leaves its host")     \
    OPTION(DURATION, l2_ttl, "0s", 0, POLICY_MONTH, LIVE, "CACHE_L2_TTL_SECONDS:S",                        \
           "life in Redis at most; 0: as the entry")                                                       \
    OPTION(SWITCH, write_through, "on", 0, 1, LIVE, "CACHE_WRITE_THROUGH",                                 \
           "off: a set stores nothing and drops what is there, for the next get to load")                  \
    OPTION(RATIO, refresh_at, "0%", 0, 990, LIVE, "",                                                      \
           "share of its life after which one reader is asked to load an entry anew; 0: none")             \
    OPTION(TEXT, lease_scope, "host", 0, 0, LIVE, "", "how far one loader a key goes: host or fleet")      \
    OPTION(RATIO, expect_hit_ratio, "0%", 0, 1000, LIVE, "",                                               \
           "hit ratio below which health has an issue; 0: none is expected")                               \
    OPTION(DURATION, warming_interval, "0s", 0, POLICY_MONTH, LIVE, "CACHE_WARMING_INTERVAL:MS",           \
           "of policies with `warming`: how often its keys are warmed; 0: never by itself")                \
    OPTION(RATIO, warming_jitter, "10%", 0, 500, LIVE, "",                                                 \
           "by up to that share of the interval sooner or later, so that hosts do not all begin at once")  \
    OPTION(SWITCH, warm_on_start, "off", 0, 1, LIVE, "CACHE_WARM_ON_START",                                \
           "of policies with `warming`: when the daemon has started, too")                                 \
    OPTION(COUNT, warming_at_a_time, "16", 1, 1024, LIVE, "",                                              \
           "keys that registered loaders are asked for at a time by one warming")                          \
    OPTION(COUNT, warming_batch, "1000", 1, 1000000, LIVE, "",                                             \
           "after so many keys a run looks again whether Redis and loaders are there, and ends if not")    \
    OPTION(DURATION, source_cost, "0s", 0, 3600 * POLICY_SECOND, LIVE, "",                                 \
           "what one load costs the source: statistics tell the time that hits saved it")                  \
    OPTION(COUNT, source_price, "0", 0, 1000000000, LIVE, "",                                              \
           "what a million loads cost, in your money: `larder report` tells what hits saved")

/* Of [policy NAME] alone, with no default in a namespace. */
#define POLICY_RULE_OPTIONS(OPTION)                                                                          \
    OPTION(                                                                                                  \
        TEXT, pattern, "", 0, 0, LIVE, "",                                                                   \
        "keys it is for: levels between ':', * for any, {name} for any and remembered; several with commas") \
    OPTION(TEXT, namespace, "", 0, 0, LIVE, "", "only in that namespace; empty: in all")                     \
    OPTION(TEXT, description, "", 0, 0, LIVE, "", "for people")                                              \
    OPTION(TEXT, tags, "", 0, 0, LIVE, "",                                                                   \
           "added to those of the caller: names with commas, {name} for what the pattern remembered")        \
    OPTION(                                                                                                  \
        TEXT, cascade, "", 0, 0, LIVE, "",                                                                   \
        "invalidating one of its keys invalidates these too: key NAME, tag NAME, prefix NAME:, with commas") \
    OPTION(TEXT, warming, "", 0, 0, LIVE, "",                                                                \
           "keys to be warmed: stored, hot, loader, file /PATH, key NAME or key NAME{1-100}, with commas")   \
    OPTION(COUNT, warming_order, "100", 0, 1000000, LIVE, "",                                                \
           "of policies whose warming is due at the same time the lowest goes first")                        \
    OPTION(SIZE, compress_min, "0", 0, 1ull << 30, LIVE, "",                                                 \
           "values of that size and more are compressed in Redis; 0: as [redis] says; 1GiB: none")           \
    OPTION(SWITCH, dump, "on", 0, 1, LIVE, "", "off: left out of dumps")                                     \
    OPTION(SWITCH, store, "on", 0, 1, LIVE, "", "off: never cached, a set answers SKIPPED")

#define POLICY_OF_NAMESPACE "default" /* what a namespace's own options are called */

/* Of [event NAME]. */
#define EVENT_OPTIONS(OPTION)                    \
    OPTION(TEXT, invalidate, "", 0, 0, LIVE, "", \
           "what it invalidates: key NAME, tag NAME, prefix NAME:, with commas, {name} for an argument")
struct event_rule {
    KNOB_FIELDS(EVENT_OPTIONS)
};

struct policy_defaults { /* of a namespace */
    KNOB_FIELDS(POLICY_OPTIONS)
};

/* A policy with the namespace's defaults where it says nothing: every option has its value. */
struct policy_rule {
    KNOB_FIELDS(POLICY_OWN_OPTIONS)
    KNOB_FIELDS(POLICY_OPTIONS)
    KNOB_FIELDS(POLICY_RULE_OPTIONS)
};

#define LEASE_SCOPE_WORDS "host fleet"
enum lease_scope { LEASE_SCOPE_HOST, LEASE_SCOPE_FLEET };

/* What holds for a key. */
struct policy {
    const char *name, *pattern, *description; /* "default" and no pattern: the namespace's own */
    uint8_t number;
    uint8_t tiers;                                          /* bits 1 << enum tier_name of those it may use */
    uint64_t ttl_ns, stale_ns, max_ttl_ns, negative_ttl_ns; /* negative_ttl: never 0, the ttl instead */
    uint64_t l1_ttl_ns, l2_ttl_ns;                          /* UINT64_MAX: as the entry */
    uint64_t max_value, compress_min;                       /* compress_min: 0, as [redis] says */
    uint32_t jitter, refresh_at, expect_hit_ratio;          /* thousandths */
    uint64_t source_cost_ns;
    uint64_t source_price; /* of a million loads */
    enum lease_scope lease_scope;
    struct schedule_plan schedule;
    uint32_t warming_at_a_time, warming_batch;
    bool warms; /* it has keys to be warmed */
    bool serve_detached, store, write_through, dump, has_tags;
};

enum {
    POLICIES_MAX = 128,        /* of a namespace: more is another design than a list with a first match */
    POLICY_PATTERNS_MAX = 256, /* of all of them together: the bits of a match */
    EVENTS_MAX = 256,
    POLICY_NUMBERS = 256,               /* what fits into an entry */
    POLICY_NEAR_MAX = SHM_POLICIES - 1, /* numbers from here on share one near-hit counter, this one */
};

struct policies;

struct policy_source {
    const char *name;
    struct policy_rule rule;
};

/* What is wrong with a source. */
struct policy_fault {
    unsigned source;    /* its index */
    const char *option; /* its name */
    char why[192];
};

/* `own`: the namespace's; `sources` in the order in which they are tried.  All is copied.  `previous`: the set in force,
 * whose numbers go on, or NULL.  NULL: see *ret_fault. */
struct policies *policies_create(const struct policy_rule *own, const struct policy_source *sources,
                                 unsigned count, const struct policies *previous,
                                 struct policy_fault *ret_fault);
/* Before it is in force: a named event.  False: see *ret_fault; at most EVENTS_MAX, each once. */
bool policies_add_event(struct policies *p, const char *name, const struct event_rule *rule,
                        struct policy_fault *ret_fault);
struct policies *policies_destroy(struct policies *p); /* NULL ok, returns NULL */

/* The key's policy: the namespace's own when no pattern matches.  Valid until the set is exchanged; see above.
 * Some 50 ns at 100 policies (tests/support/match_speed.c): one table look-up a level of the key leaves the patterns that
 * can match, as bits in their order; those are compared with the key, each in one pass. */
const struct policy *policies_match(const struct policies *p, struct slice key);
/* By number; the namespace's own for a number nobody has. */
const struct policy *policies_at(const struct policies *p, unsigned number);
/* Whose the number is or last was; NULL: nobody's yet. */
const char *policies_number_name(const struct policies *p, unsigned number);
/* In their order; 0 is the namespace's own. */
unsigned policies_count(const struct policies *p);
const struct policy *policies_nth(const struct policies *p, unsigned n);

/* Where the keys of its warming come from. */
unsigned policies_sources(const struct policies *p, const struct policy *policy,
                          const struct key_source **ret);
/* What all its keys begin with; may be empty.  The first pattern's, when there are several: of those the n-th. */
struct slice policies_prefix(const struct policies *p, const struct policy *policy, unsigned n);
unsigned policies_patterns(const struct policies *p, const struct policy *policy);

struct pattern;
/* Can a key of the policy match it?  Perhaps, where two wildcards meet. */
bool policies_overlap(const struct policies *p, const struct policy *policy, const struct pattern *pattern);

/* The tags a policy adds to an entry of a key that it matches. */
struct policy_tags {
    struct slice of[SHM_TAGS_MAX];
    unsigned count;
    char bytes[SHM_TAGS_MAX * 256];
};
/* False: one would be longer than a tag may be. */
bool policies_tags(const struct policies *p, const struct policy *policy, struct slice key,
                   struct policy_tags *ret);

#endif
