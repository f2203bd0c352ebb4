/* A connection to one address: bytes in, bytes out.  The only home of libuv in this room.
 *
 * What must stay true:
 *  - nothing waits: names are resolved on libuv's pool, and of several addresses each gets its share of the time;
 *  - a connection that ends is reset (SO_LINGER 0, from its first moment, so that a killed daemon's is too): bytes
 *    the kernel still has do not reach Redis later;
 *  - no event comes from inside a call into here, and none after socket_close.
 *
 * Thread rule: loop thread only. */
#ifndef LARDER_L2_SOCKET_H
#define LARDER_L2_SOCKET_H

#include "l2/url.h"
#include "net/loop.h"
#include "proto/slice.h"

enum socket_end {
    SOCKET_NO_ADDRESS, /* the name cannot be resolved */
    SOCKET_NO_CONNECT, /* no address took the connection */
    SOCKET_GONE,       /* closed or reset by the other side, or broken on the way */
};

struct socket_events {
    void (*opened)(void *user);
    void (*received)(void *user, struct slice bytes); /* valid until it returns */
    void (*written)(void *user);                      /* what socket_send kept waiting is with the kernel */
    void (*ended)(void *user, enum socket_end why, const char *detail); /* now socket_close */
};

struct l2_socket;

/* `url` must stay until socket_close; opening is given up by whoever called, at open_by_ns. */
struct l2_socket *socket_open(struct loop *loop, const struct l2_url *url, uint64_t open_by_ns,
                              const struct socket_events *events, void *user);
/* Ends it at once: what the kernel has not sent yet is thrown away.  NULL ok, returns NULL. */
struct l2_socket *socket_close(struct l2_socket *s);

/* 1: the kernel has all of it.  0: the rest waits; the bytes must stay until `written`, and until then nothing more may
 * be sent.  <0: broken, and `ended` will say how. */
int socket_send(struct l2_socket *s, struct slice bytes);

#endif
