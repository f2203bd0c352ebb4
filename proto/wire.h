/* wire.def, expanded: a struct for each message and record, an encoder that writes a whole frame, and a
 * decoder that checks every limit before anything is acted upon.
 *
 * Decoded structs point into the frame and live as long as its bytes.  A decoder has looked at every element
 * of every list when it returns 0, so the iterators below cannot fail.  Nothing here allocates except the
 * output buffer. */
#ifndef LARDER_PROTO_WIRE_H
#define LARDER_PROTO_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include "proto/frame.h"
#include "proto/pack.h"
#include "proto/slice.h"

enum {
    WIRE_VERSION_MIN = 1,
    WIRE_VERSION_MAX = 3,
    WIRE_NAME_MAX = 255,     /* namespace, tenant, client name */
    WIRE_TEXT_MAX = 1024,    /* a sentence for people */
    WIRE_TOKEN_MAX = 64,     /* opaque to clients */
    WIRE_LIST_MAX = 65536,   /* elements the format allows; a daemon's own limits are far below */
    WIRE_KEY_MAX = 1024,     /* bytes of a key */
    WIRE_BATCH_MAX = 1024,   /* keys or items a message */
    WIRE_TAGS_MAX = 16,      /* tags an entry, after removing repeats */
    WIRE_TAG_BYTES_MAX = 255,
    WIRE_PREFIX_LEVELS = 8,  /* ':' boundaries of a key at which it can be invalidated as a prefix */
    WIRE_HELLO_FRAME_MAX = 4096, /* before WELCOME, either way */
    WIRE_FRAME_ROOM = 64 * 1024, /* frame limit = value limit + this: keys, tags and heads of a message */
};
#define WIRE_VALUE_LIMIT   (16u << 20) /* no daemon may allow larger values */
#define WIRE_VALUE_DEFAULT (1u << 20)
#define WIRE_ANY           UINT32_MAX  /* bounded by the frame alone */
#define WIRE_TTL_DEFAULT   UINT64_MAX  /* "the namespace's default" in ttl_ms */
#define WIRE_NO_BACKOFF    UINT32_MAX  /* in backoff_ms of FAIL */

enum { WIRE_SCOPE_POLICY = 0, WIRE_SCOPE_HOST = 1, WIRE_SCOPE_FLEET = 2 };
enum { WIRE_HOLD_DEFAULT_MS = 30 * 1000, WIRE_HOLD_MAX_MS = 600 * 1000 };

enum { WIRE_LOAD_NOTHING = 0, WIRE_LOAD_KEY = 1, WIRE_LOAD_LIST = 2 };

/* The bits of the messages' flag fields. */
enum {
    WIRE_WANT_SEGMENT = 1,
    WIRE_WANT_TOUCH = 2,
    WIRE_GET_NO_STALE = 1,
    WIRE_GET_NO_VALUE = 2,
    WIRE_GET_IF_VERSION = 4,
    WIRE_GET_TAGS = 8,
    WIRE_SET_IF_ABSENT = 1,
    WIRE_SET_IF_PRESENT = 2,
    WIRE_SET_IF_VERSION = 4,
    WIRE_SET_WAIT_ALL = 8,
    WIRE_INVALIDATE_SOFT = 1,
    WIRE_INVALIDATE_DRY_RUN = 2,
    WIRE_INVALIDATE_ALL = 4,
    WIRE_INVALIDATE_WAIT_ALL = 8,
    WIRE_ALLOWANCE_LOCAL = 1,
    WIRE_WARM_MORE = 1,
    WIRE_WARM_ALL = 2,
    WIRE_WARM_CANCEL = 4,
    WIRE_WARM_LOAD = 8,
    WIRE_MONITOR_END = 1,
    WIRE_LISTED_MORE = 1,
    WIRE_LISTED_FAILED = 2,
    WIRE_ENTRY_STALE = 1,
    WIRE_ENTRY_LOCAL = 2,
    WIRE_ENTRY_DETACHED = 4,
    WIRE_ENTRY_TOO_BIG_FOR_L1 = 8,
    WIRE_ENTRY_LOADED = 16,
};

