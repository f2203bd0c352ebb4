#include "cache/warming.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "cache/cache_private.h"
#include "cache/loaders.h"
#include "cache/seen.h"
#include "cache/window.h"

enum {
    STARTS_A_TURN = 1024, /* gets that are answered at once, before others have their turn */
    PAGES_A_TURN = 8,     /* of what is held here, however few of them the prefix lets through */
    PAGE_BYTES = 1 << 19, /* of keys at most that a page brings: 512 of the longest */
    PAGE_WHEN_BELOW = 1024,
};
#define ELSEWHERE_NS (30 * NS_PER_S) /* to wait for what another host loads, which has its own time-out */

/* A key in the queue. */
struct queued {
    struct list node;
    uint64_t only_tag;
    size_t size;
    char key[];
};

/* A get under way. */
struct pull {
    struct cache_get get;
    struct warming *warming;
    uint64_t began_ns;
    struct queued *queued;
};

/* What a loader was asked for when it found nothing. */
struct want {
    struct cache_fetch fetch;
    struct warming *warming;
    struct queued *queued;
};

struct warming {
    struct cache *cache;
    struct list node; /* of the cache */
    struct list queue, feeds;
    size_t queue_bytes;
    unsigned queue_count, feeds_taken;
    struct seen early;                    /* what FEED_HOT took */
    unsigned pulls, fetches, feeds_asked; /* under way: while there are any it stays in memory */
    unsigned fetches_max;                 /* 0: loaders are not asked */
    uint64_t refresh_ns;
    unsigned refresh_of; /* that policy's keys alone; 0: of all */
    struct window window;
    uint64_t began_ns;
    struct {
        uint64_t ns; /* which turn */
        unsigned starts, pages;
    } turn;
    bool own, closed, let_go, pumping;
    struct warming_figures figures;
};

static void pump(struct warming *w);

/* ======= the end ======= */

static bool is_running(const struct warming *w)
{
    return w->figures.state == WARMING_RUNS;
}

static void forget_queue(struct warming *w)
{
    LIST_FOR_SAFE(node, &w->queue)
    {
        list_remove(node);
        free(CONTAINER_OF(node, struct queued, node));
    }
    w->queue_count = 0;
    w->queue_bytes = 0;
}

static void forget_feed(struct warming_feed *feed)
{
    list_remove(&feed->node);
    feed->over(feed);
}

static void forget_feeds(struct warming *w)
{
    LIST_FOR_SAFE(node, &w->feeds)
    {
        struct warming_feed *feed = CONTAINER_OF(node, struct warming_feed, node);
        if (!feed->asked)
            forget_feed(feed);
    }
}

static bool is_busy(const struct warming *w)
{
    return w->pulls || w->fetches || w->feeds_asked;
}

static void free_when_over(struct warming *w)
{
    if (!w->let_go || is_busy(w) || w->pumping)
        return;
    list_remove(&w->node);
    seen_finish(&w->early);
    free(w);
}

static void over(struct warming *w, enum warming_state state, const char *why)
{
    if (!is_running(w))
        return;
    w->figures.state = state;
    w->figures.why = why;
    w->figures.elapsed_ns = cache_now(w->cache) - w->began_ns;
    forget_queue(w);
    forget_feeds(w);
}

static bool nothing_left(const struct warming *w)
{
    return w->closed && list_empty(&w->queue) && list_empty(&w->feeds) && !is_busy(w);
}

/* ======= the queue ======= */

static bool has_room(const struct warming *w, size_t bytes)
{
    return w->queue_count < WARMING_KEYS_MAX && w->queue_bytes + bytes <= WARMING_BYTES_MAX;
}

static void enqueue(struct warming *w, struct slice key, uint64_t only_tag)
{
    struct queued *q = must_alloc(sizeof(*q) + key.size);
    q->only_tag = only_tag;
    q->size = key.size;
    memcpy(q->key, key.data, key.size);
    list_append(&w->queue, &q->node);
    w->queue_count++;
    w->queue_bytes += key.size;
    w->figures.total++;
}

