/* liblarder, loading ahead: keys that are loaded when nobody waits for them.  An app registers loaders and serves what the daemon
 * asks of them; larder_warm, a schedule of the daemon, and readers who find something stale are what it asks for.
 * larder.h includes it.
 *
 * Results, threads, deadlines and what happens without a daemon are as in larder.h.  Since: 0.2. */
#ifndef LARDER_WARM_H
#define LARDER_WARM_H

#include "larder.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- loads that the daemon asks for -------------------------------------------------------------------- */

/* Offers to load keys when nobody waits for them: when they are warmed (larder_warm with `load`, a schedule of the daemon), or
 * found stale or due by a reader.  `pattern` is one of the daemon's policies, without commas: "user:*", "{t}:page:*"; at most 16
 * a client, for its life.  Loads are done by larder_serve_loads, in threads of the app.  The loader must not ask for the
 * key it was called for.  OK, INVALID, LIMIT, MEMORY. */
LARDER_API int larder_register_loader(larder_client *client, larder_slice pattern, larder_loader loader, void *user);

/* Names the keys of `pattern` that are to be warmed, hottest first, when a policy of the daemon says so ([policy NAME] warming =
 * loader).  Called by larder_serve_loads; negative: it could not, and the run fails.  The pattern must have been registered
 * with larder_register_loader before, and has one lister.  OK or INVALID. */
typedef struct larder_listing larder_listing;
typedef int (*larder_lister)(void *user, larder_slice pattern, larder_listing *ret);
LARDER_API int larder_register_lister(larder_client *client, larder_slice pattern, larder_lister lister, void *user);
/* Copied; waits while the daemon has no room (65,536 keys: who names more serves with another thread, too).  OK, KEY; REFUSED:
 * nobody wants them any more; or an error of the connection.  After the last two a lister may return. */
LARDER_API int larder_listing_add(larder_listing *listing, larder_slice key);

typedef struct larder_serve_options {
    size_t struct_size;
    uint32_t wait_ms; /* how long to serve */
    uint32_t hold_ms; /* how long one load may take before another process is asked; 0: 30 s; at most 10 min */
} larder_serve_options;
#define LARDER_SERVE_OPTIONS_INIT {.struct_size = sizeof(larder_serve_options), .wait_ms = 500}

/* Loads in this thread what the daemon asks for, one key after another; returns after wait_ms and the load under way then.
 * Up to eight threads of a client serve at a time, others wait for their turn.  Among all processes of the fleet one is
 * asked for a key; when its loader fails, or brings nothing, nobody is for a while (loaded->backoff_ms).  A daemon that is
 * away is waited for.  Returns how many were brought and taken, or INVALID (nothing is registered, or a pattern that the
 * daemon does not understand: larder_message), DENIED, UNSUPPORTED.  `options` may be NULL. */
LARDER_API int larder_serve_loads(larder_client *client, const larder_serve_options *options);

/* ---- warm ---------------------------------------------------------------------------------------------- */

enum { LARDER_WARM_SOURCES_MAX = 64 };
enum larder_warm_state {
    LARDER_WARM_NONE = 0,
    LARDER_WARM_RUNS = 1,
    LARDER_WARM_DONE = 2,
    LARDER_WARM_CANCELLED = 3,
    LARDER_WARM_FAILED = 4, /* `why` tells; what was warmed before stays warm */
};

typedef struct larder_warm_progress {
    int state;           /* enum larder_warm_state */
    bool total_known;    /* false: more keys may still be found */
    uint64_t total;      /* keys so far */
    uint64_t done;       /* of those: loaded, here, missing, others and failed */
    uint64_t loaded;     /* were pulled up from a slower tier */
    uint64_t here;       /* were in shared memory already */
    uint64_t missing;    /* are nowhere, or cannot be proven to be current */
    uint64_t others;     /* were looked at for a tag that they do not carry */
    uint64_t brought;    /* of those loaded: by a registered loader */
    uint64_t failed;     /* a registered loader could not bring them, or not in time */
    uint64_t elapsed_ms;
    char why[128];       /* of FAILED: a sentence */
} larder_warm_progress;

typedef struct larder_warm_options {
    size_t struct_size;
    const larder_slice *keys; /* any number, hottest first: they are pulled in this order */
    size_t keys_count;
    const larder_slice *prefixes; /* all keys that begin so; with `tags` and `all` at most LARDER_WARM_SOURCES_MAX */
    size_t prefixes_count;
    const larder_slice *tags; /* all entries with that tag; every entry of the namespace is looked at for it */
    size_t tags_count;
    bool all;             /* everything the fleet's store has, or without one what the warm tier has */
    uint64_t timeout_ms;  /* of the whole, then it is cancelled; 0: no end */
    /* When not NULL, called every 100 ms or so by the calling thread; false cancels.  Must not use the client. */
    bool (*progress)(void *user, const larder_warm_progress *progress);
    void *user;
    const char *policy;   /* begins the run of this policy ([policy NAME] warming = …), which goes on when the call ends early
                             unless it is cancelled; nothing else is named then.  INVALID: larder_message says why not */
    bool load;            /* what is nowhere, or stale, is asked of registered loaders (larder_register_loader) */
} larder_warm_options;
#define LARDER_WARM_OPTIONS_INIT {.struct_size = sizeof(larder_warm_options)}

/* Pulls entries from slower tiers into the faster ones before anybody asks for them, patiently: reads of others go first,
 * shared memory makes no room for what is warmed, and nothing that was invalidated comes back.  Returns when it is over,
 * however it ended (ret_progress->state), or with an error: BUSY when four warmings of the namespace are under way,
 * UNSUPPORTED by a daemon before 0.2.  ret_progress may be NULL. */
LARDER_API int larder_warm(larder_client *client, const larder_warm_options *options,
                           larder_warm_progress *ret_progress);

#ifdef __cplusplus
}
#endif

#endif
