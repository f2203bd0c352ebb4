#include "support/puppet_redis.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/check.h"

enum { REPLIES_MAX = 1 << 28 };

static struct puppet *puppet; /* who is connected to */

struct transport {
    struct loop *loop;
    const struct transport_events *events;
    void *user;
    enum transport_phase phase;
    struct later open, deliver;
    struct buffer replies;
    unsigned inside;
    bool closed, busy;
};

/* ======= words ======= */

static void put(struct buffer *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct buffer *out, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    CHECK(size >= 0 && (size_t)size < sizeof(text) && buffer_append(out, text, (size_t)size) == 0);
}

/* ":12\r\n" behind the kind.  The words come from our own writer, so they are right. */
static size_t take_count(const char **at, char kind)
{
    char *rest;
    CHECK(**at == kind);
    size_t count = strtoul(*at + 1, &rest, 10);
    *at = rest + 2;
    return count;
}

static void take_words(struct puppet *p, const char **at)
{
    p->words_count = (unsigned)take_count(at, '*');
    CHECK(p->words_count <= PUPPET_WORDS);
    for (unsigned i = 0; i < p->words_count; i++) {
        size_t size = take_count(at, '$');
        p->words[i] = slice_of(*at, size);
        *at += size + 2;
    }
}

static bool is(const struct puppet *p, unsigned word, const char *text)
{
    return word < p->words_count && slice_equal(p->words[word], slice_text(text));
}

static bool has(struct slice text, const char *part)
{
    return memmem(text.data, text.size, part, strlen(part)) != NULL;
}

static enum puppet_ask script_of(const struct puppet *p)
{
    char digest[SCRIPT_DIGEST_BYTES + 1];
    for (unsigned id = 0; id < SCRIPTS; id++) {
        snprintf(digest, sizeof(digest), "%040x", id);
        if (is(p, 1, digest) || slice_equal(p->words[1], script_text((enum script_id)id)))
            return (enum puppet_ask)id;
    }
    return ASK_UNKNOWN;
}

static enum puppet_ask ask_of(const struct puppet *p)
{
    if (is(p, 0, "EVALSHA") || is(p, 0, "EVAL"))
        return script_of(p);
    if (is(p, 0, "GET"))
        return has(p->words[1], "}:e:") ? ASK_ENTRY : ASK_COUNTER;
    if (is(p, 0, "SCRIPT"))
        return ASK_LOAD;
    if (is(p, 0, "XREAD"))
        return ASK_TAIL;
    if (is(p, 0, "TIME"))
        return ASK_TIME;
    return is(p, 0, "CLIENT") ? ASK_NAME : ASK_PING;
}

/* ======= honest answers ======= */

static void put_text(struct buffer *out, struct slice text)
{
    put(out, "$%zu\r\n", text.size);
    CHECK(buffer_append(out, text.data, text.size) == 0);
    put(out, "\r\n");
}

static void put_number_text(struct buffer *out, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    put_text(out, slice_text(text));
}

static void put_digest(const struct puppet *p, struct buffer *out)
{
    for (unsigned id = 0; id < SCRIPTS; id++)
        if (slice_equal(p->words[2], script_text((enum script_id)id)))
            put(out, "$%d\r\n%040x\r\n", SCRIPT_DIGEST_BYTES, id);
}

static void put_hello(const struct puppet *p, struct buffer *out)
{
    unsigned long long v = p->v;
    put(out, "*11\r\n$8\r\n" PUPPET_EPOCH "\r\n:%llu\r\n:%llu\r\n:%d\r\n:0\r\n:0\r\n:0\r\n", v, v + 1,
        PUPPET_MS);
    put(out, "$5\r\n7.0.0\r\n$10\r\nnoeviction\r\n:0\r\n:0\r\n");
}

void puppet_answer(const struct puppet *p, enum puppet_ask ask, struct buffer *out)
{
    unsigned long long v = p->v;
    switch ((unsigned)ask) {
    case SCRIPT_HELLO: put_hello(p, out); break;
    case SCRIPT_FENCE: put(out, "*2\r\n:%llu\r\n:%d\r\n", v, PUPPET_MS); break;
    case SCRIPT_SET:
    case SCRIPT_FILL: put(out, "*3\r\n$2\r\nOK\r\n:%llu\r\n:%d\r\n", v + 1, PUPPET_MS); break;
    case SCRIPT_INVALIDATE: put(out, "*2\r\n:%llu\r\n:0\r\n", v + 1); break;
    case SCRIPT_TOUCH: put(out, "*2\r\n$9\r\nNOT_FOUND\r\n:%llu\r\n", v); break;
    case SCRIPT_GETL: put(out, "*3\r\n$4\r\nMISS\r\n:%llu\r\n:%d\r\n", v, PUPPET_MS); break;
    case SCRIPT_SAME: put(out, "*3\r\n:%llu\r\n:%d\r\n$1\r\n0\r\n", v, PUPPET_MS); break;
    case ASK_PING: put(out, "+PONG\r\n"); break;
    case ASK_LOAD: put_digest(p, out); break;
    case ASK_TIME: put(out, "*2\r\n$4\r\n1000\r\n$1\r\n0\r\n"); break;
    case ASK_COUNTER: put_number_text(out, v); break;
    case ASK_ENTRY:
        if (p->entry.data)
            put_text(out, p->entry);
        else
            put(out, "$-1\r\n");
        break;
    case ASK_TAIL: break; /* nothing is new */
    case ASK_UNKNOWN: put(out, "-NOSCRIPT No matching script.\r\n"); break;
    default: put(out, "+OK\r\n"); break;
    }
}

