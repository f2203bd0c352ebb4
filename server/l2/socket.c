/* A socket is three things with lives of their own, since libuv ends each of them later than we do: the question for
 * the addresses, one plug an attempt to connect, and the timer.  Each points to the socket until that lets go. */
#include "l2/socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "base/check.h"
#include "net/loop_uv.h"

enum {
    READ_BYTES = 16 * 1024, /* some three hundred answers of changes: 1 ms, and then a look at the clock */
    ADDRESSES_MAX = 8,      /* of one name; more only make the share of each too small */
    KEEPALIVE_S = 60,       /* commands have deadlines; this is for a connection nobody uses */
};

struct plug {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    uv_connect_t connecting;
    uv_write_t writing;
    struct l2_socket *owner; /* NULL: given up, waits for libuv to let go */
    bool connected;
    char in[READ_BYTES];
};

struct question {
    uv_getaddrinfo_t request;
    struct loop *loop;
    struct l2_socket *owner;
};

struct l2_socket {
    struct loop *loop;
    const struct l2_url *url;
    const struct socket_events *events;
    void *user;
    uint64_t open_by_ns;
    struct timer share; /* of the time for the address that is tried now */
    struct later say;   /* what came up inside a call into here */
    struct later read_on;
    struct question *question;
    struct plug *plug;
    struct sockaddr_storage addresses[ADDRESSES_MAX];
    unsigned count, next;
    int trouble; /* of libuv, the newest */
    enum socket_end why;
    bool ending;
    unsigned hold_on; /* stages of the loop to wait before saying so */
};

/* ======= ending ======= */

static void on_plug_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF(handle, struct plug, handle));
}

static void pull_plug(struct l2_socket *s)
{
    if (!s->plug)
        return;
    s->plug->owner = NULL;
    uv_close(&s->plug->handle, on_plug_closed);
    s->plug = NULL;
}

static void on_share_closed(struct timer *t)
{
    free(CONTAINER_OF(t, struct l2_socket, share));
}

struct l2_socket *socket_close(struct l2_socket *s)
{
    if (!s)
        return NULL;
    if (s->question) {
        s->question->owner = NULL;
        uv_cancel((uv_req_t *)&s->question->request); /* or it ends by itself */
    }
    pull_plug(s);
    later_cancel(&s->say);
    later_cancel(&s->read_on);
    timer_finish(&s->share, on_share_closed);
    return NULL;
}

static void end_later(struct l2_socket *s, enum socket_end why, int trouble)
{
    if (s->ending)
        return;
    s->ending = true;
    s->why = why;
    s->trouble = trouble;
    timer_stop(&s->share);
    later_ask(s->loop, &s->say);
}

/* Who turned us away may have said why before it hung up: a poll, and with it a read, comes first. */
static void end_after_a_read(struct l2_socket *s, int trouble)
{
    s->hold_on = 2; /* work for later runs before a poll and after it */
    end_later(s, SOCKET_GONE, trouble);
}

static void on_say(struct later *say)
{
    struct l2_socket *s = CONTAINER_OF(say, struct l2_socket, say);
    if (s->hold_on > 0) {
        s->hold_on--;
        later_ask(s->loop, &s->say);
        return;
    }
    s->events->ended(s->user, s->why,
                     s->trouble == UV_EOF ? "closed by the other side" : uv_strerror(s->trouble));
}

/* ======= bytes ======= */

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct plug *p = CONTAINER_OF(handle, struct plug, handle);
    *ret = uv_buf_init(p->in, sizeof(p->in));
}

/* libuv reads on while there is something, half a MiB of answers: when the turn is long, no more than the next one. */
static void rest(struct l2_socket *s)
{
    uv_read_stop(&s->plug->stream);
    later_ask(s->loop, &s->read_on);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *room)
{
    struct plug *p = CONTAINER_OF(stream, struct plug, stream);
    struct l2_socket *s = p->owner;
    if (!s || got == 0)
        return;
    if (got > 0) {
        s->events->received(s->user, slice_of(room->base, (size_t)got));
        if (p->owner && loop_turn_is_long(s->loop)) /* it may have been closed by whom it was for */
            rest(s);
        return;
    }
    uv_read_stop(stream);
    end_later(s, SOCKET_GONE, (int)got);
}

static void on_read_on(struct later *read_on)
{
    struct l2_socket *s = CONTAINER_OF(read_on, struct l2_socket, read_on);
    int e = uv_read_start(&s->plug->stream, on_room, on_read);
    if (e < 0)
        end_later(s, SOCKET_GONE, e);
}

static void on_written(uv_write_t *request, int status)
{
    struct l2_socket *s = CONTAINER_OF(request, struct plug, writing)->owner;
    if (!s)
        return;
    if (status < 0)
        end_after_a_read(s, status);
    else
        s->events->written(s->user);
}

int socket_send(struct l2_socket *s, struct slice bytes)
{
    CHECK(s->plug && s->plug->connected);
    if (bytes.size == 0)
        return 1;
    uv_buf_t all = uv_buf_init((char *)bytes.data, (unsigned)bytes.size);
    int sent = uv_try_write(&s->plug->stream, &all, 1);
    if (sent == UV_EAGAIN)
        sent = 0;
    if (sent >= 0 && (size_t)sent == bytes.size)
        return 1;
    size_t taken = sent > 0 ? (size_t)sent : 0;
    uv_buf_t rest = uv_buf_init(all.base + taken, (unsigned)(bytes.size - taken));
    int e = sent < 0 ? sent : uv_write(&s->plug->writing, &s->plug->stream, &rest, 1, on_written);
    if (e < 0)
        end_after_a_read(s, e);
    return e < 0 ? e : 0;
}

