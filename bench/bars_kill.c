/* What kills do: of the daemon, and of names. */
#include "bench/bars.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bench/hist.h"
#include "bench/keys.h"
#include "bench/timing.h"

static void *shared(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* ---- SIGKILL of the daemon ---------------------------------------------------------------------------- */

enum { LEASE_MS = 500, TICK_MS = 10 /* of the slowest coarse clock */ };

struct witness {
    _Atomic uint64_t last_hit_ns; /* begin of the last get that memory answered */
    _Atomic uint64_t hits;
    _Atomic bool stop;
};

static void be_witness(struct bars *b, const char *socket, struct witness *w)
{
    larder_client *client;
    larder_value value = LARDER_VALUE_INIT;
    if (!bar_client(b, &client, socket))
        _exit(1);
    while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
        uint64_t begin = timing_now_ns();
        if (larder_get(client, larder_text("a key"), NULL, &value) == LARDER_HIT && value.near) {
            atomic_store_explicit(&w->last_hit_ns, begin, memory_order_relaxed);
            atomic_fetch_add_explicit(&w->hits, 1, memory_order_relaxed);
        }
    }
    _exit(0);
}

static bool store_the_key(struct bars *b, const char *socket)
{
    larder_client *client = NULL;
    int r = -1;
    if (bar_client(b, &client, socket))
        r = larder_set(client, larder_text("a key"), larder_text("a value"), NULL);
    if (r < 0)
        bar_failed(b, "set", larder_strerror(r));
    larder_close(client);
    return r >= 0;
}

static bool wait_for_hits(const struct witness *w)
{
    uint64_t end = timing_now_ns() + 5 * NS_PER_S;
    while (atomic_load(&w->hits) < 1000 && timing_now_ns() < end)
        usleep(500);
    return atomic_load(&w->hits) >= 1000;
}

/* Kills the daemon and watches until hits have been silent for longer than a lease.  How long after the kill the
 * last hit began, or -1. */
static double kill_once(struct bars *b, struct server *s, struct witness *w)
{
    memset(w, 0, sizeof(*w));
    if (!bar_server(b, s, SERVER_LARDER, 16u << 20) || !store_the_key(b, s->socket))
        return -1;
    pid_t pid = spawn_fork();
    if (pid == 0)
        be_witness(b, s->socket, w);
    bool hits = wait_for_hits(w);
    uint64_t killed = timing_now_ns();
    server_kill(s);
    while (hits && timing_now_ns() < killed + (LEASE_MS + 4 * TICK_MS) * NS_PER_MS)
        usleep(5000);
    atomic_store(&w->stop, true);
    spawn_reap(pid);
    if (!hits)
        bar_failed(b, "reader", "had no hits in shared memory");
    uint64_t last = atomic_load(&w->last_hit_ns);
    return !hits ? -1 : last > killed ? (double)(last - killed) : 0;
}

void bar_sigkill(struct bars *b)
{
    static struct hist h;
    struct server s = {.pid = 0};
    struct witness *w = shared(sizeof(*w));
    unsigned kills = b->options->quick ? 10 : 100;
    char text[96];
    memset(&h, 0, sizeof(h));
    for (unsigned i = 0; i < kills && w; i++) {
        double ns = kill_once(b, &s, w);
        if (ns < 0)
            return;
        hist_record(&h, (uint64_t)ns);
    }
    snprintf(text, sizeof(text), "readers stop after SIGKILL, median of %u", kills);
    bar_figure(b, text, AT_MOST, 1, hist_quantile(&h, 0.5) / 1e6, "ms");
    snprintf(text, sizeof(text), "readers stop after SIGKILL, longest of %u", kills);
    bar_figure(b, text, AT_MOST, LEASE_MS + 2 * TICK_MS, (double)h.max / 1e6, "ms");
}

/* ---- kills of tags nobody carries --------------------------------------------------------------------- */

enum { COMPARED = 4096, ROUNDS = 101 }; /* keys a kind; rounds of each in turn */
enum { TAGGED = 100000, TAGS_EACH = 8, TAG_NAMES = 5000, KILLS_PER_S = 1000 };

struct storm {
    _Atomic uint64_t kills, failures;
    _Atomic bool stop;
};

static larder_slice tag_name(char out[32], const char *kind, uint64_t number)
{
    int n = snprintf(out, 32, "%s:%llu", kind, (unsigned long long)number);
    return larder_bytes(out, (size_t)n);
}

static void be_storm(struct bars *b, const char *socket, struct storm *storm)
{
    larder_client *client;
    char name[32];
    if (!bar_client(b, &client, socket))
        _exit(1);
    uint64_t begin = timing_now_ns();
    for (uint64_t n = 0; !atomic_load(&storm->stop); n++) {
        larder_slice tag = tag_name(name, "unrelated", n);
        larder_invalidate_options what = LARDER_INVALIDATE_OPTIONS_INIT;
        what.tags = &tag;
        what.tags_count = 1;
        uint64_t due = begin + n * NS_PER_S / KILLS_PER_S, now = timing_now_ns();
        if (due > now)
            usleep((useconds_t)((due - now) / 1000));
        if (larder_invalidate_all_of(client, &what) < 0)
            atomic_fetch_add(&storm->failures, 1);
        atomic_fetch_add(&storm->kills, 1);
    }
    _exit(0);
}

static int set_with(larder_client *client, uint32_t number, unsigned tags_count)
{
    char key_text[KEY_BYTES_MAX], names[TAGS_EACH][32];
    larder_slice tags[TAGS_EACH];
    uint8_t value[100];
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    struct slice key = key_name(key_text, number, 1);
    for (unsigned i = 0; i < TAGS_EACH; i++)
        tags[i] = tag_name(names[i], "tag", mix64(number * 8ull + i) % TAG_NAMES);
    how.tags = tags;
    how.tags_count = tags_count;
    value_make(value, sizeof(value), number, 1);
    return larder_set(client, larder_bytes(key.data, key.size), larder_bytes(value, sizeof(value)), &how);
}

