#include "cache/schedule.h"

#include <string.h>
#include "base/check.h"
#include "base/clock.h"

/* every_ns, give or take the jitter. */
static uint64_t next_in_ns(const struct schedule_plan *p, uint32_t dice)
{
    uint64_t reach = p->every_ns / 1000 * p->jitter;
    return p->every_ns - reach + (uint64_t)((double)dice / UINT32_MAX * 2 * (double)reach);
}

static uint64_t longest_ns(const struct schedule_plan *p)
{
    return p->every_ns + p->every_ns / 1000 * p->jitter;
}

static void set_due(struct schedules *s, unsigned n, uint64_t now_ns, uint32_t dice)
{
    s->of[n].waits = s->of[n].plan.every_ns > 0;
    s->of[n].due_ns = clock_after(now_ns, next_in_ns(&s->of[n].plan, dice));
}

static bool same(const struct schedule_plan *a, const struct schedule_plan *b)
{
    return a->every_ns == b->every_ns && a->jitter == b->jitter && a->on_start == b->on_start;
}

void schedule_plan(struct schedules *s, unsigned number, const struct schedule_plan *plan, uint64_t now_ns,
                   uint32_t dice)
{
    CHECK(number > 0 && number < SCHEDULE_NUMBERS);
    bool was = s->of[number].planned, is_same = plan && was && same(&s->of[number].plan, plan);
    s->of[number].planned = plan != NULL;
    if (!plan) {
        s->of[number].waits = false;
        return;
    }
    s->of[number].plan = *plan;
    if (is_same)
        return;
    set_due(s, number, now_ns, dice);
    if (!was && plan->on_start) {
        s->of[number].waits = true;
        s->of[number].due_ns = now_ns;
    }
}

/* Later than it can have been meant: the clock was set back. */
static void mend_time(struct schedules *s, unsigned n, uint64_t now_ns, uint32_t dice)
{
    const struct schedule_plan *p = &s->of[n].plan;
    if (s->of[n].waits && p->every_ns && s->of[n].due_ns > clock_after(now_ns, longest_ns(p)))
        set_due(s, n, now_ns, dice);
}

static bool is_due(const struct schedules *s, unsigned n, uint64_t now_ns)
{
    return s->of[n].planned && s->of[n].waits && now_ns >= s->of[n].due_ns;
}

static bool is_before(const struct schedules *s, unsigned a, unsigned b)
{
    uint32_t order_a = s->of[a].plan.order, order_b = s->of[b].plan.order;
    return order_a != order_b ? order_a < order_b : s->of[a].due_ns < s->of[b].due_ns;
}

static void skip_own(struct schedules *s, uint64_t now_ns, uint32_t dice)
{
    if (!is_due(s, s->running, now_ns))
        return;
    s->of[s->running].skipped++;
    set_due(s, s->running, now_ns, dice);
}

unsigned schedule_turn(struct schedules *s, uint64_t now_ns, uint32_t dice)
{
    unsigned first = 0;
    for (unsigned n = 1; n < SCHEDULE_NUMBERS; n++) {
        mend_time(s, n, now_ns, dice);
        if (is_due(s, n, now_ns) && (!first || is_before(s, n, first)))
            first = n;
    }
    if (s->running) {
        skip_own(s, now_ns, dice);
        return 0;
    }
    if (!first || s->stopped)
        return 0;
    s->running = first;
    set_due(s, first, now_ns, dice);
    return first;
}

bool schedule_begin(struct schedules *s, unsigned number, uint64_t now_ns, uint32_t dice)
{
    if (s->running || s->stopped)
        return false;
    s->running = number;
    set_due(s, number, now_ns, dice);
    return true;
}

void schedule_postpone(struct schedules *s, uint64_t until_ns)
{
    CHECK(s->running);
    s->of[s->running].waits = true;
    s->of[s->running].due_ns = until_ns;
    s->running = 0;
}

void schedule_over(struct schedules *s)
{
    CHECK(s->running);
    s->running = 0;
}

void schedule_stop(struct schedules *s)
{
    s->stopped = true;
}

uint64_t schedule_left_ns(const struct schedules *s, unsigned number, uint64_t now_ns)
{
    if (!s->of[number].planned || !s->of[number].waits || s->stopped)
        return UINT64_MAX;
    return s->of[number].due_ns > now_ns ? s->of[number].due_ns - now_ns : 0;
}
