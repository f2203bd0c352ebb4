#include "bench/pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int broken(struct pipeline *p, const char *why)
{
    if (!p->why[0])
        snprintf(p->why, sizeof(p->why), "%s: %s", p->codec->name, why);
    return PIPELINE_BROKEN;
}

int pipeline_open(struct pipeline *p, const struct codec *codec, const char *socket_path)
{
    *p = (struct pipeline){.codec = codec, .stream.fd = -1};
    p->started = calloc(PIPELINE_WINDOW, sizeof(*p->started));
    if (!p->started)
        return broken(p, "no memory");
    int r = stream_connect(&p->stream, socket_path);
    if (r < 0)
        return broken(p, strerror(-r));
    if (codec->greet && codec->greet(&p->stream) < 0)
        return broken(p, "the greeting was not understood");
    return 0;
}

void pipeline_close(struct pipeline *p)
{
    stream_close(&p->stream);
    free(p->started);
    p->started = NULL;
}

static int queued(struct pipeline *p, int r, uint64_t started_ns)
{
    uint64_t *at = &p->started[p->next_id % PIPELINE_WINDOW];
    if (r < 0)
        return broken(p, "a request did not fit into the buffer");
    if (*at != 0)
        return broken(p, "an answer is overdue by more requests than the window holds");
    *at = started_ns;
    p->next_id++;
    return 0;
}

int pipeline_get(struct pipeline *p, struct slice key, uint64_t started_ns)
{
    return queued(p, p->codec->write_get(&p->stream.out, p->next_id, key), started_ns);
}

int pipeline_set(struct pipeline *p, struct slice key, struct slice value, uint64_t started_ns)
{
    return queued(p, p->codec->write_set(&p->stream.out, p->next_id, key, value), started_ns);
}

int pipeline_flush(struct pipeline *p)
{
    int r = stream_flush(&p->stream);
    return r < 0 ? broken(p, strerror(-r)) : 0;
}

static int matched(struct pipeline *p, struct answer *a, uint64_t *ret_started_ns)
{
    uint64_t id = a->has_id ? a->id : p->taken;
    uint64_t *at = &p->started[id % PIPELINE_WINDOW];
    if (id >= p->next_id || *at == 0)
        return broken(p, "an answer to nothing that was asked");
    a->id = id;
    *ret_started_ns = *at;
    *at = 0;
    p->taken++;
    return 1;
}

int pipeline_take(struct pipeline *p, bool wait, struct answer *ret, uint64_t *ret_started_ns)
{
    stream_take(&p->stream, p->used);
    p->used = 0;
    for (;;) {
        struct slice here = stream_received(&p->stream);
        int r = here.size ? p->codec->take(here, ret, &p->used) : TAKE_PARTIAL;
        if (r == TAKE_WHOLE)
            return matched(p, ret, ret_started_ns);
        p->used = 0;
        if (r == TAKE_BROKEN)
            return broken(p, "an answer makes no sense");
        if (!wait)
            return 0;
        r = stream_more(&p->stream);
        if (r < 0)
            return broken(p, strerror(-r));
    }
}

int pipeline_drain(struct pipeline *p)
{
    struct answer answer;
    uint64_t started;
    int r = pipeline_flush(p);
    while (r == 0 && pipeline_under_way(p) > 0) {
        if (pipeline_take(p, true, &answer, &started) < 0)
            return PIPELINE_BROKEN;
        if (answer.kind == ANSWER_REFUSED)
            return broken(p, answer.why);
    }
    return r;
}
