/* A restart nobody notices: SIGKILL of a daemon under load, and the start after it.
 *
 * Readers ask for keys of one stream at a fixed rate (open loop) all the time, through the kill and the start.  Each get
 * is noted in the slot of its tenth of a second: asked, hit, unanswered.  Compared is the last whole second before the
 * kill with the second that begins with the first answer after it; what was not answered in between is told, not
 * counted as a miss. */
#include "bench/bars.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bench/keys.h"
#include "bench/race.h"
#include "bench/timing.h"

enum {
    VALUE_BYTES = 100,
    READERS = 2,
    GETS_PER_S = 5000, /* a reader: enough for half a percent in a second, little enough for two cores */
    STREAM = 1 << 20,
    BEFORE_S = 4,
    AFTER_S = 4,
    SLOTS = 3000, /* of 10 ms each */
    SLOT_MS = 10,
    CURVE_SLOTS = 5,
    DEADLINE_MS = 50,
};

struct slot {
    uint32_t asked, hits, unanswered;
};

struct watch {
    _Atomic bool stop;
    _Atomic uint64_t first_answer_ns[READERS]; /* after killed_ns; 0: none yet */
    _Atomic uint64_t killed_ns;
    uint64_t begin_ns;
    struct slot slots[READERS][SLOTS];
};

struct restart {
    struct bars *b;
    struct server server;
    uint32_t key_count;
    uint32_t *stream;
    struct watch *watch;
};

/* ---- readers ------------------------------------------------------------------------------------------ */

static bool answered(int r, const larder_value *value)
{
    return r > LARDER_MISS || (r == LARDER_MISS && value->reason != LARDER_REASON_UNREACHABLE &&
                               value->reason != LARDER_REASON_TIMEOUT);
}

static void note(struct watch *w, unsigned reader, int r, const larder_value *value)
{
    uint64_t now = timing_now_ns(), killed = atomic_load(&w->killed_ns);
    uint64_t n = (now - w->begin_ns) / (SLOT_MS * NS_PER_MS);
    struct slot *slot = &w->slots[reader][n < SLOTS ? n : SLOTS - 1];
    bool heard = answered(r, value);
    slot->asked++;
    slot->hits += r == LARDER_HIT;
    slot->unanswered += !heard;
    if (heard && killed && !atomic_load_explicit(&w->first_answer_ns[reader], memory_order_relaxed))
        atomic_store(&w->first_answer_ns[reader], now);
}

static void be_reader(struct restart *t, unsigned reader)
{
    larder_client *client;
    larder_value value = LARDER_VALUE_INIT;
    larder_get_options how = LARDER_GET_OPTIONS_INIT;
    larder_options where = LARDER_OPTIONS_INIT;
    char name[KEY_BYTES_MAX];
    how.timeout_ms = DEADLINE_MS;
    where.socket = t->server.socket;
    if (larder_open(&client, &where) < 0)
        _exit(1);
    for (uint64_t n = 0; !atomic_load(&t->watch->stop); n++) {
        timing_wait_until(t->watch->begin_ns + n * NS_PER_S / GETS_PER_S);
        struct slice key = key_name(name, t->stream[(n * READERS + reader) % STREAM], 1);
        note(t->watch, reader, larder_get(client, larder_bytes(key.data, key.size), &how, &value), &value);
    }
    _exit(0);
}

/* ---- the run ------------------------------------------------------------------------------------------- */

static void sleep_until(uint64_t then_ns)
{
    uint64_t now = timing_now_ns();
    if (then_ns > now)
        usleep((useconds_t)((then_ns - now) / 1000));
}

static uint64_t first_answer(const struct watch *w)
{
    uint64_t first = 0;
    for (unsigned i = 0; i < READERS; i++) {
        uint64_t at = atomic_load(&w->first_answer_ns[i]);
        if (at && (!first || at < first))
            first = at;
    }
    return first;
}

/* 0, or -1 when the bar has failed. */
static int kill_and_start(struct restart *t, uint64_t *ret_ready_ns)
{
    struct watch *w = t->watch;
    struct server_options so = {.memory_bytes = race_l1_bytes(t->key_count, VALUE_BYTES),
                                .larderd = t->b->options->larderd};
    sleep_until(w->begin_ns + BEFORE_S * NS_PER_S);
    uint64_t killed = timing_now_ns();
    server_kill(&t->server);
    atomic_store(&w->killed_ns, killed);
    if (server_start(&t->server, &so) != 0) {
        bar_failed(t->b, "start after SIGKILL", t->server.why);
        return -1;
    }
    *ret_ready_ns = timing_now_ns() - killed;
    sleep_until(timing_now_ns() + AFTER_S * NS_PER_S);
    return 0;
}

/* All readers, in `count` slots from that one on. */
static struct slot slots_from(const struct watch *w, uint64_t first, unsigned count)
{
    struct slot sum = {0};
    for (unsigned reader = 0; reader < READERS; reader++)
        for (uint64_t n = first; n < first + count && n < SLOTS; n++) {
            sum.asked += w->slots[reader][n].asked;
            sum.hits += w->slots[reader][n].hits;
            sum.unanswered += w->slots[reader][n].unanswered;
        }
    return sum;
}

static uint64_t slot_of(const struct watch *w, uint64_t ns)
{
    return (ns - w->begin_ns) / (SLOT_MS * NS_PER_MS);
}

static struct slot second_from(const struct watch *w, uint64_t from_ns)
{
    return slots_from(w, slot_of(w, from_ns), 1000 / SLOT_MS);
}

static double hit_share(struct slot s)
{
    return s.asked > s.unanswered ? (double)s.hits / (double)(s.asked - s.unanswered) : 0;
}