/* `named` of an operation. */
enum {
    WIRE_NAMED_NOTHING = 0,
    WIRE_NAMED_KEY = 1,
    WIRE_NAMED_TAG = 2,
    WIRE_NAMED_PREFIX = 3,
    WIRE_NAMED_GLOB = 4,
    WIRE_NAMED_EVERYTHING = 5,
};

enum wire_mode { WIRE_STANDALONE = 0, WIRE_FRESH = 1, WIRE_SUSPECT = 2, WIRE_DETACHED = 3 };

/* Writing: `count` and either `items` or, items being NULL, `raw`: elements encoded before (by wire_append_* or a
 * peer).  Reading: `raw` and `count`, walked by the iterators. */
struct wire_strings {
    uint32_t count;
    const struct slice *items;
    struct slice raw;
};

#define RECORD(name, sentence)                                                                                 \
    struct wire_##name;                                                                                        \
    struct wire_##name##_list {                                                                                \
        uint32_t count;                                                                                        \
        const struct wire_##name *items;                                                                       \
        struct slice raw;                                                                                      \
    };
#include "proto/wire.def"

#define WIRE_C_U8    uint8_t
#define WIRE_C_U32   uint32_t
#define WIRE_C_U64   uint64_t
#define WIRE_C_BOOL  bool
#define WIRE_C_BYTES struct slice
#define WIRE_C_TEXT  struct slice

#define MESSAGE(code, NAME, name, who, since, sentence) struct wire_##name {
#define RECORD(name, sentence)                          struct wire_##name {
#define FIELD(TYPE, name, limit, since, sentence)       WIRE_C_##TYPE name;
#define STRINGS(name, count_max, since, sentence)       struct wire_strings name;
#define LIST(record, name, count_max, since, sentence)  struct wire_##record##_list name;
#define END(name)                                                                                              \
    }                                                                                                          \
    ;
#include "proto/wire.def"

enum wire_code {
#define MESSAGE(code, NAME, name, who, since, sentence) WIRE_##NAME = (code),
#define RESERVED(code, NAME, who, sentence)             WIRE_##NAME = (code),
#include "proto/wire.def"
};

/* "GET", or "UNKNOWN". */
const char *wire_code_name(unsigned code);

/* A W3C traceparent, version 00 (https://www.w3.org/TR/trace-context): 55 characters, and not the one of nobody. */
bool wire_trace_valid(struct slice text);

/* What every payload begins with. */
struct wire_head {
    uint8_t code;
    uint64_t id;           /* chosen by the client, echoed by the daemon */
    uint32_t fields_count; /* elements behind code and id */
};

/* Takes the head off; `r` then stands at the first field.  PACK_E_*. */
int wire_read_head(struct reader *r, struct wire_head *ret_head);

/* int wire_write_NAME(struct buffer *out, uint64_t id, const struct wire_NAME *m, size_t frame_max)
 *     appends one whole frame, or nothing and PACK_E_FULL or PACK_E_MEMORY.
 * int wire_read_NAME(struct reader *r, const struct wire_head *head, struct wire_NAME *ret)
 *     reads the fields behind the head and steps over unknown ones. */
#define MESSAGE(code, NAME, name, who, since, sentence)                                                        \
    int wire_write_##name(struct buffer *out, uint64_t id, const struct wire_##name *m, size_t frame_max);     \
    int wire_read_##name(struct reader *r, const struct wire_head *head, struct wire_##name *ret);
/* bool wire_next_RECORD(struct reader *r, struct wire_RECORD *ret): the next element of a decoded list, from
 * a reader made of its `raw`; false at the end.
 * int wire_append_RECORD(struct buffer *out, const struct wire_RECORD *m): one element alone, for a list's `raw`;
 * nothing is appended when it fails. */
#define RECORD(name, sentence)                                                                                 \
    bool wire_next_##name(struct reader *r, struct wire_##name *ret);                                          \
    int wire_append_##name(struct buffer *out, const struct wire_##name *m);
#include "proto/wire.def"

bool wire_next_string(struct reader *r, struct slice *ret);

#endif
