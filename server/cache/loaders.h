/* Registered loaders: connections that load keys when they are asked to.
 *
 * A LOADER says which patterns it can load, and OFFERS a free hand at a time: an offer is answered with one key to load, or
 * with nothing when its patience ends.  A FETCH is a key somebody wants loaded whom no caller is waiting for: warming, a
 * schedule, refresh-ahead.
 *
 *   ──a hand is free──▶ ASKING ──lease──▶ OUT ──filled, failed, late──▶ over
 *        │ none          ▲  │ ├─there, rests──▶ over
 *        │               │  │ └─elsewhere──▶ WAITING ──there, rests, patience over──▶ over; lost there──▶ as at first
 *        ▼               │  │ its connection ended
 *      QUEUED ──an offer─┘  │
 *        ▲──────────────────┘◀── OUT: its connection ended, or its fill was refused; FETCH_TRIES at most
 *        └─nobody can, patience over──▶ over
 *
 * What must stay true: a key goes out with a lease (cache/lease.h), in the fleet if there is one, tied to the loader: so
 * one loader a key in the fleet, a fill is judged as any other (C6), and who asks for the key meanwhile waits for it.  An
 * offer is answered once; a fetch ends once; nothing is queued that a free hand could take.
 *
 * Pull, not push: who hangs or is slow offers no hand, and so is asked nothing; there is no queue of a loader's own.
 *
 * Thread rule: loop thread only. */
#ifndef LARDER_CACHE_LOADERS_H
#define LARDER_CACHE_LOADERS_H

#include "cache/cache.h"

enum {
    LOADERS_MAX =
        256, /* of a namespace: processes of a host, several connections each; all are looked at for a key */
    LOADER_PATTERNS_MAX = 16,
    LOADS_A_LOADER = 64,       /* keys out at a time: more is a queue in the app */
    FETCHES_QUEUED_MAX = 4096, /* for a free hand: looked through for each that becomes free */
    FETCH_TRIES = 3,
    LATE_IN_A_ROW = 3, /* then a loader rests */
};

#define LOADER_FIGURES(FIGURE)                                                                              \
    FIGURE(GAUGE, loaders, "connections that offer to load")                                                \
    FIGURE(GAUGE, loader_hands, "offers that wait for something to load")                                   \
    FIGURE(GAUGE, fetches_queued, "keys that wait for a loader's free hand")                                \
    FIGURE(GAUGE, fetches_out, "keys that loaders were asked for and have not brought yet")                 \
    FIGURE(COUNTER, fetches, "keys that loaders were asked for")                                            \
    FIGURE(COUNTER, fetches_loaded, "of those: brought and stored")                                         \
    FIGURE(COUNTER, fetches_failed, "of those: the loader said that it could not")                          \
    FIGURE(COUNTER, fetches_returned, "of those: given back without a word, or another key was brought")    \
    FIGURE(COUNTER, fetches_unstored, "of those: brought and not stored: too large, not wanted, overtaken") \
    FIGURE(COUNTER, fetches_late, "of those: not brought within the time the loader had named")             \
    FIGURE(COUNTER, fetches_lost, "of those: the loader's connection ended")                                \
    FIGURE(COUNTER, fetches_refused, "keys nobody was asked for: the queue was full, or no hand became free")

struct loader_figures {
    FIGURE_FIELDS(LOADER_FIGURES)
};

/* ---- loaders ------------------------------------------------------------------------------------------------ */

struct loader;

/* `name`: who it is, for people; copied.  NULL: LOADERS_MAX are there. */
struct loader *loader_join(struct cache *c, uint32_t pid, struct slice name);
/* What it can load from now on; patterns as of a policy, copied; `lists`: bits 1 << n of those whose keys it can name.  Cheap when they are what they were.  False: *ret_why, a static sentence, and all is as before. */
bool loader_can(struct loader *l, const struct slice *patterns, unsigned count, uint32_t lists,
                const char **ret_why);
/* It is asked for nothing more; its leave follows. */
void loader_shut(struct loader *l);
/* Its offers are answered with nothing, what it was asked for goes to others.  NULL ok, returns NULL. */
struct loader *loader_leave(struct loader *l);

enum offer_kind { OFFER_NOTHING, OFFER_KEY, OFFER_LIST };

