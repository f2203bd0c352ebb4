/* The admin's door: health, statistics, metrics and the dashboard by HTTP, and the two changes one makes by hand.
 *
 *   http.c     whole requests and replies, on our loop       routes.c  what each path answers
 *   door.c     Unix sockets and loopback addresses           trust.c   who may change something
 *   clear.c    POST /api/cache/clear                         events.c  GET /events
 *   texts.c    documents, rendered as often as the loop can spare
 *   report.c   GET /api/cache/report; of rollups (rollup.h), which the admin is told and keeps none of
 *   page/      the dashboard, embedded
 *
 * What must stay true: nothing changes but by POST, by someone whom trust.c lets in; HTTP takes a bounded share of the
 * loop, whatever is asked and however often.
 *
 * Thread rule: loop thread only. */
#ifndef LARDER_ADMIN_ADMIN_H
#define LARDER_ADMIN_ADMIN_H

#include "admin/rollup_report.h"
#include "base/knob.h"
#include "cache/cache.h"
#include "net/loop.h"
#include "proto/pack.h"

/* [admin] */
#define ADMIN_OPTIONS(OPTION)                                                                                \
    OPTION(TEXT, listen, "", 0, 0, START, "",                                                                \
           "where HTTP is answered: unix:PATH or 127.0.0.1:PORT, several with a space between; empty: "      \
           "nowhere")                                                                                        \
    OPTION(TEXT, listen_mode, "0660", 0, 0, START, "", "permissions of its Unix sockets, octal")             \
    OPTION(TEXT, token, "", 0, 0, START, "",                                                                 \
           "what a change must bring along, as Authorization: Bearer TOKEN; empty: nothing")                 \
    OPTION(TEXT, token_file, "", 0, 0, START, "", "file with the token")                                     \
    OPTION(TEXT, hosts, "", 0, 0, START, "",                                                                 \
           "names a request over TCP may be addressed to, besides localhost and the addresses of this host") \
    OPTION(SWITCH, metrics, "on", 0, 1, LIVE, "CACHE_ENABLE_METRICS,CACHE_MONITORING_ENABLED",               \
           "answer GET /metrics")                                                                            \
    OPTION(SWITCH, http_names, "on", 0, 1, LIVE, "",                                                         \
           "off: HTTP tells no keys, no tags and not who invalidated them")                                  \
    OPTION(COUNT, http_connections, "64", 4, 1024, START, "", "HTTP clients at a time")                      \
    OPTION(COUNT, http_streams, "8", 0, 256, LIVE, "", "of those, readers of /events")                       \
    OPTION(DURATION, http_timeout, "10s", 100 * 1000000ull, 3600 * 1000000000ull, LIVE, "",                  \
           "from the first byte of a request to the last of its reply; who is slower is hung up on")

struct admin_options {
    KNOB_FIELDS(ADMIN_OPTIONS)
};

enum admin_document {
    ADMIN_STATS,
    ADMIN_HEALTH,
    ADMIN_METRICS,
    ADMIN_HISTORY,
    ADMIN_INVALIDATIONS,
    ADMIN_DOCUMENTS
};
enum admin_health { ADMIN_OK, ADMIN_DEGRADED, ADMIN_FAILING };

/* Of which report a page is wanted, from that row on. */
struct admin_report {
    const struct cache *cache;
    unsigned days, from;
    enum rollup_by by;
    bool again; /* it was asked in the turn before */
};

/* What the daemon tells and lets the admin reach. */
struct admin_host {
    void *user;
    /* Appends a text.  <0 (PACK_E_*): could not. */
    int (*document)(void *user, enum admin_document which, struct buffer *ret_text);
    /* The same; >0: it is being made, and to be asked for again in the next turn. */
    int (*report)(void *user, const struct admin_report *which, struct buffer *ret_text);
    enum admin_health (*health)(void *user); /* as of the last document of health */
    bool (*ready)(void *user);               /* started, and not stopping */
    /* The namespace of that name, NULL: there is none.  An empty name is the default one. */
    struct cache *(*space)(void *user, struct slice name);
};

struct admin_setup {
    struct loop *loop;
    const struct admin_options *options; /* LIVE ones are read on each use */
    const char *token;                   /* from the option or its file; "": none; copied */
    struct admin_host host;
};

#define ADMIN_FIGURES(FIGURE)                                                                       \
    FIGURE(GAUGE, http_connections, "HTTP clients connected")                                       \
    FIGURE(GAUGE, http_streams, "of those: readers of /events")                                     \
    FIGURE(COUNTER, http_requests, "HTTP requests")                                                 \
    FIGURE(COUNTER, http_connections_refused, "HTTP clients hung up on for want of room")           \
    FIGURE(COUNTER, http_connections_cut, "HTTP clients hung up on because they took too long")     \
    FIGURE(COUNTER, http_changes, "changes asked for by HTTP and made")                             \
    FIGURE(COUNTER, http_changes_denied, "changes not made: no token, or from a page of elsewhere") \
    FIGURE(COUNTER, http_documents, "documents rendered for HTTP")

struct admin_figures {
    FIGURE_FIELDS(ADMIN_FIGURES)
};

struct admin;

/* NULL, or a sentence: what is wrong with what the options say. */
const char *admin_check(const struct admin_options *options);

/* *ret is NULL when nothing is listened on.  <0: a door could not be opened, logged. */
int admin_open(const struct admin_setup *setup, struct admin **ret);
/* Takes nobody in any more; `drained` is called, at once or later, when no change is under way.  NULL ok. */
void admin_drain(struct admin *a, void (*drained)(void *user), void *user);
struct admin *
admin_close(struct admin *a); /* after drained, or never opened to anybody; NULL ok, returns NULL */

void admin_measure(const struct admin *a, struct admin_figures *ret); /* NULL: all zero */

#endif
