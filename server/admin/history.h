/* What was counted, over the last while: for ratios of a window, and for the curves of the dashboard.
 *
 * What must stay true: memory is fixed from the start; a delta never goes below zero, whatever was counted anew.
 *
 * Pure, the clock is passed in. */
#ifndef LARDER_ADMIN_HISTORY_H
#define LARDER_ADMIN_HISTORY_H

#include "proto/pack.h"

enum {
    HISTORY_SAMPLES = 720, /* an hour at one in 5 s */
    HISTORY_POINTS = 240,  /* told to the dashboard at most: more is narrower than a line */
};

/* SAMPLE(name, sentence): counters since the start, gauges as of now; sums over all namespaces, or the worst of them. */
#define HISTORY_COUNTERS(SAMPLE)                          \
    SAMPLE(near, "hits that clients found by themselves") \
    SAMPLE(l1, "hits of the daemon in L1")                \
    SAMPLE(warm, "hits of the warm tier")                 \
    SAMPLE(l2, "hits in Redis")                           \
    SAMPLE(misses, "keys not found")                      \
    SAMPLE(sets, "entries stored")                        \
    SAMPLE(invalidations, "invalidate calls")             \
    SAMPLE(evictions, "entries evicted from L1")          \
    SAMPLE(errors, "requests that were not served")       \
    SAMPLE(gets_measured, "gets whose time was measured") \
    SAMPLE(gets_ns, "and what they took together")        \
    SAMPLE(refused, "clients refused for want of room")   \
    SAMPLE(log_dropped, "log lines nobody read")          \
    SAMPLE(off_cpu_ns, "long turns without a processor")
#define HISTORY_GAUGES(SAMPLE)                          \
    SAMPLE(l1_bytes, "bytes of live items in L1")       \
    SAMPLE(warm_bytes, "bytes of the warm tier in use") \
    SAMPLE(redis_bytes, "bytes Redis says it uses")     \
    SAMPLE(resident_bytes, "memory of the daemon")      \
    SAMPLE(clients, "clients connected")                \
    SAMPLE(lag_us, "how late the journal is")           \
    SAMPLE(state, "enum wire_mode, the worst")

struct history_sample {
    uint64_t at_ns, wall_s;
#define SAMPLE(name, sentence) uint64_t name;
    HISTORY_COUNTERS(SAMPLE)
    HISTORY_GAUGES(SAMPLE)
#undef SAMPLE
};

/* Of one namespace. */
struct history_space {
    uint64_t hits, misses, cold, expired, invalidated, missed_evicted, evicted, warm_evicted, puts_dropped;
};

struct history;

struct history *history_create(unsigned spaces);
struct history *history_destroy(struct history *h); /* NULL ok, returns NULL */
void history_add(struct history *h, const struct history_sample *sample, const struct history_space *spaces);

/* The newest sample that is `window_ns` old or older; before there is one: the oldest, or zeros for the start. */
void history_before(const struct history *h, uint64_t now_ns, uint64_t window_ns, struct history_sample *ret,
                    const struct history_space **ret_spaces);

/* {"t":[seconds since 1970],"near":[…],…}: counters as counted, the page makes rates of them.  <0: PACK_E_*. */
int history_append_json(const struct history *h, struct buffer *ret);

#endif