static bool is_mutation(enum puppet_ask ask)
{
    unsigned script = ask;
    return script == SCRIPT_SET || script == SCRIPT_FILL || script == SCRIPT_INVALIDATE;
}

static void answer(struct puppet *p, struct transport *t)
{
    enum puppet_ask ask = ask_of(p);
    p->asked[ask]++;
    if (ask == ASK_TAIL)
        p->tail = t;
    if (p->speak && p->speak(p, ask, &t->replies))
        return;
    if (p->instead[ask].data) {
        CHECK(buffer_append(&t->replies, p->instead[ask].data, p->instead[ask].size) == 0);
        return;
    }
    puppet_answer(p, ask, &t->replies);
    p->v += is_mutation(ask);
}

/* ======= a transport ======= */

static void release(struct transport *t)
{
    if (--t->inside > 0 || !t->closed)
        return;
    buffer_finish(&t->replies);
    free(t);
}

static void on_open(struct later *later)
{
    struct transport *t = CONTAINER_OF(later, struct transport, open);
    t->inside++;
    t->phase = TRANSPORT_OPEN;
    t->events->opened(t->user);
    release(t);
}

static void on_deliver(struct later *later)
{
    struct transport *t = CONTAINER_OF(later, struct transport, deliver);
    struct buffer replies = t->replies;
    buffer_init(&t->replies, REPLIES_MAX);
    t->inside++;
    if (replies.size)
        t->events->received(t->user, slice_of(replies.data, replies.size));
    buffer_finish(&replies);
    release(t);
}

struct transport *transport_open(struct loop *loop, const struct l2_url *url, struct tls_context *tls,
                                 uint64_t open_by_ns, const struct transport_events *events, void *user)
{
    struct transport *t = must_alloc(sizeof(*t));
    unsigned i = 0;
    CHECK(puppet && !tls && *url->path && open_by_ns);
    *t = (struct transport){.loop = loop, .events = events, .user = user};
    buffer_init(&t->replies, REPLIES_MAX);
    later_init(&t->open, on_open);
    later_init(&t->deliver, on_deliver);
    later_ask(loop, &t->open);
    while (puppet->links[i])
        CHECK(++i < PUPPET_LINKS);
    puppet->links[i] = t;
    return t;
}

struct transport *transport_close(struct transport *t)
{
    if (!t || t->closed)
        return NULL;
    t->closed = true;
    later_cancel(&t->open);
    later_cancel(&t->deliver);
    for (unsigned i = 0; i < PUPPET_LINKS; i++)
        if (puppet->links[i] == t)
            puppet->links[i] = NULL;
    puppet->tail = puppet->tail == t ? NULL : puppet->tail;
    t->inside++;
    release(t);
    return NULL;
}

enum transport_phase transport_phase(const struct transport *t)
{
    return t->phase;
}

bool transport_busy(const struct transport *t)
{
    return t->busy;
}

void transport_send(struct transport *t, struct buffer *out, bool secret)
{
    const char *at = (const char *)out->data, *end = at + out->size;
    while (at < end) {
        take_words(puppet, &at);
        answer(puppet, t);
    }
    puppet->words_count = 0; /* they go */
    out->size = 0;
    if (t->replies.size)
        later_ask(t->loop, &t->deliver);
}

/* ======= the puppet ======= */

void puppet_begin(struct puppet *p, struct loop *loop)
{
    *p = (struct puppet){.loop = loop};
    puppet = p;
}

void puppet_end(struct puppet *p)
{
    for (unsigned i = 0; i < PUPPET_LINKS; i++)
        CHECK(!p->links[i]);
    puppet = NULL;
}

void puppet_tell(struct puppet *p, const char *reply)
{
    CHECK(p->tail);
    CHECK(buffer_append(&p->tail->replies, reply, strlen(reply)) == 0);
    later_ask(p->loop, &p->tail->deliver);
    p->tail = NULL;
}

void puppet_say(struct puppet *p, unsigned link, struct slice bytes)
{
    struct transport *t = p->links[link];
    CHECK(t);
    t->inside++;
    t->events->received(t->user, bytes);
    release(t);
}

void puppet_hang_up(struct puppet *p, unsigned link)
{
    struct transport *t = p->links[link];
    CHECK(t);
    t->inside++;
    t->events->ended(t->user, TRANSPORT_GONE, "closed by the other side");
    release(t);
}
