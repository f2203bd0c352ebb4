/* Time, classes and thresholds: see eviction.h.
 *
 * What must stay true: the threshold is a quantile of the worth of all bytes, and which one is steered only by how much
 * cleaning frees; an estimate of a segment is never older than its last looks, and follows uses at once, so that a
 * segment is not chosen for what it no longer is. */
#include "l1/eviction_private.h"

#include <math.h>
#include "base/check.h"

enum {
    TIME_BITS = 20,
    TIME_STEPS =
        1 << 14,     /* of an item's time while the index turns over: 1/32 of the capacity at values 512 times
                           * larger than the smallest */
    FADE_AFTER = 20, /* capacities without use: frequency halves */
    LOOKS_FEW = 8,
    LOOKS_MANY = 32,
    MANY_ITEMS = 16384, /* where few looks an insertion are many between two walks */
    LOOKS_A_THRESHOLD = 64,
    LOOKS_A_FADE = 4096,
    PRESSED_FADES = 4,
    PRESSED_FACTOR = 4,
};
static const float UNIT_SHARE = 1.4f / 32; /* of the capacity, in requests */
static const float SMOOTHING = 0.4f;       /* of a new distance */
static const double CAPACITY_SMOOTHING = 1.0 / 64;
static const float LOOK_WEIGHT = 1.0f / 16;
/* Half of a cleaned segment should come free, so that an insertion copies about as much again: more copying gains
 * nothing in the traces. */
static const double FREED_WANTED = 0.5, STEERING = 0.3, GOES_MIN = 0.02, GOES_MAX = 0.6, GOES_FIRST = 0.1;

/* ---- beginning and end -------------------------------------------------------------------------------------------- */

static void sizes_fill(struct eviction *e)
{
    for (unsigned code = 0; code < 256; code++)
        e->byte_share[code] = 1 / ((float)(1ull << code / 8) * (1 + (float)(code % 8) / 8));
}

struct eviction *eviction_create(const struct eviction_setup *setup)
{
    struct eviction *e = must_alloc(sizeof(*e));
    while (setup->entries_max >> e->grain > TIME_STEPS)
        e->grain++;
    e->regards = must_alloc(sizeof(*e->regards) * setup->segments);
    e->threshold = 1e-30f;
    e->goes_share = GOES_FIRST;
    sizes_fill(e);
    learner_setup(e, setup->watched);
    gone_setup(e, setup->ghosts);
    eviction_capacity(e, setup->entries_max);
    while (e->learner.next == 0)
        learner_work(e);
    return e;
}

struct eviction *eviction_destroy(struct eviction *e)
{
    if (!e)
        return NULL;
    learner_teardown(e);
    gone_teardown(e);
    free(e->regards);
    free(e);
    return NULL;
}

/* ---- time and classes ------------------------------------------------------------------------------------------------ */

/* Octaves from a unit on where the next class of distances begins; about 1/6, 2/3, 2, 4, 8, 22 capacities. */
static void distances_fill(struct eviction *e)
{
    static const float octaves[DISTANCES - 1] = {2, 4, 5.58f, 6.58f, 7.58f, 9};
    for (unsigned d = 0; d < DISTANCES - 1; d++)
        e->distance_from[d] = (uint8_t)lrintf(OCTAVE * (octaves[d] + (float)learner_unit(e)));
}

void eviction_capacity(struct eviction *e, uint64_t entries)
{
    double told = entries ? (double)entries : 1;
    e->capacity = e->now ? e->capacity + CAPACITY_SMOOTHING * (told - e->capacity) : told;
    double wanted = log2(UNIT_SHARE * e->capacity);
    wanted = wanted < 0 ? 0 : wanted;
    if (e->now > 0 && fabs(wanted - e->unit) <= 0.75)
        return;
    int octaves = (int)lrint(wanted) - (int)e->unit;
    e->unit = (unsigned)lrint(wanted);
    learner_shift(e, octaves);
    distances_fill(e);
}

static unsigned frequency_class(unsigned frequency)
{
    static const uint8_t classes[FREQUENCY_MAX + 1] = {0, 0, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4};
    return classes[frequency];
}

unsigned eviction_class(const struct eviction *e, struct past past)
{
    if (past.frequency <= 1)
        return 0;
    unsigned d = 0;
    while (d < DISTANCES - 1 && past.distance >= e->distance_from[d])
        d++;
    return frequency_class(past.frequency) * DISTANCES + d;
}

