/* When to try again: full-jitter back-off and a circuit breaker.
 *
 * What must stay true: pure arithmetic, with the clock and the dice passed in; many hosts that lost the same Redis
 * at the same moment do not come back at the same moment; while it is away it is asked by one probe at a time. */
#ifndef LARDER_L2_BACKOFF_H
#define LARDER_L2_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>
#include "base/clock.h"

/* The cap decides how long after Redis is back the last host hears of it: FRESH within a second is promised. */
#define BACKOFF_BASE_NS (50 * NS_PER_MS)
#define BACKOFF_CAP_NS  (500 * NS_PER_MS)
/* A socket that refuses answers in microseconds; dice that fall on 0 must not turn that into a spin. */
#define BACKOFF_LEAST_NS NS_PER_MS

struct backoff {
    uint64_t base_ns, cap_ns;
    unsigned failures; /* in a row */
};

static inline struct backoff backoff_of(uint64_t base_ns, uint64_t cap_ns)
{
    return (struct backoff){.base_ns = base_ns, .cap_ns = cap_ns};
}

/* Counts a failure and says how long to wait: evenly spread over [least, min(cap, base · 2^failures before)]. */
uint64_t backoff_next(struct backoff *b, uint64_t random);
void backoff_reset(struct backoff *b);

/*  CLOSED ──`threshold` failures in a row──▶ OPEN ──pause over──▶ HALF_OPEN (one probe is out)
 *    ▲                                        ▲                      │      │
 *    │                                        └──────it failed───────┘      │
 *    └─────────────────────────────it succeeded─────────────────────────────┘ */
enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };
const char *breaker_state_text(enum breaker_state state);

struct breaker {
    enum breaker_state state;
    unsigned threshold, failures;
    uint64_t open_until_ns;
    struct backoff pause;
};

struct breaker breaker_of(unsigned threshold, struct backoff pause);

/* May something be tried now?  The yes that ends an OPEN is for the probe: whoever gets it must report how it went. */
bool breaker_allows(struct breaker *b, uint64_t now_ns);
void breaker_succeeded(struct breaker *b);
void breaker_failed(struct breaker *b, uint64_t now_ns, uint64_t random);
/* The probe was given up without an answer either way: the next question gets it. */
void breaker_abandoned(struct breaker *b, uint64_t now_ns);

#endif
