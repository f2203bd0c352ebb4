/* Two readers beside a writer.
 *
 * With two cores and more than two runnable processes nobody can have a core for himself, so what is compared is
 * work per reader CPU second: the readers beside a writer that stores through the daemon, and the same readers beside
 * one that writes the same bytes at the same rate into its own memory.  In turns.
 *
 * Each read is checked: a value must be whole (torn), and not older than what the writer had been told was stored
 * before the read began (stale). */
#include "bench/bars.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bench/keys.h"
#include "bench/pipeline.h"
#include "bench/timing.h"

enum {
    KEYS = 20000,
    VALUE_BYTES = 100,
    READERS = 2,
    WRITER_DEPTH = 16,
    STREAM = 1 << 20,
    ROUNDS_MIN = 5,
    ROUNDS_MAX = 40,
    WARM_UP = 20000,
};
#define READS_WANTED 100000000ull

struct read_count {
    uint64_t gets, cpu_ns, near, misses, torn, stale, errors;
};

/* What the processes share. */
struct pit {
    _Atomic uint64_t acked[KEYS]; /* version of each key the writer was told is stored */
    _Atomic uint32_t ready;
    _Atomic bool stop;
    struct read_count readers[READERS];
    _Atomic uint64_t writes;
    char why[160];
};

struct ring {
    struct bars *b;
    struct server server;
    struct pit *pit;
    uint32_t *stream; /* key numbers, zipf */
    uint64_t slice_ns;
    double writes_per_s;
    struct read_count beside_daemon, beside_private;
};

/* ---- a reader ----------------------------------------------------------------------------------------- */

static void read_one(struct pit *pit, larder_client *client, larder_value *value, uint32_t number,
                     struct read_count *count)
{
    char name[KEY_BYTES_MAX];
    uint64_t version = 0, before = atomic_load_explicit(&pit->acked[number], memory_order_acquire);
    struct slice key = key_name(name, number, 1);
    int r = larder_get(client, larder_bytes(key.data, key.size), NULL, value);
    count->gets++;
    count->errors += r < 0;
    count->misses += r != LARDER_HIT && r >= 0;
    if (r != LARDER_HIT)
        return;
    count->near += value->near;
    if (value->size != VALUE_BYTES || !value_right(slice_of(value->data, value->size), number, &version))
        count->torn++;
    else
        count->stale += version < before;
}

static void be_reader(struct ring *g, unsigned index)
{
    larder_client *client;
    larder_value value = LARDER_VALUE_INIT;
    struct read_count warm = {0}, *count = &g->pit->readers[index];
    uint32_t at = STREAM / READERS * index;
    if (!bar_client(g->b, &client, g->server.socket))
        _exit(1);
    for (unsigned i = 0; i < WARM_UP; i++)
        read_one(g->pit, client, &value, g->stream[(at + i) % STREAM], &warm);
    atomic_fetch_add(&g->pit->ready, 1);
    uint64_t begin = timing_cpu_ns();
    while (!atomic_load_explicit(&g->pit->stop, memory_order_relaxed)) {
        read_one(g->pit, client, &value, g->stream[at], count);
        at = at + 1 == STREAM ? 0 : at + 1;
    }
    count->cpu_ns = timing_cpu_ns() - begin;
    _exit(0);
}

/* ---- the writers -------------------------------------------------------------------------------------- */

static void writer_failed(struct pit *pit, const char *why)
{
    snprintf(pit->why, sizeof(pit->why), "writer: %s", why);
    atomic_store(&pit->stop, true);
}

static void note_stored(struct pit *pit, uint32_t number, uint64_t version)
{
    if (atomic_load_explicit(&pit->acked[number], memory_order_relaxed) < version)
        atomic_store_explicit(&pit->acked[number], version, memory_order_release);
    atomic_fetch_add_explicit(&pit->writes, 1, memory_order_relaxed);
}

