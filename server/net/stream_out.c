/* Bytes out: one send a turn, what the kernel did not take waits for writable.  Descriptors ride on the first byte of
 * their frame, so bytes before that are sent by themselves. */
#include "net/stream_private.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { OUT_ROOM = 64 * 1024 }; /* beyond write_kill and one value: the BUSY of requests in flight */

size_t stream_unsent(const struct stream *s)
{
    return s->out.size - s->out_at;
}

void stream_drop_passed(struct stream *s)
{
    for (unsigned i = 0; i < s->pass_count; i++)
        close(s->pass_fds[i]);
    s->pass_count = 0;
}

static ssize_t send_with_fds(struct stream *s, const uint8_t *data, size_t size)
{
    char control[CMSG_SPACE(STREAM_PASS_MAX * sizeof(int))] = {0};
    struct iovec body = {(void *)data, size};
    size_t fds_bytes = s->pass_count * sizeof(int);
    struct msghdr message = {
        .msg_iov = &body, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(fds_bytes)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *head =
        (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(fds_bytes)};
    memcpy(CMSG_DATA(head), s->pass_fds, fds_bytes);
    ssize_t n = sendmsg(s->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0)
        stream_drop_passed(s);
    return n;
}

/* Who is gone reads nothing more; what it said before that is heard first when a long turn left some of it. */
static void peer_is_gone(struct stream *s)
{
    if (!s->rests) {
        stream_doom(s, STREAM_GONE);
        return;
    }
    s->out_at = s->out.size;
    stream_drop_passed(s);
}

/* One send, or two when descriptors wait in the middle.  True: call again. */
static bool send_some(struct stream *s)
{
    const uint8_t *data = s->out.data + s->out_at;
    size_t size = stream_unsent(s);
    bool at_mark = s->pass_count && s->pass_at == s->out_at;
    if (s->pass_count && !at_mark)
        size = s->pass_at - s->out_at;
    ssize_t n = at_mark ? send_with_fds(s, data, size) : send(s->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) {
        bool again = errno == EINTR;
        if (errno != EAGAIN && errno != EWOULDBLOCK && !again)
            peer_is_gone(s);
        return again;
    }
    s->out_at += (size_t)n;
    s->stuck_since = 0;
    return (size_t)n == size && stream_unsent(s) > 0;
}

static void tidy_out(struct stream *s)
{
    if (stream_unsent(s) == 0) {
        s->out.size = s->out_at = 0;
        if (s->out.capacity > KEPT_BYTES)
            buffer_finish(&s->out);
    } else if (s->out_at > s->out.size / 2) { /* moves less than was sent */
        buffer_consume(&s->out, s->out_at);
        s->pass_at -= s->pass_count ? s->out_at : 0;
        s->out_at = 0;
    }
}

void stream_flush(struct stream *s)
{
    while (!s->doomed && stream_unsent(s) > 0 && send_some(s))
        ;
    tidy_out(s);
    if (stream_unsent(s) == 0)
        s->stuck_since = 0;
    else if (!s->stuck_since)
        s->stuck_since = loop_now_ns(s->all->loop);
    size_t stop = stream_write_stop(s);
    s->clogged = stream_unsent(s) > (s->clogged ? stop / 2 : stop);
    stream_note_deadlines(s);
}

struct buffer *stream_out(struct stream *s)
{
    s->out.limit = s->all->options->write_kill + s->frame_max + OUT_ROOM;
    return &s->out;
}

void stream_wrote(struct stream *s)
{
    stream_ask_work(s);
}

bool stream_passing(const struct stream *s)
{
    return s->pass_count > 0;
}

void stream_pass(struct stream *s, size_t mark, const int *fds, unsigned count)
{
    CHECK(!stream_passing(s) && count <= STREAM_PASS_MAX && mark < s->out.size);
    memcpy(s->pass_fds, fds, count * sizeof(int));
    s->pass_count = count;
    s->pass_at = mark;
    stream_ask_work(s);
}
