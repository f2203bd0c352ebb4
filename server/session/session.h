/* One client: HELLO → READY → DRAINING → CLOSED.  Turns frames into calls on a cache and answers into frames.
 *
 * What must stay true: a request that was read gets exactly one reply as long as its connection lives; a peer is
 * charged for every byte it pins; nothing a peer sends ends its connection except a broken frame.
 *
 * Sessions know no tier and no configuration: app/ gives them a session_host, and each namespace as a session_space.
 *
 * Thread rule: loop thread only. */
#ifndef LARDER_SESSION_SESSION_H
#define LARDER_SESSION_SESSION_H

#include "base/knob.h"
#include "base/turns.h"
#include "cache/cache.h"
#include "net/limits.h"
#include "net/listener.h"
#include "net/loop.h"
#include "proto/pack.h"

enum session_class { CLASS_GET, CLASS_SET, CLASS_INVALIDATE, CLASS_LOOK, CLASS_LEASE, CLASS_COUNT };

/* A namespace as sessions see it.  Made by app/, lives until sessions_destroy. */
struct session_space {
    const char *name;
    struct cache *cache;
    bool secret; /* gives out no mapping */
    const struct session_space_ops *ops;
    void *user;
    struct took times[CLASS_COUNT]; /* of its requests, counted by sessions; 0 at the beginning */
};

struct session_space_ops {
    /* The shared segment to pass to readers: its fd (stays the app's) and incarnation.  <0: none now, and *ret_why
     * a static sentence for people. */
    int (*segment)(struct session_space *space, int *ret_fd, uint64_t *ret_incarnation, const char **ret_why);
    /* A touch page for one client; the session passes the fd on and closes it.  <0: none. */
    int (*touch_open)(struct session_space *space, void **ret_page, int *ret_fd);
    void (*touch_close)(struct session_space *space, void *page);
};

/* What a document is about. */
enum session_document {
    DOCUMENT_STATS,
    DOCUMENT_HEALTH,
    DOCUMENT_EXPLAIN,
    DOCUMENT_CONFIG,
    DOCUMENT_DOCTOR,
    DOCUMENT_LOG,
    DOCUMENT_REPORT
};

/* What becomes of a question: a document is a text, or takes several turns of the loop (REPORT alone). */
enum { DOCUMENT_MADE, DOCUMENT_LATER };

struct session_question {
    enum session_document kind;
    struct session_space *space;
    bool bound;          /* the asker may not be told names of others */
    bool origin;         /* CONFIG */
    struct slice key;    /* EXPLAIN */
    struct slice tenant; /* EXPLAIN: whom the asker is bound to, with ':'; empty: to none */
    const struct cache_get
        *get; /* EXPLAIN: what the cache found just now, without promoting; valid during the call */
    uint64_t back_ms, limit; /* LOG: not older than that, so many lines at most; back 0: all there are */
    uint32_t days, from;     /* REPORT: so many days; rows from here on */
    uint8_t by;              /* REPORT: as the message says it */
    bool again;              /* REPORT: it was DOCUMENT_LATER in the turn before */
    size_t room;             /* LOG, REPORT: bytes the answer may have; 0: no bound of the asker's */
    const struct cache_probe *probe; /* DOCTOR: how the way to the fleet was; NULL: it takes too long */
};

struct session_host {
    struct loop *loop;
    const struct net_options *options; /* read on each use: LIVE */
    const char *program;               /* "larderd 0.1.0", for WELCOME */
    void *user;
    /* The namespace of that name; NULL: there is none.  An empty name is the default one. */
    struct session_space *(*space)(void *user, struct slice name);
    /* Appends a JSON text.  DOCUMENT_LATER: not yet, to be asked for again in the next turn.  <0 (PACK_E_*): could not. */
    int (*document)(void *user, const struct session_question *question, struct buffer *ret_json);
};

