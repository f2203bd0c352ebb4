/* What the daemon tells about itself: stats, health, explain and configuration as JSON texts, statistics as log lines.
 * The figures come from the modules' tables, so a figure is declared once and shows up here by itself.
 *
 * `stats` and `health` keep one schema for the command, HTTP and dashboards; "schema" is its number, names are only ever
 * added. */
#ifndef LARDER_APP_DOCUMENTS_H
#define LARDER_APP_DOCUMENTS_H

#include "admin/admin.h"
#include "app/config.h"
#include "app/space.h"
#include "session/session.h"

struct judge;

struct documents {
    const struct config *config;
    struct loop *loop;
    struct space *spaces;
    unsigned spaces_count;
    struct sessions *sessions;
    uint64_t started_ns;       /* CLOCK_BOOTTIME */
    const struct judge *judge; /* NULL: health knows no window but that since the start */
};

/* Appends the text. <0 (PACK_E_*): it does not fit.  DOCUMENT_LATER: a report that is being made. */
int documents_answer(const struct documents *d, const struct session_question *question,
                     struct buffer *ret_json);

/* The same of a report (app/report_document.h): of the namespace of that cache. */
int documents_report(const struct documents *d, const struct admin_report *which, struct buffer *ret_json);

/* SIGUSR1: one line a namespace, one for the whole. */
void documents_log(const struct documents *d);

#endif
