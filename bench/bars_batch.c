/* What a key costs in a batch, beside one by itself: 100 cold keys from shared memory by one mget, and by 100 gets.
 *
 * Both in turns, on keys nobody has looked at for a while: uniform over a table far larger than the caches.  CPU time
 * of the calling thread, so that a busy machine takes nothing away.  The 100 buffers are the same for both. */
#include "bench/bars.h"

#include <stdio.h>
#include "bench/fill.h"
#include "bench/hist.h"
#include "bench/keys.h"
#include "bench/race.h"
#include "bench/timing.h"

enum { BATCH = 100, VALUE_BYTES = 100, TURNS = 2000, TURNS_QUICK = 400 };

struct batches {
    larder_client *client;
    struct rng rng;
    uint32_t key_count;
    char names[BATCH][KEY_BYTES_MAX];
    larder_slice keys[BATCH];
    larder_value values[BATCH];
    unsigned missing;
    struct hist one_by_one, at_once; /* ns of CPU for all keys */
};

static void draw(struct batches *t)
{
    for (unsigned i = 0; i < BATCH; i++) {
        struct slice name = key_name(t->names[i], (uint32_t)rng_below(&t->rng, t->key_count), 1);
        t->keys[i] = larder_bytes(name.data, name.size);
    }
}

static void get_one_by_one(struct batches *t)
{
    for (unsigned i = 0; i < BATCH; i++)
        larder_get(t->client, t->keys[i], NULL, &t->values[i]);
}

static void get_at_once(struct batches *t)
{
    larder_mget(t->client, t->keys, BATCH, NULL, t->values);
}

static void measure(struct batches *t, void (*get)(struct batches *), struct hist *into)
{
    draw(t);
    uint64_t begin = timing_cpu_ns();
    get(t);
    hist_record(into, timing_cpu_ns() - begin);
    for (unsigned i = 0; i < BATCH; i++)
        t->missing += t->values[i].result != LARDER_HIT || !t->values[i].near;
}

static void take_turns(struct bars *b, struct batches *t)
{
    for (unsigned i = 0; i < (b->options->quick ? TURNS_QUICK : TURNS); i++) {
        measure(t, i % 2 ? get_at_once : get_one_by_one, i % 2 ? &t->at_once : &t->one_by_one);
        measure(t, i % 2 ? get_one_by_one : get_at_once, i % 2 ? &t->one_by_one : &t->at_once);
    }
}

static void report(struct bars *b, const struct batches *t)
{
    double alone = hist_quantile(&t->one_by_one, 0.5) / BATCH,
           together = hist_quantile(&t->at_once, 0.5) / BATCH;
    char text[96];
    snprintf(text, sizeof(text), "mget of %d cold keys: %.0f ns a key, by single gets %.0f ns", BATCH,
             together, alone);
    if (t->missing)
        bar_failed(b, text, "not all keys were found in shared memory");
    else
        bar_figure(b, text, AT_LEAST, 2, alone / together, "x");
}

static bool filled(struct bars *b, struct batches *t, const char *socket)
{
    struct size_mix sizes = {.count = 1, .bytes = {VALUE_BYTES}, .share = {1}};
    struct fill f = {.key_count = t->key_count, .levels = 1, .seed = b->options->seed, .sizes = &sizes};
    char why[192];
    if (fill_server(&f, &codec_larder, socket, why) == 0)
        return true;
    bar_failed(b, "filling", why);
    return false;
}

void bar_batch(struct bars *b)
{
    static struct batches t;
    struct server s = {.pid = 0};
    t.key_count = b->options->quick ? 200000 : 1000000;
    t.rng.state = b->options->seed;
    if (bar_server(b, &s, SERVER_LARDER, race_memory_bytes(t.key_count, VALUE_BYTES)) &&
        filled(b, &t, s.socket) && bar_client(b, &t.client, s.socket)) {
        take_turns(b, &t);
        report(b, &t);
    }
    for (unsigned i = 0; i < BATCH; i++)
        larder_value_free(&t.values[i]);
    larder_close(t.client);
    server_stop(&s);
}
