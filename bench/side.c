#include "bench/side.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench/fill.h"
#include "bench/keys.h"
#include "bench/load.h"
#include "bench/race.h"

int side_start(struct side *side, const struct options *o)
{
    const struct peer_kind *kind = peer_kind_of(side->name);
    uint64_t item = size_mix_max(&o->sizes) + KEY_BYTES_MAX;
    struct server_options so = {.memory_bytes = kind->server == SERVER_LARDER
                                                    ? race_l1_bytes(o->key_count, item)
                                                    : race_memory_bytes(o->key_count, item),
                                .larderd = o->larderd};
    struct fill f = {(uint32_t)o->key_count, (unsigned)o->levels, o->seed, &o->sizes};
    server_init(&side->server, kind->server);
    if (server_start(&side->server, &so) == 0)
        return fill_server(&f, kind->codec, side->server.socket, side->why);
    snprintf(side->why, sizeof(side->why), "%s", side->server.why);
    return -1;
}

void side_stop(struct side *side)
{
    server_stop(&side->server);
}

int side_round(struct side *side, const struct options *o, const uint32_t *keys, uint32_t keys_count)
{
    static struct load_result result;
    struct load_job job = {o,          peer_kind_of(side->name), side->server.socket, keys,
                           keys_count, (uint32_t)o->key_count};
    if (load_run(&job, &result) < 0)
        snprintf(side->why, sizeof(side->why), "%s", result.why);
    else if (result.wrong > 0 || result.misses > 0)
        snprintf(side->why, sizeof(side->why), "answered wrong values or misses");
    else if (side->rounds < SIDE_ROUNDS_MAX)
        side->per_second[side->rounds++] = load_per_second(&result);
    return side->why[0] ? -1 : 0;
}

double side_mean(const struct side *side)
{
    double sum = 0;
    for (unsigned i = 0; i < side->rounds; i++)
        sum += side->per_second[i];
    return side->rounds ? sum / side->rounds : 0;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double side_median(const struct side *side)
{
    double sorted[SIDE_ROUNDS_MAX];
    memcpy(sorted, side->per_second, sizeof(sorted));
    qsort(sorted, side->rounds, sizeof(sorted[0]), by_size);
    return side->rounds ? sorted[side->rounds / 2] : 0;
}
