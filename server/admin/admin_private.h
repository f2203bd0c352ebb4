/* What the files of the admin share. */
#ifndef LARDER_ADMIN_ADMIN_PRIVATE_H
#define LARDER_ADMIN_ADMIN_PRIVATE_H

#include "admin/admin.h"
#include "admin/door.h"
#include "admin/events.h"
#include "admin/http.h"
#include "admin/texts.h"

struct report_text {
    struct admin_report question;
    struct buffer bytes;
    uint64_t until_ns; /* no other is made before */
    uint64_t took_ns;  /* while it is made: so far */
};

struct admin {
    struct admin_setup setup;
    char *token;
    struct http *http;
    struct listener *doors[DOORS_MAX];
    unsigned doors_count;
    struct texts texts;
    struct report_text reports[ROLLUP_BY_COUNT];
    struct list reporting; /* who waits for one that is being made */
    struct later report_turn;
    struct events *events;
    uint64_t changes, changes_denied;
    bool draining;
    void (*drained)(void *user);
    void *drained_user;
};

/* ---- routes.c ------------------------------------------------------------------------------------------- */

void admin_route(void *admin, struct http_exchange *x);
/* {"error": "sentence"} */
void admin_refuse(struct http_exchange *x, unsigned status, const char *sentence);
void admin_reply_json(struct http_exchange *x, unsigned status, const char *text);
/* A change that was under way is answered: a drain may be waiting for it. */
void admin_settled(struct admin *a);

/* ---- report.c ------------------------------------------------------------------------------------------- */

void admin_report(struct admin *a, struct http_exchange *x);
void admin_reports_on_turn(struct later *turn);
void admin_reports_finish(struct admin *a);

/* ---- clear.c -------------------------------------------------------------------------------------------- */

void admin_clear(struct admin *a, struct http_exchange *x);
/* Answers POST /api/cache/warm. */
void admin_warm(struct admin *a, struct http_exchange *x);

#endif
