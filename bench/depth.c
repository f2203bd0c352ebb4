/* larder-bench depth: requests a second over one socket, by how many are under way.
 *
 * What must stay true: all servers are up and filled with the same keys; each depth is measured in turns, a round each,
 * and the median of the rounds counts; the generator is the same for all, and one client. */
#include "bench/verbs.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include "bench/keys.h"
#include "bench/side.h"
#include "bench/table.h"

enum { STEPS_MAX = 16, STREAM = 1 << 20, ROUNDS = 3, KEYS_MOST = 100000 };

struct sides {
    struct side of[3];
    unsigned count;
    uint32_t *keys;
};

static int start(struct sides *s, const struct options *o)
{
    static const char *const names[] = {"larder_socket", "redis", "memcached"};
    s->keys = keys_stream(KEYS_ZIPF, (uint32_t)o->key_count, o->theta, STREAM, o->seed);
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct server_options so = {.larderd = o->larderd};
        enum server_kind kind = peer_kind_of(names[i])->server;
        if (!options_wanted(o, names[i]))
            continue;
        if (!server_available(kind, &so)) {
            fprintf(stderr, "%s: no figures: %s is not installed\n", names[i], server_name(kind));
            continue;
        }
        struct side *side = &s->of[s->count++];
        *side = (struct side){.name = names[i]};
        if (side_start(side, o) < 0) {
            fprintf(stderr, "larder-bench: %s: %s\n", side->name, side->why);
            return -1;
        }
    }
    return s->keys ? 0 : -1;
}

static void stop(struct sides *s)
{
    for (unsigned i = 0; i < s->count; i++)
        side_stop(&s->of[i]);
    free(s->keys);
}

static int measure(struct sides *s, const struct options *o)
{
    unsigned rounds = o->quick ? 1 : ROUNDS;
    for (unsigned i = 0; i < s->count; i++)
        s->of[i].rounds = 0;
    for (unsigned n = 0; n < rounds * s->count; n++) {
        struct side *side = &s->of[(n + n / s->count) % s->count];
        if (side_round(side, o, s->keys, STREAM) < 0) {
            fprintf(stderr, "larder-bench: %s: %s\n", side->name, side->why);
            return -1;
        }
    }
    return 0;
}

static void print_json(const struct sides *s, const struct options *o)
{
    json_t *line =
        json_pack("{s:s, s:I}", "op", o->get_share > 0 ? "get" : "set", "depth", (json_int_t)o->depth);
    json_t *per_second = json_object();
    for (unsigned i = 0; i < s->count; i++)
        json_object_set_new(per_second, s->of[i].name, json_real(side_median(&s->of[i])));
    json_object_set_new(line, "requests_per_s", per_second);
    json_dumpf(line, stdout, JSON_REAL_PRECISION(6) | JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(line);
}

static void add_row(struct table *t, const struct sides *s, const struct options *o)
{
    table_row(t);
    table_cell(t, "%s", o->get_share > 0 ? "get" : "set");
    table_cell(t, "%llu", (unsigned long long)o->depth);
    for (unsigned i = 0; i < s->count; i++)
        table_cell(t, "%.0f k/s", side_median(&s->of[i]) / 1000);
}

static int each_depth(struct sides *s, struct options *o, const uint64_t *depths, unsigned count,
                      struct table *t)
{
    int r = 0;
    for (unsigned i = 0; i < count && r == 0; i++) {
        o->depth = depths[i];
        r = measure(s, o);
        if (r == 0 && o->json)
            print_json(s, o);
        else if (r == 0)
            add_row(t, s, o);
    }
    return r;
}

static void head(struct table *t, const struct sides *s)
{
    char heads[128];
    int size = snprintf(heads, sizeof(heads), "<op|under way");
    for (unsigned i = 0; i < s->count; i++)
        size += snprintf(heads + size, sizeof(heads) - (size_t)size, "|%s", s->of[i].name);
    table_init(t, heads);
}

int verb_depth(struct options *given)
{
    static struct sides s;
    static struct table t;
    struct options o = *given;
    uint64_t depths[STEPS_MAX];
    const char *usual = o.quick ? "1,8,64" : "1,2,4,8,16,32,64,128,256";
    unsigned count = options_steps(o.steps ? o.steps : usual, depths, STEPS_MAX, 1024);
    o.duration_s = o.quick ? 0.2 : 0.7;
    o.key_count = o.key_count < KEYS_MOST ? o.key_count : KEYS_MOST;
    o.clients = 1;
    o.rate = 0;
    o.ops = 0;
    int r = count > 0 ? start(&s, &o) : -1;
    head(&t, &s);
    for (o.get_share = 1; r == 0 && o.get_share >= 0; o.get_share -= 1)
        r = each_depth(&s, &o, depths, count, &t);
    stop(&s);
    if (r == 0 && !o.json) {
        printf("requests a second of one client over a Unix socket, %llu keys, zipf, warm tier on; median of "
               "%d rounds\n",
               (unsigned long long)o.key_count, o.quick ? 1 : ROUNDS);
        table_print(&t);
    }
    return r < 0;
}
