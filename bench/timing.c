#include "bench/timing.h"

#include <errno.h>

void timing_wait_until(uint64_t then_ns)
{
    const uint64_t early_ns = 80 * NS_PER_US; /* about what waking up costs on a machine whose cores sleep */
    if (timing_now_ns() + 2 * early_ns < then_ns) {
        uint64_t until = then_ns - early_ns;
        struct timespec t = {(time_t)(until / NS_PER_S), (long)(until % NS_PER_S)};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
            ;
    }
    while (timing_now_ns() < then_ns)
        ;
}