static bool store_some(struct ring *g, struct pipeline *line, uint32_t *at, uint64_t *version)
{
    static uint32_t numbers[PIPELINE_WINDOW];
    static uint64_t versions[PIPELINE_WINDOW];
    char name[KEY_BYTES_MAX];
    uint8_t value[VALUE_BYTES];
    struct answer a;
    uint64_t started;
    for (unsigned i = 0; i < WRITER_DEPTH; i++, *at = (*at + 1) % STREAM) {
        uint64_t id = line->next_id % PIPELINE_WINDOW;
        numbers[id] = g->stream[*at];
        versions[id] = ++*version;
        value_make(value, VALUE_BYTES, numbers[id], versions[id]);
        if (pipeline_set(line, key_name(name, numbers[id], 1), slice_of(value, VALUE_BYTES), 1) < 0)
            return false;
    }
    if (pipeline_flush(line) < 0)
        return false;
    for (unsigned i = 0; i < WRITER_DEPTH; i++) {
        if (pipeline_take(line, true, &a, &started) < 0 || a.kind != ANSWER_STORED)
            return false;
        note_stored(g->pit, numbers[a.id % PIPELINE_WINDOW], versions[a.id % PIPELINE_WINDOW]);
    }
    return true;
}

/* Versions grow over all rounds: each writer begins at the time of day. */
static void write_through_daemon(struct ring *g)
{
    struct pipeline line;
    uint64_t version = timing_now_ns();
    uint32_t at = STREAM / 3;
    if (pipeline_open(&line, &codec_larder, g->server.socket) < 0)
        writer_failed(g->pit, line.why);
    while (!atomic_load(&g->pit->stop)) {
        if (!store_some(g, &line, &at, &version))
            writer_failed(g->pit, line.why[0] ? line.why : "a set was refused");
    }
    pipeline_close(&line);
}

static void write_privately(struct ring *g)
{
    enum { ITEM = VALUE_BYTES + 60 };
    uint8_t *own = calloc(KEYS, ITEM), item[ITEM];
    uint64_t done = 0, begin = timing_now_ns();
    while (own && !atomic_load(&g->pit->stop)) {
        uint64_t due = (uint64_t)((double)(timing_now_ns() - begin) * g->writes_per_s / 1e9);
        for (; done < due; done++) {
            uint32_t number = g->stream[(STREAM / 3 + done) % STREAM];
            value_make(item, ITEM, number, done);
            memcpy(own + (size_t)number * ITEM, item, ITEM);
        }
        usleep(500);
    }
    free(own);
}

/* ---- rounds ------------------------------------------------------------------------------------------- */

static pid_t start_writer(struct ring *g, void (*write)(struct ring *g))
{
    pid_t pid = spawn_fork();
    if (pid != 0)
        return pid;
    write(g);
    _exit(0);
}

static void add_counts(struct read_count *sum, const struct read_count *one)
{
    sum->gets += one->gets;
    sum->cpu_ns += one->cpu_ns;
    sum->near += one->near;
    sum->misses += one->misses;
    sum->torn += one->torn;
    sum->stale += one->stale;
    sum->errors += one->errors;
}

static bool run_round(struct ring *g, void (*write)(struct ring *g), struct read_count *sum)
{
    struct pit *pit = g->pit;
    pid_t readers[READERS];
    memset(pit->readers, 0, sizeof(pit->readers));
    atomic_store(&pit->ready, 0);
    atomic_store(&pit->stop, false);
    atomic_store(&pit->writes, 0);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = spawn_fork();
        if (readers[i] == 0)
            be_reader(g, i);
    }
    uint64_t give_up = timing_now_ns() + 20 * NS_PER_S;
    while (atomic_load(&pit->ready) < READERS && timing_now_ns() < give_up)
        usleep(1000);
    uint64_t begin = timing_now_ns();
    pid_t writer = start_writer(g, write);
    usleep((useconds_t)(g->slice_ns / 1000));
    atomic_store(&pit->stop, true);
    bool ok = spawn_reap(writer) == 0;
    if (write == write_through_daemon)
        g->writes_per_s = (double)atomic_load(&pit->writes) * 1e9 / (double)(timing_now_ns() - begin);
    for (unsigned i = 0; i < READERS; i++) {
        ok &= spawn_reap(readers[i]) == 0;
        add_counts(sum, &pit->readers[i]);
    }
    return ok && !pit->why[0];
}

