/* One host's membership in the fleet: all partitions of a namespace on one Redis node.
 *
 * What must stay true: nothing is vouched for that was not asked for in this session, and nothing is believed that
 * was asked for in an older one (I9); after every connect the order is HELLO, then the invalidations that waited, then
 * the journal, and only then a fence (C10).
 *
 *              ┌────────────────────────── any trouble ◀──────────────────────────────┐
 *              ▼                                │             │              │         │
 *            DOWN ──pause over──▶ CONNECTING ──▶ HELLO ──all──▶ OUTBOX ──▶ CATCHING_UP ──▶ LIVE
 *              ▲                    │ failed,    answered       empty        applied ≥ V
 *              └────────────────────┘ late
 *   shown:  └────────── DETACHED ──────────────┘└──────── SUSPECT ────────┘└ FRESH ┘     SUSPECT before the first ▲
 *   changes:   AWAY                                          │ sent ─────────────────▶
 *   reads believed                                           │ ──────────────────────▶
 *
 * DETACHED stays until every partition said HELLO: a stopped Redis still takes connections, and readers who may be
 * served meanwhile must be.  But it is shown only once an attempt has failed: until the first one ended, nobody knows
 * whether Redis is away, and what this host missed while it was not there would be served, flagged, beside a Redis that
 * only waits to be asked.  DOWN is an open circuit and the attempt after it its one probe, so no breaker beside it;
 * the pause is forgotten only when a fence came back, so that a Redis that greets and then refuses to write is not
 * asked twenty times a second.
 *
 * Pure: no sockets, no clock (time is passed in, CLOCK_BOOTTIME), no dice of its own.  What it asks of the world is
 * struct coherence_io; the world answers by the functions below, in the order asked on each connection, never from
 * inside a call of coherence_io.
 *
 * Thread rule: loop thread only. */
#ifndef LARDER_L2_COHERENCE_H
#define LARDER_L2_COHERENCE_H

#include "base/clock.h"
#include "base/fleet.h"
#include "l2/backlog.h"

#define COHERENCE_TICK_NS    (10 * NS_PER_MS)   /* how often coherence_tick wants to be called, at least */
#define COHERENCE_CONNECT_NS (1000 * NS_PER_MS) /* until the world must say that it is connected */
#define COHERENCE_ANSWER_NS  (1000 * NS_PER_MS) /* until hello, or a batch of what waited, must be answered */

enum coherence_state {
    COHERENCE_DOWN,
    COHERENCE_CONNECTING,
    COHERENCE_HELLO,
    COHERENCE_OUTBOX,
    COHERENCE_CATCHING_UP,
    COHERENCE_LIVE
};
const char *coherence_state_text(enum coherence_state state);

struct coherence;

/* ---- what it asks of the world ------------------------------------------------------------------------- */

struct coherence_io {
    /* All connections of the node, one fate.  Answered by coherence_connected or coherence_lost. */
    void (*connect)(void *io);
    /* Ends what connect began, at once and for good (SO_LINGER 0): nothing of it is reported any more. */
    void (*close)(void *io);
    /* The first question of a session, each with a new nonce, and with epoch and `seen` of the partition: Redis begins
     * another epoch if it shows less in that one.  coherence_greeted. */
    void (*hello)(void *io, unsigned partition);
    /* coherence_fenced. */
    void (*fence)(void *io, unsigned partition);
    /* Records after this position, as they come, until close.  coherence_record. */
    void (*tail)(void *io, unsigned partition, uint64_t after_v);
    /* What the change points to is read before this returns.  False: not sent, there is no room.
     * coherence_answered. */
    bool (*send)(void *io, struct fleet_change *change);
};

struct coherence_setup {
    unsigned partitions;
    uint64_t detached_max_ns;
    uint64_t backlog_max; /* BACKLOG_MAX; smaller in tests */
    /* 0: the defaults above.  A world with deadlines of its own, which it judges better (conn.c looks once more before it
     * gives up), is given more than those: then these are for what it forgot. */
    uint64_t connect_ns, answer_ns;
    const struct coherence_io *io;
    void *io_user;
    const struct fleet_listener *listener;
    void *listener_user;
    struct outbox *outbox;             /* NULL: queued invalidations do not survive a kill */
    const struct fleet_memory *memory; /* one a partition; NULL: none */
    const uint64_t *newest; /* one a partition: the newest position of an entry kept in that epoch; or NULL */
    uint64_t (*random)(void *user); /* for the pauses between attempts */
    void *random_user;
};

