/* For the neighbours in net/ (and later l2's link and admin's listener): the libuv loop behind a struct loop. */
#ifndef LARDER_NET_LOOP_UV_H
#define LARDER_NET_LOOP_UV_H

#include <uv.h>
#include "net/loop.h"

uv_loop_t *loop_uv(struct loop *l);

/* Around a request of libuv's that cannot be taken back (uv_getaddrinfo): a loop that ends waits for it. */
void loop_pool_began(struct loop *l);
void loop_pool_ended(struct loop *l);

#endif
