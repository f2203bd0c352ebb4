/* The contract of the fleet: what cache/ asks of the store that all hosts share, what it learns from it, and all it
 * knows of it.  l2/ implements it on Redis; tests/model implements it in memory.
 *
 * A namespace has 1 to 64 partitions (hash of the key).  A partition has an epoch E, random and compared for equality
 * only, and a counter V that grows by one with each committed change.  Everything below is per partition.
 *
 * WHO IS RIGHT.  A change is committed when the fleet answered its position.  Then, before anybody is told, the same
 * loop turn applies it here like a record of the journal (I7): what was read before it can be inserted no more, and what
 * was inserted meanwhile is older and goes.  The journal tells the other hosts, and us again, which changes nothing
 * (I1: strictly older).
 *
 * WHAT A READER MAY BELIEVE.  Everything in the journal up to `applied` has been done here.  A fence, sent at t and
 * answered with V, vouches until t + FLEET_FRESH once `applied` reached V (I8: counted from the sending).  Past that an
 * entry is served only after the fleet said "same version", or, when the fleet is away, flagged.
 *
 * Thread rule: loop thread only. */
#ifndef LARDER_BASE_FLEET_H
#define LARDER_BASE_FLEET_H

#include "base/tier.h"

enum { FLEET_PARTITIONS_MAX = SHM_PARTITIONS };
#define FLEET_FRESH_NS (250ull * 1000 * 1000)

/* ---- what is shown ------------------------------------------------------------------------------------- */

struct fleet_partition {
    uint64_t epoch;          /* 0: never met */
    uint64_t applied;        /* A: the journal is done up to here */
    uint64_t seen;           /* newest V that any reply showed; at least applied */
    uint64_t floor;          /* entries below: only after a comparison (I2) */
    uint64_t fresh_until_ns; /* CLOCK_BOOTTIME; 0: nobody vouches */
};

/* Written by the fleet, read by whoever has it. */
struct fleet_view {
    /* FRESH: linked; SUSPECT: being linked or caught up, or connected for the first time; DETACHED: the link is down */
    enum shm_mode mode;
    uint64_t serve_until_ns; /* while DETACHED: last fence + 0.8 detached_max; 0: nothing may be served */
    uint64_t
        serve_spread_ns; /* up to so much longer, by the key's hash, in the daemon: 0.4 detached_max (D20) */
    unsigned partitions;
    uint64_t
        session; /* counts connections made and lost: what was asked in an older one is never believed (I9), what one
                       * absence granted is not taken in the next (F14) */
    struct fleet_partition of[FLEET_PARTITIONS_MAX];
};

/* ---- changes ------------------------------------------------------------------------------------------- */

enum fleet_verb { FLEET_SET, FLEET_FILL, FLEET_TOUCH, FLEET_INVALIDATE };

/* Keys and names of one INVALIDATE, globs among them; more are FLEET_AWAY.  It bounds the turn a store of one thread spends
 * on them. */
enum { FLEET_ITEMS_MAX = 256 };

enum fleet_condition { FLEET_ALWAYS, FLEET_IF_ABSENT, FLEET_IF_PRESENT, FLEET_IF_VERSION };

enum fleet_outcome {
    FLEET_COMMITTED = 0, /* position and id are set */
    FLEET_EXISTS,        /* conditions not met; nothing happened */
    FLEET_NOT_FOUND,
    FLEET_CONFLICT,
    FLEET_REFUSED, /* a fill that came too late; nothing happened */
    FLEET_FAILED,  /* the store said no (full, misconfigured): nothing happened there */
    FLEET_UNKNOWN, /* sent, no answer: it may have happened, and may yet (C9) */
    FLEET_AWAY,    /* not sent: nothing happened */
};

/* One change in one partition.  The caller owns it and keeps it until the answer; what its pointers point to must last
 * until commit returns. */
struct fleet_change {
    enum fleet_verb verb;
    unsigned partition;
    /* SET, FILL, TOUCH: key, value, life, flags; `id` is the version's third part.  Position and epoch are not read. */
    const struct entry *entry;
    bool remove; /* SET that stores nothing anywhere else: the key is removed there, and told to all */
    enum fleet_condition condition;
    uint64_t expected_epoch, expected_v;
    uint32_t expected_id;
    bool again; /* IF_VERSION: the value that is there once more, which lives no longer than it would have; */
    bool expected_fresh; /* and by now it is not stale, which gives it no other version */
    uint64_t
        compress_min;     /* SET, FILL: values of that size and more are compressed there; 0: as configured */
    uint64_t since_v;     /* FILL: the source was read after this position, in the present epoch; or: */
    const uint8_t *proof; /* FILL: the lease under which it was read; NULL: none */
    bool beside; /* FILL: its lease was to be the fleet's, and nobody answered: not over a fresh entry */
    /* INVALIDATE: keys, tags, prefixes, globs; SET and FILL: tags */
    const struct slice *keys, *tags, *prefixes, *globs;
    unsigned keys_count, tags_count, prefixes_count, globs_count;
    bool all, soft;
    void (*done)(struct fleet_change *change);
    /* the answer */
    enum fleet_outcome outcome;
    const char *why; /* of FAILED: static sentence, else NULL */
    uint64_t epoch,
        v;       /* a fill of an absent key has the position of the newest change, not one of its own (F4) */
    uint32_t id; /* of TOUCH: of the entry, with the position it has */
    uint64_t hard_ns, soft_ns; /* of TOUCH: the life it has now */
    void *fleet_private[4];
};

