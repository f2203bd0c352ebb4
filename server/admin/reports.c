#include "admin/reports.h"

#include <stdlib.h>
#include "base/check.h"

/* Of one grouping: nothing, one being made, or one that is whole. */
struct kept {
    struct rollup_making *making;
    struct rollup_report report;
    bool is_whole;
    unsigned days; /* of either */
    uint64_t asked_ns;
};

struct reports {
    const struct rollup *(*now)(void *user);
    void *user;
    struct kept of[ROLLUP_BY_COUNT];
};

static void drop(struct kept *k)
{
    k->making = rollup_making_destroy(k->making);
    rollup_report_finish(&k->report);
    k->is_whole = false;
}

struct reports *reports_create(const struct rollup *(*now)(void *user), void *user)
{
    struct reports *s = must_alloc(sizeof(*s));
    s->now = now;
    s->user = user;
    return s;
}

struct reports *reports_destroy(struct reports *s)
{
    for (unsigned n = 0; s && n < ROLLUP_BY_COUNT; n++)
        drop(&s->of[n]);
    free(s);
    return NULL;
}

/* One that is being made is brought to its end before another of the grouping begins, also when it was for somebody
 * else: so two who ask for other days by turns both get theirs.  It has what was counted until it ends, so it is new
 * enough for whoever comes meanwhile. */
static void prepare(struct reports *s, struct kept *k, const struct reports_wanted *w)
{
    if (k->making || (k->is_whole && k->days == w->days && !w->anew))
        return;
    drop(k);
    k->days = w->days;
    k->making = rollup_making_begin(s->now(s->user), w->days, w->by);
}

static void take_on(struct reports *s, struct kept *k)
{
    if (!k->making || !rollup_making_step(k->making))
        return;
    s->now(s->user);
    k->is_whole = rollup_making_end(k->making, &k->report);
    if (k->is_whole)
        k->making = rollup_making_destroy(k->making);
}

const struct rollup_report *reports_get(struct reports *s, const struct reports_wanted *w, uint64_t now_ns)
{
    struct kept *k = &s->of[w->by];
    prepare(s, k, w);
    take_on(s, k);
    k->asked_ns = now_ns;
    return k->is_whole && k->days == w->days ? &k->report : NULL;
}

void reports_tick(struct reports *s, uint64_t now_ns)
{
    for (unsigned n = 0; n < ROLLUP_BY_COUNT; n++)
        if (now_ns > s->of[n].asked_ns + REPORTS_KEPT_NS)
            drop(&s->of[n]);
}
