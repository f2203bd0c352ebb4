/* Schedules: when which policy's warming begins.  Pure: no warming, no policy, no clock of its own.
 *
 * Each policy that has a plan is due every `every_ns`, give or take the jitter.  One run at a time in a namespace: among those
 * that are due the lowest order begins, the one that waits longest among equals.  What falls due while its own last run is
 * still going is skipped, and counted; what falls due while another's is going waits.
 *
 * What must stay true, whatever the clock does: no two runs overlap; a clock that jumps ahead makes one run due, not all those it
 * passed; one that jumps back makes nobody wait longer than a plan says.
 *
 * A policy is its number, which follows its name through reloads. */
#ifndef LARDER_CACHE_SCHEDULE_H
#define LARDER_CACHE_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

enum { SCHEDULE_NUMBERS = 256 };

struct schedule_plan {
    uint64_t every_ns; /* 0: only at the start, if at all */
    uint32_t jitter;   /* thousandths of every_ns, to either side */
    uint32_t order;    /* lower first */
    bool on_start;
};

struct schedules {
    struct {
        bool planned, waits; /* waits: it is due some day */
        struct schedule_plan plan;
        uint64_t due_ns, skipped;
    } of[SCHEDULE_NUMBERS];
    unsigned running; /* number; 0: none */
    bool stopped;
};

/* What holds for the policy from now on; NULL: nothing any more.  A plan that is as it was keeps its time.  `dice`: random. */
void schedule_plan(struct schedules *s, unsigned number, const struct schedule_plan *plan, uint64_t now_ns,
                   uint32_t dice);
/* The policy whose run begins now; 0: none.  schedule_over, or schedule_postpone, must follow. */
unsigned schedule_turn(struct schedules *s, uint64_t now_ns, uint32_t dice);
/* By hand.  False: a run is going on. */
bool schedule_begin(struct schedules *s, unsigned number, uint64_t now_ns, uint32_t dice);
/* It could not begin: once more at that time. */
void schedule_postpone(struct schedules *s, uint64_t until_ns);
void schedule_over(struct schedules *s);
/* Nothing begins any more. */
void schedule_stop(struct schedules *s);
/* How long until it is due; UINT64_MAX: it is not. */
uint64_t schedule_left_ns(const struct schedules *s, unsigned number, uint64_t now_ns);

#endif
