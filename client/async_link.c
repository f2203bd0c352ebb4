#include "client/async.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { READS_A_TURN = 64, READ_BYTES = 16 * 1024 }; /* 1 MiB, then the app's loop has its turn */
#define LOOK_MIN_NS (100 * NS_PER_MS) /* a greeting that was slow brings no segment, the next one may */
#define LOOK_MAX_NS (5000 * NS_PER_MS)

int link_open(struct larder_async *a)
{
    a->link = (struct link){.state = LINK_AWAY};
    channel_init(&a->link.channel);
    a->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return a->epoll_fd < 0 ? LARDER_E_SYSTEM : 0;
}

/* Closing takes it out of the epoll set, unless a child holds it open as well: hence by hand.  In a child the set is the
 * parent's, and is left alone. */
static void forget_socket(struct larder_async *a, bool by_hand)
{
    if (by_hand && a->link.channel.fd >= 0)
        epoll_ctl(a->epoll_fd, EPOLL_CTL_DEL, a->link.channel.fd, NULL);
    uint64_t id = a->link.channel.id;
    descriptors_drop(&a->link.fds);
    channel_finish(&a->link.channel);
    a->link.channel.id = id; /* what waits for the next connection has its number already */
    a->link.sent = 0;
    a->link.wants_out = false;
}

void link_close(struct larder_async *a)
{
    forget_socket(a, a->forks == atomic_load(&a->client->forks));
    if (a->epoll_fd >= 0)
        close(a->epoll_fd);
}

/* ======= away ======= */

/* Behind a socket that a service manager keeps waits the next one: who was hung up on tries once more at once. */
static bool was_hung_up_on(const struct link *link, uint64_t now_ns)
{
    return link->state == LINK_GREETING && now_ns < link->until_ns && !link->turned_away &&
           !link->dialed_again;
}

/* What was greeted is dialed again at once; what was not, with back-off. */
static void went_away(struct larder_async *a, uint64_t now_ns, bool hangs)
{
    struct link *link = &a->link;
    bool at_once = link->state == LINK_READY || was_hung_up_on(link, now_ns);
    link->dialed_again = was_hung_up_on(link, now_ns);
    if (link->state == LINK_GREETING && now_ns < link->until_ns)
        channel_untold(&link->channel, &a->client->dialing);
    forget_socket(a, true);
    link->state = LINK_AWAY;
    link->until_ns = now_ns;
    if (!at_once) {
        uint64_t ns = link->backoff_ns * 2;
        link->backoff_ns = ns < BACKOFF_MIN_NS ? BACKOFF_MIN_NS : ns > BACKOFF_MAX_NS ? BACKOFF_MAX_NS : ns;
        link->until_ns += jittered(link->backoff_ns, now_ns ^ (uintptr_t)a);
    }
    requests_broken(a, at_once && !hangs);
}

/* A Unix socket connects at once or not at all. */
static bool connects(struct link *link, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1); /* larder_open has measured it */
    link->channel.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return link->channel.fd >= 0 &&
           connect(link->channel.fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
}

static void dial(struct larder_async *a, uint64_t now_ns)
{
    struct link *link = &a->link;
    const struct dialing *how = &a->client->dialing;
    struct epoll_event event = {.events = EPOLLIN};
    uint8_t want = a->client->near.wanted ? WIRE_WANT_SEGMENT | WIRE_WANT_TOUCH : 0;
    link->fds.count = 0;
    link->look_every_ns = 0;
    link->left = 0;
    link->refused_at = UINT64_MAX;
    link->drains = link->was_reset = link->turned_away = false;
    if (!connects(link, how->path) || epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, link->channel.fd, &event) < 0 ||
        channel_hello(&link->channel, how, want) < 0) {
        went_away(a, now_ns, false);
        return;
    }
    link->state = LINK_GREETING;
    link->until_ns = now_ns + how->connect_ns;
}

/* ======= bytes ======= */

static void watch_out(struct larder_async *a, bool wanted)
{
    struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0u)};
    if (a->link.wants_out != wanted)
        epoll_ctl(a->epoll_fd, EPOLL_CTL_MOD, a->link.channel.fd, &event);
    a->link.wants_out = wanted;
}

/* False: broken. */
static bool send_some(struct larder_async *a)
{
    struct link *link = &a->link;
    struct buffer *out = &link->channel.out;
    while (link->sent < out->size) {
        ssize_t n = send(link->channel.fd, out->data + link->sent, out->size - link->sent, MSG_NOSIGNAL);
        link->sent += n > 0 ? (size_t)n : 0;
        link->left += n > 0 ? (uint64_t)n : 0;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0 && errno != EINTR) {
            link->was_reset |= errno == ECONNRESET;
            return false;
        }
    }
    buffer_consume(out, link->sent);
    link->sent = 0;
    watch_out(a, out->size > 0);
    return true;
}

