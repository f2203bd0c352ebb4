/* Whoever can be asked for a key, one blocking call at a time: the contestants of a comparison.
 *
 * What must stay true: a get hands the value out in memory that no later change of the cache touches (it was
 * copied), and an error is never taken for a miss. */
#ifndef LARDER_BENCH_PEER_H
#define LARDER_BENCH_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include "bench/codec.h"
#include "bench/spawn.h"
#include "proto/slice.h"

struct peer;

enum { PEER_MISS = 0, PEER_HIT = 1, PEER_OK = 0, PEER_ERROR = -1 };

struct peer_where {
    const char *socket;  /* of the server; NULL when the kind needs none */
    uint64_t item_count; /* to size what lives in this process */
    uint64_t item_bytes; /* largest key and value together */
    uint64_t value_bytes;
};

struct peer_kind {
    const char *name;          /* in JSON and tables */
    const char *sentence;      /* what it is, for people */
    enum server_kind server;   /* SERVER_NONE: nothing to start */
    const struct codec *codec; /* to fill its server many at a time; NULL: by set() */
    bool reads_memory;         /* a hit is no system call */
    bool floor;                /* moves bytes, keeps nothing: its answers are not checked */
    bool named_only;           /* takes part in comparisons only where --only names it */
    struct peer *(*open)(const struct peer_where *where);                  /* NULL: errno says why */
    int (*get)(struct peer *p, struct slice key, struct slice *ret_value); /* HIT, MISS, ERROR */
    int (*set)(struct peer *p, struct slice key, struct slice value);      /* OK, ERROR */
    void (*close)(struct peer *p);
    const char *(*why)(const struct peer *p); /* after an ERROR */
    uint64_t (*near)(const struct peer *p);   /* hits that made no system call so far; NULL: it has none */
};

/* All kinds, in the order of a table; ends with NULL. */
extern const struct peer_kind *const peer_kinds[];
const struct peer_kind *peer_kind_of(const char *name);

/* Each file defines its rows of the table. */
extern const struct peer_kind peer_larder_shm, peer_larder_socket, peer_inprocess, peer_pingpong, peer_redis,
    peer_memcached, peer_chase;

#endif
