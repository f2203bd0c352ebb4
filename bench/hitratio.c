/* larder-bench hitratio: recorded traces through whole servers that may all use the same memory; who answers more gets?
 *
 * What must stay true: everybody sees the same keys, sizes and order, one client, a get and after a miss a set; nothing
 * is skipped as warm-up; every value's beginning says whose it is and is looked at.  What counts as memory is seen from outside, alike for everybody: by
 * how much the proportional set size grew over the empty process, to 2 % of what was asked for, measured at the end of
 * the run itself.  Limits are set so that this comes out, whatever a server understands by its limit.  Larder has its
 * segment and index from the start, so they count whole, the reader's pages of it too, and its base is a daemon with the
 * smallest segment; its warm tier is off, since its pages are the disk's cache. */
#include "bench/verbs.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bench/peer.h"
#include "bench/spawn.h"
#include "bench/keys.h"
#include "bench/recorded.h"
#include "bench/table.h"
#include "bench/timing.h"

enum {
    UNIQUE_TO_BUDGET = 10, /* all keys together would need so many times the memory */
    CLAIM_KEYS =
        50000, /* of smaller traces the items are so large that it is about packing, not about choosing */
    SETTLE_TRIES = 4,
    RUN_TRIES = 3, /* --quick: one of each */
    TRACES_MAX = 16,
    MEAN_LEAST = 512,  /* so that overheads do not rule */
    STAMP_BYTES = 256, /* of a value that say whose it is; the rest is noise that nobody can compress */
    FULL = 3,          /* a cache is settled after so many times its bytes were stored */
};
#define BUDGET       (256u << 20)
#define BUDGET_QUICK (32u << 20)
#define SMALLEST     (4u << 20)
#define EQUAL        0.02  /* how far from the budget a run may end */
#define SETTLED      0.005 /* and a fill before it */

static const struct side {
    const char *name, *peer, *policy;
} sides[] = {
    {"larder", "larder_shm", NULL},
    {"memcached", "memcached", NULL},
    {"redis-lru", "redis", "allkeys-lru"},
    {"redis-lfu", "redis", "allkeys-lfu"},
};
enum { SIDES = sizeof(sides) / sizeof(sides[0]) };

struct outcome {
    bool ran, equal;
    uint64_t gets, hits, near, sets, unstored, limit;
    double grown; /* bytes */
    double seconds;
};

struct contest {
    const struct options *o;
    const char *path;
    struct recorded trace;
    struct size_mix sizes; /* of values */
    uint64_t budget;
    uint8_t *value;
    uint64_t stored; /* bytes of values in this run */
    struct outcome of[SIDES];
    char why[192];
};

static double hit_ratio(const struct outcome *out)
{
    return out->gets ? (double)out->hits / (double)out->gets : 0;
}

/* ---- what a server weighs ------------------------------------------------------------------------------------ */

struct weighed {
    const struct side *side;
    const struct peer_kind *kind;
    struct server server;
    uint64_t base;
};

static uint64_t private_bytes(pid_t pid)
{
    struct pss p = spawn_pss(pid);
    return p.bytes - p.memfd_bytes;
}

/* Of a Larder also what this process, its reader, has of the segment. */
static double grown_bytes(const struct weighed *w)
{
    uint64_t bytes = spawn_pss(w->server.pid).bytes;
    if (w->kind->server == SERVER_LARDER)
        bytes += spawn_pss(getpid()).memfd_bytes;
    return (double)bytes - (double)w->base;
}

static int start_with(struct contest *c, struct weighed *w, uint64_t limit)
{
    struct server_options so = {
        .memory_bytes = limit, .larderd = c->o->larderd, .no_warm = true, .policy = w->side->policy};
    server_init(&w->server, w->kind->server);
    if (server_start(&w->server, &so) == 0)
        return 0;
    snprintf(c->why, sizeof(c->why), "%s", w->server.why);
    return -1;
}

static int start(struct contest *c, struct weighed *w, uint64_t limit)
{
    if (w->kind->server == SERVER_LARDER && w->base == 0) {
        if (start_with(c, w, SMALLEST) < 0)
            return -1;
        w->base = private_bytes(w->server.pid);
        server_stop(&w->server);
    }
    if (start_with(c, w, limit) < 0)
        return -1;
    if (w->kind->server != SERVER_LARDER)
        w->base = spawn_pss(w->server.pid).bytes;
    return 0;
}

