/* Pipelined requests over one socket, the warm tier on, beside Redis and by the same generator. */
#include "bench/bars.h"

#include <stdio.h>
#include <stdlib.h>
#include "bench/keys.h"
#include "bench/side.h"

enum { PIPE_DEPTH = 64, PIPE_ROUNDS = 5, PIPE_STREAM = 1 << 20 };

static bool start(struct bars *b, struct side *side, const struct options *o)
{
    int r = side_start(side, o);
    if (r < 0)
        bar_failed(b, side->name, side->why);
    return r == 0;
}

static void race_sides(struct bars *b, struct side sides[2], struct options *o, double get_share,
                       const char *what)
{
    uint32_t *keys = keys_stream(KEYS_ZIPF, (uint32_t)o->key_count, o->theta, PIPE_STREAM, o->seed);
    char text[96];
    int r = keys ? 0 : -1;
    o->get_share = get_share;
    sides[0].rounds = sides[1].rounds = 0;
    for (unsigned i = 0; i < 2 * PIPE_ROUNDS && r == 0; i++) {
        struct side *side = &sides[(i + i / 2) % 2];
        r = side_round(side, o, keys, PIPE_STREAM);
        if (r < 0)
            bar_failed(b, side->name, side->why);
    }
    free(keys);
    if (r < 0)
        return;
    snprintf(text, sizeof(text), "%s, 100 B, depth %d: %.0f k/s beside %.0f k/s", what, PIPE_DEPTH,
             side_mean(&sides[0]) / 1000, side_mean(&sides[1]) / 1000);
    bar_figure(b, text, AT_LEAST, 1.5, side_mean(&sides[0]) / side_mean(&sides[1]), "x");
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
    side_stop(&sides[0]);
    side_stop(&sides[1]);
}
