/* libmicrohttpd without a thread of its own: its epoll descriptor is watched by our loop, its time-outs are a timer of
 * ours, and connections are handed to it by our listeners (doc/adr/0013).
 *
 * MHD's own time-out is one of silence; a peer that sends or takes a byte now and then would stay for ever.  So each
 * visit has a deadline, and one that is late is shut down below MHD, which then sees the end of the connection. */
#include "admin/http.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "net/loop_uv.h"

enum { STREAM_BLOCK_BYTES = 16 * 1024 };

struct http {
    struct http_setup setup;
    struct MHD_Daemon *daemon;
    uv_poll_t watch;
    struct timer due, look;
    struct later soon; /* somebody was resumed, which MHD's descriptor does not tell */
    unsigned handles;  /* still to be closed by libuv */
    struct list visits, streams;
    bool taking_trusted; /* of the connection that is being handed to MHD */
    unsigned waiting;
    bool ending;
    struct http_figures figures;
};

/* A connection, from MHD's word that it began to its word that it is over. */
struct visit {
    struct list node;
    struct http *http;
    int fd;
    bool trusted_path;
    bool busy;       /* its request was handed up, or its reply has no end: not late, whatever the time */
    uint64_t due_ns; /* when its request must have been answered to the last byte */
};

struct http_exchange {
    struct http *http;
    struct visit *visit;
    struct MHD_Connection *connection;
    enum http_method method;
    char *path;
    uint8_t *body;
    size_t body_bytes;
    bool handed_up, suspended;
    unsigned status;
    struct MHD_Response *response; /* until it is MHD's */
    struct http_stream *stream;
};

struct http_stream {
    struct list node;
    struct http_exchange *exchange;
    const struct http_stream_ops *ops;
    void *user;
    bool asleep;
};

/* ======= turning the wheel ======= */

static void turn(struct http *h)
{
    MHD_UNSIGNED_LONG_LONG ms;
    MHD_run(h->daemon);
    if (MHD_get_timeout(h->daemon, &ms) == MHD_YES)
        timer_start(&h->due, (uint64_t)ms * NS_PER_MS, 0);
    else
        timer_stop(&h->due);
}

static void on_ready(uv_poll_t *watch, int status, int events)
{
    turn(watch->data);
}

static void on_due(struct timer *due)
{
    turn(CONTAINER_OF(due, struct http, due));
}

static void on_soon(struct later *soon)
{
    turn(CONTAINER_OF(soon, struct http, soon));
}

static void resume(struct http *h, struct MHD_Connection *c)
{
    MHD_resume_connection(c);
    if (!h->ending)
        later_ask(h->setup.loop, &h->soon);
}

/* ======= visits ======= */

static void visit_from_now(struct visit *v)
{
    v->due_ns = clock_after(loop_now_fresh(v->http->setup.loop), *v->http->setup.timeout_ns);
}

static void on_look(struct timer *look)
{
    struct http *h = CONTAINER_OF(look, struct http, look);
    uint64_t now_ns = loop_now_fresh(h->setup.loop);
    LIST_FOR(node, &h->visits)
    {
        struct visit *v = CONTAINER_OF(node, struct visit, node);
        if (v->busy || now_ns < v->due_ns)
            continue;
        v->busy = true; /* once is enough */
        h->figures.cut++;
        shutdown(v->fd, SHUT_RDWR);
    }
}

/* Whoever is late is so by a quarter of the time-out at most. */
static uint64_t look_every(const struct http *h)
{
    uint64_t every_ns = *h->setup.timeout_ns / 4;
    return every_ns < NS_PER_S ? every_ns : NS_PER_S;
}

static void visit_began(struct http *h, struct MHD_Connection *c, void **ret_context)
{
    struct visit *v = must_alloc(sizeof(*v));
    v->http = h;
    v->fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    v->trusted_path = h->taking_trusted;
    visit_from_now(v);
    if (list_empty(&h->visits))
        timer_start(&h->look, look_every(h), look_every(h));
    list_append(&h->visits, &v->node);
    h->figures.connections++;
    *ret_context = v;
}

static void visit_over(struct visit *v)
{
    struct http *h = v->http;
    list_remove(&v->node);
    h->figures.connections--;
    free(v);
    if (list_empty(&h->visits) && !h->ending)
        timer_stop(&h->look);
}

static void on_connection(void *user, struct MHD_Connection *c, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        visit_began(user, c, context);
    else if (*context)
        visit_over(*context);
}

