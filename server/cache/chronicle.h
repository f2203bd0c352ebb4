/* Who invalidated what: the newest invalidations of a namespace, this host's own and those other hosts told of.
 *
 * What must stay true: writing it down never holds up a change, and costs a bounded amount of memory, disk and time,
 * whatever callers do; what was left out is counted in the entry after it.  It is for people: a kill -9 may lose the
 * last few milliseconds of it.
 *
 * Bound: CHRONICLE_MAX entries of at most CHRONICLE_TEXT bytes of names each (2 MiB), looked through for a key as far as
 * CHRONICLE_NAMES names (a millisecond at the worst), the oldest go first; more than
 * CHRONICLE_A_SECOND in a second are counted only.  Records of other hosts that are a single key have a share of their
 * own: sets that store nothing in the fleet, and the doctor's probes, look like them, and would leave room for nothing
 * that somebody named.
 *
 * Thread rule: loop thread only. */
#ifndef LARDER_CACHE_CHRONICLE_H
#define LARDER_CACHE_CHRONICLE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/fleet.h"
#include "cache/named.h"
#include "proto/status.h"

enum {
    CHRONICLE_MAX = 4096,
    CHRONICLE_TEXT = 400,
    CHRONICLE_NAMES = 8192, /* to compare with one takes 30 ns, 100 when it is a glob */
    CHRONICLE_A_SECOND = 1000,
    CHRONICLE_SINGLE_A_SECOND = 10
};

struct cache_invalidate;
struct chronicle;

/* One line of it. */
struct chronicled {
    uint64_t at_ms; /* CLOCK_REALTIME */
    uint64_t v;     /* 0: it has no position (yet) */
    uint64_t count; /* entries dropped here, as its caller was told */
    uint32_t keys, tags, prefixes, globs;
    uint32_t cascaded; /* of those: named by cascade rules */
    uint32_t skipped;  /* before it: so many are not written down */
    uint32_t pid;      /* of the caller; 0: unknown */
    uint8_t partition, status, elsewhere, soft, all;
    uint8_t unlisted; /* it named more than is written down */
    uint8_t by_bytes, cause_bytes;
    uint16_t names_bytes;
    /* of a line handed out: who it said it was, the event that named it, and what it named (named_next) */
    struct slice by, cause, named;
};
/* "key a, tag b, …" as far as they fit into CHRONICLE_TEXT bytes: how many that are. */
size_t chronicled_text(const struct chronicled *told, char *to);

/* `store` may be NULL: then it ends with the process.  What it kept is taken over. */
struct chronicle *chronicle_create(struct outbox *store);
struct chronicle *chronicle_destroy(struct chronicle *c); /* NULL ok, returns NULL */

/* A call of this host is done; names as they are with what its cascade added.  now_ns: as of cache_now, here and below. */
void chronicle_call(struct chronicle *c, const struct cache_invalidate *i, uint64_t now_ns);
/* A part of a call of this host has this position: the journal will tell of it as well, or already did. */
void chronicle_own(struct chronicle *c, unsigned partition, uint64_t v);
/* A record of the journal that is no set. */
void chronicle_record(struct chronicle *c, unsigned partition, const struct fleet_record *r, uint64_t now_ns);

/* How often each tag was named since the start, here, or elsewhere as the journal tells it. */
struct tally;
const struct tally *chronicle_tags(const struct chronicle *c);

bool chronicle_is_kept(const struct chronicle *c);     /* it survives a restart */
uint64_t chronicle_skipped(const struct chronicle *c); /* since the start */
/* Newest first, not older than since_ms, until `each` returns false. */
void chronicle_each(const struct chronicle *c, uint64_t since_ms,
                    bool (*each)(void *user, const struct chronicled *told), void *user);

/* The newest line that concerned a key, and what of it did. */
struct chronicle_found {
    bool found;
    struct chronicled line; /* its slices, and the name: until the next line is written */
    struct named_item by;
    unsigned lines;     /* looked at */
    unsigned uncertain; /* of those, newer than what was found: they named more than is written down, */
    unsigned tagged;    /* or tags, and it is not known which ones it had */
    uint64_t skipped;   /* beside those, newer too: not written down at all */
    bool stopped;       /* there are older ones that were not looked at */
};
void chronicle_find(const struct chronicle *c, const struct named_of *of, struct chronicle_found *ret);

#endif
