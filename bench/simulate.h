/* What the simulations of one recorded trace share. */
#ifndef LARDER_BENCH_SIMULATE_H
#define LARDER_BENCH_SIMULATE_H

#include "bench/model.h"
#include "bench/options.h"
#include "bench/recorded.h"

/* The daemon's policy with a share of the trace's keys, or bytes; touches are told every `delay` requests. */
void simulate_setup(const struct recorded *t, const struct options *o, double fraction, uint32_t delay,
                    struct model_setup *ret);

/* --curve: the daemon's prediction of what other sizes would do (server/l1/curve.h), and what they do. */
void simulate_curve(const struct recorded *t, const struct options *o, const double *fractions,
                    unsigned count);

#endif
