/* Clocks of the bench, and what reading one costs. */
#ifndef LARDER_BENCH_TIMING_H
#define LARDER_BENCH_TIMING_H

#include <stdint.h>
#include <time.h>

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

static inline uint64_t timing_read(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static inline uint64_t timing_now_ns(void)
{
    return timing_read(CLOCK_MONOTONIC);
}

/* CPU time this thread has used: what the scheduler took away does not count. */
static inline uint64_t timing_cpu_ns(void)
{
    return timing_read(CLOCK_THREAD_CPUTIME_ID);
}

/* Mean cost of one timing_now_ns. */
static inline double timing_clock_cost_ns(void)
{
    enum { READS = 20000 };
    uint64_t begin = timing_now_ns();
    for (unsigned i = 0; i < READS; i++)
        (void)timing_now_ns();
    return (double)(timing_now_ns() - begin) / (READS + 1);
}

/* Sleeps for the most part, spins for the rest: a sleeper wakes up late, and an open loop must not. */
void timing_wait_until(uint64_t then_ns);

#endif
