#include "l2/transport.h"

#include <stdlib.h>
#include "base/check.h"

enum {
    KEPT_BYTES = 64 * 1024, /* between sends no larger buffer is kept */
    TEXT_PIECE = 32 * 1024, /* OpenSSL clears its whole buffer after each: small ones are cheap to clear */
    TLS_ROOM = 16 * 1024,   /* one record */
    SENDING_MAX = (1 << 30) + 1, /* what conn.h lets through is far below */
};

struct transport {
    struct l2_socket *socket;
    struct tls *tls; /* NULL: plain */
    struct buffer sending;
    enum transport_phase phase;
    bool busy, secret, closed;
    unsigned inside; /* an event of ours is being told: memory stays */
    const struct transport_events *events;
    void *user;
};

/* ======= out ======= */

static void sent(struct transport *t)
{
    t->busy = false;
    if (t->secret)
        explicit_bzero(t->sending.data, t->sending.size);
    t->secret = false;
    t->sending.size = 0;
    if (t->sending.capacity > KEPT_BYTES)
        buffer_finish(&t->sending);
}

/* What fails is told by `ended`, later. */
static void send_now(struct transport *t)
{
    t->busy = true;
    if (socket_send(t->socket, slice_of(t->sending.data, t->sending.size)) == 1)
        sent(t);
}

static void collect(struct transport *t)
{
    struct slice out = tls_out(t->tls);
    if (out.size == 0)
        return;
    CHECK(buffer_append(&t->sending, out.data, out.size) == 0);
    tls_out_taken(t->tls);
}

/* Handshakes, answers to key updates, alerts: what TLS has to say by itself. */
static void pump(struct transport *t)
{
    if (t->busy || t->closed)
        return;
    collect(t);
    if (t->sending.size > 0)
        send_now(t);
}

static void broken(struct transport *t, int error)
{
    pump(t); /* the alert that says why goes out if it can */
    t->events->ended(t->user, TRANSPORT_TLS,
                     error == TLS_E_ENDED ? tls_error_text(error) : tls_trouble(t->tls));
}

static int encrypt(struct transport *t, struct slice text)
{
    int e = 0;
    for (size_t at = 0; e == 0 && at < text.size; at += TEXT_PIECE) {
        size_t left = text.size - at;
        e = tls_write(t->tls, slice_of((const char *)text.data + at, left < TEXT_PIECE ? left : TEXT_PIECE));
        collect(t);
    }
    return e;
}

static void swap(struct buffer *a, struct buffer *b)
{
    struct buffer c = *a;
    *a = *b;
    *b = c;
    b->limit = a->limit;
    a->limit = c.limit;
}

void transport_send(struct transport *t, struct buffer *out, bool secret)
{
    CHECK(!t->busy && t->phase == TRANSPORT_OPEN && t->sending.size == 0);
    if (!t->tls) {
        t->secret = secret;
        swap(&t->sending, out);
        send_now(t);
        return;
    }
    int e = encrypt(t, slice_of(out->data, out->size));
    if (secret)
        explicit_bzero(out->data, out->size);
    out->size = 0;
    if (e < 0) /* a TLS that cannot write any more fails its next read as well, or the deadline ends it */
        t->sending.size = 0;
    else if (t->sending.size > 0)
        send_now(t);
}

/* ======= in ======= */

static void take_text(struct transport *t)
{
    char room[TLS_ROOM];
    int got = 0;
    while (!t->closed && (got = tls_read(t->tls, room, sizeof(room))) > 0)
        t->events->received(t->user, slice_of(room, (size_t)got));
    if (t->closed)
        return;
    if (got < 0)
        broken(t, got);
    else
        pump(t);
}

static void shake(struct transport *t)
{
    int r = tls_shake(t->tls);
    if (r < 0) {
        broken(t, r);
        return;
    }
    pump(t);
    if (r == 0)
        return;
    t->phase = TRANSPORT_OPEN;
    t->events->opened(t->user);
    if (!t->closed)
        take_text(t); /* may have come along with the end of the handshake */
}

static void release(struct transport *t)
{
    if (--t->inside > 0 || !t->closed)
        return;
    tls_destroy(t->tls);
    buffer_finish(&t->sending);
    free(t);
}

static void on_opened(void *user)
{
    struct transport *t = user;
    t->inside++;
    t->phase = t->tls ? TRANSPORT_SHAKING : TRANSPORT_OPEN;
    if (t->tls)
        shake(t);
    else
        t->events->opened(t->user);
    release(t);
}

static void on_received(void *user, struct slice bytes)
{
    struct transport *t = user;
    t->inside++;
    if (!t->tls)
        t->events->received(t->user, bytes);
    else {
        tls_feed(t->tls, bytes);
        if (t->phase == TRANSPORT_SHAKING)
            shake(t);
        else
            take_text(t);
    }
    release(t);
}

static void on_written(void *user)
{
    struct transport *t = user;
    t->inside++;
    sent(t);
    if (t->tls)
        pump(t);
    if (!t->busy && t->phase == TRANSPORT_OPEN)
        t->events->ready(t->user);
    release(t);
}

static void on_ended(void *user, enum socket_end why, const char *detail)
{
    static const enum transport_end ends[] = {[SOCKET_NO_ADDRESS] = TRANSPORT_NO_ADDRESS,
                                              [SOCKET_NO_CONNECT] = TRANSPORT_NO_CONNECT,
                                              [SOCKET_GONE] = TRANSPORT_GONE};
    struct transport *t = user;
    t->inside++;
    t->events->ended(t->user, ends[why], detail);
    release(t);
}

/* ======= life ======= */

static const struct socket_events socket_events = {
    .opened = on_opened, .received = on_received, .written = on_written, .ended = on_ended};

struct transport *transport_open(struct loop *loop, const struct l2_url *url, struct tls_context *tls,
                                 uint64_t open_by_ns, const struct transport_events *events, void *user)
{
    struct transport *t = must_alloc(sizeof(*t));
    t->events = events;
    t->user = user;
    buffer_init(&t->sending, SENDING_MAX);
    if (tls)
        t->tls = tls_create(tls, *url->servername ? url->servername : url->host);
    t->socket = socket_open(loop, url, open_by_ns, &socket_events, t);
    return t;
}

struct transport *transport_close(struct transport *t)
{
    if (!t || t->closed)
        return NULL;
    t->closed = true;
    t->socket = socket_close(t->socket);
    t->inside++;
    if (t->secret) /* still waiting to be sent */
        explicit_bzero(t->sending.data, t->sending.size);
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
