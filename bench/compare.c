/* larder-bench compare: all peers side by side, with the cores awake and idle. */
#include "bench/verbs.h"

#include <jansson.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "bench/cdf.h"
#include "bench/race.h"
#include "bench/spin.h"
#include "bench/table.h"

static json_t *figures_json(const struct race_figures *f)
{
    return json_pack("{s:f, s:f, s:f, s:f}", "p50_ns", race_p50_ns(f), "p99_ns", race_p99_ns(f), "mean_ns",
                     race_mean_ns(f), "ops_per_s", race_ops_per_s(f));
}

/* The shape is a contract: states, then peers, then these four; a peer without figures is left out.
 * --cdf adds the distribution of single gets. */
static void print_json(const struct race *r)
{
    json_t *all = json_object();
    for (enum race_state s = 0; s < RACE_STATES; s++) {
        json_t *state = json_object();
        for (unsigned i = 0; i < r->count; i++) {
            const char *name = r->contestants[i].kind->name;
            const struct race_figures *f = race_figures_of(r, name, s);
            if (!f)
                continue;
            json_t *figures = figures_json(f);
            if (r->options->cdf)
                json_object_set_new(figures, "cdf", cdf_json(&f->singles));
            json_object_set_new(state, name, figures);
        }
        json_object_set_new(all, race_state_name(s), state);
    }
    json_dumpf(all, stdout, JSON_REAL_PRECISION(6) | JSON_COMPACT);
    putchar('\n');
    json_decref(all);
}

static void ratio_cell(struct table *t, const struct race_figures *f, const struct race_figures *to)
{
    if (to && race_p50_ns(to) > 0)
        table_cell(t, "%.2f x", race_p50_ns(f) / race_p50_ns(to));
    else
        table_cell(t, "-");
}

static void add_row(struct table *t, const struct race *r, const struct contestant *c, enum race_state s)
{
    const struct race_figures *f = race_figures_of(r, c->kind->name, s);
    if (!f)
        return;
    table_row(t);
    table_cell(t, "%s", c->kind->name);
    table_time(t, race_p50_ns(f));
    table_time(t, race_p99_ns(f));
    table_time(t, race_mean_ns(f));
    table_cell(t, "%.0f", race_ops_per_s(f));
    ratio_cell(t, f, race_figures_of(r, "larder_shm", s));
    ratio_cell(t, f, race_figures_of(r, "pingpong", s));
    table_cell(t, "%s", c->kind->sentence);
}

static void print_state(const struct race *r, enum race_state s)
{
    static struct table t;
    const struct race_figures *floor = race_figures_of(r, "pingpong", s);
    if (s == RACE_IDLE)
        printf("\nidle: nothing keeps the cores awake\n");
    else if (floor && race_p50_ns(floor) <= RACE_AWAKE_NS)
        printf("\nawake: one spinner a core\n");
    else
        printf("\nawake: one spinner a core, BUT no claim: the floor takes more than %.0f us, so this "
               "machine's way into\n"
               "the kernel is slow, or something else is running\n",
               RACE_AWAKE_NS / 1000);
    table_init(&t, "<peer|p50|p99|mean|gets/s|to larder_shm|to floor|<what it is");
    for (unsigned i = 0; i < r->count; i++)
        add_row(&t, r, &r->contestants[i], s);
    table_print(&t);
}

/* Which machine this was; figures without it mean nothing. */
static void print_machine(void)
{
    struct utsname u;
    char line[160], model[96] = "unknown processor";
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "model name : %95[^\n]", model) == 1)
            break;
    }
    if (f)
        fclose(f);
    uname(&u);
    printf("%s, %ld cores, %s %s, pages of %ld bytes\n", model, sysconf(_SC_NPROCESSORS_ONLN), u.sysname,
           u.release, sysconf(_SC_PAGESIZE));
}

static void print_people(const struct race *r)
{
    const struct options *o = r->options;
    print_machine();
    printf("%u keys, %s, values of %llu bytes; one client process, %d interleaved rounds%s%s\n", r->key_count,
           o->keys, (unsigned long long)r->value_bytes, RACE_ROUNDS,
           o->pin ? ", client and servers on a core each" : "",
           o->quick ? " (quick: for a look, not for a claim)" : "");
    printf("p50: batches of %d consecutive gets, divided; p99: single gets, two clock reads (%.0f ns each) "
           "included;\n"
           "mean and gets/s: of the batches; every get makes its key's name first (%.0f ns), values are "
           "copied out\n",
           RACE_BATCH, r->clock_cost_ns, r->key_cost_ns);
    for (enum race_state s = 0; s < RACE_STATES; s++)
        print_state(r, s);
    const struct race_figures *shm = race_figures_of(r, "larder_shm", RACE_AWAKE);
    if (shm && shm->gets > 0)
        printf("\nlarder_shm: %.3f %% of its gets made no system call\n",
               100.0 * (double)shm->near / (double)shm->gets);
}

int verb_compare(struct options *o)
{
    struct spinners spinners;
    struct race *r = race_create(o, size_mix_max(&o->sizes));
    if (!r)
        return 1;
    race_run(r, RACE_IDLE);
    spin_start(&spinners);
    race_run(r, RACE_AWAKE);
    spin_stop(&spinners);
    if (o->json)
        print_json(r);
    else
        print_people(r);
    bool failed = race_failures(r);
    race_destroy(r);
    return failed ? 1 : 0;
}
