/* The only home of <hiredis/…>.  Its reader is fed one whole, judged reply at a time and builds our flat view
 * through its object functions; its strings are found again in our own copy of the bytes by their offset. */
#include "l2/resp.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "l2/scan.h"

enum {
    KEPT_BYTES = 64 * 1024, /* between replies no larger buffer is kept, of ours or of hiredis */
    KEPT_NODES = 512,
};

/* 1.0 changed the type of a count. */
#if HIREDIS_MAJOR >= 1
typedef size_t array_count;
#else
typedef int array_count;
#endif

struct resp {
    struct resp_limits limits;
    struct scan scan;
    struct buffer partial; /* of a reply that did not end in the bytes it began in */
    bool partial_taken;    /* the last reply stood there: it goes with the next call */
    int failed;

    redisReader *reader;
    struct slice whole; /* the reply the reader looks at */
    size_t base;        /* where that begins in the reader's own buffer */
    struct l2_reply *nodes;
    uint32_t nodes_used, nodes_room;
};

const char *resp_error_text(int error)
{
    switch (error) {
#define ERROR(code, NAME, sentence) \
    case RESP_E_##NAME: return sentence;
        RESP_ERRORS(ERROR)
#undef ERROR
    default: return "no error";
    }
}

bool resp_error_is_limit(int error)
{
    return error <= RESP_E_LINE_BYTES && error >= RESP_E_DEPTH;
}

/* ======= the view ======= */

/* There is room: the scanner counted. */
static struct l2_reply *new_node(const redisReadTask *task, enum l2_kind kind)
{
    struct resp *r = task->privdata;
    CHECK(r->nodes_used < r->nodes_room);
    struct l2_reply *node = &r->nodes[r->nodes_used++];
    *node = (struct l2_reply){.kind = kind, .span = 1};
    return node;
}

static void *make_string(const redisReadTask *task, char *text, size_t size)
{
    const struct resp *r = task->privdata;
    size_t offset = (size_t)(text - r->reader->buf) - r->base;
    CHECK(offset <= r->whole.size && size <= r->whole.size - offset);
    enum l2_kind kind = task->type == REDIS_REPLY_STATUS  ? L2_STATUS
                        : task->type == REDIS_REPLY_ERROR ? L2_ERROR
                                                          : L2_BULK;
    struct l2_reply *node = new_node(task, kind);
    node->text = slice_of((const char *)r->whole.data + offset, size);
    return node;
}

static void *make_array(const redisReadTask *task, array_count count)
{
    struct l2_reply *node = new_node(task, L2_ARRAY);
    node->count = (uint32_t)count;
    return node;
}

static void *make_integer(const redisReadTask *task, long long value)
{
    struct l2_reply *node = new_node(task, L2_INTEGER);
    node->integer = value;
    return node;
}

static void *make_nil(const redisReadTask *task)
{
    return new_node(task, L2_NIL);
}

static void forget(void *node)
{
    (void)node; /* nodes go all at once */
}

static redisReplyObjectFunctions making = {.createString = make_string,
                                           .createArray = make_array,
                                           .createInteger = make_integer,
                                           .createNil = make_nil,
                                           .freeObject = forget};

/* From the back, so that what an array holds is known before the array. */
static void span_nodes(struct resp *r)
{
    for (uint32_t i = r->nodes_used; i-- > 0;) {
        struct l2_reply *node = &r->nodes[i];
        for (uint32_t n = 0; n < node->count; n++)
            node->span += node[node->span].span;
        CHECK(node->span <= r->nodes_used - i);
    }
}

static void ready_nodes(struct resp *r, uint32_t wanted)
{
    r->nodes_used = 0;
    if (wanted <= r->nodes_room && (r->nodes_room <= KEPT_NODES || wanted > KEPT_NODES))
        return;
    free(r->nodes);
    r->nodes_room = wanted < KEPT_NODES ? KEPT_NODES : wanted;
    r->nodes = must_alloc(r->nodes_room * sizeof(*r->nodes));
}

static int decode(struct resp *r, struct slice whole, const struct l2_reply **ret)
{
    void *root = NULL;
    ready_nodes(r, r->scan.elements);
    r->whole = whole;
    if (redisReaderFeed(r->reader, whole.data, whole.size) != REDIS_OK)
        return RESP_E_CODEC;
    r->base = r->reader->len - whole.size;
    if (redisReaderGetReply(r->reader, &root) != REDIS_OK || root != r->nodes ||
        r->reader->pos != r->reader->len || r->nodes_used != r->scan.elements)
        return RESP_E_CODEC;
    span_nodes(r);
    *ret = r->nodes;
    return 1;
}

