/* larder-bench memory: what an item costs beyond its key and value, by the size of values (weigh.h).
 *
 * What must stay true: around each size stand eight, from 5/6 to 7/6 of it, so that nobody's classes of sizes are met by
 * chance. */
#include "bench/verbs.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include "bench/table.h"
#include "bench/weigh.h"

enum { STEPS_MAX = 16, VALUE_MOST = 48 << 10 }; /* 7/6 of it must fit a quarter of a segment */

static const struct {
    const char *name;
    enum server_kind kind;
    const struct codec *codec;
} rivals[] = {{"redis", SERVER_REDIS, &codec_redis}, {"memcached", SERVER_MEMCACHED, &codec_memcached}};
enum { RIVALS = sizeof(rivals) / sizeof(rivals[0]) };

struct row {
    uint64_t value_bytes;
    struct larder_weight larder;
    double rival[RIVALS];
};

static int weigh_all(const struct options *o, uint64_t value_bytes, struct row *ret)
{
    struct weigh w = {.options = o, .l1_bytes = o->l1_bytes ? o->l1_bytes : o->quick ? 8u << 20 : 64u << 20};
    struct server_options none = {.larderd = NULL};
    *ret = (struct row){.value_bytes = value_bytes};
    w.sizes.count = MIX_MAX;
    for (unsigned i = 0; i < MIX_MAX; i++) {
        w.sizes.bytes[i] = (uint64_t)((double)value_bytes * (5.0 / 6 + i / (3.0 * (MIX_MAX - 1))) + 0.5);
        w.sizes.share[i] = (i + 1.0) / MIX_MAX;
    }
    weigh_fill_up(&w);
    int r = weigh_larder(&w, &ret->larder);
    for (unsigned i = 0; i < RIVALS && r == 0; i++) {
        ret->rival[i] = NAN;
        if (server_available(rivals[i].kind, &none))
            r = weigh_rival(&w, rivals[i].kind, rivals[i].codec, &ret->rival[i]);
    }
    if (r < 0)
        fprintf(stderr, "larder-bench: %s\n", w.why);
    return r;
}

static void print_json(const struct row *row)
{
    json_t *line = json_pack("{s:I, s:f, s:f, s:f, s:f}", "value_bytes", (json_int_t)row->value_bytes,
                             "larder", row->larder.overhead, "larder_whole", row->larder.whole, "dead_share",
                             row->larder.dead_share, "spare_share", row->larder.spare_share);
    for (unsigned i = 0; i < RIVALS; i++) {
        if (!isnan(row->rival[i]))
            json_object_set_new(line, rivals[i].name, json_real(row->rival[i]));
    }
    json_dumpf(line, stdout, JSON_REAL_PRECISION(6) | JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(line);
}

static void add_row(struct table *t, const struct row *row)
{
    table_row(t);
    table_cell(t, "%llu B", (unsigned long long)row->value_bytes);
    table_cell(t, "%.1f B", row->larder.overhead);
    table_cell(t, "%.1f B", row->larder.whole);
    for (unsigned i = 0; i < RIVALS; i++)
        table_cell(t, isnan(row->rival[i]) ? "-" : "%.1f B", row->rival[i]);
    table_cell(t, "%.1f %%", 100 * row->larder.spare_share);
}

int verb_memory(struct options *o)
{
    static struct table t;
    struct row row;
    uint64_t sizes[STEPS_MAX];
    const char *usual = o->quick ? "100,1KiB" : "16,32,64,100,256,512,1KiB,2KiB,4KiB,8KiB,16KiB";
    unsigned count = options_steps(o->steps ? o->steps : usual, sizes, STEPS_MAX, VALUE_MOST);
    int r = count > 0 ? 0 : -1;
    table_init(&t, "value|larder|with room to spare|redis|memcached|room to spare");
    for (unsigned i = 0; i < count && r == 0; i++) {
        r = weigh_all(o, sizes[i], &row);
        if (r == 0 && o->json)
            print_json(&row);
        else if (r == 0)
            add_row(&t, &row);
    }
    if (r == 0 && !o->json) {
        printf("bytes an item beyond key and value, sizes 5/6 to 7/6 around each; Larder after churn, its "
               "index and tables "
               "included\n");
        table_print(&t);
    }
    return r < 0;
}
