/* Put before the reader (proto/shm_read.h) by the build: the reader of the product with a scheduler between its loads. */
#ifndef LARDER_TESTS_STEP_H
#define LARDER_TESTS_STEP_H

#include <time.h>

void model_step(const volatile void *at);
int model_clock(clockid_t id, struct timespec *ret);
#define SHM_STEP(at)          model_step(at)
#define SHM_CLOCK(id, ret_ts) model_clock(id, ret_ts)
#define SHM_COPY_WORDS        1

#endif
