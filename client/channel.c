#include "client/channel.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include "client/client.h"

enum { CHANNEL_READ_BYTES = 16 * 1024, CHANNEL_KEEP_BYTES = 256 * 1024 };

void channel_init(struct channel *ch)
{
    *ch = (struct channel){.fd = -1};
    buffer_init(&ch->out, WIRE_HELLO_FRAME_MAX + FRAME_HEADER_BYTES);
    buffer_init(&ch->in, WIRE_HELLO_FRAME_MAX + FRAME_HEADER_BYTES);
}

void channel_close(struct channel *ch)
{
    int fd = ch->fd;
    ch->fd = -1; /* first: a fork in between must not find a number that means another file by now */
    if (fd >= 0)
        close(fd);
    ch->in.size = ch->in_used = ch->out.size = 0;
}

void channel_finish(struct channel *ch)
{
    channel_close(ch);
    buffer_finish(&ch->out);
    buffer_finish(&ch->in);
    channel_init(ch);
}

void channel_trim(struct channel *ch)
{
    ch->out.size = 0;
    buffer_consume(&ch->in, ch->in_used);
    ch->in_used = 0;
    if (ch->out.capacity > CHANNEL_KEEP_BYTES)
        buffer_finish(&ch->out);
    if (ch->in.capacity > CHANNEL_KEEP_BYTES && ch->in.size == 0)
        buffer_finish(&ch->in);
}

bool wait_until(int fd, short events, uint64_t deadline_ns)
{
    struct pollfd p = {.fd = fd, .events = events};
    for (;;) {
        uint64_t now = now_ns();
        if (now >= deadline_ns)
            return false;
        uint64_t left = deadline_ns - now;
        struct timespec t = {(time_t)(left / 1000000000), (long)(left % 1000000000)};
        if (ppoll(&p, fd >= 0, &t, NULL) > 0)
            return true;
    }
}

/* ======= connecting ======= */

/* A signal may interrupt the wait for room in the backlog: then what is left of it is waited. */
static int connect_within(int fd, const struct sockaddr_un *address, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t now = now_ns();
        if (now >= deadline_ns)
            return LARDER_E_TIMEOUT;
        uint64_t us = (deadline_ns - now) / NS_PER_US + 1;
        struct timeval left = {(time_t)(us / 1000000), (suseconds_t)(us % 1000000)};
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &left, sizeof(left));
        if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
            return 0;
        if (errno == EAGAIN)
            return LARDER_E_TIMEOUT;
        if (errno != EINTR)
            return LARDER_E_UNREACHABLE;
    }
}

static int channel_connect(struct channel *ch, const char *path, uint64_t deadline_ns)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1); /* larder_open has measured it */
    ch->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (ch->fd < 0)
        return LARDER_E_SYSTEM;
    return connect_within(ch->fd, &address, deadline_ns);
}

/* ======= bytes ======= */

/* UNREACHABLE: it has not left whole, and who has not all of it carries out nothing of it. */
static int send_all(struct channel *ch, uint64_t deadline_ns)
{
    for (size_t sent = 0; sent < ch->out.size;) {
        ssize_t n = send(ch->fd, ch->out.data + sent, ch->out.size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0)
            sent += (size_t)n;
        else if (errno == EAGAIN) {
            if (!wait_until(ch->fd, POLLOUT, deadline_ns))
                return LARDER_E_TIMEOUT;
        } else if (errno != EINTR)
            return LARDER_E_UNREACHABLE;
    }
    return 0;
}

/* Descriptors nobody asked for are closed at once. */
static void take_descriptors(struct msghdr *m, struct descriptors *ret)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        unsigned count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (unsigned i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (ret && ret->count < CHANNEL_DESCRIPTORS_MAX)
                ret->fds[ret->count++] = fd;
            else
                close(fd);
        }
    }
}

