/* wire.def expanded into code.  Passes over the table: element counts, room, writers, readers.
 * What must stay true: a reader touches `ret` only with values it has checked, and a list that was accepted
 * has been read to its last element. */
#include "proto/wire.h"

#include "proto/put.h"

#define TRY(call)                                                                                              \
    do {                                                                                                       \
        int try_error = (call);                                                                                \
        if (try_error < 0)                                                                                     \
            return try_error;                                                                                  \
    } while (0)

static const char *const code_names[] = {
#define MESSAGE(code, NAME, name, who, since, sentence) [code] = #NAME,
#define RESERVED(code, NAME, who, sentence)             [code] = #NAME,
#include "proto/wire.def"
};

const char *wire_code_name(unsigned code)
{
    bool known = code < sizeof(code_names) / sizeof(code_names[0]) && code_names[code];
    return known ? code_names[code] : "UNKNOWN";
}

/* ======= trace ids ======= */

/* Ids in lower case, as the recommendation wants them; `zeros`: all of them 0 is an answer too. */
static bool is_hex(const char *at, size_t size, bool zeros)
{
    for (size_t i = 0; i < size; i++) {
        if (!(at[i] >= '0' && at[i] <= '9') && !(at[i] >= 'a' && at[i] <= 'f'))
            return false;
        zeros |= at[i] != '0';
    }
    return zeros;
}

bool wire_trace_valid(struct slice text)
{
    const char *at = text.data;
    return text.size == 55 && at[0] == '0' && at[1] == '0' && at[2] == '-' && at[35] == '-' && at[52] == '-' &&
           is_hex(at + 3, 32, false) && is_hex(at + 36, 16, false) && is_hex(at + 53, 2, true);
}

/* ======= element counts ======= */

#define MESSAGE(code, NAME, name, who, since, sentence) enum { count_##name = 0
#define RECORD(name, sentence)                          enum { count_##name = 0
#define FIELD(TYPE, name, limit, since, sentence)       +1
#define STRINGS(name, count_max, since, sentence)       +1
#define LIST(record, name, count_max, since, sentence)  +1
#define END(name)                                                                                              \
    }                                                                                                          \
    ;
#include "proto/wire.def"

/* ======= writers ======= */

/* A message is walked twice: for the room it may need, with every number at its longest, and for its bytes, which
 * then find their room without being asked. */

#define ROOM_NUMBER(value) ((void)(value), (size_t)PUT_ROOM)
#define ROOM_SLICE(value)  (PUT_ROOM + (value).size)
#define ROOM_U8            ROOM_NUMBER
#define ROOM_U32           ROOM_NUMBER
#define ROOM_U64           ROOM_NUMBER
#define ROOM_BOOL          ROOM_NUMBER
#define ROOM_BYTES         ROOM_SLICE
#define ROOM_TEXT          ROOM_SLICE

#define PUT_U8    put_uint
#define PUT_U32   put_uint
#define PUT_U64   put_uint
#define PUT_BOOL  put_bool
#define PUT_BYTES put_bytes
#define PUT_TEXT  put_text

static size_t room_strings(const struct wire_strings *list)
{
    size_t room = PUT_ROOM;
    if (!list->items)
        return room + list->raw.size;
    for (uint32_t i = 0; i < list->count; i++)
        room += ROOM_SLICE(list->items[i]);
    return room;
}

static uint8_t *put_strings(uint8_t *at, const struct wire_strings *list)
{
    at = put_array(at, list->count);
    if (!list->items)
        return put_raw(at, list->raw);
    for (uint32_t i = 0; i < list->count; i++)
        at = put_bytes(at, list->items[i]);
    return at;
}

