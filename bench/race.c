#include "bench/race.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench/fill.h"
#include "bench/keys.h"
#include "bench/timing.h"

enum { STREAM_KEYS = 1 << 22, STREAM_KEYS_QUICK = 1 << 20 };

/* ---- getting ready ------------------------------------------------------------------------------------ */

uint64_t race_l1_bytes(uint64_t count, uint64_t item_bytes)
{
    uint64_t item = (item_bytes + 32 + 7) / 8 * 8 + 12; /* header, slot at load 0.75 */
    uint64_t bytes = count * item / 10 * 15;            /* room for the pools to be uneven */
    return ((bytes > 64u << 20 ? bytes : 64u << 20) + (1u << 20) - 1) >> 20 << 20;
}

uint64_t race_memory_bytes(uint64_t count, uint64_t item_bytes)
{
    return (count * (item_bytes + 256) * 2 + (64u << 20)) >> 20 << 20;
}

__attribute__((format(printf, 2, 3))) static void take_out(struct contestant *c, const char *format, ...)
{
    va_list args;
    if (c->out[0])
        return; /* the first reason counts */
    va_start(args, format);
    vsnprintf(c->out, sizeof(c->out), format, args);
    va_end(args);
}

static uint64_t item_bytes(const struct race *r)
{
    char name[KEY_BYTES_MAX];
    return key_name(name, 0, (unsigned)r->options->levels).size + r->value_bytes;
}

static void start_server(struct race *r, struct contestant *c)
{
    struct server *s = &r->servers[c->kind->server];
    struct server_options so = {.memory_bytes = race_memory_bytes(r->key_count, item_bytes(r)),
                                .larderd = r->options->larderd};
    if (c->kind->server == SERVER_LARDER)
        so.memory_bytes =
            r->options->l1_bytes ? r->options->l1_bytes : race_l1_bytes(r->key_count, item_bytes(r));
    if (c->kind->server == SERVER_NONE)
        return;
    if (!server_available(c->kind->server, &so)) {
        take_out(c, "%s is not installed", server_name(c->kind->server));
        c->absent = c->kind->server != SERVER_LARDER;
        return;
    }
    if (s->pid > 0)
        return; /* two peers share it */
    server_init(s, c->kind->server);
    if (server_start(s, &so) < 0)
        take_out(c, "%s", s->why);
}

static int fill_and_check_server(const struct fill *f, struct race *r, struct contestant *c,
                                 uint64_t *missing)
{
    const char *socket = r->servers[c->kind->server].socket;
    if (r->filled[c->kind->server])
        return 0;
    r->filled[c->kind->server] = true;
    int ok = fill_server(f, c->kind->codec, socket, c->out);
    return ok == 0 ? fill_check_server(f, c->kind->codec, socket, missing, c->out) : ok;
}

/* A peer that reads memory also reads every key by itself, so that its pages are mapped. */
static void fill_contestant(struct race *r, struct contestant *c)
{
    struct size_mix sizes = {1, {r->value_bytes}, {1}};
    struct fill f = {r->key_count, (unsigned)r->options->levels, r->options->seed, &sizes};
    uint64_t missing = 0;
    int ok = 0;
    if (c->kind->floor)
        return;
    if (c->kind->codec)
        ok = fill_and_check_server(&f, r, c, &missing);
    else
        ok = fill_peer(&f, c->kind, c->peer, c->out);
    if (ok == 0 && missing == 0 && c->kind->reads_memory)
        ok = fill_check_peer(&f, c->kind, c->peer, &missing, c->out);
    if (ok == 0 && missing > 0)
        take_out(c, "%llu of the keys it was given are missing", (unsigned long long)missing);
}

