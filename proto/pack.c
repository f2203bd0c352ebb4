#include "proto/pack.h"

#include <endian.h>
#include <stdlib.h>
#include <msgpack.h>

const char *pack_error_text(int error)
{
    switch (error) {
    case PACK_E_SHORT: return "the bytes end inside a value";
    case PACK_E_TYPE: return "a value of another type stands here";
    case PACK_E_RANGE: return "a number or length over its limit";
    case PACK_E_DEPTH: return "nested too deep";
    case PACK_E_FULL: return "larger than the limit";
    case PACK_E_MEMORY: return "no memory";
    case PACK_E_TRAILING: return "bytes after the end of the message";
    default: return "no error";
    }
}

/* ======= buffer ======= */

enum { BUFFER_FIRST_BYTES = 512 }; /* most requests and replies without a value fit */

void buffer_init(struct buffer *b, size_t limit)
{
    *b = (struct buffer){.limit = limit};
}

void buffer_finish(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){.limit = b->limit};
}

int buffer_grow(struct buffer *b, size_t more)
{
    if (more > b->limit || b->size > b->limit - more)
        return PACK_E_FULL;
    size_t wanted = b->capacity ? b->capacity : BUFFER_FIRST_BYTES;
    while (wanted < b->size + more)
        wanted *= 2;
    if (wanted > b->limit)
        wanted = b->limit;
    uint8_t *data = realloc(b->data, wanted);
    if (!data)
        return PACK_E_MEMORY;
    b->data = data;
    b->capacity = wanted;
    return 0;
}

void buffer_consume(struct buffer *b, size_t size)
{
    if (size >= b->size) {
        b->size = 0;
        return;
    }
    memmove(b->data, b->data + size, b->size - size);
    b->size -= size;
}

/* ======= writing ======= */

static int packer_write(void *data, const char *bytes, size_t size)
{
    return buffer_append(data, bytes, size);
}

static msgpack_packer packer_on(struct buffer *b)
{
    msgpack_packer p;
    msgpack_packer_init(&p, b, packer_write);
    return p;
}

int pack_array(struct buffer *b, uint32_t count)
{
    msgpack_packer p = packer_on(b);
    return msgpack_pack_array(&p, count);
}

int pack_uint(struct buffer *b, uint64_t value)
{
    msgpack_packer p = packer_on(b);
    return msgpack_pack_uint64(&p, value);
}

int pack_bool(struct buffer *b, bool value)
{
    msgpack_packer p = packer_on(b);
    return value ? msgpack_pack_true(&p) : msgpack_pack_false(&p);
}

int pack_bytes(struct buffer *b, struct slice value)
{
    msgpack_packer p = packer_on(b);
    int r = buffer_reserve(b, value.size + 5); /* header and body in one growth */
    if (r < 0)
        return r;
    r = msgpack_pack_bin(&p, value.size);
    return r < 0 ? r : buffer_append(b, value.data, value.size);
}

int pack_text(struct buffer *b, struct slice value)
{
    msgpack_packer p = packer_on(b);
    int r = msgpack_pack_str(&p, value.size);
    return r < 0 ? r : buffer_append(b, value.data, value.size);
}

/* ======= reading ======= */

/* One msgpack head: the kind of value, its number (value, length or count), and where the body begins. */
enum kind { KIND_UINT, KIND_BOOL, KIND_BYTES, KIND_TEXT, KIND_ARRAY, KIND_MAP, KIND_OTHER };

struct head {
    enum kind kind;
    uint64_t number;
    const uint8_t *body;
};

/* Heads with a number of 1, 2, 4 or 8 bytes behind the first byte, by first byte from 0xc4 on. */
static const struct {
    uint8_t kind;
    uint8_t width; /* 0: not a head of this shape */
} wide_heads[0xe0 - 0xc4] = {
    [0xc4 - 0xc4] = {KIND_BYTES, 1}, [0xc5 - 0xc4] = {KIND_BYTES, 2}, [0xc6 - 0xc4] = {KIND_BYTES, 4},
    [0xc7 - 0xc4] = {KIND_OTHER, 1}, [0xc8 - 0xc4] = {KIND_OTHER, 2}, [0xc9 - 0xc4] = {KIND_OTHER, 4},
    [0xcc - 0xc4] = {KIND_UINT, 1},  [0xcd - 0xc4] = {KIND_UINT, 2},  [0xce - 0xc4] = {KIND_UINT, 4},
    [0xcf - 0xc4] = {KIND_UINT, 8},  [0xd9 - 0xc4] = {KIND_TEXT, 1},  [0xda - 0xc4] = {KIND_TEXT, 2},
    [0xdb - 0xc4] = {KIND_TEXT, 4},  [0xdc - 0xc4] = {KIND_ARRAY, 2}, [0xdd - 0xc4] = {KIND_ARRAY, 4},
    [0xde - 0xc4] = {KIND_MAP, 2},   [0xdf - 0xc4] = {KIND_MAP, 4},
};

/* Values that no message of ours carries but a later version may: stepped over by their size. */
static size_t other_bytes(uint8_t first)
{
    switch (first) {
    case 0xc0: return 0; /* nil */
    case 0xca: return 4; /* float */
    case 0xcb: return 8; /* double */
    case 0xd0: return 1; /* signed integers */
    case 0xd1: return 2;
    case 0xd2: return 4;
    case 0xd3: return 8;
    case 0xd4: return 1 + 1; /* fixed extensions: type and body */
    case 0xd5: return 1 + 2;
    case 0xd6: return 1 + 4;
    case 0xd7: return 1 + 8;
    case 0xd8: return 1 + 16;
    default: return SIZE_MAX;
    }
}

