/* HTTP on our loop: whole requests up, replies down, now or later.  The only home of libmicrohttpd.
 *
 * What must stay true:
 *  - the loop never waits for a peer: one read, one step and one write a connection and turn;
 *  - what a peer pins has a bound: connections, bytes of its headers, bytes of its body, the time from the first byte of
 *    a request to the last of its reply;
 *  - a request that was handed up is answered once, with http_reply or http_stream; its exchange lives until then.
 *
 * Thread rule: loop thread only. */
#ifndef LARDER_ADMIN_HTTP_H
#define LARDER_ADMIN_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "net/loop.h"
#include "proto/slice.h"

enum {
    HTTP_HEAD_BYTES = 32 * 1024, /* a connection's memory: request line, headers, and the reply's headers */
    HTTP_BODY_BYTES = 64 * 1024, /* some thousand keys; whoever has more sends another request */
};

struct http;
struct http_exchange;

enum http_method { HTTP_GET /* and HEAD */, HTTP_POST, HTTP_OTHER };

struct http_setup {
    struct loop *loop;
    unsigned connections;       /* at a time; one more is hung up on */
    const uint64_t *timeout_ns; /* of a request with its reply; read on each use */
    void (*handle)(void *user, struct http_exchange *x);
    void *user;
};

struct http *http_create(const struct http_setup *setup);
/* Ends streams, hangs up on everybody.  No exchange may wait for its reply (http_waiting).  NULL ok, returns NULL;
 * memory goes with the loop's next turns. */
struct http *http_destroy(struct http *h);

/* A connection from one of the doors; owns fd.  `trusted_path`: over a Unix socket, where no browser comes from. */
void http_take(struct http *h, int fd, bool trusted_path);

struct http_figures {
    uint64_t connections, requests, refused, cut; /* refused: no room for the connection; cut: too slow */
};
void http_measure(const struct http *h, struct http_figures *ret);
/* Exchanges that were handed up and not answered yet. */
unsigned http_waiting(const struct http *h);

/* ---- the request, until it is answered ------------------------------------------------------------------ */

enum http_method http_method(const struct http_exchange *x);
const char *http_path(const struct http_exchange *x);                     /* decoded, without the query */
const char *http_header(const struct http_exchange *x, const char *name); /* NULL: not there */
const char *http_argument(const struct http_exchange *x,
                          const char *name); /* of the query; NULL: not there */
struct slice http_body(const struct http_exchange *x);
bool http_trusted_path(const struct http_exchange *x);

/* ---- the reply ------------------------------------------------------------------------------------------ */

struct http_reply {
    unsigned status;
    const char *type;  /* of the body; NULL: there is none */
    struct slice body; /* copied, unless it is `lasting` */
    bool lasting;      /* part of the program */
    const char *allow; /* with 405 */
};
void http_reply(struct http_exchange *x, const struct http_reply *reply);

/* A reply without an end: `read` is asked for bytes whenever the peer can take some. */
struct http_stream_ops {
    size_t (*read)(void *user, char *room, size_t size); /* 0: nothing now, see http_stream_wake */
    void (*ended)(void *user); /* once, always, never from inside a call into here */
};
struct http_stream;
/* Bytes may be asked for from inside this call on.  The stream is gone when `ended` returns. */
struct http_stream *http_stream(struct http_exchange *x, const char *type, const struct http_stream_ops *ops,
                                void *user);
void http_stream_wake(struct http_stream *s); /* there is something to read */

#endif
