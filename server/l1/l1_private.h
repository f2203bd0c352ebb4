/* The rooms of L1 and what they share.  Everything here is private to server/l1/ and its tests.
 *
 * What must stay true: only order.h stores into the segment; a slot word names a live item or a doomed segment;
 * counts of live bytes and items are exact.
 *
 * Private memory: 5 bytes a slot (heat and size) and 4 bytes an entry of capacity (ghosts): about 10.7 bytes an item at
 * slot load 0.75; 48 bytes a segment; a quarter of a MiB to learn from, in caches under 32 MiB less; a quarter for the curve
 * of what other sizes would do. */
#ifndef LARDER_L1_L1_PRIVATE_H
#define LARDER_L1_L1_PRIVATE_H

#include <stdio.h>
#include <stdlib.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "l1/builder.h"
#include "l1/curve.h"
#include "l1/eviction.h"
#include "l1/huge.h"
#include "l1/fit.h"
#include "l1/l1.h"
#include "l1/memory.h"
#include "l1/order.h"

enum {
    L1_TTL_CLASSES = 4,
    L1_EVICT_ITEMS = 64,      /* items an insertion may walk over to find room */
    L1_EVICT_NS = 20000,      /* ... or this long */
    L1_EVICT_AHEAD = 16,      /* items walked ahead of need by an insertion while few segments are free */
    L1_SEGMENTS_LOW = 4,      /* fewer free ones: evict ahead */
    L1_FULL_NEAR = 8,         /* with less than an eighth free, each insertion looks at some residents */
    L1_LOOK_AHEAD = 64,       /* items of a segment among which the worst goes in any case */
    L1_DRAIN_TURNOVER = 128,  /* touches are taken in before a walk if that share of the entries came since */
    L1_SEGMENTS_RESERVED = 2, /* the last ones are for moves, else eviction could not free anything */
    L1_TICK_MS = 20,          /* renewal of alive_until, touches, expiry */
    L1_SWEEP_MS = 2,          /* between slices of a sweep */
    L1_SWEEP_NS = 50000,      /* length of a slice: 2.5 % of the loop while there is something to sweep */
    L1_DOOM_SEGMENTS = 64,    /* looked at for expiry each tick */
    L1_DRAIN_STRIPES = 64,    /* touch stripes drained each tick, 256 slots each: about 10 µs */
    L1_STALE_MS = 1000, /* somebody was told to load it: the others are served stale from memory so long */
};
#define SLOT_NONE    UINT32_MAX
#define SEGMENT_NONE UINT32_MAX
/* A new incarnation begins when this much of a counter is left. */
#define L1_SEQ_LAST   (UINT32_MAX - (1u << 20))
#define L1_TICKS_LAST (SHM_TICKS_MAX - 60u * 86400 * 64) /* 60 days: twice the longest life */

/* Newcomers, and what survived a walk: mixed, every segment would hold some worth copying. */
enum pool { POOL_NEW, POOL_KEPT, POOLS };

enum segment_state {
    SEGMENT_FREE,
    SEGMENT_OPEN,   /* the one items of its pool and class are appended to */
    SEGMENT_SEALED, /* in the queue of its pool */
    SEGMENT_DOOMED, /* expired as a whole: dead for readers, its slots are being cleared */
    SEGMENT_WALKED, /* being evicted */
};

struct segment {
    uint32_t used, live_bytes, live_items;
    uint32_t hard_max;   /* ticks: past it the whole segment is expired */
    uint32_t next, prev; /* in its queue */
    uint16_t gen;        /* what slots that name it carry */
    uint8_t state, pool, ttl_class;
    bool populated;
};

/* First in, first out, of segment numbers. */
struct queue {
    uint32_t first, last, count;
};

/* Why a segment is walked decides what becomes of its living items. */
enum walk_kind { WALK_DOOMED, WALK_COMPACT, WALK_EVICT };
struct walk {
    uint32_t segment, at;
    enum walk_kind kind;
    uint64_t worst; /* where the item is that goes in any case; 0: none */
    uint64_t live_before, moved;
};

