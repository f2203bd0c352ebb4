/* larder-bench lag: how long another host goes on seeing what was invalidated here (lag.h). */
#include "bench/verbs.h"

#include <jansson.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "bench/keys.h"
#include "bench/lag.h"
#include "bench/mutate.h"
#include "bench/spawn.h"
#include "bench/table.h"
#include "bench/timing.h"
#include "client/larder.h"

enum { VALUE_BYTES = 100, PATIENCE_S = 5, L1_BYTES = 64 << 20, STORE_BYTES = 256 << 20 };

struct host {
    larder_client *client;
    larder_value value;
};

/* The thread that looks.  What it shares with the rounds is handed over by the semaphores. */
struct watcher {
    pthread_t thread;
    larder_client *client;
    larder_slice key;
    sem_t go, looking, done;
    bool stop;
    uint64_t seen_ns; /* 0: why says what went wrong */
    char why[128];
};

struct lag {
    const struct options *options;
    struct lag_result *result;
    struct host here, there;
    struct watcher watcher;
    char name[KEY_BYTES_MAX];
    uint8_t bytes[VALUE_BYTES];
    uint32_t number; /* of the round; its key and its value */
};

static int failed(struct lag *l, const char *what, const char *why)
{
    snprintf(l->result->why, sizeof(l->result->why), "round %u: %s: %s", l->number, what, why);
    return -1;
}

/* ---- who looks ---------------------------------------------------------------------------------------- */

/* One look into shared memory, as an app without copies does it. */
static bool in_memory(struct watcher *w)
{
    larder_view view;
    return larder_peek(w->client, w->key, &view) == LARDER_HIT &&
           larder_validate(w->client, &view) == LARDER_HIT;
}

/* A look that lost a race with something else is none: the daemon has the last word. */
static int still_there(struct watcher *w, larder_value *value)
{
    int r = larder_get(w->client, w->key, NULL, value);
    if (r < 0)
        snprintf(w->why, sizeof(w->why), "%s", larder_strerror(r));
    return r < 0 ? r : r == LARDER_HIT;
}

/* When it was gone, or 0. */
static uint64_t look_until_gone(struct watcher *w, larder_value *value)
{
    uint64_t end = timing_now_ns() + PATIENCE_S * NS_PER_S;
    for (;;) {
        while (in_memory(w))
            sched_yield();
        uint64_t seen_ns = timing_now_ns();
        int r = still_there(w, value);
        if (r == 0)
            return seen_ns;
        if (r < 0)
            return 0;
        if (seen_ns > end) {
            snprintf(w->why, sizeof(w->why), "it was still handed out after %d s", PATIENCE_S);
            return 0;
        }
    }
}

static void *watch(void *user)
{
    struct watcher *w = user;
    larder_value value = LARDER_VALUE_INIT;
    for (sem_wait(&w->go); !w->stop; sem_wait(&w->go)) {
        in_memory(w); /* so that the first look that counts is no slower than the others */
        sem_post(&w->looking);
        w->seen_ns = look_until_gone(w, &value);
        sem_post(&w->done);
    }
    larder_value_free(&value);
    return NULL;
}

static void watcher_start(struct watcher *w, larder_client *client)
{
    w->client = client;
    sem_init(&w->go, 0, 0);
    sem_init(&w->looking, 0, 0);
    sem_init(&w->done, 0, 0);
    pthread_create(&w->thread, NULL, watch, w);
}

static void watcher_stop(struct watcher *w)
{
    w->stop = true;
    sem_post(&w->go);
    pthread_join(w->thread, NULL);
    sem_destroy(&w->go);
    sem_destroy(&w->looking);
    sem_destroy(&w->done);
}

/* ---- a round ------------------------------------------------------------------------------------------ */

/* 0, 1 when the round does not count, or -1. */
static int judged(struct lag *l, const char *what, int result)
{
    enum lag_outcome outcome = lag_outcome_of(result);
    l->result->detached += outcome == LAG_DETACHED;
    if (outcome == LAG_FAILED || lag_too_detached(l->result))
        return failed(l, what, larder_strerror(result));
    return outcome;
}

static larder_slice name_key(struct lag *l)
{
    struct slice key = key_name(l->name, l->number, 1);
    return larder_bytes(key.data, key.size);
}

static int set_here(struct lag *l, larder_slice key)
{
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    how.ttl_ms = 60000;
    how.stale_ms = 0;
    value_make(l->bytes, sizeof(l->bytes), l->number, l->number + 1u);
    int r = larder_set(l->here.client, key, larder_bytes(l->bytes, sizeof(l->bytes)), &how);
    return judged(l, "set", r);
}

