/* Sessions over a real cache with two table tiers, and the client they talk to: a socket and the wire by hand. */
#ifndef LARDER_TESTS_SESSION_RIG_H
#define LARDER_TESTS_SESSION_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "proto/wire.h"
#include "session/session.h"
#include "support/table_tier.h"

enum { SECRET = 7 };

struct fixture {
    struct loop *loop;
    struct net_options options;
    struct cache_options cache_options;
    struct kills *kills;
    struct table_tier l1, warm;
    struct cache *cache;
    struct session_space space;
    struct sessions *sessions;
    int segment_fd;
    unsigned touch_pages;
    unsigned documents_asked, documents_later; /* for so many turns a document is not there yet */
    bool draining, drained;
    int fd; /* the client's end */
    struct buffer in;
    int fds[4];
    unsigned fds_count;
    uint64_t next_id;
};

/* ======= the host ======= */

static inline uint64_t loop_clock(const void *loop)
{
    return loop_now_ns(loop);
}

static inline int give_segment(struct session_space *space, int *ret_fd, uint64_t *ret_incarnation,
                               const char **ret_why)
{
    struct fixture *f = space->user;
    *ret_fd = f->segment_fd;
    *ret_incarnation = 77;
    *ret_why = "none here";
    return f->segment_fd < 0 ? -1 : 0;
}

static inline int open_touch(struct session_space *space, void **ret_page, int *ret_fd)
{
    struct fixture *f = space->user;
    f->touch_pages++;
    *ret_page = f;
    *ret_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    return 0;
}

static inline void close_touch(struct session_space *space, void *page)
{
    struct fixture *f = page;
    f->touch_pages--;
}

static const struct session_space_ops space_ops = {give_segment, open_touch, close_touch};

static inline struct session_space *find_space(void *user, struct slice name)
{
    struct fixture *f = user;
    bool known = name.size == 0 || slice_equal(name, slice_text("default"));
    return known ? &f->space : NULL;
}

static inline int make_document(void *user, const struct session_question *q, struct buffer *ret)
{
    struct fixture *f = user;
    char text[200];
    f->documents_asked++;
    if (f->documents_later) {
        f->documents_later--;
        return DOCUMENT_LATER;
    }
    int size = snprintf(text, sizeof(text), "{\"kind\":%d,\"key\":\"%.*s\",\"status\":%d}", q->kind,
                        (int)q->key.size, (const char *)q->key.data, q->get ? (int)q->get->status : -1);
    return buffer_append(ret, text, (size_t)size);
}

static inline void make_cache(struct fixture *f)
{
    f->cache_options = (struct cache_options){
        .cache = true, .ttl = 60 * NS_PER_S, .max_ttl = 600 * NS_PER_S, .max_value = 100000};
    f->kills = kills_create(SECRET);
    table_tier_init(&f->l1, TIER_L1, f->kills);
    table_tier_init(&f->warm, TIER_WARM, f->kills);
    struct cache_setup setup = {.options = &f->cache_options,
                                .now_ns = loop_clock,
                                .clock = f->loop,
                                .namespace = "default",
                                .kills = f->kills,
                                .l1 = &f->l1.tier,
                                .warm = &f->warm.tier,
                                .hash_secret = SECRET,
                                .epoch = 99,
                                .start_no = 3};
    f->cache = cache_create(&setup);
}

static inline int begin(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->loop = loop_create();
    f->options = (struct net_options){.connections = 100,
                                      .client_memory = 64 << 20,
                                      .handshake_timeout = 3600 * NS_PER_S,
                                      .frame_timeout = 3600 * NS_PER_S,
                                      .slow_client = 3600 * NS_PER_S,
                                      .write_stop = 1 << 20,
                                      .write_kill = 8 << 20,
                                      .requests_in_flight = 128,
                                      .request_timeout = 3600 * NS_PER_S};
    make_cache(f);
    f->segment_fd = memfd_create("test", MFD_CLOEXEC);
    f->space = (struct session_space){.name = "default", .cache = f->cache, .ops = &space_ops, .user = f};
    struct session_host host = {.loop = f->loop,
                                .options = &f->options,
                                .program = "test",
                                .user = f,
                                .space = find_space,
                                .document = make_document};
    f->sessions = sessions_create(&host);
    f->in.limit = 1 << 24;
    f->fd = -1;
    log_setup(LOG_ERROR, LOG_LOGFMT, open("/dev/null", O_WRONLY | O_CLOEXEC));
    *state = f;
    alarm(60);
    return 0;
}

