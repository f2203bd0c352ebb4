/* The bars of the design: promises in numbers, each a ratio or a limit that one run can check.
 *
 * What must stay true: a bar that could not be measured says so and counts as not reached; nothing is compared
 * with a peer that failed. */
#ifndef LARDER_BENCH_BARS_H
#define LARDER_BENCH_BARS_H

#include <stdbool.h>
#include <stdint.h>
#include "bench/options.h"
#include "bench/spawn.h"
#include "client/larder.h"

enum { BAR_ROWS_MAX = 48 };
enum bar_sense { AT_MOST, AT_LEAST };
enum bar_verdict { BAR_REACHED, BAR_MISSED, BAR_UNCLAIMED, BAR_FAILED };

struct bar_row {
    const char *bar;
    char what[96];
    enum bar_sense sense;
    double goal, figure;
    const char *unit;
    enum bar_verdict verdict;
    char why[160];      /* of FAILED and UNCLAIMED */
    double (*curve)[2]; /* how it went, for plots: malloc'ed, the row's; NULL: none */
    unsigned curve_count;
};

struct bars {
    const struct options *options;
    const char *bar; /* being measured */
    struct bar_row rows[BAR_ROWS_MAX];
    unsigned count;
};

/* What a bar's function reports: a figure beside its goal, a figure whose conditions were not met, one that says what
 * rivals have (no goal of ours), or that it could not be measured. */
struct bar_row *bar_figure(struct bars *b, const char *what, enum bar_sense sense, double goal, double figure,
                           const char *unit);
void bar_unclaimed(struct bar_row *row, const char *why);
void bar_beside(struct bars *b, const char *what, double figure, const char *unit);
void bar_failed(struct bars *b, const char *what, const char *why);

/* Starts a server with so much memory; on failure the bar has failed and this returns false. */
bool bar_server(struct bars *b, struct server *s, enum server_kind kind, uint64_t memory_bytes);
bool bar_client(struct bars *b, larder_client **ret, const char *socket);
/* A number of the daemon's statistics, by its name at whatever depth, in a section of its own as "loop.max_us"; -1 when
 * there is none. */
double bar_stat(larder_client *client, const char *name);

/* The bars, a function each (bars.c has the table). */
void bar_hit(struct bars *b);
void bar_hot(struct bars *b);
void bar_batch(struct bars *b);
void bar_readers(struct bars *b);
void bar_memory(struct bars *b);
void bar_pipeline(struct bars *b);
void bar_full(struct bars *b);
void bar_restart(struct bars *b);
void bar_sigkill(struct bars *b);
void bar_tags(struct bars *b);
void bar_crowd(struct bars *b);

#endif
