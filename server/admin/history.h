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

/* SAMPLE(name): COUNTERs since the start, GAUGEs as of now. */
#define HISTORY_COUNTERS(SAMPLE)                                                                \
    SAMPLE(near)                                                                                \
    SAMPLE(l1)                                                                                  \
    SAMPLE(warm) SAMPLE(l2) SAMPLE(misses) SAMPLE(sets) SAMPLE(invalidations) SAMPLE(evictions) \
        SAMPLE(errors) SAMPLE(gets_measured) SAMPLE(gets_ns) SAMPLE(refused) SAMPLE(log_dropped)
#define HISTORY_GAUGES(SAMPLE) \
    SAMPLE(l1_bytes)           \
    SAMPLE(warm_bytes) SAMPLE(redis_bytes) SAMPLE(resident_bytes) SAMPLE(clients) SAMPLE(lag_us) SAMPLE(state)

struct history_sample {
    uint64_t at_ns, wall_s;
#define SAMPLE(name) uint64_t name;
    HISTORY_COUNTERS(SAMPLE)
    HISTORY_GAUGES(SAMPLE)
#undef SAMPLE
};

/* Of one namespace. */
struct history_space {
    uint64_t hits, misses, expired, invalidated, evicted, warm_evicted, puts_dropped;
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
