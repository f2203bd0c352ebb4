/* Other people's changes: a process that sets keys through a daemon at a fixed rate, whatever the answers do. */
#ifndef LARDER_BENCH_MUTATE_H
#define LARDER_BENCH_MUTATE_H

#include <sys/types.h>
#include "bench/lag.h"

struct mutate;

/* Starts the process and waits until it has a connection.  NULL: no memory, or no connection (said on stderr). */
struct mutate *mutate_start(const char *socket, double rate);
/* Ends it and takes what it counted. */
void mutate_stop(struct mutate *m, struct lag_mutations *ret);

#endif
