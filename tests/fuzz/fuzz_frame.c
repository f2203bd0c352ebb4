/* A peer's bytes: frames, heads, every message.  What decodes must survive being encoded and decoded again, and come
 * back as the same bytes; nothing may read a byte too far. */
#include "fuzz.h"

#include "base/check.h"
#include "proto/wire.h"
#include "support/wire_samples.h"

enum { FRAME_MAX = 1 << 20 };

/* ======= walking what was decoded ======= */

static void walk_strings(const struct wire_strings *list)
{
    struct reader r = reader_of(list->raw);
    struct slice s;
    uint32_t count = 0;
    while (wire_next_string(&r, &s))
        count++;
    CHECK(count == list->count && reader_left(&r) == 0);
}

#define RECORD(name, sentence) static void walk_##name(const struct wire_##name *m);
#include "proto/wire.def"

#define RECORD(name, sentence)                                          \
    static void walk_list_##name(const struct wire_##name##_list *list) \
    {                                                                   \
        struct reader r = reader_of(list->raw);                         \
        struct wire_##name m;                                           \
        uint32_t count = 0;                                             \
        for (; wire_next_##name(&r, &m); count++)                       \
            walk_##name(&m);                                            \
        CHECK(count == list->count && reader_left(&r) == 0);            \
    }
#include "proto/wire.def"

static uint64_t sum; /* keeps every byte a slice claims from being optimised away */

static void touch_slice(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        sum += ((const uint8_t *)s.data)[i];
}

#define WALK_U8(value, limit)   CHECK((value) <= (limit))
#define WALK_U32(value, limit)  CHECK((value) <= (limit))
#define WALK_U64(value, limit)  CHECK((value) <= (limit))
#define WALK_BOOL(value, limit) sum += (value)
#define WALK_BYTES(value, limit)    \
    CHECK((value).size <= (limit)); \
    touch_slice(value)
#define WALK_TEXT(value, limit) WALK_BYTES(value, limit)
#define WALK(name)                                       \
    static void walk_##name(const struct wire_##name *m) \
    {
#define MESSAGE(code, NAME, name, who, since, sentence) WALK(name)
#define RECORD(name, sentence)                          WALK(name)
#define FIELD(TYPE, name, limit, since, sentence)       WALK_##TYPE(m->name, (uint64_t)(limit));
#define STRINGS(name, count_max, since, sentence)       walk_strings(&m->name);
#define LIST(record, name, count_max, since, sentence)  walk_list_##record(&m->name);
#define END(name) \
    (void)m;      \
    }
#include "proto/wire.def"

/* ======= there and back ======= */

#define MESSAGE(code, NAME, name, who, since, sentence)                                          \
    static void try_##name(struct reader *r, const struct wire_head *head)                       \
    {                                                                                            \
        struct wire_##name m, back;                                                              \
        struct buffer once = {.limit = 2 * FRAME_MAX}, twice = {.limit = 2 * FRAME_MAX};         \
        if (wire_read_##name(r, head, &m) < 0)                                                   \
            return;                                                                              \
        walk_##name(&m);                                                                         \
        CHECK(wire_write_##name(&once, head->id, &m, 2 * FRAME_MAX) == 0);                       \
        struct reader again =                                                                    \
            reader_of(slice_of(once.data + FRAME_HEADER_BYTES, once.size - FRAME_HEADER_BYTES)); \
        struct wire_head head_back;                                                              \
        CHECK(wire_read_head(&again, &head_back) == 0 && head_back.id == head->id);              \
        CHECK(wire_read_##name(&again, &head_back, &back) == 0);                                 \
        CHECK(wire_write_##name(&twice, head->id, &back, 2 * FRAME_MAX) == 0);                   \
        CHECK(slice_equal(slice_of(once.data, once.size), slice_of(twice.data, twice.size)));    \
        buffer_finish(&once);                                                                    \
        buffer_finish(&twice);                                                                   \
    }
#include "proto/wire.def"

static void try_payload(struct slice payload)
{
    struct reader r = reader_of(payload);
    struct wire_head head;
    if (wire_read_head(&r, &head) < 0)
        return;
    switch (head.code) {
#define MESSAGE(code, NAME, name, who, since, sentence) \
    case code:                                          \
        try_##name(&r, &head);                          \
        break;
#include "proto/wire.def"
    default: break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice payload;
    size_t used;
    size_t at = 0;
    while (frame_split(slice_of(data + at, size - at), FRAME_MAX, &payload, &used) == FRAME_WHOLE) {
        try_payload(payload);
        at += used;
    }
    if (size >= FRAME_HEADER_BYTES) /* and whatever the length in front says */
        try_payload(slice_of(data + FRAME_HEADER_BYTES, size - FRAME_HEADER_BYTES));
    return 0;
}

/* ======= valid inputs ======= */

#define MESSAGE(code, NAME, name, who, since, sentence) \
    static int sample_frame_##name(struct buffer *b)    \
    {                                                   \
        struct wire_##name m;                           \
        sample_##name(&m);                              \
        return wire_write_##name(b, 7, &m, FRAME_MAX);  \
    }
#include "proto/wire.def"

static int (*const samples[])(struct buffer *b) = {
#define MESSAGE(code, NAME, name, who, since, sentence) sample_frame_##name,
#include "proto/wire.def"
};

size_t fuzz_seed(unsigned n, uint8_t *room, size_t room_bytes)
{
    struct buffer b = {.limit = room_bytes};
    CHECK(samples[n % COUNT_OF(samples)](&b) == 0);
    size_t size = b.size;
    memcpy(room, b.data, size);
    buffer_finish(&b);
    return size;
}
