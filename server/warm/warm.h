/* The warm tier: entries in LMDB that survive kill -9, checked against everything that was invalidated since.
 * One per namespace; a struct tier for cache/, plus start, restart and health.
 *
 * What must stay true (I12): an acknowledged change of a key never un-happens, not by kill -9, not by a failed
 * commit, not by a full queue.  Reads ask in this order: the overlay of queued changes, the exact kill map, the
 * record's checksum, its epoch and position.
 *
 * Threads: the loop thread calls everything here.  One warm thread owns all LMDB write transactions and is fed by
 * a bounded queue.  Reads run inline when the file is small enough to be resident, else on the pool. */
#ifndef LARDER_WARM_WARM_H
#define LARDER_WARM_WARM_H

#include "base/fleet.h"
#include "base/kills.h"
#include "base/knob.h"
#include "base/tier.h"
#include "net/loop.h"

#define WARM_OPTIONS(OPTION)                                                                                   \
    OPTION(SWITCH, warm, "on", 0, 1, START, "", "keep entries on disk across restarts")                        \
    OPTION(SIZE, warm_bytes, "1GiB", 1ull << 20, 1ull << 40, START, "", "size of the LMDB file at most")       \
    OPTION(SIZE, warm_queue_bytes, "64MiB", 1ull << 20, 4ull << 30, START, "",                                 \
           "changes waiting for a commit at most; values over it are dropped and counted, removals never are") \
    OPTION(DURATION, warm_commit_every, "20ms", 1000000ull, 1000 * 1000000ull, START, "",                      \
           "longest wait of a change for its commit")

struct warm_options {
    KNOB_FIELDS(WARM_OPTIONS)
};

#define WARM_FIGURES(FIGURE)                                                                                   \
    FIGURE(GAUGE, warm_entries, "entries in the database")                                                     \
    FIGURE(GAUGE, warm_kills, "names in the database that were invalidated")                                   \
    FIGURE(GAUGE, warm_bytes_used, "bytes of the LMDB file in use")                                            \
    FIGURE(GAUGE, warm_bytes_max, "bytes it may use")                                                          \
    FIGURE(GAUGE, warm_queue_bytes_used, "bytes waiting for a commit")                                         \
    FIGURE(GAUGE, warm_overlay, "changes not yet committed")                                                   \
    FIGURE(COUNTER, warm_hits, "entries found")                                                                \
    FIGURE(COUNTER, warm_misses, "entries not found")                                                          \
    FIGURE(COUNTER, warm_reads_offloaded, "reads that ran on the pool")                                        \
    FIGURE(COUNTER, warm_puts, "entries committed")                                                            \
    FIGURE(COUNTER, warm_puts_dropped, "entries not stored because the queue was full")                        \
    FIGURE(COUNTER, warm_deletes, "entries removed by changes")                                                \
    FIGURE(COUNTER, warm_evictions, "entries removed from the front for room")                                 \
    FIGURE(COUNTER, warm_expired, "entries swept past their end")                                              \
    FIGURE(COUNTER, warm_bad_records, "records whose checksum failed")                                         \
    FIGURE(COUNTER, warm_commits, "transactions committed")                                                    \
    FIGURE(COUNTER, warm_commits_failed, "transactions that failed")                                           \
    FIGURE(COUNTER, warm_collapses, "times the overlay or journal overflowed into a floor")                    \
    FIGURE(GAUGE, warm_restored, "entries carried into L1 at the last start")

struct warm_figures {
    FIGURE_FIELDS(WARM_FIGURES)
};

/* ---- the runtime page: what must survive kill -9 but not a reboot -------------------------------------- */

/* A file on tmpfs, mapped shared and allocated whole at start: the mirror of alive_until (F3) and the journal of
 * changes whose commit is still to come (F10).  Losing it is noticed, never believed. */
struct page;

struct page_found {
    bool same_boot;          /* an earlier daemon of this boot left it */
    bool clean;              /* and stopped cleanly */
    uint64_t alive_until_ns; /* promises of that daemon to readers end here */
};
/* `path` is created 0600 if missing.  <0: not on tmpfs or no room (logged); the caller goes on without. */
int page_open(const char *path, struct page **ret, struct page_found *ret_found);
struct page *page_close(struct page *p, bool clean);
void page_mirror(void *page, uint64_t alive_until_ns); /* struct l1_setup.mirror */

/* ---- the tier ------------------------------------------------------------------------------------------ */

struct warm;