/* The limit that would have come out right, in whole MiB, as two of the three take it. */
static uint64_t better_limit(const struct contest *c, uint64_t limit, double grown)
{
    double better = (double)limit * (double)c->budget / grown;
    return ((uint64_t)better + (1u << 19)) >> 20 << 20;
}

static double off_by(const struct contest *c, double grown)
{
    return fabs(grown / (double)c->budget - 1);
}

/* ---- a run --------------------------------------------------------------------------------------------------- */

/* A server that has no room just now says so; an app would leave it at that, so it counts and goes on, up to: */
static bool too_many_unstored(const struct outcome *out)
{
    return out->unstored > 10 + out->sets / 1000;
}

static int set(struct contest *c, const struct weighed *w, struct peer *p, struct slice key, uint32_t number,
               struct outcome *out)
{
    size_t size = size_mix_of(&c->sizes, number);
    c->stored += size;
    value_make(c->value, STAMP_BYTES < size ? STAMP_BYTES : size, number, 1);
    out->sets++;
    if (w->kind->set(p, key, slice_of(c->value, size)) == PEER_OK)
        return 0;
    out->unstored++;
    if (!too_many_unstored(out))
        return 0;
    snprintf(c->why, sizeof(c->why), "set: %s", w->kind->why(p));
    return -1;
}

static bool right(const struct contest *c, struct slice value, uint32_t number)
{
    size_t stamped = STAMP_BYTES < value.size ? STAMP_BYTES : value.size;
    return value.size == size_mix_of(&c->sizes, number) &&
           value_right(slice_of(value.data, stamped), number, NULL);
}

static int get(struct contest *c, const struct weighed *w, struct peer *p, struct slice key, uint32_t number,
               struct outcome *out)
{
    struct slice value;
    int r = w->kind->get(p, key, &value);
    out->gets++;
    out->hits += r == PEER_HIT;
    if (r == PEER_MISS)
        return set(c, w, p, key, number, out);
    if (r == PEER_HIT && right(c, value, number))
        return 0;
    snprintf(c->why, sizeof(c->why), "get: %s",
             r == PEER_HIT ? "a value that is not the key's" : w->kind->why(p));
    return -1;
}

/* To the end of the trace, or until so many bytes were stored. */
static int play(struct contest *c, const struct weighed *w, struct peer *p, uint64_t stored_most,
                struct outcome *out)
{
    char name[KEY_BYTES_MAX];
    int r = 0;
    c->stored = 0;
    for (uint64_t i = 0; i < c->trace.count && c->stored < stored_most && r == 0; i++) {
        const struct recorded_request *request = &c->trace.requests[i];
        struct slice key = key_name(name, request->key, 1);
        r = request->is_set ? set(c, w, p, key, request->key, out) : get(c, w, p, key, request->key, out);
    }
    return r;
}

static int run_once(struct contest *c, struct weighed *w, uint64_t limit, uint64_t stored_most,
                    struct outcome *ret)
{
    uint64_t largest = size_mix_max(&c->sizes), begin = timing_now_ns();
    *ret = (struct outcome){.limit = limit};
    if (start(c, w, limit) < 0)
        return -1;
    struct peer_where where = {w->server.socket, c->trace.keys, largest + KEY_BYTES_MAX, largest};
    struct peer *p = w->kind->open(&where);
    if (!p)
        snprintf(c->why, sizeof(c->why), "the server answers, but not this client");
    int r = p ? play(c, w, p, stored_most, ret) : -1;
    ret->grown = grown_bytes(w);
    ret->near = p && w->kind->near ? w->kind->near(p) : 0;
    ret->equal = off_by(c, ret->grown) <= EQUAL;
    ret->ran = r == 0;
    ret->seconds = (double)(timing_now_ns() - begin) / 1e9;
    if (p)
        w->kind->close(p);
    server_stop(&w->server);
    return r;
}

/* Beginnings of the run, until the limit comes out right.  What a server weighs depends on what was asked of it. */
static int settle(struct contest *c, struct weighed *w, uint64_t *limit)
{
    struct outcome out = {.equal = false};
    unsigned tries = c->o->quick ? 1 : SETTLE_TRIES;
    int r = 0;
    for (unsigned i = 0; i < tries && r == 0; i++) {
        r = run_once(c, w, *limit, FULL * c->budget, &out);
        if (r < 0 || off_by(c, out.grown) <= SETTLED)
            break;
        *limit = better_limit(c, *limit, out.grown);
    }
    return r;
}

