/* memcached's meta commands (protocol.txt of memcached, "Meta Commands"): mg and ms. */
#include "bench/codec.h"

#include <stdio.h>
#include <stdlib.h>

static int write_get(struct buffer *out, uint64_t id, struct slice key)
{
    int r = buffer_append(out, "mg ", 3);
    if (r == 0)
        r = buffer_append(out, key.data, key.size);
    return r < 0 ? r : buffer_append(out, " v\r\n", 4);
}

static int write_set(struct buffer *out, uint64_t id, struct slice key, struct slice value)
{
    char tail[48];
    int n = snprintf(tail, sizeof(tail), " %zu T%d\r\n", value.size, CODEC_TTL_S);
    int r = buffer_append(out, "ms ", 3);
    if (r == 0)
        r = buffer_append(out, key.data, key.size);
    if (r == 0)
        r = buffer_append(out, tail, (size_t)n);
    if (r == 0)
        r = buffer_append(out, value.data, value.size);
    return r < 0 ? r : buffer_append(out, "\r\n", 2);
}

/* VA size flags… and size bytes. */
static int take_value(struct slice bytes, struct slice line, struct answer *ret, size_t *used)
{
    size_t size = strtoul((const char *)line.data + 3, NULL, 10);
    if (bytes.size < *used + size + 2)
        return TAKE_PARTIAL;
    ret->kind = ANSWER_HIT;
    ret->value = slice_of((const char *)bytes.data + *used, size);
    *used += size + 2;
    return TAKE_WHOLE;
}

static int take(struct slice bytes, struct answer *ret, size_t *ret_used)
{
    struct slice line;
    ret->has_id = false;
    if (!codec_line(bytes, &line, ret_used))
        return TAKE_PARTIAL;
    if (line.size < 2)
        return TAKE_BROKEN;
    if (memcmp(line.data, "VA", 2) == 0)
        return take_value(bytes, line, ret, ret_used);
    if (memcmp(line.data, "EN", 2) == 0)
        ret->kind = ANSWER_MISS;
    else if (memcmp(line.data, "HD", 2) == 0)
        ret->kind = ANSWER_STORED;
    else
        codec_why(ret, line);
    return TAKE_WHOLE;
}

const struct codec codec_memcached = {"memcached", NULL, write_get, write_set, take};
