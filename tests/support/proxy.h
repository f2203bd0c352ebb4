/* A proxy that fails on command: it stands between a client and a TCP or Unix server, and delays, holds, swallows or
 * cuts what passes.  A program of its own (proxy_main.c), told what to do by lines on its standard input; each is
 * answered when it is in force, so a test needs no pause.  Python tests drive the same program. */
#ifndef LARDER_TESTS_PROXY_H
#define LARDER_TESTS_PROXY_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct proxy {
    pid_t pid;
    FILE *to, *from;
    unsigned port; /* of 127.0.0.1 */
};

/* $PROXY names the program; `server` is "127.0.0.1:PORT" or the path of a Unix socket. */
void proxy_start(struct proxy *p, const char *server);
void proxy_stop(struct proxy *p);

/* The commands, see proxy_main.c: "hold up", "release up", "delay down 50", "cut", "refuse", "accept", … */
void proxy_tell(struct proxy *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct proxy_count {
    uint64_t up, down;  /* bytes that came in from the client and from the server */
    uint64_t held;      /* bytes that lie here now */
    unsigned open, all; /* connections: now, and ever */
};
struct proxy_count proxy_count(struct proxy *p);

#endif
