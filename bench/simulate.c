/* larder-bench simulate: miss ratios of the daemon's eviction policy on a recorded trace.
 *
 * What must stay true: a trace numbers its keys as they appear, so the policy sees only hashes; every get and every set
 * is a request, and a miss brings the key in; nothing is skipped as warm-up. */
#include "bench/verbs.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench/model.h"
#include "bench/recorded.h"
#include "bench/simulate.h"
#include "bench/table.h"

enum {
    SEGMENTS = 64,
    WATCHED = 16384,   /* as in a daemon with 32 MiB or more */
    GHOST_BYTES = 144, /* the daemon has one ghost for so many bytes: 4 an item of 576 */
    FRACTIONS_MAX = 16,
};

struct outcome {
    double miss_ratio, byte_miss_ratio, copies;
    uint64_t misses;
};

/* ---- runs ------------------------------------------------------------------------------------------------------ */

void simulate_setup(const struct recorded *t, const struct options *o, double fraction, uint32_t delay,
                    struct model_setup *ret)
{
    double whole = o->bytes ? (double)t->bytes : t->keys;
    *ret = (struct model_setup){.keys = t->keys,
                                .capacity = (uint64_t)(fraction * whole + 0.5),
                                .segments = o->bytes ? 0 : SEGMENTS,
                                .watched = WATCHED,
                                .touch_delay = delay,
                                .seed = o->seed};
    ret->capacity = ret->capacity ? ret->capacity : 1;
    ret->items_max = o->bytes ? ret->capacity / GHOST_BYTES + 1 : ret->capacity;
    ret->ghosts = o->bytes ? ret->items_max : o->ghosts * ret->capacity;
}

static struct outcome run(const struct recorded *t, const struct options *o, double fraction, uint32_t delay)
{
    struct model_setup setup;
    simulate_setup(t, o, fraction, delay, &setup);
    struct model *m = model_create(&setup);
    struct outcome out = {0};
    double bytes = 0, missed = 0;
    for (uint64_t i = 0; i < t->count; i++) {
        const struct recorded_request *r = &t->requests[i];
        bool there = model_request(m, r->key, o->bytes ? r->bytes : 1);
        bytes += r->bytes;
        missed += there ? 0 : r->bytes;
        out.misses += !there;
    }
    out.miss_ratio = t->count ? (double)out.misses / (double)t->count : 0;
    out.byte_miss_ratio = bytes > 0 ? missed / bytes : 0;
    out.copies = model_copies(m);
    model_destroy(m);
    return out;
}

static void print_json(const struct recorded *t, const struct options *o, double fraction,
                       const struct outcome *ring, const struct outcome *perfect)
{
    double whole = o->bytes ? (double)t->bytes : t->keys;
    json_t *line =
        json_pack("{s:s, s:f, s:I, s:I, s:I, s:f, s:f, s:f}", "trace", recorded_name(o->trace), "fraction",
                  fraction, o->bytes ? "bytes" : "objects", (json_int_t)(fraction * whole + 0.5), "requests",
                  (json_int_t)t->count, "misses", (json_int_t)ring->misses, "miss_ratio", ring->miss_ratio,
                  "perfect_touch_miss_ratio", perfect->miss_ratio, "copies_per_insertion", ring->copies);
    if (o->bytes)
        json_object_set_new(line, "byte_miss_ratio", json_real(ring->byte_miss_ratio));
    json_dumpf(line, stdout, JSON_REAL_PRECISION(6) | JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(line);
}

static void print_row(struct table *table, const struct recorded *t, const struct options *o, double fraction,
                      const struct outcome *ring, const struct outcome *perfect)
{
    double whole = o->bytes ? (double)t->bytes : t->keys;
    table_row(table);
    table_cell(table, "%g %%", 100 * fraction);
    table_cell(table, "%.0f", fraction * whole);
    table_cell(table, "%.4f", ring->miss_ratio);
    table_cell(table, "%.4f", perfect->miss_ratio);
    table_cell(table, "%.4f", o->bytes ? ring->byte_miss_ratio : ring->miss_ratio);
    table_cell(table, "%.2f", ring->copies);
}

/* ---- the verb ---------------------------------------------------------------------------------------------------- */

static unsigned fractions_of(const char *text, double ret[FRACTIONS_MAX])
{
    unsigned count = 0;
    char *end;
    for (const char *at = text; count < FRACTIONS_MAX; at = end + 1) {
        ret[count] = strtod(at, &end);
        if (end == at || ret[count] <= 0 || ret[count] > 1)
            return 0;
        count++;
        if (*end != ',')
            return *end == '\0' ? count : 0;
    }
    return 0;
}

static void simulate(const struct recorded *t, const struct options *o, const double *fractions,
                     unsigned count)
{
    static struct table table;
    table_init(&table, "size|capacity|miss ratio|with perfect touches|byte miss ratio|copies an insertion");
    for (unsigned i = 0; i < count; i++) {
        struct outcome ring = run(t, o, fractions[i], (uint32_t)o->touch_delay),
                       perfect = run(t, o, fractions[i], 0);
        if (o->json)
            print_json(t, o, fractions[i], &ring, &perfect);
        else
            print_row(&table, t, o, fractions[i], &ring, &perfect);
    }
    if (o->json)
        return;
    printf("%s: %llu requests for %u keys\n", o->trace, (unsigned long long)t->count, t->keys);
    table_print(&table);
}

int verb_simulate(struct options *o)
{
    double fractions[FRACTIONS_MAX];
    unsigned count = fractions_of(o->fractions, fractions);
    struct trace *from = count && o->trace ? trace_open(o->trace) : NULL;
    if (!from) {
        fprintf(stderr, count
                            ? "larder-bench: simulate needs --trace FILE that can be read\n"
                            : "larder-bench: --fractions are numbers over 0 and up to 1, comma separated\n");
        return 2;
    }
    struct recorded t = {0};
    int result = recorded_read(&t, from, 0);
    if (result < 0)
        fprintf(stderr, "larder-bench: %s: %s\n", o->trace, trace_why(from));
    else if (o->curve)
        simulate_curve(&t, o, fractions, count);
    else
        simulate(&t, o, fractions, count);
    recorded_free(&t);
    trace_close(from);
    return result < 0;
}
