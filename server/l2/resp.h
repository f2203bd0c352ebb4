/* Redis' language, both ways: RESP2.  hiredis reads it; nobody else knows that.
 *
 * What must stay true: bytes reach hiredis only when a scanner of ours has seen a whole reply in them and found every
 * count and length within the limits, since hiredis believes what it reads: thirteen bytes can make it reserve 8 GiB.
 * Memory is reserved for bytes that have arrived, never for bytes that were announced. */
#ifndef LARDER_L2_RESP_H
#define LARDER_L2_RESP_H

#include "l2/reply.h"
#include "proto/pack.h"

struct resp_limits {
    uint64_t reply_bytes;    /* one reply with all that is in it */
    uint64_t bulk_bytes;     /* one string */
    uint32_t line_bytes;     /* a status or an error */
    uint32_t array_elements; /* of one array */
    uint32_t elements;       /* of one reply, nested ones too */
    uint32_t depth;          /* arrays within arrays; hiredis ends at 7 */
};

enum { RESP_DEPTH_MAX = 7 };

/* Scripts of ours answer three deep, XREAD four.  Errors quote what was sent to Redis, up to some kilobytes. */
#define RESP_LIMITS_DEFAULT                           \
    ((struct resp_limits){.reply_bytes = 64 << 20,    \
                          .bulk_bytes = 64 << 20,     \
                          .line_bytes = 64 << 10,     \
                          .array_elements = 64 << 10, \
                          .elements = 256 << 10,      \
                          .depth = 6})

#define RESP_ERRORS(ERROR)                                                                             \
    ERROR(-1, KIND, "a reply of Redis begins with a byte that means nothing in RESP2")                 \
    ERROR(-2, LINE, "a line of a reply of Redis has a control character in it or does not end as one") \
    ERROR(-3, NUMBER, "a number in a reply of Redis is none, or a length is negative")                 \
    ERROR(-4, BODY, "a string in a reply of Redis does not end where its length says")                 \
    ERROR(-5, LINE_BYTES, "a line of a reply of Redis is longer than the limit")                       \
    ERROR(-6, BULK_BYTES, "a string in a reply of Redis is longer than the limit")                     \
    ERROR(-7, REPLY_BYTES, "a reply of Redis is longer than the limit")                                \
    ERROR(-8, ARRAY_ELEMENTS, "an array in a reply of Redis has more elements than the limit")         \
    ERROR(-9, ELEMENTS, "a reply of Redis has more elements in all than the limit")                    \
    ERROR(-10, DEPTH, "a reply of Redis is nested deeper than the limit")                              \
    ERROR(-11, CODEC, "the codec understood a reply of Redis otherwise than we did")                   \
    ERROR(-12, FULL, "a command for Redis has too many arguments or does not fit the buffer")

enum {
#define ERROR(code, NAME, sentence) RESP_E_##NAME = (code),
    RESP_ERRORS(ERROR)
#undef ERROR
};
const char *resp_error_text(int error);
/* The reply was well formed, only too much of it. */
bool resp_error_is_limit(int error);

struct resp;

struct resp *resp_create(const struct resp_limits *limits);
struct resp *resp_destroy(struct resp *r); /* NULL ok, returns NULL */

/* Takes bytes off the front of *bytes.  1: *ret is a reply, valid until the next call or until the bytes go.
 * 0: all were taken, no reply is whole yet.  <0: RESP_E_*, and so for ever: there is no resynchronisation. */
int resp_take(struct resp *r, struct slice *bytes, const struct l2_reply **ret);
/* Bytes kept of a reply that is not whole yet. */
size_t resp_pending(const struct resp *r);

enum { RESP_ARGUMENTS_MAX = 16384, RESP_COMMAND_MAX = 1 << 30 };

/* Appends a command, or nothing at all: RESP_E_FULL. */
int resp_write(struct buffer *out, const struct slice *argv, unsigned count);

#endif