static bool fill_pit(struct ring *g)
{
    larder_client *client;
    uint8_t value[VALUE_BYTES];
    char name[KEY_BYTES_MAX];
    int r = 0;
    if (!bar_client(g->b, &client, g->server.socket))
        return false;
    for (uint32_t k = 0; k < KEYS && r >= 0; k++) {
        struct slice key = key_name(name, k, 1);
        value_make(value, VALUE_BYTES, k, 1);
        r = larder_set(client, larder_bytes(key.data, key.size), larder_bytes(value, VALUE_BYTES), NULL);
        atomic_store(&g->pit->acked[k], 1);
    }
    larder_close(client);
    if (r < 0)
        bar_failed(g->b, "filling", larder_strerror(r));
    return r >= 0;
}

static double per_cpu_second(const struct read_count *c)
{
    return c->cpu_ns ? (double)c->gets * 1e9 / (double)c->cpu_ns : 0;
}

static void report(struct ring *g)
{
    const struct read_count *with = &g->beside_daemon, *without = &g->beside_private;
    char text[96];
    snprintf(text, sizeof(text), "gets a reader CPU second beside %.0f k sets/s: %.2f M of %.2f M",
             g->writes_per_s / 1e3, per_cpu_second(with) / 1e6, per_cpu_second(without) / 1e6);
    bar_figure(g->b, text, AT_LEAST, 0.9, per_cpu_second(with) / per_cpu_second(without), "x");
    snprintf(text, sizeof(text), "torn values in %.3g checked reads", (double)with->gets);
    struct bar_row *row = bar_figure(g->b, text, AT_MOST, 0, (double)with->torn, "");
    if (with->gets < READS_WANTED)
        bar_unclaimed(row, "fewer than 10^8 reads were checked");
    snprintf(text, sizeof(text), "stale after an acknowledged set, %.2f %% read from memory",
             100.0 * (double)with->near / (double)(with->gets ? with->gets : 1));
    row = bar_figure(g->b, text, AT_MOST, 0, (double)with->stale, "");
    if (with->gets < READS_WANTED)
        bar_unclaimed(row, "fewer than 10^8 reads were checked");
    bar_figure(g->b, "misses and errors beside the writer", AT_MOST, 0, (double)(with->misses + with->errors),
               "");
}

static void run_all(struct ring *g)
{
    unsigned rounds_max = g->b->options->quick ? ROUNDS_MIN : ROUNDS_MAX;
    for (unsigned i = 0; i < rounds_max; i++) {
        if (i >= ROUNDS_MIN && g->beside_daemon.gets >= READS_WANTED)
            break;
        if (!run_round(g, write_through_daemon, &g->beside_daemon) ||
            !run_round(g, write_privately, &g->beside_private)) {
            bar_failed(g->b, "two readers and a writer", g->pit->why[0] ? g->pit->why : "a process failed");
            return;
        }
    }
    report(g);
}

void bar_readers(struct bars *b)
{
    struct ring g = {.b = b, .slice_ns = b->options->quick ? 300 * NS_PER_MS : 4 * NS_PER_S};
    g.pit = mmap(NULL, sizeof(*g.pit), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    g.stream = keys_stream(KEYS_ZIPF, KEYS, 0.99, STREAM, b->options->seed);
    if (g.pit == MAP_FAILED || !g.stream)
        bar_failed(b, "two readers and a writer", "no memory");
    else if (bar_server(b, &g.server, SERVER_LARDER, 64u << 20) && fill_pit(&g))
        run_all(&g);
    server_stop(&g.server);
    free(g.stream);
}
