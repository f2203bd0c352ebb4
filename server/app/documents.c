#include "app/documents.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "app/advice.h"
#include "app/config_document.h"
#include "app/doctor.h"
#include "app/explain.h"
#include "app/log_document.h"
#include "app/judge.h"
#include "app/policy_documents.h"
#include "app/put.h"
#include "app/readable.h"
#include "app/report_document.h"
#include "app/times.h"
#include "app/top.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "cache/loaders.h"
#include "l1/l1.h"
#include "l2/l2.h"
#include "warm/warm.h"

enum { SCHEMA = 1 };

#define FIGURE_STRUCT struct cache_figures
static const struct figure cache_rows[] = {CACHE_FIGURES(FIGURE_ROW)};
#undef FIGURE_STRUCT
#define FIGURE_STRUCT struct l1_figures
static const struct figure l1_rows[] = {L1_FIGURES(FIGURE_ROW)};
#undef FIGURE_STRUCT
#define FIGURE_STRUCT struct warm_figures
static const struct figure warm_rows[] = {WARM_FIGURES(FIGURE_ROW)};
#undef FIGURE_STRUCT
#define FIGURE_STRUCT struct session_figures
static const struct figure session_rows[] = {SESSION_FIGURES(FIGURE_ROW)};
#undef FIGURE_STRUCT
#define FIGURE_STRUCT struct loader_figures
static const struct figure loader_rows[] = {LOADER_FIGURES(FIGURE_ROW)};
#undef FIGURE_STRUCT

/* ---- small things -------------------------------------------------------------------------------------- */

static double ratio(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

static json_t *figures(const struct figure *rows, size_t count, const void *values)
{
    json_t *object = json_object();
    for (size_t i = 0; i < count; i++)
        put_number(object, rows[i].name,
                   *(const uint64_t *)(const void *)((const char *)values + rows[i].offset));
    return object;
}

static void put_head(json_t *document, const struct documents *d)
{
    char text[32];
    uint64_t wall_ns = clock_wall_ns();
    time_t seconds = (time_t)(wall_ns / NS_PER_S);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
    put_number(document, "schema", SCHEMA);
    put_text(document, "version", LARDER_RELEASE);
    put_text(document, "timestamp", text);
    put_number(document, "uptime_s", (loop_now_ns(d->loop) - d->started_ns) / NS_PER_S);
}

/* ---- what was counted ---------------------------------------------------------------------------------- */

struct counts {
    struct cache_figures cache;
    struct l1_figures l1;
    struct warm_figures warm;
    struct tier_figures l1_tier, warm_tier, l2_tier;
};

static void measure(const struct space *s, struct counts *ret)
{
    *ret = (struct counts){0};
    cache_measure(s->cache, &ret->cache);
    if (s->l1) {
        l1_measure(s->l1, &ret->l1);
        l1_tier(s->l1)->ops->measure(l1_tier(s->l1), &ret->l1_tier);
    }
    if (s->warm) {
        warm_measure(s->warm, &ret->warm);
        warm_tier(s->warm)->ops->measure(warm_tier(s->warm), &ret->warm_tier);
    }
    if (s->l2) {
        struct tier *l2 = l2_fleet(s->l2)->tier;
        l2->ops->measure(l2, &ret->l2_tier);
    }
}

/* The sum of all namespaces, as people ask for it: a hit is a hit, whoever found it. */
struct sums {
    uint64_t hits_l1, hits_shared, hits_warm, hits_l2, misses, keys;
    uint64_t l1_entries, l1_bytes, warm_entries, warm_bytes, l2_bytes;
    bool l1_available, warm_available, l2_available;
};

static void add_counts(struct sums *all, const struct space *s, const struct counts *c)
{
    uint64_t l1 = c->l1.l1_entries, warm = c->warm_tier.entries;
    all->hits_l1 += c->cache.hits_l1 + c->l1.l1_hits_shared;
    all->hits_shared += c->l1.l1_hits_shared;
    all->hits_warm += c->cache.hits_warm;
    all->hits_l2 += c->cache.hits_l2;
    all->misses += c->cache.misses;
    all->keys += l1 > warm ? l1 : warm; /* the warm tier holds most of what L1 holds */
    all->l1_entries += l1;
    all->l1_bytes += c->l1.l1_item_bytes;
    all->warm_entries += warm;
    all->warm_bytes += c->warm_tier.bytes;
    all->l1_available |= s->l1 != NULL;
    all->warm_available |= s->warm && c->warm_tier.available;
    all->l2_bytes =
        c->l2_tier.bytes > all->l2_bytes ? c->l2_tier.bytes : all->l2_bytes; /* they share one Redis */
    all->l2_available |= s->l2 && c->l2_tier.available;
}

static struct sums sum_up(const struct documents *d)
{
    struct sums all = {0};
    struct counts c;
    for (unsigned i = 0; i < d->spaces_count; i++) {
        measure(&d->spaces[i], &c);
        add_counts(&all, &d->spaces[i], &c);
    }
    return all;
}

/* ---- stats --------------------------------------------------------------------------------------------- */

static uint64_t hits_of(const struct sums *all)
{
    return all->hits_l1 + all->hits_warm + all->hits_l2;
}

static json_t *overall(const struct documents *d, const struct sums *all)
{
    struct session_figures sessions = {0};
    struct session_times times = {0};
    uint64_t hits = hits_of(all);
    json_t *o = json_object();
    sessions_measure(d->sessions, &sessions);
    sessions_times(d->sessions, CLASS_GET, &times);
    put_number(o, "requests", hits + all->misses);
    put_number(o, "hits", hits);
    put_number(o, "hits_shared", all->hits_shared);
    put_number(o, "misses", all->misses);
    json_object_set_new(o, "hit_ratio", json_real(ratio(hits, hits + all->misses)));
    put_us(o, "avg_us", times.count ? times.sum_ns / times.count : 0);
    put_us(o, "p50_us", times.p50_ns);
    put_us(o, "p95_us", times.p95_ns);
    put_us(o, "p99_us", times.p99_ns);
    put_number(o, "keys", all->keys);
    put_number(o, "errors", sessions.requests_bad + sessions.requests_timed_out);
    return o;
}

static json_t *tier(uint64_t hits, uint64_t all_hits, uint64_t entries, uint64_t bytes, bool available)
{
    json_t *o = json_object();
    put_number(o, "hits", hits);
    json_object_set_new(o, "hit_share", json_real(ratio(hits, all_hits)));
    put_number(o, "entries", entries);
    put_number(o, "bytes", bytes);
    put_switch(o, "available", available);
    return o;
}

static json_t *tiers(const struct sums *all)
{
    uint64_t hits = hits_of(all);
    json_t *o = json_object();
    json_object_set_new(o, "l1", tier(all->hits_l1, hits, all->l1_entries, all->l1_bytes, all->l1_available));
    json_object_set_new(o, "warm",
                        tier(all->hits_warm, hits, all->warm_entries, all->warm_bytes, all->warm_available));
    json_object_set_new(o, "l2", tier(all->hits_l2, hits, 0, all->l2_bytes, all->l2_available));
    return o;
}

static json_t *policies(const struct documents *d)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < d->spaces_count; i++)
        list_policies(array, &d->spaces[i]);
    return array;
}

