/* liblarder: the client library of the Larder sidecar cache.
 *
 *     int load_user(void *db, larder_slice key, larder_loaded *ret)          // called only when nobody has it
 *     {
 *         larder_loaded_tag(ret, larder_text("users"));
 *         return larder_loaded_set(ret, query(db, key));                    // your source; copied
 *     }
 *
 *     larder_client *cache;
 *     larder_value user = LARDER_VALUE_INIT;
 *     larder_open(&cache, NULL);
 *     if (larder_get_or_load(cache, larder_text("user:42"), NULL, load_user, db, &user) == LARDER_HIT)
 *         ... user.data, user.size ...
 *     larder_value_free(&user);
 *     larder_close(cache);
 *
 * However many threads, processes and hosts ask at once, load_user runs once; what it read before somebody invalidated
 * the key, a tag or a prefix of it never enters the cache.  get, set and leases below are the parts it is made of.
 * larder_async.h is the same for event loops.  Two more come with this header: larder_warm.h, keys that are loaded before
 * anybody waits for them, and larder_look.h, for tools: what the daemon has, what it is asked, and how it is.
 *
 * RESULTS.  Functions return an int: >= 0 is a state the function lists, < 0 is one of LARDER_E… below
 * (larder_strerror).  Outputs are untouched on failure unless the function says otherwise.
 *
 * THE APP ALWAYS WORKS.  When no daemon answers, a get is LARDER_MISS with reason UNREACHABLE, at once after the
 * first failure (the library tries again with back-off), and a set or invalidate returns LARDER_E_UNREACHABLE,
 * which a caller may ignore.  With options.strict a get returns the error instead.
 *
 * DEADLINES.  Every call returns within its timeout plus one clock tick; a loader it has to run takes what it takes.
 *
 * THREADS.  A larder_client may be used by any number of threads at once.  A hit in shared memory takes no lock and
 * makes no system call.  The library has no threads, signals, stdio or global state.  After fork() the child may go
 * on using the client: it makes a connection of its own at its next call.
 *
 * LIMITS.  Keys 1 to 1,024 bytes of anything; values 0 bytes to the daemon's max_value (1 MiB unless configured);
 * batches up to 1,024 keys; 16 tags an entry.
 *
 * UNITS.  Times are milliseconds, sizes are bytes.  Since: 0.1 for everything without another mark. */
#ifndef LARDER_H
#define LARDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LARDER_VERSION_MAJOR 0
#define LARDER_VERSION_MINOR 1
#define LARDER_VERSION_PATCH 0

#if defined(__GNUC__)
#define LARDER_API __attribute__((visibility("default")))
#else
#define LARDER_API
#endif

typedef struct larder_client larder_client;

/* A byte string somebody else owns. */
typedef struct larder_slice {
    const void *data;
    size_t size;
} larder_slice;

static inline larder_slice larder_text(const char *text)
{
    larder_slice s = {text, strlen(text)};
    return s;
}

static inline larder_slice larder_bytes(const void *data, size_t size)
{
    larder_slice s = {data, size};
    return s;
}

/* ---- results ------------------------------------------------------------------------------------------ */

/* States. */
enum {
    LARDER_OK = 0,
    LARDER_MISS = 0,         /* of a get: not there; value.reason says why */
    LARDER_HIT = 1,          /* the value; value.flags tells when it is stale */
    LARDER_ABSENT = 2,       /* known not to exist (negative caching) */
    LARDER_NOT_MODIFIED = 3, /* the version the caller named is current; no value was sent */
    LARDER_SKIPPED = 4,      /* not stored by wish: ttl 0, or the cache is switched off */
    LARDER_EXISTS = 5,       /* if_absent: not stored */
    LARDER_NOT_FOUND = 6,    /* if_present, touch, tag: no such entry */
    LARDER_CONFLICT = 7,     /* if_version: not stored, the version is another one */
    LARDER_REFUSED = 8,      /* since: not stored, something newer happened */
    LARDER_QUEUED = 9,       /* done here, on its way to the fleet */
    LARDER_LOCAL = 10,       /* done on this host only */
    LARDER_LEASE = 11,       /* of a lease: not there, and you are the one to load it */
    LARDER_WAIT = 12,        /* of a lease: not there, and somebody else is loading it */
    LARDER_LIMITED = 13,     /* of a limit: not now */
};

