/* How likely a use is at each age, for each class of keys, and what an item is worth by that.
 *
 * A sample of keys is watched, resident or not: each use tells at which age it came (used), each key given up after long
 * waiting tells an age it was not used up to (lost), and those that wait now do so too (live).  From the three follows the
 * chance of a use in each bucket of age given that the bucket was reached (used / exposed), smoothed towards the same
 * distance's and the overall curve, then the worth.  A round of learning is cut into slices.
 *
 * What must stay true: what was seen fades by requests, not by rounds; a watched key is in one set and its place is the
 * oldest one's; only whole classes are replaced, so that `worth` is always of one piece per class. */
#include "l1/eviction_private.h"

#include <math.h>
#include "base/check.h"

enum {
    SETS_A_SLICE = 128,
    CLASSES_A_SLICE = 2,
    WATCH_HORIZON = 12, /* capacities that the watched keys should reach back */
    MEMORY = 10,        /* capacities, or times the watched keys, until what was seen counts 1/e */
    ROUND_MIN = 64, /* requests between rounds: a sixteenth of all at first, then the watched keys' number */
    STRETCH_MAX = 5,
    PATIENCE = 20, /* capacities without many uses until the newest are preferred */
};
static const float PRIOR_WEIGHT = 12, PRIOR_FIRST = 0.3f, PRIOR = 0.12f, OVERALL_WEIGHT = 4, FLOOR = 0.002f,
                   RARE = 0.25f;

void learner_setup(struct eviction *e, uint32_t watched)
{
    struct learner *l = &e->learner;
    l->sets = watched / WATCH_WAYS + 1;
    l->watched = must_alloc(sizeof(*l->watched) * WATCH_WAYS * l->sets);
    l->sample = 1u << 16;
}

void learner_teardown(struct eviction *e)
{
    free(e->learner.watched);
    e->learner.watched = NULL;
}

static uint32_t watched_count(const struct learner *l)
{
    return l->sets * WATCH_WAYS;
}

/* ---- watching ----------------------------------------------------------------------------------------------------- */

static uint32_t since(const struct eviction *e, const struct watched *w)
{
    return (uint32_t)e->now - w->last;
}

static float *at(const struct eviction *e, curves c, const struct watched *w)
{
    return &c[eviction_class(e, w->past)][age_bucket(learner_unit(e), since(e, w))];
}

/* The key's own place, or the one to give it: empty or the longest unused. */
static struct watched *place_of(const struct eviction *e, uint64_t key_hash, bool *ret_own)
{
    const struct learner *l = &e->learner;
    struct watched *set = l->watched + (size_t)WATCH_WAYS * ((key_hash >> 32) * l->sets >> 32), *oldest = set;
    *ret_own = false;
    for (int i = 0; i < WATCH_WAYS; i++) {
        struct watched *w = &set[i];
        if (w->past.frequency && w->print == (uint32_t)key_hash) {
            *ret_own = true;
            return w;
        }
        if (oldest->past.frequency && (!w->past.frequency || since(e, w) > since(e, oldest)))
            oldest = w;
    }
    return oldest;
}

void learner_see(struct eviction *e, uint64_t key_hash)
{
    bool own;
    struct watched *w = place_of(e, key_hash, &own);
    if (own) {
        *at(e, e->learner.used, w) += 1;
        w->past = eviction_past_next(e, w->past, since(e, w));
        w->last = (uint32_t)e->now;
        return;
    }
    if (w->past.frequency)
        *at(e, e->learner.lost, w) += 1;
    *w = (struct watched){(uint32_t)key_hash, (uint32_t)e->now, {1, 0}, 0};
}

/* ---- units --------------------------------------------------------------------------------------------------------- */

static void shift_curve(float curve[AGES], int buckets)
{
    float moved[AGES] = {0};
    for (int b = 0; b < AGES; b++) {
        int to = b == 0 && buckets < 0 ? 0 : b - buckets;
        moved[to < 0 ? 0 : to < AGES ? to : AGES - 1] += curve[b];
    }
    memcpy(curve, moved, sizeof(moved));
}

