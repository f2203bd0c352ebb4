#include "client/value.h"

#include <stdlib.h>
#include <string.h>
#include "proto/status.h"

void larder_value_free(larder_value *value)
{
    if (!value)
        return;
    free(value->data);
    *value = (larder_value)LARDER_VALUE_INIT;
}

/* Rounded up, so that values of about one size settle on one buffer. */
bool value_reserve(larder_value *value, size_t size)
{
    if (size <= value->capacity)
        return true;
    size_t capacity = (size + size / 8 + 63) & ~(size_t)63;
    void *data = malloc(capacity);
    if (!data)
        return false;
    free(value->data);
    value->data = data;
    value->capacity = capacity;
    return true;
}

int value_put(larder_value *value, const void *data, size_t size)
{
    if (!value_reserve(value, size))
        return LARDER_E_MEMORY;
    if (size)
        memcpy(value->data, data, size);
    value->size = size;
    return 0;
}

int value_copy(larder_value *to, const larder_value *from)
{
    int r = value_put(to, from->data, from->size);
    if (r < 0)
        return r;
    void *data = to->data;
    size_t capacity = to->capacity;
    *to = *from;
    to->flags &= ~(uint32_t)LARDER_HAS_TAGS;
    to->data = data;
    to->capacity = capacity;
    return 0;
}

int value_clear(larder_value *value, int result, int reason)
{
    value->size = 0;
    value->flags = value->user_flags = value->schema = 0;
    value->tier = LARDER_TIER_NONE;
    value->reason = reason;
    value->near = false;
    value->ttl_ms = value->fresh_ms = 0;
    value->version = (larder_entry_version){0};
    value->token.size = 0;
    value->result = result;
    return result;
}

/* The app goes on without the cache, unless it asked to be told. */
int value_fail(const struct larder_client *c, larder_value *value, int error)
{
    bool always = error == LARDER_E_KEY || error == LARDER_E_SHAPE || error == LARDER_E_INVALID;
    if (error == LARDER_E_LOAD)
        return value->result = error; /* an answer like others; says how long nobody may try again */
    if (c->strict || always)
        return value_clear(value, error, LARDER_REASON_NONE);
    return value_clear(value, LARDER_MISS,
                       error == LARDER_E_TIMEOUT ? LARDER_REASON_TIMEOUT : LARDER_REASON_UNREACHABLE);
}

/* ======= tags ======= */

/* Behind the value's bytes: how many, then of each its size and its bytes. */
static size_t tags_bytes(const struct wire_entry *e)
{
    struct reader tags = reader_of(e->tags.raw);
    struct slice tag;
    size_t bytes = e->tags.count ? 1 : 0;
    while (wire_next_string(&tags, &tag))
        bytes += sizeof(uint16_t) + tag.size;
    return bytes;
}

static void put_tags(larder_value *value, const struct wire_entry *e)
{
    struct reader tags = reader_of(e->tags.raw);
    struct slice tag;
    unsigned char *at = (unsigned char *)value->data + value->size;
    *at++ = (unsigned char)e->tags.count;
    while (wire_next_string(&tags, &tag)) {
        uint16_t size = (uint16_t)tag.size;
        memcpy(at, &size, sizeof(size));
        memcpy(at + sizeof(size), tag.data, tag.size);
        at += sizeof(size) + tag.size;
    }
    value->flags |= LARDER_HAS_TAGS;
}

size_t larder_value_tags(const larder_value *value, larder_slice *ret_tags)
{
    if (!(value->flags & LARDER_HAS_TAGS))
        return 0;
    const unsigned char *at = (const unsigned char *)value->data + value->size;
    size_t count = *at++;
    for (size_t i = 0; i < count; i++) {
        uint16_t size;
        memcpy(&size, at, sizeof(size));
        ret_tags[i] = larder_bytes(at + sizeof(size), size);
        at += sizeof(size) + size;
    }
    return count;
}

/* ======= answers ======= */

static bool tags_make_sense(const struct wire_entry *e)
{
    struct reader tags = reader_of(e->tags.raw);
    struct slice tag;
    while (wire_next_string(&tags, &tag))
        if (tag.size > UINT16_MAX)
            return false;
    return e->tags.count <= LARDER_TAGS_MAX;
}

static void describe(larder_value *value, const struct wire_entry *e)
{
    value->flags = e->flags & ~(uint32_t)LARDER_HAS_TAGS;
    value->user_flags = e->user_flags;
    value->schema = e->schema;
    value->tier = e->tier;
    value->ttl_ms = e->ttl_ms;
    value->fresh_ms = e->fresh_ms;
    value->version = (larder_entry_version){.epoch = e->epoch, .v = e->v, .id = e->id};
    value->token.size = (uint8_t)e->token.size; /* the decoder allows WIRE_TOKEN_MAX */
    if (e->token.size)
        memcpy(value->token.bytes, e->token.data, e->token.size);
}

int value_from_entry(larder_value *value, const struct wire_entry *e)
{
    int result = result_of_status(e->status);
    value_clear(value, result, e->status == STATUS_MISS ? e->reason : LARDER_REASON_NONE);
    if (!tags_make_sense(e))
        return LARDER_E_PROTOCOL;
    describe(value, e);
    if (!value_reserve(value, e->value.size + tags_bytes(e)) ||
        value_put(value, e->value.data, e->value.size) < 0)
        return LARDER_E_MEMORY;
    if (e->tags.count)
        put_tags(value, e);
    return result;
}
static_assert(sizeof(((larder_token *)0)->bytes) == WIRE_TOKEN_MAX, "contract: larder.h");
static_assert((int)LARDER_TAGS_MAX == (int)WIRE_TAGS_MAX, "contract: larder.h");