/* Errors: LARDER_ERROR(number, NAME, "sentence"). */
#define LARDER_ERRORS(LARDER_ERROR)                                                                            \
    LARDER_ERROR(-1, UNREACHABLE, "no daemon answers at the socket")                                           \
    LARDER_ERROR(-2, TIMEOUT, "the deadline passed; a change may or may not have taken effect")                \
    LARDER_ERROR(-3, UNKNOWN, "the connection broke; a change may or may not have taken effect")               \
    LARDER_ERROR(-4, INVALID, "an argument is wrong")                                                          \
    LARDER_ERROR(-5, KEY, "the key is empty or longer than the limit")                                         \
    LARDER_ERROR(-6, TOO_BIG, "the value is larger than the limit")                                            \
    LARDER_ERROR(-7, LIMIT, "more keys, items or tags than the limit")                                         \
    LARDER_ERROR(-8, BUSY, "the daemon has too much in flight")                                                \
    LARDER_ERROR(-9, DRAINING, "the daemon is stopping")                                                       \
    LARDER_ERROR(-10, NAMESPACE, "no such namespace")                                                          \
    LARDER_ERROR(-11, VERSION, "library and daemon have no protocol version in common")                        \
    LARDER_ERROR(-12, PROTOCOL, "the daemon's answer makes no sense")                                          \
    LARDER_ERROR(-13, UNSUPPORTED, "this daemon does not know that verb")                                      \
    LARDER_ERROR(-14, DENIED, "not allowed for this peer")                                                     \
    LARDER_ERROR(-15, DETACHED, "cannot be decided while the fleet's store is unreachable")                    \
    LARDER_ERROR(-16, INTERNAL, "the daemon failed; its log says how")                                         \
    LARDER_ERROR(-17, MEMORY, "no memory")                                                                     \
    LARDER_ERROR(-18, SYSTEM, "a system call failed; errno says how")                                          \
    LARDER_ERROR(-19, LOAD, "the loader failed, and there is nothing older to give")                           \
    LARDER_ERROR(-20, SHAPE, "the key has not the parts that its namespace demands")

enum {
#define LARDER_ERROR(number, NAME, sentence) LARDER_E_##NAME = (number),
    LARDER_ERRORS(LARDER_ERROR)
#undef LARDER_ERROR
};

/* The sentence of any result, state or error.  Static text. */
LARDER_API const char *larder_strerror(int result);
/* What the daemon said with the last error of a call by this thread, "" when nothing: names the limit that was passed,
 * for instance.  Valid until this thread's next call. */
LARDER_API const char *larder_message(larder_client *client);
/* "0.1.0". */
LARDER_API const char *larder_version(void);

/* ---- opening ------------------------------------------------------------------------------------------ */

typedef struct larder_options {
    size_t struct_size;
    const char *socket;      /* NULL: $LARDER_SOCKET, else $XDG_RUNTIME_DIR/larder/larder.sock if that exists, else
                                /run/larder/larder.sock */
    const char *namespace_;  /* NULL: $LARDER_NAMESPACE, else "default" */
    const char *tenant;      /* NULL: none; else all keys must begin with it and ':', and shared memory is not used */
    const char *name;        /* who this is, for the daemon's logs; NULL: none */
    /* Deadlines.  0: $LARDER_TIMEOUT_MS (milliseconds, a minute at most; for machines slower than the usual ones), else: */
    uint32_t connect_ms;     /* 100 */
    uint32_t get_ms;         /* of gets: 50 */
    uint32_t change_ms;      /* of everything else: 500 */
    bool strict;             /* a get without a daemon is an error instead of a miss */
    bool no_shared_memory;   /* always ask the daemon */
    /* Called with one line an operation when not NULL and $LARDER_DEBUG=1 or debug is set; from any thread that uses
     * the client; must not call back into it. */
    void (*log)(void *log_user, const char *line);
    void *log_user;
    bool debug;
    /* What get_or_load may keep in this process while no daemon answers: bytes, 0: nothing.  Entries live 60 s at most, are
     * dropped when a daemon answers again, and are flagged LARDER_IS_LOCAL.  Since 0.2. */
    size_t fallback_bytes;
} larder_options;
#define LARDER_OPTIONS_INIT {.struct_size = sizeof(larder_options)}

