#include "cache/hot.h"

#include <stdlib.h>
#include "base/log.h"
#include "cache/cache_private.h"
#include "cache/warming.h"

enum {
    PAGE = 1024, /* names of the list at a time */
    EMPTY_BELOW =
        8 /* shared memory with less than an eighth of the list's size is one that has to be filled */
};

/* ======= telling ======= */

bool cache_has_hot_list(const struct cache *c)
{
    return c->fleet && c->fleet->ops->hot_add && c->setup.options->hot_list && c->setup.options->cache;
}

static bool may_be_told(const struct cache *c, struct slice key)
{
    const struct policy *p = cache_policy(c, key);
    return policy_allows(p, TIER_L2) && p->store;
}

void cache_tell_hot(struct cache *c, const struct fleet_hot *keys, unsigned count)
{
    struct fleet_hot told[HOT_TOLD_MAX];
    unsigned n = 0;
    if (!cache_has_hot_list(c) || cache_mode(c) != WIRE_FRESH)
        return;
    for (unsigned i = 0; i < count && n < HOT_TOLD_MAX; i++)
        if (may_be_told(c, keys[i].key))
            told[n++] = keys[i];
    c->figures.hot_told += n;
    c->fleet->ops->hot_add(c->fleet, told, n, c->setup.options->hot_list);
}

/* ======= the list as a feed ======= */

struct hot_feed {
    struct warming_feed feed;
    struct cache *cache;
    struct fleet_list page;
    struct slice keys[PAGE];
    unsigned count;
};

/* The names live as long as the page's answer. */
static void page_key(struct fleet_list *page, struct slice key)
{
    struct hot_feed *h = CONTAINER_OF(page, struct hot_feed, page);
    if (h->count < PAGE)
        h->keys[h->count++] = key;
}

static void page_done(struct fleet_list *page)
{
    struct hot_feed *h = CONTAINER_OF(page, struct hot_feed, page);
    unsigned count = h->count;
    h->count = 0;
    warming_fed(&h->feed, h->keys, count, page->cursor == 0, page->why); /* `h` may be gone */
}

static void more(struct warming_feed *feed)
{
    struct hot_feed *h = CONTAINER_OF(feed, struct hot_feed, feed);
    struct fleet *fleet = h->cache->fleet;
    if (fleet->ops->hot_list(fleet, &h->page) == FLEET_DONE)
        warming_fed(feed, NULL, 0, true, "the fleet's hot list cannot be asked for now");
}

static void over(struct warming_feed *feed)
{
    free(CONTAINER_OF(feed, struct hot_feed, feed));
}

const char *feed_hot(struct warming *w)
{
    struct cache *c = warming_cache(w);
    if (!cache_has_hot_list(c))
        return "there is no hot list: no Redis, or [namespace NAME] hot_list = 0";
    struct hot_feed *h = must_alloc(sizeof(*h));
    h->cache = c;
    h->feed.more = more;
    h->feed.over = over;
    h->page = (struct fleet_list){.count = PAGE, .each = page_key, .done = page_done};
    warming_take_feed(w, &h->feed);
    return NULL;
}

/* ======= a host that joins ======= */

static bool is_empty(const struct cache *c)
{
    struct tier_figures figures = {0};
    if (!c->tiers[0])
        return false;
    c->tiers[0]->ops->measure(c->tiers[0], &figures);
    return figures.entries * EMPTY_BELOW < c->setup.options->hot_list;
}

static void begin(struct cache *c)
{
    struct warming *w = warming_begin_own(c);
    if (feed_hot(w)) {
        warming_end(w);
        return;
    }
    warming_close(w);
    c->hot.warming = w;
}

static void watch(struct cache *c)
{
    struct warming_figures f;
    warming_measure(c->hot.warming, &f);
    if (f.state == WARMING_RUNS)
        return;
    log_info("warmed from what is hot in the fleet", L_TEXT("namespace", cache_namespace(c)),
             L_U64("keys", f.done), L_U64("loaded", f.loaded), L_U64("missing", f.missing),
             L_U64("ms", f.elapsed_ns / 1000000), L_TEXT("why", f.why ? f.why : ""));
    c->figures.hot_warmed += f.loaded;
    c->hot.warming = warming_end(c->hot.warming);
}

void hot_tick(struct cache *c)
{
    if (c->hot.warming)
        watch(c);
    if (c->hot.looked || !cache_has_hot_list(c) || cache_mode(c) != WIRE_FRESH || !c->setup.options->warming)
        return;
    c->hot.looked = true; /* once in a life: with the first word of the fleet */
    if (is_empty(c))
        begin(c);
}

void hot_stop(struct cache *c)
{
    c->hot.looked = true;
    c->hot.warming = warming_end(c->hot.warming);
}