/* ======= the segment ======= */

static bool has_segment(struct larder_async *a)
{
    return !a->client->near.wanted || near_lives(a->client);
}

/* Or it did not: then it is asked for again. */
static void segment_came(struct larder_async *a)
{
    struct link *link = &a->link;
    bool came = a->client->near.wanted && link->fds.count && near_adopt(a->client, &link->fds);
    uint64_t longer = link->look_every_ns * 2;
    link->look_every_ns = came || longer < LOOK_MIN_NS ? LOOK_MIN_NS
                          : longer > LOOK_MAX_NS       ? LOOK_MAX_NS
                                                       : longer;
    link->look_ns = now_ns() + link->look_every_ns;
}

static bool welcome_answer(struct larder_async *a, struct request *r, struct reply *reply)
{
    struct wire_welcome welcome;
    r->result = answer_read(reply, WIRE_WELCOME, &welcome);
    if (r->result == 0 && welcome.descriptors != a->link.fds.count)
        r->result = LARDER_E_PROTOCOL;
    return true;
}

static void welcome_end(struct larder_async *a, struct request *r)
{
    a->link.regreeting = NULL;
    segment_came(a);
}

static void greet_again(struct larder_async *a)
{
    struct wire_hello hello = channel_greeting(&a->client->dialing, WIRE_WANT_SEGMENT | WIRE_WANT_TOUCH);
    struct request *r = request_create(a, a->client->dialing.connect_ns, false);
    if (!r)
        return;
    r->is_read = true;
    r->answer = welcome_answer;
    r->end = welcome_end;
    if (link_send(a, r, WIRE_HELLO, &hello) < 0) {
        request_free(a, r);
        return;
    }
    a->link.regreeting = r;
    request_begin(a, r);
}

static void look_for_segment(struct larder_async *a, uint64_t now_ns)
{
    struct link *link = &a->link;
    if (link->state != LINK_READY || link->drains || link->regreeting || now_ns < link->look_ns)
        return;
    if (has_segment(a))
        link->look_ns = now_ns + LOOK_MIN_NS;
    else
        greet_again(a);
}

/* ======= bytes in ======= */

static bool greeted(struct larder_async *a, struct reply *reply)
{
    struct link *link = &a->link;
    char message[SEAT_MESSAGE_BYTES];
    int error = channel_welcome(&link->channel, reply, &link->fds, message, sizeof(message));
    if (error < 0) {
        link->turned_away = error != LARDER_E_DRAINING;
        return false;
    }
    link->channel.out.limit = (size_t)ASYNC_OUT_MAX + link->channel.limits.frame_max + FRAME_HEADER_BYTES;
    link->state = LINK_READY;
    link->backoff_ns = 0;
    link->dialed_again = false;
    segment_came(a);
    fallback_over(&a->client->fallback);
    requests_sendable(a);
    return true;
}

static bool answered(struct larder_async *a, struct reply *reply)
{
    if (a->link.state == LINK_GREETING)
        return greeted(a, reply);
    struct request *r = request_find(a, reply->head.id);
    if (!r)
        return true; /* its time was up */
    int result = r->result;
    if (r->answer(a, r, reply)) {
        bool refused = r->result == LARDER_E_DRAINING;
        if (refused)
            again_refused(a, r);
        if (!refused || !again_wanted(a, r, true))
            request_end(a, r, r->result);
    }
    return r->result != LARDER_E_PROTOCOL || result == LARDER_E_PROTOCOL;
}

/* Every whole frame of what has come.  False: broken. */
static bool take_frames(struct larder_async *a)
{
    struct buffer *in = &a->link.channel.in;
    size_t used = 0;
    for (;;) {
        struct slice payload;
        size_t whole = 0;
        struct slice rest = slice_of(in->data + used, in->size - used);
        int f = frame_split(rest, in->limit - FRAME_HEADER_BYTES, &payload, &whole);
        if (f != FRAME_WHOLE) {
            buffer_consume(in, used);
            return f >= 0 && (whole == 0 || buffer_reserve(in, whole - in->size) == 0);
        }
        struct reply reply = {.fields = reader_of(payload)};
        if (wire_read_head(&reply.fields, &reply.head) < 0 || !answered(a, &reply))
            return false;
        used += whole;
    }
}

