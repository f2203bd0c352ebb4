/* A row a sample, in the order of families: what it is called, and where in the readings it stands.  Figures of the warm
 * tier and of HTTP are in tables of their modules, with names that need no other. */
#include "app/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "admin/exposition.h"
#include "app/readings.h"
#include "app/times.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "cache/runs.h"

#define LABELS(...) ((const struct exposition_label[EXPOSITION_LABELS]){__VA_ARGS__})

/* ---- figures of namespaces ----------------------------------------------------------------------------- */

struct sample_row {
    struct exposition_label labels[2]; /* besides the namespace */
    size_t offset;                     /* of a uint64_t in struct readings */
    bool there;
};
struct family_row {
    const char *name, *type, *help;
    struct sample_row samples[12]; /* up to the first that is not there */
};
#define AT(field) offsetof(struct readings, field), true
#define ONE(field)                    \
    {                                 \
        {                             \
            {{NULL, NULL}}, AT(field) \
        }                             \
    }
#define BY1(name, value, field)    \
    {                              \
        {{name, value}}, AT(field) \
    }
#define BY2(name1, value1, name2, value2, field)      \
    {                                                 \
        {{name1, value1}, {name2, value2}}, AT(field) \
    }
#define REQUEST(op, result, field) BY2("op", op, "result", result, field)

static const struct family_row families[] = {
    {"larder_requests_total",
     "counter",
     "Keys asked for and changed, by what came of it; hit_near: found in shared memory, without the daemon.",
     {REQUEST("get", "hit_near", l1.l1_hits_shared), REQUEST("get", "hit_l1", cache.hits_l1),
      REQUEST("get", "hit_warm", cache.hits_warm), REQUEST("get", "hit_l2", cache.hits_l2),
      REQUEST("get", "miss", cache.misses), REQUEST("set", "stored", cache.sets),
      REQUEST("set", "skipped", cache.sets_skipped), REQUEST("set", "unmet", cache.sets_unmet),
      REQUEST("touch", "done", cache.touches), REQUEST("invalidate", "done", cache.invalidations)}},
    {"larder_stale_hits_total", "counter", "Hits that were past their fresh life.", ONE(cache.hits_stale)},
    {"larder_detached_hits_total", "counter", "Hits answered, flagged, while Redis was away.",
     ONE(cache.hits_detached)},
    {"larder_promotions_total", "counter", "Entries carried from a lower tier into L1.",
     ONE(cache.promotions)},
    {"larder_fills_refused_total", "counter", "Fills that came after something newer.",
     ONE(cache.fills_refused)},
    {"larder_l1_entries", "gauge", "Entries in shared memory.", ONE(l1.l1_entries)},
    {"larder_l1_size_bytes", "gauge", "Bytes of the whole shared segment.", ONE(l1.l1_total_bytes)},
    {"larder_evictions_total",
     "counter",
     "Entries evicted.",
     {BY2("tier", "l1", "reason", "room", l1.l1_evictions),
      BY2("tier", "l1", "reason", "displaced", l1.l1_displaced),
      BY2("tier", "warm", "reason", "room", warm.warm_evictions)}},
    {"larder_expired_total",
     "counter",
     "Entries dropped past their end.",
     {BY1("tier", "l1", l1.l1_expired), BY1("tier", "warm", warm.warm_expired)}},
    {"larder_invalidations_total",
     "counter",
     "What was invalidated: keys and names (tags, prefixes, all) from here, records of all kinds from the "
     "fleet.",
     {BY2("source", "local", "kind", "key", cache.invalidated_keys),
      BY2("source", "local", "kind", "name", cache.invalidated_names),
      BY2("source", "fleet", "kind", "record", cache.records)}},
    {"larder_gaps_total", "counter", "Times records of the fleet were lost, and entries became suspect.",
     ONE(cache.gaps)},
    {"larder_changes_total",
     "counter",
     "Changes whose fate was not a plain one.",
     {BY1("fate", "queued", cache.changes_queued), BY1("fate", "unknown", cache.changes_unknown),
      BY1("fate", "local", cache.changes_local), BY1("fate", "gated", cache.changes_gated)}},
    {"larder_leases", "gauge", "Keys somebody is loading.", ONE(cache.leases)},
    {"larder_loads_total",
     "counter",
     "Leases by what came of them.",
     {BY1("outcome", "done", cache.loads_done), BY1("outcome", "unstored", cache.loads_unstored),
      BY1("outcome", "failed", cache.loads_failed), BY1("outcome", "passed_on", cache.loads_passed_on),
      BY1("outcome", "elsewhere", cache.loads_elsewhere)}},
    {"larder_lease_waits_total",
     "counter",
     "Callers who waited for the load of another.",
     {BY1("outcome", "served", cache.load_waits_served), BY1("outcome", "over", cache.load_waits_over)}},
    {"larder_loaders", "gauge", "Connections that offer to load.", ONE(loaders.loaders)},
    {"larder_loader_keys",
     "gauge",
     "Keys that registered loaders are asked for, or that wait for one.",
     {BY1("state", "out", loaders.fetches_out), BY1("state", "queued", loaders.fetches_queued)}},
    {"larder_loader_keys_total",
     "counter",
     "Keys that registered loaders were asked for, by what came of them.",
     {BY1("outcome", "loaded", loaders.fetches_loaded), BY1("outcome", "failed", loaders.fetches_failed),
      BY1("outcome", "returned", loaders.fetches_returned),
      BY1("outcome", "unstored", loaders.fetches_unstored), BY1("outcome", "late", loaders.fetches_late),
      BY1("outcome", "lost", loaders.fetches_lost), BY1("outcome", "refused", loaders.fetches_refused)}},
    {"larder_warm_available", "gauge", "Whether there is a warm tier.", ONE(warm_available)},
    {"larder_redis_up", "gauge", "Whether the session with Redis stands.", ONE(redis_up)},
    {"larder_redis_used_memory_bytes", "gauge", "What Redis says it uses.", ONE(redis.memory_used)},
    {"larder_redis_max_memory_bytes", "gauge", "What Redis says it may use; 0: no limit.",
     ONE(redis.memory_max)},
};

