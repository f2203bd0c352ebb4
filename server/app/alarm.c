#include "app/alarm.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/child.h"

enum { WAITING_MAX = 64 }; /* more issues than that at once are one issue */

struct message {
    char *json;
    char variables[4][HEALTH_TEXT + 32];
};

struct alarm_bell {
    struct loop *loop;
    const struct health_options *options;
    struct alerts alerts;
    const struct health *judged; /* while updating */
    struct message *waiting[WAITING_MAX];
    unsigned first, count;
    struct child *child; /* of the first that waits */
    struct alarm_figures figures;
};

/* ---- what is told -------------------------------------------------------------------------------------- */

static const char *status_of(const struct health *h)
{
    return h->failing ? "failing" : h->degraded ? "degraded" : "ok";
}

static json_t *texts_of(const struct health *h, bool recommendations)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < h->count; i++) {
        const char *text = recommendations ? h->findings[i].recommendation : h->findings[i].issue;
        if (*text)
            json_array_append_new(array, json_string(text));
    }
    return array;
}

static char *describe(const struct health *h, const struct alert *alert, bool firing)
{
    char when[32], host[256] = "";
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc);
    gethostname(host, sizeof(host) - 1);
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:o, s:o, s:s, s:s}", "state",
                  firing ? "firing" : "resolved", "severity", health_severity_word(alert->severity),
                  "condition", health_condition_word(alert->condition), "scope", alert->scope, "message",
                  alert->issue, "score", h->score, "status", status_of(h), "issues", texts_of(h, false),
                  "recommendations", texts_of(h, true), "host", host, "timestamp", when);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text ? text : must_strdup("{}");
}

static struct message *message_of(const struct health *h, const struct alert *alert, bool firing)
{
    struct message *m = must_alloc(sizeof(*m));
    m->json = describe(h, alert, firing);
    snprintf(m->variables[0], sizeof(m->variables[0]), "LARDER_ALERT_STATE=%s",
             firing ? "firing" : "resolved");
    snprintf(m->variables[1], sizeof(m->variables[1]), "LARDER_ALERT_SEVERITY=%s",
             health_severity_word(alert->severity));
    snprintf(m->variables[2], sizeof(m->variables[2]), "LARDER_ALERT_CONDITION=%s",
             health_condition_word(alert->condition));
    snprintf(m->variables[3], sizeof(m->variables[3]), "LARDER_ALERT_MESSAGE=%s", alert->issue);
    return m;
}

static void message_free(struct message *m)
{
    free(m->json);
    free(m);
}

/* ---- telling ------------------------------------------------------------------------------------------- */

static void take_off_first(struct alarm_bell *b)
{
    message_free(b->waiting[b->first]);
    b->first = (b->first + 1) % WAITING_MAX;
    b->count--;
}

static void start_next(struct alarm_bell *b);

static void on_ended(void *user, int code)
{
    struct alarm_bell *b = user;
    b->child = NULL;
    if (code == 0)
        b->figures.told++;
    else
        b->figures.failed++;
    if (code != 0)
        log_warn("the alert command failed", L_I64("code", code));
    take_off_first(b);
    start_next(b);
}

static bool start_first(struct alarm_bell *b)
{
    const struct message *m = b->waiting[b->first];
    const char *why = "";
    struct child_setup setup = {.loop = b->loop,
                                .command = b->options->alert_command,
                                .input = slice_text(m->json),
                                .timeout_ns = b->options->alert_timeout,
                                .ended = on_ended,
                                .user = b};
    for (unsigned i = 0; i < COUNT_OF(m->variables); i++)
        setup.variables[i] = m->variables[i];
    b->child = child_start(&setup, &why);
    if (!b->child)
        log_warn("the alert command could not be started", L_TEXT("why", why));
    return b->child;
}

static void start_next(struct alarm_bell *b)
{
    while (!b->child && b->count > 0)
        if (!start_first(b)) {
            b->figures.failed++;
            take_off_first(b);
        }
}

static void tell(void *user, const struct alert *alert, bool firing)
{
    struct alarm_bell *b = user;
    b->figures.active += firing ? alert->since_ns == alert->seen_ns : -1ull;
    if (firing)
        log_warn("an issue", L_TEXT("condition", health_condition_word(alert->condition)),
                 L_TEXT("issue", alert->issue));
    else
        log_info("an issue is gone", L_TEXT("condition", health_condition_word(alert->condition)),
                 L_TEXT("scope", alert->scope));
    if (!*b->options->alert_command)
        return;
    if (b->count == WAITING_MAX) {
        b->figures.dropped++;
        return;
    }
    b->waiting[(b->first + b->count++) % WAITING_MAX] = message_of(b->judged, alert, firing);
    start_next(b);
}

void alarm_update(struct alarm_bell *b, const struct health *h)
{
    b->judged = h;
    alerts_update(&b->alerts, h, loop_now_ns(b->loop), b->options->alert_hold, tell, b);
    b->judged = NULL;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

struct alarm_bell *alarm_create(struct loop *loop, const struct health_options *options)
{
    struct alarm_bell *b = must_alloc(sizeof(*b));
    b->loop = loop;
    b->options = options;
    return b;
}

struct alarm_bell *alarm_destroy(struct alarm_bell *b)
{
    if (!b)
        return NULL;
    b->child = child_abandon(b->child);
    while (b->count > 0)
        take_off_first(b);
    free(b);
    return NULL;
}

void alarm_measure(const struct alarm_bell *b, struct alarm_figures *ret)
{
    *ret = b->figures;
}
