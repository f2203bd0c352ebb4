/* Peers side by side: the same keys, the same values, the same order, in turns, so that whatever else the machine does
 * hits all alike.
 *
 * What must stay true: a peer that answered anything wrong (an error, a missing key, a wrong value) has no figures;
 * race_state_of returns NULL for it and nobody can print a ratio with it. */
#ifndef LARDER_BENCH_RACE_H
#define LARDER_BENCH_RACE_H

#include <stdbool.h>
#include <stdint.h>
#include "bench/hist.h"
#include "bench/options.h"
#include "bench/peer.h"
#include "bench/spawn.h"

enum { RACE_BATCH = 32, RACE_ROUNDS = 5, RACE_PEERS = 7 };
enum race_state { RACE_AWAKE, RACE_IDLE, RACE_STATES };
/* Cores count as awake when a round trip over a socket takes no longer at p50. */
#define RACE_AWAKE_NS 6000.0

struct race_figures {
    struct hist batches; /* ns a batch of RACE_BATCH gets between two clock reads */
    struct hist singles; /* ns of one get between two clock reads */
    uint64_t gets, batch_ns, near, misses;
    double round_mean_ns[RACE_ROUNDS];
    unsigned rounds;
};

struct contestant {
    const struct peer_kind *kind;
    struct peer *peer;
    char out[192]; /* why it has no figures; empty: it has */
    bool absent;   /* not installed: no failure */
    struct race_figures states[RACE_STATES];
};

struct race {
    const struct options *options;
    uint64_t value_bytes;
    uint32_t key_count;
    uint32_t *stream; /* key numbers in the order asked for */
    uint32_t stream_count;
    uint64_t slice_ns;                 /* a peer's turn */
    double clock_cost_ns, key_cost_ns; /* of one clock read, of making one key's name */
    struct server servers[SERVER_KINDS];
    bool filled[SERVER_KINDS]; /* two peers share a server */
    struct contestant contestants[RACE_PEERS];
    unsigned count;
};

/* One at a time, since it may keep this process on one core.  Starts servers, opens and fills all wanted peers and reads every key once.  NULL: no memory. */
struct race *race_create(const struct options *o, uint64_t value_bytes);
struct race *race_destroy(struct race *r);
void race_run(struct race *r, enum race_state state);

const char *race_state_name(enum race_state state);
const struct contestant *race_peer(const struct race *r, const char *name); /* NULL: not taking part */
/* Its figures, or NULL when it has none it can answer for. */
const struct race_figures *race_figures_of(const struct race *r, const char *name, enum race_state state);
/* Somebody failed who should not have; says so on standard error. */
bool race_failures(const struct race *r);

double race_p50_ns(const struct race_figures *f);
double race_p99_ns(const struct race_figures *f);
double race_mean_ns(const struct race_figures *f); /* mean of the rounds' means */
double race_ops_per_s(const struct race_figures *f);

/* L1 budget that holds `count` items without evicting, in whole MiB. */
uint64_t race_l1_bytes(uint64_t count, uint64_t item_bytes);
/* Budget for the others: generous, none may evict. */
uint64_t race_memory_bytes(uint64_t count, uint64_t item_bytes);

#endif