/* Below a unit all distances are alike. */
static uint8_t distance_of(const struct eviction *e, uint64_t age)
{
    if (age >> e->unit == 0)
        return (uint8_t)(OCTAVE * e->unit);
    unsigned top = log2_floor(age), eighth = (unsigned)(top >= 3 ? age >> (top - 3) : age << (3 - top)) & 7;
    return (uint8_t)(OCTAVE * top + eighth);
}

struct past eviction_past_next(const struct eviction *e, struct past past, uint64_t age)
{
    uint8_t distance = distance_of(e, age);
    if (past.frequency > 1)
        distance = (uint8_t)(past.distance + (int)lrintf(SMOOTHING * (float)(distance - past.distance)));
    unsigned halvings = (unsigned)((double)age / (FADE_AFTER * e->capacity)), frequency = past.frequency;
    frequency = halvings > 4 ? 1 : (frequency >> halvings) + 1;
    return (struct past){(uint8_t)(frequency < FREQUENCY_MAX ? frequency : FREQUENCY_MAX), distance};
}

static uint32_t heat_now(const struct eviction *e, struct past past)
{
    return (uint32_t)(e->now >> e->grain) << 12 | (uint32_t)past.frequency << 8 | past.distance;
}

static struct past past_of(uint32_t heat)
{
    return (struct past){heat >> 8 & FREQUENCY_MAX, (uint8_t)heat};
}

static uint64_t age_of(const struct eviction *e, uint32_t heat)
{
    uint64_t steps = ((e->now >> e->grain) - (heat >> 12)) & ((1u << TIME_BITS) - 1);
    return steps << e->grain;
}

unsigned eviction_frequency(uint32_t heat)
{
    return past_of(heat).frequency;
}

uint8_t eviction_distance(uint32_t heat)
{
    return past_of(heat).distance;
}

/* ---- items -------------------------------------------------------------------------------------------------------------- */

uint8_t eviction_size(uint32_t bytes)
{
    unsigned top = log2_floor(bytes), eighth = (top >= 3 ? bytes >> (top - 3) : bytes << (3 - top)) & 7;
    return (uint8_t)(8 * top + eighth);
}

/* How far into its bucket an age is, 0 to 1: between two buckets worth is a straight line, so that of two items that
 * are otherwise alike the older one goes. */
static float part_of_bucket(unsigned unit, uint64_t age)
{
    unsigned top = log2_floor(age), bits = age >> unit == 0 ? unit : top < 2 ? 0 : top - 2;
    return (float)(age & ((1ull << bits) - 1)) / (float)(1ull << bits);
}

float eviction_worth(const struct eviction *e, struct eviction_item item)
{
    const float *worth = e->learner.worth[eviction_class(e, past_of(item.heat))];
    uint64_t age = age_of(e, item.heat);
    unsigned bucket = age_bucket(learner_unit(e), age), after = bucket + 1 < AGES ? bucket + 1 : bucket;
    float within = (worth[after] - worth[bucket]) * part_of_bucket(learner_unit(e), age);
    return (worth[bucket] + within) * e->byte_share[item.size];
}

static void request(struct eviction *e)
{
    e->now++;
    e->learner.recent_requests++;
}

bool eviction_watches(const struct eviction *e, uint16_t tag)
{
    return (uint16_t)(tag * 40503u) <
           e->learner.sample; /* spread: tags choose nothing else, but prints overlap */
}

void eviction_used_key(struct eviction *e, uint64_t key_hash)
{
    learner_see(e, key_hash);
}

uint32_t eviction_came(struct eviction *e, uint64_t key_hash)
{
    request(e);
    e->learner.recent_misses++;
    if (eviction_watches(e, (uint16_t)key_hash))
        learner_see(e, key_hash);
    struct past past = {1, 0};
    uint64_t age;
    if (gone_take(e, key_hash, &past, &age))
        past = eviction_past_next(e, past, age);
    return heat_now(e, past);
}

void eviction_went(struct eviction *e, uint64_t key_hash, uint32_t heat)
{
    gone_put(e, key_hash, past_of(heat), age_of(e, heat));
}

/* ---- segments ------------------------------------------------------------------------------------------------------------ */

/* 1 for what is worth nothing, a half at the threshold, 0 for what is worth everything: no two are alike, so that
 * the worst is found even where all are good. */
static float gain_of(const struct eviction *e, float worth)
{
    return e->threshold / (e->threshold + worth);
}