static void enter(struct race *r, const struct peer_kind *kind)
{
    struct contestant *c = &r->contestants[r->count++];
    c->kind = kind;
    start_server(r, c);
    if (c->out[0])
        return;
    struct peer_where where = {r->servers[kind->server].socket, r->key_count, item_bytes(r), r->value_bytes};
    c->peer = kind->open(&where);
    if (!c->peer)
        take_out(c, "cannot be opened: %s", strerror(errno));
    else
        fill_contestant(r, c);
}

static double key_cost(const struct race *r)
{
    char name[KEY_BYTES_MAX];
    enum { NAMES = 100000 };
    size_t bytes = 0;
    uint64_t begin = timing_now_ns();
    for (unsigned i = 0; i < NAMES; i++)
        bytes += key_name(name, r->stream[i % r->stream_count], (unsigned)r->options->levels).size;
    uint64_t end = timing_now_ns();
    __asm__ volatile("" ::"r"(bytes), "m"(name));
    return (double)(end - begin) / NAMES;
}

static bool make_stream(struct race *r)
{
    const struct options *o = r->options;
    enum key_order order = strcmp(o->keys, "uniform") == 0 ? KEYS_UNIFORM : KEYS_ZIPF;
    r->stream_count = o->quick ? STREAM_KEYS_QUICK : STREAM_KEYS;
    r->stream = keys_stream(order, r->key_count, o->theta, r->stream_count, o->seed + 2);
    return r->stream != NULL;
}

static bool takes_part(const struct options *o, const struct peer_kind *kind)
{
    if (kind->named_only)
        return o->only && options_wanted(o, kind->name);
    return kind->floor || options_wanted(o, kind->name);
}

struct race *race_create(const struct options *o, uint64_t value_bytes)
{
    struct race *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->options = o;
    r->value_bytes = value_bytes;
    r->key_count = (uint32_t)o->key_count;
    r->slice_ns = o->quick ? 120 * NS_PER_MS : NS_PER_S;
    if (!make_stream(r))
        return race_destroy(r);
    if (o->pin)
        spawn_pin();
    r->clock_cost_ns = timing_clock_cost_ns();
    r->key_cost_ns = key_cost(r);
    for (unsigned i = 0; peer_kinds[i]; i++) {
        if (takes_part(o, peer_kinds[i]))
            enter(r, peer_kinds[i]);
    }
    return r;
}

struct race *race_destroy(struct race *r)
{
    if (!r)
        return NULL;
    for (unsigned i = 0; i < r->count; i++) {
        if (r->contestants[i].peer)
            r->contestants[i].kind->close(r->contestants[i].peer);
    }
    for (unsigned i = 0; i < SERVER_KINDS; i++)
        server_stop(&r->servers[i]);
    spawn_unpin();
    free(r->stream);
    free(r);
    return NULL;
}

/* ---- running ------------------------------------------------------------------------------------------ */

struct turn {
    struct race *race;
    struct contestant *c;
    struct race_figures *figures;
    uint32_t at; /* in the stream */
    char name[KEY_BYTES_MAX];
};

static uint32_t next_number(struct turn *t)
{
    uint32_t number = t->race->stream[t->at];
    t->at = t->at + 1 == t->race->stream_count ? 0 : t->at + 1;
    return number;
}

static int get_next(struct turn *t, uint32_t number, struct slice *ret_value)
{
    struct slice key = key_name(t->name, number, (unsigned)t->race->options->levels);
    return t->c->kind->get(t->c->peer, key, ret_value);
}

static void judge(struct turn *t, int result)
{
    if (result == PEER_ERROR)
        take_out(t->c, "failed during the race: %s", t->c->kind->why(t->c->peer));
    t->figures->misses += result == PEER_MISS;
}

static void run_batches(struct turn *t, uint64_t until_ns)
{
    uint64_t begin = timing_now_ns();
    struct slice value;
    while (begin < until_ns && !t->c->out[0]) {
        for (unsigned i = 0; i < RACE_BATCH; i++) {
            int result = get_next(t, next_number(t), &value);
            if (__builtin_expect(result != PEER_HIT, 0))
                judge(t, result);
        }
        uint64_t end = timing_now_ns();
        hist_record(&t->figures->batches, end - begin);
        t->figures->batch_ns += end - begin;
        t->figures->gets += RACE_BATCH;
        begin = end;
    }
}

