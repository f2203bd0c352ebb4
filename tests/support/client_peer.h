/* A peer of liblarder that behaves as no daemon does: a thread that follows a script, one connection after the other. */
#ifndef LARDER_TESTS_CLIENT_PEER_H
#define LARDER_TESTS_CLIENT_PEER_H

#include <pthread.h>
#include <stdbool.h>
#include "client/larder.h"
#include "proto/wire.h"

struct peer;
/* Serves one connection and returns when it has had enough. */
typedef void script_fn(struct peer *p, int fd);

struct peer {
    char path[64];
    int listener;
    pthread_t thread;
    script_fn *script;
    int connections;
};

/* The next request's head; false when the client is gone. */
bool peer_take(int fd, struct wire_head *ret);
void peer_send(int fd, const struct buffer *b, size_t size);
struct wire_welcome peer_welcome(unsigned descriptors);
void peer_send_welcome(int fd, uint64_t id, const struct wire_welcome *w, const int *fds, unsigned count);
/* HELLO, answered as a daemon would; false: it was none. */
bool peer_greet(int fd);
/* In a fresh directory, on a thread of its own, until peer_finish. */
void peer_start(struct peer *p, script_fn *script);
void peer_finish(struct peer *p);
/* A client of it, strict; with one that asks for shared memory, connections go one after the other. */
larder_client *peer_client(const struct peer *p, bool shared_memory);
void peer_send_pong(int fd, uint64_t id, const char *payload);

#endif
