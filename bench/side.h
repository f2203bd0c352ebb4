/* Servers asked in turns by the same generator over one socket each, many requests under way. */
#ifndef LARDER_BENCH_SIDE_H
#define LARDER_BENCH_SIDE_H

#include <stdbool.h>
#include "bench/options.h"
#include "bench/peer.h"

enum { SIDE_ROUNDS_MAX = 8 };

struct side {
    const char *name; /* a peer's */
    struct server server;
    double per_second[SIDE_ROUNDS_MAX]; /* a round each */
    unsigned rounds;
    char why[192];
};

/* Starts and fills it with o->key_count keys, the warm tier on.  0, or -1 and side->why. */
int side_start(struct side *side, const struct options *o);
void side_stop(struct side *side);
/* One round as the options say, over `keys_count` keys.  0, or -1 and side->why, also after a miss or a wrong value. */
int side_round(struct side *side, const struct options *o, const uint32_t *keys, uint32_t keys_count);

double side_mean(const struct side *side);
double side_median(const struct side *side);

#endif