static void expose_family(struct exposition *e, const struct family_row *f, const struct documents *d,
                          const struct readings *readings)
{
    exposition_family(e, f->name, f->type, f->help);
    for (unsigned i = 0; i < d->spaces_count; i++)
        for (const struct sample_row *row = f->samples; row < f->samples + COUNT_OF(f->samples) && row->there;
             row++)
            exposition_sample(
                e, f->name, "",
                LABELS({"namespace", d->spaces[i].config->name}, row->labels[0], row->labels[1]),
                (double)*(const uint64_t *)(const void *)((const char *)&readings[i] + row->offset));
}

static void expose_bytes(struct exposition *e, const struct documents *d, const struct readings *readings)
{
    static const char name[] = "larder_l1_bytes";
    exposition_family(e, name, "gauge",
                      "Bytes of the shared segment: live items, dead ones, room, and the rest of it.");
    for (unsigned i = 0; i < d->spaces_count; i++) {
        const struct l1_figures *l1 = &readings[i].l1;
        uint64_t taken = l1->l1_item_bytes + l1->l1_dead_bytes;
        const struct {
            const char *kind;
            uint64_t bytes;
        } kinds[] = {{"items", l1->l1_item_bytes},
                     {"dead", l1->l1_dead_bytes},
                     {"free", l1->l1_segment_bytes > taken ? l1->l1_segment_bytes - taken : 0},
                     {"index", l1->l1_total_bytes - l1->l1_segment_bytes}};
        for (unsigned k = 0; k < COUNT_OF(kinds); k++)
            exposition_sample(e, name, "",
                              LABELS({"namespace", d->spaces[i].config->name}, {"kind", kinds[k].kind}),
                              (double)kinds[k].bytes);
    }
}