static json_t *limits(const struct documents *d)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < d->spaces_count; i++)
        list_limits(array, &d->spaces[i]);
    return array;
}

static const char *mode_text(unsigned mode)
{
    static const char *const texts[] = {"STANDALONE", "FRESH", "SUSPECT", "DETACHED"};
    return mode < COUNT_OF(texts) ? texts[mode] : "?";
}

/* The worst of all namespaces. */
static const char *state_text(const struct documents *d)
{
    unsigned worst = 0;
    for (unsigned i = 0; i < d->spaces_count; i++)
        if (cache_mode(d->spaces[i].cache) > worst)
            worst = cache_mode(d->spaces[i].cache);
    return mode_text(worst);
}

static void put_loader(void *user, const struct loader_look *look)
{
    json_t *o = json_object();
    json_object_set_new(o, "patterns", readable(look->patterns));
    json_object_set_new(o, "client", readable(look->name));
    put_number(o, "pid", look->pid);
    put_number(o, "hands", look->hands);
    put_number(o, "out", look->out);
    put_number(o, "asked", look->asked);
    put_number(o, "loaded", look->loaded);
    put_number(o, "failed", look->failed);
    put_number(o, "late", look->late);
    put_number(o, "unstored", look->unstored);
    put_number(o, "rests_ms", look->rest_ns / NS_PER_MS);
    put_text(o, "trouble", look->trouble);
    json_array_append_new(user, o);
}

/* Who offered to load, and what became of what they were asked for. */
static json_t *loaders(const struct cache *c)
{
    struct loader_figures counted;
    loaders_measure(c, &counted);
    json_t *o = figures(loader_rows, COUNT_OF(loader_rows), &counted), *connected = json_array();
    loaders_look(c, put_loader, connected);
    json_object_set_new(o, "connected", connected);
    return o;
}

