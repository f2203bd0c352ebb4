#include "admin/alerts.h"

#include <stdio.h>
#include <string.h>

static bool is_of(const struct alert *alert, const struct health_finding *f)
{
    return alert->active && alert->condition == f->condition && strcmp(alert->scope, f->scope) == 0;
}

static struct alert *find(struct alerts *a, const struct health_finding *f)
{
    struct alert *room = NULL;
    for (unsigned i = 0; i < ALERTS_MAX; i++) {
        if (is_of(&a->of[i], f))
            return &a->of[i];
        if (!a->of[i].active && !room)
            room = &a->of[i];
    }
    return room;
}

/* True: it is new, or worse than what was told. */
static bool note(struct alert *alert, const struct health_finding *f, uint64_t now_ns)
{
    bool worse = !alert->active || f->severity > alert->severity;
    if (!alert->active)
        *alert = (struct alert){.active = true, .condition = f->condition, .since_ns = now_ns};
    if (worse)
        alert->severity = f->severity;
    snprintf(alert->scope, sizeof(alert->scope), "%s", f->scope);
    snprintf(alert->issue, sizeof(alert->issue), "%s", f->issue);
    alert->seen_ns = now_ns;
    return worse;
}

void alerts_update(struct alerts *a, const struct health *h, uint64_t now_ns, uint64_t hold_ns,
                   void (*tell)(void *user, const struct alert *alert, bool firing), void *user)
{
    for (unsigned i = 0; i < h->count; i++) {
        const struct health_finding *f = &h->findings[i];
        struct alert *alert = f->severity == HEALTH_HINT ? NULL : find(a, f);
        if (alert && note(alert, f, now_ns))
            tell(user, alert, true);
        a->untold += !alert && f->severity != HEALTH_HINT;
    }
    for (unsigned i = 0; i < ALERTS_MAX; i++) {
        struct alert *alert = &a->of[i];
        if (!alert->active || alert->seen_ns == now_ns || now_ns - alert->seen_ns < hold_ns)
            continue;
        alert->active = false;
        tell(user, alert, false);
    }
}