static int run_side(struct contest *c, const struct side *side, struct outcome *ret)
{
    struct weighed w = {.side = side, .kind = peer_kind_of(side->peer)};
    uint64_t limit = c->budget;
    unsigned tries = c->o->quick ? 1 : RUN_TRIES;
    int r = settle(c, &w, &limit);
    for (unsigned i = 0; i < tries && r == 0 && !ret->equal; i++) {
        r = run_once(c, &w, limit, UINT64_MAX, ret);
        fprintf(stderr, "%s, %s: %.2f %% with %.1f MiB of %.0f in %.0f s%s\n", recorded_name(c->path),
                side->name, 100 * hit_ratio(ret), ret->grown / 0x1p20, (double)c->budget / 0x1p20,
                ret->seconds, ret->equal ? "" : ": not the same memory");
        limit = better_limit(c, limit, ret->grown);
    }
    server_stop(&w.server);
    return r;
}

/* Larder keeps values of a quarter of a segment in memory at most, and a segment is 256 KiB or a 128th of the memory, or
 * half of that when its limit has to be a little lower.  The largest value is 7/4 of the mean. */
static double mean_most(uint64_t budget)
{
    uint64_t segment = 256 << 10;
    while (segment > budget / 256)
        segment /= 2;
    return 0.945 * (double)segment / 4 * 4 / 7;
}

/* Eight sizes from 1/4 to 7/4 of the mean, equally likely, by the key's hash. */
static void choose_sizes(struct contest *c)
{
    char name[KEY_BYTES_MAX];
    double mean = (double)(UNIQUE_TO_BUDGET * c->budget) / c->trace.keys - (double)key_name(name, 0, 1).size;
    mean = fmin(fmax(mean, MEAN_LEAST), mean_most(c->budget));
    c->sizes.count = MIX_MAX;
    for (unsigned i = 0; i < MIX_MAX; i++) {
        c->sizes.bytes[i] = (uint64_t)(mean * (0.25 + 1.5 * i / (MIX_MAX - 1)));
        c->sizes.share[i] = (i + 1.0) / MIX_MAX;
    }
}

static uint8_t *noise(size_t size, uint64_t seed)
{
    struct rng rng = {seed};
    uint8_t *bytes = malloc(size);
    for (size_t i = 0; bytes && i < size; i++)
        bytes[i] = (uint8_t)rng_next(&rng);
    return bytes;
}

static int run_all(struct contest *c)
{
    int failures = 0;
    choose_sizes(c);
    c->value = noise(size_mix_max(&c->sizes) + 8, c->o->seed);
    for (unsigned i = 0; i < SIDES && c->value; i++) {
        struct server_options so = {.larderd = c->o->larderd};
        enum server_kind kind = peer_kind_of(sides[i].peer)->server;
        c->of[i] = (struct outcome){0};
        if (!options_wanted(c->o, sides[i].name))
            continue;
        if (!server_available(kind, &so)) {
            fprintf(stderr, "%s: no figures: %s is not installed\n", sides[i].name, server_name(kind));
        } else if (run_side(c, &sides[i], &c->of[i]) < 0) {
            fprintf(stderr, "larder-bench: %s, %s: %s\n", c->path, sides[i].name, c->why);
            failures++;
        }
    }
    free(c->value);
    return failures ? -1 : 0;
}

/* ---- telling ------------------------------------------------------------------------------------------------- */

static bool claimed(const struct contest *c)
{
    bool equal = !c->o->quick && c->o->ops == 0 && c->trace.keys >= CLAIM_KEYS;
    for (unsigned i = 0; i < SIDES; i++)
        equal &= c->of[i].ran && c->of[i].equal;
    return equal;
}

/* Points by which we are ahead of the best of the others; NAN when nobody can be compared. */
static double ahead(const struct contest *c)
{
    double best = NAN;
    for (unsigned i = 1; i < SIDES; i++)
        best = c->of[i].ran ? fmax(best, hit_ratio(&c->of[i])) : best;
    return c->of[0].ran ? 100 * (hit_ratio(&c->of[0]) - best) : NAN;
}