struct lives {
    uint64_t gets, hits, near;
};

static bool look(struct bars *b, larder_client *client, larder_value *value, uint32_t number,
                 struct lives *lives)
{
    char name[KEY_BYTES_MAX];
    struct slice key = key_name(name, number, 1);
    int r = larder_get(client, larder_bytes(key.data, key.size), NULL, value);
    lives->gets++;
    lives->hits += r == LARDER_HIT;
    lives->near += r == LARDER_HIT && value->near;
    if (r < 0)
        bar_failed(b, "get", larder_strerror(r));
    return r >= 0;
}

/* Processor time a hit, since a storm beside us takes its share of the cores. */
static double round_ns(struct bars *b, larder_client *client, larder_value *value, uint32_t first,
                       struct lives *lives)
{
    uint64_t begin = timing_cpu_ns();
    for (uint32_t k = 0; k < COMPARED; k++)
        if (!look(b, client, value, first + k, lives))
            break;
    return (double)(timing_cpu_ns() - begin) / COMPARED;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *of, unsigned count)
{
    qsort(of, count, sizeof(*of), by_size);
    return of[count / 2];
}

/* In turn, so that whatever else the machine does falls on both alike. */
static void compare_hits(struct bars *b, larder_client *client)
{
    larder_value value = LARDER_VALUE_INIT;
    struct lives lives = {0};
    double tagged[ROUNDS], plain[ROUNDS];
    round_ns(b, client, &value, 0, &lives); /* warm: the segment, the pages */
    round_ns(b, client, &value, TAGGED, &lives);
    lives = (struct lives){0};
    for (unsigned i = 0; i < ROUNDS; i++) {
        plain[i] = round_ns(b, client, &value, TAGGED, &lives);
        tagged[i] = round_ns(b, client, &value, 0, &lives);
    }
    double plain_ns = median(plain, ROUNDS), tagged_ns = median(tagged, ROUNDS);
    struct bar_row *row = bar_figure(b, "a hit with 8 tags beside one without, during 1,000 kills/s", AT_MOST,
                                     1.3, tagged_ns / plain_ns, "x");
    bar_beside(b, "a hit without tags, processor time", plain_ns, "ns");
    if (lives.near < lives.gets / 100 * 99)
        bar_unclaimed(row, "not all were hits in shared memory");
    larder_value_free(&value);
}

static void report_lives(struct bars *b, const struct storm *storm, const struct lives *during,
                         const struct lives *after, double seconds)
{
    char text[96];
    double rate = (double)atomic_load(&storm->kills) / seconds;
    snprintf(text, sizeof(text), "entries alive after %.0f s of %.0f kills/s, %d tags each", seconds, rate,
             TAGS_EACH);
    struct bar_row *row =
        bar_figure(b, text, AT_LEAST, 99.9, 100.0 * (double)after->hits / (double)after->gets, "%");
    if (rate < 0.95 * KILLS_PER_S || seconds < 59)
        bar_unclaimed(row, "fewer kills or less time than the bar asks for");
    row = bar_figure(b, "their gets answered from memory meanwhile", AT_LEAST, 95,
                     100.0 * (double)during->near / (double)during->gets, "%");
    if (rate < 0.95 * KILLS_PER_S || seconds < 59)
        bar_unclaimed(row, "fewer kills or less time than the bar asks for");
    if (atomic_load(&storm->failures) > 0)
        bar_failed(b, "kills", "some were refused");
}

static void read_through_storm(struct bars *b, larder_client *client, struct storm *storm, double seconds)
{
    larder_value value = LARDER_VALUE_INIT;
    uint32_t *stream = keys_stream(KEYS_ZIPF, TAGGED, 0.99, 1 << 20, b->options->seed);
    struct lives during = {0}, after = {0};
    uint64_t end = timing_now_ns() + (uint64_t)(seconds * 1e9);
    bool ok = stream != NULL;
    for (uint32_t i = 0; ok && timing_now_ns() < end; i++)
        ok = look(b, client, &value, stream[i % (1 << 20)], &during);
    atomic_store(&storm->stop, true);
    for (uint32_t k = 0; k < TAGGED && ok; k++)
        ok = look(b, client, &value, k, &after);
    if (ok)
        report_lives(b, storm, &during, &after, seconds);
    larder_value_free(&value);
    free(stream);
}

static void run_storm(struct bars *b, const char *socket, larder_client *client, struct storm *storm)
{
    int r = 0;
    for (uint32_t k = 0; k < TAGGED && r >= 0; k++)
        r = set_with(client, k, TAGS_EACH);
    for (uint32_t k = TAGGED; k < TAGGED + COMPARED && r >= 0; k++)
        r = set_with(client, k, 0);
    if (r < 0) {
        bar_failed(b, "filling", larder_strerror(r));
        return;
    }
    pid_t pid = spawn_fork();
    if (pid == 0)
        be_storm(b, socket, storm);
    compare_hits(b, client);
    read_through_storm(b, client, storm, b->options->quick ? 5 : 60);
    spawn_reap(pid);
}

void bar_tags(struct bars *b)
{
    struct server s = {.pid = 0};
    larder_client *client = NULL;
    struct storm *storm = shared(sizeof(*storm));
    if (!storm)
        bar_failed(b, "tags", "no memory");
    else if (bar_server(b, &s, SERVER_LARDER, 64u << 20) && bar_client(b, &client, s.socket))
        run_storm(b, s.socket, client, storm);
    larder_close(client);
    server_stop(&s);
}
