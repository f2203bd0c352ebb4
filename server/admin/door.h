/* Where HTTP comes in: Unix sockets and loopback addresses, several at a time, handed to http.c by net's listener.
 *
 * What must stay true: no address but loopback is ever listened on.  What is beyond this host is for a proxy that knows
 * who may. */
#ifndef LARDER_ADMIN_DOOR_H
#define LARDER_ADMIN_DOOR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/types.h>
#include "net/listener.h"

enum { DOORS_MAX = 4, DOOR_TEXT = 120 };

union door_tcp {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* "unix:/run/larder/admin.sock", "127.0.0.1:8370", "[::1]:8370", "localhost:8370". */
struct door_address {
    char path[108]; /* "": TCP */
    union door_tcp tcp;
};

/* Splits at spaces and commas.  The number of addresses, or <0 and a sentence. */
int door_addresses(const char *text, struct door_address ret[DOORS_MAX], const char **ret_why);

/* `accepted` as of listener_setup; `shown` is where it can be reached, the port as the kernel gave it.  <0: logged. */
int door_open(struct loop *loop, const struct door_address *address, mode_t mode,
              void (*accepted)(void *user, int fd, const struct peer *peer), void *user,
              struct listener **ret, char shown[DOOR_TEXT]);

#endif
