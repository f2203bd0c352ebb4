/* larder-bench simulate --curve: the daemon's own curve (server/l1/curve.h) beside a simulated cache of one size, and what
 * it says of other sizes beside what is true: of LRU by its stack distances, of the daemon's policy by running it. */
#include "bench/simulate.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include "bench/stacks.h"
#include "bench/table.h"
#include "l1/curve.h"

enum {
    GRID = 20, /* sizes from a tenth to twice the present one, for the mean error */
    RATIOS = 3,
    WAYS = 3, /* of telling the curve of uses */
};
static const double ratios[RATIOS] = {0.5, 1, 1.5};

struct said {
    double lru[GRID];
    struct curve_point own[RATIOS];
    double misses;
    struct curve_summary summary;
    uint32_t below;
};

struct truth {
    double lru[GRID], own[RATIOS];
};

/* Runs the whole trace. */
static double run(const struct recorded *t, const struct model_setup *setup, bool bytes, struct model **ret)
{
    struct model *m = model_create(setup);
    uint64_t misses = 0;
    for (uint64_t i = 0; i < t->count; i++)
        misses += !model_request(m, t->requests[i].key, bytes ? t->requests[i].bytes : 1);
    *ret = m;
    return t->count ? (double)misses / (double)t->count : 0;
}

static struct said listen(const struct recorded *t, const struct options *o, double fraction,
                          enum model_curve by)
{
    struct said said = {.misses = 0};
    struct model_setup setup;
    struct model *m;
    simulate_setup(t, o, fraction, (uint32_t)o->touch_delay, &setup);
    setup.curve = curve_create(&(struct curve_setup){.keys = CURVE_KEYS});
    setup.curve_by = by;
    said.misses = run(t, &setup, o->bytes, &m);
    model_tell_curve(m);
    for (int i = 0; i < GRID; i++)
        said.lru[i] = curve_lru(setup.curve, (i + 1) * 0.1 * (double)setup.capacity).misses;
    for (int i = 0; i < RATIOS; i++)
        said.own[i] = curve_predict(setup.curve, ratios[i]);
    curve_summarize(setup.curve, &said.summary);
    said.below = curve_below(setup.curve);
    model_destroy(m);
    curve_destroy(setup.curve);
    return said;
}

static struct truth truth_of(const struct recorded *t, const struct options *o, double fraction)
{
    struct truth truth;
    struct model_setup setup;
    uint64_t sizes[GRID];
    simulate_setup(t, o, fraction, (uint32_t)o->touch_delay, &setup);
    for (int i = 0; i < GRID; i++)
        sizes[i] = (uint64_t)((i + 1) * 0.1 * (double)setup.capacity);
    stacks_misses(t, o->bytes, sizes, GRID, truth.lru);
    for (int i = 0; i < RATIOS; i++) {
        struct model *m;
        simulate_setup(t, o, fraction * ratios[i], (uint32_t)o->touch_delay, &setup);
        truth.own[i] = run(t, &setup, o->bytes, &m);
        model_destroy(m);
    }
    return truth;
}

static double mean_error(const struct said *said, const struct truth *truth)
{
    double sum = 0;
    for (int i = 0; i < GRID; i++)
        sum += fabs(said->lru[i] - truth->lru[i]) / GRID;
    return sum;
}

static void print_json(const struct recorded *t, const struct options *o, double fraction,
                       const struct said said[WAYS], const struct truth *truth)
{
    json_t *own = json_array();
    for (int i = 0; i < RATIOS; i++)
        json_array_append_new(own, json_pack("{s:f, s:f, s:f, s:f}", "size", ratios[i], "said",
                                             said[MODEL_CURVE_WATCHED].own[i].misses, "error",
                                             said[MODEL_CURVE_WATCHED].own[i].error, "true", truth->own[i]));
    json_t *line =
        json_pack("{s:s, s:f, s:I, s:f, s:f, s:f, s:f, s:o}", "trace", recorded_name(o->trace), "fraction",
                  fraction, "keys_watched", (json_int_t)said[MODEL_CURVE_WATCHED].summary.keys,
                  "share_watched", said[MODEL_CURVE_WATCHED].below / (double)CURVE_TAGS,
                  "lru_mean_error_exact", mean_error(&said[MODEL_CURVE_EXACT], truth), "lru_mean_error",
                  mean_error(&said[MODEL_CURVE_WATCHED], truth), "lru_mean_error_shared_places",
                  mean_error(&said[MODEL_CURVE_SHARED], truth), "own", own);
    json_dumpf(line, stdout, JSON_REAL_PRECISION(6) | JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(line);
}

static void print_row(struct table *table, double fraction, const struct said said[WAYS],
                      const struct truth *truth)
{
    const struct said *real = &said[MODEL_CURVE_WATCHED];
    table_row(table);
    table_cell(table, "%g %%", 100 * fraction);
    table_cell(table, "%u", real->summary.keys);
    table_cell(table, "1/%.0f", CURVE_TAGS / (double)real->below);
    table_cell(table, "%.4f", mean_error(&said[MODEL_CURVE_EXACT], truth));
    table_cell(table, "%.4f", mean_error(real, truth));
    table_cell(table, "%.4f", mean_error(&said[MODEL_CURVE_SHARED], truth));
    for (int i = 0; i < RATIOS; i++)
        table_cell(table, "%.4f %.4f", real->own[i].misses, truth->own[i]);
}

void simulate_curve(const struct recorded *t, const struct options *o, const double *fractions,
                    unsigned count)
{
    static struct table table;
    table_init(&table,
               "size|watched|share|LRU error, all told|as in the daemon|shared places|half: said, true|"
               "now: said, true|1.5 times: said, true");
    for (unsigned n = 0; n < count; n++) {
        struct said said[WAYS];
        struct truth truth = truth_of(t, o, fractions[n]);
        for (int way = 0; way < WAYS; way++)
            said[way] = listen(t, o, fractions[n], (enum model_curve)way);
        if (o->json)
            print_json(t, o, fractions[n], said, &truth);
        else
            print_row(&table, fractions[n], said, &truth);
    }
    if (o->json)
        return;
    printf("%s: %llu requests for %u keys\n", o->trace, (unsigned long long)t->count, t->keys);
    table_print(&table);
}
