#include "bench/lag.h"

#include <stddef.h>
#include "client/larder.h"

/* The bars' own conditions, and as many rounds as make ten of a hundredth. */
enum { BAR_MUTATIONS = 5000, BAR_ROUNDS = 1000 };
enum { DETACHED_FREE = 10, DETACHED_SHARE = 20 };
static const double NEARLY = 0.98; /* of the rate: an open loop's end is never exact */

const struct lag_bar lag_bars[LAG_BARS] = {{"p50", 0.5, 1e6}, {"p99", 0.99, 10e6}};

void lag_note(struct lag_result *r, const struct lag_round *round)
{
    r->before_ok += round->seen_ns < round->ok_ns;
    hist_record(&r->from_call, round->seen_ns - round->sent_ns);
    hist_record(&r->from_ok, round->seen_ns > round->ok_ns ? round->seen_ns - round->ok_ns : 0);
    hist_record(&r->call, round->ok_ns - round->sent_ns);
}

/* Without its store a host promises other hosts nothing, and says so. */
enum lag_outcome lag_outcome_of(int result)
{
    switch (result) {
    case LARDER_OK: return LAG_COUNTS;
    case LARDER_QUEUED:
    case LARDER_LOCAL:
    case LARDER_E_UNKNOWN:
    case LARDER_E_DETACHED:
    case LARDER_E_TIMEOUT: return LAG_DETACHED;
    default: return LAG_FAILED;
    }
}

bool lag_too_detached(const struct lag_result *r)
{
    return r->detached > DETACHED_FREE + r->from_call.count / DETACHED_SHARE;
}

double lag_mutation_rate(const struct lag_mutations *m)
{
    return m->end_ns > m->begin_ns ? (double)m->done * 1e9 / (double)(m->end_ns - m->begin_ns) : 0;
}

uint64_t lag_due_ns(uint64_t n, double rate)
{
    return (uint64_t)((double)n * 1e9 / rate);
}

uint64_t lag_due(uint64_t elapsed_ns, double rate)
{
    return rate > 0 ? (uint64_t)((double)elapsed_ns * rate / 1e9) + 1 : 0;
}

const char *lag_no_claim(const struct lag_result *r)
{
    if (r->from_call.count < BAR_ROUNDS)
        return "fewer than 1,000 rounds";
    if (lag_mutation_rate(&r->mutations) < NEARLY * BAR_MUTATIONS)
        return "fewer than 5,000 other changes a second";
    if (r->detached > 0)
        return "a host was detached meanwhile";
    if (r->mutations.refused > 0 || r->mutations.why[0])
        return "other changes failed";
    return NULL;
}
