/* wire.def expanded into code.  Four passes over the table: element counts, writers, readers, messages.
 * What must stay true: a reader touches `ret` only with values it has checked, and a list that was accepted
 * has been read to its last element. */
#include "proto/wire.h"

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

static int write_U8(struct buffer *b, uint8_t n)
{
    return pack_uint(b, n);
}

static int write_U32(struct buffer *b, uint32_t n)
{
    return pack_uint(b, n);
}

static int write_U64(struct buffer *b, uint64_t n)
{
    return pack_uint(b, n);
}

static int write_BOOL(struct buffer *b, bool value)
{
    return pack_bool(b, value);
}

static int write_BYTES(struct buffer *b, struct slice s)
{
    return pack_bytes(b, s);
}

static int write_TEXT(struct buffer *b, struct slice s)
{
    return pack_text(b, s);
}

static int write_strings(struct buffer *b, const struct wire_strings *list)
{
    TRY(pack_array(b, list->count));
    if (!list->items)
        return buffer_append(b, list->raw.data, list->raw.size);
    for (uint32_t i = 0; i < list->count; i++)
        TRY(pack_bytes(b, list->items[i]));
    return 0;
}

#define RECORD(name, sentence)                                                                                 \
    static int write_fields_##name(struct buffer *b, const struct wire_##name *m);                             \
    static int write_record_##name(struct buffer *b, const struct wire_##name *m)                              \
    {                                                                                                          \
        TRY(pack_array(b, count_##name));                                                                      \
        return write_fields_##name(b, m);                                                                      \
    }                                                                                                          \
    static int write_list_##name(struct buffer *b, const struct wire_##name##_list *list)                      \
    {                                                                                                          \
        TRY(pack_array(b, list->count));                                                                       \
        if (!list->items)                                                                                      \
            return buffer_append(b, list->raw.data, list->raw.size);                                           \
        for (uint32_t i = 0; i < list->count; i++)                                                             \
            TRY(write_record_##name(b, &list->items[i]));                                                      \
        return 0;                                                                                              \
    }                                                                                                          \
    int wire_append_##name(struct buffer *out, const struct wire_##name *m)                                    \
    {                                                                                                          \
        size_t mark = out->size;                                                                               \
        int r = write_record_##name(out, m);                                                                   \
        if (r < 0)                                                                                             \
            out->size = mark;                                                                                  \
        return r;                                                                                              \
    }
#include "proto/wire.def"

#define WRITE_FIELDS(name)                                                                                     \
    static int write_fields_##name(struct buffer *b, const struct wire_##name *m)                              \
    {                                                                                                          \
        (void)b;                                                                                               \
        (void)m;
#define MESSAGE(code, NAME, name, who, since, sentence) WRITE_FIELDS(name)
#define RECORD(name, sentence)                          WRITE_FIELDS(name)
#define FIELD(TYPE, name, limit, since, sentence)       TRY(write_##TYPE(b, m->name));
#define STRINGS(name, count_max, since, sentence)       TRY(write_strings(b, &m->name));
#define LIST(record, name, count_max, since, sentence)  TRY(write_list_##record(b, &m->name));
#define END(name)                                                                                              \
    return 0;                                                                                                  \
    }
#include "proto/wire.def"

#define MESSAGE(code, NAME, name, who, since, sentence)                                                        \
    static int write_payload_##name(struct buffer *b, uint64_t id, const struct wire_##name *m)                \
    {                                                                                                          \
        TRY(pack_array(b, 2 + count_##name));                                                                  \
        TRY(pack_uint(b, (code)));                                                                             \
        TRY(pack_uint(b, id));                                                                                 \
        return write_fields_##name(b, m);                                                                      \
    }                                                                                                          \
    int wire_write_##name(struct buffer *out, uint64_t id, const struct wire_##name *m, size_t frame_max)      \
    {                                                                                                          \
        size_t mark;                                                                                           \
        TRY(frame_begin(out, &mark));                                                                          \
        int r = write_payload_##name(out, id, m);                                                              \
        if (r >= 0)                                                                                            \
            r = frame_end(out, mark, frame_max);                                                               \
        if (r < 0)                                                                                             \
            out->size = mark;                                                                                  \
        return r;                                                                                              \
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
        memset(ret, 0, sizeof(*ret));
#define READ_ONE(since, call)                                                                                  \
    TRY(next_field(f, since, &present));                                                                       \
    if (present)                                                                                               \
        TRY(call);
#define MESSAGE(code, NAME, name, who, since, sentence) READ_FIELDS(name)
#define RECORD(name, sentence)                          READ_FIELDS(name)
#define FIELD(TYPE, name, limit, since, sentence)       READ_ONE(since, read_##TYPE(f->r, limit, &ret->name))
#define STRINGS(name, count_max, since, sentence)       READ_ONE(since, read_strings(f->r, count_max, &ret->name))
#define LIST(record, name, count_max, since, sentence)                                                         \
    READ_ONE(since, read_list_##record(f->r, count_max, &ret->name))
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
