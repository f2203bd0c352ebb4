/* What can be said on the command line; one table for all verbs (options.c). */
#ifndef LARDER_BENCH_OPTIONS_H
#define LARDER_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum { MIX_MAX = 8 };

/* Sizes of values: each key has one, drawn by share. */
struct size_mix {
    unsigned count;
    uint64_t bytes[MIX_MAX];
    double share[MIX_MAX]; /* cumulative, the last is 1 */
};

struct options {
    const char *target; /* a peer's name */
    const char *keys;   /* uniform, zipf, or trace */
    uint64_t key_count; /* 0 until parsed: depends on quick */
    double theta;
    uint64_t seed;
    uint64_t levels;       /* ':' boundaries in keys, 1 to 3 */
    struct size_mix sizes; /* --value-bytes or --value-mix */
    bool sizes_given;
    double get_share; /* 0 to 1; the rest are sets */
    double rate;      /* requests a second over all clients; 0: closed loop */
    double mutations; /* lag: other changes a second */
    uint64_t clients;
    uint64_t depth;
    double duration_s;
    uint64_t ops; /* 0: by duration */
    const char *trace;
    const char *steps;     /* growth, depth, memory: what grows, a list */
    const char *fractions; /* simulate: of the keys, or bytes, of the trace */
    uint64_t ghosts;       /* simulate: an item */
    uint64_t touch_delay;  /* simulate: requests */
    uint64_t l1_bytes;     /* 0: what the keys need */
    const char *socket;    /* of a running server; NULL: one is started */
    const char *other;     /* lag: of the other host's daemon */
    const char *larderd;
    const char *only; /* comma separated names of peers or bars; NULL: all */
    bool bytes;       /* simulate: capacity in bytes, sizes as recorded */
    bool curve;       /* simulate: what the daemon would say of other sizes */
    bool json;
    bool cdf;
    bool quick;
    bool pin;
};

extern const struct options options_default;

/* Parses options anywhere among the words; the words that are none stay in front of argv, *argc of them.  Prints what
 * is wrong.  0 go on, 1 help was asked for, -1 wrong. */
int options_parse(struct options *o, int *argc, char **argv);
void options_help(void);

uint64_t size_mix_of(const struct size_mix *m, uint32_t key_number);
uint64_t size_mix_max(const struct size_mix *m);
double size_mix_mean(const struct size_mix *m);

/* The numbers of a list as "1,8,64" or "10k,1M", each 1 to `most`; 0 and a complaint when it is none. */
unsigned options_steps(const char *list, uint64_t *ret, unsigned room, uint64_t most);

/* `name` is in the list of --only, or there is none. */
bool options_wanted(const struct options *o, const char *name);

#endif