/* Four buckets an octave.  A round under way begins anew. */
void learner_shift(struct eviction *e, int octaves)
{
    for (unsigned c = 0; c < CLASSES && octaves; c++) {
        shift_curve(e->learner.used[c], 4 * octaves);
        shift_curve(e->learner.lost[c], 4 * octaves);
    }
    if (octaves && e->learner.step)
        e->learner.step = 1;
}

static void fade_misses(struct learner *l)
{
    l->requests = 0.8 * l->requests + l->recent_requests;
    l->misses = 0.8 * l->misses + l->recent_misses;
    l->recent_requests = l->recent_misses = 0;
}

/* Where few requests miss, items stay for many times the capacity, and the curves must reach as far. */
static void stretch(struct eviction *e)
{
    struct learner *l = &e->learner;
    if ((double)e->now < 10 * e->capacity)
        return;
    double wanted = log2((l->requests + 1) / (l->misses + 1)) - 1;
    wanted = wanted < 0 ? 0 : wanted > STRETCH_MAX ? STRETCH_MAX : wanted;
    if (fabs(wanted - l->stretch) <= 0.75)
        return;
    int octaves = (int)lrint(wanted) - (int)l->stretch;
    l->stretch = (unsigned)lrint(wanted);
    learner_shift(e, octaves);
}

/* ---- a round -------------------------------------------------------------------------------------------------------- */

static float width(const struct eviction *e, unsigned bucket)
{
    float unit = (float)(1ull << learner_unit(e));
    return bucket == 0 ? unit : unit * (float)(1u << (bucket - 1) / 4) / 4;
}

static void begin(struct eviction *e)
{
    struct learner *l = &e->learner;
    fade_misses(l);
    stretch(e);
    double share = watched_count(l) / (WATCH_HORIZON * e->capacity), keys = watched_count(l),
           reach = e->capacity * (double)(1u << l->stretch);
    l->sample = share >= 1 ? 1u << 16 : (uint32_t)(share * 65536) + 1;
    l->memory = MEMORY * (reach > keys ? reach : keys);
    memset(l->live, 0, sizeof(l->live));
}

static void count_live(struct eviction *e, uint32_t slice)
{
    struct learner *l = &e->learner;
    uint32_t from = slice * SETS_A_SLICE * WATCH_WAYS, to = from + SETS_A_SLICE * WATCH_WAYS;
    for (uint32_t i = from; i < to && i < watched_count(l); i++)
        if (l->watched[i].past.frequency)
            *at(e, l->live, &l->watched[i]) += 1;
}

/* How many keys of a class reached each bucket of age; those that left within one count half there. */
static void expose(struct eviction *e, unsigned class, const float fading[AGES])
{
    struct learner *l = &e->learner;
    float reached = 0;
    for (unsigned b = AGES; b-- > 0;) {
        float left = l->lost[class][b] + l->live[class][b];
        reached *= fading[b];
        l->exposed[class][b] = reached + l->used[class][b] + left / 2;
        reached += l->used[class][b] + left;
    }
}

/* Chances below the floor count as it: where hardly any key has come back for long, nothing tells items apart, and then
 * the newest shall stay, as people expect.  Not before: the first round of a loop looks the same. */
static void set_floor(struct eviction *e)
{
    struct learner *l = &e->learner;
    float used = 0, all = 0;
    for (unsigned c = 0; c < CLASSES; c++) {
        for (unsigned b = 0; b < AGES; b++) {
            used += l->used[c][b];
            all += l->used[c][b] + l->lost[c][b] + l->live[c][b];
        }
    }
    bool long_enough = (double)e->now > PATIENCE * e->capacity;
    l->floor = long_enough && used < RARE * all ? FLOOR * (1 - used / (RARE * all)) : 0;
}

