#include "bench/mutate.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bench/keys.h"
#include "bench/pipeline.h"
#include "bench/spawn.h"
#include "bench/timing.h"

enum {
    KEYS = 10000, /* enough that no script meets a key that is still warm from the last */
    LEVELS = 2,   /* other names than those of the rounds */
    VALUE_BYTES = 100,
    DEPTH = 120, /* below what a daemon takes from one client at a time */
};

struct mutate {
    pid_t pid;
    _Atomic int ready; /* 1 connected, -1 not */
    _Atomic bool stop;
    struct lag_mutations counts;
};

struct sender {
    struct mutate *m;
    struct pipeline line;
    uint64_t sent;
};

static int failed(struct sender *s, const char *why)
{
    snprintf(s->m->counts.why, sizeof(s->m->counts.why), "%s", why);
    return -1;
}

static int send_one(struct sender *s)
{
    char name[KEY_BYTES_MAX];
    uint8_t value[VALUE_BYTES];
    uint32_t number = (uint32_t)(s->sent % KEYS);
    uint64_t due = s->m->counts.begin_ns + lag_due_ns(s->sent, s->m->counts.asked);
    value_make(value, sizeof(value), number, ++s->sent);
    return pipeline_set(&s->line, key_name(name, number, LEVELS), slice_of(value, sizeof(value)), due);
}

static int send_due(struct sender *s, uint64_t now)
{
    uint64_t due = lag_due(now - s->m->counts.begin_ns, s->m->counts.asked);
    int r = 0;
    while (r == 0 && s->sent < due && pipeline_under_way(&s->line) < DEPTH)
        r = send_one(s);
    return r < 0 ? r : pipeline_flush(&s->line);
}

static int take_answers(struct sender *s, bool wait)
{
    struct answer a;
    uint64_t due;
    int r = pipeline_take(&s->line, wait, &a, &due);
    for (uint64_t now = timing_now_ns(); r == 1;
         r = pipeline_under_way(&s->line) ? pipeline_take(&s->line, false, &a, &due) : 0) {
        s->m->counts.refused += a.kind == ANSWER_REFUSED;
        s->m->counts.done += a.kind != ANSWER_REFUSED;
        hist_record(&s->m->counts.late, now - due);
    }
    return r;
}

/* Until the next one is due or an answer is here; with all places taken only an answer helps. */
static int wait_for_something(struct sender *s)
{
    const struct lag_mutations *counts = &s->m->counts;
    uint64_t next_ns = counts->begin_ns + lag_due_ns(s->sent, counts->asked);
    if (pipeline_under_way(&s->line) == DEPTH)
        return take_answers(s, true);
    int r = stream_wait(&s->line.stream, next_ns);
    return r == 1 ? take_answers(s, true) : r;
}

static int send_all(struct sender *s)
{
    while (!atomic_load_explicit(&s->m->stop, memory_order_relaxed)) {
        if (send_due(s, timing_now_ns()) < 0 || wait_for_something(s) < 0)
            return failed(s, s->line.why[0] ? s->line.why : "the connection broke");
    }
    s->m->counts.end_ns = timing_now_ns();
    while (pipeline_under_way(&s->line) > 0) {
        if (take_answers(s, true) < 0)
            return failed(s, s->line.why);
    }
    return 0;
}

_Noreturn static void be_sender(struct mutate *m, const char *socket)
{
    struct sender s = {.m = m};
    if (pipeline_open(&s.line, &codec_larder, socket) < 0) {
        failed(&s, s.line.why);
        atomic_store(&m->ready, -1);
        _exit(1);
    }
    m->counts.begin_ns = timing_now_ns();
    atomic_store(&m->ready, 1);
    int r = send_all(&s);
    if (m->counts.end_ns == 0)
        m->counts.end_ns = timing_now_ns();
    pipeline_close(&s.line);
    _exit(r < 0);
}

struct mutate *mutate_start(const char *socket, double rate)
{
    struct mutate *m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (m == MAP_FAILED)
        return NULL;
    m->counts.asked = rate;
    m->pid = spawn_fork();
    if (m->pid == 0)
        be_sender(m, socket);
    while (atomic_load(&m->ready) == 0)
        usleep(200);
    if (atomic_load(&m->ready) > 0)
        return m;
    fprintf(stderr, "larder-bench: %s\n", m->counts.why);
    spawn_reap(m->pid);
    munmap(m, sizeof(*m));
    return NULL;
}

void mutate_stop(struct mutate *m, struct lag_mutations *ret)
{
    atomic_store(&m->stop, true);
    if (spawn_reap(m->pid) != 0 && !m->counts.why[0])
        snprintf(m->counts.why, sizeof(m->counts.why), "the process of the other changes died");
    *ret = m->counts;
    munmap(m, sizeof(*m));
}