ssize_t channel_receive(struct channel *ch, size_t room, struct descriptors *ret)
{
    union {
        char bytes[CMSG_SPACE(CHANNEL_DESCRIPTORS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec io = {ch->in.data + ch->in.size, room};
    struct msghdr m = {.msg_iov = &io,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof(control.bytes)};
    if (!ret)
        return recv(ch->fd, io.iov_base, room, MSG_DONTWAIT);
    ssize_t n = recvmsg(ch->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n >= 0)
        take_descriptors(&m, ret);
    return n;
}

static int receive_some(struct channel *ch, size_t wanted, struct descriptors *ret, uint64_t deadline_ns)
{
    int r = buffer_reserve(&ch->in, wanted);
    if (r < 0)
        return r == PACK_E_MEMORY ? LARDER_E_MEMORY : LARDER_E_PROTOCOL;
    for (;;) {
        if (!wait_until(ch->fd, POLLIN, deadline_ns))
            return LARDER_E_TIMEOUT;
        ssize_t n = channel_receive(ch, ch->in.capacity - ch->in.size, ret);
        if (n > 0) {
            ch->in.size += (size_t)n;
            return 0;
        }
        if (n < 0 && errno == ECONNRESET)
            return LARDER_E_UNREACHABLE; /* it went with the request unread: ask.h */
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            return LARDER_E_UNKNOWN;
    }
}

/* The next whole frame; it stays in `in` until the channel is used again. */
static int receive_frame(struct channel *ch, struct descriptors *fds, uint64_t deadline_ns, struct slice *ret)
{
    buffer_consume(&ch->in, ch->in_used);
    ch->in_used = 0;
    for (;;) {
        size_t whole = 0;
        int f =
            frame_split(slice_of(ch->in.data, ch->in.size), ch->in.limit - FRAME_HEADER_BYTES, ret, &whole);
        if (f < 0)
            return LARDER_E_PROTOCOL;
        if (f == FRAME_WHOLE) {
            ch->in_used = whole;
            return 0;
        }
        size_t some = ch->in.limit - ch->in.size < CHANNEL_READ_BYTES ? 1 : CHANNEL_READ_BYTES;
        int r = receive_some(ch, whole ? whole - ch->in.size : some, fds, deadline_ns);
        if (r < 0)
            return r;
    }
}

static int receive_reply(struct channel *ch, struct descriptors *fds, uint64_t deadline_ns, struct reply *ret)
{
    do {
        struct slice payload;
        int r = receive_frame(ch, fds, deadline_ns, &payload);
        if (r < 0)
            return r;
        ret->fields = reader_of(payload);
        if (wire_read_head(&ret->fields, &ret->head) < 0)
            return LARDER_E_PROTOCOL;
    } while (ret->head.id != ch->id);
    return 0;
}

static int exchange(struct channel *ch, struct descriptors *fds, uint64_t deadline_ns, struct reply *ret)
{
    int r = send_all(ch, deadline_ns);
    if (r == 0)
        r = receive_reply(ch, fds, deadline_ns, ret);
    if (r < 0)
        channel_close(ch);
    return r;
}

int channel_exchange(struct channel *ch, uint64_t deadline_ns, struct reply *ret)
{
    return exchange(ch, NULL, deadline_ns, ret);
}

/* ======= introduction ======= */

static uint64_t clock_of(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

struct wire_hello channel_greeting(const struct dialing *how, uint8_t want)
{
    return (struct wire_hello){
        .version_min = WIRE_VERSION_MIN,
        .version_max = WIRE_VERSION_MAX,
        .namespace = how->namespace,
        .tenant = how->tenant,
        .client = how->name,
        .want = want,
        .mono_ns = clock_of(CLOCK_MONOTONIC),
        .boot_ns = clock_of(CLOCK_BOOTTIME),
    };
}

void channel_untold(struct channel *ch, const struct dialing *how)
{
    atomic_fetch_add(&how->unheard->unreachable, ch->told_unreachable);
    atomic_fetch_add(&how->unheard->timeouts, ch->told_timeouts);
    ch->told_unreachable = ch->told_timeouts = 0;
}

int channel_hello(struct channel *ch, const struct dialing *how, uint8_t want)
{
    struct wire_hello hello = channel_greeting(how, want);
    hello.unreachable = ch->told_unreachable = atomic_exchange(&how->unheard->unreachable, 0);
    hello.timeouts = ch->told_timeouts = atomic_exchange(&how->unheard->timeouts, 0);
    ch->out.size = 0;
    if (wire_write_hello(&ch->out, ++ch->id, &hello, WIRE_HELLO_FRAME_MAX) == 0)
        return 0;
    channel_untold(ch, how);
    return LARDER_E_MEMORY;
}

/* Limits that make no sense would only come back as stranger failures later. */
static bool limits_take(struct channel *ch, const struct wire_welcome *w)
{
    bool sane = w->key_max && w->batch_max && w->frame_max >= WIRE_HELLO_FRAME_MAX &&
                w->frame_max <= WIRE_VALUE_LIMIT + WIRE_FRAME_ROOM;
    ch->limits = (struct limits){w->key_max, w->value_max, w->batch_max, w->frame_max, w->version};
    ch->in.limit = ch->out.limit = (size_t)w->frame_max + FRAME_HEADER_BYTES;
    return sane;
}

static int refusal(struct reply *reply, char *message, size_t message_bytes)
{
    struct wire_result result;
    if (reply->head.code != WIRE_RESULT || wire_read_result(&reply->fields, &reply->head, &result) < 0)
        return LARDER_E_PROTOCOL;
    snprintf(message, message_bytes, "%.*s", (int)result.message.size, (const char *)result.message.data);
    int r = result_of_status(result.status);
    return r < 0 ? r : LARDER_E_PROTOCOL;
}

int channel_welcome(struct channel *ch, struct reply *reply, const struct descriptors *fds, char *message,
                    size_t message_bytes)
{
    struct wire_welcome welcome;
    if (reply->head.code != WIRE_WELCOME)
        return refusal(reply, message, message_bytes);
    if (wire_read_welcome(&reply->fields, &reply->head, &welcome) < 0 || !limits_take(ch, &welcome))
        return LARDER_E_PROTOCOL;
    if (welcome.version < WIRE_VERSION_MIN || welcome.version > WIRE_VERSION_MAX)
        return LARDER_E_VERSION;
    return welcome.descriptors == fds->count ? 0 : LARDER_E_PROTOCOL;
}

void descriptors_drop(struct descriptors *d)
{
    while (d->count)
        close(d->fds[--d->count]);
}

static int channel_introduce(struct channel *ch, const struct dialing *how, uint8_t want,
                             uint64_t deadline_ns, struct descriptors *fds, char *message,
                             size_t message_bytes)
{
    struct reply reply;
    int r = channel_hello(ch, how, want);
    if (r == 0)
        r = exchange(ch, fds, deadline_ns, &reply);
    if (r < 0 ? r != LARDER_E_TIMEOUT : reply.head.code != WIRE_WELCOME)
        channel_untold(ch, how);
    if (r == 0)
        r = channel_welcome(ch, &reply, fds, message, message_bytes);
    return r == LARDER_E_UNKNOWN ? LARDER_E_UNREACHABLE : r; /* nothing was asked of it yet */
}

int channel_dial(struct channel *ch, const struct dialing *how, uint8_t want, uint64_t deadline_ns,
                 struct descriptors *ret, char *message, size_t message_bytes)
{
    struct descriptors fds = {.count = 0};
    uint64_t until = now_ns() + how->connect_ns;
    channel_finish(ch);
    message[0] = '\0';
    if (until > deadline_ns)
        until = deadline_ns;
    int r = channel_connect(ch, how->path, until);
    ch->nobody_listens = r == LARDER_E_UNREACHABLE;
    if (r == 0)
        r = channel_introduce(ch, how, want, until, &fds, message, message_bytes);
    if (r < 0 || !ret)
        descriptors_drop(&fds);
    if (r < 0)
        channel_close(ch);
    else if (ret)
        *ret = fds;
    return r;
}
