#include "bench/weigh.h"

#include <stdio.h>
#include "bench/bars.h"
#include "bench/fill.h"
#include "bench/keys.h"
#include "bench/race.h"
#include "client/larder.h"

enum { SMALLEST_MIB = 4, ENTRY_BYTES = 83 }; /* what an entry has besides its value, key included, at least */

void weigh_fill_up(struct weigh *w)
{
    w->keys = (uint32_t)((double)w->l1_bytes * 1.3 / (size_mix_mean(&w->sizes) + ENTRY_BYTES));
}

double weigh_key_and_value(const struct weigh *w)
{
    char name[KEY_BYTES_MAX];
    return (double)key_name(name, 0, 1).size + size_mix_mean(&w->sizes);
}

static int failed(struct weigh *w, const char *what, const char *why)
{
    snprintf(w->why, sizeof(w->why), "%s: %s", what, why);
    return -1;
}

static int start(struct weigh *w, struct server *s, enum server_kind kind, uint64_t memory)
{
    struct server_options so = {.memory_bytes = memory, .larderd = w->options->larderd, .no_warm = true};
    server_init(s, kind);
    return server_start(s, &so) == 0 ? 0 : failed(w, server_name(kind), s->why);
}

/* In another order and to other places in memory for each pass. */
static int fill(struct weigh *w, struct server *s, const struct codec *codec, unsigned pass)
{
    struct fill f = {w->keys, 1, w->options->seed + pass, &w->sizes};
    char why[192] = "";
    return fill_server(&f, codec, s->socket, why) == 0 ? 0 : failed(w, server_name(s->kind), why);
}

/* ---- Larder ------------------------------------------------------------------------------------------- */

/* What a daemon has besides its segment. */
static double private_bytes(pid_t pid)
{
    struct pss p = spawn_pss(pid);
    return (double)(p.bytes - p.memfd_bytes);
}

static int smallest_private(struct weigh *w, double *ret_bytes)
{
    struct server s = {.pid = 0};
    int r = start(w, &s, SERVER_LARDER, (uint64_t)SMALLEST_MIB << 20);
    *ret_bytes = r == 0 ? private_bytes(s.pid) : 0;
    server_stop(&s);
    return r;
}

/* Every value again, several times, each time with other keys between: what is overwritten becomes dead room. */
static int fill_and_churn(struct weigh *w, struct server *s)
{
    int r = 0;
    for (unsigned pass = 0; pass < 4 && r == 0; pass++)
        r = fill(w, s, &codec_larder, 10 + pass);
    return r;
}

static int read_figures(struct weigh *w, larder_client *client, double growth, struct larder_weight *ret)
{
    double entries = bar_stat(client, "l1_entries"), items = bar_stat(client, "l1_item_bytes");
    double segments = bar_stat(client, "l1_segment_bytes"), total = bar_stat(client, "l1_total_bytes");
    double dead = bar_stat(client, "l1_dead_bytes"), spare = segments - items;
    if (entries <= 0 || items <= 0 || segments <= 0 || total <= 0 || dead < 0)
        return failed(w, "overhead", "the daemon's statistics lack the figures of L1");
    *ret = (struct larder_weight){.entries = entries,
                                  .overhead = (total - spare + growth) / entries - weigh_key_and_value(w),
                                  .whole = (total + growth) / entries - weigh_key_and_value(w),
                                  .own = growth / entries,
                                  .dead_share = dead / segments,
                                  .spare_share = spare / segments};
    return 0;
}

static int ask(struct weigh *w, struct server *s, double base, struct larder_weight *ret)
{
    larder_options how = LARDER_OPTIONS_INIT;
    larder_client *client = NULL;
    double growth = private_bytes(s->pid) - base;
    how.socket = s->socket;
    how.name = "larder-bench";
    how.strict = true;
    int r = larder_open(&client, &how);
    r = r < 0 ? failed(w, "client", larder_strerror(r)) : read_figures(w, client, growth, ret);
    larder_close(client);
    return r;
}

int weigh_larder(struct weigh *w, struct larder_weight *ret)
{
    struct server s = {.pid = 0};
    double base;
    int r = smallest_private(w, &base);
    if (r == 0)
        r = start(w, &s, SERVER_LARDER, w->l1_bytes);
    if (r == 0)
        r = fill_and_churn(w, &s);
    if (r == 0)
        r = ask(w, &s, base, ret);
    server_stop(&s);
    return r;
}

/* ---- the others --------------------------------------------------------------------------------------- */

int weigh_rival(struct weigh *w, enum server_kind kind, const struct codec *codec, double *ret_overhead)
{
    struct server s = {.pid = 0};
    int r = start(w, &s, kind, race_memory_bytes(w->keys, (uint64_t)weigh_key_and_value(w)));
    double empty = r == 0 ? (double)spawn_pss(s.pid).bytes : 0;
    if (r == 0)
        r = fill(w, &s, codec, 0);
    if (r == 0)
        *ret_overhead = ((double)spawn_pss(s.pid).bytes - empty) / w->keys - weigh_key_and_value(w);
    server_stop(&s);
    return r;
}
