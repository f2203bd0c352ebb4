/* larder-bench growth: what a get costs among more and more items.
 *
 * What must stay true: keys are drawn evenly, so that memory which is too large for a cache of the processor shows at
 * once; beside Larder stand the yardstick and a bare chain of loads through as much memory, in turns in the same run.
 * Whatever grows faster than that chain, in steps of it, is not the memory's fault. */
#include "bench/verbs.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include "bench/race.h"
#include "bench/spin.h"
#include "bench/table.h"

enum { STEPS_MAX = 16 };
static const char *const peers[] = {"larder_shm", "inprocess", "chase"};
enum { LARDER, INPROCESS, CHASE, PEERS };

struct step {
    uint64_t items;
    double p50_ns[PEERS], mean_ns[PEERS], near_share;
};

static bool measure(const struct options *o, uint64_t items, struct step *ret)
{
    struct options mine = *o;
    struct spinners spinners;
    mine.key_count = items;
    mine.keys = "uniform";
    mine.only = "larder_shm,inprocess,chase";
    *ret = (struct step){.items = items};
    struct race *r = race_create(&mine, size_mix_max(&o->sizes));
    if (!r)
        return false;
    spin_start(&spinners);
    race_run(r, RACE_AWAKE);
    spin_stop(&spinners);
    bool all = !race_failures(r);
    for (unsigned i = 0; i < PEERS && all; i++) {
        const struct race_figures *f = race_figures_of(r, peers[i], RACE_AWAKE);
        ret->p50_ns[i] = f ? race_p50_ns(f) : NAN;
        ret->mean_ns[i] = f ? race_mean_ns(f) : NAN;
        ret->near_share = i == LARDER && f ? (double)f->near / (double)f->gets : ret->near_share;
    }
    race_destroy(r);
    return all;
}

/* By how many dependent loads a get became slower than among the fewest items; NAN where loads did not. */
static double in_loads(const struct step *first, const struct step *s, unsigned peer)
{
    double load = s->p50_ns[CHASE] - first->p50_ns[CHASE];
    return load > 1 ? (s->p50_ns[peer] - first->p50_ns[peer]) / load : NAN;
}

static json_t *real_or_null(double n)
{
    return isnan(n) ? json_null() : json_real(n);
}

static void print_json(const struct step *first, const struct step *s)
{
    json_t *line = json_pack("{s:I, s:f}", "items", (json_int_t)s->items, "near_share", s->near_share);
    for (unsigned i = 0; i < PEERS; i++)
        json_object_set_new(line, peers[i],
                            json_pack("{s:f, s:f}", "p50_ns", s->p50_ns[i], "mean_ns", s->mean_ns[i]));
    json_object_set_new(line, "larder_in_loads", real_or_null(in_loads(first, s, LARDER)));
    json_object_set_new(line, "inprocess_in_loads", real_or_null(in_loads(first, s, INPROCESS)));
    json_dumpf(line, stdout, JSON_REAL_PRECISION(6) | JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(line);
}

static void loads_cell(struct table *t, double loads)
{
    if (isnan(loads))
        table_cell(t, "-");
    else
        table_cell(t, "%+.1f", loads);
}

static void add_row(struct table *t, const struct step *first, const struct step *s)
{
    table_row(t);
    table_cell(t, "%llu", (unsigned long long)s->items);
    for (unsigned i = 0; i < PEERS; i++)
        table_time(t, s->p50_ns[i]);
    table_cell(t, "%.2f x", s->p50_ns[LARDER] / s->p50_ns[INPROCESS]);
    loads_cell(t, in_loads(first, s, LARDER));
    loads_cell(t, in_loads(first, s, INPROCESS));
    table_cell(t, "%.2f %%", 100 * s->near_share);
}

int verb_growth(struct options *o)
{
    static struct table t;
    uint64_t items[STEPS_MAX];
    struct step first, s;
    const char *usual = o->quick ? "5k,50k" : "10k,100k,1M,10M";
    unsigned count = options_steps(o->steps ? o->steps : usual, items, STEPS_MAX, 1u << 28);
    bool ok = count > 0;
    table_init(&t, "items|larder_shm|inprocess|chase|to inprocess|grown by loads|inprocess by|from memory");
    for (unsigned i = 0; i < count && ok; i++) {
        ok = measure(o, items[i], &s);
        first = i == 0 ? s : first;
        if (ok && o->json)
            print_json(&first, &s);
        else if (ok)
            add_row(&t, &first, &s);
    }
    if (!o->json && ok) {
        printf("p50 of batches of %d gets, evenly drawn keys, values of %llu bytes, cores awake; chase: one "
               "dependent load "
               "in as much memory\n",
               RACE_BATCH, (unsigned long long)size_mix_max(&o->sizes));
        table_print(&t);
        printf("grown by loads: how many of those loads a get costs more than among the fewest items\n");
    }
    return !ok;
}