/* Never waits for a daemon and succeeds without one; fails with INVALID, MEMORY or SYSTEM only.  `options` may be
 * NULL and is copied. */
LARDER_API int larder_open(larder_client **ret_client, const larder_options *options);
/* No other call may be running, and no thread that has used the client may be ending just now.  NULL is accepted. */
LARDER_API void larder_close(larder_client *client);
/* The path it uses.  Valid as long as the client. */
LARDER_API const char *larder_socket(const larder_client *client);
/* Round trip to the daemon.  OK or an error, whatever `strict` says. */
LARDER_API int larder_ping(larder_client *client);
/* Lets go of a mapping whose daemon is gone, so that an idle process does not keep its memory alive; re-attaches if
 * a daemon is there.  For workers that may not call anything else for long. */
LARDER_API int larder_idle(larder_client *client);

/* ---- get ---------------------------------------------------------------------------------------------- */

/* Identifies one state of one entry: an ETag.  Compare with larder_version_equal only. */
typedef struct larder_entry_version {
    uint64_t epoch;
    uint64_t v;
    uint32_t id;
} larder_entry_version;

static inline bool larder_version_equal(larder_entry_version a, larder_entry_version b)
{
    return a.epoch == b.epoch && a.v == b.v && a.id == b.id;
}

/* Where a change stands in the order of all changes of its partition. */
typedef struct larder_position {
    uint8_t partition;
    uint64_t epoch;
    uint64_t v;
} larder_position;

/* What a miss or a lease hands out and the set after it hands back. */
typedef struct larder_token {
    uint8_t size;
    uint8_t bytes[64];
} larder_token;

enum {
    LARDER_STALE = 1,
    LARDER_IS_LOCAL = 2,        /* kept or loaded while nobody could vouch for it */
    LARDER_IS_DETACHED = 4,
    LARDER_TOO_BIG_FOR_L1 = 8,
    LARDER_IS_LOADED = 16,      /* straight from a loader: it may not have been stored.  Since 0.2 */
    LARDER_LOAD_FAILED = 32,    /* stale, because the loader of this call failed.  Since 0.2 */
    LARDER_HAS_TAGS = 64,       /* larder_value_tags tells them.  Since 0.2 */
};
enum larder_tier { LARDER_TIER_NONE = 0, LARDER_TIER_L1 = 1, LARDER_TIER_WARM = 2, LARDER_TIER_L2 = 3 };
enum { LARDER_ONLY_L1 = 1 << 1, LARDER_ONLY_WARM = 1 << 2, LARDER_ONLY_L2 = 1 << 3 }; /* for `tiers` */
enum larder_reason {
    LARDER_REASON_NONE = 0,
    LARDER_REASON_COLD = 1,
    LARDER_REASON_EXPIRED = 2,
    LARDER_REASON_INVALIDATED = 3,
    LARDER_REASON_SUSPECT = 4,
    LARDER_REASON_DETACHED = 5,
    LARDER_REASON_STALE = 6,
    LARDER_REASON_DISABLED = 7,
    LARDER_REASON_UNREACHABLE = 8,
    LARDER_REASON_TIMEOUT = 9,
    LARDER_REASON_EVICTED = 10, /* since 0.2, like those below */
    LARDER_REASON_TOO_BIG = 11,
    LARDER_REASON_SCHEMA = 12,
    LARDER_REASON_UNNAMED = 13, /* its tags were asked for, and nobody knows them by name */
};

