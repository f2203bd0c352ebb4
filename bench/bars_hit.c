/* What a hit costs. */
#include "bench/bars.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench/keys.h"
#include "bench/race.h"
#include "bench/spin.h"
#include "bench/timing.h"

/* ---- beside others ------------------------------------------------------------------------------------ */

static void run_states(struct race *r)
{
    struct spinners spinners;
    race_run(r, RACE_IDLE);
    spin_start(&spinners);
    race_run(r, RACE_AWAKE);
    spin_stop(&spinners);
}

static void against_baseline(struct bars *b, const struct race *r, const char *what)
{
    const struct race_figures *shm = race_figures_of(r, "larder_shm", RACE_AWAKE);
    const struct race_figures *own = race_figures_of(r, "inprocess", RACE_AWAKE);
    char text[96];
    if (!shm || !own) {
        bar_failed(b, what, !shm ? race_peer(r, "larder_shm")->out : race_peer(r, "inprocess")->out);
        return;
    }
    snprintf(text, sizeof(text), "%s: %.0f ns beside %.0f ns in process", what, race_mean_ns(shm),
             race_mean_ns(own));
    bar_figure(b, text, AT_MOST, 1.15, race_mean_ns(shm) / race_mean_ns(own), "x");
    bar_beside(b, "the same by p50 of batches, which a busy machine disturbs less",
               race_p50_ns(shm) / race_p50_ns(own), "x");
}

static void against_rival(struct bars *b, const struct race *r, const char *name, enum race_state s)
{
    const struct contestant *rival = race_peer(r, name);
    const struct race_figures *shm = race_figures_of(r, "larder_shm", s), *its = race_figures_of(r, name, s);
    const struct race_figures *floor = race_figures_of(r, "pingpong", s);
    char text[96];
    if (rival->absent)
        return;
    snprintf(text, sizeof(text), "%s, %s, p50 of batches", name, race_state_name(s));
    if (!shm || !its || !floor) {
        bar_failed(b, text, !shm ? race_peer(r, "larder_shm")->out : rival->out);
        return;
    }
    snprintf(text, sizeof(text), "%s, %s: %.2f us, floor %.2f us", name, race_state_name(s),
             race_p50_ns(its) / 1000, race_p50_ns(floor) / 1000);
    struct bar_row *row =
        bar_figure(b, text, AT_LEAST, s == RACE_AWAKE ? 20 : 100, race_p50_ns(its) / race_p50_ns(shm), "x");
    if (s == RACE_AWAKE && race_p50_ns(floor) > RACE_AWAKE_NS)
        bar_unclaimed(row, "not awake by definition: the floor takes more than 6 us");
}

static void one_size(struct bars *b, uint64_t value_bytes, const char *only, const char *what)
{
    struct options o = *b->options;
    o.only = only;
    struct race *r = race_create(&o, value_bytes);
    if (!r) {
        bar_failed(b, what, "no memory");
        return;
    }
    run_states(r);
    against_baseline(b, r, what);
    for (enum race_state s = 0; s < RACE_STATES && !only; s++) {
        against_rival(b, r, "redis", s);
        against_rival(b, r, "memcached", s);
    }
    race_failures(r);
    race_destroy(r);
}

void bar_hit(struct bars *b)
{
    one_size(b, 100, NULL, "100 B, other process");
    one_size(b, 1024, "larder_shm,inprocess", "1 KiB, other process");
}

/* ---- hot ---------------------------------------------------------------------------------------------- */

enum { HOT_KEYS = 128, HOT_LEVELS = 3 };

struct hot {
    larder_client *reader, *killer;
    larder_value value;
    char names[HOT_KEYS][KEY_BYTES_MAX];
    larder_slice keys[HOT_KEYS];
    uint64_t gets, near, misses;
    bool loads;         /* by larder_get_or_load */
    struct hist passes; /* ns for every key once */
};

/* Nothing is to be loaded here. */
static int hot_load(void *user, larder_slice key, larder_loaded *ret)
{
    return -1;
}

