/* What must stay true: the bytes of all segments never exceed the capacity; a resident is in one segment, and that
 * segment's list says so; cleaning always frees something. */
#include "bench/model.h"

#include <stdlib.h>
#include <string.h>
#include "bench/keys.h"
#include "l1/curve.h"
#include "l1/eviction.h"

enum {
    NOWHERE = UINT32_MAX,
    PLACES = 256,
    CANDIDATES = 64,
    LOOK_AHEAD = 64,
    LOST_OF = 100,
    CAPACITY_EVERY = 64
};
enum pool { NEW, KEPT, POOLS };
enum state { FREE, OPEN, SEALED, WALKED };

struct resident {
    uint32_t key, bytes, segment, at;
    struct eviction_item item;
};

struct segment {
    uint32_t *keys; /* NOWHERE: dead */
    uint32_t count, room, live;
    uint64_t used, live_bytes;
    enum state state;
};

struct model {
    struct eviction *policy;
    struct rng rng;
    uint64_t capacity, used, seed;
    struct resident *residents;
    uint32_t *where, count; /* by key; residents lie densely */
    struct segment *segments;
    uint32_t segments_count, free, open[POOLS];
    uint64_t segment_bytes; /* 0: items leave one by one */
    uint32_t touched[PLACES], watched[PLACES], touch_delay;
    struct curve *curve;
    enum model_curve curve_by;
    uint64_t misses, requests, drained_at, gone_since_drain, came, copied;
};

struct model *model_create(const struct model_setup *s)
{
    struct model *m = calloc(1, sizeof(*m));
    m->capacity = s->capacity;
    m->seed = s->seed;
    m->rng.state = s->seed;
    m->residents = malloc(sizeof(*m->residents) * (s->keys + 1));
    m->where = malloc(sizeof(*m->where) * s->keys);
    memset(m->where, 0xff, sizeof(*m->where) * s->keys);
    if (s->segments) {
        m->segment_bytes = s->capacity / s->segments ? s->capacity / s->segments : 1;
        m->segments_count = m->free = (uint32_t)(s->capacity / m->segment_bytes);
        m->segments = calloc(m->segments_count, sizeof(*m->segments));
    }
    m->open[NEW] = m->open[KEPT] = NOWHERE;
    m->touch_delay = s->touch_delay;
    m->curve = s->curve;
    m->curve_by = s->curve_by;
    m->policy = eviction_create(&(struct eviction_setup){.entries_max = s->items_max,
                                                         .ghosts = s->ghosts,
                                                         .watched = (uint32_t)s->watched,
                                                         .segments = m->segments_count + 1});
    return m;
}

struct model *model_destroy(struct model *m)
{
    if (!m)
        return NULL;
    for (uint32_t i = 0; i < m->segments_count; i++)
        free(m->segments[i].keys);
    eviction_destroy(m->policy);
    free(m->segments);
    free(m->residents);
    free(m->where);
    free(m);
    return NULL;
}

double model_copies(const struct model *m)
{
    return m->came ? (double)m->copied / (double)m->came : 0;
}

uint64_t model_residents(const struct model *m)
{
    return m->count;
}

static uint64_t hash_of(const struct model *m, uint32_t key)
{
    return mix64(key ^ mix64(m->seed));
}

/* ---- residents --------------------------------------------------------------------------------------------- */

static struct segment *segment_of(const struct model *m, const struct resident *r)
{
    return &m->segments[r->segment];
}

static void leave_segment(struct model *m, const struct resident *r)
{
    if (!m->segment_bytes)
        return;
    struct segment *s = segment_of(m, r);
    s->keys[r->at] = NOWHERE;
    s->live--;
    s->live_bytes -= r->bytes;
}

static void forget(struct model *m, struct resident *r)
{
    leave_segment(m, r);
    m->used -= r->bytes;
    m->where[r->key] = NOWHERE;
    struct resident *last = &m->residents[--m->count];
    if (r == last)
        return;
    *r = *last;
    m->where[r->key] = (uint32_t)(r - m->residents);
}

static void evict(struct model *m, struct resident *r)
{
    eviction_went(m->policy, hash_of(m, r->key), r->item.heat);
    forget(m, r);
}

static struct resident *any(struct model *m)
{
    return &m->residents[rng_below(&m->rng, m->count)];
}

static bool too_big(const struct model *m, uint32_t bytes)
{
    return bytes > (m->segment_bytes ? m->segment_bytes : m->capacity);
}

/* ---- the curve ----------------------------------------------------------------------------------------------- */

static bool watches(const struct model *m, uint64_t hash)
{
    return m->curve && (uint16_t)hash < curve_below(m->curve);
}

static void tell_use(struct model *m, const struct resident *r, double weight)
{
    struct curve_item item = {.bytes = r->bytes, .end = UINT32_MAX};
    curve_found(m->curve, hash_of(m, r->key), &item, weight, 0);
}