/* Beyond the ages that were ever seen, chances go on as they were: optimism there would keep what is oldest. */
static void smooth_overall(struct learner *l)
{
    for (unsigned b = 0; b < AGES; b++) {
        float used = 0, exposed = 0;
        for (unsigned c = 0; c < CLASSES; c++) {
            used += l->used[c][b];
            exposed += l->exposed[c][b];
        }
        float prior = b == 0                                     ? PRIOR_FIRST
                      : exposed < 1 && l->overall[b - 1] < PRIOR ? l->overall[b - 1]
                                                                 : PRIOR;
        l->overall[b] = (used + OVERALL_WEIGHT * prior) / (exposed + OVERALL_WEIGHT);
    }
}

/* Classes of one distance together; a key used once has none. */
static void smooth_by_distance(struct learner *l, unsigned distance)
{
    for (unsigned b = 0; b < AGES; b++) {
        float used = 0, exposed = 0;
        for (unsigned c = distance ? distance : DISTANCES; c < CLASSES; c += DISTANCES) {
            used += l->used[c][b];
            exposed += l->exposed[c][b];
        }
        l->by_distance[distance][b] = (used + PRIOR_WEIGHT * l->overall[b]) / (exposed + PRIOR_WEIGHT);
    }
}

static void smooth(struct eviction *e)
{
    float fading[AGES];
    for (unsigned b = 0; b < AGES; b++)
        fading[b] = expf(-width(e, b) / (float)e->learner.memory);
    for (unsigned c = 0; c < CLASSES; c++)
        expose(e, c, fading);
    set_floor(e);
    smooth_overall(&e->learner);
    for (unsigned d = 0; d < DISTANCES; d++)
        smooth_by_distance(&e->learner, d);
}

/* The best rate of uses per request of slot time, over all horizons, for an item that has come to bucket `from`. */
static float best_rate(const struct eviction *e, const float chance[AGES], const float widths[AGES],
                       unsigned from)
{
    float waiting = 1, used = 0, time = 0, best = 0;
    for (unsigned b = from; b < AGES && waiting > 1e-4f; b++) {
        float here = waiting * chance[b];
        used += here;
        time += (waiting - here / 2) * (b == from ? widths[b] / 2 : widths[b]);
        waiting -= here;
        if (used > best * time)
            best = used / time;
    }
    return best;
}

static void learn_class(struct eviction *e, unsigned class)
{
    struct learner *l = &e->learner;
    const float *parent = class ? l->by_distance[class % DISTANCES] : l->overall;
    float chance[AGES], widths[AGES], kept = expf(-(float)((double)(e->now - l->last) / l->memory));
    for (unsigned b = 0; b < AGES; b++) {
        widths[b] = width(e, b);
        chance[b] = (l->used[class][b] + PRIOR_WEIGHT * parent[b]) / (l->exposed[class][b] + PRIOR_WEIGHT);
        chance[b] = chance[b] < l->floor ? l->floor : chance[b];
    }
    for (unsigned b = 0; b < AGES; b++) {
        l->worth[class][b] = best_rate(e, chance, widths, b) * (float)e->capacity;
        l->used[class][b] *= kept;
        l->lost[class][b] *= kept;
    }
}

static void end(struct eviction *e)
{
    struct learner *l = &e->learner;
    uint64_t pause = e->now / 16;
    pause = pause < ROUND_MIN ? ROUND_MIN : pause > watched_count(l) ? watched_count(l) : pause;
    l->last = e->now;
    l->next = e->now + pause;
    l->step = 0;
}

/* The steps of a round: begin, count what waits, smooth, then the classes. */
void learner_work(struct eviction *e)
{
    struct learner *l = &e->learner;
    if (l->step == 0 && e->now < l->next)
        return;
    uint32_t counting = (l->sets + SETS_A_SLICE - 1) / SETS_A_SLICE, step = l->step++;
    if (step == 0) {
        begin(e);
        return;
    }
    if (step <= counting) {
        count_live(e, step - 1);
        return;
    }
    if (step == counting + 1) {
        smooth(e);
        return;
    }
    unsigned class = (step - counting - 2) * CLASSES_A_SLICE;
    for (unsigned n = 0; n < CLASSES_A_SLICE && class < CLASSES; n++, class ++)
        learn_class(e, class);
    if (class >= CLASSES)
        end(e);
}