/* Begins DOWN, SUSPECT, with what the memory says; the first tick connects. */
struct coherence *coherence_create(const struct coherence_setup *setup);
/* Closes; changes in flight are answered UNKNOWN.  NULL ok, returns NULL. */
struct coherence *coherence_destroy(struct coherence *c);

/* ---- what the world says ------------------------------------------------------------------------------- */

/* What HELLO answered (scripts/README.md). */
struct coherence_hello {
    uint64_t epoch; /* never 0 */
    uint64_t v;
    uint64_t first;  /* oldest V in the journal, v + 1: none */
    uint64_t killed; /* no kill by name has a position above */
};

void coherence_tick(struct coherence *c, uint64_t now_ns);
void coherence_connected(struct coherence *c, uint64_t now_ns);
void coherence_greeted(struct coherence *c, unsigned partition, const struct coherence_hello *hello,
                       uint64_t now_ns);
void coherence_fenced(struct coherence *c, unsigned partition, uint64_t v, uint64_t now_ns);
/* Stream id `record->v`-`note`: n ≥ 1 is a note, no change. */
void coherence_record(struct coherence *c, unsigned partition, uint64_t note,
                      const struct fleet_record *record, uint64_t now_ns);
/* The answer is in the change; what was certainly not carried out is AWAY or FAILED (with its `why`), what nobody knows
 * UNKNOWN.  An answer that ends the session (EPOCH, SESSION), or the lack of one, is reported first, then coherence_lost. */
void coherence_answered(struct coherence *c, struct fleet_change *change, uint64_t now_ns);
/* A connection failed, was refused, was silent too long, or said what it must not (I9).  `why`: static sentence. */
void coherence_lost(struct coherence *c, const char *why, uint64_t now_ns);
/* A reply of this session and epoch showed this position: of a believed read, the larger of the counter and the entry's
 * own.  What enters a tier must have been seen before: an invalidation made while DETACHED removes what is at or below
 * `seen`, and would leave an entry from above it. */
void coherence_saw(struct coherence *c, unsigned partition, uint64_t v);

/* ---- what the host asks -------------------------------------------------------------------------------- */

/* As fleet_ops. */
int coherence_commit(struct coherence *c, struct fleet_change *change);
int coherence_queue(struct coherence *c, const struct fleet_change *change);
void coherence_measure(const struct coherence *c,
                       struct fleet_figures *ret); /* its part: all but reads, hits, memory */
const struct fleet_view *coherence_view(const struct coherence *c);

/* Somebody reads: keep the promises coming. */
void coherence_read_noticed(struct coherence *c, uint64_t now_ns);

/* Reads may be asked: the outbox is through, so that no reply shows what was invalidated here long ago. */
bool coherence_linked(const struct coherence *c);
/* May a reply to something asked in `session`, of this epoch, reflecting everything up to v_now, enter a tier or be
 * given to anybody (I3)?  What was applied or is pending for its key and names is cache/'s part of I3. */
bool coherence_may_believe(const struct coherence *c, uint64_t session, unsigned partition, uint64_t epoch,
                           uint64_t v_now);
/* Tags and prefixes of a plain reply are judged by this host's kill map.  Is that enough for an entry at entry_v?  Not for
 * one from before the map began, and not while kills that v_now contains may have been waiting in the journal for longer
 * than a promise of freshness allows.  False: Redis must judge (getl without a lease). */
bool coherence_knows_kills(const struct coherence *c, unsigned partition, uint64_t entry_v, uint64_t v_now,
                           uint64_t now_ns);
/* Kills up to v were forgotten here. */
void coherence_forgot(struct coherence *c, unsigned partition, uint64_t v);

enum coherence_state coherence_state(const struct coherence *c);

#endif