static struct queued *dequeue(struct warming *w)
{
    struct queued *q = CONTAINER_OF(list_first(&w->queue), struct queued, node);
    list_remove(&q->node);
    w->queue_count--;
    w->queue_bytes -= q->size;
    return q;
}

uint32_t warming_keys(struct warming *w, const struct slice *keys, uint32_t count)
{
    uint32_t taken = 0;
    while (taken < count && is_running(w) && has_room(w, keys[taken].size)) {
        if (cache_judge_key(w->cache, keys[taken]) == STATUS_OK)
            enqueue(w, keys[taken], 0);
        taken++;
    }
    return taken;
}

/* ======= gets ======= */

static bool is_found(const struct cache_get *get)
{
    return get->status == STATUS_HIT || get->status == STATUS_ABSENT;
}

static void count(struct warming *w, const struct cache_get *get)
{
    bool found = is_found(get);
    bool wanted = !found || cache_warms(get, &get->entry);
    w->figures.done++;
    w->figures.missing += !found;
    w->figures.others += !wanted;
    w->figures.here += found && wanted && get->tier == TIER_L1;
    w->figures.loaded += found && wanted && get->tier != TIER_L1;
}

/* ======= loaders ======= */

/* Of the key: lives of another policy's are not those it was reckoned from. */
static uint64_t refresh_ns_of(const struct warming *w, struct slice key)
{
    return !w->refresh_of || cache_policy(w->cache, key)->number == w->refresh_of ? w->refresh_ns : 0;
}

static bool is_due(const struct warming *w, const struct cache_get *get)
{
    const struct entry *e = &get->entry;
    uint64_t left_ns = e->soft_ns > get->now_ns ? e->soft_ns - get->now_ns : 0;
    return e->stale || left_ns < refresh_ns_of(w, get->key);
}

static bool is_to_load(const struct warming *w, const struct cache_get *get)
{
    if (!w->fetches_max || !is_running(w) || status_is_error(get->status) || get->reason == MISS_DISABLED)
        return false;
    bool wanted = !is_found(get) || (cache_warms(get, &get->entry) && is_due(w, get));
    return wanted && cache_can_fetch(w->cache, get->key);
}

static void fetch_counted(struct want *want)
{
    struct warming *w = want->warming;
    enum fetch_end end = want->fetch.end;
    w->fetches--;
    if (end == FETCH_THERE) {
        count(w, &want->fetch.load.get);
    } else {
        w->figures.done++;
        w->figures.loaded += end == FETCH_LOADED;
        w->figures.brought += end == FETCH_LOADED;
        w->figures.failed += end != FETCH_LOADED;
    }
    free(want->queued);
    free(want);
}

static void fetched(struct cache_fetch *fetch)
{
    struct want *want = CONTAINER_OF(fetch, struct want, fetch);
    struct warming *w = want->warming;
    fetch_counted(want);
    pump(w);
}

static void load(struct warming *w, struct queued *queued)
{
    struct want *want = must_alloc(sizeof(*want));
    struct slice key = slice_of(queued->key, queued->size);
    want->warming = w;
    want->queued = queued;
    want->fetch = (struct cache_fetch){
        .key = key, .refresh_ns = refresh_ns_of(w, key), .wait_ns = ELSEWHERE_NS, .done = fetched};
    w->fetches++;
    if (cache_fetch(w->cache, &want->fetch) == CACHE_DONE)
        fetch_counted(want);
}

void warming_refresh(struct warming *w, uint64_t refresh_ns, unsigned policy)
{
    w->refresh_ns = refresh_ns;
    w->refresh_of = policy;
}

void warming_load(struct warming *w, unsigned at_a_time)
{
    w->fetches_max = at_a_time ? at_a_time : WARMING_LOADS;
}

/* ======= gets under way ======= */

