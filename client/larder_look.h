/* liblarder, looking in: what the daemon has, what it is asked, how it is set up and how it is.  For tools and people; an
 * app that only reads and writes needs none of it.  larder.h includes it.
 *
 * Results, threads, deadlines and what happens without a daemon are as in larder.h. */
#ifndef LARDER_LOOK_H
#define LARDER_LOOK_H

#include "larder.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- texts --------------------------------------------------------------------------------------------- */

/* JSON texts of the daemon; free with larder_text_free.  OK or an error. */
LARDER_API int larder_stats(larder_client *client, char **ret_json);
LARDER_API int larder_explain(larder_client *client, larder_slice key, char **ret_json);
LARDER_API int larder_config(larder_client *client, bool with_origin, char **ret_json);
/* When the daemon hangs, the state of the segment header is told instead ({"status":"failing",…}). */
LARDER_API int larder_health(larder_client *client, char **ret_json);
/* Tests the way from the daemon to the fleet's store and back, step by step; takes up to a few seconds.  {"ok":…,
 * "steps":[{"name":…,"result":"ok"|"failed"|"skipped","says":…,"check":…}]}.  Since 0.2. */
LARDER_API int larder_doctor(larder_client *client, char **ret_json);
/* The namespace's newest invalidations, newest first, not older than back_ms (0: all that are kept), `limit` of them at
 * most (0: 1000).  {"kept":…,"skipped":…,"invalidations":[{"time":…,"where":"here"|"elsewhere","by":…,"pid":…,"event":…,
 * "status":…,"soft":…,"names":…,"keys":…,"tags":…,"prefixes":…,"globs":…,"all":…,"cascaded":…,"dropped":…,"position":…,
 * "skipped":…}]}; `kept` false: only since the daemon's start.  Since 0.2. */
LARDER_API int larder_log(larder_client *client, uint64_t back_ms, uint32_t limit, char **ret_json);
/* What was counted in the namespace on the last `days` days of UTC (0: 30; at most 400), one of which is today: totals, a
 * row a day, policy, tenant (of bound connections), resource (what the patterns of policies name) or minute (of the last 24
 * hours), and the hottest keys.  A page at a time: `from` is 0, then what the document before has under "next", until that
 * is null.  {"schema":1,"namespace":…,"by":…,"from":"2026-10-23","to":…,"kept":…,"kept_until":…,"totals":{…},"rows":[{"day"|
 * "policy"|"tenant"|"resource"|"minute":…,"gets":…,"hits":…,"hit_ratio":…,"hits_shared":…,"hits_l1":…,"hits_warm":…,
 * "hits_l2":…,"hits_stale":…,"misses":…,"misses_cold":… and a member for each other reason,"sets":…,"saved_calls":…,
 * "saved_ms":…,"saved_millionths":…,"saved_cost":…}],"next":…,"keys":[{"key":…,"heat":…}]}; totals, days and minutes have "invalidations",
 * "loads", "evictions" and "evictions_warm" as well; `kept` false: only since the daemon's start.  Rows add up to the
 * totals.  Since 0.2. */
enum {
    LARDER_REPORT_BY_DAY,
    LARDER_REPORT_BY_POLICY,
    LARDER_REPORT_BY_TENANT,
    LARDER_REPORT_BY_RESOURCE,
    LARDER_REPORT_BY_MINUTE,
};
LARDER_API int larder_report(larder_client *client, uint32_t days, int by, uint32_t from, char **ret_json);
LARDER_API void larder_text_free(char *text);

/* ---- what others ask ----------------------------------------------------------------------------------- */

/* An operation somebody asked the daemon for.  Texts and names live as long as the call that hands it out.  Since 0.2. */
enum larder_named {
    LARDER_NAMED_NOTHING = 0,
    LARDER_NAMED_KEY = 1,
    LARDER_NAMED_TAG = 2,
    LARDER_NAMED_PREFIX = 3,
    LARDER_NAMED_GLOB = 4,
    LARDER_NAMED_EVERYTHING = 5,
};
typedef struct larder_operation {
    uint64_t at_us;      /* when it ended: microseconds since 1970, UTC */
    larder_slice op;     /* "get", "set", "touch", "invalidate", "event", "lease", "fail", "limit", "offer"; more may come */
    int named;           /* enum larder_named: what `name` is */
    larder_slice name;   /* any bytes */
    uint32_t names;      /* how many it named; `name` is the first that was asked for */
    const char *result;  /* "HIT", "MISS", "OK", "DENIED", … */
    const char *reason;  /* of a miss: "cold", "expired", …, else "" */
    int tier;            /* enum larder_tier: where it was found */
    uint32_t flags;      /* LARDER_STALE … */
    uint64_t bytes;      /* of the value found or stored */
    uint64_t ttl_ms;     /* life it has */
    uint64_t dropped;    /* of an invalidation: entries */
    uint64_t took_ns;    /* in the daemon, from the request to the answer; of a few from a little before it */
    larder_slice client; /* options.name of who asked */
    uint32_t pid;        /* and its process */
    larder_slice event;  /* the event or the limit of the configuration that named it */
    larder_slice trace;  /* the traceparent it came with (larder_trace) */
} larder_operation;

typedef struct larder_monitor_options {
    size_t struct_size;
    const larder_slice *ops; /* only these, as above; at most 9.  None: all */
    size_t ops_count;
    const larder_slice *globs; /* only what names something that matches, as globs of an invalidation; at most 8.  None: all */
    size_t globs_count;
    uint64_t timeout_ms; /* 0: no end */
    /* Called by the calling thread for each; false ends it.  Must not use the client. */
    bool (*each)(void *user, const larder_operation *operation);
    /* When not NULL, called four times a second or more often, after those of that time: how many more would have been handed
     * out, and how many hits in shared memory there were, which the daemon never sees.  False ends it. */
    bool (*meanwhile)(void *user, uint64_t left_out, uint64_t near_hits);
    void *user;
} larder_monitor_options;
#define LARDER_MONITOR_OPTIONS_INIT {.struct_size = sizeof(larder_monitor_options)}

/* Hands out what others ask of the namespace, as it ends; never a value.  The daemon waits for nobody: of more than about
 * a thousand operations a second it tells some, chosen evenly, and of the rest their number.  A tenant sees its own keys.
 * OK when it was ended or the time is up, INVALID (no such operation, a glob that is none), BUSY (four watch already),
 * or an error of the connection: what happened meanwhile is not known then.  Since 0.2. */
LARDER_API int larder_monitor(larder_client *client, const larder_monitor_options *options);

/* ---- keys ---------------------------------------------------------------------------------------------- */

/* Lists keys page by page.  Begin with a zeroed cursor; at the end cursor.size is 0 again.  `each` returning false stops
 * early.  Returns how many were handed out, or an error. */
typedef struct larder_listed {
    larder_slice key;
    int tier;
    uint64_t ttl_ms;
    uint64_t value_bytes;
    bool no_dump; /* the daemon's configuration keeps it out of dumps; since 0.2 */
} larder_listed;
LARDER_API int larder_keys(larder_client *client, larder_slice prefix, uint32_t limit, larder_token *cursor,
                           bool (*each)(void *user, const larder_listed *listed), void *user);

#ifdef __cplusplus
}
#endif

#endif
