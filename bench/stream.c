#include "bench/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "bench/timing.h"

enum { READ_ROOM = 64 * 1024, SOCKET_BUFFER = 1 << 20 };

void stream_adopt(struct stream *s, int fd)
{
    int bytes = SOCKET_BUFFER;
    *s = (struct stream){.fd = fd};
    buffer_init(&s->out, STREAM_BYTES_MAX);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

int stream_connect(struct stream *s, const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(to.sun_path))
        return -ENAMETOOLONG;
    strcpy(to.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    stream_adopt(s, fd);
    return 0;
}

void stream_close(struct stream *s)
{
    if (s->fd >= 0)
        close(s->fd);
    buffer_finish(&s->out);
    free(s->in);
    *s = (struct stream){.fd = -1};
}

static int make_room(struct stream *s)
{
    if (s->in_begin == s->in_end)
        s->in_begin = s->in_end = 0;
    if (s->in_capacity - s->in_end >= READ_ROOM)
        return 0;
    if (s->in_begin > 0) {
        memmove(s->in, s->in + s->in_begin, s->in_end - s->in_begin);
        s->in_end -= s->in_begin;
        s->in_begin = 0;
    }
    if (s->in_capacity - s->in_end >= READ_ROOM)
        return 0;
    size_t capacity = s->in_capacity ? 2 * s->in_capacity : 4 * READ_ROOM;
    uint8_t *in = capacity <= STREAM_BYTES_MAX ? realloc(s->in, capacity) : NULL;
    if (!in)
        return -ENOBUFS;
    s->in = in;
    s->in_capacity = capacity;
    return 0;
}

static int read_some(struct stream *s, int flags)
{
    int r = make_room(s);
    if (r < 0)
        return r;
    ssize_t n = recv(s->fd, s->in + s->in_end, s->in_capacity - s->in_end, flags);
    if (n == 0)
        return -EPIPE;
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    s->in_end += (size_t)n;
    return 0;
}

int stream_more(struct stream *s)
{
    return read_some(s, 0);
}

static int wait_writable(struct stream *s)
{
    struct pollfd p = {s->fd, POLLIN | POLLOUT, 0};
    if (poll(&p, 1, -1) < 0)
        return errno == EINTR ? 0 : -errno;
    return p.revents & POLLIN ? read_some(s, MSG_DONTWAIT) : 0;
}

int stream_flush(struct stream *s)
{
    size_t sent = 0;
    int r = 0;
    while (sent < s->out.size && r == 0) {
        ssize_t n = send(s->fd, s->out.data + sent, s->out.size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0)
            sent += (size_t)n;
        else if (errno == EAGAIN)
            r = wait_writable(s);
        else if (errno != EINTR)
            r = -errno;
    }
    s->out.size = 0;
    return r;
}

int stream_wait(struct stream *s, uint64_t until_ns)
{
    struct pollfd p = {s->fd, POLLIN, 0};
    uint64_t now = timing_now_ns();
    uint64_t left = until_ns > now ? until_ns - now : 0;
    struct timespec timeout = {(time_t)(left / NS_PER_S), (long)(left % NS_PER_S)};
    int r = ppoll(&p, 1, &timeout, NULL);
    if (r < 0)
        return errno == EINTR ? 0 : -errno;
    return r;
}