static json_t *namespaces(const struct documents *d)
{
    json_t *all = json_object();
    struct counts c;
    for (unsigned i = 0; i < d->spaces_count; i++) {
        const struct space *s = &d->spaces[i];
        json_t *o = json_object();
        measure(s, &c);
        put_text(o, "state", mode_text(cache_mode(s->cache)));
        json_object_set_new(o, "cache", figures(cache_rows, COUNT_OF(cache_rows), &c.cache));
        json_object_set_new(o, "loaders", loaders(s->cache));
        json_object_set_new(o, "times", times_of_space(s));
        if (s->l1)
            json_object_set_new(o, "l1", figures(l1_rows, COUNT_OF(l1_rows), &c.l1));
        if (s->warm)
            json_object_set_new(o, "warm", figures(warm_rows, COUNT_OF(warm_rows), &c.warm));
        json_object_set_new(all, s->config->name, o);
    }
    return all;
}

static json_t *turns(const struct documents *d)
{
    struct loop_turns t;
    json_t *o = json_object();
    loop_turns(d->loop, &t);
    put_number(o, "turns", t.turns);
    put_us(o, "p50_us", t.p50_ns);
    put_us(o, "p99_us", t.p99_ns);
    put_us(o, "p999_us", t.p999_ns);
    put_us(o, "max_us", t.max_ns);
    put_us(o, "cpu_max_us", t.cpu_max_ns);
    put_us(o, "off_cpu_us", t.off_cpu_ns);
    return o;
}

static json_t *process(void)
{
    json_t *o = json_object();
    put_number(o, "pid", (uint64_t)getpid());
    put_number(o, "resident_bytes", resident_bytes());
    put_number(o, "log_lines_dropped", log_dropped());
    return o;
}

/* The namespaces share one Redis; each has a session of its own. */
static void look_at_redis(const struct documents *d, struct l2_health *ret, bool *ret_all_linked)
{
    struct l2_health h;
    *ret = (struct l2_health){0};
    *ret_all_linked = false;
    for (unsigned i = 0; i < d->spaces_count; i++) {
        if (!d->spaces[i].l2)
            continue;
        l2_health(d->spaces[i].l2, &h);
        *ret_all_linked = (i == 0 || *ret_all_linked) && h.linked;
        if (i == 0 || !h.linked)
            *ret = h;
    }
}

static json_t *redis(const struct documents *d)
{
    struct l2_health h;
    bool linked;
    json_t *o = json_object();
    look_at_redis(d, &h, &linked);
    put_switch(o, "configured", config_names_redis(d->config));
    put_switch(o, "connected", linked);
    json_object_set_new(o, "used_memory_bytes",
                        linked ? json_integer((json_int_t)h.memory_used) : json_null());
    json_object_set_new(o, "max_memory_bytes", linked ? json_integer((json_int_t)h.memory_max) : json_null());
    if (h.state)
        put_text(o, "session", h.state);
    if (h.trouble)
        put_text(o, "trouble", h.trouble);
    if (linked)
        put_text(o, "version", h.version);
    return o;
}

static json_t *names(const struct documents *d, bool nothing,
                     void (*list)(json_t *array, const struct space *s))
{
    json_t *array = json_array();
    for (unsigned i = 0; i < d->spaces_count && !nothing; i++)
        list(array, &d->spaces[i]);
    return array;
}

static json_t *stats(const struct documents *d, bool nameless)
{
    struct sums all = sum_up(d);
    struct session_figures sessions = {0};
    json_t *o = json_object();
    sessions_measure(d->sessions, &sessions);
    put_head(o, d);
    put_text(o, "state", state_text(d));
    json_object_set_new(o, "overall", overall(d, &all));
    json_object_set_new(o, "tiers", tiers(&all));
    json_object_set_new(o, "policies", policies(d));
    json_object_set_new(o, "advice", advice_document(d->spaces, d->spaces_count));
    json_object_set_new(o, "limits", limits(d));
    json_object_set_new(o, "tenants", names(d, nameless, list_tenants));
    json_object_set_new(o, "top_keys", names(d, nameless, top_keys_list));
    json_object_set_new(o, "top_tags", names(d, nameless, top_tags_list));
    json_object_set_new(o, "redis", redis(d));
    json_object_set_new(o, "namespaces", namespaces(d));
    json_object_set_new(o, "sessions", figures(session_rows, COUNT_OF(session_rows), &sessions));
    json_object_set_new(o, "times", times_document(d));
    json_object_set_new(o, "loop", turns(d));
    json_object_set_new(o, "process", process());
    return o;
}

/* ---- health -------------------------------------------------------------------------------------------- */

static void put_findings(json_t *o, const struct health *h)
{
    json_t *issues = json_array(), *recommendations = json_array(), *conditions = json_array();
    for (unsigned i = 0; i < h->count; i++) {
        const struct health_finding *f = &h->findings[i];
        json_array_append_new(issues, json_string(f->issue));
        if (*f->recommendation)
            json_array_append_new(recommendations, json_string(f->recommendation));
        json_t *condition = json_object();
        put_text(condition, "condition", health_condition_word(f->condition));
        put_text(condition, "severity", health_severity_word(f->severity));
        put_text(condition, "scope", f->scope);
        json_array_append_new(conditions, condition);
    }
    json_object_set_new(o, "issues", issues);
    json_object_set_new(o, "recommendations", recommendations);
    json_object_set_new(o, "conditions", conditions);
}