static void tell_miss(struct model *m, uint32_t key, uint32_t bytes)
{
    uint64_t hash = hash_of(m, key);
    struct curve_item item = {.bytes = bytes, .end = UINT32_MAX};
    m->misses++;
    if (!watches(m, hash))
        return;
    curve_missed(m->curve, hash, 0);
    if (!too_big(m, bytes))
        curve_stored(m->curve, hash, &item, 0);
}

static void drain_watched(struct model *m)
{
    uint32_t taken = 0;
    for (uint32_t i = 0; i < PLACES; i++)
        taken += m->watched[i] != 0;
    double weight = curve_crowd(m->curve, taken, PLACES);
    for (uint32_t i = 0; i < PLACES; i++) {
        uint32_t key = m->watched[i];
        m->watched[i] = 0;
        if (key && m->where[key - 1] != NOWHERE)
            tell_use(m, &m->residents[m->where[key - 1]], weight);
    }
}

/* As long as nothing had to go: what could be held. */
static void tell_curve_capacity(struct model *m)
{
    bool full = m->used >= m->capacity / 8 * 7;
    curve_capacity(m->curve, full ? m->used : m->capacity);
}

void model_tell_curve(struct model *m)
{
    if (m->curve_by == MODEL_CURVE_WATCHED)
        drain_watched(m);
    tell_curve_capacity(m);
    curve_told(m->curve, m->requests, m->misses, 1);
}

/* ---- touches ------------------------------------------------------------------------------------------------- */

static void use(struct model *m, struct resident *r)
{
    uint64_t hash = hash_of(m, r->key);
    uint32_t live = m->segment_bytes ? segment_of(m, r)->live : 1;
    r->item.heat = eviction_used(m->policy, r->item, r->segment, live);
    if (eviction_watches(m->policy, (uint16_t)hash))
        eviction_used_key(m->policy, hash);
    eviction_work(m->policy);
}

static void drain(struct model *m)
{
    m->drained_at = m->requests;
    m->gone_since_drain = 0;
    for (uint32_t i = 0; i < PLACES; i++) {
        uint32_t key = m->touched[i];
        m->touched[i] = 0;
        if (key && m->where[key - 1] != NOWHERE)
            use(m, &m->residents[m->where[key - 1]]);
        if (key && m->where[key - 1] != NOWHERE && m->curve && m->curve_by == MODEL_CURVE_SHARED)
            tell_use(m, &m->residents[m->where[key - 1]], 1);
    }
    if (m->curve && m->curve_by == MODEL_CURVE_WATCHED)
        drain_watched(m);
}

static void note_for_curve(struct model *m, const struct resident *r)
{
    uint64_t hash = hash_of(m, r->key);
    if (!watches(m, hash))
        return;
    if (m->curve_by == MODEL_CURVE_EXACT)
        tell_use(m, r, 1);
    else if (m->curve_by == MODEL_CURVE_WATCHED)
        m->watched[hash >> 40 & (PLACES - 1)] = r->key + 1;
}

static void hit(struct model *m, struct resident *r)
{
    if (!m->touch_delay)
        use(m, r);
    else if (rng_below(&m->rng, LOST_OF) != 0)
        m->touched[hash_of(m, r->key) >> 40 & (PLACES - 1)] = r->key + 1;
    note_for_curve(m, r);
}

/* ---- segments -------------------------------------------------------------------------------------------------- */

static bool fits(const struct model *m, enum pool pool, uint32_t bytes)
{
    return m->open[pool] != NOWHERE && m->segments[m->open[pool]].used + bytes <= m->segment_bytes;
}

static void seal(struct model *m, enum pool pool)
{
    m->segments[m->open[pool]].state = SEALED;
    m->open[pool] = NOWHERE;
}

static void open_segment(struct model *m, enum pool pool)
{
    uint32_t i = 0;
    while (m->segments[i].state != FREE)
        i++;
    m->segments[i].state = OPEN;
    m->open[pool] = i;
    m->free--;
    eviction_opened(m->policy, i);
}

/* Survivors that find no segment go where there is room. */
static void append(struct model *m, struct resident *r, enum pool pool)
{
    if (!m->free && !fits(m, pool, r->bytes))
        pool = pool == NEW ? KEPT : NEW;
    if (m->open[pool] != NOWHERE && !fits(m, pool, r->bytes))
        seal(m, pool);
    if (m->open[pool] == NOWHERE)
        open_segment(m, pool);
    struct segment *s = &m->segments[m->open[pool]];
    if (s->count == s->room)
        s->keys = realloc(s->keys, sizeof(*s->keys) * (s->room = s->room ? 2 * s->room : 8));
    r->segment = m->open[pool];
    r->at = s->count;
    s->keys[s->count++] = r->key;
    s->used += r->bytes;
    s->live_bytes += r->bytes;
    s->live++;
    eviction_appended(m->policy, r->segment, r->item);
    if (s->used == m->segment_bytes)
        seal(m, pool);
}

static uint32_t choose(struct model *m)
{
    uint32_t best = NOWHERE;
    float most = -1;
    for (uint32_t i = 0; i < m->segments_count; i++) {
        const struct segment *s = &m->segments[i];
        if (s->state != SEALED)
            continue;
        float dead = (float)(m->segment_bytes - s->live_bytes) / (float)m->segment_bytes;
        float gain = eviction_gain(m->policy, i, dead);
        if (gain > most) {
            most = gain;
            best = i;
        }
    }
    return best;
}