/* A pass over all items, then over all cells. */
struct sweep {
    bool running, clearing;
    uint32_t start_seq; /* kills up to here are settled when the pass ends */
    uint32_t segment, at, cell;
};

/* What the curve is told (watch.c). */
struct watching {
    struct curve *curve;   /* NULL: switched off */
    uint32_t below;        /* as the touch pages have it */
    uint64_t gets, misses; /* of the daemon, those that are uses */
    uint64_t told_ns;
};

struct l1 {
    struct tier tier; /* first */
    struct l1_options options;
    const struct kills *kills;
    struct gone *gone;
    void (*mirror)(void *user, uint64_t alive_until_ns);
    void *user;
    uint64_t (*now_ns)(struct l1 *l1); /* CLOCK_BOOTTIME; tests bring their own */
    void (*sweep_soon)(struct l1 *l1); /* NULL in tests, which sweep themselves */
    struct loop *loop;
    struct pulse *pulse;
    uint64_t test_now_ns;
    bool open;
    const struct fleet_view *view; /* NULL: STANDALONE */
    bool renew_soon;               /* epochs have changed */
    bool handed_out;               /* somebody may have mapped this segment */

    /* the shared segment, and the tables below beside it (memory.h) */
    struct builder *builder;
    int fd;
    uint8_t *base;
    struct shm_header *header;
    au64 *cells, *gens, *buckets;
    struct shm_shape shape;
    uint64_t huge_index_bytes;
    struct huge *huge; /* NULL: no huge pages here, or no loop (tests) */

    /* segments */
    struct segment *segments;
    struct queue free, doomed, sealed[POOLS];
    uint32_t open_segments[POOLS][L1_TTL_CLASSES];
    uint64_t pool_live_bytes[POOLS];
    uint32_t doom_cursor, compact_cursor, choose_cursor;
    struct walk walk;
    struct eviction *eviction; /* what is worth keeping */
    uint64_t look_state, drained_at;

    /* slots */
    uint32_t *heat; /* by slot: the policy's knowledge of the item */
    uint8_t *sizes;
    uint64_t entries, entries_max;
    uint64_t made_for; /* key and value of the entries the index has room for (fit.h) */

    /* kills */
    uint32_t seq, swept_seq, cells_live;
    struct sweep sweep;

    /* touch pages */
    struct list pages;
    uint32_t pages_count;
    struct list *page_cursor;
    uint32_t stripe_cursor;
    uint64_t policy_hits[SHM_POLICIES];
    struct l1_times near_times;

    struct watching watch;

    struct l1_figures count; /* counters only; gauges are filled in by l1_measure */
    uint64_t incarnation_base;
    uint8_t scratch[1 << (SHM_SEGMENT_SHIFT_MAX - 2)];
};

/* ---- l1.c ------------------------------------------------------------------------------------------------------ */

/* l1_create without timers and loop: tests call l1_tick and l1_sweep_slice themselves, with their own clock. */
int l1_make(const struct l1_setup *setup, uint64_t (*now_ns)(struct l1 *l1), struct l1 **ret);
void l1_unmake(struct l1 *l1);
void l1_tick(struct l1 *l1);
bool l1_sweep_slice(struct l1 *l1); /* false: nothing left to sweep */

/* ---- segment.c ------------------------------------------------------------------------------------------------- */

void segment_rewrite_epochs(struct l1 *l1);
int segment_setup(struct l1 *l1, const char *namespace, uint64_t hash_secret, uint64_t epoch);
void segment_teardown(struct l1 *l1);
/* A new incarnation, empty: at once, or when its memory is there, which may be at a later call (l1_refit). */
int segment_renew(struct l1 *l1);
int segment_refit(struct l1 *l1, uint64_t made_for);

