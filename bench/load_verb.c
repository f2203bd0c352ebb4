/* larder-bench load: one target, a load of any shape. */
#include "bench/verbs.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench/cdf.h"
#include "bench/fill.h"
#include "bench/keys.h"
#include "bench/load.h"
#include "bench/race.h"
#include "bench/table.h"
#include "bench/timing.h"
#include "bench/trace.h"

enum { LOAD_STREAM = 1 << 22 };

/* The keys of a trace as numbers in order of appearance, which key_name() then scatters. */
static uint32_t *trace_keys(struct load_job *job)
{
    struct trace *t = trace_open(job->options->trace);
    uint32_t *keys = malloc(LOAD_STREAM * sizeof(*keys));
    struct trace_request request;
    int r = t && keys ? 1 : -1;
    while (r == 1 && job->keys_count < LOAD_STREAM && (r = trace_next(t, &request)) == 1) {
        keys[job->keys_count++] = (uint32_t)request.key;
        if (request.key >= job->key_space)
            job->key_space = (uint32_t)request.key + 1;
    }
    if (r < 0) {
        fprintf(stderr, "larder-bench: %s: %s\n", job->options->trace, t ? trace_why(t) : "cannot be read");
        free(keys);
        keys = NULL;
    }
    trace_close(t);
    return keys;
}

static uint32_t *make_keys(struct load_job *job)
{
    const struct options *o = job->options;
    if (strcmp(o->keys, "trace") == 0)
        return trace_keys(job);
    job->keys_count = LOAD_STREAM;
    job->key_space = (uint32_t)o->key_count;
    return keys_stream(strcmp(o->keys, "zipf") == 0 ? KEYS_ZIPF : KEYS_UNIFORM, job->key_space, o->theta,
                       LOAD_STREAM, o->seed);
}

static const char *impossible(const struct options *o, const struct peer_kind *kind)
{
    if (!kind || kind->floor)
        return "--target must be one of larder_shm larder_socket inprocess redis memcached";
    if (o->depth > 1 && (!kind->codec || kind->reads_memory))
        return "--depth above 1 is for what is asked over a socket: larder_socket, redis, memcached";
    if (o->clients > 1 && kind->server == SERVER_NONE)
        return "--clients: a table in one process has no other clients";
    return NULL;
}

static int prepare_server(struct load_job *job, struct server *server)
{
    const struct options *o = job->options;
    uint64_t bytes = (uint64_t)size_mix_mean(&o->sizes) + KEY_BYTES_MAX;
    struct server_options so = {.memory_bytes = race_memory_bytes(job->key_space, bytes),
                                .larderd = o->larderd};
    if (job->kind->server == SERVER_LARDER)
        so.memory_bytes = o->l1_bytes ? o->l1_bytes : race_l1_bytes(job->key_space, bytes);
    job->socket = o->socket;
    if (o->socket || job->kind->server == SERVER_NONE)
        return 0;
    server_init(server, job->kind->server);
    job->socket = server->socket;
    if (server_start(server, &so) == 0)
        return 0;
    fprintf(stderr, "larder-bench: %s\n", server->why);
    return -1;
}

static int fill_target(const struct load_job *job)
{
    struct fill f = {job->key_space, (unsigned)job->options->levels, job->options->seed,
                     &job->options->sizes};
    char why[192] = "";
    if (!job->kind->codec || fill_server(&f, job->kind->codec, job->socket, why) == 0)
        return 0;
    fprintf(stderr, "larder-bench: filling failed: %s\n", why);
    return -1;
}

/* ---- telling ------------------------------------------------------------------------------------------ */

static json_t *latency_json(const struct load_job *job, const struct hist *h)
{
    json_t *figures =
        json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "count", (json_int_t)h->count, "mean_ns",
                  hist_mean(h), "p50_ns", hist_quantile(h, 0.5), "p90_ns", hist_quantile(h, 0.9), "p99_ns",
                  hist_quantile(h, 0.99), "p999_ns", hist_quantile(h, 0.999), "max_ns", (double)h->max);
    if (job->options->cdf)
        json_object_set_new(figures, "cdf", cdf_json(h));
    return figures;
}

static void print_json(const struct load_job *job, const struct load_result *r)
{
    json_t *all = json_pack("{s:s, s:f, s:f, s:o, s:o, s:I, s:I, s:I, s:I, s:I}", "target", job->kind->name,
                            "rate", job->options->rate, "requests_per_s", load_per_second(r), "get",
                            latency_json(job, &r->gets), "set", latency_json(job, &r->sets), "hits",
                            (json_int_t)r->hits, "misses", (json_int_t)r->misses, "near", (json_int_t)r->near,
                            "wrong", (json_int_t)r->wrong, "unsent", (json_int_t)r->unsent);
    json_dumpf(all, stdout, JSON_REAL_PRECISION(6) | JSON_COMPACT);
    putchar('\n');
    json_decref(all);
}

static void latency_row(struct table *t, const char *name, const struct hist *h)
{
    static const double quantiles[] = {0.5, 0.9, 0.99, 0.999, 1};
    if (h->count == 0)
        return;
    table_row(t);
    table_cell(t, "%s", name);
    table_cell(t, "%llu", (unsigned long long)h->count);
    table_time(t, hist_mean(h));
    for (unsigned i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
        table_time(t, hist_quantile(h, quantiles[i]));
}

static void print_people(const struct load_job *job, const struct load_result *r)
{
    static struct table t;
    const struct options *o = job->options;
    printf("%s: %u keys, %s; %llu client%s, %llu under way each; %s; clock read %.0f ns, included\n",
           job->kind->name, job->key_space, o->keys, (unsigned long long)o->clients,
           o->clients > 1 ? "s" : "", (unsigned long long)o->depth,
           o->rate > 0 ? "open loop, latency from the intended start" : "closed loop",
           timing_clock_cost_ns());
    table_init(&t, "<op|requests|mean|p50|p90|p99|p99.9|max");
    latency_row(&t, "get", &r->gets);
    latency_row(&t, "set", &r->sets);
    table_print(&t);
    printf("%.0f requests/s; %llu hits (%llu without a system call), %llu misses", load_per_second(r),
           (unsigned long long)r->hits, (unsigned long long)r->near, (unsigned long long)r->misses);
    if (r->unsent)
        printf("; TOO SLOW for the rate: %llu requests were never sent", (unsigned long long)r->unsent);
    printf("\n");
}

static int run_job(struct load_job *job, struct server *server)
{
    static struct load_result result;
    if (prepare_server(job, server) < 0 || fill_target(job) < 0)
        return 1;
    if (load_run(job, &result) < 0) {
        fprintf(stderr, "larder-bench: %s\n", result.why);
        return 1;
    }
    (job->options->json ? print_json : print_people)(job, &result);
    if (result.wrong > 0)
        fprintf(stderr, "larder-bench: %llu values were not their keys'\n", (unsigned long long)result.wrong);
    return result.wrong > 0;
}

int verb_load(struct options *o)
{
    struct load_job job = {.options = o, .kind = peer_kind_of(o->target)};
    struct server server = {.pid = 0};
    const char *wrong = impossible(o, job.kind);
    if (wrong) {
        fprintf(stderr, "larder-bench: %s\n", wrong);
        return 2;
    }
    uint32_t *keys = make_keys(&job);
    job.keys = keys;
    int r = keys && job.keys_count > 0 ? run_job(&job, &server) : 1;
    server_stop(&server);
    free(keys);
    return r;
}