/* A value and what is known of it.  Begin with LARDER_VALUE_INIT; a value may be used for any number of gets, each
 * overwrites it and reuses its memory, so that a loop of hits allocates nothing; larder_value_free at the end.
 * `data` belongs to the value.  Not for two threads at once. */
typedef struct larder_value {
    void *data;
    size_t size;
    size_t capacity;        /* of data; the library's */
    uint32_t flags;         /* LARDER_STALE … */
    uint32_t user_flags;    /* as set */
    uint32_t schema;        /* as set */
    int tier;               /* enum larder_tier: where it was found */
    int reason;             /* enum larder_reason, of a miss */
    bool near;              /* found in shared memory by this process */
    uint64_t ttl_ms;        /* remaining life until it is gone */
    uint64_t fresh_ms;      /* remaining life until it is stale */
    larder_entry_version version;
    larder_token token;     /* of a miss, and the lease of larder_lease */
    int result;             /* in a batch: what larder_get would have returned */
} larder_value;
#define LARDER_VALUE_INIT {.data = NULL}

LARDER_API void larder_value_free(larder_value *value); /* NULL and empty are accepted; leaves it empty */
/* The tags of a HIT or ABSENT that was asked for with `tags`, the policy's among them: LARDER_TAGS_MAX at most into ret_tags, whose
 * bytes live as long as the value.  Returns how many.  Since 0.2. */
enum { LARDER_TAGS_MAX = 16 };
LARDER_API size_t larder_value_tags(const larder_value *value, larder_slice *ret_tags);

typedef struct larder_get_options {
    size_t struct_size;
    uint32_t timeout_ms;                     /* 0: the client's */
    bool no_stale;                           /* stale counts as a miss */
    bool no_value;                           /* only what is known of it */
    uint8_t tiers;                           /* LARDER_ONLY_… bits; 0: all */
    const larder_entry_version *if_version;  /* not NULL: NOT_MODIFIED when this is the current one; in a batch for one
                                                key only */
    /* Not NULL: nothing older than this change, whoever made it, on whatever host (a position some set or invalidate told).
     * It concerns keys of its partition; the daemon is always asked.  What cannot be proven is a MISS.  Since 0.2. */
    const larder_position *not_older_than;
    uint32_t schema;                         /* not 0: an entry stored with another one is a MISS.  Since 0.2 */
    /* With its tags (larder_value_tags).  Shared memory has none: the daemon is always asked, and answers from where they are
     * known by name, or MISS.  For who copies entries elsewhere: nothing is promoted by it or counted.  Since 0.2. */
    bool tags;
} larder_get_options;
#define LARDER_GET_OPTIONS_INIT {.struct_size = sizeof(larder_get_options)}

/* HIT, ABSENT, NOT_MODIFIED, MISS, or an error (KEY and INVALID always; the others only when strict).  `options` may
 * be NULL.  `value` is overwritten in every case. */
LARDER_API int larder_get(larder_client *client, larder_slice key, const larder_get_options *options,
                          larder_value *value);
/* Up to 1,024 keys; what shared memory does not have travels in as few round trips as fit.  values[i].result is the
 * result of keys[i].  Returns the number of hits, or an error that concerns all. */
LARDER_API int larder_mget(larder_client *client, const larder_slice *keys, size_t count,
                           const larder_get_options *options, larder_value *values);

/* Zero copy, for parsers that survive any bytes: larder_peek says where the value lies in shared memory right now (HIT)
 * or that it does not (MISS; use larder_get).  The bytes may change while they are read, so nothing read may be believed
 * before larder_validate returns HIT; MISS means: forget it all, use larder_get.  Never blocks, never touches the socket.
 * Every successful peek must be followed by exactly one larder_validate by the same thread; until then the segment stays
 * mapped, even when its daemon is gone and another one has been attached to.  A view does not survive a fork. */
typedef struct larder_view {
    const void *data;
    size_t size;
    uint32_t flags, user_flags, schema;
    uint64_t ttl_ms;
    larder_entry_version version;
    uint64_t private_[48];
} larder_view;
LARDER_API int larder_peek(larder_client *client, larder_slice key, larder_view *ret_view);
LARDER_API int larder_validate(larder_client *client, larder_view *view);

