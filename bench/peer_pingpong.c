/* The floor: another process that answers as many bytes as a hit has as soon as it has read as many as a request has.
 * Nothing that asks a process over a socket can be faster. */
#include "bench/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct peer {
    int fd;
    pid_t echo;
    size_t reply_bytes;
    uint8_t reply[];
};

enum { REQUEST_BYTES = 40 }; /* a frame around a key of 21 bytes */

static bool read_all(int fd, uint8_t *out, size_t size)
{
    for (size_t have = 0; have < size;) {
        ssize_t n = read(fd, out + have, size - have);
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        have += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool write_all(int fd, const uint8_t *bytes, size_t size)
{
    for (size_t sent = 0; sent < size;) {
        ssize_t n = send(fd, bytes + sent, size - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return false;
        sent += n > 0 ? (size_t)n : 0;
    }
    return true;
}

_Noreturn static void echo(int fd, uint8_t *reply, size_t reply_bytes)
{
    uint8_t request[REQUEST_BYTES];
    while (read_all(fd, request, sizeof(request)) && write_all(fd, reply, reply_bytes))
        ;
    _exit(0);
}

static struct peer *open_pingpong(const struct peer_where *where)
{
    struct peer *p = calloc(1, sizeof(*p) + where->value_bytes);
    int ends[2];
    if (!p || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        free(p);
        return NULL;
    }
    p->reply_bytes = where->value_bytes;
    p->echo = spawn_fork();
    if (p->echo == 0) {
        close(ends[0]);
        spawn_pin_server();
        echo(ends[1], p->reply, p->reply_bytes);
    }
    close(ends[1]);
    p->fd = ends[0];
    return p;
}

static int get_pingpong(struct peer *p, struct slice key, struct slice *ret_value)
{
    uint8_t request[REQUEST_BYTES] = {0};
    memcpy(request, key.data, key.size < sizeof(request) ? key.size : sizeof(request));
    if (!write_all(p->fd, request, sizeof(request)) || !read_all(p->fd, p->reply, p->reply_bytes))
        return PEER_ERROR;
    *ret_value = slice_of(p->reply, p->reply_bytes);
    return PEER_HIT;
}

static int set_pingpong(struct peer *p, struct slice key, struct slice value)
{
    return PEER_OK;
}

static void close_pingpong(struct peer *p)
{
    close(p->fd);
    spawn_reap(p->echo);
    free(p);
}

static const char *why_pingpong(const struct peer *p)
{
    return "the other end hung up";
}

const struct peer_kind peer_pingpong = {
    .name = "pingpong",
    .sentence = "raw socket round trip of the same bytes: the floor",
    .server = SERVER_NONE,
    .floor = true,
    .open = open_pingpong,
    .get = get_pingpong,
    .set = set_pingpong,
    .close = close_pingpong,
    .why = why_pingpong,
};