static void pull_over(struct pull *p)
{
    struct warming *w = p->warming;
    w->pulls--;
    if (is_to_load(w, &p->get)) {
        load(w, p->queued);
    } else {
        count(w, &p->get);
        free(p->queued);
    }
    free(p);
}

static void pulled(struct cache_get *get)
{
    struct pull *p = CONTAINER_OF(get, struct pull, get);
    struct warming *w = p->warming;
    window_learns(&w->window, cache_now(w->cache) - p->began_ns, w->pulls);
    pull_over(p);
    pump(w);
}

/* While an answer is dealt with, what the next get looks at comes from memory. */
static void expect_next(const struct warming *w)
{
    const struct list *first = list_first(&w->queue);
    const struct queued *q = CONTAINER_OF(first, const struct queued, node);
    if (first)
        cache_expect(w->cache, slice_of(q->key, q->size));
}

static void pull_next(struct warming *w)
{
    struct pull *p = must_alloc(sizeof(*p));
    p->queued = dequeue(w);
    expect_next(w);
    p->warming = w;
    p->began_ns = cache_now(w->cache);
    p->get = (struct cache_get){.key = slice_of(p->queued->key, p->queued->size),
                                .warming = true,
                                .only_tag = p->queued->only_tag,
                                .done = pulled};
    w->pulls++;
    if (cache_get(w->cache, &p->get) == CACHE_DONE)
        pull_over(p);
}

/* ======= feeds ======= */

/* Behind those of its time, before those of a later one. */
static void place(struct warming *w, struct warming_feed *feed)
{
    struct list *at = w->feeds.next;
    while (at != &w->feeds && CONTAINER_OF(at, struct warming_feed, node)->when <= feed->when)
        at = at->next;
    list_append(at, &feed->node);
}

void warming_take_feed(struct warming *w, struct warming_feed *feed)
{
    feed->warming = w;
    feed->asked = false;
    feed->number = ++w->feeds_taken;
    place(w, feed);
}

void warming_put_off(struct warming_feed *feed, enum feed_time when)
{
    list_remove(&feed->node);
    feed->when = when;
    place(feed->warming, feed);
}

unsigned warming_sources(const struct warming *w)
{
    unsigned n = 0;
    LIST_FOR(node, &w->feeds)
    {
        n += CONTAINER_OF(node, struct warming_feed, node)->is_source;
    }
    return n;
}

/* One key may be wanted for two tags: each feed has names of its own. */
static uint64_t name_within(const struct warming_feed *feed, struct slice key)
{
    return cache_key_hash(feed->warming->cache, key) + feed->number;
}

void warming_take(struct warming_feed *feed, struct slice key)
{
    struct warming *w = feed->warming;
    uint64_t name = name_within(feed, key);
    bool early = feed->when == FEED_HOT;
    if (!is_running(w) || !cache_key_valid(key) || seen_has(&w->early, name) ||
        (early && seen_full(&w->early)))
        return;
    if (early)
        seen_add(&w->early, name);
    enqueue(w, key, feed->only_tag);
}

bool warming_remembers_no_more(const struct warming_feed *feed)
{
    return seen_full(&feed->warming->early);
}

uint32_t warming_fed(struct warming_feed *feed, const struct slice *keys, uint32_t count, bool last,
                     const char *why)
{
    struct warming *w = feed->warming;
    uint32_t taken = warming_keys(w, keys, count);
    w->feeds_asked -= feed->asked;
    feed->asked = false;
    if (last || why || !is_running(w))
        forget_feed(feed);
    if (why)
        over(w, WARMING_FAILED, why);
    pump(w);
    return taken;
}

static bool wants_keys(const struct warming *w)
{
    return w->queue_count < PAGE_WHEN_BELOW && has_room(w, PAGE_BYTES);
}

