/* What larder-bench can do; each returns the exit code. */
#ifndef LARDER_BENCH_VERBS_H
#define LARDER_BENCH_VERBS_H

#include "bench/options.h"

int verb_load(struct options *o);
int verb_compare(struct options *o);
int verb_replay(struct options *o);
int verb_bars(struct options *o);
int verb_lag(struct options *o);
int verb_simulate(struct options *o);
int verb_hitratio(struct options *o);
int verb_growth(struct options *o);
int verb_depth(struct options *o);
int verb_memory(struct options *o);

#endif
