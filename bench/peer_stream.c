/* Redis and memcached: one request, one answer, over a Unix socket. */
#include "bench/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "bench/pipeline.h"

struct peer {
    struct pipeline line;
    uint8_t *value; /* the caller's copy */
    size_t capacity;
};

static void close_stream(struct peer *p)
{
    pipeline_close(&p->line);
    free(p->value);
    free(p);
}

static struct peer *open_stream(const struct peer_where *where, const struct codec *codec)
{
    struct peer *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->capacity = where->value_bytes + 1;
    p->value = malloc(p->capacity);
    if (p->value && pipeline_open(&p->line, codec, where->socket) == 0)
        return p;
    close_stream(p);
    errno = ECONNREFUSED;
    return NULL;
}

static int answered(struct peer *p, struct answer *a)
{
    uint64_t started;
    if (pipeline_flush(&p->line) < 0 || pipeline_take(&p->line, true, a, &started) < 0)
        return PEER_ERROR;
    if (a->kind != ANSWER_REFUSED)
        return PEER_OK;
    memcpy(p->line.why, a->why, sizeof(a->why));
    return PEER_ERROR;
}

static int get_stream(struct peer *p, struct slice key, struct slice *ret_value)
{
    struct answer a;
    if (pipeline_get(&p->line, key, 1) < 0 || answered(p, &a) < 0)
        return PEER_ERROR;
    if (a.kind != ANSWER_HIT)
        return PEER_MISS;
    if (a.value.size > p->capacity)
        return PEER_ERROR;
    memcpy(p->value, a.value.data, a.value.size);
    *ret_value = slice_of(p->value, a.value.size);
    return PEER_HIT;
}

static int set_stream(struct peer *p, struct slice key, struct slice value)
{
    struct answer a;
    if (pipeline_set(&p->line, key, value, 1) < 0)
        return PEER_ERROR;
    return answered(p, &a);
}

static const char *why_stream(const struct peer *p)
{
    return p->line.why[0] ? p->line.why : "a value is larger than asked for";
}

static struct peer *open_redis(const struct peer_where *where)
{
    return open_stream(where, &codec_redis);
}

static struct peer *open_memcached(const struct peer_where *where)
{
    return open_stream(where, &codec_memcached);
}

const struct peer_kind peer_redis = {
    .name = "redis",
    .sentence = "redis-server over a Unix socket",
    .server = SERVER_REDIS,
    .codec = &codec_redis,
    .open = open_redis,
    .get = get_stream,
    .set = set_stream,
    .close = close_stream,
    .why = why_stream,
};
const struct peer_kind peer_memcached = {
    .name = "memcached",
    .sentence = "memcached over a Unix socket",
    .server = SERVER_MEMCACHED,
    .codec = &codec_memcached,
    .open = open_memcached,
    .get = get_stream,
    .set = set_stream,
    .close = close_stream,
    .why = why_stream,
};