/* Until the other host answers from memory.  A host that has not been read for long is not vouched for at once. */
static int read_there(struct lag *l, larder_slice key)
{
    uint64_t end = timing_now_ns() + PATIENCE_S * NS_PER_S;
    larder_value *value = &l->there.value;
    int r;
    do {
        r = larder_get(l->there.client, key, NULL, value);
        if (r < 0)
            return judged(l, "get", r);
        if (r == LARDER_HIT && !value_right(slice_of(value->data, value->size), l->number, NULL))
            return failed(l, "get", "a value that is not the key's");
        if (r == LARDER_HIT && value->near)
            return 0;
    } while (timing_now_ns() < end);
    return failed(l, "get",
                  r == LARDER_HIT ? "the other host never had it in shared memory"
                                  : "the other host does not have what was set: are they a fleet?");
}

static int invalidate_here(struct lag *l, larder_slice key)
{
    struct watcher *w = &l->watcher;
    struct lag_round round;
    w->key = key;
    sem_post(&w->go);
    sem_wait(&w->looking);
    round.sent_ns = timing_now_ns();
    int r = larder_invalidate(l->here.client, key);
    round.ok_ns = timing_now_ns();
    sem_wait(&w->done);
    round.seen_ns = w->seen_ns;
    int counts = judged(l, "invalidate", r);
    if (counts != 0)
        return counts;
    if (round.seen_ns == 0)
        return failed(l, "the other host", w->why);
    if (round.seen_ns < round.sent_ns)
        return failed(l, "the other host", "it was gone before it was invalidated");
    lag_note(l->result, &round);
    return 0;
}

static int measure_floor(struct lag *l)
{
    uint64_t begin = timing_now_ns();
    int r = larder_ping(l->here.client);
    hist_record(&l->result->floor, timing_now_ns() - begin);
    return r < 0 ? failed(l, "ping", larder_strerror(r)) : 0;
}

static int run_round(struct lag *l)
{
    larder_slice key = name_key(l);
    int r = set_here(l, key);
    if (r == 0)
        r = read_there(l, key);
    if (r == 0)
        r = invalidate_here(l, key);
    if (r == 0)
        r = measure_floor(l);
    l->number++;
    return r < 0 ? r : 0;
}

static int run_rounds(struct lag *l)
{
    const struct options *o = l->options;
    uint64_t end = timing_now_ns() + (uint64_t)(o->duration_s * 1e9);
    int r = 0;
    while (r == 0 && (o->ops ? l->result->from_call.count < o->ops : timing_now_ns() < end))
        r = run_round(l);
    return r;
}

/* ---- telling ------------------------------------------------------------------------------------------ */

static const double quantiles[] = {0.5, 0.9, 0.99, 0.999, 1};
enum { QUANTILES = sizeof(quantiles) / sizeof(quantiles[0]) };

static void add_row(struct table *t, const char *name, const struct hist *h)
{
    if (h->count == 0)
        return;
    table_row(t);
    table_cell(t, "%s", name);
    for (unsigned i = 0; i < QUANTILES; i++)
        table_time(t, hist_quantile(h, quantiles[i]));
}

static void print_bars(const struct lag_result *r)
{
    const char *no_claim = lag_no_claim(r);
    for (unsigned i = 0; i < LAG_BARS; i++) {
        const struct lag_bar *b = &lag_bars[i];
        double figure = hist_quantile(&r->from_call, b->quantile);
        printf("%s %s %.3f ms, the bar is %.0f ms: %s%s%s\n", i ? "    " : "bars", b->name, figure / 1e6,
               b->goal_ns / 1e6, figure <= b->goal_ns ? "reached" : "MISSED", no_claim ? "; no claim: " : "",
               no_claim ? no_claim : "");
    }
}

static void print_people(const struct lag_result *r)
{
    static struct table t;
    const struct lag_mutations *m = &r->mutations;
    printf("invalidated here, gone from the memory of the other host: %llu rounds",
           (unsigned long long)r->from_call.count);
    if (m->asked > 0)
        printf(" beside %.0f other changes a second", lag_mutation_rate(m));
    printf("\n");
    table_init(&t, "<|p50|p90|p99|p99.9|max");
    add_row(&t, "gone, after the call began", &r->from_call);
    add_row(&t, "gone, after its OK", &r->from_ok);
    add_row(&t, "the call itself", &r->call);
    add_row(&t, "another change, from when it was due", &m->late);
    add_row(&t, "floor: a ping of the daemon here", &r->floor);
    table_print(&t);
    if (r->detached > 0)
        printf("%llu more rounds do not count: a host was detached\n", (unsigned long long)r->detached);
    printf("gone before the OK: %.0f %%\n", 100.0 * (double)r->before_ok / (double)r->from_call.count);
    if (m->asked > 0)
        print_bars(r);
}

