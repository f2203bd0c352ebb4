/* What the counts of curve.c say.
 *
 * Misses of a size are the uses that need more, over all uses there were: what the sample did not see was close together
 * (curve.h), and is in the second and not in the first. */
#include "l1/curve_private.h"

#include <math.h>

enum {
    SEEN_ENOUGH = 4096, /* uses of watched keys before anything is said */
    USES_ENOUGH = 10000,
    HALVINGS = 24, /* of some 40 octaves of sizes: to a millionth of one */
};

static double all_uses(const struct curve *c)
{
    double uses = c->counted.uses - c->counted.unknown;
    return uses > 1 ? uses : 1;
}

/* Uses that memory does not help. */
static double lost_of_part(const struct curve *c, int part)
{
    return c->counted.far[part] + c->counted.expired[part] + c->counted.invalidated[part];
}

/* Uses of a part that need more than so many bytes: a step is taken for a straight line. */
static double beyond(const struct curve *c, int part, double bytes)
{
    double within, sum = lost_of_part(c, part);
    unsigned step = curve_step(bytes, &within);
    for (unsigned i = step + 1; i < DISTANCES; i++)
        sum += c->counted.near[part][i];
    return sum + (1 - within) * c->counted.near[part][step];
}

static double at_most_1(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

struct curve_point curve_lru(const struct curve *c, double bytes)
{
    double of[PARTS], mean = 0, spread = 0;
    for (int p = 0; p < PARTS; p++) {
        of[p] = PARTS * beyond(c, p, bytes) / all_uses(c);
        mean += of[p] / PARTS;
    }
    for (int p = 0; p < PARTS; p++)
        spread += (of[p] - mean) * (of[p] - mean);
    return (struct curve_point){at_most_1(mean), 2 * sqrt(spread / (PARTS - 1) / PARTS)};
}

/* ---- other policies than LRU ---------------------------------------------------------------------------------------- */

static double misses_now(const struct curve *c)
{
    return at_most_1(c->counted.misses / all_uses(c));
}

/* The LRU cache that misses as often as the owner's does. */
static double equal_size(const struct curve *c)
{
    double low = 0, high = log2((double)c->capacity * CURVE_REACH);
    for (int n = 0; n < HALVINGS; n++) {
        double middle = (low + high) / 2;
        if (curve_lru(c, exp2(middle)).misses > misses_now(c))
            low = middle;
        else
            high = middle;
    }
    return exp2(high);
}

/* Two guesses: it goes on missing as many times what LRU misses as now, or it goes on being as good as LRU with as many
 * times its bytes.  On recorded traces (larder-bench simulate --curve) the first is nearer for more memory, and for less the truth
 * lies between the two.  How far they are apart is how little is known. */
struct curve_point curve_predict(const struct curve *c, double times)
{
    struct curve_point here = curve_lru(c, (double)c->capacity),
                       there = curve_lru(c, times * (double)c->capacity);
    struct curve_point equal = curve_lru(c, times * equal_size(c));
    double scale = here.misses > 0 ? misses_now(c) / here.misses : 1;
    double scaled = at_most_1(there.misses * scale), apart = fabs(scaled - equal.misses) / 2;
    double misses = times < 1 ? (scaled + equal.misses) / 2 : scaled;
    double sampled = there.error * scale;
    return (struct curve_point){misses, sampled > apart ? sampled : apart};
}

/* ---- in words ------------------------------------------------------------------------------------------------------- */

static double sum_of(const double of[PARTS])
{
    double sum = 0;
    for (int p = 0; p < PARTS; p++)
        sum += of[p];
    return sum;
}

void curve_summarize(const struct curve *c, struct curve_summary *ret)
{
    *ret = (struct curve_summary){
        .uses = c->counted.uses,
        .misses = c->counted.misses,
        .far = sum_of(c->counted.far),
        .expired = sum_of(c->counted.expired),
        .invalidated = sum_of(c->counted.invalidated),
        .seen = c->counted.seen,
        .uses_per_s = c->counted.seconds > 0 ? c->counted.uses / c->counted.seconds : 0,
        .keys = c->keys,
        .since_ns = c->since_ns,
        .enough = c->counted.seen >= SEEN_ENOUGH && all_uses(c) >= USES_ENOUGH,
    };
}

void curve_policies(const struct curve *c, struct curve_policy ret[CURVE_POLICIES])
{
    double all = c->order.bytes ? (double)c->order.bytes : 1;
    for (int p = 0; p < CURVE_POLICIES; p++)
        ret[p] = (struct curve_policy){.expired = c->counted.back[p][0].times,
                                       .expired_same = c->counted.back[p][0].same,
                                       .invalidated = c->counted.back[p][1].times,
                                       .invalidated_same = c->counted.back[p][1].same};
    for (uint32_t i = 0; i < c->keys_max; i++)
        if (c->all[i].state == KEY_LIVE)
            ret[c->all[i].policy].bytes_share += c->all[i].bytes / all;
}
