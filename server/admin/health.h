/* Is all well?  Facts in, findings out: what is wrong, how much it weighs, what to do.
 *
 * What must stay true: a finding says its numbers, and goes when its facts do; nothing here remembers anything.
 *
 * score = 100 less the weights of all findings, no less than 0.  DEGRADED from a weight of HEALTH_DEGRADES on: something is
 * wrong now; below it is a hint.  FAILING: nothing can be kept at all.  Pure. */
#ifndef LARDER_ADMIN_HEALTH_H
#define LARDER_ADMIN_HEALTH_H

#include <stdbool.h>
#include "base/knob.h"

/* [health] */
#define HEALTH_OPTIONS(OPTION)                                                                             \
    OPTION(RATIO, min_hit_ratio, "80%", 0, 1000, LIVE, "", "below: an issue; 0%: never")                   \
    OPTION(RATIO, critical_hit_ratio, "50%", 0, 1000, LIVE, "", "below: a critical one")                   \
    OPTION(COUNT, hit_ratio_needs, "1000", 1, 1ull << 40, LIVE, "",                                        \
           "keys asked for within health_window before their hit ratio says anything")                     \
    OPTION(DURATION, max_latency, "100ms", 1000, 3600 * 1000000000ull, LIVE, "",                           \
           "mean time of a get in the daemon, over it: an issue")                                          \
    OPTION(DURATION, max_lag, "1s", 1000000ull, 3600 * 1000000000ull, LIVE, "",                            \
           "how late the news of other hosts may be")                                                      \
    OPTION(RATIO, max_memory, "80%", 1, 1000, LIVE, "",                                                    \
           "of what the daemon, its clients and Redis may use; over it: an issue")                         \
    OPTION(RATIO, max_turnover, "50%", 1, 1000000, LIVE, "",                                               \
           "of L1's entries evicted within health_window; over it: a hint that L1 is small")               \
    OPTION(DURATION, health_window, "5m", 1000000000ull, 3600 * 1000000000ull, START, "",                  \
           "what ratios and rates are taken over")                                                         \
    OPTION(COUNT, min_score, "70", 0, 100, LIVE, "", "below: an alert of its own")                         \
    OPTION(TEXT, alert_command, "", 0, 0, LIVE, "",                                                        \
           "run by sh when an issue comes and when it has gone; JSON on its input, LARDER_ALERT_* in its " \
           "environment; empty: none")                                                                     \
    OPTION(DURATION, alert_timeout, "10s", 100 * 1000000ull, 600 * 1000000000ull, LIVE, "",                \
           "how long the command may take")                                                                \
    OPTION(DURATION, alert_hold, "60s", 0, 86400 * 1000000000ull, LIVE, "",                                \
           "how long an issue must be gone before it counts as resolved")

struct health_options {
    KNOB_FIELDS(HEALTH_OPTIONS)
};

/* CONDITION(NAME, word) */
#define HEALTH_CONDITIONS(CONDITION)          \
    CONDITION(NO_L1, "no_l1")                 \
    CONDITION(L1_TROUBLE, "l1_trouble")       \
    CONDITION(NO_WARM, "no_warm")             \
    CONDITION(PAGE, "runtime_page")           \
    CONDITION(BAD_RECORDS, "bad_records")     \
    CONDITION(WARM_FULL, "warm_full")         \
    CONDITION(WARM_QUEUE, "warm_queue")       \
    CONDITION(REDIS_LOST, "redis_lost")       \
    CONDITION(REDIS_TROUBLE, "redis_trouble") \
    CONDITION(REDIS_MEMORY, "redis_memory")   \
    CONDITION(LAG, "lag")                     \
    CONDITION(HIT_RATIO, "hit_ratio")         \
    CONDITION(POLICY, "policy_hit_ratio")     \
    CONDITION(TURNOVER, "l1_turnover")        \
    CONDITION(LATENCY, "latency")             \
    CONDITION(MEMORY, "memory")               \
    CONDITION(CLIENT_MEMORY, "client_memory") \
    CONDITION(REFUSED, "clients_refused")     \
    CONDITION(LOG, "log_lines_dropped")       \
    CONDITION(OVERBOOKED, "cpu_overbooked")   \
    CONDITION(SCORE, "score")

enum health_condition {
#define CONDITION(NAME, word) HEALTH_##NAME,
    HEALTH_CONDITIONS(CONDITION)
#undef CONDITION
        HEALTH_CONDITIONS_COUNT
};
const char *health_condition_word(enum health_condition condition);

/* ---- facts: counts are those of the window, unless they say otherwise ------------------------------------ */

struct health_space {
    const char *name;
    bool wants_l1, has_l1, wants_warm, has_warm;
    const char *l1_trouble, *warm_trouble, *page_trouble, *tier_trouble; /* sentences or NULL */
    uint64_t bad_records;                                                /* since the start */
    uint64_t hits, misses, cold, expired, invalidated, missed_evicted;
    uint64_t evicted, l1_entries, l1_bytes; /* the last two: now */
    char l1_more[96];                       /* what half more L1 would do, in words; "": not known */
    uint64_t warm_evicted, puts_dropped;
    uint64_t warm_bytes_max;
};

struct health_redis {
    bool configured, linked;
    const char *trouble; /* or NULL */
    uint64_t away_ns, lag_ns, memory_used, memory_max;
};

struct health_facts {
    const struct health_space *spaces;
    unsigned spaces_count;
    struct health_redis redis;
    uint64_t window_ns; /* the part of it that has passed */
    uint64_t gets_measured, gets_ns;
    uint64_t memory_used, memory_max; /* of the process; max 0: unknown */
    uint64_t client_bytes, client_bytes_max;
    uint64_t refused, log_dropped;
    uint64_t off_cpu_ns; /* of turns of the loop: it had work and no processor */
};

/* ---- findings ------------------------------------------------------------------------------------------- */

enum { HEALTH_DEGRADES = 10, HEALTH_FINDINGS_MAX = 256, HEALTH_TEXT = 320 };
enum health_severity { HEALTH_HINT, HEALTH_WARNING, HEALTH_CRITICAL };
const char *health_severity_word(enum health_severity severity);

struct health_finding {
    enum health_condition condition;
    enum health_severity severity;
    int weight;
    char scope[64]; /* namespace, or namespace/policy; "": the daemon */
    char issue[HEALTH_TEXT];
    char recommendation[HEALTH_TEXT]; /* "": none */
};

struct health {
    int score;
    bool degraded, failing;
    unsigned count; /* what does not fit still weighs */
    struct health_finding findings[HEALTH_FINDINGS_MAX];
};

void health_begin(struct health *h);
void health_judge(struct health *h, const struct health_facts *facts, const struct health_options *options);
/* One more, from someone who knows policies. */
void health_add(struct health *h, enum health_condition condition, int weight, const char *scope,
                const char *recommendation, const char *issue, ...) __attribute__((format(printf, 6, 7)));
/* The last: is the score itself an issue? */
void health_end(struct health *h, const struct health_options *options);

#endif