static int hot_get(struct hot *h, uint32_t k)
{
    return h->loads ? larder_get_or_load(h->reader, h->keys[k], NULL, hot_load, NULL, &h->value)
                    : larder_get(h->reader, h->keys[k], NULL, &h->value);
}

static bool hot_fill(struct bars *b, struct hot *h)
{
    uint8_t value[100];
    int r = 0;
    for (uint32_t k = 0; k < HOT_KEYS && r >= 0; k++) {
        struct slice name = key_name(h->names[k], k, HOT_LEVELS);
        h->keys[k] = larder_bytes(name.data, name.size);
        value_make(value, sizeof(value), k, 1);
        r = larder_set(h->killer, h->keys[k], larder_bytes(value, sizeof(value)), NULL);
    }
    if (r < 0)
        bar_failed(b, "filling", larder_strerror(r));
    return r >= 0;
}

static void hot_pass(struct hot *h)
{
    uint64_t begin = timing_now_ns();
    for (uint32_t k = 0; k < HOT_KEYS; k++) {
        int r = hot_get(h, k);
        h->near += h->value.near;
        h->misses += r != LARDER_HIT;
    }
    hist_record(&h->passes, timing_now_ns() - begin);
    h->gets += HOT_KEYS;
}

static void hot_round(struct hot *h, unsigned passes)
{
    for (unsigned i = 0; i < passes; i++)
        hot_pass(h);
}

static void hot_forget(struct hot *h)
{
    h->gets = h->near = h->misses = 0;
    memset(&h->passes, 0, sizeof(h->passes));
}

static void hot_report(struct bars *b, struct hot *h, const char *what, double goal)
{
    char text[96];
    double near = h->gets ? 100.0 * (double)h->near / (double)h->gets : 0;
    snprintf(text, sizeof(text), "%s (%.2f %% from memory)", what, near);
    if (h->misses > 0)
        bar_failed(b, text, "a hot key was missed");
    else
        bar_figure(b, text, AT_MOST, goal, hist_quantile(&h->passes, 0.5) / HOT_KEYS, "ns");
    hot_forget(h);
}

/* A kill of a name no key carries, then a short burst of gets, so that all of them see born < last_kill: the
 * daemon's sweep would mend that soon. */
static int hot_after_kills(struct hot *h, unsigned kills)
{
    larder_slice tag = larder_text("nobody carries this");
    larder_invalidate_options what = LARDER_INVALIDATE_OPTIONS_INIT;
    what.tags = &tag;
    what.tags_count = 1;
    int r = 0;
    for (unsigned i = 0; i < kills && r >= 0; i++) {
        r = larder_invalidate_all_of(h->killer, &what);
        hot_round(h, 16);
    }
    return r;
}

static void hot_measure(struct bars *b, struct hot *h)
{
    struct spinners spinners;
    spin_start(&spinners);
    hot_round(h, 200);
    hot_forget(h);
    hot_round(h, b->options->quick ? 8000 : 80000);
    hot_report(b, h, "100 B, key given", 60);
    h->loads = true;
    hot_round(h, b->options->quick ? 8000 : 80000);
    hot_report(b, h, "the same by get_or_load", 60);
    h->loads = false;
    int r = hot_after_kills(h, b->options->quick ? 200 : 2000);
    if (r < 0)
        bar_failed(b, "a kill", larder_strerror(r));
    else
        hot_report(b, h, "100 B, key given, 3 levels, after a kill", 75);
    spin_stop(&spinners);
}

void bar_hot(struct bars *b)
{
    static struct hot h;
    struct server s = {.pid = 0};
    if (bar_server(b, &s, SERVER_LARDER, 64u << 20) && bar_client(b, &h.reader, s.socket) &&
        bar_client(b, &h.killer, s.socket) && hot_fill(b, &h))
        hot_measure(b, &h);
    larder_value_free(&h.value);
    larder_close(h.reader);
    larder_close(h.killer);
    server_stop(&s);
}