/* One of a time, the first; who waits for a loader to name its keys holds nobody up. */
static struct warming_feed *next_feed(const struct warming *w)
{
    bool named = false;
    LIST_FOR(node, &w->feeds)
    {
        struct warming_feed *feed = CONTAINER_OF(node, struct warming_feed, node);
        if (feed->asked && feed->when != FEED_NAMED)
            return NULL;
        if (!feed->asked && !(named && feed->when == FEED_NAMED))
            return feed;
        named = true;
    }
    return NULL;
}

/* The next keys, before the queue runs dry. */
static void ask_feeds(struct warming *w)
{
    struct warming_feed *feed;
    while (w->turn.pages < PAGES_A_TURN && wants_keys(w) && (feed = next_feed(w))) {
        w->turn.pages++;
        w->feeds_asked++;
        feed->asked = true;
        feed->more(feed);
    }
}

/* ======= life ======= */

/* Gets that are answered at once and pages that bring nothing cost a turn what others wait for: each has its share of
 * it, however often this is come by. */
static void begin_turn(struct warming *w)
{
    uint64_t now = cache_now(w->cache);
    if (w->turn.ns != now) {
        w->turn.ns = now;
        w->turn.starts = w->turn.pages = 0;
    }
}

static bool may_pull(const struct warming *w)
{
    return is_running(w) && !w->cache->warmings_held && !list_empty(&w->queue) &&
           window_has_room(&w->window, w->pulls) && w->turn.starts < STARTS_A_TURN &&
           (!w->fetches_max || w->fetches + w->pulls < w->fetches_max);
}

static void pump(struct warming *w)
{
    if (w->pumping)
        return; /* a get that was answered meanwhile */
    w->pumping = true;
    begin_turn(w);
    ask_feeds(w);
    for (; may_pull(w); w->turn.starts++)
        pull_next(w);
    if (nothing_left(w))
        over(w, WARMING_DONE, NULL);
    w->pumping = false;
    free_when_over(w);
}

void warmings_tick(struct cache *c)
{
    LIST_FOR_SAFE(node, &c->warmings)
    {
        pump(CONTAINER_OF(node, struct warming, node));
    }
}

static unsigned under_way(const struct cache *c)
{
    unsigned n = 0;
    LIST_FOR(node, &c->warmings)
    {
        const struct warming *w = CONTAINER_OF(node, struct warming, node);
        n += !w->own && (is_running(w) || is_busy(w));
    }
    return n;
}

struct warming *warming_begin(struct cache *c)
{
    struct warming *w = under_way(c) < WARMINGS_MAX ? warming_begin_own(c) : NULL;
    if (w)
        w->own = false;
    return w;
}

struct warming *warming_begin_own(struct cache *c)
{
    struct warming *w = must_alloc(sizeof(*w));
    w->cache = c;
    w->own = true;
    window_init(&w->window);
    w->began_ns = cache_now(c);
    w->figures.state = WARMING_RUNS;
    list_init(&w->queue);
    list_init(&w->feeds);
    list_append(&c->warmings, &w->node);
    return w;
}

void warming_close(struct warming *w)
{
    w->closed = true;
}

void warming_cancel(struct warming *w)
{
    over(w, WARMING_CANCELLED, NULL);
}

void warming_fail(struct warming *w, const char *why)
{
    over(w, WARMING_FAILED, why);
}

bool warming_runs(const struct warming *w)
{
    return is_running(w);
}

struct cache *warming_cache(const struct warming *w)
{
    return w->cache;
}

void warming_measure(const struct warming *w, struct warming_figures *ret)
{
    *ret = w->figures;
    ret->total_known = w->closed && list_empty(&w->feeds) && w->feeds_asked == 0;
    if (is_running(w))
        ret->elapsed_ns = cache_now(w->cache) - w->began_ns;
}

struct warming *warming_end(struct warming *w)
{
    if (!w)
        return NULL;
    w->let_go = true;
    over(w, WARMING_CANCELLED, NULL);
    free_when_over(w);
    return NULL;
}
