#include "support/client_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static ssize_t read_frame(int fd, uint8_t *into, size_t room)
{
    uint8_t head[4];
    if (recv(fd, head, 4, MSG_WAITALL) != 4)
        return -1;
    size_t size = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    if (size > room || recv(fd, into, size, MSG_WAITALL) != (ssize_t)size)
        return -1;
    return (ssize_t)size;
}

bool peer_take(int fd, struct wire_head *ret)
{
    static uint8_t bytes[1 << 20];
    ssize_t n = read_frame(fd, bytes, sizeof(bytes));
    if (n < 0)
        return false;
    struct reader r = reader_of(slice_of(bytes, (size_t)n));
    return wire_read_head(&r, ret) == 0;
}

void peer_send(int fd, const struct buffer *b, size_t size)
{
    if (send(fd, b->data, size, MSG_NOSIGNAL) < 0)
        return; /* the client may have left */
}

static void send_with_fds(int fd, const struct buffer *b, const int *fds, unsigned count)
{
    char control[CMSG_SPACE(8 * sizeof(int))] = {0};
    struct iovec io = {b->data, b->size};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1};
    if (count) {
        m.msg_control = control;
        m.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, count * sizeof(int));
    }
    (void)!sendmsg(fd, &m, MSG_NOSIGNAL); /* the client may have left */
}

struct wire_welcome peer_welcome(unsigned descriptors)
{
    return (struct wire_welcome){
        .version = 1,
        .daemon = slice_text("scripted"),
        .namespace = slice_text("default"),
        .partitions = 1,
        .incarnation = 1,
        .key_max = 1024,
        .value_max = 1 << 20,
        .batch_max = 1024,
        .frame_max = (1 << 20) + (64 << 10),
        .descriptors = (uint8_t)descriptors,
    };
}

void peer_send_welcome(int fd, uint64_t id, const struct wire_welcome *w, const int *fds, unsigned count)
{
    struct buffer b;
    buffer_init(&b, 4096 + 4);
    assert_int_equal(wire_write_welcome(&b, id, w, 4096), 0);
    send_with_fds(fd, &b, fds, count);
    buffer_finish(&b);
}

bool peer_greet(int fd)
{
    struct wire_head head;
    struct wire_welcome w = peer_welcome(0);
    if (!peer_take(fd, &head) || head.code != WIRE_HELLO)
        return false;
    peer_send_welcome(fd, head.id, &w, NULL, 0);
    return true;
}

static void *serve(void *user)
{
    struct peer *p = user;
    for (;;) {
        int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL;
        p->connections++;
        p->script(p, fd);
        close(fd);
    }
}

void peer_start(struct peer *p, script_fn *script)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *p = (struct peer){.script = script};
    snprintf(p->path, sizeof(p->path), "/tmp/larder-peer.XXXXXX");
    assert_non_null(mkdtemp(p->path));
    strcat(p->path, "/s");
    strcpy(address.sun_path, p->path);
    p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(p->listener, 64), 0);
    assert_int_equal(pthread_create(&p->thread, NULL, serve, p), 0);
}

void peer_finish(struct peer *p)
{
    shutdown(p->listener, SHUT_RDWR);
    pthread_join(p->thread, NULL);
    close(p->listener);
    unlink(p->path);
    *strrchr(p->path, '/') = '\0';
    rmdir(p->path);
}

larder_client *peer_client(const struct peer *p, bool shared_memory)
{
    larder_client *c;
    larder_options o = LARDER_OPTIONS_INIT;
    o.socket = p->path;
    o.strict = true;
    o.connect_ms = o.get_ms = o.change_ms = 2000; /* also what a peer that stays silent costs */
    o.no_shared_memory = !shared_memory;
    assert_int_equal(larder_open(&c, &o), LARDER_OK);
    return c;
}

void peer_send_pong(int fd, uint64_t id, const char *payload)
{
    struct wire_pong pong = {.payload = slice_text(payload)};
    struct buffer b;
    buffer_init(&b, 4100);
    wire_write_pong(&b, id, &pong, 4096);
    peer_send(fd, &b, b.size);
    buffer_finish(&b);
}
