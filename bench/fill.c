#include "bench/fill.h"

#include <stdio.h>
#include <stdlib.h>
#include "bench/keys.h"
#include "bench/pipeline.h"

enum { FILL_DEPTH = 64, FILL_VERSION = 1 };

static int failed(char why[192], const char *sentence)
{
    snprintf(why, 192, "%s", sentence);
    return -1;
}

/* Calls `each` for every key in a shuffled order until it fails. */
static int for_each(const struct fill *f, uint64_t seed, int (*each)(void *user, uint32_t number), void *user)
{
    uint32_t *order = keys_shuffled(f->key_count, seed);
    int r = order ? 0 : -1;
    for (uint32_t i = 0; i < f->key_count && r == 0; i++)
        r = each(user, order[i]);
    free(order);
    return r;
}

struct filling {
    const struct fill *f;
    const struct peer_kind *kind;
    struct peer *peer;
    struct pipeline line;
    uint32_t asked[FILL_DEPTH]; /* key numbers under way, by request */
    uint8_t *value;
    char name[KEY_BYTES_MAX];
    uint64_t missing;
    char *why;
};

static struct slice make(struct filling *job, uint32_t number)
{
    size_t size = size_mix_of(job->f->sizes, number);
    value_make(job->value, size, number, FILL_VERSION);
    return slice_of(job->value, size);
}

static int send_one(void *user, uint32_t number)
{
    struct filling *job = user;
    struct slice value = make(job, number);
    int r = pipeline_set(&job->line, key_name(job->name, number, job->f->levels), value, 1);
    return r == 0 && pipeline_under_way(&job->line) >= FILL_DEPTH ? pipeline_drain(&job->line) : r;
}

int fill_server(const struct fill *f, const struct codec *codec, const char *socket, char why[192])
{
    struct filling job = {.f = f, .value = malloc(size_mix_max(f->sizes) + 8)};
    int r = job.value ? pipeline_open(&job.line, codec, socket) : -1;
    if (r == 0)
        r = for_each(f, f->seed, send_one, &job);
    if (r == 0)
        r = pipeline_drain(&job.line);
    if (r < 0)
        failed(why, job.line.why[0] ? job.line.why : "no memory");
    pipeline_close(&job.line);
    free(job.value);
    return r;
}

static int set_one(void *user, uint32_t number)
{
    struct filling *job = user;
    struct slice value = make(job, number);
    if (job->kind->set(job->peer, key_name(job->name, number, job->f->levels), value) == PEER_OK)
        return 0;
    return failed(job->why, job->kind->why(job->peer));
}

int fill_peer(const struct fill *f, const struct peer_kind *kind, struct peer *peer, char why[192])
{
    struct filling job = {
        .f = f, .kind = kind, .peer = peer, .value = malloc(size_mix_max(f->sizes) + 8), .why = why};
    int r = job.value ? for_each(f, f->seed, set_one, &job) : failed(why, "no memory");
    free(job.value);
    return r;
}

static int wrong_value(const struct filling *job)
{
    return failed(job->why, "answered with a value that is not the key's");
}

static int check_one(void *user, uint32_t number)
{
    struct filling *job = user;
    struct slice value;
    int r = job->kind->get(job->peer, key_name(job->name, number, job->f->levels), &value);
    if (r == PEER_ERROR)
        return failed(job->why, job->kind->why(job->peer));
    job->missing += r == PEER_MISS;
    return r == PEER_HIT && !job->kind->floor && !value_right(value, number, NULL) ? wrong_value(job) : 0;
}

int fill_check_peer(const struct fill *f, const struct peer_kind *kind, struct peer *peer,
                    uint64_t *ret_missing, char why[192])
{
    struct filling job = {.f = f, .kind = kind, .peer = peer, .why = why};
    int r = for_each(f, f->seed + 1, check_one, &job);
    *ret_missing = job.missing;
    return r;
}

/* Takes the answers to all that was asked, and compares each with the key it belongs to. */
static int take_asked(struct filling *job)
{
    struct answer a;
    uint64_t started;
    int r = pipeline_flush(&job->line);
    while (r == 0 && pipeline_under_way(&job->line) > 0) {
        if (pipeline_take(&job->line, true, &a, &started) < 0)
            return -1;
        if (a.kind != ANSWER_HIT && a.kind != ANSWER_MISS)
            return failed(job->why, a.why);
        job->missing += a.kind == ANSWER_MISS;
        if (a.kind == ANSWER_HIT && !value_right(a.value, job->asked[a.id % FILL_DEPTH], NULL))
            return wrong_value(job);
    }
    return r;
}

static int ask_one(void *user, uint32_t number)
{
    struct filling *job = user;
    job->asked[job->line.next_id % FILL_DEPTH] = number;
    int r = pipeline_get(&job->line, key_name(job->name, number, job->f->levels), 1);
    return r == 0 && pipeline_under_way(&job->line) == FILL_DEPTH ? take_asked(job) : r;
}

int fill_check_server(const struct fill *f, const struct codec *codec, const char *socket,
                      uint64_t *ret_missing, char why[192])
{
    struct filling job = {.f = f, .why = why};
    int r = pipeline_open(&job.line, codec, socket);
    if (r == 0)
        r = for_each(f, f->seed + 1, ask_one, &job);
    if (r == 0)
        r = take_asked(&job);
    if (r < 0 && !why[0])
        failed(why, job.line.why);
    pipeline_close(&job.line);
    *ret_missing = job.missing;
    return r;
}
