/* Sets into an L1 that is full, so that each of them evicts: what others notice of it.
 *
 * One process stores keys nobody has, many under way, as fast as the daemon takes them; another asks, in turns, by
 * socket, for an entry and for nothing at all (ping).  Both wait in the same queue, so their ratio is what a get costs
 * beyond waiting for the loop.  How long the loop's turns take is the daemon's own figure; it is the time on the clock,
 * so on a machine with fewer cores than runnable threads it has the scheduler in it. */
#include "bench/bars.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bench/hist.h"
#include "bench/keys.h"
#include "bench/pipeline.h"
#include "bench/timing.h"

enum {
    L1_BYTES = 16 << 20,
    VALUE_BYTES = 100,
    DEPTH = 16,
    WARM_UP = 400000,
    ASKED = 20000,
    ASKED_QUICK = 4000
};

struct press {
    struct bars *b;
    struct server server;
    _Atomic uint64_t *stored;
    _Atomic bool *stop;
    struct hist gets, pings;
};

/* ---- the writer --------------------------------------------------------------------------------------- */

static int store_next(struct pipeline *line, uint32_t number)
{
    char name[KEY_BYTES_MAX];
    uint8_t value[VALUE_BYTES];
    value_make(value, sizeof(value), number, 1);
    return pipeline_set(line, key_name(name, number, 1), slice_of(value, sizeof(value)), timing_now_ns());
}

static void be_writer(struct press *p)
{
    struct pipeline line;
    struct answer a;
    uint64_t started;
    int r = pipeline_open(&line, &codec_larder, p->server.socket);
    for (uint32_t number = 0; r >= 0 && !atomic_load(p->stop); number++) {
        r = store_next(&line, number);
        if (r >= 0 && pipeline_under_way(&line) >= DEPTH)
            r = pipeline_flush(&line);
        while (r >= 0 && pipeline_under_way(&line) >= DEPTH)
            r = pipeline_take(&line, true, &a, &started);
        atomic_store_explicit(p->stored, number, memory_order_relaxed);
    }
    _exit(r < 0);
}

static bool wait_until_full(struct press *p)
{
    uint64_t end = timing_now_ns() + 30 * NS_PER_S;
    while (atomic_load(p->stored) < WARM_UP && timing_now_ns() < end)
        usleep(1000);
    return atomic_load(p->stored) >= WARM_UP;
}

/* ---- the asker ---------------------------------------------------------------------------------------- */

static int ask_once(larder_client *client, larder_value *value, bool ping, struct hist *into)
{
    uint64_t begin = timing_now_ns();
    int r = ping ? larder_ping(client) : larder_get(client, larder_text("asked for"), NULL, value);
    hist_record(into, timing_now_ns() - begin);
    return r;
}

/* The key is stored anew now and then: it is evicted like any other. */
static int ask_all(struct press *p, larder_client *client)
{
    uint8_t bytes[VALUE_BYTES] = {0};
    larder_value value = LARDER_VALUE_INIT;
    unsigned times = p->b->options->quick ? ASKED_QUICK : ASKED;
    int r = 0;
    for (unsigned i = 0; i < times && r >= 0; i++) {
        if (i % 64 == 0)
            r = larder_set(client, larder_text("asked for"), larder_bytes(bytes, sizeof(bytes)), NULL);
        if (r >= 0)
            r = ask_once(client, &value, i % 2, i % 2 ? &p->pings : &p->gets);
        if (r >= 0)
            r = ask_once(client, &value, !(i % 2), i % 2 ? &p->gets : &p->pings);
    }
    larder_value_free(&value);
    return r;
}

static void report(struct press *p, larder_client *client)
{
    struct bars *b = p->b;
    char text[96];
    double get = hist_quantile(&p->gets, 0.99) / 1000, ping = hist_quantile(&p->pings, 0.99) / 1000;
    snprintf(text, sizeof(text), "p99 of gets by socket, %.0f us, beside p99 of ping, %.0f us", get, ping);
    bar_figure(b, text, AT_MOST, 1.2, get / ping, "x");
    bar_figure(b, "turns of the loop, p99.9", AT_MOST, 1, bar_stat(client, "loop.p999_us") / 1000, "ms");
    bar_figure(b, "turns of the loop, longest", AT_MOST, 5, bar_stat(client, "loop.max_us") / 1000, "ms");
    bar_beside(b, "entries evicted meanwhile", bar_stat(client, "l1_evictions"), "entries");
}

static void press_on(struct press *p)
{
    larder_client *client = NULL;
    larder_options how = LARDER_OPTIONS_INIT;
    how.socket = p->server.socket;
    how.strict = true;
    how.no_shared_memory = true;
    how.get_ms = how.change_ms = 5000;
    pid_t pid = spawn_fork();
    if (pid == 0)
        be_writer(p);
    int r = wait_until_full(p) ? larder_open(&client, &how) : LARDER_E_TIMEOUT;
    if (r >= 0)
        r = ask_all(p, client);
    if (r < 0)
        bar_failed(p->b, "asking beside sets", larder_strerror(r));
    else
        report(p, client);
    atomic_store(p->stop, true);
    spawn_reap(pid);
    larder_close(client);
}

void bar_full(struct bars *b)
{
    static struct press p;
    memset(&p, 0, sizeof(p));
    p.b = b;
    p.stored = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p.stored == MAP_FAILED) {
        bar_failed(b, "sets into a full L1", "no memory");
        return;
    }
    p.stop = (_Atomic bool *)(p.stored + 1);
    if (bar_server(b, &p.server, SERVER_LARDER, L1_BYTES))
        press_on(&p);
    server_stop(&p.server);
}
