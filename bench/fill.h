/* Puts every key of a key space into a cache once, shuffled, at version 1. */
#ifndef LARDER_BENCH_FILL_H
#define LARDER_BENCH_FILL_H

#include "bench/options.h"
#include "bench/peer.h"

struct fill {
    uint32_t key_count;
    unsigned levels;
    uint64_t seed;
    const struct size_mix *sizes;
};

/* Over a raw connection, many at a time.  0, or -1 and a sentence. */
int fill_server(const struct fill *f, const struct codec *codec, const char *socket, char why[192]);
/* By the peer's own set. */
int fill_peer(const struct fill *f, const struct peer_kind *kind, struct peer *peer, char why[192]);
/* Reads every key once, in another order, and looks at each value, so that nothing that is measured later was never
 * there: 0, or -1 and a sentence; how many were missing in *ret_missing. */
int fill_check_server(const struct fill *f, const struct codec *codec, const char *socket,
                      uint64_t *ret_missing, char why[192]);
int fill_check_peer(const struct fill *f, const struct peer_kind *kind, struct peer *peer,
                    uint64_t *ret_missing, char why[192]);

#endif