#define SESSION_FIGURES(FIGURE)                                                                     \
    FIGURE(GAUGE, client_connections, "clients connected")                                          \
    FIGURE(GAUGE, client_bytes, "bytes pinned by clients")                                          \
    FIGURE(GAUGE, requests_in_flight, "requests waiting for a tier")                                \
    FIGURE(COUNTER, connections_accepted, "clients ever accepted")                                  \
    FIGURE(COUNTER, connections_refused, "clients answered BUSY for want of room")                  \
    FIGURE(COUNTER, connections_cut, "clients cut off: broken frame, too slow, pinned too much")    \
    FIGURE(COUNTER, requests, "requests read")                                                      \
    FIGURE(COUNTER, requests_bad, "requests that did not follow the protocol or broke a limit")     \
    FIGURE(COUNTER, requests_timed_out, "requests whose deadline passed")                           \
    FIGURE(COUNTER, replies_dropped, "answers whose client had gone or had been told TIMEOUT")      \
    FIGURE(COUNTER, requests_get, "GET requests")                                                   \
    FIGURE(COUNTER, requests_set, "SET requests")                                                   \
    FIGURE(COUNTER, requests_touch, "TOUCH requests")                                               \
    FIGURE(COUNTER, requests_tag, "TAG requests")                                                   \
    FIGURE(COUNTER, requests_invalidate, "INVALIDATE and EVENT requests")                           \
    FIGURE(COUNTER, requests_lease, "LEASE, FAIL, OFFER and LISTED requests")                       \
    FIGURE(COUNTER, requests_look,                                                                  \
           "KEYS, STATS, HEALTH, EXPLAIN, CONFIG, DOCTOR, LOG, MONITOR, REPORT requests")           \
    FIGURE(COUNTER, segments_passed, "mappings given out")                                          \
    FIGURE(COUNTER, clients_unreachable, "calls that found no daemon, as their clients told later") \
    FIGURE(COUNTER, clients_timeouts, "calls that had no answer in time, as their clients told later")

struct session_figures {
    FIGURE_FIELDS(SESSION_FIGURES)
};

/* Time in the daemon, from the frame to its reply.  All requests are counted; measured are the first and then about one
 * in 16 of those answered at once, and all that had to wait.  The first that a policy, a tenant or a tier has counts by its
 * share of the turn of the loop when it is none of those. */

/* How far a get or a lease had to go: the tier that had the key, or all of them in vain; of several keys the farthest.
 * NOWHERE: whatever asks for no entry, and what was refused.  The first four are the numbers of enum tier_name. */
enum session_reach { REACH_NOWHERE, REACH_L1, REACH_WARM, REACH_L2, REACH_MISS, REACH_COUNT };

struct session_times {
    uint64_t count, sum_ns, p50_ns, p95_ns, p99_ns, max_ns;
};
struct session_times session_times_of(const struct took *t);

struct sessions;

struct sessions *sessions_create(const struct session_host *host); /* *host is copied */
struct sessions *sessions_destroy(struct sessions *all); /* after drain's end; NULL ok, returns NULL */

/* For struct listener_setup: takes a connection over (user: the sessions), or refuses it. */
void sessions_take(void *user, int fd, const struct peer *peer);
/* Who it is is known before it says a word: it is bound to that tenant whatever its HELLO says, and to that namespace unless
 * it is NULL. */
struct session_bound {
    struct slice tenant; /* copied */
    struct session_space *space;
};
void sessions_take_bound(struct sessions *all, int fd, const struct peer *peer,
                         const struct session_bound *bound);
/* A name of a tenant: 1 to 254 bytes without ':'. */
bool session_tenant_valid(struct slice tenant);

/* Answers what is under way, then closes each connection, and calls done once when all are gone.  Whoever is left at
 * the deadline is cut.  What a cache still owes is waited for: its structs live in here. */
void sessions_drain(struct sessions *all, uint64_t deadline_ns, void (*done)(void *user), void *user);
/* Cuts everybody now: the deadline of a drain, or a second SIGTERM. */
void sessions_cut(struct sessions *all);

void sessions_measure(const struct sessions *all, struct session_figures *ret);
void sessions_times(const struct sessions *all, enum session_class which, struct session_times *ret);
/* The same of those that went so far. */
void sessions_times_to(const struct sessions *all, enum session_class which, enum session_reach reach,
                       struct session_times *ret);
/* How many of those took `ns` at most. */
uint64_t sessions_times_within(const struct sessions *all, enum session_class which, enum session_reach reach,
                               uint64_t ns);

#endif
