/* Pipelined requests over one socket, the warm tier on, beside Redis and by the same generator. */
#include "bench/bars.h"

#include <stdio.h>
#include <stdlib.h>
#include "bench/fill.h"
#include "bench/keys.h"
#include "bench/load.h"
#include "bench/race.h"

enum { PIPE_DEPTH = 64, PIPE_ROUNDS = 5, PIPE_STREAM = 1 << 20 };

struct side {
    const char *name;
    struct server server;
    double per_second; /* sum over the rounds */
};

static bool start(struct bars *b, struct side *side, const struct options *o)
{
    const struct peer_kind *kind = peer_kind_of(side->name);
    uint64_t item = size_mix_max(&o->sizes) + KEY_BYTES_MAX;
    bool larder = kind->server == SERVER_LARDER;
    struct fill f = {(uint32_t)o->key_count, 1, o->seed, &o->sizes};
    char why[192] = "";
    if (!bar_server(b, &side->server, kind->server,
                    larder ? race_l1_bytes(o->key_count, item) : race_memory_bytes(o->key_count, item)))
        return false;
    if (fill_server(&f, kind->codec, side->server.socket, why) == 0)
        return true;
    bar_failed(b, side->name, why);
    return false;
}

static bool round_of(struct bars *b, struct side *side, const struct options *o, const uint32_t *keys)
{
    static struct load_result result;
    struct load_job job = {o,           peer_kind_of(side->name), side->server.socket, keys,
                           PIPE_STREAM, (uint32_t)o->key_count};
    bool ok = load_run(&job, &result) == 0;
    if (!ok)
        bar_failed(b, side->name, result.why);
    else if (result.wrong > 0 || result.misses > 0)
        bar_failed(b, side->name, "answered wrong values or misses");
    side->per_second += load_per_second(&result);
    return ok && result.wrong == 0 && result.misses == 0;
}

static void race_sides(struct bars *b, struct side sides[2], struct options *o, double get_share,
                       const char *what)
{
    uint32_t *keys = keys_stream(KEYS_ZIPF, (uint32_t)o->key_count, o->theta, PIPE_STREAM, o->seed);
    char text[96];
    bool ok = keys != NULL;
    o->get_share = get_share;
    sides[0].per_second = sides[1].per_second = 0;
    for (unsigned i = 0; i < 2 * PIPE_ROUNDS && ok; i++)
        ok = round_of(b, &sides[(i + i / 2) % 2], o, keys);
    free(keys);
    if (!ok)
        return;
    snprintf(text, sizeof(text), "%s, 100 B, depth %d: %.0f k/s beside %.0f k/s", what, PIPE_DEPTH,
             sides[0].per_second / PIPE_ROUNDS / 1000, sides[1].per_second / PIPE_ROUNDS / 1000);
    bar_figure(b, text, AT_LEAST, 1.5, sides[0].per_second / sides[1].per_second, "x");
}

void bar_pipeline(struct bars *b)
{
    struct side sides[2] = {{.name = "larder_socket"}, {.name = "redis"}};
    struct server_options so = {.larderd = NULL};
    struct options o = *b->options;
    o.depth = PIPE_DEPTH;
    o.clients = 1;
    o.rate = 0;
    o.ops = 0;
    o.levels = 1;
    o.sizes = options_default.sizes;
    o.duration_s = o.quick ? 0.3 : 2;
    o.key_count = o.key_count < 100000 ? o.key_count : 100000;
    if (!server_available(SERVER_REDIS, &so))
        bar_failed(b, "redis", "is not installed");
    else if (start(b, &sides[0], &o) && start(b, &sides[1], &o)) {
        race_sides(b, sides, &o, 1, "gets");
        race_sides(b, sides, &o, 0, "sets");
    }
    server_stop(&sides[0].server);
    server_stop(&sides[1].server);
}
