#include "net/effort.h"

static void take_long(struct effort *e, uint64_t lasted_ns, uint64_t used_ns)
{
    uint64_t on_ns = used_ns < lasted_ns ? used_ns : lasted_ns;
    e->off_ns += lasted_ns - on_ns;
    if (on_ns > e->max_ns)
        e->max_ns = on_ns;
}

void effort_turn(struct effort *e, uint64_t now_ns, uint64_t lasted_ns, uint64_t cpu_ns)
{
    if (lasted_ns >= EFFORT_LOOK_NS)
        take_long(e, lasted_ns, cpu_ns - e->cpu_ns);
    e->looked_ns = now_ns;
    e->cpu_ns = cpu_ns;
}