/* A summary without quantiles; of each lease request the time is in larder_request_duration_seconds. */
static void expose_waits(struct exposition *e, const struct documents *d, const struct readings *readings)
{
    static const char name[] = "larder_lease_wait_seconds";
    exposition_family(e, name, "summary", "How long callers waited for the load of another.");
    for (unsigned i = 0; i < d->spaces_count; i++) {
        const struct cache_figures *f = &readings[i].cache;
        const char *namespace = d->spaces[i].config->name;
        exposition_sample(e, name, "_sum", LABELS({"namespace", namespace}),
                          (double)f->load_wait_ns / NS_PER_S);
        exposition_sample(e, name, "_count", LABELS({"namespace", namespace}), (double)f->load_waits_ended);
    }
}

static void expose_states(struct exposition *e, const struct documents *d, const struct readings *readings)
{
    static const char *const states[] = {"STANDALONE", "FRESH", "SUSPECT", "DETACHED"};
    exposition_family(e, "larder_state", "gauge",
                      "1 for the state a namespace is in: whether what it serves is vouched for.");
    for (unsigned i = 0; i < d->spaces_count; i++)
        for (unsigned s = 0; s < COUNT_OF(states); s++)
            exposition_sample(e, "larder_state", "",
                              LABELS({"namespace", d->spaces[i].config->name}, {"state", states[s]}),
                              readings[i].mode == s);
    exposition_family(
        e, "larder_invalidation_lag_seconds", "gauge",
        "From the sending of the last fence until it vouched: how late the news of other hosts are.");
    for (unsigned i = 0; i < d->spaces_count; i++)
        if (readings[i].redis_up)
            exposition_sample(e, "larder_invalidation_lag_seconds", "",
                              LABELS({"namespace", d->spaces[i].config->name}),
                              (double)readings[i].redis.lag_ns / NS_PER_S);
}

/* ---- policies ------------------------------------------------------------------------------------------ */

struct policy_sum {
    const char *namespace, *policy;
    struct policy_figures figures;
    uint64_t near;
};

static void each_policy(const struct documents *d,
                        void (*each)(struct exposition *e, const struct policy_sum *p), struct exposition *e)
{
    for (unsigned i = 0; i < d->spaces_count; i++) {
        const struct space *s = &d->spaces[i];
        const struct policies *all = cache_policies(s->cache);
        uint64_t near[SHM_POLICIES] = {0};
        if (s->l1)
            l1_policy_hits(s->l1, near);
        for (unsigned n = 0; n < policies_count(all); n++) {
            const struct policy *p = policies_nth(all, n);
            struct policy_sum sum = {.namespace = s->config->name, .policy = p->name};
            cache_measure_policy(s->cache, p->number, &sum.figures);
            sum.near = p->number < POLICY_NEAR_MAX ? near[p->number] : 0;
            each(e, &sum);
        }
    }
}

static void expose_hits(struct exposition *e, const struct policy_sum *p)
{
    const struct {
        const char *tier;
        uint64_t hits;
    } tiers[] = {{"near", p->near},
                 {"l1", p->figures.hits_l1},
                 {"warm", p->figures.hits_warm},
                 {"l2", p->figures.hits_l2}};
    for (unsigned i = 0; i < COUNT_OF(tiers); i++)
        exposition_sample(e, "larder_hits_total", "",
                          LABELS({"namespace", p->namespace}, {"policy", p->policy}, {"tier", tiers[i].tier}),
                          (double)tiers[i].hits);
}

#define FIGURE_STRUCT struct policy_figures
static const struct figure miss_rows[] = {MISS_FIGURES(FIGURE_ROW)};
#undef FIGURE_STRUCT

static void expose_misses(struct exposition *e, const struct policy_sum *p)
{
    for (unsigned i = 0; i < COUNT_OF(miss_rows); i++)
        exposition_sample(
            e, "larder_misses_total", "",
            LABELS({"namespace", p->namespace}, {"policy", p->policy},
                   {"reason", miss_rows[i].name + strlen("misses_")}),
            (double)*(const uint64_t *)(const void *)((const char *)&p->figures + miss_rows[i].offset));
}

static void expose_policies(struct exposition *e, const struct documents *d)
{
    exposition_family(e, "larder_hits_total", "counter",
                      "Hits by policy; tier near: found by clients in shared memory (policies past the 62nd: "
                      "not told apart).");
    each_policy(d, expose_hits, e);
    exposition_family(
        e, "larder_misses_total", "counter",
        "Misses by policy and reason; evicted: as far as the last 65,536 keys that went are remembered.");
    each_policy(d, expose_misses, e);
}

