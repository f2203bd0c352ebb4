/* L1, the writer's side of the shared segment (proto/shm.h): hot entries that every process of the host reads
 * without a system call.  One per namespace; a struct tier for cache/, plus what session/ and app/ need.
 *
 * As a tier it differs from the others in what the shared format can hold:
 *   - an entry handed out by get carries its tags as fingerprints (the low 32 bits of their hashes): enough to put
 *     it back here, too little for any other tier;
 *   - get of an entry past soft returns it once as it is and marks it STALE for a second (ADR 8);
 *   - touch prolongs the hard end of a stale entry but does not make it fresh: only a new value does;
 *   - a kill makes readers ask at once; what is really dead says the exact map, when somebody asks, when
 *     eviction comes by, or in the sweep that follows.
 *
 * All work is bounded per call: an insertion that finds no room evicts at most L1_EVICT_ITEMS items or
 * L1_EVICT_NS and gives up the insertion otherwise (TIER_UNSTORED).
 *
 * Thread rule: loop thread only, creation and end included: the death mark belongs to the thread that took it. */
#ifndef LARDER_L1_L1_H
#define LARDER_L1_L1_H

#include "base/fleet.h"
#include "base/gone.h"
#include "base/kills.h"
#include "base/knob.h"
#include "base/tier.h"
#include "net/loop.h"

#define L1_OPTIONS(OPTION)                                                                              \
    OPTION(SWITCH, l1, "on", 0, 1, START, "CACHE_L1_ENABLED", "keep hot entries in shared memory")      \
    OPTION(SIZE, l1_bytes, "256MiB", 4ull << 20, 31ull << 30, START, "CACHE_L1_MAX_SIZE_MB:MIB",        \
           "size of the shared segment, index and all included")                                        \
    OPTION(COUNT, l1_entries, "0", 0, 1ull << 31, START, "CACHE_L1_MAX_ENTRIES,CACHE_MAX_MEMORY_ITEMS", \
           "entries at most; 0: as many as fit")                                                        \
    OPTION(SIZE, l1_entry_bytes, "0", 0, 64 << 10, START, "",                                           \
           "key and value of a usual entry, for the size of the index; 0: as they turn out")            \
    OPTION(DURATION, l1_lease, "500ms", 100 * 1000000ull, 2000 * 1000000ull, START, "",                 \
           "readers stop this long after a daemon that hangs")                                          \
    OPTION(SWITCH, l1_curve, "on", 0, 1, START, "",                                                     \
           "learn what more or less memory would do, for `larder advise` (256 KiB)")                    \
    OPTION(SWITCH, l1_huge_pages, "on", 0, 1, START, "",                                                \
           "ask the kernel for huge pages (Linux 6.1): hits wait less for page tables")                 \
    OPTION(SWITCH, l1_boottime_clock, "off", 0, 1, START, "",                                           \
           "readers use the precise clock (23 ns) instead of the coarse one (5 ns)")

struct l1_options {
    KNOB_FIELDS(L1_OPTIONS)
};

#define L1_FIGURES(FIGURE)                                                                    \
    FIGURE(GAUGE, l1_entries, "entries held")                                                 \
    FIGURE(GAUGE, l1_item_bytes, "bytes of live items")                                       \
    FIGURE(GAUGE, l1_dead_bytes, "bytes of dead items and unused tails in sealed segments")   \
    FIGURE(GAUGE, l1_segment_bytes, "bytes of all segments")                                  \
    FIGURE(GAUGE, l1_total_bytes, "bytes of the whole shared segment")                        \
    FIGURE(GAUGE, l1_huge_bytes, "bytes of it in huge pages")                                 \
    FIGURE(GAUGE, l1_made_for, "bytes of the entries that the index is made for")             \
    FIGURE(GAUGE, l1_clients, "touch pages handed out")                                       \
    FIGURE(GAUGE, l1_incarnation, "number of segments made by this process")                  \
    FIGURE(COUNTER, l1_hits_shared, "hits that clients found in shared memory by themselves") \
    FIGURE(COUNTER, l1_hits_socket, "hits answered by the daemon from L1")                    \
    FIGURE(COUNTER, l1_misses_socket, "lookups of the daemon that found nothing")             \
    FIGURE(COUNTER, l1_puts, "entries stored")                                                \
    FIGURE(COUNTER, l1_unstored, "entries not stored: too large or no room in time")          \
    FIGURE(COUNTER, l1_evictions, "entries evicted for room")                                 \
    FIGURE(COUNTER, l1_displaced, "entries evicted because both their buckets were full")     \
    FIGURE(COUNTER, l1_expired, "entries dropped past their end")                             \
    FIGURE(COUNTER, l1_moves, "entries copied forward by eviction")                           \
    FIGURE(COUNTER, l1_ghost_hits, "insertions that eviction remembered")                     \
    FIGURE(COUNTER, l1_kills, "names killed")                                                 \
    FIGURE(COUNTER, l1_restamps, "entries found alive after all behind a kill cell")          \
    FIGURE(COUNTER, l1_sweeps, "complete background sweeps")                                  \
    FIGURE(COUNTER, l1_refits, "times the index was made anew for others")                    \
    FIGURE(COUNTER, l1_touches, "touches taken from clients")