#define RECORD(name, sentence)                                                                                 \
    static size_t room_fields_##name(const struct wire_##name *m);                                             \
    static uint8_t *put_fields_##name(uint8_t *at, const struct wire_##name *m);                               \
    static size_t room_record_##name(const struct wire_##name *m)                                              \
    {                                                                                                          \
        return PUT_ROOM + room_fields_##name(m);                                                               \
    }                                                                                                          \
    static uint8_t *put_record_##name(uint8_t *at, const struct wire_##name *m)                                \
    {                                                                                                          \
        return put_fields_##name(put_array(at, count_##name), m);                                              \
    }                                                                                                          \
    static size_t room_list_##name(const struct wire_##name##_list *list)                                      \
    {                                                                                                          \
        size_t room = PUT_ROOM;                                                                                \
        if (!list->items)                                                                                      \
            return room + list->raw.size;                                                                      \
        for (uint32_t i = 0; i < list->count; i++)                                                             \
            room += room_record_##name(&list->items[i]);                                                       \
        return room;                                                                                           \
    }                                                                                                          \
    static uint8_t *put_list_##name(uint8_t *at, const struct wire_##name##_list *list)                        \
    {                                                                                                          \
        at = put_array(at, list->count);                                                                       \
        if (!list->items)                                                                                      \
            return put_raw(at, list->raw);                                                                     \
        for (uint32_t i = 0; i < list->count; i++)                                                             \
            at = put_record_##name(at, &list->items[i]);                                                       \
        return at;                                                                                             \
    }                                                                                                          \
    int wire_append_##name(struct buffer *out, const struct wire_##name *m)                                    \
    {                                                                                                          \
        TRY(buffer_reserve(out, room_record_##name(m)));                                                       \
        out->size = (size_t)(put_record_##name(out->data + out->size, m) - out->data);                         \
        return 0;                                                                                              \
    }
#include "proto/wire.def"

#define ROOM_FIELDS(name)                                                                                      \
    static size_t room_fields_##name(const struct wire_##name *m)                                              \
    {                                                                                                          \
        size_t room = 0;                                                                                       \
        (void)m;
#define MESSAGE(code, NAME, name, who, since, sentence) ROOM_FIELDS(name)
#define RECORD(name, sentence)                          ROOM_FIELDS(name)
#define FIELD(TYPE, name, limit, since, sentence)       room += ROOM_##TYPE(m->name);
#define STRINGS(name, count_max, since, sentence)       room += room_strings(&m->name);
#define LIST(record, name, count_max, since, sentence)  room += room_list_##record(&m->name);
#define END(name)                                                                                              \
    return room;                                                                                               \
    }
#include "proto/wire.def"

#define PUT_FIELDS(name)                                                                                       \
    static uint8_t *put_fields_##name(uint8_t *at, const struct wire_##name *m)                                \
    {                                                                                                          \
        (void)m;
#define MESSAGE(code, NAME, name, who, since, sentence) PUT_FIELDS(name)
#define RECORD(name, sentence)                          PUT_FIELDS(name)
#define FIELD(TYPE, name, limit, since, sentence)       at = PUT_##TYPE(at, m->name);
#define STRINGS(name, count_max, since, sentence)       at = put_strings(at, &m->name);
#define LIST(record, name, count_max, since, sentence)  at = put_list_##record(at, &m->name);
#define END(name)                                                                                              \
    return at;                                                                                                 \
    }
#include "proto/wire.def"

static uint8_t *put_payload_head(uint8_t *at, unsigned code, uint64_t id, uint32_t fields_count)
{
    at = put_array(at, 2 + fields_count);
    at = put_uint(at, code);
    return put_uint(at, id);
}

enum { HEAD_ROOM = FRAME_HEADER_BYTES + 3 * PUT_ROOM }; /* of a frame and its payload */

#define MESSAGE(code, NAME, name, who, since, sentence)                                                        \
    int wire_write_##name(struct buffer *out, uint64_t id, const struct wire_##name *m, size_t frame_max)      \
    {                                                                                                          \
        size_t mark;                                                                                           \
        TRY(buffer_reserve(out, HEAD_ROOM + room_fields_##name(m)));                                           \
        TRY(frame_begin(out, &mark));                                                                          \
        uint8_t *at = put_payload_head(out->data + out->size, (code), id, count_##name);                       \
        out->size = (size_t)(put_fields_##name(at, m) - out->data);                                            \
        return frame_end(out, mark, frame_max);                                                                \
    }
#include "proto/wire.def"

/* ======= readers ======= */

/* Fields still to come in the array being read; one of a later version may be missing. */
struct fields {
    struct reader *r;
    uint32_t left;
};

static int next_field(struct fields *f, unsigned since, bool *ret_present)
{
    *ret_present = f->left > 0;
    if (f->left > 0)
        f->left--;
    else if (since <= WIRE_VERSION_MIN)
        return PACK_E_SHORT;
    return 0;
}

static int skip_fields(struct fields *f)
{
    for (; f->left > 0; f->left--)
        TRY(read_skip(f->r));
    return 0;
}

#define READ_NUMBER(TYPE, ctype)                                                                               \
    static int read_##TYPE(struct reader *r, uint64_t limit, ctype *ret)                                       \
    {                                                                                                          \
        uint64_t n;                                                                                            \
        TRY(read_uint(r, limit, &n));                                                                          \
        *ret = (ctype)n;                                                                                       \
        return 0;                                                                                              \
    }
READ_NUMBER(U8, uint8_t)
READ_NUMBER(U32, uint32_t)
READ_NUMBER(U64, uint64_t)

static int read_BOOL(struct reader *r, uint64_t limit, bool *ret)
{
    (void)limit;
    return read_bool(r, ret);
}

static int read_BYTES(struct reader *r, uint64_t limit, struct slice *ret)
{
    return read_bytes(r, limit, ret);
}

static int read_TEXT(struct reader *r, uint64_t limit, struct slice *ret)
{
    return read_text(r, limit, ret);
}

static int read_strings(struct reader *r, uint32_t count_max, struct wire_strings *ret)
{
    uint32_t count;
    TRY(read_array(r, count_max, &count));
    const uint8_t *begin = r->at;
    for (uint32_t i = 0; i < count; i++) {
        struct slice item;
        TRY(read_bytes(r, WIRE_ANY, &item));
    }
    *ret = (struct wire_strings){.count = count, .raw = slice_of(begin, (size_t)(r->at - begin))};
    return 0;
}

#define RECORD(name, sentence)                                                                                 \
    static int read_fields_##name(struct fields *f, struct wire_##name *ret);                                  \
    static int read_record_##name(struct reader *r, struct wire_##name *ret)                                   \
    {                                                                                                          \
        struct fields f = {.r = r};                                                                            \
        TRY(read_array(r, WIRE_LIST_MAX, &f.left));                                                            \
        return read_fields_##name(&f, ret);                                                                    \
    }                                                                                                          \
    static int read_list_##name(struct reader *r, uint32_t count_max, struct wire_##name##_list *ret)          \
    {                                                                                                          \
        uint32_t count;                                                                                        \
        TRY(read_array(r, count_max, &count));                                                                 \
        const uint8_t *begin = r->at;                                                                          \
        struct wire_##name element;                                                                            \
        for (uint32_t i = 0; i < count; i++)                                                                   \
            TRY(read_record_##name(r, &element));                                                              \
        *ret = (struct wire_##name##_list){.count = count, .raw = slice_of(begin, (size_t)(r->at - begin))};   \
        return 0;                                                                                              \
    }                                                                                                          \
    bool wire_next_##name(struct reader *r, struct wire_##name *ret)                                           \
    {                                                                                                          \
        return reader_left(r) > 0 && read_record_##name(r, ret) == 0;                                          \
    }
#include "proto/wire.def"

bool wire_next_string(struct reader *r, struct slice *ret)
{
    return reader_left(r) > 0 && read_bytes(r, WIRE_ANY, ret) == 0;
}

#define READ_FIELDS(name)                                                                                      \
    static int read_fields_##name(struct fields *f, struct wire_##name *ret)                                   \
    {                                                                                                          \
        bool present = false;                                                                                  \
        (void)present;                                                                                         \
        (void)ret;
#define READ_ONE(since, name, call)                                                                            \
    TRY(next_field(f, since, &present));                                                                       \
    if (present)                                                                                               \
        TRY(call);                                                                                             \
    else                                                                                                       \
        memset(&ret->name, 0, sizeof(ret->name));
#define MESSAGE(code, NAME, name, who, since, sentence) READ_FIELDS(name)
#define RECORD(name, sentence)                          READ_FIELDS(name)
#define FIELD(TYPE, name, limit, since, sentence)       READ_ONE(since, name, read_##TYPE(f->r, limit, &ret->name))
#define STRINGS(name, count_max, since, sentence)       READ_ONE(since, name, read_strings(f->r, count_max, &ret->name))
#define LIST(record, name, count_max, since, sentence)                                                         \
    READ_ONE(since, name, read_list_##record(f->r, count_max, &ret->name))
#define END(name)                                                                                              \
    return skip_fields(f);                                                                                     \
    }
#include "proto/wire.def"

#define MESSAGE(code, NAME, name, who, since, sentence)                                                        \
    int wire_read_##name(struct reader *r, const struct wire_head *head, struct wire_##name *ret)              \
    {                                                                                                          \
        struct fields f = {.r = r, .left = head->fields_count};                                                \
        TRY(read_fields_##name(&f, ret));                                                                      \
        return reader_left(r) ? PACK_E_TRAILING : 0;                                                           \
    }
#include "proto/wire.def"

int wire_read_head(struct reader *r, struct wire_head *ret_head)
{
    uint32_t count;
    uint64_t code, id;
    TRY(read_array(r, WIRE_LIST_MAX, &count));
    if (count < 2)
        return PACK_E_SHORT;
    TRY(read_uint(r, UINT8_MAX, &code));
    TRY(read_uint(r, UINT64_MAX, &id));
    *ret_head = (struct wire_head){.code = (uint8_t)code, .id = id, .fields_count = count - 2};
    return 0;
}