static uint64_t big_endian(const uint8_t *p, unsigned width)
{
    uint16_t n16;
    uint32_t n32;
    uint64_t n64;
    switch (width) {
    case 1: return *p;
    case 2: memcpy(&n16, p, 2); return be16toh(n16);
    case 4: memcpy(&n32, p, 4); return be32toh(n32);
    default: memcpy(&n64, p, 8); return be64toh(n64);
    }
}

static int read_narrow_head(uint8_t first, const uint8_t *body, struct head *ret)
{
    if (first <= 0x7f)
        *ret = (struct head){KIND_UINT, first, body};
    else if (first <= 0x8f)
        *ret = (struct head){KIND_MAP, first & 0x0f, body};
    else if (first <= 0x9f)
        *ret = (struct head){KIND_ARRAY, first & 0x0f, body};
    else if (first <= 0xbf)
        *ret = (struct head){KIND_TEXT, first & 0x1f, body};
    else if (first == 0xc2 || first == 0xc3)
        *ret = (struct head){KIND_BOOL, first & 1, body};
    else if (first >= 0xe0)
        *ret = (struct head){KIND_OTHER, 0, body}; /* small negative number */
    else
        return PACK_E_TYPE;
    return 0;
}

static int read_head(const struct reader *r, struct head *ret)
{
    if (r->at == r->end)
        return PACK_E_SHORT;
    uint8_t first = *r->at;
    const uint8_t *body = r->at + 1;
    if (first >= 0xc4 && first < 0xe0 && wide_heads[first - 0xc4].width) {
        unsigned width = wide_heads[first - 0xc4].width;
        if ((size_t)(r->end - body) < width)
            return PACK_E_SHORT;
        *ret = (struct head){wide_heads[first - 0xc4].kind, big_endian(body, width), body + width};
        if (ret->kind == KIND_OTHER)
            ret->number++; /* an extension's length does not count its type byte */
        return 0;
    }
    size_t other = other_bytes(first);
    if (other != SIZE_MAX) {
        *ret = (struct head){KIND_OTHER, other, body};
        return 0;
    }
    return read_narrow_head(first, body, ret);
}

int read_array(struct reader *r, uint32_t count_max, uint32_t *ret_count)
{
    struct head h;
    int e = read_head(r, &h);
    if (e < 0)
        return e;
    if (h.kind != KIND_ARRAY)
        return PACK_E_TYPE;
    if (h.number > count_max)
        return PACK_E_RANGE;
    if (h.number > (size_t)(r->end - h.body)) /* an element has at least one byte */
        return PACK_E_SHORT;
    r->at = h.body;
    *ret_count = (uint32_t)h.number;
    return 0;
}

int read_any_uint(struct reader *r, uint64_t max, uint64_t *ret_value)
{
    struct head h;
    int e = read_head(r, &h);
    if (e < 0)
        return e;
    if (h.kind != KIND_UINT)
        return PACK_E_TYPE;
    if (h.number > max)
        return PACK_E_RANGE;
    r->at = h.body;
    *ret_value = h.number;
    return 0;
}

int read_bool(struct reader *r, bool *ret_value)
{
    struct head h;
    int e = read_head(r, &h);
    if (e < 0)
        return e;
    if (h.kind != KIND_BOOL)
        return PACK_E_TYPE;
    r->at = h.body;
    *ret_value = h.number != 0;
    return 0;
}

int read_bytes(struct reader *r, size_t size_max, struct slice *ret_value)
{
    struct head h;
    int e = read_head(r, &h);
    if (e < 0)
        return e;
    if (h.kind != KIND_BYTES && h.kind != KIND_TEXT)
        return PACK_E_TYPE;
    if (h.number > size_max)
        return PACK_E_RANGE;
    if (h.number > (size_t)(r->end - h.body))
        return PACK_E_SHORT;
    *ret_value = slice_of(h.body, (size_t)h.number);
    r->at = h.body + h.number;
    return 0;
}

int read_text(struct reader *r, size_t size_max, struct slice *ret_value)
{
    return read_bytes(r, size_max, ret_value);
}

/* Without recursion: `open[d]` counts the values still to come at depth d. */
int read_skip(struct reader *r)
{
    struct reader at = *r;
    uint64_t open[READ_DEPTH_MAX + 1] = {1};
    for (unsigned depth = 0;;) {
        struct head h;
        int e = read_head(&at, &h);
        if (e < 0)
            return e;
        open[depth]--;
        bool nests = h.kind == KIND_ARRAY || h.kind == KIND_MAP;
        bool has_body = h.kind == KIND_BYTES || h.kind == KIND_TEXT || h.kind == KIND_OTHER;
        if (has_body && h.number > (size_t)(at.end - h.body))
            return PACK_E_SHORT;
        at.at = has_body ? h.body + h.number : h.body;
        if (nests && h.number) {
            if (depth == READ_DEPTH_MAX)
                return PACK_E_DEPTH;
            open[++depth] = h.kind == KIND_MAP ? h.number * 2 : h.number;
        }
        while (open[depth] == 0) {
            if (depth == 0) {
                *r = at;
                return 0;
            }
            depth--;
        }
    }
}
