/* What an item costs beyond its key and value, and how much room is dead after churn.
 *
 * From outside, alike for everybody: what the server's proportional set size grew by, divided by the items it holds.
 * Larder has its index from the start, so its shared segment counts whole, and only the rest is counted as growth,
 * over a daemon with the smallest segment; the warm tier is off, since its pages are the disk's cache.  Room in the
 * segment that holds no live item is no item's cost: it has a bar of its own.  Values have 97 to 104 bytes, so that
 * rounding up is neither lucky nor unlucky. */
#include "bench/bars.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bench/fill.h"
#include "bench/keys.h"
#include "bench/pipeline.h"
#include "bench/race.h"
#include "bench/timing.h"

enum { VALUE_BYTES = 97, SMALLEST_MIB = 4 };

struct weigh {
    struct bars *b;
    uint64_t l1_bytes;
    uint32_t keys;
    struct size_mix sizes;
};

static bool weighed_server(struct weigh *w, struct server *s, enum server_kind kind, uint64_t memory)
{
    struct server_options so = {.memory_bytes = memory, .larderd = w->b->options->larderd, .no_warm = true};
    server_init(s, kind);
    if (server_start(s, &so) == 0)
        return true;
    bar_failed(w->b, server_name(kind), s->why);
    return false;
}

static struct fill fill_of(const struct weigh *w, uint32_t keys)
{
    return (struct fill){keys, 1, w->b->options->seed, &w->sizes};
}

static double key_and_value(const struct weigh *w)
{
    char name[KEY_BYTES_MAX];
    return (double)key_name(name, 0, 1).size + size_mix_mean(&w->sizes);
}

/* Starts a server and fills it; what it weighed empty in *ret_empty. */
static bool filled(struct weigh *w, struct server *s, enum server_kind kind, uint64_t memory,
                   const struct codec *codec, uint64_t *ret_empty)
{
    struct fill f = fill_of(w, w->keys);
    char why[192] = "";
    if (!weighed_server(w, s, kind, memory))
        return false;
    *ret_empty = spawn_pss(s->pid).bytes;
    if (fill_server(&f, codec, s->socket, why) == 0)
        return true;
    bar_failed(w->b, server_name(kind), why);
    return false;
}

/* ---- Larder ------------------------------------------------------------------------------------------- */

/* What a daemon has besides its segment. */
static uint64_t private_bytes(pid_t pid)
{
    struct pss p = spawn_pss(pid);
    return p.bytes - p.memfd_bytes;
}

static uint64_t smallest_private(struct weigh *w)
{
    struct server s = {.pid = 0};
    uint64_t bytes =
        weighed_server(w, &s, SERVER_LARDER, (uint64_t)SMALLEST_MIB << 20) ? private_bytes(s.pid) : 0;
    server_stop(&s);
    return bytes;
}

/* Every value again, several times, each time with other keys between: what is overwritten becomes dead room. */
static bool churn(struct weigh *w, struct server *s)
{
    char why[192] = "";
    for (unsigned pass = 0; pass < 3; pass++) {
        struct fill f = fill_of(w, w->keys);
        f.seed += 10 + pass;
        if (fill_server(&f, &codec_larder, s->socket, why) < 0) {
            bar_failed(w->b, "churn", why);
            return false;
        }
    }
    return true;
}

static void report_overhead(struct weigh *w, struct server *s, larder_client *client, uint64_t base)
{
    double entries = bar_stat(client, "l1_entries"), items = bar_stat(client, "l1_item_bytes");
    double segments = bar_stat(client, "l1_segment_bytes"), total = bar_stat(client, "l1_total_bytes");
    double dead = bar_stat(client, "l1_dead_bytes");
    char text[96];
    if (entries <= 0 || items <= 0 || segments <= 0 || total <= 0 || dead < 0) {
        bar_failed(w->b, "overhead", "the daemon's statistics lack the figures of L1");
        return;
    }
    double growth = (double)(private_bytes(s->pid) - base);
    snprintf(text, sizeof(text), "untagged item, index and the daemon's own tables included, %.0f items",
             entries);
    bar_figure(w->b, text, AT_MOST, 56, (total - (segments - items) + growth) / entries - key_and_value(w),
               "B");
    snprintf(text, sizeof(text), "of that in the daemon's own memory, buffers included");
    bar_beside(w->b, text, growth / entries, "B");
    bar_figure(w->b, "dead room after churn", AT_MOST, 10, 100 * dead / segments, "%");
    bar_beside(w->b, "room after churn that holds no live item: dead, open, or kept free",
               100 * (segments - items) / segments, "%");
}

static void weigh_larder(struct weigh *w)
{
    struct server s = {.pid = 0};
    larder_client *client = NULL;
    uint64_t base = smallest_private(w), empty;
    if (base && filled(w, &s, SERVER_LARDER, w->l1_bytes, &codec_larder, &empty) && churn(w, &s) &&
        bar_client(w->b, &client, s.socket))
        report_overhead(w, &s, client, base);
    larder_close(client);
    server_stop(&s);
}

/* ---- the others --------------------------------------------------------------------------------------- */

static void weigh_rival(struct weigh *w, enum server_kind kind, const struct codec *codec)
{
    struct server_options none = {.larderd = NULL};
    struct server s = {.pid = 0};
    uint64_t empty;
    char text[96];
    if (!server_available(kind, &none))
        return;
    if (filled(w, &s, kind, race_memory_bytes(w->keys, (uint64_t)key_and_value(w)), codec, &empty)) {
        double growth = (double)(spawn_pss(s.pid).bytes - empty);
        snprintf(text, sizeof(text), "%s, process growth an item", server_name(kind));
        bar_beside(w->b, text, growth / w->keys - key_and_value(w), "B");
    }
    server_stop(&s);
}

void bar_memory(struct bars *b)
{
    struct weigh w = {.b = b, .l1_bytes = b->options->quick ? 32u << 20 : 256u << 20};
    for (unsigned i = 0; i < MIX_MAX; i++) {
        w.sizes.bytes[i] = VALUE_BYTES + i;
        w.sizes.share[i] = (i + 1.0) / MIX_MAX;
    }
    w.sizes.count = MIX_MAX;
    w.keys = (uint32_t)(w.l1_bytes * 13 / 10 / (VALUE_BYTES + 83)); /* more than fit, so that L1 is full */
    weigh_larder(&w);
    weigh_rival(&w, SERVER_REDIS, &codec_redis);
    weigh_rival(&w, SERVER_MEMCACHED, &codec_memcached);
}
