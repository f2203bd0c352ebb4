/* Where a policy's warming has its keys from: `warming = stored, loader, file /etc/larder/hot.txt, key page:{1-100}`.
 *
 *   stored      what the fleet's store has of the policy's keys; without one, what this host holds
 *   hot         what is hot in the fleet, of all policies, hottest first
 *   loader      registered loaders name them
 *   file PATH   one a line
 *   key NAME    that key; with {1-100} in it, that many
 *
 * Pure.  Everything parsed points into the text it was parsed from. */
#ifndef LARDER_CACHE_SOURCES_H
#define LARDER_CACHE_SOURCES_H

#include <stdbool.h>
#include <stdint.h>
#include "proto/slice.h"

enum {
    KEY_SOURCES_MAX = 16,        /* of a policy */
    KEY_RANGE_MAX = 1000 * 1000, /* more are not named by a range: a file can */
};

enum key_source_kind { KEYS_STORED, KEYS_HOT, KEYS_OF_LOADER, KEYS_OF_FILE, KEYS_NAMED };

struct key_source {
    enum key_source_kind kind;
    struct slice text; /* of a file its path; of keys what stands before the range, or all */
    struct slice tail; /* what stands behind the range */
    uint64_t from, to;
    bool is_range;
};

/* False: *ret_why, a static sentence. */
bool key_source_parse(struct slice item, struct key_source *ret, const char **ret_why);
/* The key of that number, from 0, into `room` of WIRE_KEY_MAX bytes; empty: there is none. */
struct slice key_source_nth(const struct key_source *s, uint64_t n, char *room);

#endif
