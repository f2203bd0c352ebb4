/* What one peer and all peers together may pin and how long they may take.  One table for net/ and session/; the
 * configuration expands it. */
#ifndef LARDER_NET_LIMITS_H
#define LARDER_NET_LIMITS_H

#include "base/knob.h"

#define NET_OPTIONS(OPTION)                                                                       \
    OPTION(COUNT, connections, "1024", 1, 1000000, LIVE, "",                                      \
           "clients at a time; never more than the limit on open files leaves room for")          \
    OPTION(SIZE, client_memory, "64MiB", 1ull << 20, 1ull << 36, LIVE, "",                        \
           "bytes all clients together may pin: half frames, requests under way, unread replies") \
    OPTION(DURATION, handshake_timeout, "2s", 1000000ull, 3600 * 1000000000ull, LIVE, "",         \
           "from connecting to HELLO")                                                            \
    OPTION(DURATION, frame_timeout, "5s", 1000000ull, 3600 * 1000000000ull, LIVE, "",             \
           "from the first to the last byte of a frame")                                          \
    OPTION(DURATION, slow_client, "10s", 1000000ull, 3600 * 1000000000ull, LIVE, "",              \
           "a client that takes no byte of its replies for so long is cut off")                   \
    OPTION(SIZE, write_stop, "1MiB", 4096, 1ull << 30, LIVE, "",                                  \
           "unread replies of one client from which on no further request of it is read")         \
    OPTION(SIZE, write_kill, "8MiB", 65536, 1ull << 32, LIVE, "",                                 \
           "unread replies of one client from which on its late answers are BUSY")                \
    OPTION(COUNT, requests_in_flight, "128", 1, 65536, LIVE, "",                                  \
           "requests of one client under way; the next one is read when one of them is done")     \
    OPTION(DURATION, request_timeout, "2s", 1000000ull, 3600 * 1000000000ull, LIVE, "",           \
           "deadline of a request that names none")

struct net_options {
    KNOB_FIELDS(NET_OPTIONS)
};

#endif
