/* larder-bench replay: a recorded trace through the client library, as an app would: get, and on a miss load and set
 * with the miss's token.
 *
 * What must stay true: keys are renamed, so that their age does not show; every value is looked at (outside of the
 * time taken), and one that is not its key's ends the run with an error. */
#include "bench/verbs.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench/hist.h"
#include "bench/keys.h"
#include "bench/spawn.h"
#include "bench/table.h"
#include "bench/timing.h"
#include "bench/trace.h"
#include "client/larder.h"

enum {
    UNKNOWN_SIZE = 100, /* where the trace does not say */
    VALUE_MAX = 1024 * 1024,
    L1_DEFAULT = 64 << 20,
};

/* Where a get was answered. */
enum place { NEAR, L1, WARM, L2, MISSED, SET, PLACES };
static const struct {
    const char *json, *people;
} places[PLACES] = {
    {"near", "L1, shared memory"},
    {"l1", "L1, by socket"},
    {"warm", "warm tier"},
    {"l2", "L2"},
    {"miss", "miss"},
    {"set", "set"},
};

struct replay {
    larder_client *client;
    larder_value value;
    uint8_t *bytes;
    struct hist at[PLACES];
    struct hist gets; /* all of them */
    uint64_t requests, cut, refused, wrong;
    uint64_t begin_ns, end_ns;
    char why[160];
};

static enum place place_of(const larder_value *v)
{
    switch (v->tier) {
    case LARDER_TIER_WARM: return WARM;
    case LARDER_TIER_L2: return L2;
    default: return v->near ? NEAR : L1;
    }
}

static int failed(struct replay *r, const char *what, int result)
{
    snprintf(r->why, sizeof(r->why), "request %llu: %s: %s", (unsigned long long)r->requests, what,
             larder_strerror(result));
    return -1;
}

static int set(struct replay *r, larder_slice key, const struct trace_request *request,
               const larder_token *since)
{
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    size_t size = request->size ? request->size : UNKNOWN_SIZE;
    r->cut += size > VALUE_MAX;
    size = size > VALUE_MAX ? VALUE_MAX : size;
    value_make(r->bytes, size, (uint32_t)request->key, 1);
    how.since = since && since->size ? since : NULL;
    uint64_t begin = timing_now_ns();
    int result = larder_set(r->client, key, larder_bytes(r->bytes, size), &how);
    hist_record(&r->at[SET], timing_now_ns() - begin);
    r->refused += result == LARDER_REFUSED;
    return result < 0 ? failed(r, "set", result) : 0;
}

static int get(struct replay *r, larder_slice key, const struct trace_request *request)
{
    uint64_t begin = timing_now_ns();
    int result = larder_get(r->client, key, NULL, &r->value);
    uint64_t took = timing_now_ns() - begin;
    if (result < 0)
        return failed(r, "get", result);
    hist_record(&r->gets, took);
    hist_record(&r->at[result == LARDER_HIT ? place_of(&r->value) : MISSED], took);
    if (result != LARDER_HIT)
        return set(r, key, request, &r->value.token);
    if (value_right(slice_of(r->value.data, r->value.size), (uint32_t)request->key, NULL))
        return 0;
    r->wrong++;
    return failed(r, "a value that is not the key's", 0);
}

static int run(struct replay *r, struct trace *t)
{
    struct trace_request request;
    char name[KEY_BYTES_MAX];
    int more;
    r->begin_ns = timing_now_ns();
    while ((more = trace_next(t, &request)) == 1) {
        struct slice key = key_name(name, (uint32_t)request.key, 1);
        larder_slice k = larder_bytes(key.data, key.size);
        r->requests++;
        if ((request.op == TRACE_GET ? get(r, k, &request) : set(r, k, &request, NULL)) < 0)
            return -1;
    }
    r->end_ns = timing_now_ns();
    if (more < 0)
        snprintf(r->why, sizeof(r->why), "%s", trace_why(t));
    return more;
}

/* ---- telling ------------------------------------------------------------------------------------------ */

static double share(const struct replay *r, enum place p)
{
    return r->gets.count ? (double)r->at[p].count / (double)r->gets.count : 0;
}

static double hit_ratio(const struct replay *r)
{
    return r->gets.count ? 1 - share(r, MISSED) : 0;
}