static inline uint32_t segment_bytes(const struct l1 *l1)
{
    return 1u << l1->shape.segment_shift;
}
static inline uint32_t segment_of(const struct l1 *l1, uint64_t offset)
{
    return (uint32_t)((offset - l1->shape.segments_offset) >> l1->shape.segment_shift);
}
static inline uint64_t segment_start(const struct l1 *l1, uint32_t segment)
{
    return l1->shape.segments_offset + ((uint64_t)segment << l1->shape.segment_shift);
}
/* Room for `bytes` at the end of the open segment of that pool and class; 0: none.  `reserved`: moves may take the
 * last free segments. */
uint64_t segment_room(struct l1 *l1, enum pool pool, unsigned ttl_class, uint32_t bytes, bool reserved);
/* The item at that room was published. */
void segment_appended(struct l1 *l1, uint64_t offset, uint32_t bytes, uint32_t hard);
/* The item a slot word named is dead, and the slot no longer names it. */
void segment_item_died(struct l1 *l1, uint64_t slot_word);
void segment_seal(struct l1 *l1, uint32_t segment);
void segment_free(struct l1 *l1, uint32_t segment); /* no slot names it any more */
void segment_doom_expired(struct l1 *l1, uint64_t now_ns);
uint64_t segment_dead_bytes(const struct l1 *l1);

void queue_push(struct l1 *l1, struct queue *q, uint32_t segment);
void queue_remove(struct l1 *l1, struct queue *q, uint32_t segment);
uint32_t queue_pop(struct l1 *l1, struct queue *q);

/* ---- slots.c --------------------------------------------------------------------------------------------------- */

static inline uint32_t slots_count(const struct l1 *l1)
{
    return l1->shape.bucket_count * SHM_SLOTS;
}
static inline uint64_t slots_word(const struct l1 *l1, uint32_t slot)
{
    return order_own(l1->buckets + slot);
}
/* It will be looked for soon: all lines that takes are asked for at once, and ahead of the look. */
void slots_expect(const struct l1 *l1, uint64_t hash);
/* The slot of a key, or SLOT_NONE. */
uint32_t slots_find(const struct l1 *l1, struct slice key, uint64_t hash);
/* The slot that holds exactly this word, or SLOT_NONE. */
uint32_t slots_find_word(const struct l1 *l1, uint64_t hash, uint64_t word);
/* An empty slot for a new key in the emptier of its two buckets, or SLOT_NONE. */
uint32_t slots_place(const struct l1 *l1, uint64_t hash);
/* The least worthy of the 16 slots of a key. */
uint32_t slots_coldest(const struct l1 *l1, uint64_t hash);
/* The slot names something and that is alive as far as segments know. */
bool slots_live(const struct l1 *l1, uint64_t word);
static inline struct eviction_item slots_item(const struct l1 *l1, uint32_t slot)
{
    return (struct eviction_item){l1->heat[slot], l1->sizes[slot]};
}
/* Publishes, accounts for what was there; heat and size are set before. */
void slots_store(struct l1 *l1, uint32_t slot, uint64_t word);
void slots_drop(struct l1 *l1, uint32_t slot);
void slots_touch(struct l1 *l1, uint32_t slot);

/* ---- item.c ---------------------------------------------------------------------------------------------------- */

struct item_view {
    struct shm_item *item;
    uint64_t shape, life, born, v;
    struct slice key, value;
    const uint32_t *prints;
    unsigned prints_count;
};
struct item_view item_at(const struct l1 *l1, uint64_t offset);
static inline struct item_view item_of_slot(const struct l1 *l1, uint32_t slot)
{
    return item_at(l1, shm_slot_offset(slots_word(l1, slot)));
}
static inline uint64_t slots_hash(const struct l1 *l1, uint32_t slot)
{
    return shm_hash_key(l1->shape.hash_secret, item_of_slot(l1, slot).key);
}
uint32_t item_bytes_needed(const struct entry *e);
/* Writes the item into room made by segment_room, not yet published. */
void item_write(struct l1 *l1, uint64_t offset, const struct entry *e, uint32_t bytes);
void item_entry(const struct l1 *l1, const struct item_view *i, uint64_t key_hash, uint64_t now_ns,
                struct entry *ret);

