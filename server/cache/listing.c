/* Listings: registered loaders that name the keys of their patterns, as feeds of a warming.
 *
 *   ──a hand is free──▶ OUT ──names, and more──▶ OUT
 *        │ none          ▲ ├─the last──▶ over      its connection ended ──▶ as at first, three times
 *        ▼               │ └─too late, it could not──▶ the warming has failed
 *      QUEUED ──an offer─┘
 *
 * What must stay true: a listing is in `listings` of all loaders until its feed is over, and with nobody else. */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "cache/loaders_private.h"
#include "cache/warming.h"

#define PATIENCE_NS (30 * NS_PER_S) /* for a free hand */
#define STUCK_NS    NS_PER_S        /* nothing moves: by then whoever loads would have offered a hand again */

struct listing {
    struct warming_feed feed;
    struct cache *cache;
    struct list node;      /* of all, in the order in which they began */
    struct loader *loader; /* OUT; NULL: QUEUED, or not begun */
    bool begun;
    unsigned tries, policy;
    uint64_t number, random, hold_ns;
    uint64_t stuck_turn, stuck_ns; /* nothing was taken, and nobody was asked anything since */
    struct alarm alarm;
    uint8_t token[16];
    size_t pattern_bytes;
    char pattern[];
};

static struct listing *listing_at(struct list *node)
{
    return CONTAINER_OF(node, struct listing, node);
}

/* ======= who can ======= */

/* Which of the loader's patterns it is; -1: none whose keys it can name. */
static int place_of(const struct loader *l, struct slice pattern)
{
    for (unsigned i = 0; i < l->patterns_count; i++)
        if (l->lists & 1u << i && slice_equal(l->texts[i], pattern))
            return (int)i;
    return -1;
}

static struct slice pattern_of(const struct listing *g)
{
    return slice_of(g->pattern, g->pattern_bytes);
}

static struct loader *free_lister(const struct listing *g)
{
    uint64_t now_ns = cache_now(g->cache);
    LIST_FOR(node, &g->cache->loaders->all)
    {
        struct loader *l = CONTAINER_OF(node, struct loader, node);
        if (loader_is_free(l, now_ns) && place_of(l, pattern_of(g)) >= 0)
            return l;
    }
    return NULL;
}

static bool anybody_can(const struct listing *g)
{
    LIST_FOR(node, &g->cache->loaders->all)
    {
        const struct loader *l = CONTAINER_OF(node, struct loader, node);
        if (!l->shut && place_of(l, pattern_of(g)) >= 0)
            return true;
    }
    return false;
}

/* ======= a listing ======= */

static void fail(struct listing *g, const char *why)
{
    warming_fed(&g->feed, NULL, 0, true, why); /* `g` is gone */
}

static void send_out(struct listing *g, struct loader *l)
{
    struct cache_offer *offer = loader_take_hand(l);
    g->loader = l;
    g->number = ++g->cache->loaders->turns;
    g->random = cache_random(g->cache);
    g->hold_ns = offer->hold_ns;
    memcpy(g->token, &g->number, sizeof(g->number));
    memcpy(g->token + sizeof(g->number), &g->random, sizeof(g->random));
    l->turn = g->number;
    l->look.asked++;
    alarm_set(g->cache->leases->alarms, &g->alarm, clock_after(cache_now(g->cache), g->hold_ns));
    offer->kind = OFFER_LIST;
    offer->pattern = (unsigned)place_of(l, pattern_of(g));
    if (!offer_answer(offer, slice_of(NULL, 0), slice_of(g->token, sizeof(g->token))))
        g->loader = NULL; /* it does not read: the next hand, or the alarm */
}

static void start(struct listing *g)
{
    struct loader *l = free_lister(g);
    g->loader = NULL;
    if (l)
        send_out(g, l);
    else if (anybody_can(g))
        alarm_set(g->cache->leases->alarms, &g->alarm, clock_after(cache_now(g->cache), PATIENCE_NS));
    else
        fail(g, "no loader is registered that names its keys");
}

static void on_alarm(struct alarm *alarm)
{
    struct listing *g = CONTAINER_OF(alarm, struct listing, alarm);
    if (g->loader)
        loader_judge(g->loader, FETCH_LATE, STATUS_TIMEOUT);
    fail(g, g->loader ? "the loader that was to name its keys took too long"
                      : "no loader had a hand free to name its keys");
}

static void more(struct warming_feed *feed)
{
    struct listing *g = CONTAINER_OF(feed, struct listing, feed);
    if (g->begun)
        return; /* they come as they come */
    g->begun = true;
    start(g);
}

static void over(struct warming_feed *feed)
{
    struct listing *g = CONTAINER_OF(feed, struct listing, feed);
    list_remove(&g->node);
    alarm_off(&g->alarm);
    free(g);
}

static void begin(struct warming *w, unsigned policy, struct slice pattern)
{
    struct cache *c = warming_cache(w);
    struct listing *g = must_alloc(sizeof(*g) + pattern.size);
    g->cache = c;
    g->policy = policy;
    g->feed.more = more;
    g->feed.over = over;
    g->pattern_bytes = pattern.size;
    memcpy(g->pattern, pattern.data, pattern.size);
    alarm_init(&g->alarm, on_alarm);
    list_append(&c->loaders->listings, &g->node);
    warming_take_feed(w, &g->feed);
}

