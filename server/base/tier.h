/* The contract of a tier: what cache/ may ask of L1, warm and L2, and all it knows of them.
 *
 * Thread rule: everything here is called by and calls back on the loop thread.
 * Time is CLOCK_BOOTTIME ns, passed in or carried by the entry; a tier decides nothing about freshness beyond
 * "past hard is gone".
 *
 * THE INSERT RULE (I3, I11).  Whatever is put into a tier is either a change (it has a position of its own,
 * newer than anything there) or a fill (read from a lower tier, stamped with the position it had).  cache/ judges
 * a fill against the exact kill map and against changes of its key since the lower read was *sent*, in the same
 * loop turn in which it puts it; a tier may therefore take what it is given at its word. */
#ifndef LARDER_BASE_TIER_H
#define LARDER_BASE_TIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "proto/shm.h"
#include "proto/slice.h"
#include "proto/status.h"

/* An entry on its way between tiers.  Slices belong to whoever hands the entry out and live until that call
 * returns. */
struct entry {
    struct slice key;
    uint64_t key_hash; /* shm_hash_key with the namespace's secret */
    struct slice value;
    uint64_t epoch, v; /* version and position, with id */
    uint32_t id;
    uint64_t hard_ns, soft_ns; /* gone from hard on, stale from soft on; soft <= hard */
    uint32_t user_flags, schema;
    uint8_t policy;
    bool absent, stale, local;
    bool suspect; /* below the floor: only after the fleet said that the version is still the same */
    uint8_t tags_count;
    uint64_t tags[SHM_TAGS_MAX]; /* shm_hash_name(TAG) */
    struct slice tag_names;      /* the same by name (base/tag_names.h); empty: nobody here knows */
};

/* Answers of get. */
enum { TIER_MISSED = 0, TIER_FOUND = 1, TIER_PENDING = 2, TIER_SAME = 3 /* L2: as read->known says */ };

/* One read under way.  The caller owns it, fills the first part and keeps it until the answer. */
struct tier_read {
    struct slice key; /* the caller keeps its bytes alive until the answer */
    uint64_t key_hash;
    uint64_t now_ns;
    struct {
        bool given;
        uint64_t epoch, v;
        uint32_t id;
    } known;    /* for L2: the version the caller holds, see base/fleet.h */
    bool exact; /* for L2: no kill may be judged by what this host has heard of so far */
    bool looks; /* nobody asked for the key: for L1 no use of it */
    /* Called exactly once if and only if get returned TIER_PENDING, never from inside get, with TIER_FOUND or
     * TIER_MISSED.  `entry` is valid until it returns. */
    void (*done)(struct tier_read *read, int outcome);
    struct entry entry; /* with TIER_FOUND; its tags also with MISS_INVALIDATED, where they are known still */
    enum miss_reason reason; /* with TIER_MISSED */
    uint64_t at_v;           /* of L2: the answer is no older than this position */
    void *tier_private[4];
};

/* Answers of put, drop, soften, touch and kill.  After UNSTORED and TOO_BIG that the old is gone may be unsafe:
 * ask for a barrier. */
enum {
    TIER_DONE = 0,      /* done, and done for good as far as this tier ever is */
    TIER_UNSTORED = 1,  /* put: not kept (switched off, no room); what was there before is gone */
    TIER_UNSAFE = 2,    /* done, but kill -9 could undo it, or too much waits: reply only after a barrier */
    TIER_NOT_THERE = 3, /* touch: no such entry */
    TIER_TOO_BIG = 4,   /* put: as UNSTORED, and it never will be: larger than this tier takes */
};

/* A promise that everything handed to the tier before the barrier survives kill -9 when done is called (at
 * once, from inside barrier, when it does already), and that the tier may be handed more. */
struct tier_barrier {
    void (*done)(struct tier_barrier *barrier);
    void *tier_private[3];
};

/* One entry of a listing. */
struct tier_listed {
    struct slice key;
    uint64_t key_hash;
    uint64_t hard_ns;
    uint64_t value_bytes;
};

struct tier_figures {
    uint64_t entries, bytes, bytes_max;
    uint64_t hits, misses, puts, drops, evictions, expirations;
    bool available;
    const char *trouble; /* static sentence when it is not healthy, else NULL */
};

struct tier;

struct tier_ops {
    enum tier_name name;
    int (*get)(struct tier *t, struct tier_read *read);
    int (*put)(struct tier *t, const struct entry *e);
    int (*drop)(struct tier *t, struct slice key, uint64_t key_hash, uint64_t v);
    int (*soften)(struct tier *t, struct slice key, uint64_t key_hash, uint64_t v, uint64_t now_ns);
    /* The entry of this key, position and id lives as long as `as` says, at least.  Another version is not there: what
     * prolonged it might bring back what is over. */
    int (*touch)(struct tier *t, const struct entry *as);
    int (*kill)(struct tier *t, uint64_t name_hash, uint64_t v, bool soft); /* after kills_add */
    /* L1 only: the fleet said that the entry at exactly v is the current one, so that readers need not ask again. */
    int (*confirm)(struct tier *t, struct slice key, uint64_t key_hash, uint64_t v, bool stale);
    void (*barrier)(struct tier *t, struct tier_barrier *barrier);
    /* Calls `each` for up to `limit` entries from *cursor on and moves it; *cursor is 0 at both ends.  Work is
     * bounded by a small multiple of limit; false from `each` stops before that entry is counted as seen. */
    void (*list)(struct tier *t, uint64_t *cursor, uint32_t limit, uint64_t now_ns,
                 bool (*each)(void *user, const struct tier_listed *listed), void *user);
    void (*measure)(struct tier *t, struct tier_figures *ret);
    /* L1 only, and asked for each entry that comes unasked: something would have to go for the next one. */
    bool (*full)(const struct tier *t);
    /* L1 only: the key is going to be looked for in a moment, so what that takes of memory may come nearer. */
    void (*expect)(const struct tier *t, uint64_t key_hash);
};

/* First member of every tier. */
struct tier {
    const struct tier_ops *ops;
};

#endif
