#include "bench/load.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench/fill.h"
#include "bench/keys.h"
#include "bench/pipeline.h"
#include "bench/timing.h"

/* What the processes share. */
struct meeting {
    _Atomic uint32_t ready;
    _Atomic uint64_t start_ns; /* 0: not yet */
    struct load_result results[];
};

struct worker {
    const struct load_job *job;
    const struct options *o;
    struct load_result *result;
    struct meeting *meeting;
    unsigned index;
    struct rng rng;
    uint32_t at; /* in the keys */
    uint64_t issued, limit;
    uint64_t start_ns, end_ns;
    double gap_ns; /* open loop: between two requests of this worker; 0: closed */
    struct peer *peer;
    struct pipeline line;
    uint32_t under_way[PIPELINE_WINDOW]; /* key numbers by request, gets with the top bit */
    uint8_t *value;
    char name[KEY_BYTES_MAX];
};
#define IS_GET 0x80000000u

/* ---- what comes next, and when ------------------------------------------------------------------------ */

static uint32_t next_key(struct worker *w)
{
    uint32_t number = w->job->keys[w->at];
    w->at = w->at + 1 == w->job->keys_count ? 0 : w->at + 1;
    return number;
}

static bool next_is_get(struct worker *w)
{
    return rng_unit(&w->rng) < w->o->get_share;
}

static struct slice name_of(struct worker *w, uint32_t number)
{
    return key_name(w->name, number, (unsigned)w->o->levels);
}

static struct slice value_of(struct worker *w, uint32_t number)
{
    size_t size = size_mix_of(&w->o->sizes, number);
    value_make(w->value, size, number, w->issued + 2);
    return slice_of(w->value, size);
}

/* When the next request is meant to start: now in a closed loop. */
static uint64_t due_ns(const struct worker *w, uint64_t now)
{
    return w->gap_ns > 0 ? w->start_ns + (uint64_t)(w->gap_ns * (double)w->issued) : now;
}

/* An open loop that falls behind is given twice its time, then the rest counts as unsent. */
static bool over(const struct worker *w, uint64_t now)
{
    if (w->limit)
        return w->issued >= w->limit;
    if (w->gap_ns > 0)
        return due_ns(w, now) >= w->end_ns || now > w->end_ns + (w->end_ns - w->start_ns);
    return now >= w->end_ns;
}

static int failed(struct worker *w, const char *why)
{
    if (!w->result->why[0])
        snprintf(w->result->why, sizeof(w->result->why), "%s", why);
    return -1;
}

static void note_get(struct worker *w, bool hit, struct slice value, uint32_t number)
{
    w->result->hits += hit;
    w->result->misses += !hit;
    if (hit && (value.size != size_mix_of(&w->o->sizes, number) || !value_right(value, number, NULL)))
        w->result->wrong++;
}

/* ---- one request at a time ---------------------------------------------------------------------------- */

static int get_once(struct worker *w, uint64_t due)
{
    struct slice value;
    uint32_t number = next_key(w);
    int r = w->job->kind->get(w->peer, name_of(w, number), &value);
    if (r == PEER_ERROR)
        return failed(w, w->job->kind->why(w->peer));
    hist_record(&w->result->gets, timing_now_ns() - due);
    note_get(w, r == PEER_HIT, value, number);
    return 0;
}

static int set_once(struct worker *w, uint64_t due)
{
    uint32_t number = next_key(w);
    struct slice value = value_of(w, number);
    if (w->job->kind->set(w->peer, name_of(w, number), value) == PEER_ERROR)
        return failed(w, w->job->kind->why(w->peer));
    hist_record(&w->result->sets, timing_now_ns() - due);
    return 0;
}

static int run_blocking(struct worker *w)
{
    int r = 0;
    for (uint64_t now = timing_now_ns(); r == 0 && !over(w, now); w->issued++) {
        uint64_t due = due_ns(w, now);
        if (due > now)
            timing_wait_until(due);
        r = next_is_get(w) ? get_once(w, due) : set_once(w, due);
        now = timing_now_ns();
    }
    return r;
}