struct l1_figures {
    FIGURE_FIELDS(L1_FIGURES)
};

struct l1;
struct curve;

struct l1_setup {
    const struct l1_options *options;
    struct loop *loop;
    const struct kills *kills; /* the namespace's exact map; outlives the l1 */
    struct gone *gone;         /* is told of what goes; outlives the l1.  NULL: nobody is */
    const char *namespace;
    uint64_t hash_secret;
    uint64_t usual_entry;          /* key and value, as the last run knew them; 0: unknown */
    uint64_t epoch;                /* STANDALONE */
    const struct fleet_view *view; /* NULL: STANDALONE; else epochs, promises and mode are the fleet's */
    /* Called before each renewal of alive_until with the new value: the mirror for the next daemon must be stored
     * first (F3).  May be NULL. */
    void (*mirror)(void *user, uint64_t alive_until_ns);
    void *user;
};

/* Makes, populates and seals the segment.  <0: the system refused (logged). */
int l1_create(const struct l1_setup *setup, struct l1 **ret);
struct l1 *l1_destroy(struct l1 *l1); /* state = CLOSED first; NULL ok, returns NULL */

struct tier *l1_tier(struct l1 *l1);

/* state = OPEN: from here on readers may hit.  Until then the daemon fills from warm. */
void l1_open(struct l1 *l1);

/* The fleet's view changed: readers are told, in the order of proto/shm.h. */
void l1_fleet_shown(struct l1 *l1);
/* Another epoch: a new segment, since every item of one belongs to the epochs it began with.  It is made at the next use,
 * so that the epochs of many partitions make one; nothing is vouched for on the old one any more. */
void l1_fleet_epoch(struct l1 *l1);

/* The memfd to pass to readers; stays owned by the l1.  Changes when a new incarnation begins (sequence or
 * clock nearly exhausted, another epoch): the old segment is CLOSED then and clients come for the new one. */
int l1_fd(struct l1 *l1);
uint64_t l1_incarnation(struct l1 *l1);

/* A touch page for one client.  The caller passes the fd on and closes it; l1_touch_page_close when the client
 * goes, which takes in its last counts. */
struct touch_page;
int l1_touch_page_open(struct l1 *l1, struct touch_page **ret, int *ret_fd);
struct touch_page *l1_touch_page_close(struct touch_page *page);

/* The hottest of the next `slots` slots from the caller's cursor (0 at first), hottest first; returns how many were written.
 * Bounded work: the private frequencies of those slots are read twice; l1_slots make a round. */
uint32_t l1_hottest(const struct l1 *l1, uint32_t *cursor, uint32_t slots, uint32_t *ret_slots, uint32_t max);
uint32_t l1_slots(const struct l1 *l1);
/* Of a slot told by l1_hottest, until anything else is called here; how often it was used lately, 1 to 15. */
struct slice l1_slot_key(const struct l1 *l1, uint32_t slot);
unsigned l1_slot_frequency(const struct l1 *l1, uint32_t slot);
/* Higher: used more often, or as often and not as far apart. */
unsigned l1_slot_rank(const struct l1 *l1, uint32_t slot);

/* What other sizes would do, as of now; NULL: switched off.  Until the next call of anything here. */
const struct curve *l1_curve(struct l1 *l1);
/* `l1_entries` is what limits it, not its bytes. */
bool l1_limited_by_entries(const struct l1 *l1);
/* Key and value of the mean entry; 0: there are too few to tell. */
uint64_t l1_usual_entry(const struct l1 *l1);
/* Begins a new, empty incarnation when what is here wants a much smaller or larger index (fit.h) and no option says how large
 * it is to be.  0: it did, and somebody should refill it.  L1_REFITTING: its memory is being made, in the pool; ask again.
 * <0: the system refused (logged), and everything is as it was. */
enum { L1_FITS = 1, L1_REFITTING };
int l1_refit(struct l1 *l1);

/* What the segment knows of one key, for `explain`. */
struct l1_explain {
    bool present;
    uint32_t slot_number, segment;
    unsigned frequency, pool, ttl_class;
    uint32_t born, seq;
};
void l1_explain(struct l1 *l1, struct slice key, uint64_t key_hash, struct l1_explain *ret);

/* No kill up to now hides anything in here any more: all items are removed, marked or known to live. */
bool l1_settled(const struct l1 *l1);

void l1_measure(struct l1 *l1, struct l1_figures *ret);
/* Hits of clients per policy, summed over all pages ever; policies from SHM_POLICIES - 1 on share the last. */
void l1_policy_hits(struct l1 *l1, uint64_t ret_hits[SHM_POLICIES]);

/* How long hits of clients took, one of SHM_TOOK_EVERY of each thread's, summed over all pages ever: cells as in
 * proto/shm.h. */
struct l1_times {
    uint64_t sum_ns;
    uint64_t cells[SHM_TOOK_CELLS];
};
void l1_near_times(struct l1 *l1, struct l1_times *ret);

/* Largest value that can be stored with a key of that many bytes and that many tags; 0: none. */
uint32_t l1_value_max(const struct l1 *l1, uint32_t key_bytes, unsigned tags_count);

#endif
