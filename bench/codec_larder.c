/* Larder's own protocol, straight from proto/wire.h: the library is blocking, and this is for many requests at
 * once. */
#include "bench/codec.h"

#include <stdio.h>
#include "proto/status.h"
#include "proto/wire.h"

#define FRAME_MAX (WIRE_VALUE_LIMIT + WIRE_FRAME_ROOM)

/* As patient as with its peers, which know no deadline: a late answer is measured, not lost. */
enum { PATIENCE_MS = 30000 };

static int write_get(struct buffer *out, uint64_t id, struct slice key)
{
    struct wire_get m = {.timeout_ms = PATIENCE_MS, .keys = {.count = 1, .items = &key}};
    return wire_write_get(out, id, &m, FRAME_MAX);
}

static int write_set(struct buffer *out, uint64_t id, struct slice key, struct slice value)
{
    struct wire_item item = {.key = key, .value = value, .ttl_ms = 1000ull * CODEC_TTL_S};
    struct wire_set m = {.timeout_ms = PATIENCE_MS, .items = {.count = 1, .items = &item}};
    return wire_write_set(out, id, &m, FRAME_MAX);
}

static void refused(struct answer *ret, unsigned status, struct slice message)
{
    char line[96];
    int n = snprintf(line, sizeof(line), "%s: %.*s", status_name(status), (int)message.size,
                     (const char *)message.data);
    codec_why(ret, slice_of(line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1));
}

static bool take_values(struct reader *r, const struct wire_head *head, struct answer *ret)
{
    struct wire_values m;
    struct wire_entry entry;
    if (wire_read_values(r, head, &m) < 0)
        return false;
    struct reader list = reader_of(m.entries.raw);
    if (!wire_next_entry(&list, &entry))
        return false;
    ret->kind = entry.status == STATUS_HIT ? ANSWER_HIT : ANSWER_MISS;
    ret->value = entry.value;
    if (status_is_error(entry.status))
        refused(ret, entry.status, slice_text(status_sentence(entry.status)));
    return true;
}

static bool take_outcomes(struct reader *r, const struct wire_head *head, struct answer *ret)
{
    struct wire_outcomes m;
    struct wire_outcome outcome;
    if (wire_read_outcomes(r, head, &m) < 0)
        return false;
    struct reader list = reader_of(m.outcomes.raw);
    if (!wire_next_outcome(&list, &outcome))
        return false;
    ret->kind = ANSWER_STORED;
    if (outcome.status != STATUS_OK)
        refused(ret, outcome.status, slice_text(status_sentence(outcome.status)));
    return true;
}

static bool take_result(struct reader *r, const struct wire_head *head, struct answer *ret)
{
    struct wire_result m;
    if (wire_read_result(r, head, &m) < 0)
        return false;
    refused(ret, m.status, m.message);
    return true;
}

static bool take_payload(struct slice payload, struct answer *ret)
{
    struct reader r = reader_of(payload);
    struct wire_head head;
    if (wire_read_head(&r, &head) < 0)
        return false;
    ret->has_id = true;
    ret->id = head.id;
    switch (head.code) {
    case WIRE_VALUES: return take_values(&r, &head, ret);
    case WIRE_OUTCOMES: return take_outcomes(&r, &head, ret);
    case WIRE_RESULT: return take_result(&r, &head, ret);
    default: return false;
    }
}

static int take(struct slice bytes, struct answer *ret, size_t *ret_used)
{
    struct slice payload;
    int r = frame_split(bytes, FRAME_MAX, &payload, ret_used);
    if (r == FRAME_PARTIAL)
        return TAKE_PARTIAL;
    if (r < 0 || !take_payload(payload, ret))
        return TAKE_BROKEN;
    return TAKE_WHOLE;
}

static int take_welcome(struct stream *s)
{
    struct slice payload;
    size_t used;
    int r;
    while ((r = frame_split(stream_received(s), WIRE_HELLO_FRAME_MAX, &payload, &used)) == FRAME_PARTIAL) {
        if (stream_more(s) < 0)
            return -1;
    }
    struct reader reader = reader_of(payload);
    struct wire_head head;
    if (r < 0 || wire_read_head(&reader, &head) < 0 || head.code != WIRE_WELCOME)
        return -1;
    stream_take(s, used);
    return 0;
}

static int greet(struct stream *s)
{
    struct wire_hello m = {.version_min = WIRE_VERSION_MIN,
                           .version_max = WIRE_VERSION_MAX,
                           .client = slice_text("larder-bench")};
    if (wire_write_hello(&s->out, 1, &m, WIRE_HELLO_FRAME_MAX) < 0 || stream_flush(s) < 0)
        return -1;
    return take_welcome(s);
}

const struct codec codec_larder = {"larder", greet, write_get, write_set, take};
