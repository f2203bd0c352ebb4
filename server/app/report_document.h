/* The report of a namespace, as JSON: what was counted on the last days (admin/rollup_report.h).  "schema" is its number;
 * names are only ever added.  The command and HTTP give out the same. */
#ifndef LARDER_APP_REPORT_DOCUMENT_H
#define LARDER_APP_REPORT_DOCUMENT_H

#include <jansson.h>
#include "admin/rollup_report.h"
#include "app/space.h"

struct report_question {
    unsigned days; /* 0: 30; more than are kept: all that are */
    enum rollup_by by;
    unsigned
        from; /* the first row wanted; the document's `next` says where the next page begins, null: nowhere */
    size_t room;   /* bytes the answer may have; 0: no bound of the asker's */
    bool again;    /* it is the same question as in the turn before */
    bool nameless; /* no keys and no tenants are told */
};

/* NULL: the report is being made, a step a turn; to be asked for again in the next one, with `again`. */
json_t *report_document(struct space *s, const struct report_question *q);

#endif
