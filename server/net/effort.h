/* How much of its turns a loop was on a processor: whether it blocks, or is not let run (off-CPU time: Gregg, "Systems
 * Performance", 2013).
 *
 * What must stay true: a turn is never told to have taken less of a processor than it did, and at most EFFORT_LOOK_NS
 * more.  The thread's clock costs a system call, 0.3 to 1 us, so it is read when a turn was long, and else once in
 * EFFORT_LOOK_NS: a thousandth of a loop that never rests.  What was used since the last look is then the turn's; in
 * poll a thread uses nothing.
 *
 * Pure: clocks are passed in.  One thread. */
#ifndef LARDER_NET_EFFORT_H
#define LARDER_NET_EFFORT_H

#include <stdbool.h>
#include <stdint.h>
#include "base/clock.h"

#define EFFORT_LOOK_NS NS_PER_MS /* a turn that was as long is a long one */

struct effort {
    uint64_t looked_ns, cpu_ns; /* the last look, by either clock */
    uint64_t max_ns;            /* of a processor, the most that one long turn took */
    uint64_t off_ns;            /* all that long turns lasted and were on none */
};

/* Whether effort_turn wants to know of a turn that is over now. */
static inline bool effort_wants(const struct effort *e, uint64_t now_ns, uint64_t lasted_ns)
{
    return lasted_ns >= EFFORT_LOOK_NS || now_ns - e->looked_ns >= EFFORT_LOOK_NS;
}

/* `cpu_ns`: the thread's own time, read now. */
void effort_turn(struct effort *e, uint64_t now_ns, uint64_t lasted_ns, uint64_t cpu_ns);

#endif
