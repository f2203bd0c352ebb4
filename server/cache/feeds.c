/* What a policy is to have warmed, as sources and feeds of a warming. */
#include <stdlib.h>
#include <string.h>
#include "cache/cache_private.h"
#include "cache/hot.h"
#include "cache/loaders.h"
#include "cache/warming.h"

/* ======= keys by name, or a range of them ======= */

enum { KEYS_A_PIECE = 256 };

struct named {
    struct warming_feed feed;
    struct key_source source;
    uint64_t next;
    char rooms[KEYS_A_PIECE][WIRE_KEY_MAX];
    char text[]; /* the policies may be others while it goes on */
};

static void named_more(struct warming_feed *feed)
{
    struct named *n = CONTAINER_OF(feed, struct named, feed);
    struct slice keys[KEYS_A_PIECE];
    uint32_t count = 0;
    while (count < KEYS_A_PIECE) {
        keys[count] = key_source_nth(&n->source, n->next, n->rooms[count]);
        if (!keys[count].size)
            break;
        n->next++;
        count++;
    }
    warming_fed(feed, keys, count, count < KEYS_A_PIECE, NULL);
}

static void named_over(struct warming_feed *feed)
{
    free(CONTAINER_OF(feed, struct named, feed));
}

static const char *feed_named(struct warming *w, const struct key_source *source)
{
    struct named *n = must_alloc(sizeof(*n) + source->text.size + source->tail.size);
    n->feed.more = named_more;
    n->feed.over = named_over;
    n->source = *source;
    if (source->text.size)
        memcpy(n->text, source->text.data, source->text.size);
    if (source->tail.size)
        memcpy(n->text + source->text.size, source->tail.data, source->tail.size);
    n->source.text.data = n->text;
    n->source.tail.data = n->text + source->text.size;
    warming_take_feed(w, &n->feed);
    return NULL;
}

/* ======= a policy ======= */

static const char *feed_stored(struct warming *w, struct cache *c, const struct policy *p)
{
    bool added = true;
    for (unsigned i = 0; i < policies_patterns(c->policies, p) && added; i++)
        added = warming_stored(w, policies_prefix(c->policies, p, i), p->number);
    return added ? NULL : "its pattern has more than 64 alternatives";
}

static const char *feed_file(struct warming *w, struct cache *c, struct slice path)
{
    struct warming_feed *feed = c->setup.read_keys ? c->setup.read_keys(c->setup.user, path) : NULL;
    if (!feed)
        return "files of keys are not read here";
    warming_take_feed(w, feed);
    return NULL;
}

static const char *feed(struct warming *w, struct cache *c, const struct policy *p,
                        const struct key_source *s)
{
    switch (s->kind) {
    case KEYS_STORED: return feed_stored(w, c, p);
    case KEYS_HOT: return feed_hot(w);
    case KEYS_NAMED: return feed_named(w, s);
    case KEYS_OF_FILE: return feed_file(w, c, s->text);
    case KEYS_OF_LOADER: listings_begin(w, p); return NULL;
    }
    WRONG("a source that is none");
}

const char *warming_policy(struct warming *w, const struct policy *policy)
{
    struct cache *c = warming_cache(w);
    const struct key_source *sources;
    unsigned count = policies_sources(c->policies, policy, &sources);
    const char *why = NULL;
    for (unsigned i = 0; i < count && !why; i++)
        why = feed(w, c, policy, &sources[i]);
    return why;
}