uint32_t item_ticks(const struct l1 *l1, uint64_t ns); /* rounded down, at most SHM_TICKS_MAX */
uint64_t item_ns(const struct l1 *l1, uint32_t ticks);
unsigned item_ttl_class(uint64_t now_ns, uint64_t hard_ns);

/* ---- cells.c --------------------------------------------------------------------------------------------------- */

/* What a reader would say: maybe dead. */
bool cells_hit(const struct l1 *l1, const struct item_view *i);
/* The truth, by the exact map. */
enum verdict cells_judge(const struct l1 *l1, const struct item_view *i);
/* The truth done to the item in `slot`: dead is dropped, a survivor is re-stamped, unless it is suspect. */
enum verdict cells_settle(struct l1 *l1, uint32_t slot);
/* The item is as good as one born now. */
void cells_confirm(struct l1 *l1, uint32_t slot, bool stale);
void cells_kill(struct l1 *l1, uint64_t name_hash);
void cells_floor(struct l1 *l1);
bool cells_to_sweep(const struct l1 *l1);
bool cells_sweep(struct l1 *l1, uint64_t until_mono_ns); /* false: nothing left */
void cells_reset(struct l1 *l1);

/* ---- evict.c --------------------------------------------------------------------------------------------------- */

struct eviction *evict_make(const struct memory_plan *plan, const struct shm_shape *shape); /* any thread */
void evict_begin(struct l1 *l1);
/* Walks over at most `items` items.  False: there is nothing to evict. */
bool evict_step(struct l1 *l1, uint32_t items);
/* There is something to do ahead of need, or something begun. */
bool evict_pending(const struct l1 *l1);
/* Room for an insertion, evicting within its bounds if it must; 0: none. */
uint64_t evict_room(struct l1 *l1, enum pool pool, unsigned ttl_class, uint32_t bytes);
/* One more entry may be held, evicting within the same bounds if it must. */
bool evict_to_limit(struct l1 *l1);
/* Copies the item of a slot to the end of a pool.  False: no room. */
bool evict_move(struct l1 *l1, uint32_t slot, enum pool pool, uint64_t life, unsigned ttl_class);
/* An entry not here before: what it starts with. */
uint32_t evict_newcomer(struct l1 *l1, uint64_t key_hash);

/* ---- life.c ---------------------------------------------------------------------------------------------------- */

void life_promise(struct l1 *l1); /* promises and mode as they are now */
void life_begin(struct l1 *l1);   /* takes the death mark's mutex; state STARTING */
void life_renew(struct l1 *l1);
void life_end(struct l1 *l1); /* state CLOSED, then lets go of the mutex */
bool life_exhausted(const struct l1 *l1);

/* ---- watch.c --------------------------------------------------------------------------------------------------- */

void watch_setup(struct l1 *l1);
void watch_teardown(struct l1 *l1);
/* Keys with tags below are told of. */
static inline uint32_t watch_below(const struct l1 *l1)
{
    return l1->watch.curve ? curve_below(l1->watch.curve) : 0;
}
/* The daemon looked for a key: where it is, or SLOT_NONE. */
void watch_asked(struct l1 *l1, const struct tier_read *read, uint32_t slot);
void watch_stored(struct l1 *l1, const struct entry *e, uint32_t bytes);
void watch_prolonged(struct l1 *l1, uint64_t key_hash, uint64_t hard_ns);
void watch_invalidated(struct l1 *l1, uint64_t key_hash);
void watch_cleared(struct l1 *l1);
void watch_drain(struct l1 *l1, au64 watched[SHM_TOUCHES]);
/* What was counted is told, every now and then. */
void watch_tick(struct l1 *l1);

/* ---- touch.c --------------------------------------------------------------------------------------------------- */

void touch_drain(struct l1 *l1, uint32_t stripes);
void touch_count_all(struct l1 *l1);
/* The touch of a page as the slot it is of; SLOT_NONE: it is of none. */
uint32_t touch_slot(const struct l1 *l1, uint64_t touch);
void touch_watch_below(struct l1 *l1, uint32_t below);

#endif
