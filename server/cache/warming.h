/* Warming: entries are pulled from slower tiers into the faster ones before anybody asks for them.
 *
 * A warming is a queue of keys, and gets of them that nobody waits for.  Keys come from the caller, or from sources: all
 * keys with a prefix, or with a tag, page by page from the fleet's store, or where there is none from what this host
 * holds.  What a get finds is promoted as ever (a fill: nothing that was invalidated meanwhile comes back, cache/get.c),
 * except that L1 makes no room for it.  So order is all that heat needs: who comes first finds room, and nobody goes for
 * who comes later.
 *
 * What must stay true: warmings are patient.  The gets of one under way are bounded by a window that grows by one for
 * each that was answered as soon as the others, and is halved when they take longer than they might: then somebody else
 * is waiting too.  (Additive increase, multiplicative decrease: Chiu and Jain, 1989; by delay as in TCP Vegas, Brakmo and
 * Peterson, 1995.)
 *
 * What is nowhere may be had from a registered loader, if the warming is told so: bounded by a number of its own, and no
 * sign for the window.
 *
 * Thread rule: loop thread only. */
#ifndef LARDER_CACHE_WARMING_H
#define LARDER_CACHE_WARMING_H

#include "cache/cache.h"

enum {
    WARMINGS_MAX = 4,         /* of a namespace at a time, beside the daemon's own: a run, and what is hot */
    WARMING_KEYS_MAX = 65536, /* in the queue of one */
    WARMING_BYTES_MAX = 8 << 20, /* of those keys together */
    WARMING_SOURCES_MAX = 64,
    WARMING_FED = 8192, /* keys a feed hands over at a time */
    WARMING_LOADS =
        16, /* keys asked of loaders at a time: sources are databases, which have others to serve */
};

enum warming_state { WARMING_RUNS = 1, WARMING_DONE, WARMING_CANCELLED, WARMING_FAILED };

struct warming_figures {
    enum warming_state state;
    uint64_t total;   /* keys known so far */
    bool total_known; /* there will be no more */
    uint64_t done;    /* of those: loaded + here + missing + others + failed */
    uint64_t loaded;  /* came from a slower tier, or from a loader */
    uint64_t here;    /* were in the fastest that may have them */
    uint64_t missing; /* are nowhere, or not provably current */
    uint64_t others;  /* do not carry the tag that was asked for */
    uint64_t brought; /* of those loaded: by a registered loader */
    uint64_t failed;  /* a registered loader could not bring them, or not in time */
    uint64_t elapsed_ns;
    const char *why; /* of FAILED: static sentence */
};

struct warming;

/* When a feed is asked: those of one time after each other, in the order in which they came. */
enum feed_time { FEED_NAMED, FEED_HOT, FEED_REST };

/* Keys from somewhere else: what is stored, a file, a range, a loader that names them.  Its owner keeps it until `over`. */
struct warming_feed {
    void (*more)(struct warming_feed *feed); /* the next keys are wanted: warming_fed, now or later */
    void (*over)(struct warming_feed *feed); /* no more are; never while `more` is unanswered */
    enum feed_time when;
    bool is_source;    /* one of WARMING_SOURCES_MAX */
    uint64_t only_tag; /* of those it takes, entries with this tag (shm_hash_name); 0: all */
    /* cache/'s own */
    struct warming *warming;
    struct list node;
    unsigned number;
    bool asked;
};

/* NULL: as many as may be are under way. */
struct warming *warming_begin(struct cache *c);
/* The daemon's own, which takes nobody's place. */
struct warming *warming_begin_own(struct cache *c);
/* Copied.  Returns how many were taken: fewer when the queue is full. */
uint32_t warming_keys(struct warming *w, const struct slice *keys, uint32_t count);
/* Every key with that prefix (empty: all), and with that tag where tag is not empty: those on the fleet's hot list first
 * (cache/stored.c).  False: too many sources. */
bool warming_source(struct warming *w, struct slice prefix, struct slice tag);
/* Every key of the policy of that number which begins so. */
bool warming_stored(struct warming *w, struct slice prefix, unsigned policy);
void warming_take_feed(struct warming *w, struct warming_feed *feed);
/* Returns how many were taken, as warming_keys: all, where they were asked for and are no more than WARMING_FED.  `last`: there
 * are no more; `why`: nor can be, a static sentence, and the warming has failed.  After either `feed` may be gone. */
uint32_t warming_fed(struct warming_feed *feed, const struct slice *keys, uint32_t count, bool last,
                     const char *why);
/* One key of an answer to `more` that is about to end with warming_fed.  Copied.  What this feed took while it was FEED_HOT it
 * does not take again; FEED_HOT takes no more than can be remembered. */
void warming_take(struct warming_feed *feed, struct slice key);
bool warming_remembers_no_more(const struct warming_feed *feed);
/* Within `more` or before its warming_fed: it goes on at another time. */
void warming_put_off(struct warming_feed *feed, enum feed_time when);
unsigned warming_sources(const struct warming *w); /* feeds of stored keys that are not over */
/* All that a policy is to have warmed.  NULL, or a static sentence: why nothing of it can be. */
const char *warming_policy(struct warming *w, const struct policy *policy);

/* What is nowhere, or stale, is asked of registered loaders (cache/loaders.h), at most `at_a_time` (0: WARMING_LOADS). */
void warming_load(struct warming *w, unsigned at_a_time);
/* ... and so are keys of the policy with less fresh life than that. */
void warming_refresh(struct warming *w, uint64_t refresh_ns, unsigned policy);
/* Nothing more is added: it is done when its queue and its sources are. */
void warming_close(struct warming *w);
void warming_cancel(struct warming *w);
void warming_fail(struct warming *w, const char *why); /* static sentence */
bool warming_runs(const struct warming *w);
struct cache *warming_cache(const struct warming *w);
void warming_measure(const struct warming *w, struct warming_figures *ret);
/* The caller lets go of it; one that runs is cancelled.  NULL ok, returns NULL. */
struct warming *warming_end(struct warming *w);

/* cache/'s own: every 10 to 50 ms. */
void warmings_tick(struct cache *c);

#endif
