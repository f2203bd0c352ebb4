/* One operation of a client, as traffic.c writes it and history.py reads it (names and order: from here). */
#ifndef LARDER_TESTS_FAULT_TRAFFIC_H
#define LARDER_TESTS_FAULT_TRAFFIC_H

#include <stdint.h>

struct traffic_op {
    uint64_t verb;
    uint64_t host;
    uint64_t client;
    uint64_t begin; /* times: CLOCK_BOOTTIME in ns, one clock for all processes of the machine */
    uint64_t end;
    uint64_t read;   /* of a fill: when its source was read; else 0 */
    uint64_t result; /* as the library returned it */
    uint64_t flags;
    uint64_t value; /* a number that no two sets share; of a get: the one that was found */
    uint64_t names; /* the keys it concerns, a bit each */
    uint64_t partition;
    uint64_t epoch;
    uint64_t v;
    uint64_t id;
    uint64_t ttl_ms;   /* of a set; 0: the default */
    uint64_t expected; /* of a compare-and-set: the version it named; of a miss: its reason */
    uint64_t waited;   /* of a change: until all hosts must know; of a lease: for how many ms at most */
    uint64_t lease;    /* of a fill: which lease it was made with; 0: none */
    uint64_t scope;    /* of a lease and its fill: enum larder_scope */
    uint64_t shade;    /* of a tag: which the entry got; of an invalidation: of what got it; 0: none */
    uint64_t after_partition; /* of a get: nothing older than this was asked for; no epoch: anything */
    uint64_t after_epoch;
    uint64_t after_v;
};

enum {
    TRAFFIC_GET = 1,
    TRAFFIC_SET,
    TRAFFIC_FILL,
    TRAFFIC_COMPARE,
    TRAFFIC_INVALIDATE,
    TRAFFIC_SOFTEN,
    TRAFFIC_LEASE,
    TRAFFIC_TAG
};
enum { TRAFFIC_NEAR = 1 << 16, TRAFFIC_FOREIGN = 1 << 17 }; /* of flags, beside those of the library */

enum {
    TRAFFIC_KEYS = 24,
    TRAFFIC_TAGS = 5,
    TRAFFIC_COLOURS = 7,
    TRAFFIC_SHADES = 2, /* tags that entries get later */
    TRAFFIC_PREFIXES = 3,
    TRAFFIC_SUBPREFIXES = 2
};

#endif
