/* What each path answers.  A row a route; whoever may not or asks wrongly is told in a sentence. */
#include "admin/admin_private.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "admin/page/page.h"
#include "admin/trust.h"

#define JSON_TYPE       "application/json"
#define PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* ======= replies ======= */

void admin_reply_json(struct http_exchange *x, unsigned status, const char *text)
{
    http_reply(x, &(struct http_reply){.status = status, .type = JSON_TYPE, .body = slice_text(text)});
}

void admin_refuse(struct http_exchange *x, unsigned status, const char *sentence)
{
    json_t *o = json_pack("{s:s}", "error", sentence);
    char *text = json_dumps(o, JSON_COMPACT);
    admin_reply_json(x, status, text);
    free(text);
    json_decref(o);
}

static void reply_empty(struct http_exchange *x, bool good)
{
    http_reply(x, &(struct http_reply){.status = good ? 204 : 503});
}

static const struct text *reply_document(struct admin *a, struct http_exchange *x, enum admin_document which,
                                         const char *type)
{
    const struct text *text = texts_get(&a->texts, &a->setup.host, a->setup.loop, which);
    if (!text) {
        admin_refuse(x, 500, "the document could not be made");
        return NULL;
    }
    bool failing = which == ADMIN_HEALTH && text->health == ADMIN_FAILING;
    http_reply(x, &(struct http_reply){.status = failing ? 503 : 200,
                                       .type = type,
                                       .body = slice_of(text->bytes.data, text->bytes.size)});
    return text;
}

/* ======= what there is ======= */

static void livez(struct admin *a, struct http_exchange *x)
{
    reply_empty(x, true); /* the loop turns, or nobody would be here */
}

static void readyz(struct admin *a, struct http_exchange *x)
{
    reply_empty(x, a->setup.host.ready(a->setup.host.user));
}

static void health(struct admin *a, struct http_exchange *x)
{
    reply_document(a, x, ADMIN_HEALTH, JSON_TYPE);
}

static void stats(struct admin *a, struct http_exchange *x)
{
    reply_document(a, x, ADMIN_STATS, JSON_TYPE);
}

static void history(struct admin *a, struct http_exchange *x)
{
    reply_document(a, x, ADMIN_HISTORY, JSON_TYPE);
}

static void invalidations(struct admin *a, struct http_exchange *x)
{
    if (a->setup.options->http_names)
        reply_document(a, x, ADMIN_INVALIDATIONS, JSON_TYPE);
    else
        admin_refuse(x, 404, "names are switched off: [admin] http_names");
}

static void metrics(struct admin *a, struct http_exchange *x)
{
    if (a->setup.options->metrics)
        reply_document(a, x, ADMIN_METRICS, PROMETHEUS_TYPE);
    else
        admin_refuse(x, 404, "metrics are switched off: [admin] metrics");
}

static void events(struct admin *a, struct http_exchange *x)
{
    if (a->draining || events_count(a->events) >= a->setup.options->http_streams)
        admin_refuse(x, 503, "there are as many readers of events as [admin] http_streams allows");
    else
        events_open(a->events, x);
}

/* ======= finding one's way ======= */

static const struct route {
    const char *path;
    enum http_method method;
    void (*answer)(struct admin *a, struct http_exchange *x);
} routes[] = {
    {"/livez", HTTP_GET, livez},
    {"/readyz", HTTP_GET, readyz},
    {"/api/cache/health", HTTP_GET, health},
    {"/healthz", HTTP_GET, health},
    {"/api/cache/stats", HTTP_GET, stats},
    {"/api/cache/history", HTTP_GET, history},
    {"/api/cache/invalidations", HTTP_GET, invalidations},
    {"/api/cache/report", HTTP_GET, admin_report},
    {"/metrics", HTTP_GET, metrics},
    {"/events", HTTP_GET, events},
    {"/api/cache/clear", HTTP_POST, admin_clear},
    {"/api/cache/warm", HTTP_POST, admin_warm},
};

static const struct route *find_route(const char *path)
{
    for (unsigned i = 0; i < COUNT_OF(routes); i++)
        if (strcmp(routes[i].path, path) == 0)
            return &routes[i];
    return NULL;
}

static const struct page_file *find_file(const char *path)
{
    for (unsigned i = 0; i < page_files_count; i++)
        if (strcmp(page_files[i].path, path) == 0)
            return &page_files[i];
    return NULL;
}

static void reply_file(struct http_exchange *x, const struct page_file *file)
{
    http_reply(x, &(struct http_reply){.status = 200,
                                       .type = file->type,
                                       .body = slice_of(file->bytes, file->size),
                                       .lasting = true});
}

static void refuse_method(struct http_exchange *x, enum http_method wanted)
{
    static const char get[] = "{\"error\":\"this is asked for with GET\"}";
    static const char post[] = "{\"error\":\"this changes something, so it wants POST\"}";
    bool wants_post = wanted == HTTP_POST;
    http_reply(x, &(struct http_reply){.status = 405,
                                       .type = JSON_TYPE,
                                       .body = slice_text(wants_post ? post : get),
                                       .allow = wants_post ? "POST" : "GET, HEAD"});
}

/* NULL, or why not. */
static const char *distrust(const struct admin *a, const struct http_exchange *x)
{
    const char *host = http_header(x, "Host");
    if (!http_trusted_path(x) && !trust_host(host, a->setup.options->hosts))
        return "the Host is no name of this daemon; [admin] hosts can add it";
    if (!trust_origin(http_header(x, "Origin"), host))
        return "the request comes from a page of another origin";
    return NULL;
}

static bool may_change(struct admin *a, struct http_exchange *x)
{
    if (!*a->token || trust_bearer(http_header(x, "Authorization"), a->token))
        return true;
    a->changes_denied++;
    admin_refuse(x, 401, "a change wants the token: Authorization: Bearer TOKEN");
    return false;
}

void admin_route(void *admin, struct http_exchange *x)
{
    struct admin *a = admin;
    const struct page_file *file = find_file(http_path(x));
    const struct route *route = find_route(http_path(x));
    const char *distrusted = distrust(a, x);
    if (distrusted) {
        a->changes_denied += http_method(x) == HTTP_POST;
        admin_refuse(x, 403, distrusted);
    } else if (!route && !file) {
        admin_refuse(x, 404, "there is nothing here");
    } else if (http_method(x) != (route ? route->method : HTTP_GET)) {
        refuse_method(x, route ? route->method : HTTP_GET);
    } else if (file) {
        reply_file(x, file);
    } else if (route->method != HTTP_POST || may_change(a, x)) {
        route->answer(a, x);
    }
}
