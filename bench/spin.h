/* Keeps the cores awake: one process a core that does nothing at the lowest priority there is, so that a wake-up
 * never has to bring a core out of sleep.  It yields to everything else at once. */
#ifndef LARDER_BENCH_SPIN_H
#define LARDER_BENCH_SPIN_H

#include <sys/types.h>

enum { SPIN_CORES_MAX = 256 };

struct spinners {
    pid_t pids[SPIN_CORES_MAX];
    unsigned count;
};

void spin_start(struct spinners *s);
void spin_stop(struct spinners *s);

#endif