uint32_t eviction_used(struct eviction *e, struct eviction_item item, uint32_t segment, uint32_t live)
{
    request(e);
    struct regard *r = &e->regards[segment];
    float before = gain_of(e, eviction_worth(e, item));
    item.heat = heat_now(e, eviction_past_next(e, past_of(item.heat), age_of(e, item.heat)));
    r->gain += (gain_of(e, eviction_worth(e, item)) - before) / (float)(live ? live : 1);
    r->gain = r->gain < 0 ? 0 : r->gain;
    return item.heat;
}

void eviction_opened(struct eviction *e, uint32_t segment)
{
    e->regards[segment] = (struct regard){0, 0};
}

static void regard(struct eviction *e, uint32_t segment, float gain, float weight_min)
{
    struct regard *r = &e->regards[segment];
    float weight = 1 / ++r->looks;
    weight = weight < LOOK_WEIGHT ? LOOK_WEIGHT : weight;
    weight = weight < weight_min ? weight_min : weight;
    r->gain += weight * (gain - r->gain);
}

void eviction_appended(struct eviction *e, uint32_t segment, struct eviction_item item)
{
    regard(e, segment, gain_of(e, eviction_worth(e, item)), 0);
}

static unsigned bin_of(float worth)
{
    union {
        float number;
        uint32_t bits;
    } as = {worth};
    int bin = (int)(as.bits >> 20) - (127 - 40) * 8;
    return bin < 0 ? 0 : bin < WORTHS ? (unsigned)bin : WORTHS - 1;
}

static float bin_start(unsigned bin)
{
    union {
        uint32_t bits;
        float number;
    } as = {(bin + (127 - 40) * 8) << 20};
    return as.number;
}

static void threshold_renew(struct eviction *e)
{
    float below = 0, wanted = (float)e->goes_share * e->seen_sum;
    unsigned bin = 0;
    while (bin < WORTHS - 1 && below + e->seen[bin] < wanted)
        below += e->seen[bin++];
    float start = bin_start(bin), next = bin_start(bin + 1);
    e->threshold = e->seen[bin] > 0 ? start + (next - start) * (wanted - below) / e->seen[bin] : start;
}

static void seen_fade(struct eviction *e)
{
    e->seen_sum = 0;
    for (unsigned b = 0; b < WORTHS; b++)
        e->seen_sum += e->seen[b] /= 2;
}

unsigned eviction_looks(const struct eviction *e)
{
    return e->capacity < MANY_ITEMS ? LOOKS_MANY : LOOKS_FEW;
}

float eviction_look(struct eviction *e, struct eviction_item item, uint32_t segment, uint32_t live)
{
    float worth = eviction_worth(e, item), bytes = 1 / e->byte_share[item.size];
    e->seen[bin_of(worth)] += bytes;
    e->seen_sum += bytes;
    e->looks++;
    if (e->looks % LOOKS_A_THRESHOLD == 0)
        threshold_renew(e);
    if (e->looks % LOOKS_A_FADE == 0)
        seen_fade(e);
    regard(e, segment, gain_of(e, worth), 1 / (float)(live ? live : 1));
    return worth;
}

float eviction_gain(const struct eviction *e, uint32_t segment, float dead_share)
{
    return dead_share + (1 - dead_share) * e->regards[segment].gain;
}

bool eviction_keeps(const struct eviction *e, struct eviction_item item)
{
    return eviction_worth(e, item) >= e->threshold;
}

static void goes(struct eviction *e, double share)
{
    e->goes_share = share < GOES_MIN ? GOES_MIN : share > GOES_MAX ? GOES_MAX : share;
}

void eviction_cleaned(struct eviction *e, float freed_share)
{
    goes(e, e->goes_share * exp(STEERING * (FREED_WANTED - freed_share)));
    threshold_renew(e);
}

/* After a round that changed what everything is worth, the threshold is that of yesterday: what was seen before counts
 * little from now on, and until it is seen anew the threshold is guessed. */
void eviction_pressed(struct eviction *e)
{
    goes(e, 2 * e->goes_share);
    for (int n = 0; n < PRESSED_FADES; n++)
        seen_fade(e);
    e->threshold *= PRESSED_FACTOR;
}

void eviction_work(struct eviction *e)
{
    learner_work(e);
    if (e->learner.step == 1) /* a round begins with a look at how far the curves should reach */
        distances_fill(e);
}
