/* Keys that are stored, by prefix, tag or policy, as a feed of a warming: what is hot first, then the rest.
 *
 *   in a fleet    HOT ──the list's end, no list, no room to remember──▶ REST: pages of its store, partition by partition
 *   without one   REST: pages of what this host holds
 *
 * Heat is what the fleet's list says.  What this host knows of its own (the order of L1, kept on disk) needs no pass: what
 * it names is in L1, or was carried there at the start, hottest first, before anybody could ask for a warming (ADR 25).
 *
 * What must stay true: a feed is in HOT only at its beginning, so what REST brings is colder, or was beyond the list; a key
 * that HOT took is not taken again. */
#include <stdlib.h>
#include <string.h>
#include "cache/cache_private.h"
#include "cache/hot.h"
#include "cache/warming.h"

enum {
    PAGE = 512,     /* keys looked at for a page */
    HOT_PAGE = 1024 /* names of the list: nothing is looked at for them */
};

struct stored {
    struct warming_feed feed;
    struct cache *cache;
    struct fleet_list page; /* of the list, then of the store */
    uint64_t cursor;        /* of what this host holds */
    unsigned partition;     /* that is being listed */
    uint8_t only_policy;    /* 0: of any */
    size_t prefix_bytes;
    char prefix[];
};

static bool is_wanted(const struct stored *s, struct slice key)
{
    return key.size >= s->prefix_bytes && memcmp(key.data, s->prefix, s->prefix_bytes) == 0 &&
           (!s->only_policy || cache_policy(s->cache, key)->number == s->only_policy);
}

/* ======= what is hot ======= */

static void page_key(struct fleet_list *page, struct slice key)
{
    struct stored *s = CONTAINER_OF(page, struct stored, page);
    if (is_wanted(s, key))
        warming_take(&s->feed, key);
}

/* It need not be there: then the rest is all, in whatever order it comes. */
static void hot_done(struct fleet_list *page)
{
    struct stored *s = CONTAINER_OF(page, struct stored, page);
    if (page->why || page->cursor == 0 || warming_remembers_no_more(&s->feed)) {
        page->cursor = 0;
        warming_put_off(&s->feed, FEED_REST);
    }
    warming_fed(&s->feed, NULL, 0, false, NULL);
}

static void ask_hot(struct stored *s)
{
    struct fleet *fleet = s->cache->fleet;
    s->page.count = HOT_PAGE;
    s->page.each = page_key;
    s->page.done = hot_done;
    if (fleet->ops->hot_list(fleet, &s->page) == FLEET_PENDING)
        return;
    s->page.cursor = 0;
    warming_put_off(&s->feed, FEED_REST);
    warming_fed(&s->feed, NULL, 0, false, NULL);
}

/* ======= the rest, of the fleet's store ======= */

static void page_done(struct fleet_list *page)
{
    struct stored *s = CONTAINER_OF(page, struct stored, page);
    bool over = page->cursor == 0 && ++s->partition == cache_partitions(s->cache);
    warming_fed(&s->feed, NULL, 0, over, page->why); /* `s` may be gone */
}

static void ask_fleet(struct stored *s)
{
    struct fleet *fleet = s->cache->fleet;
    s->page.partition = s->partition;
    s->page.prefix = slice_of(s->prefix, s->prefix_bytes);
    s->page.count = PAGE;
    s->page.each = page_key;
    s->page.done = page_done;
    if (!fleet->ops->list || fleet->ops->list(fleet, &s->page) == FLEET_DONE)
        warming_fed(&s->feed, NULL, 0, true, "the fleet's store cannot be asked for its keys now");
}

/* ======= the rest, of what is here ======= */

static bool local_key(void *user, const struct cache_listed *listed)
{
    struct stored *s = user;
    if (is_wanted(s, listed->key))
        warming_take(&s->feed, listed->key);
    return true;
}

static void list_here(struct stored *s)
{
    cache_list(s->cache, &s->cursor, PAGE, local_key, s);
    warming_fed(&s->feed, NULL, 0, s->cursor == 0, NULL);
}

/* ======= the feed ======= */

static void more(struct warming_feed *feed)
{
    struct stored *s = CONTAINER_OF(feed, struct stored, feed);
    if (feed->when == FEED_HOT)
        ask_hot(s);
    else if (s->cache->fleet)
        ask_fleet(s);
    else
        list_here(s);
}

static void over(struct warming_feed *feed)
{
    free(CONTAINER_OF(feed, struct stored, feed));
}

static bool add(struct warming *w, struct slice prefix, uint64_t only_tag, unsigned only_policy)
{
    if (warming_sources(w) == WARMING_SOURCES_MAX || !warming_runs(w))
        return false;
    struct stored *s = must_alloc(sizeof(*s) + prefix.size);
    s->cache = warming_cache(w);
    s->feed.more = more;
    s->feed.over = over;
    s->feed.is_source = true;
    s->feed.only_tag = only_tag;
    s->feed.when = cache_has_hot_list(s->cache) ? FEED_HOT : FEED_REST;
    s->only_policy = (uint8_t)only_policy;
    s->prefix_bytes = prefix.size;
    if (prefix.size)
        memcpy(s->prefix, prefix.data, prefix.size);
    warming_take_feed(w, &s->feed);
    return true;
}

bool warming_source(struct warming *w, struct slice prefix, struct slice tag)
{
    uint64_t secret = warming_cache(w)->setup.hash_secret;
    return add(w, prefix, tag.size ? shm_hash_name(secret, SHM_NAME_TAG, tag) : 0, 0);
}

bool warming_stored(struct warming *w, struct slice prefix, unsigned policy)
{
    return add(w, prefix, 0, policy);
}
