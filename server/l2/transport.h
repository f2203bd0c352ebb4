/* A socket, with or without TLS around its bytes: above this nobody can tell.
 *
 * What must stay true: as in socket.h; and `opened` comes only when TLS, if any, is sure of the other side. */
#ifndef LARDER_L2_TRANSPORT_H
#define LARDER_L2_TRANSPORT_H

#include "l2/socket.h"
#include "l2/tls.h"
#include "proto/pack.h"

enum transport_end {
    TRANSPORT_NO_ADDRESS,
    TRANSPORT_NO_CONNECT,
    TRANSPORT_GONE,
    TRANSPORT_TLS, /* refused by either side, or broken */
};

/* How far the opening has come, for whoever gives it up. */
enum transport_phase { TRANSPORT_CONNECTING, TRANSPORT_SHAKING, TRANSPORT_OPEN };

struct transport_events {
    void (*opened)(void *user);
    void (*received)(void *user, struct slice bytes);
    void (*ready)(void *user); /* not busy any more */
    void (*ended)(void *user, enum transport_end why, const char *detail);
};

struct transport;

/* tls NULL: plain. */
struct transport *transport_open(struct loop *loop, const struct l2_url *url, struct tls_context *tls,
                                 uint64_t open_by_ns, const struct transport_events *events, void *user);
struct transport *transport_close(struct transport *t); /* at once; NULL ok, returns NULL */

enum transport_phase transport_phase(const struct transport *t);
/* The kernel has not taken everything yet; what is sent meanwhile would have to wait here, so it waits above. */
bool transport_busy(const struct transport *t);
/* Takes all bytes of *out, which may be with the kernel from now on.  Not while busy.  `secret`: no copy of them is
 * left behind. */
void transport_send(struct transport *t, struct buffer *out, bool secret);

#endif
