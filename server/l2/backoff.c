#include "l2/backoff.h"

#include "base/check.h"

/* base · 2^failures, never past the cap and never past 64 bits. */
static uint64_t ceiling_of(const struct backoff *b)
{
    uint64_t ceiling = b->base_ns;
    for (unsigned i = 0; i < b->failures && ceiling < b->cap_ns; i++)
        ceiling = ceiling > UINT64_MAX / 2 ? UINT64_MAX : 2 * ceiling;
    return ceiling < b->cap_ns ? ceiling : b->cap_ns;
}

/* random · range / 2^64: even to within 2^-64 · range, and no division. */
static uint64_t spread(uint64_t random, uint64_t range)
{
    return (uint64_t)((unsigned __int128)random * range >> 64);
}

uint64_t backoff_next(struct backoff *b, uint64_t random)
{
    uint64_t ceiling = ceiling_of(b);
    if (b->failures < UINT32_MAX)
        b->failures++;
    if (ceiling <= BACKOFF_LEAST_NS)
        return BACKOFF_LEAST_NS;
    return BACKOFF_LEAST_NS + spread(random, ceiling - BACKOFF_LEAST_NS + 1);
}

void backoff_reset(struct backoff *b)
{
    b->failures = 0;
}

/* ======= breaker ======= */

const char *breaker_state_text(enum breaker_state state)
{
    static const char *const texts[] = {
        [BREAKER_CLOSED] = "closed", [BREAKER_OPEN] = "open", [BREAKER_HALF_OPEN] = "half open"};
    return (unsigned)state < COUNT_OF(texts) ? texts[state] : "unknown";
}

struct breaker breaker_of(unsigned threshold, struct backoff pause)
{
    CHECK(threshold > 0);
    return (struct breaker){.threshold = threshold, .pause = pause};
}

bool breaker_allows(struct breaker *b, uint64_t now_ns)
{
    if (b->state == BREAKER_OPEN && now_ns >= b->open_until_ns) {
        b->state = BREAKER_HALF_OPEN;
        return true;
    }
    return b->state == BREAKER_CLOSED;
}

void breaker_succeeded(struct breaker *b)
{
    b->state = BREAKER_CLOSED;
    b->failures = 0;
    backoff_reset(&b->pause);
}

static void open_circuit(struct breaker *b, uint64_t now_ns, uint64_t random)
{
    b->state = BREAKER_OPEN;
    b->open_until_ns = clock_after(now_ns, backoff_next(&b->pause, random));
}

/* What fails while the circuit is open was begun before: it says nothing new. */
void breaker_failed(struct breaker *b, uint64_t now_ns, uint64_t random)
{
    if (b->state == BREAKER_OPEN)
        return;
    b->failures += b->failures < UINT32_MAX;
    if (b->state == BREAKER_HALF_OPEN || b->failures >= b->threshold)
        open_circuit(b, now_ns, random);
}

void breaker_abandoned(struct breaker *b, uint64_t now_ns)
{
    if (b->state != BREAKER_HALF_OPEN)
        return;
    b->state = BREAKER_OPEN;
    b->open_until_ns = now_ns;
}
