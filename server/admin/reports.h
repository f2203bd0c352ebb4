/* Reports of a namespace: made a step a turn, and the last of each grouping kept for the pages that follow.
 *
 * What must stay true: nobody has the loop do more than a step for a report, however many days it is of; the pages of one
 * answer are of one report; and what is kept is five reports at most (1 MB, when there is one by the minute), each until
 * nobody has asked for it for KEPT_NS.
 *
 * Pure: the clock is passed in. */
#ifndef LARDER_ADMIN_REPORTS_H
#define LARDER_ADMIN_REPORTS_H

#include "admin/rollup_report.h"

#define REPORTS_KEPT_NS (10ull * 1000 * 1000 * 1000) /* a client asks for the next page at once */

struct reports;

struct reports_wanted {
    unsigned days;
    enum rollup_by by;
    bool anew; /* the first page, asked for the first time: what was kept is too old for it */
};

/* `now`: the rollup, up to this moment; may be asked for at the end of each making. */
struct reports *reports_create(const struct rollup *(*now)(void *user), void *user);
struct reports *reports_destroy(struct reports *s); /* NULL ok, returns NULL */

/* NULL: it is being made; to be asked for again in the next turn, not anew.  Valid until the next call. */
const struct rollup_report *reports_get(struct reports *s, const struct reports_wanted *wanted,
                                        uint64_t now_ns);
/* Now and then: drops those that nobody asks for. */
void reports_tick(struct reports *s, uint64_t now_ns);

#endif