/* Answers of commit and lease. */
enum { FLEET_DONE = 0, FLEET_PENDING = 1 };

/* ---- leases -------------------------------------------------------------------------------------------- */

/* One loader a key in the fleet (D3, D4).  A lease is bytes that only its holder knows; it ends by a fill that brings them,
 * by any other change of the key, by drop, or by itself. */
enum { FLEET_PROOF_BYTES = 24 };

enum fleet_lease_outcome {
    FLEET_LEASE_GIVEN, /* proof, v */
    FLEET_LEASE_THERE, /* a value is in the store, and not to be refreshed */
    FLEET_LEASE_BUSY,  /* another host has the lease; `heard` tells when it ends */
    FLEET_LEASE_RESTS, /* a load failed a short while ago: nobody may try for left_ns */
    FLEET_LEASE_AWAY,  /* nobody answers */
};

/* The caller owns it and keeps it, and the key's bytes, until the answer. */
struct fleet_lease {
    unsigned partition;
    struct slice key;
    uint64_t life_ns;  /* of a lease given, unless it is kept alive */
    uint64_t ahead_ns; /* a value with less fresh life than this is to be refreshed like a stale one */
    void (*done)(struct fleet_lease *lease);
    enum fleet_lease_outcome outcome;
    uint64_t v;       /* the source is read after this position, in the present epoch */
    uint64_t left_ns; /* of BUSY and RESTS */
    uint8_t proof[FLEET_PROOF_BYTES];
    void *fleet_private[2];
};

/* ---- reads --------------------------------------------------------------------------------------------- */

/* The tier_read of the shared store; beyond base/tier.h:
 *   read->known   the version held here, if any: TIER_SAME answers that it is still the current one
 *   read->at_v    the newest position known to be in the answer (the token of a miss); fleet_partition.seen is no older
 * An answer of an older session, below the floor, or of another epoch is TIER_MISSED with MISS_SUSPECT. */

/* ---- rate limits --------------------------------------------------------------------------------------- */

/* May it be done once more now (cache/limit.h)?  The caller owns it, and the key's bytes, until the answer. */
struct fleet_limit {
    unsigned partition;
    struct slice key;
    uint64_t max, window_us, cost;
    void (*done)(struct fleet_limit *limit);
    bool answered; /* else nobody there counted */
    bool allowed;
    uint64_t remaining, reset_us, retry_us;
};

/* ---- listing ------------------------------------------------------------------------------------------- */

/* One page of the keys that have an entry in a partition: in no order, some perhaps twice or dead.  A key that is there
 * from the first page to the last is on one of them.  The caller owns it, and `prefix`, until `done`. */
struct fleet_list {
    unsigned partition;
    struct slice prefix; /* only keys that begin so; empty: all */
    uint32_t count;      /* about so many are looked at for the page, which may have none */
    uint64_t cursor;     /* 0: the first page, and again after the last */
    void (*each)(struct fleet_list *list, struct slice key);
    void (*done)(struct fleet_list *list); /* after the page */
    const char *why;                       /* static sentence: there was no page; else NULL */
};

/* ---- what is hot ----------------------------------------------------------------------------------------- */

struct fleet_hot {
    struct slice key;
    uint64_t weight; /* 1 and more: how often it was asked for lately */
};

/* ---- the journal, as cache/ applies it ------------------------------------------------------------------ */

struct fleet_record {
    uint64_t v;
    const struct slice *keys, *tags, *prefixes, *globs;
    unsigned keys_count, tags_count, prefixes_count, globs_count;
    bool all, soft;
    bool stored; /* a set: its key has a newer value */
    bool again;  /* of this host's outbox: what it did when it was told is done once more */
};

/* What an INVALIDATE that committed at v will be in the journal. */
static inline struct fleet_record fleet_record_of(const struct fleet_change *c, uint64_t v)
{
    return (struct fleet_record){.v = v,
                                 .keys = c->keys,
                                 .tags = c->tags,
                                 .prefixes = c->prefixes,
                                 .globs = c->globs,
                                 .keys_count = c->keys_count,
                                 .tags_count = c->tags_count,
                                 .prefixes_count = c->prefixes_count,
                                 .globs_count = c->globs_count,
                                 .all = c->all,
                                 .soft = c->soft};
}

