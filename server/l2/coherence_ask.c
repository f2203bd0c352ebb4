/* What the host asks of its membership: what may be believed, what is shown, and what it saw by itself. */
#include "l2/coherence_private.h"
#include "l2/rules.h"
#include "l2/tail.h"

/* ======= believing ======= */

bool coherence_may_believe(const struct coherence *c, uint64_t session, unsigned p, uint64_t epoch,
                           uint64_t v_now)
{
    const struct fleet_partition *shown = &c->view.of[p];
    return coherence_linked(c) && RULE(I9_session, session == c->view.session) &&
           RULE(I10_read, epoch == shown->epoch) && RULE(I3_floor, v_now >= shown->floor) &&
           RULE(C8_believe, v_now >= c->of[p].believe_from && backlog_empty(c->backlog, p));
}

bool coherence_knows_kills(const struct coherence *c, unsigned p, uint64_t entry_v, uint64_t v_now,
                           uint64_t now_ns)
{
    const struct fleet_partition *shown = &c->view.of[p];
    return RULE(C2_map, entry_v >= c->of[p].kills_from) &&
           RULE(C2_names, v_now <= shown->applied || now_ns < shown->fresh_until_ns);
}

void coherence_forgot(struct coherence *c, unsigned p, uint64_t v)
{
    c->of[p].kills_from = v > c->of[p].kills_from ? v : c->of[p].kills_from;
}

/* ======= what the host saw ======= */

void coherence_read_noticed(struct coherence *c, uint64_t now_ns)
{
    c->last_read_ns = now_ns;
}

void coherence_saw(struct coherence *c, unsigned p, uint64_t v)
{
    if (coherence_linked(c))
        tail_saw(&c->view.of[p], v);
}

/* ======= looking in ======= */

void coherence_measure(const struct coherence *c, struct fleet_figures *ret)
{
    *ret = c->figures;
    ret->outbox = backlog_count(c->backlog);
}

const struct fleet_view *coherence_view(const struct coherence *c)
{
    return &c->view;
}

enum coherence_state coherence_state(const struct coherence *c)
{
    return c->state;
}