/* A free hand. */
struct cache_offer {
    struct loader *loader;
    uint64_t wait_ns; /* how long to wait for something to load; 0: not at all */
    uint64_t hold_ns; /* how long the load may take */
    /* Once, perhaps before cache_offer returns.  False: the peer cannot be told, the key goes to another. */
    bool (*done)(struct cache_offer *offer);
    /* the answer; valid until control returns to the loop */
    enum offer_kind kind;
    struct slice key; /* to be loaded */
    struct slice token;
    unsigned pattern; /* which of the loader's it matches first, or is to be listed; from 0 */
    /* cache/'s own */
    uint64_t until_ns;
    struct list node;
    struct alarm alarm;
};
void cache_offer(struct cache *c, struct cache_offer *offer);

/* A loader names keys, for the token that came with OFFER_LIST.  OK and how many were taken: the rest is to be named again
 * later.  REFUSED: nobody wants them any more. */
enum listed { LISTED_MORE, LISTED_LAST, LISTED_FAILED };
enum status loader_listed(struct cache *c, struct slice token, const struct slice *keys, uint32_t count,
                          enum listed how, uint32_t *ret_taken);

/* For statistics. */
struct loader_look {
    uint32_t pid;
    struct slice name, patterns; /* patterns: with commas */
    unsigned hands, out;
    uint64_t asked, loaded, failed, late, unstored;
    const char *trouble; /* the last one: static sentence, or NULL */
    uint64_t rest_ns;    /* nothing is asked of it for so long: it was late too often */
};
void loaders_look(const struct cache *c, void (*each)(void *user, const struct loader_look *look),
                  void *user);
void loaders_measure(const struct cache *c, struct loader_figures *ret);

/* ---- fetches ------------------------------------------------------------------------------------------------ */

enum fetch_end {
    FETCH_LOADED,
    FETCH_THERE,     /* meanwhile it was */
    FETCH_ELSEWHERE, /* somebody else is loading it just now */
    FETCH_RESTS,     /* its load failed a short while ago */
    FETCH_FAILED,    /* the loader could not, or brought nothing */
    FETCH_UNSTORED,  /* what it brought was not stored */
    FETCH_LATE,
    FETCH_NOBODY, /* no loader, none with a free hand in time, or they went away again and again */
};

enum fetch_state { FETCH_QUEUED, FETCH_ASKING, FETCH_OUT, FETCH_WAITING };

struct cache_fetch {
    struct slice key;    /* stays until the answer */
    uint64_t refresh_ns; /* what has less fresh life is loaded anew; 0: as the policy says */
    uint64_t wait_ns;    /* how long to wait while somebody else loads it; 0: not at all */
    void (*done)(struct cache_fetch *fetch);
    enum fetch_end end;
    /* cache/'s own */
    struct cache *cache;
    enum fetch_state state;
    unsigned tries;
    struct loader *loader;     /* ASKING, OUT */
    struct cache_offer *offer; /* ASKING */
    struct cache_load load;
    struct list node; /* in the queue, or among those of its loader */
    struct alarm alarm;
};
/* Is there a loader for the key, with a free hand or not? */
bool cache_can_fetch(const struct cache *c, struct slice key);
/* Is there one for keys of the policy? */
bool cache_loads_of(const struct cache *c, const struct policy *p);
/* And one that names them? */
bool cache_lists_of(const struct cache *c, const struct policy *p);
int cache_fetch(struct cache *c, struct cache_fetch *fetch);
/* A reader found it due: a loader is asked for it, if there is one with a free hand; nobody waits.  False: none is, or somebody
 * loads it already. */
bool cache_fetch_ahead(struct cache *c, struct slice key);

/* ---- cache/'s own ------------------------------------------------------------------------------------------- */

struct loaders;
struct loaders *loaders_create(void);
struct loaders *loaders_destroy(struct loaders *all); /* all have left; NULL ok, returns NULL */
bool loaders_idle(const struct loaders *all);
bool loaders_any(const struct loaders *all);
void loaders_tick(struct cache *c); /* every 10 to 50 ms */
/* Feeds of what loaders name of a policy's keys. */
struct warming;
void listings_begin(struct warming *w, const struct policy *p);
/* Its lease is over.  NULL ok. */
void fetch_over(struct cache_fetch *fetch, enum fetch_end end, enum status status);

#endif