static json_t *hist_json(const struct hist *h)
{
    return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "count", (json_int_t)h->count, "mean_ns",
                     hist_mean(h), "p50_ns", hist_quantile(h, 0.5), "p90_ns", hist_quantile(h, 0.9), "p99_ns",
                     hist_quantile(h, 0.99), "p999_ns", hist_quantile(h, 0.999), "max_ns", (double)h->max);
}

static void print_json(const struct lag_result *r)
{
    const struct lag_mutations *m = &r->mutations;
    const char *no_claim = lag_no_claim(r);
    json_t *all = json_pack(
        "{s:o, s:o, s:o, s:o, s:I, s:I, s:{s:f, s:f, s:I, s:I, s:o}, s:s?}", "from_call",
        hist_json(&r->from_call), "from_ok", hist_json(&r->from_ok), "call", hist_json(&r->call), "floor",
        hist_json(&r->floor), "before_ok", (json_int_t)r->before_ok, "detached", (json_int_t)r->detached,
        "mutations", "asked_per_s", m->asked, "per_s", lag_mutation_rate(m), "done", (json_int_t)m->done,
        "refused", (json_int_t)m->refused, "late", hist_json(&m->late), "no_claim", no_claim);
    json_dumpf(all, stdout, JSON_REAL_PRECISION(6) | JSON_COMPACT);
    putchar('\n');
    json_decref(all);
}

/* ---- the run ------------------------------------------------------------------------------------------ */

static int open_host(struct lag *l, struct host *h, const char *socket)
{
    larder_options how = LARDER_OPTIONS_INIT;
    how.socket = socket;
    how.name = "larder-bench lag";
    how.strict = true;
    how.get_ms = 2000; /* a slow answer is to be seen, not cut off */
    how.change_ms = 5000;
    int r = larder_open(&h->client, &how);
    if (r == LARDER_OK)
        r = larder_ping(h->client);
    return r == LARDER_OK ? 0 : failed(l, socket, larder_strerror(r));
}

static void close_host(struct host *h)
{
    larder_value_free(&h->value);
    larder_close(h->client);
}

static int measure(struct lag *l)
{
    struct mutate *mutate = NULL;
    if (l->options->mutations > 0 && !(mutate = mutate_start(l->options->socket, l->options->mutations)))
        return -1;
    watcher_start(&l->watcher, l->there.client);
    int r = run_rounds(l);
    watcher_stop(&l->watcher);
    if (mutate)
        mutate_stop(mutate, &l->result->mutations);
    if (r == 0 && l->result->mutations.why[0])
        r = failed(l, "other changes", l->result->mutations.why);
    return r;
}

static int run(const struct options *o)
{
    static struct lag_result result;
    struct lag l = {.options = o, .result = &result};
    int r = open_host(&l, &l.here, o->socket);
    if (r == 0)
        r = open_host(&l, &l.there, o->other);
    if (r == 0)
        r = measure(&l);
    close_host(&l.here);
    close_host(&l.there);
    if (r == 0)
        (o->json ? print_json : print_people)(&result);
    else if (result.why[0])
        fprintf(stderr, "larder-bench: %s\n", result.why);
    return r == 0 ? 0 : 1;
}

/* ---- a fleet of two, when none is named --------------------------------------------------------------- */

enum { STORE, HERE, THERE, FLEET };

static int start_one(struct server *s, enum server_kind kind, const struct server_options *how)
{
    server_init(s, kind);
    if (server_start(s, how) == 0)
        return 0;
    fprintf(stderr, "larder-bench: %s\n", s->why);
    return -1;
}

static int start_fleet(struct server fleet[FLEET], struct options *o)
{
    struct server_options store = {.memory_bytes = STORE_BYTES, .keeps_journal = true};
    struct server_options host = {
        .memory_bytes = L1_BYTES, .larderd = o->larderd, .redis = fleet[STORE].socket};
    if (start_one(&fleet[STORE], SERVER_REDIS, &store) < 0 ||
        start_one(&fleet[HERE], SERVER_LARDER, &host) < 0 ||
        start_one(&fleet[THERE], SERVER_LARDER, &host) < 0)
        return -1;
    o->socket = fleet[HERE].socket;
    o->other = fleet[THERE].socket;
    return 0;
}

int verb_lag(struct options *o)
{
    struct server fleet[FLEET] = {{.pid = 0}};
    if (!o->socket != !o->other) {
        fprintf(stderr, "larder-bench: lag wants --socket and --other, or neither\n");
        return 2;
    }
    int r = o->socket || start_fleet(fleet, o) == 0 ? run(o) : 1;
    for (unsigned i = FLEET; i-- > 0;)
        server_stop(&fleet[i]);
    return r;
}
