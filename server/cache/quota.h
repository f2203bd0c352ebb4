/* Named limits: what [limit NAME] of the configuration says.  The app says whom it is about, the configuration how often.
 *
 *     [limit api]
 *     max = 100
 *     window = 60s
 *     scope = {user} | {ip}
 *     plan.free = 100
 *     plan.pro = 500
 *
 * SCOPE.  Alternatives, in their order: the first of which all {name}s were given says what is counted, so that a caller who
 * is known is counted by that and all others by their address.  Without a scope the caller gives a key.  What is counted is
 * ":NAME:ALTERNATIVE:VALUES", with ':' and '%' in a value escaped: no value of one argument can pass for two, no alternative
 * for another.  A bound connection's begins with its tenant, so what it counts, by name or by itself, is its own.
 *
 * A set is made from the configuration and never changes but for its figures; a reload makes another one, which goes on
 * counting where those of the same name were.  Pure memory.  Thread rule: loop thread only. */
#ifndef LARDER_CACHE_QUOTA_H
#define LARDER_CACHE_QUOTA_H

#include "base/knob.h"
#include "cache/policies.h"
#include "proto/slice.h"

#define QUOTA_MAX       1000000000u
#define QUOTA_WINDOW_NS (30 * 86400 * POLICY_SECOND)

/* Of [limit NAME]; beside these plan.PLAN, a max of its own for callers who say plan=PLAN. */
#define QUOTA_OPTIONS(OPTION)                                                                               \
    OPTION(COUNT, max, "", 1, QUOTA_MAX, LIVE, "RATE_LIMIT_MAX_REQUESTS",                                   \
           "so many a window, in one burst or spread over it; the environment speaks of [limit default]")   \
    OPTION(DURATION, window, "", 1000000ull, QUOTA_WINDOW_NS, LIVE, "", "how long that window is")          \
    OPTION(                                                                                                 \
        TEXT, scope, "", 0, 0, LIVE, "",                                                                    \
        "what is counted: {name}s of arguments, with | the first whose are given; empty: the caller's key") \
    OPTION(TEXT, alone, "count", 0, 0, LIVE, "",                                                            \
           "while Redis is away: count on this host, allow all, or refuse all")
#define QUOTA_PLAN "plan.NAME"

#define QUOTA_ALONE_WORDS "count allow refuse" /* enum cache_limit_alone */

struct quota_rule {
    KNOB_FIELDS(QUOTA_OPTIONS)
};

struct quota_plan {
    const char *name;
    uint64_t max;
};

enum { QUOTAS_MAX = 64, QUOTA_PLANS_MAX = 16, QUOTA_SCOPES_MAX = 8 };

#define QUOTA_FIGURES(FIGURE)                     \
    FIGURE(COUNTER, asked, "times asked")         \
    FIGURE(COUNTER, refused, "of those: refused") \
    FIGURE(COUNTER, local, "of all: not counted for the fleet")
struct quota_figures {
    FIGURE_FIELDS(QUOTA_FIGURES)
};

struct quota {
    const char *name, *scope;
    uint64_t max, window_ms;
    unsigned alone; /* enum cache_limit_alone */
    struct quota_figures figures;
};

struct quotas;
struct quotas *quotas_create(void);
struct quotas *quotas_destroy(struct quotas *q); /* NULL ok, returns NULL */
/* All is copied.  False: see *ret_fault; nothing was added. */
bool quotas_add(struct quotas *q, const char *name, const struct quota_rule *rule,
                const struct quota_plan *plans, unsigned plans_count, struct policy_fault *ret_fault);
/* Those of `to` that `from` has as well go on counting. */
void quotas_inherit(struct quotas *to, const struct quotas *from);

unsigned quotas_count(const struct quotas *q);
const struct quota *quotas_nth(const struct quotas *q, unsigned n);
/* NULL: there is none. */
struct quota *quotas_find(struct quotas *q, struct slice name);

/* Whom a call is about. */
struct quota_call {
    struct slice owner;            /* what the key must begin with: of a bound connection, else empty */
    struct slice key;              /* of a quota without scope */
    const struct slice *arguments; /* name and value in turn */
    unsigned arguments_count;      /* slices */
    const char *message;           /* out: a static sentence when it is refused */
};
/* What is counted, written to `room` of WIRE_KEY_MAX bytes, and the max that holds for the caller.  0: refused. */
size_t quota_key(const struct quota *quota, struct quota_call *call, char *room, uint64_t *ret_max);

#endif
