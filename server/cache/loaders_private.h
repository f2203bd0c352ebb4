/* What loaders.c and fetch.c share.  Nobody else includes this. */
#ifndef LARDER_CACHE_LOADERS_PRIVATE_H
#define LARDER_CACHE_LOADERS_PRIVATE_H

#include "cache/lease.h"
#include "cache/loaders.h"
#include "base/pattern.h"

struct loader {
    struct cache *cache;
    struct list node; /* of all */
    struct load_peer peer;
    struct list offers; /* struct cache_offer.node: free hands, the one that waits longest first */
    struct list out;    /* struct cache_fetch.node */
    bool shut, left;    /* asked nothing more; gone, but for what is out */
    bool changed;       /* it has a hand more, or holds less, or rests: a turn looks what waits for it */
    unsigned hands, out_count, late_in_a_row;
    uint64_t turn; /* when it was asked last */
    uint64_t rests_until_ns, warned_ns;
    struct loader_look look; /* its counters */
    char *name, *text;       /* of its patterns, which point into it */
    struct pattern patterns[LOADER_PATTERNS_MAX];
    struct slice texts[LOADER_PATTERNS_MAX];
    uint32_t lists; /* bits of those whose keys it can name */
    unsigned patterns_count;
};

struct loaders {
    struct list all, queue, listings;
    unsigned count, queued, out, waiting;
    struct load_peer patient; /* who waits for what others load; gone while there is no loader */
    uint64_t turns;
    struct loader_figures figures;
};

/* ---- loaders.c ---------------------------------------------------------------------------------------------- */

/* Whoever has the least to do of those that can load it and have a hand free; among equals, who was asked longest ago. */
struct loader *loader_free(const struct cache *c, struct slice key);
bool loader_is_free(const struct loader *l, uint64_t now_ns);
/* The first of its patterns that does, or -1. */
int loader_takes(const struct loader *l, const struct key_levels *key);
struct cache_offer *loader_take_hand(struct loader *l);
void loader_park(struct loader *l, struct cache_offer *offer);
/* `offer` is gone.  False: the peer could not be told. */
bool offer_answer(struct cache_offer *offer, struct slice key, struct slice token);
void offer_answer_nothing(struct cache_offer *offer);
/* What it brought, for its statistics and its trouble. */
void loader_judge(struct loader *l, enum fetch_end how, enum status status);
/* It has left, and nothing is out any more. */
void loader_free_when_left(struct loader *l);

/* ---- fetch.c ------------------------------------------------------------------------------------------------ */

/* Keys of the queue for its hands, as long as there are both. */
void fetches_serve(struct loader *l);
/* Those in the queue that nobody can load any more; when no loader is left, those too that wait for others. */
void fetches_forsake(struct cache *c);

/* ---- listing.c ---------------------------------------------------------------------------------------------- */

/* Its hands, for listings that wait. */
void listings_serve(struct loader *l);
/* It has left. */
void listings_leave(struct loader *l);

#endif