/* ======= connecting ======= */

static void try_next(struct l2_socket *s);

static void reset_at_the_end(struct plug *p)
{
    uv_os_fd_t fd;
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    if (uv_fileno(&p->handle, &fd) == 0)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)); /* a Unix socket has no use for it */
}

static void on_connected(uv_connect_t *request, int status)
{
    struct plug *p = CONTAINER_OF(request, struct plug, connecting);
    struct l2_socket *s = p->owner;
    if (!s)
        return;
    if (status < 0) {
        s->trouble = status;
        try_next(s);
        return;
    }
    timer_stop(&s->share);
    p->connected = true;
    reset_at_the_end(p);
    int e = uv_read_start(&p->stream, on_room, on_read);
    if (e < 0)
        end_later(s, SOCKET_GONE, e);
    else
        s->events->opened(s->user);
}

static struct plug *new_plug(struct l2_socket *s)
{
    struct plug *p = must_alloc(sizeof(*p));
    pull_plug(s);
    s->plug = p;
    p->owner = s;
    return p;
}

static void connect_unix(struct l2_socket *s)
{
    struct plug *p = new_plug(s);
    uv_pipe_init(loop_uv(s->loop), &p->pipe, 0);
    uv_pipe_connect(&p->connecting, &p->pipe, s->url->path, on_connected);
}

static int connect_tcp(struct l2_socket *s, const struct sockaddr_storage *address)
{
    struct plug *p = new_plug(s);
    uv_tcp_init(loop_uv(s->loop), &p->tcp);
    uv_tcp_nodelay(&p->tcp, 1);
    uv_tcp_keepalive(&p->tcp, 1, KEEPALIVE_S);
    return uv_tcp_connect(&p->connecting, &p->tcp, (const struct sockaddr *)address, on_connected);
}

/* The last one gets all the time there is left: the end of that is the caller's. */
static void time_share(struct l2_socket *s)
{
    uint64_t now = loop_now_ns(s->loop);
    unsigned left = s->count - s->next + 1;
    if (left > 1 && now < s->open_by_ns)
        timer_start(&s->share, (s->open_by_ns - now) / left, 0);
    else
        timer_stop(&s->share);
}

static void try_next(struct l2_socket *s)
{
    while (s->next < s->count) {
        const struct sockaddr_storage *address = &s->addresses[s->next++];
        int e = connect_tcp(s, address);
        if (e == 0) {
            time_share(s);
            return;
        }
        s->trouble = e;
    }
    pull_plug(s);
    end_later(s, SOCKET_NO_CONNECT, s->trouble);
}

static void on_share_over(struct timer *t)
{
    struct l2_socket *s = CONTAINER_OF(t, struct l2_socket, share);
    s->trouble = UV_ETIMEDOUT;
    try_next(s);
}

/* ======= addresses ======= */

static bool is_number(struct l2_socket *s)
{
    const struct l2_url *url = s->url;
    struct sockaddr_storage *to = &s->addresses[0];
    return uv_ip4_addr(url->host, url->port, (struct sockaddr_in *)to) == 0 ||
           uv_ip6_addr(url->host, url->port, (struct sockaddr_in6 *)to) == 0;
}

static void keep_addresses(struct l2_socket *s, const struct addrinfo *found)
{
    for (; found && s->count < ADDRESSES_MAX; found = found->ai_next)
        if (found->ai_addrlen <= sizeof(s->addresses[0]))
            memcpy(&s->addresses[s->count++], found->ai_addr, found->ai_addrlen);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct question *q = CONTAINER_OF(request, struct question, request);
    struct l2_socket *s = q->owner;
    loop_pool_ended(q->loop);
    if (s) {
        s->question = NULL;
        keep_addresses(s, status == 0 ? found : NULL);
        if (s->count > 0)
            try_next(s);
        else
            end_later(s, SOCKET_NO_ADDRESS, status < 0 ? status : UV_EAI_NODATA);
    }
    uv_freeaddrinfo(found);
    free(q);
}

static int resolve(struct l2_socket *s)
{
    char service[8];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct question *q = must_alloc(sizeof(*q));
    q->owner = s;
    q->loop = s->loop;
    snprintf(service, sizeof(service), "%u", s->url->port);
    int e = uv_getaddrinfo(loop_uv(s->loop), &q->request, on_resolved, s->url->host, service, &hints);
    if (e < 0) {
        free(q);
        return e;
    }
    s->question = q;
    loop_pool_began(s->loop);
    return 0;
}

struct l2_socket *socket_open(struct loop *loop, const struct l2_url *url, uint64_t open_by_ns,
                              const struct socket_events *events, void *user)
{
    struct l2_socket *s = must_alloc(sizeof(*s));
    *s = (struct l2_socket){
        .loop = loop, .url = url, .events = events, .user = user, .open_by_ns = open_by_ns};
    timer_init(&s->share, loop, on_share_over);
    later_init(&s->say, on_say);
    later_init(&s->read_on, on_read_on);
    int e = 0;
    if (*url->path)
        connect_unix(s);
    else if (is_number(s)) {
        s->count = 1;
        try_next(s);
    } else if ((e = resolve(s)) < 0)
        end_later(s, SOCKET_NO_ADDRESS, e);
    return s;
}