struct warm_setup {
    const struct warm_options *options;
    struct loop *loop;
    const char *directory; /* of this namespace; made 0700 if missing */
    const char *namespace;
    struct page *page; /* NULL: none; then changes are safe only after their commit */
    const struct page_found *page_found;
    const char *boot_id; /* NULL: of this machine; tests live in other boots */
    bool fleet;          /* positions and epochs are a fleet's */
    unsigned partitions; /* of the fleet; 0 is 1 */
    bool hasty;          /* no pause between sweeps: for tests that wait for one */
};

/* What the state directory remembers; also made up when it remembers nothing. */
struct warm_memory {
    uint64_t hash_secret;
    uint64_t epoch;    /* of local positions: random per state directory */
    uint64_t start_no; /* committed before warm_open returns; local V = start_no << 40 | n */
    bool empty; /* started empty (new, other boot without a clean stop, corrupt, foreign, of another fleet) */
    const char *why; /* a sentence when it is empty and something was there */
    bool scanned;    /* every page of the file was looked at, since somebody might have changed it */
    uint64_t usual_entry; /* as it was last handed to warm_save_hot; 0: never */
};

/* Opens or makes the environment, replays the page's journal, loads the kills.  Runs before the loop, may block.
 * <0: WARM_E_*; the caller may go on without a warm tier. */
enum {
    WARM_E_LOCKED = -1, /* another daemon has the directory */
    WARM_E_ACCESS = -2, /* permissions, not a directory, read-only */
    WARM_E_FULL = -3,   /* no space even to begin */
    WARM_E_SYSTEM = -4,
};
int warm_open(const struct warm_setup *setup, struct warm_memory *ret_memory, struct warm **ret);
/* The saved kills go into the map; then the tier may be used.  Separate, since the map needs the secret. */
void warm_start(struct warm *w, struct kills *kills);
/* Asks the warm thread to commit everything and mark the stop clean; `closed` is called when it has, at
 * `deadline_ns` (on loop_now_ns's clock) at the latest (then unclean).  After warm_start only. */
void warm_stop(struct warm *w, uint64_t deadline_ns, void (*closed)(void *user), void *user);
struct warm *warm_destroy(struct warm *w); /* after closed, or never started; NULL ok, returns NULL */

struct tier *warm_tier(struct warm *w);

/* ---- in a fleet: what it has done here (I6) ---- */

/* After warm_open, one a partition; zeros where nothing is known.  ret_newest: no entry in here has a position above it
 * and above `applied`. */
void warm_places(const struct warm *w, struct fleet_memory *ret, uint64_t *ret_newest);
/* The effects up to place->applied were handed to the tier before this call: the place is committed with them or after
 * them, never before.  Only the newest one of a partition waits. */
void warm_keep_place(struct warm *w, unsigned partition, const struct fleet_memory *place);
/* From now on positions of the partition are in another epoch: entries and kills of the old one mean nothing.  Called
 * when no kill of the new epoch was handed over yet; the map of kills is the caller's. */
void warm_fleet_epoch(struct warm *w, unsigned partition, uint64_t epoch);

/* What the fleet must still be told (C8).  From warm_start to warm_stop; the tier's barrier covers it; each() shows what
 * an earlier run left, and is of no use after the first keep. */
struct outbox *warm_outbox(struct warm *w);
/* In the same way, and nobody waits for it: what cannot be kept at once is not.  The chronicle of invalidations
 * (cache/chronicle.h), statistics by the day (admin/rollup.h), what became of warmings (cache/runs.h). */
struct outbox *warm_notes(struct warm *w);
struct outbox *warm_rollups(struct warm *w);
struct outbox *warm_runs(struct warm *w);

/* Hot set: hashes hottest first, and how large key and value of L1's entries are (0: unknown), kept for the next start. */
void warm_save_hot(struct warm *w, uint64_t usual_entry, const uint64_t *hashes, uint32_t count);
/* Hands entries over for L1, in bounded batches, one a loop turn: the saved hot set first, then newest first, until
 * `take` returns false or there are no more; then `done`.  Entries are judged (kills, epoch, expiry) already; the
 * caller still applies the insert rule for changes made meanwhile. */
void warm_restore(struct warm *w, bool (*take)(void *user, const struct entry *e),
                  void (*done)(void *user, uint64_t taken), void *user);
/* ... and has not come to the end of the hot set yet. */
bool warm_restores_hot(const struct warm *w);

void warm_measure(struct warm *w, struct warm_figures *ret);
/* Kills at or below this position mask nothing in here any more, and never will again: what they killed was removed,
 * what they softened is marked itself.  0: not known yet, or more than one partition, since then there is no order among
 * positions. */
uint64_t warm_swept_v(const struct warm *w);
/* NULL, or a static sentence: what is wrong ("disk full: entries are not kept", "file was corrupt and moved aside"). */
const char *warm_trouble(const struct warm *w);

#endif