/* The worst of the first goes in any case. */
static uint32_t worst_of_first(const struct model *m, const struct segment *s)
{
    uint32_t worst = NOWHERE;
    float least = 0;
    for (uint32_t i = 0; i < s->count && i < LOOK_AHEAD; i++) {
        if (s->keys[i] == NOWHERE)
            continue;
        float worth = eviction_worth(m->policy, m->residents[m->where[s->keys[i]]].item);
        if (worst == NOWHERE || worth < least) {
            least = worth;
            worst = s->keys[i];
        }
    }
    return worst;
}

static uint32_t to_clean(struct model *m)
{
    uint32_t best = choose(m);
    if (best != NOWHERE)
        return best;
    enum pool pool = m->open[NEW] != NOWHERE ? NEW : KEPT;
    best = m->open[pool];
    seal(m, pool);
    return best;
}

static void clean(struct model *m)
{
    drain(m);
    struct segment *s = &m->segments[to_clean(m)];
    s->state = WALKED;
    uint32_t worst = worst_of_first(m, s);
    uint64_t moved = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->keys[i] == NOWHERE)
            continue;
        struct resident *r = &m->residents[m->where[s->keys[i]]];
        if (r->key == worst || !eviction_keeps(m->policy, r->item)) {
            evict(m, r);
            continue;
        }
        leave_segment(m, r);
        append(m, r, KEPT);
        moved += r->bytes;
        m->copied++;
    }
    s->count = 0;
    s->used = s->live_bytes = 0;
    s->state = FREE;
    m->free++;
    if (m->segment_bytes > 1)
        eviction_cleaned(m->policy, 1 - (float)moved / (float)m->segment_bytes);
}

/* ---- room -------------------------------------------------------------------------------------------------------- */

static void look_around(struct model *m)
{
    unsigned looks = eviction_looks(m->policy);
    for (unsigned n = 0; n < looks && m->count; n++) {
        struct resident *r = any(m);
        eviction_look(m->policy, r->item, r->segment, segment_of(m, r)->live);
    }
}

static void room_in_segments(struct model *m, uint32_t bytes)
{
    uint32_t spare = m->segment_bytes > 1;
    look_around(m);
    while (!fits(m, NEW, bytes) && m->free < 1 + spare)
        clean(m);
}

/* Without segments: the worst of some leaves, until there is room. */
static void room_one_by_one(struct model *m, uint32_t bytes)
{
    while (m->used + bytes > m->capacity) {
        if (++m->gone_since_drain > m->count / 64)
            drain(m);
        struct resident *worst = any(m);
        for (int n = 1; n < CANDIDATES; n++) {
            struct resident *r = any(m);
            if (eviction_worth(m->policy, r->item) < eviction_worth(m->policy, worst->item))
                worst = r;
        }
        evict(m, worst);
    }
}

static void come_in(struct model *m, uint32_t key, uint32_t bytes, uint32_t heat)
{
    if (m->segment_bytes)
        room_in_segments(m, bytes);
    else
        room_one_by_one(m, bytes);
    struct resident *r = &m->residents[m->count];
    *r = (struct resident){.key = key, .bytes = bytes, .item = {heat, eviction_size(bytes)}};
    m->where[key] = m->count++;
    m->used += bytes;
    m->came++;
    if (m->segment_bytes)
        append(m, r, NEW);
}

/* How many items the whole capacity holds, going by what is there. */
static void tell_capacity(struct model *m)
{
    if (m->used)
        eviction_capacity(m->policy, (uint64_t)((double)m->count * (double)m->capacity / (double)m->used));
}

static void miss(struct model *m, uint32_t key, uint32_t bytes)
{
    uint32_t heat = eviction_came(m->policy, hash_of(m, key));
    eviction_work(m->policy);
    tell_capacity(m);
    if (!too_big(m, bytes))
        come_in(m, key, bytes, heat);
    tell_miss(m, key, bytes);
}

/* Another size: written anew, with the past it has. */
static void rewrite(struct model *m, struct resident *r, uint32_t bytes)
{
    use(m, r);
    uint32_t key = r->key, heat = r->item.heat;
    if (m->curve)
        tell_use(m, &(struct resident){.key = key, .bytes = bytes}, 1);
    forget(m, r);
    if (!too_big(m, bytes))
        come_in(m, key, bytes, heat);
}

bool model_request(struct model *m, uint32_t key, uint32_t bytes)
{
    m->requests++;
    if (m->curve && m->requests % CAPACITY_EVERY == 0)
        tell_curve_capacity(m);
    if (m->touch_delay && m->requests - m->drained_at >= m->touch_delay)
        drain(m);
    if (m->where[key] == NOWHERE) {
        miss(m, key, bytes);
        return false;
    }
    struct resident *r = &m->residents[m->where[key]];
    if (r->bytes == bytes)
        hit(m, r);
    else
        rewrite(m, r, bytes);
    return true;
}