static void print_json(const struct replay *r, const char *path)
{
    json_t *tiers = json_object();
    for (enum place p = 0; p < PLACES; p++)
        json_object_set_new(tiers, places[p].json,
                            json_pack("{s:I, s:f, s:f, s:f}", "operations", (json_int_t)r->at[p].count,
                                      "ratio", p == SET ? 0 : share(r, p), "p50_ns",
                                      hist_quantile(&r->at[p], 0.5), "p99_ns",
                                      hist_quantile(&r->at[p], 0.99)));
    json_t *all =
        json_pack("{s:s, s:I, s:I, s:f, s:o, s:f, s:f, s:f}", "trace", path, "requests",
                  (json_int_t)r->requests, "gets", (json_int_t)r->gets.count, "hit_ratio", hit_ratio(r),
                  "tiers", tiers, "p50_ns", hist_quantile(&r->gets, 0.5), "p99_ns",
                  hist_quantile(&r->gets, 0.99), "seconds", (double)(r->end_ns - r->begin_ns) / 1e9);
    json_dumpf(all, stdout, JSON_REAL_PRECISION(6) | JSON_COMPACT);
    putchar('\n');
    json_decref(all);
}

static void print_row(struct table *t, const char *name, const struct hist *h, double ratio)
{
    if (h->count == 0)
        return;
    table_row(t);
    table_cell(t, "%s", name);
    table_cell(t, "%llu", (unsigned long long)h->count);
    if (ratio < 0)
        table_cell(t, " ");
    else
        table_cell(t, "%.2f %%", 100 * ratio);
    table_time(t, hist_quantile(h, 0.5));
    table_time(t, hist_quantile(h, 0.99));
}

static void print_people(const struct replay *r, const char *path)
{
    static struct table t;
    table_init(&t, "<answered from|operations|share of gets|p50|p99");
    for (enum place p = 0; p < PLACES; p++)
        print_row(&t, places[p].people, &r->at[p], p == SET ? -1 : share(r, p));
    print_row(&t, "all gets", &r->gets, 1);
    printf("%s: %llu requests in %.2f s, one client, read through: a miss is followed by a set\n", path,
           (unsigned long long)r->requests, (double)(r->end_ns - r->begin_ns) / 1e9);
    table_print(&t);
    printf("hit ratio %.2f %%; two clock reads (%.0f ns each) are in every time; values of unknown size have "
           "%d bytes\n",
           100 * hit_ratio(r), timing_clock_cost_ns(), UNKNOWN_SIZE);
    if (r->refused)
        printf("%llu sets were refused because something newer happened\n", (unsigned long long)r->refused);
    if (r->cut)
        printf("%llu values were cut to %d bytes\n", (unsigned long long)r->cut, VALUE_MAX);
}

/* ---- the verb ----------------------------------------------------------------------------------------- */

static int open_client(struct replay *r, const char *socket)
{
    larder_options how = LARDER_OPTIONS_INIT;
    how.socket = socket;
    how.name = "larder-bench replay";
    how.strict = true;
    how.get_ms = 2000;
    how.change_ms = 5000;
    int result = larder_open(&r->client, &how);
    if (result == LARDER_OK)
        result = larder_ping(r->client);
    return result < 0 ? failed(r, socket, result) : 0;
}

static int replay_at(struct replay *r, struct trace *t, const struct options *o, const char *socket)
{
    r->bytes = malloc(VALUE_MAX + 8);
    int result = r->bytes ? open_client(r, socket) : -1;
    if (result == 0)
        result = run(r, t);
    if (result == 0)
        (o->json ? print_json : print_people)(r, o->trace);
    else
        fprintf(stderr, "larder-bench: %s: %s\n", o->trace, r->why);
    larder_value_free(&r->value);
    larder_close(r->client);
    free(r->bytes);
    return result;
}

static int start(struct server *s, const struct options *o)
{
    struct server_options so = {.memory_bytes = o->l1_bytes ? o->l1_bytes : L1_DEFAULT,
                                .larderd = o->larderd};
    server_init(s, SERVER_LARDER);
    int r = server_start(s, &so);
    if (r < 0)
        fprintf(stderr, "larder-bench: %s\n", s->why);
    return r;
}

int verb_replay(struct options *o)
{
    static struct replay r;
    struct server server = {.pid = 0};
    struct trace *t = o->trace ? trace_open(o->trace) : NULL;
    if (!t) {
        fprintf(stderr, "larder-bench: replay needs --trace FILE%s\n", o->trace ? " that can be read" : "");
        return 2;
    }
    int result = o->socket ? 0 : start(&server, o);
    if (result == 0)
        result = replay_at(&r, t, o, o->socket ? o->socket : server.socket);
    server_stop(&server);
    trace_close(t);
    return result < 0;
}
