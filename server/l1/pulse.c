/* The timers of L1 on the loop; everything they do can also be called by a test with its own clock.
 *
 * What must stay true: alive_until is renewed by the loop thread only, so that a loop that hangs is noticed; the
 * sweep's timer runs only while there is something to sweep. */
#include "l1/l1_private.h"

struct pulse {
    struct l1 *l1;
    struct timer tick, sweep;
    bool sweeping;
    int open;
};

static uint64_t loop_clock(struct l1 *l1)
{
    return loop_now_ns(l1->loop);
}

static void on_tick(struct timer *t)
{
    l1_tick(CONTAINER_OF(t, struct pulse, tick)->l1);
}

static void on_sweep(struct timer *t)
{
    struct pulse *p = CONTAINER_OF(t, struct pulse, sweep);
    if (l1_sweep_slice(p->l1))
        return;
    timer_stop(t);
    p->sweeping = false;
}

static void sweep_soon(struct l1 *l1)
{
    struct pulse *p = l1->pulse;
    if (p->sweeping)
        return;
    p->sweeping = true;
    timer_start(&p->sweep, L1_SWEEP_MS * NS_PER_MS, L1_SWEEP_MS * NS_PER_MS);
}

static void closed_one(struct pulse *p)
{
    if (--p->open == 0)
        free(p);
}

static void tick_closed(struct timer *t)
{
    closed_one(CONTAINER_OF(t, struct pulse, tick));
}

static void sweep_closed(struct timer *t)
{
    closed_one(CONTAINER_OF(t, struct pulse, sweep));
}

int l1_create(const struct l1_setup *setup, struct l1 **ret)
{
    int r = l1_make(setup, loop_clock, ret);
    if (r < 0)
        return r;
    struct pulse *p = must_alloc(sizeof(*p));
    p->l1 = *ret;
    p->l1->pulse = p;
    p->l1->sweep_soon = sweep_soon;
    p->open = 2;
    timer_init(&p->tick, setup->loop, on_tick);
    timer_init(&p->sweep, setup->loop, on_sweep);
    timer_start(&p->tick, L1_TICK_MS * NS_PER_MS, L1_TICK_MS * NS_PER_MS);
    return 0;
}

struct l1 *l1_destroy(struct l1 *l1)
{
    if (!l1)
        return NULL;
    struct pulse *p = l1->pulse;
    timer_finish(&p->tick, tick_closed);
    timer_finish(&p->sweep, sweep_closed);
    l1_unmake(l1);
    return NULL;
}