static uint64_t unanswered_in_all(const struct watch *w)
{
    uint64_t sum = 0;
    for (unsigned reader = 0; reader < READERS; reader++)
        for (unsigned n = 0; n < SLOTS; n++)
            sum += w->slots[reader][n].unanswered;
    return sum;
}

/* Seconds since the kill, and the share of what was asked that hit; what was not answered is a hole in it. */
static void keep_curve(const struct watch *w, struct bar_row *row)
{
    uint64_t killed = slot_of(w, atomic_load(&w->killed_ns)), end = slot_of(w, timing_now_ns());
    row->curve = calloc(SLOTS / CURVE_SLOTS + 1, sizeof(*row->curve));
    for (uint64_t n = 0; row->curve && n + CURVE_SLOTS <= end && n + CURVE_SLOTS <= SLOTS; n += CURVE_SLOTS) {
        struct slot s = slots_from(w, n, CURVE_SLOTS);
        if (!s.asked)
            continue;
        double *point = row->curve[row->curve_count++];
        point[0] = ((double)n + CURVE_SLOTS / 2.0 - (double)killed) * SLOT_MS / 1000;
        point[1] = (double)s.hits / s.asked;
    }
}

static void report(struct restart *t, uint64_t ready_ns)
{
    const struct watch *w = t->watch;
    uint64_t killed = atomic_load(&w->killed_ns), first = first_answer(w);
    char text[96];
    if (!first) {
        bar_failed(t->b, "readers", "were not answered any more");
        return;
    }
    struct slot before = second_from(w, killed - NS_PER_S), after = second_from(w, first);
    snprintf(text, sizeof(text), "first answer after SIGKILL, %u keys (start took %.0f ms)", t->key_count,
             (double)ready_ns / 1e6);
    bar_figure(t->b, text, AT_MOST, 100, (double)(first - killed) / 1e6, "ms");
    snprintf(text, sizeof(text), "hits, first second after to last before (%.1f %% to %.1f %%)",
             100 * hit_share(after), 100 * hit_share(before));
    keep_curve(w, bar_figure(t->b, text, AT_LEAST, 0.95, hit_share(after) / hit_share(before), "x"));
    bar_beside(t->b, "gets without an answer", (double)unanswered_in_all(w), "gets");
}

static void run(struct restart *t)
{
    pid_t pids[READERS];
    uint64_t ready_ns = 0;
    t->watch->begin_ns = timing_now_ns();
    for (unsigned i = 0; i < READERS; i++)
        if ((pids[i] = spawn_fork()) == 0)
            be_reader(t, i);
    int r = kill_and_start(t, &ready_ns);
    atomic_store(&t->watch->stop, true);
    for (unsigned i = 0; i < READERS; i++)
        spawn_reap(pids[i]);
    if (r == 0)
        report(t, ready_ns);
}

/* ---- filling ------------------------------------------------------------------------------------------- */

enum { CHUNK = 512, CHUNKS_AT_ONCE = 16 };

/* The warm tier drops what comes faster than it can write, which is not what is measured here. */
static bool wait_for_warm(struct restart *t, larder_client *client)
{
    uint64_t give_up = timing_now_ns() + 60 * NS_PER_S;
    while (bar_stat(client, "warm_queue_bytes_used") > 0 && timing_now_ns() < give_up)
        usleep(2000);
    double dropped = bar_stat(client, "warm_puts_dropped");
    if (dropped != 0)
        bar_failed(t->b, "filling", "the warm tier could not keep up");
    return dropped == 0;
}

static int store_chunk(larder_client *client, const uint32_t *numbers, uint32_t count)
{
    static char names[CHUNK][KEY_BYTES_MAX];
    static uint8_t values[CHUNK][VALUE_BYTES];
    static larder_item items[CHUNK];
    for (uint32_t i = 0; i < count; i++) {
        struct slice name = key_name(names[i], numbers[i], 1);
        value_make(values[i], VALUE_BYTES, numbers[i], 1);
        items[i] = (larder_item){.key = larder_bytes(name.data, name.size),
                                 .value = larder_bytes(values[i], VALUE_BYTES)};
    }
    int r = larder_mset(client, items, count, NULL);
    return r < 0 ? r : r == (int)count ? 0 : LARDER_E_INTERNAL;
}

static bool store_all(struct restart *t, larder_client *client, const uint32_t *numbers)
{
    for (uint32_t at = 0, chunk = 0; at < t->key_count; at += CHUNK, chunk++) {
        int r = store_chunk(client, numbers + at, t->key_count - at < CHUNK ? t->key_count - at : CHUNK);
        if (r < 0) {
            bar_failed(t->b, "filling", larder_strerror(r));
            return false;
        }
        if (chunk % CHUNKS_AT_ONCE == 0 && !wait_for_warm(t, client))
            return false;
    }
    return wait_for_warm(t, client);
}

static bool filled(struct restart *t)
{
    larder_client *client = NULL;
    uint32_t *numbers = keys_shuffled(t->key_count, t->b->options->seed);
    bool done = numbers && bar_client(t->b, &client, t->server.socket) && store_all(t, client, numbers);
    larder_close(client);
    free(numbers);
    return done;
}

void bar_restart(struct bars *b)
{
    struct restart t = {.b = b, .server = {.pid = 0}, .key_count = b->options->quick ? 100000 : 1000000};
    t.stream = keys_stream(KEYS_ZIPF, t.key_count, 0.99, STREAM, b->options->seed);
    t.watch = mmap(NULL, sizeof(*t.watch), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!t.stream || t.watch == MAP_FAILED)
        bar_failed(b, "restart", "no memory");
    else if (bar_server(b, &t.server, SERVER_LARDER, race_l1_bytes(t.key_count, VALUE_BYTES)) && filled(&t))
        run(&t);
    server_stop(&t.server);
    free(t.stream);
}
