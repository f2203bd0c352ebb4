/* From findings to alerts: one when an issue comes or gets worse, one when it has gone, nothing in between.
 *
 * What must stay true: an issue is told once however often it is found; it counts as gone when it was not found for
 * `hold_ns`, so that one that comes and goes is told once as well; and whatever was told as come is told as gone.
 *
 * Pure, the clock is passed in. */
#ifndef LARDER_ADMIN_ALERTS_H
#define LARDER_ADMIN_ALERTS_H

#include "admin/health.h"

enum { ALERTS_MAX = 128 }; /* issues at a time; there are 20 conditions, most of them once a namespace */

struct alert {
    bool active;
    enum health_condition condition;
    enum health_severity severity; /* the worst that was told */
    char scope[64];
    char issue[HEALTH_TEXT]; /* as last found */
    uint64_t since_ns, seen_ns;
};

struct alerts {
    struct alert of[ALERTS_MAX];
    uint64_t untold; /* issues there was no room for */
};

/* Hints are no alerts. */
void alerts_update(struct alerts *a, const struct health *h, uint64_t now_ns, uint64_t hold_ns,
                   void (*tell)(void *user, const struct alert *alert, bool firing), void *user);

#endif
