/* Who looks on while operations end, and what each is told of them.
 *
 * What must stay true: a watcher costs a bounded amount of memory and time, and nobody waits for it: it has LINES_MAX
 * places, and when more operations end than that before it asks again, each of them has had the same chance of a place
 * (reservoir sampling by how many to pass over: Li 1994, algorithm L), so that what it sees is a fair picture however slowly it reads; how
 * many had no place is told.  With nobody watching, an operation pays one comparison; with watchers that ask for no
 * names, a count and two comparisons each, and it is looked at closer when it has a place.
 *
 * What it is not told: values; operations of other namespaces; and, when its connection is bound to a tenant, anything
 * but names of that tenant: of a change that names others' things too only its own, and who did it, and what else came of
 * it, only when that was one of the tenant's own connections.
 *
 * Pure: times are passed in. */
#ifndef LARDER_SESSION_MONITOR_H
#define LARDER_SESSION_MONITOR_H

#include <stdbool.h>
#include <stdint.h>
#include "base/pattern.h"
#include "proto/wire.h"

enum {
    WATCHERS_MAX = 4, /* of a daemon: a few people; each costs an operation some ns, with globs more */
    WATCH_LINES_MAX =
        128, /* with the longest names they still fit a frame; a person reads ten in that time */
    WATCH_LINE_BYTES =
        2048, /* of one: a key, three names and the numbers at their longest, while they are put */
    WATCH_GLOBS_MAX = 8,
    WATCH_NEAR = 8,            /* the next few: most end as they begin, one after the other */
    WATCH_FILTER_BYTES = 4096, /* a filter as it came */
    WATCH_CHARGE = WATCH_LINES_MAX * WATCH_LINE_BYTES, /* what the peer is charged for */
};
/* One that asked for nothing so long has gone, or might as well: it is ended, and costs nothing any more. */
#define WATCH_FORGET_NS (15ull * 1000 * 1000 * 1000)

/* An operation that ended: what decides who is told.  The rest is asked for when somebody is. */
struct watched_names {
    uint8_t named; /* WIRE_NAMED_KEY … WIRE_NAMED_GLOB */
    const struct slice *of;
    unsigned count;
};
struct watched {
    const void *space;   /* whose namespace */
    struct slice tenant; /* its connection's, with the ':'; empty: bound to none */
    unsigned code;       /* of its request */
    bool everything;
    const struct watched_names *lists;
    unsigned lists_count;
};

/* What a watcher asks for. */
struct watch_filter {
    uint64_t codes; /* bits 1 << code */
    struct pattern globs[WATCH_GLOBS_MAX];
    unsigned globs_count;
    struct buffer came; /* as it came; globs point into it */
};
/* Copies what the message says.  False: *ret_why, a static sentence; there is nothing to finish then. */
bool watch_filter_read(struct watch_filter *filter, const struct wire_monitor *m, const char **ret_why);
bool watch_filter_is(const struct watch_filter *filter, const struct wire_monitor *m);
void watch_filter_finish(struct watch_filter *filter);

struct watch {
    void *user;
    const void *space;
    struct slice tenant; /* stays the caller's, as long as this */
    struct watch_filter filter;
    uint64_t asked_ns, answered_ns;
    bool waits;             /* somebody waits for its answer: the caller says */
    uint64_t near;          /* the caller's */
    bool by_name;           /* what an operation names decides: it has globs, or a tenant */
    bool due;               /* the operation that is looked at has a place */
    uint64_t seen;          /* since the last answer, that it would be told of */
    uint64_t next;          /* the number of the next one that has a place */
    double left;            /* of algorithm L: the largest of the random numbers of those that have one */
    unsigned count, chosen; /* lines, and the place of the newest */
    struct watch_line {
        uint64_t number; /* of those seen */
        struct buffer bytes;
    } lines[WATCH_LINES_MAX];
};

struct monitor {
    struct watch *of[WATCHERS_MAX]; /* `count` of them */
    unsigned count;
    bool near; /* one of the next few has a place: it is worth looking at the clock when they begin */
    uint64_t random;
    void (*forget)(struct watch *w); /* it asked for nothing for long: to be ended */
};

void monitor_init(struct monitor *m, uint64_t seed, void (*forget)(struct watch *w));
static inline bool monitor_watched(const struct monitor *m)
{
    return __builtin_expect(m->count > 0, 0);
}

/* Takes the filter over, unless it returns NULL: as many watch as may. */
struct watch *watch_begin(struct monitor *m, const void *space, struct slice tenant,
                          const struct watch_filter *filter, uint64_t now_ns);
struct watch *watch_end(struct monitor *m, struct watch *w); /* NULL ok, returns NULL */

/* An operation ended: first this, once.  False: nobody is told of it.  Who asks for names counts below, the others here. */
static inline bool monitor_closer(struct monitor *m, const void *space, unsigned code)
{
    bool closer = false;
    m->near = false;
    for (unsigned i = 0; i < m->count; i++) {
        struct watch *w = m->of[i];
        if (w->space == space && w->filter.codes >> code & 1) {
            w->due = !w->by_name && ++w->seen == w->next;
            closer |= w->due | w->by_name;
        }
        m->near |= w->next - w->seen <= WATCH_NEAR;
    }
    return closer;
}
/* Then, if so: who has a place for it, bits of `of`.  Those are told, of `line` all but name, named and names. */
unsigned monitor_wanted(struct monitor *m, const struct watched *op, uint64_t now_ns);
void monitor_tell(struct monitor *m, unsigned wanted, const struct watched *op, struct wire_operation line);

/* Appends its lines, oldest first, and begins anew. */
void watch_answer(struct monitor *m, struct watch *w, uint64_t now_ns, struct buffer *out,
                  struct wire_operations *ret);

#endif
