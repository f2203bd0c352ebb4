/* RESP2, the part that GET and SET need (https://redis.io/docs/reference/protocol-spec/). */
#include "bench/codec.h"

#include <stdio.h>
#include <stdlib.h>

static int write_bulk(struct buffer *out, struct slice s)
{
    char head[32];
    int n = snprintf(head, sizeof(head), "$%zu\r\n", s.size);
    int r = buffer_append(out, head, (size_t)n);
    if (r == 0)
        r = buffer_append(out, s.data, s.size);
    return r < 0 ? r : buffer_append(out, "\r\n", 2);
}

static int write_command(struct buffer *out, const struct slice *words, unsigned count)
{
    char head[16];
    int n = snprintf(head, sizeof(head), "*%u\r\n", count);
    int r = buffer_append(out, head, (size_t)n);
    for (unsigned i = 0; i < count && r == 0; i++)
        r = write_bulk(out, words[i]);
    return r;
}

static int write_get(struct buffer *out, uint64_t id, struct slice key)
{
    const struct slice words[] = {slice_text("GET"), key};
    return write_command(out, words, 2);
}

static int write_set(struct buffer *out, uint64_t id, struct slice key, struct slice value)
{
    char ttl[16];
    snprintf(ttl, sizeof(ttl), "%d", CODEC_TTL_S);
    const struct slice words[] = {slice_text("SET"), key, value, slice_text("EX"), slice_text(ttl)};
    return write_command(out, words, 5);
}

/* $-1, or $N and N bytes. */
static int take_bulk(struct slice bytes, struct slice line, struct answer *ret, size_t *used)
{
    long size = strtol((const char *)line.data + 1, NULL, 10);
    if (size < 0) {
        ret->kind = ANSWER_MISS;
        return TAKE_WHOLE;
    }
    if (bytes.size < *used + (size_t)size + 2)
        return TAKE_PARTIAL;
    ret->kind = ANSWER_HIT;
    ret->value = slice_of((const char *)bytes.data + *used, (size_t)size);
    *used += (size_t)size + 2;
    return TAKE_WHOLE;
}

static int take(struct slice bytes, struct answer *ret, size_t *ret_used)
{
    struct slice line;
    ret->has_id = false;
    if (!codec_line(bytes, &line, ret_used))
        return TAKE_PARTIAL;
    switch (*(const char *)line.data) {
    case '$': return take_bulk(bytes, line, ret, ret_used);
    case '+': ret->kind = ANSWER_STORED; return TAKE_WHOLE;
    case '-': codec_why(ret, line); return TAKE_WHOLE;
    default: return TAKE_BROKEN;
    }
}

const struct codec codec_redis = {"redis", NULL, write_get, write_set, take};