static json_t *availability(const struct sums *all)
{
    json_t *o = json_object(), *part;
    const struct {
        const char *name;
        bool available;
    } rows[] = {{"l1", all->l1_available}, {"warm", all->warm_available}, {"l2", all->l2_available}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        json_object_set_new(o, rows[i].name, part = json_object());
        put_switch(part, "available", rows[i].available);
    }
    return o;
}

static json_t *health(const struct documents *d)
{
    struct health *h = must_alloc(sizeof(*h));
    struct sums all = sum_up(d);
    json_t *o = json_object();
    judge_now(d, h);
    put_text(o, "status", h->failing ? "failing" : h->degraded ? "degraded" : "ok");
    put_number(o, "score", (uint64_t)h->score);
    put_text(o, "state", state_text(d));
    put_head(o, d);
    json_object_set_new(o, "tiers", availability(&all));
    struct l2_health redis_health;
    bool linked;
    look_at_redis(d, &redis_health, &linked);
    json_object_set_new(o, "redis_latency_ms",
                        linked ? json_real((double)redis_health.lag_ns / NS_PER_MS) : json_null());
    put_findings(o, h);
    free(h);
    return o;
}

static json_t *report(const struct session_question *q)
{
    struct report_question question = {
        .days = q->days, .by = q->by, .from = q->from, .room = q->room, .again = q->again};
    return report_document(CONTAINER_OF(q->space, struct space, session), &question);
}

/* ---- out ----------------------------------------------------------------------------------------------- */

static int hand_out(json_t *o, struct buffer *ret_json)
{
    if (!o)
        return DOCUMENT_LATER;
    char *text = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
    CHECK(text);
    int result = buffer_append(ret_json, text, strlen(text));
    free(text);
    json_decref(o);
    return result;
}

int documents_answer(const struct documents *d, const struct session_question *question,
                     struct buffer *ret_json)
{
    json_t *o = NULL;
    switch (question->kind) {
    case DOCUMENT_STATS: o = stats(d, question->bound); break;
    case DOCUMENT_HEALTH: o = health(d); break;
    case DOCUMENT_EXPLAIN: o = explain_key(question); break;
    case DOCUMENT_CONFIG: o = config_document(d->config, question->origin); break;
    case DOCUMENT_LOG: o = log_document(question); break;
    case DOCUMENT_REPORT: o = report(question); break;
    case DOCUMENT_DOCTOR:
        o = doctor_document(CONTAINER_OF(question->space, struct space, session), question->probe);
        break;
    }
    return hand_out(o, ret_json);
}

int documents_report(const struct documents *d, const struct admin_report *which, struct buffer *ret_json)
{
    struct report_question q = {
        .days = which->days, .by = which->by, .from = which->from, .again = which->again};
    unsigned n = 0;
    while (n < d->spaces_count && d->spaces[n].cache != which->cache)
        n++;
    CHECK(n < d->spaces_count);
    q.nameless = d->spaces[n].config->cache.secret || !d->config->admin.http_names;
    return hand_out(report_document(&d->spaces[n], &q), ret_json);
}

void documents_log(const struct documents *d)
{
    struct counts c;
    struct loop_turns t;
    struct session_figures sessions = {0};
    loop_turns(d->loop, &t);
    sessions_measure(d->sessions, &sessions);
    log_info("statistics", L_U64("uptime_s", (loop_now_ns(d->loop) - d->started_ns) / NS_PER_S),
             L_U64("clients", sessions.client_connections), L_U64("client_bytes", sessions.client_bytes),
             L_U64("requests", sessions.requests), L_US("turn_p99_us", t.p99_ns),
             L_US("turn_max_us", t.max_ns), L_US("turn_cpu_max_us", t.cpu_max_ns),
             L_US("off_cpu_us", t.off_cpu_ns), L_U64("resident_bytes", resident_bytes()));
    for (unsigned i = 0; i < d->spaces_count; i++) {
        measure(&d->spaces[i], &c);
        log_info("statistics", L_TEXT("namespace", d->spaces[i].config->name),
                 L_U64("hits_shared", c.l1.l1_hits_shared), L_U64("hits_l1", c.cache.hits_l1),
                 L_U64("hits_warm", c.cache.hits_warm), L_U64("hits_l2", c.cache.hits_l2),
                 L_U64("misses", c.cache.misses), L_U64("sets", c.cache.sets),
                 L_U64("invalidations", c.cache.invalidations), L_U64("l1_entries", c.l1.l1_entries),
                 L_U64("warm_entries", c.warm_tier.entries));
    }
}