/* Until nothing is there or it has been enough for once.  False: broken. */
static bool receive_some(struct larder_async *a)
{
    struct channel *ch = &a->link.channel;
    for (int i = 0; i < READS_A_TURN; i++) {
        bool may_bring = a->link.state == LINK_GREETING || a->link.regreeting;
        struct descriptors *fds = may_bring ? &a->link.fds : NULL;
        size_t room = ch->in.limit - ch->in.size < READ_BYTES ? 1 : READ_BYTES;
        if (buffer_reserve(&ch->in, room) < 0)
            return false;
        ssize_t n = channel_receive(ch, ch->in.capacity - ch->in.size, fds);
        a->link.was_reset |= n < 0 && errno == ECONNRESET;
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        if (n < 0 && errno == EAGAIN)
            return true;
        ch->in.size += n > 0 ? (size_t)n : 0;
        a->link.heard_ns = now_ns();
        if (!take_frames(a))
            return false;
    }
    return true;
}

void link_break(struct larder_async *a)
{
    if (a->link.state == LINK_READY)
        went_away(a, now_ns(), true);
}

void link_work(struct larder_async *a, uint64_t now_ns)
{
    struct link *link = &a->link;
    if (link->state == LINK_AWAY && now_ns >= link->until_ns)
        dial(a, now_ns);
    if (link->state == LINK_AWAY)
        return;
    look_for_segment(a, now_ns);
    bool late = link->state == LINK_GREETING && now_ns >= link->until_ns;
    bool sends = send_some(a), receives = receive_some(a); /* who takes nothing more may have answered */
    bool over = link->drains && again_nothing_due(a);
    if (!sends || !receives || over || !send_some(a) || (late && link->state == LINK_GREETING))
        went_away(a, now_ns, false);
}

uint64_t link_due_ns(const struct larder_async *a)
{
    const struct link *link = &a->link;
    if (link->state != LINK_AWAY && link->channel.out.size > 0 && !link->wants_out)
        return 0; /* asked for since the last turn */
    if (link->state != LINK_READY)
        return link->until_ns;
    bool looks = a->client->near.wanted && !link->regreeting && !atomic_load(&a->client->near.current);
    return looks ? link->look_ns
                 : UINT64_MAX; /* of one that died the connection tells, or the next turn sees it */
}

/* ======= sending ======= */

static int may_send(const struct larder_async *a, const struct request *r)
{
    if (a->link.channel.limits.version < r->version)
        return LARDER_E_UNSUPPORTED;
    return a->link.channel.out.size > ASYNC_OUT_MAX ? LARDER_E_BUSY : 0;
}

/* Behind what is in `out`, where `frame` is the newest. */
static void was_put(struct larder_async *a, struct request *r, size_t before)
{
    struct link *link = &a->link;
    const struct buffer *out = &link->channel.out;
    again_keep(a, r, slice_of(out->data + before, out->size - before));
    r->end_at = link->left + (out->size - link->sent);
    r->sent = true;
    r->sent_ns = now_ns();
}

/* What was asked before there was a connection, and so before its limits were known. */
int link_send_kept(struct larder_async *a, struct request *r)
{
    struct channel *ch = &a->link.channel;
    int error = may_send(a, r);
    if (error == 0 && r->frame.size > (size_t)ch->limits.frame_max + FRAME_HEADER_BYTES)
        error = LARDER_E_TOO_BIG;
    size_t before = ch->out.size;
    if (error == 0 && buffer_append(&ch->out, r->frame.data, r->frame.size) < 0)
        error = LARDER_E_MEMORY;
    if (error == 0)
        was_put(a, r, before);
    else
        again_forget(a, r);
    return error;
}

static int keep(struct larder_async *a, struct request *r, enum wire_code code, const void *message)
{
    const uint32_t largest = WIRE_VALUE_LIMIT + WIRE_FRAME_ROOM;
    again_forget(a, r);
    buffer_init(&r->frame, (size_t)largest + FRAME_HEADER_BYTES);
    return message_write_traced(&r->frame, r->id, code, message, largest, trace_mine(a->client));
}

int link_send(struct larder_async *a, struct request *r, enum wire_code code, const void *message)
{
    struct link *link = &a->link;
    if (link->state == LINK_AWAY && now_ns() < link->until_ns)
        return LARDER_E_UNREACHABLE;
    bool ready = link->state == LINK_READY && !link->drains;
    int error = ready ? may_send(a, r) : 0;
    if (error < 0)
        return error;
    request_number(a, r);
    if (!ready)
        return keep(a, r, code, message);
    size_t before = link->channel.out.size;
    error = message_write_traced(&link->channel.out, r->id, code, message, link->channel.limits.frame_max,
                                 trace_mine(a->client));
    if (error == 0)
        was_put(a, r, before);
    return error;
}