/* ---- set, touch ---------------------------------------------------------------------------------------- */

#define LARDER_TTL_DEFAULT UINT64_MAX

typedef struct larder_set_options {
    size_t struct_size;
    uint64_t ttl_ms;         /* life; 0: store nothing and drop what is there; LARDER_TTL_DEFAULT: as configured */
    uint64_t stale_ms;       /* how much longer it may be served stale; with LARDER_TTL_DEFAULT: as configured */
    uint32_t user_flags;
    uint32_t schema;
    bool absent;             /* store the knowledge that it does not exist; the value must be empty */
    const larder_slice *tags;
    size_t tags_count;
    const larder_token *since;               /* of the miss that led here; NULL: claims to be newer than everything */
    bool if_absent, if_present;
    const larder_entry_version *if_version;
    uint8_t tiers;           /* LARDER_ONLY_… bits; 0: all */
    uint32_t timeout_ms;     /* 0: the client's */
    /* out, when the call returns >= 0 */
    larder_entry_version *ret_version;
    larder_position *ret_position;
    /* OK comes when no host of the fleet can serve anything older unflagged any more: about 260 ms later.  In a batch the
     * same for all items.  Since 0.2. */
    bool wait_all;
} larder_set_options;
#define LARDER_SET_OPTIONS_INIT {.struct_size = sizeof(larder_set_options), .ttl_ms = LARDER_TTL_DEFAULT, .stale_ms = LARDER_TTL_DEFAULT}

/* OK, QUEUED, LOCAL, SKIPPED, EXISTS, NOT_FOUND, CONFLICT, REFUSED, or an error.  After OK, QUEUED and LOCAL no get on this
 * host that begins later returns anything older.  Beside a fleet whose store is away: LOCAL, the value is kept on this host
 * for a while; QUEUED, it is kept nowhere, and the old one is gone; in both cases the other hosts are told that the old one
 * is dead as soon as that is possible; DETACHED, a condition cannot be decided now; UNKNOWN, the store did not answer and
 * may have taken it.  `options` may be NULL. */
LARDER_API int larder_set(larder_client *client, larder_slice key, larder_slice value,
                          const larder_set_options *options);

typedef struct larder_item {
    larder_slice key;
    larder_slice value;
    const larder_set_options *options; /* NULL: the batch's; its timeout_ms is not used */
    int result;                        /* out: what larder_set would have returned */
} larder_item;
/* Each item by itself, no all-or-nothing.  Conditions must be the same for all items of a batch.  Returns how many were
 * stored, or an error that concerns all. */
LARDER_API int larder_mset(larder_client *client, larder_item *items, size_t count,
                           const larder_set_options *options);

/* Life from now; never makes it shorter.  OK, NOT_FOUND or an error. */
LARDER_API int larder_touch(larder_client *client, larder_slice key, uint64_t ttl_ms);

/* Tags beside those the entry has, 16 in all: it is stored anew with the same value and the life it has left, so its version
 * is another one.  After OK an invalidation of one of them takes the entry along on every host.  OK, NOT_FOUND, CONFLICT: it was
 * changed again and again meanwhile; or an error, after which it may be gone.  Since 0.2. */
LARDER_API int larder_tag(larder_client *client, larder_slice key, const larder_slice *tags, size_t tags_count);

/* ---- get_or_load (since 0.2) ---------------------------------------------------------------------------- */

/* What a loader hands back.  The library makes it; a loader sets what is not as preset.  Fields may be added at its end. */
typedef struct larder_loaded {
    uint64_t ttl_ms;         /* as of a set; preset to LARDER_TTL_DEFAULT */
    uint64_t stale_ms;
    uint32_t user_flags;
    uint32_t schema;
    bool absent;             /* it does not exist; the value stays empty */
    bool no_store;           /* for those who ask now, to be kept nowhere */
    uint32_t backoff_ms;     /* with a failure: nobody is to try again for so long; 0: 100 ms, doubling to 10 s;
                                UINT32_MAX: the next one may at once */
    struct larder_holding *private_;
} larder_loaded;

