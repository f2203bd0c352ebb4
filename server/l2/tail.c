#include "l2/tail.h"

#include "l2/rules.h"

/* Nothing that is here has a position in this epoch. */
static enum tail_news begin_epoch(struct fleet_partition *p, uint64_t epoch, uint64_t v)
{
    *p = (struct fleet_partition){.epoch = epoch, .applied = v, .seen = v};
    return TAIL_EPOCH;
}

/* Everything up to `lost` that was not applied never will be. */
static enum tail_news raise_floor(struct fleet_partition *p, uint64_t lost)
{
    p->floor = lost;
    p->applied = lost;
    p->seen = p->seen > lost ? p->seen : lost;
    return TAIL_GAP;
}

enum tail_news tail_greeted(struct fleet_partition *p, uint64_t epoch, uint64_t v, uint64_t first)
{
    if (!RULE(I10_hello, epoch == p->epoch))
        return begin_epoch(p, epoch, v);
    if (!RULE(I2_back, v >= p->seen))
        return TAIL_BACK;
    p->seen = v > p->seen ? v : p->seen;
    if (!RULE(I2_hello, p->applied + 1 >= first))
        return raise_floor(p, first - 1);
    return TAIL_NOTHING;
}

enum tail_news tail_record(struct fleet_partition *p, uint64_t v)
{
    if (v <= p->applied) /* I1 makes a second time harmless; this makes it free */
        return TAIL_NOTHING;
    if (RULE(I2_record, v == p->applied + 1))
        return TAIL_RECORD;
    return raise_floor(p, v - 1);
}

void tail_applied(struct fleet_partition *p, uint64_t v)
{
    p->applied = v;
    p->seen = p->seen > v ? p->seen : v;
}

void tail_saw(struct fleet_partition *p, uint64_t v)
{
    p->seen = v > p->seen ? v : p->seen;
}

enum tail_news tail_lost(struct fleet_partition *p)
{
    return raise_floor(p, p->seen);
}