/* How the fleet tells what must be done here.  Each call finishes its work before it returns: when `record` of V is
 * back, the effects of V hold for every reader of this host. */
struct fleet_listener {
    void (*record)(void *user, unsigned partition, const struct fleet_record *record);
    /* Records between applied and floor are lost: what is older than floor is suspect.  view is set already. */
    void (*gap)(void *user, unsigned partition, uint64_t floor);
    /* Another epoch: nothing that is here belongs to it.  view is set already. */
    void (*epoch)(void *user, unsigned partition);
    /* The effects up to view.of[partition].applied are queued: the position may be kept with them (I6). */
    void (*applied)(void *user, unsigned partition, uint64_t last_fence_ns);
    /* mode, serve_until or a fresh_until changed: readers of the shared segment are told (order: proto/shm.h). */
    void (*shown)(void *user);
};

/* What the warm tier remembers of a partition over a restart. */
struct fleet_memory {
    uint64_t epoch, applied, floor;
    uint64_t last_fence_ns; /* CLOCK_BOOTTIME of this boot; 0: unknown or another boot */
};

/* ---- the outbox ---------------------------------------------------------------------------------------- */

/* Invalidations that could not be sent, kept until they are (C8).  `bytes` mean something to the fleet only.  The chronicle
 * of invalidations is kept in the same way, and loses no sleep over what was not. */
struct outbox;
struct outbox_ops {
    /* TIER_DONE, TIER_UNSAFE (durable after the tier's barrier), TIER_UNSTORED (kept in memory only). */
    int (*keep)(struct outbox *o, uint64_t number, struct slice bytes);
    void (*drop_up_to)(struct outbox *o, uint64_t number);
    /* At start, before anything else: what an earlier run left, in order. */
    void (*each)(struct outbox *o, void (*each)(void *user, uint64_t number, struct slice bytes), void *user);
};
struct outbox {
    const struct outbox_ops *ops;
};

/* ---- the fleet ------------------------------------------------------------------------------------------ */

struct fleet_figures {
    bool connected;
    uint64_t reads, hits, changes, unknown, records, gaps, epochs, fences, outbox, sessions;
    uint64_t redis_memory_used, redis_memory_max;
    const char *trouble; /* static sentence, else NULL */
};

struct fleet {
    const struct fleet_ops *ops;
    const struct fleet_view *view;
    struct tier *tier; /* only get and measure: changes go by commit */
    /* Told when a lease of the key ended that somebody waited for: a note of the journal, no change, and it may be lost.
     * Set by whoever asks for leases; NULL: nobody. */
    void (*heard)(void *user, unsigned partition, struct slice key);
    void *heard_user;
};

struct fleet_ops {
    int (*commit)(struct fleet *f, struct fleet_change *change);
    /* Get, or a lease.  GIVEN too when there is a value that is to be refreshed. */
    int (*lease)(struct fleet *f, struct fleet_lease *lease);
    /* A lease lives so long from now, if it is still there.  Nothing is answered: its fill will show. */
    void (*lease_keep)(struct fleet *f, unsigned partition, struct slice key, const uint8_t *proof,
                       uint64_t life_ns);
    /* A lease ends, if it is still there; with rest_ns nobody has one of that key for so long. */
    void (*lease_drop)(struct fleet *f, unsigned partition, struct slice key, const uint8_t *proof,
                       uint64_t rest_ns);
    /* As list.  NULL: it cannot count. */
    int (*limit)(struct fleet *f, struct fleet_limit *limit);
    /* FLEET_PENDING, or FLEET_DONE: the fleet is away, nothing was asked and `done` will not be called.  NULL: it cannot
     * list. */
    int (*list)(struct fleet *f, struct fleet_list *list);
    /* Keys that are hot here, at most 256, for the fleet's list, which keeps the `most` hottest.  Nothing is answered.  NULL: it
     * keeps no list. */
    void (*hot_add)(struct fleet *f, const struct fleet_hot *keys, unsigned count, uint64_t most);
    /* A page of that list, hottest first; `cursor` is a rank, partition and prefix are not used.  As list. */
    int (*hot_list)(struct fleet *f, struct fleet_list *list);
    /* An INVALIDATE for later: sent before anything else when the fleet is back.  Answers as outbox_ops.keep. */
    int (*queue)(struct fleet *f, const struct fleet_change *change);
    /* Kills up to v are forgotten here: entries older than that are judged by the fleet from now on. */
    void (*forgot)(struct fleet *f, unsigned partition, uint64_t v);
    void (*measure)(struct fleet *f, struct fleet_figures *ret);
};

#endif