static void print_json(const struct contest *c)
{
    for (unsigned i = 0; i < SIDES; i++) {
        const struct outcome *out = &c->of[i];
        if (!out->ran)
            continue;
        json_t *line = json_pack(
            "{s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:f, s:f, s:I, s:f, s:b, s:b, s:f}", "trace",
            recorded_name(c->path), "server", sides[i].name, "keys", (json_int_t)c->trace.keys, "requests",
            (json_int_t)c->trace.count, "gets", (json_int_t)out->gets, "hits", (json_int_t)out->hits,
            "hit_ratio", hit_ratio(out), "sets", (json_int_t)out->sets, "unstored", (json_int_t)out->unstored,
            "near_hits", (json_int_t)out->near, "mean_value_bytes", size_mix_mean(&c->sizes), "budget_bytes",
            (double)c->budget, "limit_bytes", (json_int_t)out->limit, "grown_bytes", out->grown, "equal",
            out->equal, "claim", claimed(c), "seconds", out->seconds);
        json_dumpf(line, stdout, JSON_REAL_PRECISION(9) | JSON_COMPACT);
        putchar('\n');
        json_decref(line);
    }
    fflush(stdout);
}

static struct table table;

static void add_row(const struct contest *c)
{
    double points = ahead(c);
    table_row(&table);
    table_cell(&table, "%s", recorded_name(c->path));
    table_cell(&table, "%u", c->trace.keys);
    table_cell(&table, "%.0f B", size_mix_mean(&c->sizes));
    for (unsigned i = 0; i < SIDES; i++) {
        const struct outcome *out = &c->of[i];
        if (out->ran)
            table_cell(&table, "%.2f %%%s", 100 * hit_ratio(out), out->equal ? "" : " !");
        else
            table_cell(&table, "-");
    }
    if (isnan(points))
        table_cell(&table, "-");
    else
        table_cell(&table, "%+.2f", points);
    table_cell(&table, "%s", claimed(c) ? "yes" : "no claim");
}

struct verdict {
    unsigned traces, won;
    double worst;
};

static void judge(struct verdict *v, const struct contest *c)
{
    if (!claimed(c))
        return;
    v->traces++;
    v->won += ahead(c) > 0;
    v->worst = fmin(v->worst, ahead(c));
}

static void print_people(const struct options *o, const struct verdict *v, uint64_t budget)
{
    printf("hit ratios with %.0f MiB each, as the process grew over an empty one (! : more than %.0f %% "
           "off); unique keys "
           "and values\nare %d times that; sizes 1/4 to 7/4 of the mean, by key; read through, one client, "
           "nothing skipped\n",
           (double)budget / 0x1p20, 100 * EQUAL, UNIQUE_TO_BUDGET);
    table_print(&table);
    if (v->traces)
        printf("better than all three on %u of %u traces; %s %.2f points (bar: 80 %%, never more than 1 "
               "behind)\n",
               v->won, v->traces, v->worst < 0 ? "at worst behind by" : "at worst ahead by", fabs(v->worst));
    else
        printf("no claim: that takes all servers at equal memory, whole traces of %d keys and more, and no "
               "--quick\n",
               CLAIM_KEYS);
}

/* ---- the verb ------------------------------------------------------------------------------------------------ */

static int one_trace(struct contest *c)
{
    struct trace *from = trace_open(c->path);
    int r = from ? recorded_read(&c->trace, from, c->o->ops) : -1;
    if (r < 0)
        fprintf(stderr, "larder-bench: %s: %s\n", c->path,
                from && trace_why(from)[0] ? trace_why(from) : "cannot be read");
    trace_close(from);
    return r == 0 && c->trace.count > 0 ? run_all(c) : -1;
}

int verb_hitratio(struct options *o)
{
    char list[2048], *rest = list, *path;
    struct verdict v = {.worst = INFINITY};
    struct contest c = {.o = o, .budget = o->l1_bytes ? o->l1_bytes : o->quick ? BUDGET_QUICK : BUDGET};
    int failures = 0;
    if (!o->trace || strlen(o->trace) >= sizeof(list)) {
        fprintf(stderr, "larder-bench: hitratio needs --trace FILE[,FILE...]\n");
        return 2;
    }
    strcpy(list, o->trace);
    table_init(&table, "<trace|keys|mean value|larder|memcached|redis-lru|redis-lfu|ahead by|<claim");
    for (unsigned i = 0; i < TRACES_MAX && (path = strsep(&rest, ",")) != NULL; i++) {
        c.path = path;
        failures += one_trace(&c) < 0;
        judge(&v, &c);
        if (o->json)
            print_json(&c);
        else
            add_row(&c);
        recorded_free(&c.trace);
    }
    if (!o->json)
        print_people(o, &v, c.budget);
    return failures > 0;
}
