/* What an item costs beyond its key and value.
 *
 * From outside, alike for everybody: what the server's proportional set size grew by, divided by the items it holds.
 * Larder has its index from the start, so its shared segment counts whole, and only the rest is counted as growth,
 * over a daemon with the smallest segment; the warm tier is off, since its pages are the disk's cache.  Room in the
 * segment that holds no live item is no item's cost: it is told by itself. */
#ifndef LARDER_BENCH_WEIGH_H
#define LARDER_BENCH_WEIGH_H

#include "bench/codec.h"
#include "bench/options.h"
#include "bench/spawn.h"

struct weigh {
    const struct options *options;
    uint64_t l1_bytes;
    uint32_t keys;
    struct size_mix sizes;
    char why[192];
};

struct larder_weight {
    double entries;
    double overhead;    /* bytes an item, index and the daemon's own tables included */
    double whole;       /* the same, room without a live item included */
    double own;         /* of the overhead, in the daemon's own memory */
    double dead_share;  /* of the segments, after churn */
    double spare_share; /* ... without a live item: dead, open, or kept free */
};

/* More keys than fit, so that L1 is full.  Sizes have to be set before. */
void weigh_fill_up(struct weigh *w);
double weigh_key_and_value(const struct weigh *w);

/* 0, or -1 and w->why. */
int weigh_larder(struct weigh *w, struct larder_weight *ret);
int weigh_rival(struct weigh *w, enum server_kind kind, const struct codec *codec, double *ret_overhead);

#endif