static inline int connect_session(struct fixture *f)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    struct peer peer = {getuid(), getgid(), getpid()};
    sessions_take(f->sessions, fds[1], &peer);
    return fds[0];
}

static inline void on_drained(void *user)
{
    ((struct fixture *)user)->drained = true;
}

static inline void drain(struct fixture *f, uint64_t timeout_ns)
{
    f->draining = true;
    sessions_drain(f->sessions, loop_now_ns(f->loop) + timeout_ns, on_drained, f);
}

static inline int end(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < f->fds_count; i++)
        close(f->fds[i]);
    if (f->fd >= 0)
        close(f->fd);
    f->l1.slow = f->warm.slow = f->warm.unsafe = false;
    table_tier_land(&f->warm);
    table_tier_commit(&f->warm);
    if (!f->draining)
        drain(f, 0);
    while (!f->drained)
        loop_run_once(f->loop);
    assert_int_equal(f->touch_pages, 0);
    sessions_destroy(f->sessions);
    cache_destroy(f->cache);
    kills_destroy(f->kills);
    loop_destroy(f->loop);
    buffer_finish(&f->in);
    close(f->segment_fd);
    free(f);
    return 0;
}

/* ======= the client ======= */

#define S(text) slice_text(text)

static inline void take_fds(struct fixture *f, struct msghdr *m)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
        unsigned count = (unsigned)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(f->fds + f->fds_count, CMSG_DATA(h), count * sizeof(int));
        f->fds_count += count;
    }
}