/* ======= bytes in ======= */

struct resp *resp_create(const struct resp_limits *limits)
{
    CHECK(limits->depth <= RESP_DEPTH_MAX && limits->elements > 0);
    struct resp *r = must_alloc(sizeof(*r));
    r->limits = *limits;
    buffer_init(&r->partial, limits->reply_bytes);
    r->reader = redisReaderCreateWithFunctions(&making);
    CHECK(r->reader);
    r->reader->privdata = r;
    r->reader->maxbuf = KEPT_BYTES;
    return r;
}

struct resp *resp_destroy(struct resp *r)
{
    if (!r)
        return NULL;
    redisReaderFree(r->reader);
    buffer_finish(&r->partial);
    free(r->nodes);
    free(r);
    return NULL;
}

size_t resp_pending(const struct resp *r)
{
    return r->partial_taken ? 0 : r->partial.size;
}

static void drop_partial(struct resp *r)
{
    r->partial_taken = false;
    r->partial.size = 0;
    if (r->partial.capacity > KEPT_BYTES)
        buffer_finish(&r->partial);
}

/* A reply that begins and ends in these bytes is looked at where it stands. */
static int join(struct resp *r, struct slice piece, int ended, const struct l2_reply **ret)
{
    if (ended && r->partial.size == 0)
        return decode(r, piece, ret);
    CHECK(buffer_append(&r->partial, piece.data, piece.size) == 0); /* the scanner kept it within the limit */
    if (!ended)
        return 0;
    r->partial_taken = true;
    return decode(r, slice_of(r->partial.data, r->partial.size), ret);
}

int resp_take(struct resp *r, struct slice *bytes, const struct l2_reply **ret)
{
    if (r->partial_taken)
        drop_partial(r);
    if (r->failed)
        return r->failed;
    size_t used;
    int ended = scan_some(&r->scan, &r->limits, *bytes, &used);
    struct slice piece = slice_of(bytes->data, used);
    *bytes = slice_of((const char *)bytes->data + used, bytes->size - used);
    int e = ended < 0 ? ended : join(r, piece, ended, ret);
    if (e < 0)
        r->failed = e;
    return e;
}

/* ======= bytes out ======= */

/* Not by redisFormatCommandArgv, which goes through memory of its own for each command: a copy more, and one that would
 * have to be wiped of passwords (bench/PROFILE.md, "A warming from Redis"). */

/* What a count or a length takes at most: '*' or '$', ten digits, CR LF. */
enum { HEAD_BYTES = 13, TAIL_BYTES = 2 };

static char *write_head(char *to, char kind, uint32_t number)
{
    char digits[10];
    unsigned n = 0;
    *to++ = kind;
    do
        digits[n++] = (char)('0' + number % 10);
    while (number /= 10);
    while (n > 0)
        *to++ = digits[--n];
    *to++ = '\r';
    *to++ = '\n';
    return to;
}

static char *write_argument(char *to, struct slice argument)
{
    to = write_head(to, '$', (uint32_t)argument.size);
    if (argument.size)
        memcpy(to, argument.data, argument.size);
    to += argument.size;
    *to++ = '\r';
    *to++ = '\n';
    return to;
}

/* From above. */
static uint64_t bytes_of(const struct slice *argv, unsigned count)
{
    uint64_t bytes = HEAD_BYTES;
    for (unsigned i = 0; i < count && bytes <= RESP_COMMAND_MAX; i++)
        bytes += HEAD_BYTES + TAIL_BYTES +
                 (argv[i].size > RESP_COMMAND_MAX ? RESP_COMMAND_MAX + 1ull : argv[i].size);
    return bytes;
}

int resp_write(struct buffer *out, const struct slice *argv, unsigned count)
{
    uint64_t bytes = bytes_of(argv, count);
    if (count == 0 || count > RESP_ARGUMENTS_MAX || bytes > RESP_COMMAND_MAX ||
        buffer_reserve(out, bytes) < 0)
        return RESP_E_FULL;
    char *begin = (char *)out->data + out->size, *to = write_head(begin, '*', count);
    for (unsigned i = 0; i < count; i++)
        to = write_argument(to, argv[i]);
    out->size += (size_t)(to - begin);
    return 0;
}