/* ---- many under way ----------------------------------------------------------------------------------- */

static int send_one(struct worker *w, uint64_t due)
{
    uint32_t number = next_key(w);
    bool get = next_is_get(w);
    w->under_way[w->line.next_id % PIPELINE_WINDOW] = number | (get ? IS_GET : 0);
    int r = get ? pipeline_get(&w->line, name_of(w, number), due)
                : pipeline_set(&w->line, name_of(w, number), value_of(w, number), due);
    w->issued++;
    return r;
}

static int send_due(struct worker *w, uint64_t now)
{
    int r = 0;
    while (r == 0 && pipeline_under_way(&w->line) < w->o->depth && !over(w, now) && due_ns(w, now) <= now)
        r = send_one(w, due_ns(w, now));
    return r < 0 ? r : pipeline_flush(&w->line);
}

static int note_answer(struct worker *w, const struct answer *a, uint64_t due, uint64_t now)
{
    uint32_t asked = w->under_way[a->id % PIPELINE_WINDOW];
    if (a->kind == ANSWER_REFUSED)
        return failed(w, a->why);
    hist_record(asked & IS_GET ? &w->result->gets : &w->result->sets, now - due);
    if (asked & IS_GET)
        note_get(w, a->kind == ANSWER_HIT, a->value, asked & ~IS_GET);
    return 0;
}

/* Waits for one answer when `wait`, then takes all that have come with it. */
static int take_answers(struct worker *w, bool wait)
{
    struct answer a;
    uint64_t due;
    int r = pipeline_take(&w->line, wait, &a, &due);
    uint64_t now = timing_now_ns();
    while (r == 1) {
        if (note_answer(w, &a, due, now) < 0)
            return -1;
        r = pipeline_under_way(&w->line) ? pipeline_take(&w->line, false, &a, &due) : 0;
    }
    return r;
}

static int wait_for_something(struct worker *w, uint64_t now)
{
    bool more = !over(w, now);
    bool full = pipeline_under_way(&w->line) == w->o->depth;
    if (pipeline_under_way(&w->line) == 0) {
        timing_wait_until(due_ns(w, now));
        return 0;
    }
    if (full || !more || w->gap_ns == 0)
        return take_answers(w, true);
    int r = stream_wait(&w->line.stream, due_ns(w, now));
    return r == 1 ? take_answers(w, true) : r;
}

static int run_pipelined(struct worker *w)
{
    for (;;) {
        uint64_t now = timing_now_ns();
        if (over(w, now) && pipeline_under_way(&w->line) == 0)
            return 0;
        if (send_due(w, now) < 0 || wait_for_something(w, now) < 0)
            return failed(w, w->line.why);
    }
}

/* ---- a client process --------------------------------------------------------------------------------- */

static int connect_worker(struct worker *w)
{
    struct peer_where where = {w->job->socket, w->job->key_space, size_mix_max(&w->o->sizes) + KEY_BYTES_MAX,
                               size_mix_max(&w->o->sizes)};
    if (w->o->depth > 1)
        return pipeline_open(&w->line, w->job->kind->codec, w->job->socket) < 0 ? failed(w, w->line.why) : 0;
    w->peer = w->job->kind->open(&where);
    if (!w->peer)
        return failed(w, "the target cannot be opened");
    struct fill f = {w->job->key_space, (unsigned)w->o->levels, w->o->seed, &w->o->sizes};
    char why[192] = "";
    if (!w->job->kind->codec && fill_peer(&f, w->job->kind, w->peer, why) < 0)
        return failed(w, why);
    return 0;
}

static void meet(struct worker *w)
{
    atomic_fetch_add(&w->meeting->ready, 1);
    while ((w->start_ns = atomic_load(&w->meeting->start_ns)) == 0)
        usleep(200);
    if (w->gap_ns > 0)
        w->start_ns += (uint64_t)(w->gap_ns * w->index / (double)w->o->clients);
    w->end_ns = w->start_ns + (uint64_t)(w->o->duration_s * 1e9);
    timing_wait_until(w->start_ns);
}