/* >0 bytes, 0 end of file, -1 nothing yet. */
static inline ssize_t hear_some(struct fixture *f)
{
    static char room[1 << 16];
    char control[CMSG_SPACE(4 * sizeof(int))];
    struct iovec body = {room, sizeof(room)};
    struct msghdr m = {
        .msg_iov = &body, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(f->fd, &m, MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EAGAIN ? -1 : 0;
    take_fds(f, &m);
    buffer_append(&f->in, room, (size_t)n);
    return n;
}

/* The next reply, its head taken off; false when the daemon hung up.  Stays valid until the call after it. */
static inline bool hear(struct fixture *f, struct wire_head *ret_head, struct reader *ret_fields)
{
    static struct buffer held = {.limit = 1 << 24};
    struct slice payload;
    size_t used;
    while (frame_split(slice_of(f->in.data, f->in.size), 1 << 24, &payload, &used) != FRAME_WHOLE) {
        ssize_t n = hear_some(f);
        if (n == 0)
            return false;
        if (n < 0)
            loop_run_once(f->loop);
    }
    held.size = 0;
    buffer_append(&held, payload.data, payload.size);
    buffer_consume(&f->in, used);
    *ret_fields = reader_of(slice_of(held.data, held.size));
    assert_int_equal(wire_read_head(ret_fields, ret_head), 0);
    return true;
}

static inline void say_bytes(struct fixture *f, const void *bytes, size_t size)
{
    assert_int_equal(send(f->fd, bytes, size, MSG_NOSIGNAL), size);
}

#define SAY(f, name, ...) say_##name(f, &(struct wire_##name){__VA_ARGS__})
#define DEFINE_SAY(name)                                                              \
    static inline uint64_t say_##name(struct fixture *f, const struct wire_##name *m) \
    {                                                                                 \
        struct buffer b = {.limit = 1 << 24};                                         \
        assert_int_equal(wire_write_##name(&b, ++f->next_id, m, 1 << 24), 0);         \
        say_bytes(f, b.data, b.size);                                                 \
        buffer_finish(&b);                                                            \
        return f->next_id;                                                            \
    }
DEFINE_SAY(hello)
DEFINE_SAY(ping)
DEFINE_SAY(get)
DEFINE_SAY(set)
DEFINE_SAY(touch)
DEFINE_SAY(invalidate)
DEFINE_SAY(keys)
DEFINE_SAY(explain)
DEFINE_SAY(stats)
DEFINE_SAY(report)
DEFINE_SAY(doctor)
DEFINE_SAY(pong)

#define DEFINE_EXPECT(NAME, name)                                     \
    static inline struct wire_##name expect_##name(struct fixture *f) \
    {                                                                 \
        struct wire_head head;                                        \
        struct reader fields;                                         \
        struct wire_##name m;                                         \
        assert_true(hear(f, &head, &fields));                         \
        assert_string_equal(wire_code_name(head.code), #NAME);        \
        assert_int_equal(wire_read_##name(&fields, &head, &m), 0);    \
        return m;                                                     \
    }
DEFINE_EXPECT(WELCOME, welcome)
DEFINE_EXPECT(RESULT, result)
DEFINE_EXPECT(PONG, pong)
DEFINE_EXPECT(VALUES, values)
DEFINE_EXPECT(OUTCOMES, outcomes)
DEFINE_EXPECT(PAGE, page)
DEFINE_EXPECT(DOCUMENT, document)

static inline void expect_status(struct fixture *f, enum status status)
{
    struct wire_result m = expect_result(f);
    assert_string_equal(status_name(m.status), status_name(status));
}

static inline void expect_hang_up(struct fixture *f)
{
    struct wire_head head;
    struct reader fields;
    assert_false(hear(f, &head, &fields));
}

static inline struct wire_welcome greet_as(struct fixture *f, const char *tenant, unsigned want)
{
    SAY(f, hello, .version_min = 1, .version_max = 1, .namespace = S("default"), .tenant = S(tenant),
        .client = S("test"), .want = (uint8_t)want, .mono_ns = clock_mono_ns(), .boot_ns = clock_boot_ns());
    return expect_welcome(f);
}

static inline int begin_greeted(void **state)
{
    begin(state);
    struct fixture *f = *state;
    f->fd = connect_session(f);
    greet_as(f, "", 0);
    return 0;
}

static inline int begin_bound(void **state)
{
    begin(state);
    struct fixture *f = *state;
    f->fd = connect_session(f);
    greet_as(f, "acme", 0);
    return 0;
}

static inline int begin_connected(void **state)
{
    begin(state);
    struct fixture *f = *state;
    f->fd = connect_session(f);
    return 0;
}

static inline void ask(struct fixture *f, const char *key)
{
    struct slice k = S(key);
    SAY(f, get, .keys = {1, &k});
}

/* Of a list of one. */
#define DEFINE_ONLY(one, many, list)                                 \
    static inline struct wire_##one only_##one(struct wire_##many m) \
    {                                                                \
        struct reader r = reader_of(m.list.raw);                     \
        struct wire_##one item;                                      \
        assert_int_equal(m.list.count, 1);                           \
        assert_true(wire_next_##one(&r, &item));                     \
        return item;                                                 \
    }
DEFINE_ONLY(entry, values, entries)
DEFINE_ONLY(outcome, outcomes, outcomes)

static inline struct wire_entry expect_entry(struct fixture *f)
{
    return only_entry(expect_values(f));
}

static inline struct wire_entry get(struct fixture *f, const char *key)
{
    ask(f, key);
    return expect_entry(f);
}

static inline struct wire_outcome expect_outcome(struct fixture *f)
{
    return only_outcome(expect_outcomes(f));
}

static inline void ask_set(struct fixture *f, const char *key, struct slice value, const char *tag)
{
    struct slice t = S(tag);
    struct wire_item item = {.key = S(key),
                             .value = value,
                             .ttl_ms = WIRE_TTL_DEFAULT,
                             .stale_ms = WIRE_TTL_DEFAULT,
                             .tags = {tag ? 1 : 0, &t}};
    SAY(f, set, .items = {1, &item});
}

static inline unsigned set(struct fixture *f, const char *key, const char *value, const char *tag)
{
    ask_set(f, key, S(value), tag);
    return expect_outcome(f).status;
}

static inline void assert_slice(struct slice s, const char *text)
{
    assert_int_equal(s.size, strlen(text));
    assert_memory_equal(s.data, text, s.size);
}

static inline struct session_figures figures(struct fixture *f)
{
    struct session_figures figures;
    sessions_measure(f->sessions, &figures);
    return figures;
}

#define GREETED(name)   cmocka_unit_test_setup_teardown(name, begin_greeted, end)
#define CONNECTED(name) cmocka_unit_test_setup_teardown(name, begin_connected, end)
#define BOUND(name)     cmocka_unit_test_setup_teardown(name, begin_bound, end)

#endif