/* ---- warmings of policies -------------------------------------------------------------------------------- */

static const struct {
    const char *family, *help, *label, *value;
    size_t offset;
} run_rows[] = {
#define RUN_ROW(family, help, label, value, field)                   \
    {                                                                \
        family, help, label, value, offsetof(struct run_sums, field) \
    }
#define RUNS(value, field)                                                                                \
    RUN_ROW("larder_warming_runs_total", "Warmings of policies, by what came of them.", "outcome", value, \
            field)
#define KEYS(value, field) \
    RUN_ROW("larder_warming_keys_total", "Keys that warmings of policies looked at.", "outcome", value, field)
    RUNS("done", runs),
    RUNS("skipped", skipped),
    RUNS("put_off", put_off),
    KEYS("loaded", loaded),
    KEYS("here", here),
    KEYS("missing", missing),
    KEYS("failed", failed),
    RUN_ROW("larder_warming_seconds_total", "Time that warmings of policies took.", NULL, NULL, took_ns),
};

static void expose_run(struct exposition *e, unsigned row, const char *namespace, const struct policy *p,
                       const struct run_sums *total)
{
    uint64_t value = *(const uint64_t *)(const void *)((const char *)total + run_rows[row].offset);
    bool is_time = !run_rows[row].label;
    exposition_sample(
        e, run_rows[row].family, "",
        LABELS({"namespace", namespace}, {"policy", p->name}, {run_rows[row].label, run_rows[row].value}),
        is_time ? (double)value / NS_PER_S : (double)value);
}

static void expose_runs(struct exposition *e, const struct documents *d)
{
    struct run_look look;
    for (unsigned row = 0; row < COUNT_OF(run_rows); row++) {
        if (row == 0 || strcmp(run_rows[row].family, run_rows[row - 1].family) != 0)
            exposition_family(e, run_rows[row].family, "counter", run_rows[row].help);
        for (unsigned i = 0; i < d->spaces_count; i++) {
            const struct policies *all = cache_policies(d->spaces[i].cache);
            for (unsigned n = 1; n < policies_count(all); n++)
                if (run_look(d->spaces[i].cache, policies_nth(all, n)->number, &look))
                    expose_run(e, row, d->spaces[i].config->name, policies_nth(all, n), &look.total);
        }
    }
}

static void expose_limits(struct exposition *e, const struct documents *d)
{
    exposition_family(e, "larder_limit_answers_total", "counter", "Answers of limits of the configuration.");
    for (unsigned i = 0; i < d->spaces_count; i++) {
        const struct quotas *all = cache_quotas(d->spaces[i].cache);
        const char *namespace = d->spaces[i].config->name;
        for (unsigned n = 0; n < quotas_count(all); n++) {
            const struct quota *q = quotas_nth(all, n);
            exposition_sample(e, "larder_limit_answers_total", "",
                              LABELS({"namespace", namespace}, {"limit", q->name}, {"result", "allowed"}),
                              (double)(q->figures.asked - q->figures.refused));
            exposition_sample(e, "larder_limit_answers_total", "",
                              LABELS({"namespace", namespace}, {"limit", q->name}, {"result", "refused"}),
                              (double)q->figures.refused);
        }
    }
}

/* ---- the daemon ---------------------------------------------------------------------------------------- */

static void expose_one(struct exposition *e, const char *name, const char *type, const char *help,
                       double value)
{
    exposition_family(e, name, type, help);
    exposition_sample(e, name, "", NULL, value);
}