/* The value.  Copied.  OK, which is 0, or MEMORY: a loader may end with it. */
LARDER_API int larder_loaded_set(larder_loaded *loaded, larder_slice value);
/* The value, which is the library's from now on: free_data(data) when it is done, whatever happens. */
LARDER_API int larder_loaded_take(larder_loaded *loaded, void *data, size_t size, void (*free_data)(void *data));
/* A name by which it can be invalidated.  Copied.  OK, MEMORY or, beyond 16, LIMIT. */
LARDER_API int larder_loaded_tag(larder_loaded *loaded, larder_slice tag);

/* Gets the value of `key` from its source.  Called in the thread of the larder_get_or_load that needs it, with no lock held;
 * may use the client, for other keys.  0: loaded; negative: it could not (a code of the app's own, handed on in
 * ret_load_error).  It must return (no longjmp, no exception). */
typedef int (*larder_loader)(void *user, larder_slice key, larder_loaded *ret);

/* Among whom there is one loader a key.  Without a daemon: the process. */
enum larder_scope { LARDER_SCOPE_POLICY = 0, LARDER_SCOPE_HOST = 1, LARDER_SCOPE_FLEET = 2, LARDER_SCOPE_PROCESS = 3 };
enum larder_refresh {
    LARDER_REFRESH_INLINE = 0, /* the one caller who is to refresh a stale value does it before his call returns */
    LARDER_REFRESH_LATER = 1,  /* he gets the stale value at once; larder_work does it.  Loader and user must stay valid
                                  until then or until the client is closed.  At most 1,024 wait to be done */
};

typedef struct larder_load_options {
    size_t struct_size;
    uint32_t timeout_ms;     /* how long to wait for others who load; 0: hard_ms.  Then: what is stale, else TIMEOUT */
    uint32_t soft_ms;        /* rather than give what is stale at once, wait so long for somebody else's refresh */
    uint32_t hard_ms;        /* how long a load may take before somebody else is let to try; 0: 30 s; at most 10 min */
    uint32_t early_ms;       /* a value with less fresh life than this is refreshed by one caller; 0: as the policy says,
                                which a hit in shared memory does not know of */
    bool no_stale;           /* stale counts as a miss; a loader that fails is then an error */
    uint8_t scope;           /* enum larder_scope */
    uint8_t refresh;         /* enum larder_refresh */
    uint8_t tiers;           /* LARDER_ONLY_… bits; 0: all; with some there is one loader a process, not more */
    int *ret_load_error;     /* out: what the loader returned if this process' loader failed, else 0 */
    uint32_t schema;         /* not 0: an entry stored with another one is loaded anew.  The same in all calls of a process
                                for one key */
} larder_load_options;
#define LARDER_LOAD_OPTIONS_INIT {.struct_size = sizeof(larder_load_options)}

/* HIT or ABSENT; or LOAD (the loader failed just now, here or elsewhere), TIMEOUT, KEY, INVALID (a loader that asks for its
 * own key, too), MEMORY.  A daemon that is away is no error, strict or not: then there is one loader in this process.
 *
 * Who gets what: with a daemon, a value never comes from a source that was asked before an invalidation (or a set) which had
 * returned, on this host, when this call began; without one, before a change by this process.  A stale value is given at once
 * to all but the one who refreshes it, and to him when his loader fails.  After a failure nobody's loader is called for a
 * while: all get LOAD, at once.
 *
 * `options` may be NULL.  `value` is overwritten in every case.  Algorithm: leases with fenced fills after memcache at
 * Facebook (Nishtala et al. 2013); stale-while-revalidate after RFC 5861. */
LARDER_API int larder_get_or_load(larder_client *client, larder_slice key, const larder_load_options *options,
                                  larder_loader loader, void *user, larder_value *value);
