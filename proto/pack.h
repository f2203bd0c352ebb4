/* msgpack, both ways, and the only code that touches raw payload bytes.
 *
 * Writing goes through msgpack-c's packer into a growing buffer with a hard limit; messages, of which there are
 * hundreds of thousands a second, are put by put.h into the same buffer.  Reading a peer's bytes never builds objects: five hostile bytes can make an unpacker reserve 8 GiB.  The reader is a flat cursor
 * over one bounded frame; every length is compared with the bytes that are left before it is believed, and
 * nothing is allocated, so a frame costs its own length and not one byte more.
 *
 * Thread rule: a buffer or a reader belongs to one thread at a time. */
#ifndef LARDER_PROTO_PACK_H
#define LARDER_PROTO_PACK_H

#include <stdbool.h>
#include <stdint.h>
#include "proto/slice.h"

/* Outcomes below zero.  What a call returned before it failed stays untouched. */
enum {
    PACK_E_SHORT = -1,    /* the bytes end inside a value */
    PACK_E_TYPE = -2,     /* a value of another type stands here */
    PACK_E_RANGE = -3,    /* a number or a length over the caller's limit */
    PACK_E_DEPTH = -4,    /* nested deeper than any message of ours */
    PACK_E_FULL = -5,     /* the buffer's limit is reached */
    PACK_E_MEMORY = -6,   /* no memory */
    PACK_E_TRAILING = -7, /* bytes after the end of the message */
};

const char *pack_error_text(int error);

/* ---- writing ------------------------------------------------------------------------------------------ */

/* Bytes [0, size) are written; capacity grows by doubling up to limit.  Zeroed memory plus a limit is a
 * valid empty buffer. */
struct buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t limit;
};

void buffer_init(struct buffer *b, size_t limit);
void buffer_finish(struct buffer *b);           /* frees; the buffer is empty and usable again */
int buffer_grow(struct buffer *b, size_t more); /* what buffer_reserve does when it must */

static inline int buffer_reserve(struct buffer *b, size_t more)
{
    return more <= b->capacity - b->size ? 0 : buffer_grow(b, more);
}

static inline int buffer_append(struct buffer *b, const void *data, size_t size)
{
    int r = buffer_reserve(b, size);
    if (r < 0)
        return r;
    if (size)
        memcpy(b->data + b->size, data, size);
    b->size += size;
    return 0;
}

void buffer_consume(struct buffer *b, size_t size); /* drops bytes at the front */

int pack_array(struct buffer *b, uint32_t count);
int pack_uint(struct buffer *b, uint64_t value);
int pack_bool(struct buffer *b, bool value);
int pack_bytes(struct buffer *b, struct slice value); /* msgpack bin */
int pack_text(struct buffer *b, struct slice value);  /* msgpack str */

/* ---- reading ------------------------------------------------------------------------------------------ */

struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

static inline struct reader reader_of(struct slice bytes)
{
    const uint8_t *p = bytes.data;
    return (struct reader){p, p ? p + bytes.size : p};
}

static inline size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

/* Each takes one value and moves on, or fails and stays where it was.  Slices point into the frame. */
int read_array(struct reader *r, uint32_t count_max, uint32_t *ret_count);
int read_any_uint(struct reader *r, uint64_t max, uint64_t *ret_value);
int read_bool(struct reader *r, bool *ret_value);
int read_bytes(struct reader *r, size_t size_max, struct slice *ret_value); /* takes bin or str */
int read_text(struct reader *r, size_t size_max, struct slice *ret_value);  /* takes bin or str */

/* Most numbers are small, and one byte. */
static inline int read_uint(struct reader *r, uint64_t max, uint64_t *ret_value)
{
    if (r->at == r->end || *r->at >= 0x80 || *r->at > max)
        return read_any_uint(r, max, ret_value);
    *ret_value = *r->at++;
    return 0;
}

/* Steps over one value of any type: how an older program ignores what a newer one appended.  Work is bounded
 * by the bytes of the frame, depth by READ_DEPTH_MAX. */
int read_skip(struct reader *r);

enum { READ_DEPTH_MAX = 8 }; /* our own messages nest four deep; the rest is room for later versions */

#endif