/* Of a module's own table, one value each or one a namespace: larder_NAME, counters with _total. */
static void expose_table(struct exposition *e, const struct figure *rows, unsigned count,
                         const struct documents *d, const void *first, size_t stride)
{
    for (unsigned i = 0; i < count; i++) {
        char name[96];
        bool counter = rows[i].kind == FIGURE_COUNTER;
        snprintf(name, sizeof(name), "larder_%s%s", rows[i].name, counter ? "_total" : "");
        exposition_family(e, name, counter ? "counter" : "gauge", rows[i].sentence);
        for (unsigned s = 0; s < (stride ? d->spaces_count : 1); s++)
            exposition_sample(
                e, name, "", stride ? LABELS({"namespace", d->spaces[s].config->name}) : NULL,
                (double)*(const uint64_t *)(const void *)((const char *)first + s * stride + rows[i].offset));
    }
}

#define FIGURE_STRUCT struct warm_figures
static const struct figure warm_rows[] = {WARM_FIGURES(FIGURE_ROW)};
#undef FIGURE_STRUCT
#define FIGURE_STRUCT struct admin_figures
static const struct figure admin_rows[] = {ADMIN_FIGURES(FIGURE_ROW)};
#undef FIGURE_STRUCT

static void expose_sessions(struct exposition *e, const struct documents *d)
{
    struct session_figures f = {0};
    sessions_measure(d->sessions, &f);
    expose_one(e, "larder_client_connections", "gauge", "Clients connected.", (double)f.client_connections);
    expose_one(e, "larder_client_bytes", "gauge", "Bytes pinned by clients.", (double)f.client_bytes);
    expose_one(e, "larder_requests_in_flight", "gauge", "Requests waiting for a tier.",
               (double)f.requests_in_flight);
    expose_one(e, "larder_connections_accepted_total", "counter", "Clients ever accepted.",
               (double)f.connections_accepted);
    expose_one(e, "larder_connections_refused_total", "counter", "Clients answered BUSY for want of room.",
               (double)f.connections_refused);
    expose_one(e, "larder_connections_cut_total", "counter",
               "Clients cut off: broken frame, too slow, pinned too much.", (double)f.connections_cut);
    exposition_family(e, "larder_client_unreached_total", "counter",
                      "Calls that no daemon answered, as their clients told the next one.");
    exposition_sample(e, "larder_client_unreached_total", "", LABELS({"reason", "unreachable"}),
                      (double)f.clients_unreachable);
    exposition_sample(e, "larder_client_unreached_total", "", LABELS({"reason", "timeout"}),
                      (double)f.clients_timeouts);
    exposition_family(e, "larder_request_errors_total", "counter", "Requests that were not served.");
    exposition_sample(e, "larder_request_errors_total", "", LABELS({"kind", "bad"}), (double)f.requests_bad);
    exposition_sample(e, "larder_request_errors_total", "", LABELS({"kind", "timeout"}),
                      (double)f.requests_timed_out);
}

