/* The leases of one namespace: who loads which key, and who waits for it.
 *
 *   (none) ──host──▶ HELD ──fill──▶ FILLING ──landed──▶ (none): those who wait have the value
 *     │               ▲ │ └─fail──▶ (none): they are told, the key rests (failures.h)
 *     │ fleet         │ └─its connection ended, hold over──▶ (none): they ask again, one of them is the next
 *     └──▶ ASKING ────┘
 *            ▲ │ busy: another host holds it
 *            │ ▼
 *           BUSY ──note, record, a second passed──▶ ASKING
 *
 * What must stay true (C6, F9, I5): a key has one lease that newcomers find, and a lease whose key was changed or
 * invalidated after it was given, or may have been for all a newcomer knows, is found no more: it is OVERTAKEN, still
 * answers those who had come before, and its fill is refused, since the newcomer's is another one of the same key.
 * Changes of the key and of its prefixes are seen by newcomers, who look (load.c).  Tags are known with the
 * fill only: so whoever comes after any kill by name since the lease was given is LATE, and is not handed what the holder
 * brings, but asks again.
 *
 * A token is used once: whoever takes the lease by it takes it out of the table of tokens.
 *
 * Bounds: LEASES_MAX a namespace, LEASES_A_PEER a connection; those who wait are requests in flight, which have a bound.
 * Thread rule: loop thread only. */
#ifndef LARDER_CACHE_LEASE_H
#define LARDER_CACHE_LEASE_H

#include <uthash.h>
#include "base/alarms.h"
#include "cache/cache_private.h"

enum { LEASES_MAX = 65536, LEASES_A_PEER = 1024 };

enum lease_state { LEASE_ASKING, LEASE_BUSY, LEASE_HELD, LEASE_FILLING };

struct lease {
    struct leases *all;
    struct cache *cache;
    enum lease_state state;
    bool overtaken;
    bool refresh;       /* there is a value: nobody waits */
    bool in_fleet;      /* `proof` is a lease of the shared store */
    bool beside;        /* it should have been, but nobody answered there */
    struct token token; /* what the holder has */
    struct token
        granted; /* what a miss at the moment of the grant would have given: the fill is judged by it */
    uint64_t kills_seen; /* kills by name here until then */
    uint64_t ends_ns;
    struct cache_load *asker; /* ASKING: who will have it; NULL: he has gone */
    struct load_peer *peer;   /* HELD: whose connection it is tied to */
    struct list of_peer;
    struct list waiting;       /* struct cache_load.waiting */
    struct cache_fetch *fetch; /* HELD by a registered loader: what it is loading, who is told of the end */
    struct alarm alarm;        /* HELD: its end, or to keep it alive in the fleet; BUSY: to ask again */
    struct fleet_lease ask;
    uint8_t proof[FLEET_PROOF_BYTES];
    UT_hash_handle by_key, by_token;
    size_t key_bytes;
    char key[];
};

struct leases {
    struct lease *by_key, *by_token;
    struct alarms *alarms;
    uint64_t count, given; /* overtaken ones too; ever */
};

struct leases *leases_create(uint64_t now_ns);
struct leases *leases_destroy(struct leases *all); /* nobody waits any more; NULL ok, returns NULL */

static inline struct slice lease_key(const struct lease *l)
{
    return slice_of(l->key, l->key_bytes);
}

/* The one that newcomers find, or NULL. */
struct lease *lease_find(const struct leases *all, struct slice key);
/* ASKING, found by its key from now on.  There must be none. */
struct lease *lease_begin(struct cache *c, struct slice key, void (*ring)(struct alarm *alarm));
/* ASKING → HELD, by that connection, with a token of its own. */
void lease_give(struct lease *l, struct load_peer *peer, uint64_t random, uint64_t ends_ns);
/* HELD → FILLING: the lease of that token and key, which is used up now; NULL: there is none. */
struct lease *lease_take(struct leases *all, const struct token *token, struct slice key);
/* The lease that token is of, whatever its key; NULL: none. */
struct lease *lease_held(const struct leases *all, const struct token *token);
/* Newcomers find it no more. */
void lease_overtake(struct lease *l);
/* From any state; those who wait are moved to *ret_waiting first. */
void lease_end(struct lease *l, struct list *ret_waiting);

/* ---- load.c: what the ends of a lease ask of it -------------------------------------------------------------- */

static inline int load_answer(struct cache_load *l, enum status status)
{
    l->status = status;
    return CACHE_DONE;
}
/* Takes it out of where it waits. */
void load_stop_waiting(struct cache_load *l);
/* The first who waits, taken out; NULL: nobody. */
struct cache_load *load_next(struct list *waiting);
/* From the start: the first of them may have the next lease. */
void loads_ask_again(struct cache *c, struct list *waiting);
void loads_fail(struct cache *c, struct list *waiting);
/* The lease in the shared store ends too; for rest_ns there is none. */
void lease_drop_there(struct cache *c, struct lease *l, uint64_t rest_ns);
/* The next who waits has it. */
void lease_pass_on(struct cache *c, struct lease *l);

#endif
