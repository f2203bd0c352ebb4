/* GET /metrics: the figures of all modules under the names dashboards know. */
#ifndef LARDER_APP_METRICS_H
#define LARDER_APP_METRICS_H

#include "admin/admin.h"
#include "admin/health.h"
#include "app/alarm.h"
#include "app/documents.h"

struct metrics_more { /* what the documents do not know */
    struct admin_figures admin;
    const struct health *health;
    struct alarm_figures alarm;
    uint64_t detached_ns; /* that any namespace was away from Redis, since the start */
};

/* Appends the text.  <0 (PACK_E_*): it does not fit. */
int metrics_answer(const struct documents *d, const struct metrics_more *more, struct buffer *ret_text);

#endif
