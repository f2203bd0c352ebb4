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

static void describe(larder_value *value, const struct wire_entry *e)
{
    value->flags = e->flags;
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
    describe(value, e);
    return value_put(value, e->value.data, e->value.size) < 0 ? LARDER_E_MEMORY : result;
}
static_assert(sizeof(((larder_token *)0)->bytes) == WIRE_TOKEN_MAX, "contract: larder.h");