void http_take(struct http *h, int fd, bool trusted_path)
{
    struct sockaddr_storage nobody = {.ss_family = AF_UNIX};
    if (h->figures.connections >= h->setup.connections) {
        h->figures.refused++;
        close(fd);
        return;
    }
    h->taking_trusted = trusted_path;
    if (MHD_add_connection(h->daemon, fd, (struct sockaddr *)&nobody, sizeof(sa_family_t)) != MHD_YES)
        h->figures.refused++; /* and closed */
    turn(h);
}

/* ======= requests ======= */

static enum http_method method_of(const char *name)
{
    if (strcmp(name, MHD_HTTP_METHOD_GET) == 0 || strcmp(name, MHD_HTTP_METHOD_HEAD) == 0)
        return HTTP_GET;
    return strcmp(name, MHD_HTTP_METHOD_POST) == 0 ? HTTP_POST : HTTP_OTHER;
}

static struct http_exchange *exchange_begin(struct http *h, struct MHD_Connection *c, const char *path,
                                            const char *method)
{
    struct http_exchange *x = must_alloc(sizeof(*x));
    x->http = h;
    x->visit = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    x->connection = c;
    x->method = method_of(method);
    x->path = must_strdup(path);
    h->figures.requests++;
    return x;
}

static void exchange_end(struct http_exchange *x)
{
    struct http_stream *s = x->stream;
    if (s) {
        list_remove(&s->node);
        s->ops->ended(s->user);
        free(s);
    }
    if (x->response)
        MHD_destroy_response(x->response);
    x->visit->busy = false;
    visit_from_now(x->visit);
    free(x->path);
    free(x->body);
    free(x);
}

static void on_completed(void *user, struct MHD_Connection *c, void **state,
                         enum MHD_RequestTerminationCode how)
{
    struct http_exchange *x = *state;
    *state = NULL;
    if (x)
        exchange_end(x);
}

static bool announces_too_much(const struct http_exchange *x)
{
    const char *size = http_header(x, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return size && strtoull(size, NULL, 10) > HTTP_BODY_BYTES;
}

/* Bytes that come without having been announced end the connection: there is no place in a body for a reply. */
static enum MHD_Result take_body(struct http_exchange *x, const char *bytes, size_t *size)
{
    if (*size > HTTP_BODY_BYTES - x->body_bytes)
        return MHD_NO;
    x->body = must_realloc(x->body, x->body_bytes + *size);
    memcpy(x->body + x->body_bytes, bytes, *size);
    x->body_bytes += *size;
    *size = 0;
    return MHD_YES;
}

static enum MHD_Result give_response(struct http_exchange *x)
{
    enum MHD_Result r = MHD_queue_response(x->connection, x->status, x->response);
    MHD_destroy_response(x->response); /* MHD counts: this was our share of it */
    x->response = NULL;
    return r;
}

static enum MHD_Result hand_up(struct http_exchange *x)
{
    struct http *h = x->http;
    x->handed_up = true;
    h->waiting++;
    h->setup.handle(h->setup.user, x);
    if (x->response)
        return give_response(x);
    x->suspended = x->visit->busy = true;
    MHD_suspend_connection(x->connection);
    return MHD_YES;
}

/* MHD calls this with the headers, with each part of the body, at the request's end, and when it was resumed. */
static enum MHD_Result on_access(void *user, struct MHD_Connection *c, const char *path, const char *method,
                                 const char *version, const char *bytes, size_t *size, void **state)
{
    struct http_exchange *x = *state;
    if (!x) {
        *state = x = exchange_begin(user, c, path, method);
        if (!announces_too_much(x))
            return MHD_YES;
        x->handed_up = true;
        x->http->waiting++;
        http_reply(x, &(struct http_reply){.status = 413});
        return give_response(x);
    }
    if (x->response)
        return give_response(x);
    return *size ? take_body(x, bytes, size) : hand_up(x);
}

enum http_method http_method(const struct http_exchange *x)
{
    return x->method;
}

const char *http_path(const struct http_exchange *x)
{
    return x->path;
}

const char *http_header(const struct http_exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

const char *http_argument(const struct http_exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, name);
}

struct slice http_body(const struct http_exchange *x)
{
    return slice_of(x->body, x->body_bytes);
}

bool http_trusted_path(const struct http_exchange *x)
{
    return x->visit->trusted_path;
}

unsigned http_waiting(const struct http *h)
{
    return h->waiting;
}

void http_measure(const struct http *h, struct http_figures *ret)
{
    *ret = h->figures;
}

/* ======= replies ======= */

/* With every reply.  The page has no script, style or source of its own in its text and takes none from elsewhere. */
static const char *const headers[][2] = {
    {"Cache-Control", "no-store"},
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
     "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {"Referrer-Policy", "no-referrer"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
};

static void answer(struct http_exchange *x, unsigned status, const char *type, struct MHD_Response *response)
{
    CHECK(response && x->handed_up && !x->response);
    for (unsigned i = 0; i < COUNT_OF(headers); i++)
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
    if (type)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    x->http->waiting--;
    x->status = status;
    x->response = response;
    x->visit->busy = x->stream != NULL;
    if (!x->suspended)
        return;
    x->suspended = false;
    resume(x->http, x->connection);
}

void http_reply(struct http_exchange *x, const struct http_reply *reply)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(reply->body.size, (void *)reply->body.data,
                                        reply->lasting ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_COPY);
    CHECK(response);
    if (reply->allow)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
    answer(x, reply->status, reply->type, response);
}