static void count_unsent(struct worker *w)
{
    uint64_t due = w->limit ? w->limit : (uint64_t)((double)(w->end_ns - w->start_ns) / w->gap_ns);
    w->result->unsent = due > w->issued + 1 ? due - w->issued : 0;
}

static void work(struct worker *w)
{
    const struct options *o = w->o;
    w->rng.state = o->seed * 1000 + w->index;
    w->at = (uint32_t)((uint64_t)w->job->keys_count * w->index / o->clients);
    w->gap_ns = o->rate > 0 ? 1e9 * (double)o->clients / o->rate : 0;
    w->limit = (o->ops + o->clients - 1) / o->clients;
    w->value = malloc(size_mix_max(&o->sizes) + 8);
    bool ok = w->value && connect_worker(w) == 0;
    meet(w);
    if (ok && (o->depth > 1 ? run_pipelined(w) : run_blocking(w)) == 0 && w->gap_ns > 0)
        count_unsent(w);
    w->result->begin_ns = w->start_ns;
    w->result->end_ns = timing_now_ns();
    w->result->near = ok && w->peer && w->job->kind->near ? w->job->kind->near(w->peer) : 0;
}

/* ---- all of them -------------------------------------------------------------------------------------- */

static void add_result(struct load_result *sum, const struct load_result *one)
{
    if (one->why[0] && !sum->why[0])
        memcpy(sum->why, one->why, sizeof(sum->why));
    hist_merge(&sum->gets, &one->gets);
    hist_merge(&sum->sets, &one->sets);
    sum->hits += one->hits;
    sum->misses += one->misses;
    sum->near += one->near;
    sum->wrong += one->wrong;
    sum->unsent += one->unsent;
    sum->begin_ns = sum->begin_ns && sum->begin_ns < one->begin_ns ? sum->begin_ns : one->begin_ns;
    sum->end_ns = one->end_ns > sum->end_ns ? one->end_ns : sum->end_ns;
}

_Noreturn static void be_worker(const struct load_job *job, struct meeting *m, unsigned index)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (!w)
        _exit(1);
    *w = (struct worker){.job = job,
                         .o = job->options,
                         .result = &m->results[index],
                         .meeting = m,
                         .index = index,
                         .line.stream.fd = -1};
    work(w);
    _exit(0);
}

/* A client that died before it was ready would never be. */
static bool all_alive(const pid_t *pids, unsigned clients)
{
    for (unsigned i = 0; i < clients; i++) {
        siginfo_t info = {0};
        if (waitid(P_PID, (id_t)pids[i], &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid != 0)
            return false;
    }
    return true;
}

static void start_and_reap(struct meeting *m, const pid_t *pids, unsigned clients, struct load_result *ret)
{
    while (atomic_load(&m->ready) < clients && all_alive(pids, clients))
        usleep(500);
    atomic_store(&m->start_ns, timing_now_ns() + 2 * NS_PER_MS);
    for (unsigned i = 0; i < clients; i++) {
        if (spawn_reap(pids[i]) != 0)
            snprintf(ret->why, sizeof(ret->why), "a client process died");
        add_result(ret, &m->results[i]);
    }
}

int load_run(const struct load_job *job, struct load_result *ret)
{
    unsigned clients = (unsigned)job->options->clients;
    size_t bytes = sizeof(struct meeting) + clients * sizeof(struct load_result);
    struct meeting *m = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[64];
    memset(ret, 0, sizeof(*ret));
    if (m == MAP_FAILED)
        return -1;
    for (unsigned i = 0; i < clients; i++) {
        pids[i] = spawn_fork();
        if (pids[i] == 0)
            be_worker(job, m, i);
    }
    start_and_reap(m, pids, clients, ret);
    munmap(m, bytes);
    return ret->why[0] ? -1 : 0;
}