/* Does the refreshes that REFRESH_LATER left, in this thread; waits up to wait_ms for the first.  Returns how many it did.
 * For a thread of the app's own, or the idle time of any. */
LARDER_API int larder_work(larder_client *client, uint32_t wait_ms);

/* The parts, for a flow of one's own.  HIT, ABSENT, LEASE, WAIT, MISS (load without a lease; value->reason says why), or
 * LOAD (nobody is to try for value->ttl_ms).  With LEASE, and with a HIT whose value->token is not empty, this caller is
 * the one to load: larder_lease_fill or larder_lease_fail must follow, within hard_ms.  timeout_ms 0 does not wait while
 * somebody else loads.  ret_load_error, refresh and soft_ms are not used. */
LARDER_API int larder_lease(larder_client *client, larder_slice key, const larder_load_options *options,
                            larder_value *value);
/* Up to 1,024 keys, none of which waits.  Returns the number of hits, or an error that concerns all. */
LARDER_API int larder_mlease(larder_client *client, const larder_slice *keys, size_t count,
                             const larder_load_options *options, larder_value *values);
/* A set with a lease (options->since is not used).  As larder_set; REFUSED: something newer happened, or the lease had
 * ended.  Those who wait get the value, unless they began after that. */
LARDER_API int larder_lease_fill(larder_client *client, larder_slice key, const larder_token *lease, larder_slice value,
                                 const larder_set_options *options);
/* It could not be loaded: those who wait are told, and nobody is to try for backoff_ms (0: 100 ms, doubling to 10 s;
 * UINT32_MAX: the next one may at once).  OK, REFUSED or an error. */
LARDER_API int larder_lease_fail(larder_client *client, larder_slice key, const larder_token *lease, uint32_t backoff_ms);

/* ---- limit (since 0.2) ----------------------------------------------------------------------------------- */

/* A word of the app's for a name in the daemon's configuration.  Since 0.2. */
typedef struct larder_argument {
    larder_slice name, value;
} larder_argument;

enum larder_alone {
    LARDER_ALONE_COUNT = 0,  /* while nobody counts for the fleet: this host counts by itself */
    LARDER_ALONE_ALLOW = 1,
    LARDER_ALONE_REFUSE = 2,
};

typedef struct larder_limit_options {
    size_t struct_size;
    uint64_t max;        /* so many a window, in one burst or spread over it; 1 to 1,000,000,000 */
    uint64_t window_ms;  /* 1 ms to 30 days */
    uint64_t cost;       /* how many this one counts as, at most max; 0: only asks */
    int alone;           /* enum larder_alone */
    uint32_t timeout_ms; /* 0: the client's for changes */
} larder_limit_options;
#define LARDER_LIMIT_OPTIONS_INIT {.struct_size = sizeof(larder_limit_options), .cost = 1}

typedef struct larder_allowance {
    bool allowed;       /* also set, as `alone` says (COUNT: true), when the call returns an error */
    bool local;         /* nobody counted for the fleet */
    uint64_t remaining; /* how many more of cost 1 would be allowed now */
    uint64_t reset_ms;  /* until it is as if nothing had been asked */
    uint64_t retry_ms;  /* of LIMITED: until the same would be allowed */
    uint64_t max;       /* so many a window, as asked or as configured; 0 when the call returns an error */
} larder_allowance;

/* Rate limit: may it be done once more now?  `key` names who or what is limited, and is no key of an entry.  Exact over all
 * hosts of the fleet (generic cell rate algorithm, in the fleet's store).  OK, LIMITED, or an error: INVALID, KEY, and those
 * of every call; TIMEOUT and UNKNOWN: it may have been counted. */
LARDER_API int larder_limit(larder_client *client, larder_slice key, const larder_limit_options *options,
                            larder_allowance *ret);
/* The same by a name: [limit NAME] of the daemon's configuration says max, window and what to do alone; of `options` (NULL:
 * none) cost and timeout_ms count, and `alone` for when this call returns an error.  A limit with a scope counts by
 * arguments, any other by `key`; the argument "plan" chooses among its maxima.  At most 64 arguments.  INVALID: no such limit,
 * or what it counts by was not given (larder_message says which). */