/* One at a time, and each value is looked at, outside of the time taken. */
static void run_singles(struct turn *t, uint64_t until_ns)
{
    uint64_t end = 0;
    struct slice value;
    while (end < until_ns && !t->c->out[0]) {
        uint32_t number = next_number(t);
        uint64_t begin = timing_now_ns();
        int result = get_next(t, number, &value);
        end = timing_now_ns();
        hist_record(&t->figures->singles, end - begin);
        if (result != PEER_HIT)
            judge(t, result);
        else if (!t->c->kind->floor && !value_right(value, number, NULL))
            take_out(t->c, "answered with a value that is not the key's");
    }
}

static uint64_t near_of(const struct contestant *c)
{
    return c->kind->near ? c->kind->near(c->peer) : 0;
}

static void take_turn(struct race *r, struct contestant *c, enum race_state state, unsigned round)
{
    struct race_figures *f = &c->states[state];
    struct turn t = {r, c, f, (uint32_t)((round + 1) * 99991ull % r->stream_count), ""};
    uint64_t gets = f->gets, ns = f->batch_ns, near = near_of(c), now = timing_now_ns();
    run_batches(&t, now + r->slice_ns / 2);
    f->near += near_of(c) - near;
    run_singles(&t, timing_now_ns() + r->slice_ns / 2);
    if (f->gets > gets)
        f->round_mean_ns[f->rounds++] = (double)(f->batch_ns - ns) / (double)(f->gets - gets);
    if (f->misses > 0)
        take_out(c, "lost keys during the race");
}

void race_run(struct race *r, enum race_state state)
{
    for (unsigned round = 0; round < RACE_ROUNDS; round++) {
        for (unsigned i = 0; i < r->count; i++) {
            struct contestant *c = &r->contestants[(i + round) % r->count];
            if (!c->out[0])
                take_turn(r, c, state, round);
        }
    }
}

/* ---- figures ------------------------------------------------------------------------------------------ */

const char *race_state_name(enum race_state state)
{
    return state == RACE_AWAKE ? "awake" : "idle";
}

const struct contestant *race_peer(const struct race *r, const char *name)
{
    for (unsigned i = 0; i < r->count; i++) {
        if (strcmp(r->contestants[i].kind->name, name) == 0)
            return &r->contestants[i];
    }
    return NULL;
}

const struct race_figures *race_figures_of(const struct race *r, const char *name, enum race_state state)
{
    const struct contestant *c = race_peer(r, name);
    return c && !c->out[0] && c->states[state].gets > 0 ? &c->states[state] : NULL;
}

bool race_failures(const struct race *r)
{
    bool any = false;
    for (unsigned i = 0; i < r->count; i++) {
        const struct contestant *c = &r->contestants[i];
        if (c->out[0] == '\0')
            continue;
        fprintf(stderr, "%s: no figures: %s\n", c->kind->name, c->out);
        any |= !c->absent;
    }
    return any;
}

double race_p50_ns(const struct race_figures *f)
{
    return hist_quantile(&f->batches, 0.5) / RACE_BATCH;
}

double race_p99_ns(const struct race_figures *f)
{
    return hist_quantile(&f->singles, 0.99);
}

double race_mean_ns(const struct race_figures *f)
{
    double sum = 0;
    for (unsigned i = 0; i < f->rounds; i++)
        sum += f->round_mean_ns[i];
    return f->rounds ? sum / f->rounds : 0;
}

double race_ops_per_s(const struct race_figures *f)
{
    return f->batch_ns ? (double)f->gets * 1e9 / (double)f->batch_ns : 0;
}