static void expose_times(struct exposition *e, const struct documents *d)
{
    struct loop_turns t;
    times_expose(e, d);
    loop_turns(d->loop, &t);
    expose_one(e, "larder_loop_turn_p99_seconds", "gauge",
               "99 of 100 turns of the loop were no longer, since the start.", (double)t.p99_ns / NS_PER_S);
    expose_one(e, "larder_loop_turn_max_seconds", "gauge", "The longest turn of the loop since the start.",
               (double)t.max_ns / NS_PER_S);
    expose_one(
        e, "larder_loop_turn_cpu_max_seconds", "gauge",
        "The most processor time that one turn of 1 ms or more took: how long the daemon itself blocks.",
        (double)t.cpu_max_ns / NS_PER_S);
    expose_one(e, "larder_loop_off_cpu_seconds_total", "counter",
               "What turns of 1 ms or more lasted without a processor: the machine has too few.",
               (double)t.off_cpu_ns / NS_PER_S);
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void expose_process(struct exposition *e, const struct documents *d)
{
    struct rusage usage;
    struct rlimit files;
    unsigned long long virtual_pages = 0, resident_pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%llu %llu", &virtual_pages, &resident_pages) != 2)
        resident_pages = 0;
    if (file)
        fclose(file);
    double page = (double)sysconf(_SC_PAGESIZE),
           age = (double)(loop_now_ns(d->loop) - d->started_ns) / NS_PER_S;
    getrusage(RUSAGE_SELF, &usage);
    getrlimit(RLIMIT_NOFILE, &files);
    expose_one(e, "process_cpu_seconds_total", "counter", "CPU time of the daemon.",
               seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
    expose_one(e, "process_resident_memory_bytes", "gauge", "Memory in use, shared memory included.",
               (double)resident_pages * page);
    expose_one(e, "process_virtual_memory_bytes", "gauge", "Address space in use.",
               (double)virtual_pages * page);
    expose_one(e, "process_max_fds", "gauge", "Files it may have open.", (double)files.rlim_cur);
    expose_one(e, "process_start_time_seconds", "gauge", "When it started, since 1970.",
               (double)clock_wall_ns() / NS_PER_S - age);
}

static void expose_health(struct exposition *e, const struct health *h, const struct alarm_figures *alarm)
{
    unsigned issues[HEALTH_CONDITIONS_COUNT] = {0};
    const char *status = h->failing ? "failing" : h->degraded ? "degraded" : "ok";
    static const char *const all[] = {"ok", "degraded", "failing"};
    for (unsigned i = 0; i < h->count; i++)
        issues[h->findings[i].condition]++;
    expose_one(e, "larder_health_score", "gauge", "100: all is well.", h->score);
    exposition_family(e, "larder_health_status", "gauge", "1 for what health says.");
    for (unsigned i = 0; i < COUNT_OF(all); i++)
        exposition_sample(e, "larder_health_status", "", LABELS({"status", all[i]}),
                          strcmp(all[i], status) == 0);
    exposition_family(e, "larder_health_issues", "gauge", "Issues by condition, in all namespaces.");
    for (unsigned i = 0; i < HEALTH_CONDITIONS_COUNT; i++)
        exposition_sample(e, "larder_health_issues", "", LABELS({"condition", health_condition_word(i)}),
                          issues[i]);
    expose_one(e, "larder_alerts_active", "gauge", "Issues that were told and not taken back.",
               (double)alarm->active);
    exposition_family(e, "larder_alert_commands_total", "counter",
                      "Runs of alert_command; dropped: too many waited.");
    exposition_sample(e, "larder_alert_commands_total", "", LABELS({"result", "done"}), (double)alarm->told);
    exposition_sample(e, "larder_alert_commands_total", "", LABELS({"result", "failed"}),
                      (double)alarm->failed);
    exposition_sample(e, "larder_alert_commands_total", "", LABELS({"result", "dropped"}),
                      (double)alarm->dropped);
}

static void expose_daemon(struct exposition *e, const struct documents *d, const struct metrics_more *more)
{
    exposition_family(e, "larder_build_info", "gauge", "1, with the version.");
    exposition_sample(e, "larder_build_info", "", LABELS({"version", LARDER_RELEASE}), 1);
    expose_one(e, "larder_detached_seconds_total", "counter", "Time a namespace was away from Redis.",
               (double)more->detached_ns / NS_PER_S);
    expose_one(e, "larder_log_lines_dropped_total", "counter", "Log lines nobody read fast enough.",
               (double)log_dropped());
    expose_health(e, more->health, &more->alarm);
    expose_sessions(e, d);
    expose_times(e, d);
    expose_table(e, admin_rows, COUNT_OF(admin_rows), d, &more->admin, 0);
    expose_process(e, d);
}

int metrics_answer(const struct documents *d, const struct metrics_more *more, struct buffer *ret_text)
{
    struct exposition e = {.out = ret_text};
    struct readings *readings = must_alloc((d->spaces_count + 1) * sizeof(*readings));
    for (unsigned i = 0; i < d->spaces_count; i++)
        readings_take(&d->spaces[i], &readings[i]);
    for (unsigned i = 0; i < COUNT_OF(families); i++)
        expose_family(&e, &families[i], d, readings);
    expose_bytes(&e, d, readings);
    expose_waits(&e, d, readings);
    expose_states(&e, d, readings);
    expose_policies(&e, d);
    expose_limits(&e, d);
    expose_runs(&e, d);
    expose_table(&e, warm_rows, COUNT_OF(warm_rows), d, &readings->warm, sizeof(*readings));
    expose_daemon(&e, d, more);
    free(readings);
    return e.error;
}
