/* A distribution of durations as JSON, for plots: [[ns, share at most that long], ...], some 110 points. */
#ifndef LARDER_BENCH_CDF_H
#define LARDER_BENCH_CDF_H

#include <jansson.h>
#include "bench/hist.h"

json_t *cdf_json(const struct hist *h);

#endif