/* ======= of a policy ======= */

/* Calls each(…) for every pattern that some loader can list and that may have keys of the policy, each once. */
static unsigned each_pattern(const struct cache *c, const struct policy *p,
                             void (*each)(struct warming *w, unsigned policy, struct slice pattern),
                             struct warming *w)
{
    struct slice seen[LOADER_PATTERNS_MAX];
    unsigned count = 0;
    LIST_FOR(node, &c->loaders->all)
    {
        const struct loader *l = CONTAINER_OF(node, struct loader, node);
        for (unsigned i = 0; i < l->patterns_count && !l->shut && count < LOADER_PATTERNS_MAX; i++) {
            bool known = !(l->lists & 1u << i) || !policies_overlap(c->policies, p, &l->patterns[i]);
            for (unsigned k = 0; k < count && !known; k++)
                known = slice_equal(seen[k], l->texts[i]);
            if (known)
                continue;
            seen[count++] = l->texts[i];
            if (each)
                each(w, p->number, l->texts[i]);
        }
    }
    return count;
}

bool cache_lists_of(const struct cache *c, const struct policy *p)
{
    return each_pattern(c, p, NULL, NULL) > 0;
}

void listings_begin(struct warming *w, const struct policy *p)
{
    each_pattern(warming_cache(w), p, begin, w);
}

/* ======= what they name ======= */

static struct listing *find(const struct cache *c, struct slice token)
{
    LIST_FOR(node, &c->loaders->listings)
    {
        struct listing *g = listing_at(node);
        if (g->loader && slice_equal(slice_of(g->token, sizeof(g->token)), token))
            return g;
    }
    return NULL;
}

static bool is_wanted(const struct listing *g, struct slice key)
{
    return key.size && key.size <= WIRE_KEY_MAX && cache_policy(g->cache, key)->number == g->policy;
}

/* Keys of other policies are passed over, as if they had been taken. */
static uint32_t feed_some(struct listing *g, const struct slice *keys, uint32_t count)
{
    for (uint32_t n = 0; n < count; n++)
        if (is_wanted(g, keys[n]) && warming_keys(g->feed.warming, &keys[n], 1) == 0)
            return n;
    return count;
}

static bool nobody_loads(const struct loaders *all)
{
    LIST_FOR(node, &all->all)
    {
        if (CONTAINER_OF(node, struct loader, node)->hands)
            return false;
    }
    return all->queued && !all->out && !all->waiting;
}

/* There is no room as long as keys wait for a hand, and the only hands are those that name more. */
static bool is_stuck(struct listing *g, uint32_t taken, uint32_t count)
{
    const struct loaders *all = g->cache->loaders;
    uint64_t now_ns = cache_now(g->cache);
    uint64_t turn = taken || !count || !nobody_loads(all) ? 0 : all->turns;
    if (!turn || turn != g->stuck_turn) {
        g->stuck_turn = turn;
        g->stuck_ns = now_ns;
    }
    return now_ns - g->stuck_ns >= STUCK_NS;
}

enum status loader_listed(struct cache *c, struct slice token, const struct slice *keys, uint32_t count,
                          enum listed how, uint32_t *ret_taken)
{
    struct listing *g = find(c, token);
    *ret_taken = 0;
    if (!g)
        return STATUS_REFUSED;
    alarm_set(c->leases->alarms, &g->alarm, clock_after(cache_now(c), g->hold_ns));
    if (how == LISTED_FAILED) {
        loader_judge(g->loader, FETCH_FAILED, STATUS_LOAD_FAILED);
        fail(g, "the loader that was to name its keys could not");
        return STATUS_OK;
    }
    *ret_taken = feed_some(g, keys, count);
    bool last = how == LISTED_LAST && *ret_taken == count;
    if (last)
        loader_judge(g->loader, FETCH_LOADED, STATUS_OK);
    if (is_stuck(g, *ret_taken, count))
        fail(g, "its keys are more than there is room for, and nobody has a hand free to load them");
    else if (last || !warming_runs(g->feed.warming))
        warming_fed(&g->feed, NULL, 0, true, NULL);
    return STATUS_OK;
}

/* ======= loaders that come and go ======= */

void listings_serve(struct loader *l)
{
    LIST_FOR_SAFE(node, &l->cache->loaders->listings)
    {
        struct listing *g = listing_at(node);
        if (!g->begun || g->loader || place_of(l, pattern_of(g)) < 0)
            continue;
        if (!loader_is_free(l, cache_now(l->cache)))
            return;
        send_out(g, l);
    }
}

/* Those it was asked for begin anew with another; those that nobody else can are over.  An end may pump its warming, which
 * begins others: so from the start after each. */
static struct listing *to_mend(struct cache *c, const struct loader *gone)
{
    LIST_FOR(node, &c->loaders->listings)
    {
        struct listing *g = listing_at(node);
        if (g->begun && (g->loader == gone || (!g->loader && !anybody_can(g))))
            return g;
    }
    return NULL;
}

void listings_leave(struct loader *l)
{
    struct listing *g;
    while ((g = to_mend(l->cache, l))) {
        if (++g->tries < FETCH_TRIES)
            start(g);
        else
            fail(g, "loaders that were to name its keys went away");
    }
}