LARDER_API int larder_limit_named(larder_client *client, larder_slice name, larder_slice key,
                                  const larder_argument *arguments, size_t count,
                                  const larder_limit_options *options, larder_allowance *ret);

/* ---- invalidate ---------------------------------------------------------------------------------------- */

typedef struct larder_invalidate_options {
    size_t struct_size;
    const larder_slice *keys;
    size_t keys_count;
    const larder_slice *tags;      /* entries with any of them */
    size_t tags_count;
    const larder_slice *prefixes;  /* ending with ':', within the first 8 levels */
    size_t prefixes_count;
    bool all;                      /* everything in the namespace */
    bool soft;                     /* stale instead of gone */
    bool dry_run;                  /* only count */
    uint32_t timeout_ms;
    /* out */
    uint64_t *ret_count;           /* entries dropped, as far as the daemon can tell at once */
    larder_position *ret_position; /* in a fleet with several partitions there is one in each; this is one of them */
    bool wait_all;                 /* as of a set; since 0.2 */
    const larder_slice *globs;     /* keys that match: * takes what is left of its level (between two ':'), or, at the very
                                    * end, all that is left; one * a level, at most 16 globs of 255 bytes; since 0.2 */
    size_t globs_count;
} larder_invalidate_options;
#define LARDER_INVALIDATE_OPTIONS_INIT {.struct_size = sizeof(larder_invalidate_options)}

/* OK, QUEUED, LOCAL or an error.  After them no get on this host that begins later returns what was invalidated.  QUEUED:
 * the other hosts learn of it when the fleet's store is back, even if this one is killed meanwhile; LOCAL: if it is not. */
LARDER_API int larder_invalidate(larder_client *client, larder_slice key);
LARDER_API int larder_minvalidate(larder_client *client, const larder_slice *keys, size_t count);
/* Everything named is one change with one position; in a fleet, one in each partition and for each 256 keys of it. */
LARDER_API int larder_invalidate_all_of(larder_client *client, const larder_invalidate_options *options);

/* A named event: the app says what happened, the daemon's configuration ([event NAME]) says what that invalidates.  One
 * change, answered as larder_invalidate_all_of; of `options` (NULL: none) soft, dry_run, timeout_ms, wait_all, ret_count and
 * ret_position count.  An argument's value has 1 to 255 bytes, none of them a ':'.  LARDER_E_INVALID: no such event, or an
 * argument is missing or wrong; LARDER_E_UNSUPPORTED: the daemon knows no events.  Since 0.2. */
LARDER_API int larder_event(larder_client *client, larder_slice name, const larder_argument *arguments, size_t count,
                            const larder_invalidate_options *options);

/* ---- of one's own calls ------------------------------------------------------------------------------- */

/* What this thread's calls on the client are done for from now on: a W3C traceparent ("00-…", 55 characters), which the daemon
 * shows in its debug log and to those who watch, and the client in its own debug lines.  NULL: nothing.  Copied.  OK;
 * INVALID: it is no traceparent, and nothing is sent; MEMORY.  Since 0.2. */
LARDER_API int larder_trace(larder_client *client, const char *traceparent);

/* What this client counted itself, all threads together. */
typedef struct larder_counters {
    size_t struct_size;
    uint64_t near_hits;      /* in shared memory */
    uint64_t asked;          /* requests sent */
    uint64_t unreachable;    /* calls that found no daemon */
    uint64_t timeouts;
    uint64_t attaches;       /* segments mapped */
    uint64_t dead_bytes;     /* of a mapping whose daemon is gone */
    uint64_t loads;          /* loaders that brought something; since 0.2, like all below */
    uint64_t load_failures;
    uint64_t joined;         /* calls that waited for another thread's load */
} larder_counters;
LARDER_API int larder_counted(larder_client *client, larder_counters *ret);

#ifdef __cplusplus
}
#endif

#include "larder_look.h"
#include "larder_warm.h"

#endif