static ssize_t read_stream(void *user, uint64_t at, char *room, size_t size)
{
    struct http_stream *s = user;
    if (s->exchange->http->ending)
        return MHD_CONTENT_READER_END_OF_STREAM;
    size_t read = s->ops->read(s->user, room, size);
    if (read == 0) {
        s->asleep = true;
        MHD_suspend_connection(s->exchange->connection);
    }
    return (ssize_t)read;
}

struct http_stream *http_stream(struct http_exchange *x, const char *type, const struct http_stream_ops *ops,
                                void *user)
{
    struct http_stream *s = must_alloc(sizeof(*s));
    *s = (struct http_stream){.exchange = x, .ops = ops, .user = user};
    x->stream = s;
    list_append(&x->http->streams, &s->node);
    answer(x, 200, type,
           MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, read_stream, s, NULL));
    return s;
}

void http_stream_wake(struct http_stream *s)
{
    if (!s->asleep)
        return;
    s->asleep = false;
    resume(s->exchange->http, s->exchange->connection);
}

/* ======= life ======= */

static void on_panic(void *user, const char *file, unsigned int line, const char *reason)
{
    check_failed(file, (int)line, "libmicrohttpd", reason ? reason : "");
}

static void start_daemon(struct http *h)
{
    /* Silence is judged together with slowness, by us; MHD's own limit only backs it up.  SIGPIPE is ignored by main. */
    h->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_access, h,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
        MHD_OPTION_CONNECTION_LIMIT, h->setup.connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HTTP_HEAD_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, 60u, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    CHECK(h->daemon);
}

struct http *http_create(const struct http_setup *setup)
{
    struct http *h = must_alloc(sizeof(*h));
    h->setup = *setup;
    list_init(&h->visits);
    list_init(&h->streams);
    MHD_set_panic_func(on_panic, NULL);
    start_daemon(h);
    int fd = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    CHECK(uv_poll_init(loop_uv(setup->loop), &h->watch, fd) == 0);
    h->watch.data = h;
    later_init(&h->soon, on_soon);
    timer_init(&h->due, setup->loop, on_due);
    timer_init(&h->look, setup->loop, on_look);
    uv_poll_start(&h->watch, UV_READABLE, on_ready);
    return h;
}

static void handle_closed(struct http *h)
{
    if (--h->handles == 0)
        free(h);
}

static void on_watch_closed(uv_handle_t *watch)
{
    handle_closed(watch->data);
}

static void on_due_closed(struct timer *due)
{
    handle_closed(CONTAINER_OF(due, struct http, due));
}

static void on_look_closed(struct timer *look)
{
    handle_closed(CONTAINER_OF(look, struct http, look));
}

struct http *http_destroy(struct http *h)
{
    if (!h)
        return NULL;
    CHECK(h->waiting == 0);
    h->ending = true;
    LIST_FOR(node, &h->streams)
    http_stream_wake(CONTAINER_OF(node, struct http_stream, node));
    MHD_run(
        h->daemon); /* it will not stop while a connection is suspended, and takes notice in a run of its own */
    later_cancel(&h->soon);
    h->handles = 3;
    timer_finish(&h->due, on_due_closed);
    timer_finish(&h->look, on_look_closed);
    uv_close((uv_handle_t *)&h->watch, on_watch_closed);
    MHD_stop_daemon(h->daemon);
    CHECK(list_empty(&h->visits));
    return NULL;
}
