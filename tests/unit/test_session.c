/* Sessions over a real cache with two table tiers.  The test is the client: it speaks the wire by hand. */
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
    bool draining, drained;
    int fd; /* the client's end */
    struct buffer in;
    int fds[4];
    unsigned fds_count;
    uint64_t next_id;
};

/* ======= the host ======= */

static uint64_t loop_clock(const void *loop)
{
    return loop_now_ns(loop);
}

static int give_segment(struct session_space *space, int *ret_fd, uint64_t *ret_incarnation,
                        const char **ret_why)
{
    struct fixture *f = space->user;
    *ret_fd = f->segment_fd;
    *ret_incarnation = 77;
    *ret_why = "none here";
    return f->segment_fd < 0 ? -1 : 0;
}

static int open_touch(struct session_space *space, void **ret_page, int *ret_fd)
{
    struct fixture *f = space->user;
    f->touch_pages++;
    *ret_page = f;
    *ret_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    return 0;
}

static void close_touch(struct session_space *space, void *page)
{
    struct fixture *f = page;
    f->touch_pages--;
}

static const struct session_space_ops space_ops = {give_segment, open_touch, close_touch};

static struct session_space *find_space(void *user, struct slice name)
{
    struct fixture *f = user;
    bool known = name.size == 0 || slice_equal(name, slice_text("default"));
    return known ? &f->space : NULL;
}

static int make_document(void *user, const struct session_question *q, struct buffer *ret)
{
    char text[200];
    int size = snprintf(text, sizeof(text), "{\"kind\":%d,\"key\":\"%.*s\",\"status\":%d}", q->kind,
                        (int)q->key.size, (const char *)q->key.data, q->get ? (int)q->get->status : -1);
    return buffer_append(ret, text, (size_t)size);
}

static void make_cache(struct fixture *f)
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

static int begin(void **state)
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

static int connect_session(struct fixture *f)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    struct peer peer = {getuid(), getgid(), getpid()};
    sessions_take(f->sessions, fds[1], &peer);
    return fds[0];
}

static void on_drained(void *user)
{
    ((struct fixture *)user)->drained = true;
}

static void drain(struct fixture *f, uint64_t timeout_ns)
{
    f->draining = true;
    sessions_drain(f->sessions, loop_now_ns(f->loop) + timeout_ns, on_drained, f);
}

static int end(void **state)
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

static void take_fds(struct fixture *f, struct msghdr *m)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
        unsigned count = (unsigned)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(f->fds + f->fds_count, CMSG_DATA(h), count * sizeof(int));
        f->fds_count += count;
    }
}

/* >0 bytes, 0 end of file, -1 nothing yet. */
static ssize_t hear_some(struct fixture *f)
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
static bool hear(struct fixture *f, struct wire_head *ret_head, struct reader *ret_fields)
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

static void say_bytes(struct fixture *f, const void *bytes, size_t size)
{
    assert_int_equal(send(f->fd, bytes, size, MSG_NOSIGNAL), size);
}

#define SAY(f, name, ...) say_##name(f, &(struct wire_##name){__VA_ARGS__})
#define DEFINE_SAY(name)                                                       \
    static uint64_t say_##name(struct fixture *f, const struct wire_##name *m) \
    {                                                                          \
        struct buffer b = {.limit = 1 << 24};                                  \
        assert_int_equal(wire_write_##name(&b, ++f->next_id, m, 1 << 24), 0);  \
        say_bytes(f, b.data, b.size);                                          \
        buffer_finish(&b);                                                     \
        return f->next_id;                                                     \
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
DEFINE_SAY(pong)

#define DEFINE_EXPECT(NAME, name)                                  \
    static struct wire_##name expect_##name(struct fixture *f)     \
    {                                                              \
        struct wire_head head;                                     \
        struct reader fields;                                      \
        struct wire_##name m;                                      \
        assert_true(hear(f, &head, &fields));                      \
        assert_string_equal(wire_code_name(head.code), #NAME);     \
        assert_int_equal(wire_read_##name(&fields, &head, &m), 0); \
        return m;                                                  \
    }
DEFINE_EXPECT(WELCOME, welcome)
DEFINE_EXPECT(RESULT, result)
DEFINE_EXPECT(PONG, pong)
DEFINE_EXPECT(VALUES, values)
DEFINE_EXPECT(OUTCOMES, outcomes)
DEFINE_EXPECT(PAGE, page)
DEFINE_EXPECT(DOCUMENT, document)

static void expect_status(struct fixture *f, enum status status)
{
    struct wire_result m = expect_result(f);
    assert_string_equal(status_name(m.status), status_name(status));
}

static void expect_hang_up(struct fixture *f)
{
    struct wire_head head;
    struct reader fields;
    assert_false(hear(f, &head, &fields));
}

static struct wire_welcome greet_as(struct fixture *f, const char *tenant, unsigned want)
{
    SAY(f, hello, .version_min = 1, .version_max = 1, .namespace = S("default"), .tenant = S(tenant),
        .client = S("test"), .want = (uint8_t)want, .mono_ns = clock_mono_ns(), .boot_ns = clock_boot_ns());
    return expect_welcome(f);
}

static int begin_greeted(void **state)
{
    begin(state);
    struct fixture *f = *state;
    f->fd = connect_session(f);
    greet_as(f, "", 0);
    return 0;
}

static int begin_bound(void **state)
{
    begin(state);
    struct fixture *f = *state;
    f->fd = connect_session(f);
    greet_as(f, "acme", 0);
    return 0;
}

static int begin_connected(void **state)
{
    begin(state);
    struct fixture *f = *state;
    f->fd = connect_session(f);
    return 0;
}

static void ask(struct fixture *f, const char *key)
{
    struct slice k = S(key);
    SAY(f, get, .keys = {1, &k});
}

static struct wire_entry expect_entry(struct fixture *f)
{
    struct wire_values m = expect_values(f);
    struct reader r = reader_of(m.entries.raw);
    struct wire_entry e;
    assert_int_equal(m.entries.count, 1);
    assert_true(wire_next_entry(&r, &e));
    return e;
}

static struct wire_entry get(struct fixture *f, const char *key)
{
    ask(f, key);
    return expect_entry(f);
}

static struct wire_outcome expect_outcome(struct fixture *f)
{
    struct wire_outcomes m = expect_outcomes(f);
    struct reader r = reader_of(m.outcomes.raw);
    struct wire_outcome o;
    assert_int_equal(m.outcomes.count, 1);
    assert_true(wire_next_outcome(&r, &o));
    return o;
}

static void ask_set(struct fixture *f, const char *key, struct slice value, const char *tag)
{
    struct slice t = S(tag);
    struct wire_item item = {.key = S(key),
                             .value = value,
                             .ttl_ms = WIRE_TTL_DEFAULT,
                             .stale_ms = WIRE_TTL_DEFAULT,
                             .tags = {tag ? 1 : 0, &t}};
    SAY(f, set, .items = {1, &item});
}

static unsigned set(struct fixture *f, const char *key, const char *value, const char *tag)
{
    ask_set(f, key, S(value), tag);
    return expect_outcome(f).status;
}

static void assert_slice(struct slice s, const char *text)
{
    assert_int_equal(s.size, strlen(text));
    assert_memory_equal(s.data, text, s.size);
}

static struct session_figures figures(struct fixture *f)
{
    struct session_figures figures;
    sessions_measure(f->sessions, &figures);
    return figures;
}

/* ======= hello ======= */

static void hello_is_answered_with_names_and_limits(void **state)
{
    struct fixture *f = *state;
    struct wire_welcome w = greet_as(f, "", 0);
    assert_slice(w.namespace, "default");
    assert_slice(w.daemon, "test");
    assert_int_equal(w.version, 1);
    assert_int_equal(w.key_max, WIRE_KEY_MAX);
    assert_int_equal(w.value_max, 100000);
    assert_true(w.frame_max >= w.value_max + WIRE_FRAME_ROOM);
    assert_int_equal(w.descriptors, 0);
}

static void segment_and_touch_page_come_with_the_welcome(void **state)
{
    struct fixture *f = *state;
    struct wire_welcome w = greet_as(f, "", WIRE_WANT_SEGMENT | WIRE_WANT_TOUCH);
    assert_int_equal(w.descriptors, 2);
    assert_int_equal(f->fds_count, 2);
    assert_int_equal(w.incarnation, 77);
    assert_int_equal(w.why_no_segment.size, 0);
    assert_int_equal(f->touch_pages, 1);
}

static void attaching_again_replaces_the_touch_page(void **state)
{
    struct fixture *f = *state;
    greet_as(f, "", WIRE_WANT_SEGMENT | WIRE_WANT_TOUCH);
    greet_as(f, "", WIRE_WANT_SEGMENT | WIRE_WANT_TOUCH);
    assert_int_equal(f->fds_count, 4);
    assert_int_equal(f->touch_pages, 1);
}

static void the_touch_page_goes_with_its_client(void **state)
{
    struct fixture *f = *state;
    greet_as(f, "", WIRE_WANT_SEGMENT | WIRE_WANT_TOUCH);
    close(f->fd);
    f->fd = -1;
    while (f->touch_pages)
        loop_run_once(f->loop);
}

static void a_clock_that_differs_gets_no_segment(void **state)
{
    struct fixture *f = *state;
    SAY(f, hello, .version_min = 1, .version_max = 1, .want = WIRE_WANT_SEGMENT,
        .mono_ns = clock_mono_ns() + NS_PER_S, .boot_ns = clock_boot_ns());
    struct wire_welcome w = expect_welcome(f);
    assert_int_equal(w.descriptors, 0);
    assert_true(w.why_no_segment.size > 0);
}

static void a_bound_connection_gets_no_segment(void **state)
{
    struct fixture *f = *state;
    struct wire_welcome w = greet_as(f, "acme", WIRE_WANT_SEGMENT);
    assert_int_equal(w.descriptors, 0);
    assert_non_null(memmem(w.why_no_segment.data, w.why_no_segment.size, "tenant", 6));
}

static void a_secret_namespace_gives_no_segment(void **state)
{
    struct fixture *f = *state;
    f->space.secret = true;
    struct wire_welcome w = greet_as(f, "", WIRE_WANT_SEGMENT);
    assert_int_equal(w.descriptors, 0);
    assert_non_null(memmem(w.why_no_segment.data, w.why_no_segment.size, "secret", 6));
}

static void no_version_in_common_says_so(void **state)
{
    struct fixture *f = *state;
    SAY(f, hello, .version_min = 2, .version_max = 9);
    expect_status(f, STATUS_BAD_VERSION);
    greet_as(f, "", 0); /* and may try again */
}

static void an_unknown_namespace_says_so(void **state)
{
    struct fixture *f = *state;
    SAY(f, hello, .version_min = 1, .version_max = 1, .namespace = S("other"));
    expect_status(f, STATUS_NO_NAMESPACE);
}

static void nobody_leaves_the_tenant_he_is_bound_to(void **state)
{
    struct fixture *f = *state;
    greet_as(f, "acme", 0);
    SAY(f, hello, .version_min = 1, .version_max = 1, .tenant = S(""));
    expect_status(f, STATUS_DENIED);
    assert_int_equal(get(f, "other:1").status, STATUS_DENIED);
}

static void ping_works_before_hello(void **state)
{
    struct fixture *f = *state;
    SAY(f, ping, .payload = S("are you there"));
    assert_slice(expect_pong(f).payload, "are you there");
}

static void everything_else_waits_for_hello(void **state)
{
    struct fixture *f = *state;
    ask(f, "k");
    expect_status(f, STATUS_BAD_REQUEST);
    greet_as(f, "", 0);
}

static void a_large_frame_before_hello_is_a_broken_one(void **state)
{
    struct fixture *f = *state;
    say_bytes(f, "\0\0\x10\1", 4); /* 4097 */
    expect_status(f, STATUS_BAD_FRAME);
    expect_hang_up(f);
}

/* ======= get and set ======= */

static void what_was_set_is_found(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set(f, "k", "value", NULL), STATUS_OK);
    struct wire_entry e = get(f, "k");
    assert_int_equal(e.status, STATUS_HIT);
    assert_int_equal(e.tier, TIER_L1);
    assert_slice(e.value, "value");
    assert_in_range(e.ttl_ms, 1, 60000);
}

static void a_miss_carries_reason_and_token(void **state)
{
    struct fixture *f = *state;
    struct wire_entry e = get(f, "k");
    assert_int_equal(e.status, STATUS_MISS);
    assert_int_equal(e.reason, MISS_COLD);
    assert_true(e.token.size > 0);
}

static void a_batch_is_answered_in_the_order_of_its_keys(void **state)
{
    struct fixture *f = *state;
    set(f, "a", "1", NULL);
    set(f, "c", "3", NULL);
    struct slice keys[] = {S("a"), S("b"), S("c")};
    SAY(f, get, .keys = {3, keys});
    struct wire_values m = expect_values(f);
    struct reader r = reader_of(m.entries.raw);
    const unsigned expected[] = {STATUS_HIT, STATUS_MISS, STATUS_HIT};
    for (unsigned i = 0; i < 3; i++) {
        struct wire_entry e;
        assert_true(wire_next_entry(&r, &e));
        assert_int_equal(e.status, expected[i]);
    }
}

static void a_batch_with_a_slow_key_keeps_order_and_values(void **state)
{
    struct fixture *f = *state;
    set(f, "slow", "from warm", NULL);
    set(f, "fast", "from l1", NULL);
    f->l1.ops.drop(&f->l1.tier, S("slow"), 0, 0);
    f->warm.slow = true;
    struct slice keys[] = {S("slow"), S("fast")};
    SAY(f, get, .keys = {2, keys});
    while (!f->warm.waiting_count)
        loop_run_once(f->loop);
    set(f, "fast", "changed", NULL); /* the batch has its own copy of what it saw */
    table_tier_land(&f->warm);
    struct wire_values m = expect_values(f);
    struct reader r = reader_of(m.entries.raw);
    struct wire_entry e;
    assert_true(wire_next_entry(&r, &e));
    assert_slice(e.value, "from warm");
    assert_true(wire_next_entry(&r, &e));
    assert_slice(e.value, "from l1");
}

static void later_requests_overtake_one_that_waits(void **state)
{
    struct fixture *f = *state;
    struct wire_head head;
    struct reader fields;
    f->warm.slow = true;
    ask(f, "slow");
    uint64_t ping = SAY(f, ping, .payload = S(""));
    assert_true(hear(f, &head, &fields));
    assert_int_equal(head.id, ping);
    table_tier_land(&f->warm);
    assert_true(hear(f, &head, &fields));
    assert_int_equal(head.id, ping - 1);
}

static void every_request_has_exactly_one_reply(void **state)
{
    struct fixture *f = *state;
    enum { ROUNDS = 300 };
    uint8_t seen[ROUNDS + 2] = {0};
    struct buffer b = {.limit = 1 << 24};
    struct slice keys[] = {S("a"), S("b")};
    struct wire_item item = {.key = S("a"), .value = S("x"), .ttl_ms = WIRE_TTL_DEFAULT};
    uint64_t first = f->next_id + 1;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t id = ++f->next_id;
        if (i % 3 == 0)
            wire_write_get(&b, id, &(struct wire_get){.keys = {2, keys}}, 4096);
        else if (i % 3 == 1)
            wire_write_set(&b, id, &(struct wire_set){.items = {1, &item}}, 4096);
        else
            wire_write_values(&b, id, &(struct wire_values){0}, 4096); /* not a request at all */
    }
    f->warm.slow = true;
    say_bytes(f, b.data, b.size);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct wire_head head;
        struct reader fields;
        while (f->in.size == 0 && hear_some(f) < 0) {
            table_tier_land(&f->warm);
            loop_run_once(f->loop);
        }
        assert_true(hear(f, &head, &fields));
        assert_int_equal(seen[head.id - first]++, 0);
    }
    assert_int_equal(f->in.size, 0);
    buffer_finish(&b);
}

static void entries_that_do_not_fit_are_to_be_asked_alone(void **state)
{
    struct fixture *f = *state;
    static char big[250];
    enum { KEYS = 1024 };
    static struct slice keys[KEYS];
    memset(big, 'v', sizeof(big) - 1);
    assert_int_equal(set(f, "k", big, NULL), STATUS_OK);
    f->cache_options.max_value = 1; /* frames of 256 KiB: 1,024 times 250 bytes and heads are more */
    int other = connect_session(f), first = f->fd;
    f->fd = other;
    greet_as(f, "", 0);
    for (unsigned i = 0; i < KEYS; i++)
        keys[i] = S("k");
    SAY(f, get, .keys = {KEYS, keys});
    struct wire_values m = expect_values(f);
    struct reader r = reader_of(m.entries.raw);
    struct wire_entry e;
    unsigned hits = 0, alone = 0;
    while (wire_next_entry(&r, &e)) {
        hits += e.status == STATUS_HIT;
        alone += e.status == STATUS_ALONE;
    }
    assert_int_equal(hits + alone, KEYS);
    assert_true(hits > 100 && alone > 10);
    assert_int_equal(get(f, "k").status, STATUS_HIT);
    close(first);
}

static void a_change_is_answered_only_when_it_is_safe(void **state)
{
    struct fixture *f = *state;
    f->warm.unsafe = true;
    ask_set(f, "k", S("v"), NULL);
    while (!f->warm.barriers_count)
        loop_run_once(f->loop);
    SAY(f, ping, .payload = S(""));
    expect_pong(f); /* and not the outcome */
    table_tier_commit(&f->warm);
    assert_int_equal(expect_outcome(f).status, STATUS_OK);
}

static void touch_prolongs(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v", NULL);
    struct slice key = S("k");
    SAY(f, touch, .ttl_ms = 500000, .keys = {1, &key});
    assert_int_equal(expect_outcome(f).status, STATUS_OK);
    assert_in_range(get(f, "k").ttl_ms, 60001, 500000);
}

static void a_get_past_its_deadline_is_a_miss_that_says_so(void **state)
{
    struct fixture *f = *state;
    f->warm.slow = true;
    struct slice keys[] = {S("a"), S("b")};
    SAY(f, get, .timeout_ms = 1, .keys = {1, keys});
    assert_int_equal(expect_entry(f).reason, MISS_TIMEOUT);
    SAY(f, get, .timeout_ms = 1, .keys = {2, keys});
    assert_int_equal(expect_values(f).entries.count, 2);
    table_tier_land(&f->warm); /* the late answers are dropped */
    SAY(f, ping, .payload = S(""));
    expect_pong(f);
    assert_int_equal(figures(f).requests_timed_out, 2);
    assert_int_equal(figures(f).requests_in_flight, 0);
}

static void a_change_past_its_deadline_is_unknown_and_goes_on(void **state)
{
    struct fixture *f = *state;
    f->warm.unsafe = true;
    f->options.request_timeout = NS_PER_MS;
    assert_int_equal(set(f, "k", "v", NULL), STATUS_UNKNOWN);
    assert_slice(get(f, "k").value, "v");
}

/* ======= invalidate ======= */

static void a_tag_kills_what_carries_it(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v", "t");
    struct slice tag = S("t");
    SAY(f, invalidate, .tags = {1, &tag});
    expect_status(f, STATUS_OK);
    assert_int_equal(get(f, "k").status, STATUS_MISS);
}

static void a_key_is_counted(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v", NULL);
    struct slice keys[] = {S("k"), S("not there")};
    SAY(f, invalidate, .keys = {2, keys});
    struct wire_result m = expect_result(f);
    assert_int_equal(m.status, STATUS_OK);
    assert_int_equal(m.count, 1);
}

static void naming_nothing_is_a_bad_request(void **state)
{
    struct fixture *f = *state;
    SAY(f, invalidate, .flags = WIRE_INVALIDATE_SOFT);
    expect_status(f, STATUS_BAD_REQUEST);
}

static void a_glob_is_not_known_yet(void **state)
{
    struct fixture *f = *state;
    struct slice glob = S("*:x");
    SAY(f, invalidate, .globs = {1, &glob});
    expect_status(f, STATUS_UNSUPPORTED);
}

/* ======= tenants ======= */

static void a_bound_connection_names_only_its_own_keys(void **state)
{
    struct fixture *f = *state;
    struct slice foreign = S("acmex:1");
    assert_int_equal(set(f, "acme:1", "v", NULL), STATUS_OK);
    assert_int_equal(get(f, "acme:1").status, STATUS_HIT);
    assert_int_equal(set(f, "other:1", "v", NULL), STATUS_DENIED);
    assert_int_equal(get(f, "acme").status, STATUS_DENIED);
    SAY(f, touch, .keys = {1, &foreign});
    assert_int_equal(expect_outcome(f).status, STATUS_DENIED);
    SAY(f, invalidate, .keys = {1, &foreign});
    expect_status(f, STATUS_DENIED);
    SAY(f, invalidate, .prefixes = {1, &foreign});
    expect_status(f, STATUS_DENIED);
    SAY(f, explain, .key = foreign);
    expect_status(f, STATUS_DENIED);
    SAY(f, keys, .prefix = foreign);
    expect_status(f, STATUS_DENIED);
}

static void tags_of_two_tenants_are_two_tags(void **state)
{
    struct fixture *f = *state;
    struct slice tag = S("t"), long_name = S("acme:t");
    int unbound = connect_session(f), bound = f->fd;
    set(f, "acme:1", "v", "t");
    f->fd = unbound;
    greet_as(f, "", 0);
    SAY(f, invalidate, .tags = {1, &tag});
    expect_status(f, STATUS_OK);
    f->fd = bound;
    assert_int_equal(get(f, "acme:1").status, STATUS_HIT);
    f->fd = unbound;
    SAY(f, invalidate, .tags = {1, &long_name});
    expect_status(f, STATUS_OK);
    assert_int_equal(get(f, "acme:1").status, STATUS_MISS);
    close(bound);
}

static void everything_of_a_bound_connection_is_the_tenants(void **state)
{
    struct fixture *f = *state;
    int unbound = connect_session(f), bound = f->fd;
    set(f, "acme:1", "v", NULL);
    f->fd = unbound;
    greet_as(f, "", 0);
    set(f, "other:1", "v", NULL);
    f->fd = bound;
    SAY(f, invalidate, .flags = WIRE_INVALIDATE_ALL);
    expect_status(f, STATUS_OK);
    assert_int_equal(get(f, "acme:1").status, STATUS_MISS);
    f->fd = unbound;
    assert_int_equal(get(f, "other:1").status, STATUS_HIT);
    close(bound);
}

static void a_tenant_has_no_colon(void **state)
{
    struct fixture *f = *state;
    SAY(f, hello, .version_min = 1, .version_max = 1, .tenant = S("a:b"));
    expect_status(f, STATUS_BAD_REQUEST);
}

/* ======= looking in ======= */

static void keys_are_listed_page_by_page(void **state)
{
    struct fixture *f = *state;
    char key[20];
    unsigned seen = 0;
    for (unsigned i = 0; i < 10; i++) {
        snprintf(key, sizeof(key), "%s:%u", i % 2 ? "odd" : "even", i);
        set(f, key, "v", NULL);
    }
    char cursor[WIRE_TOKEN_MAX];
    struct wire_page page = {0};
    do {
        SAY(f, keys, .cursor = slice_of(cursor, page.cursor.size), .prefix = S("odd:"), .limit = 2);
        page = expect_page(f);
        assert_true(page.held.count <= 2);
        seen += page.held.count;
        memcpy(cursor, page.cursor.data, page.cursor.size);
    } while (page.cursor.size);
    assert_int_equal(seen, 5);
}

static void a_cursor_of_another_shape_is_refused(void **state)
{
    struct fixture *f = *state;
    SAY(f, keys, .cursor = S("abc"));
    expect_status(f, STATUS_BAD_REQUEST);
}

static void documents_come_from_the_host(void **state)
{
    struct fixture *f = *state;
    say_stats(f, &(struct wire_stats){});
    assert_slice(expect_document(f).json, "{\"kind\":0,\"key\":\"\",\"status\":-1}");
}

static void explain_waits_for_a_slow_tier(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v", NULL);
    f->l1.ops.drop(&f->l1.tier, S("k"), 0, 0);
    f->warm.slow = true;
    SAY(f, explain, .key = S("k"));
    while (!f->warm.waiting_count)
        loop_run_once(f->loop);
    table_tier_land(&f->warm);
    assert_slice(expect_document(f).json, "{\"kind\":2,\"key\":\"k\",\"status\":1}");
}

/* ======= bad input ======= */

static void each_limit_names_itself(void **state)
{
    struct fixture *f = *state;
    static struct slice many[1025];
    for (unsigned i = 0; i < 1025; i++)
        many[i] = S("k");
    SAY(f, get, .keys = {1025, many});
    struct wire_result m = expect_result(f);
    assert_int_equal(m.status, STATUS_LIMIT);
    assert_non_null(memmem(m.message.data, m.message.size, "1024", 4));
    SAY(f, invalidate, .tags = {1025, many});
    expect_status(f, STATUS_LIMIT);
    static char key[1026];
    memset(key, 'k', 1025);
    assert_int_equal(get(f, key).status, STATUS_BAD_KEY);
    assert_int_equal(get(f, "").status, STATUS_BAD_KEY);
    static char value[100001];
    ask_set(f, "k", slice_of(value, sizeof(value)), NULL);
    assert_int_equal(expect_outcome(f).status, STATUS_TOO_BIG);
}

static void seventeen_tags_are_too_many_and_sixteen_repeated_are_not(void **state)
{
    struct fixture *f = *state;
    struct slice tags[32];
    char names[32][4];
    for (unsigned i = 0; i < 32; i++) {
        snprintf(names[i], 4, "%u", i % 16);
        tags[i] = S(names[i]);
    }
    struct wire_item item = {.key = S("k"), .value = S("v"), .ttl_ms = WIRE_TTL_DEFAULT, .tags = {32, tags}};
    SAY(f, set, .items = {1, &item});
    assert_int_equal(expect_outcome(f).status, STATUS_OK);
    tags[31] = S("one more");
    SAY(f, set, .items = {1, &item});
    assert_int_equal(expect_outcome(f).status, STATUS_LIMIT);
}

static void a_payload_that_does_not_decode_is_answered_and_survived(void **state)
{
    struct fixture *f = *state;
    say_bytes(f, "\0\0\0\4\x93\6\7\xc0", 8); /* [GET, 7, nil] */
    struct wire_head head;
    struct reader fields;
    struct wire_result m;
    assert_true(hear(f, &head, &fields));
    assert_int_equal(wire_read_result(&fields, &head, &m), 0);
    assert_int_equal(head.id, 7);
    assert_int_equal(m.status, STATUS_BAD_REQUEST);
    assert_non_null(memmem(m.message.data, m.message.size, "another type", 12));
    assert_int_equal(get(f, "k").status, STATUS_MISS);
}

static void deep_nesting_costs_nothing(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[4 + 2000];
    memset(frame, 0x91, sizeof(frame)); /* an array in an array in an array */
    frame[0] = frame[1] = 0;
    frame[2] = 2000 >> 8;
    frame[3] = 2000 & 0xff;
    frame[4] = 0xdc; /* array of 5: PING, 9, "", then the nest */
    frame[5] = 0;
    frame[6] = 5;
    frame[7] = WIRE_PING;
    frame[8] = 9;
    frame[9] = 0xa0;
    say_bytes(f, frame, sizeof(frame));
    expect_status(f, STATUS_BAD_REQUEST);
    assert_int_equal(get(f, "k").status, STATUS_MISS);
}

static void a_head_that_cannot_be_read_ends_the_connection_with_a_word(void **state)
{
    struct fixture *f = *state;
    say_bytes(f, "\0\0\0\3\xc0\xc0\xc0", 7);
    expect_status(f, STATUS_BAD_FRAME);
    expect_hang_up(f);
}

static void an_unknown_verb_is_named_and_survived(void **state)
{
    struct fixture *f = *state;
    say_bytes(f, "\0\0\0\3\x92\x20\1", 7); /* LEASE */
    struct wire_result m = expect_result(f);
    assert_int_equal(m.status, STATUS_UNSUPPORTED);
    assert_non_null(memmem(m.message.data, m.message.size, "LEASE", 5));
    say_bytes(f, "\0\0\0\3\x92\x7f\1", 7);
    expect_status(f, STATUS_UNSUPPORTED);
    SAY(f, pong, .payload = S("")); /* a reply is no request */
    expect_status(f, STATUS_UNSUPPORTED);
}

/* ======= bounds ======= */

static void requests_over_the_bound_are_read_later_not_refused(void **state)
{
    struct fixture *f = *state;
    char key[20];
    f->options.requests_in_flight = 5;
    f->warm.slow = true;
    for (unsigned i = 0; i < 20; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        ask(f, key);
    }
    while (f->warm.waiting_count < 5)
        loop_run_once(f->loop);
    loop_run_once(f->loop);
    assert_int_equal(f->warm.waiting_count, 5);
    assert_int_equal(figures(f).requests_in_flight, 5);
    for (unsigned i = 0; i < 20; i++) {
        while (f->in.size == 0 && hear_some(f) < 0) {
            assert_true(f->warm.waiting_count <= 5);
            table_tier_land(&f->warm);
            loop_run_once(f->loop);
        }
        assert_int_equal(expect_entry(f).status, STATUS_MISS);
    }
}

static void late_answers_above_the_bound_are_busy(void **state)
{
    struct fixture *f = *state;
    enum { ASKED = 40 };
    unsigned busy = 0, hits = 0;
    f->options.write_stop = f->options.write_kill = 1000;
    set(f, "k", "a value of some length, so that a few of them are more than the bound", NULL);
    f->l1.ops.drop(&f->l1.tier, S("k"), 0, 0);
    f->warm.slow = true;
    for (unsigned i = 0; i < ASKED; i++)
        ask(f, "k");
    while (figures(f).requests_in_flight < ASKED)
        loop_run_once(f->loop);
    table_tier_land(&f->warm); /* answers all in one turn */
    for (unsigned i = 0; i < ASKED; i++) {
        struct wire_entry e = expect_entry(f);
        busy += e.status == STATUS_BUSY;
        hits += e.status == STATUS_HIT;
    }
    assert_int_equal(busy + hits, ASKED);
    assert_in_range(hits, 5, 20);
}

static void a_peer_that_dies_with_requests_under_way_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    f->warm.slow = true;
    struct slice keys[] = {S("a"), S("b")};
    SAY(f, get, .keys = {2, keys});
    while (!f->warm.waiting_count)
        loop_run_once(f->loop);
    close(f->fd);
    f->fd = -1;
    while (figures(f).client_connections)
        loop_run_once(f->loop);
    assert_int_equal(figures(f).requests_in_flight, 1);
    table_tier_land(&f->warm);
    assert_int_equal(figures(f).requests_in_flight, 0);
    assert_int_equal(figures(f).replies_dropped, 1);
}

static void half_close_waits_for_what_is_under_way(void **state)
{
    struct fixture *f = *state;
    f->warm.slow = true;
    ask(f, "k");
    shutdown(f->fd, SHUT_WR);
    while (!f->warm.waiting_count)
        loop_run_once(f->loop);
    loop_run_once(f->loop);
    table_tier_land(&f->warm);
    assert_int_equal(expect_entry(f).status, STATUS_MISS);
    expect_hang_up(f);
}

static void one_client_too_many_is_told_busy(void **state)
{
    struct fixture *f = *state;
    f->options.connections = 1;
    int first = f->fd;
    f->fd = connect_session(f);
    expect_status(f, STATUS_BUSY);
    expect_hang_up(f);
    close(first);
    assert_int_equal(figures(f).connections_refused, 1);
}

/* ======= drain ======= */

static void a_drain_finishes_what_is_under_way(void **state)
{
    struct fixture *f = *state;
    f->warm.slow = true;
    ask(f, "k");
    while (!f->warm.waiting_count)
        loop_run_once(f->loop);
    drain(f, 3600 * NS_PER_S);
    ask(f, "late");
    expect_status(f, STATUS_DRAINING);
    table_tier_land(&f->warm);
    assert_int_equal(expect_entry(f).status, STATUS_MISS);
    expect_hang_up(f);
    while (!f->drained)
        loop_run_once(f->loop);
}

static void a_drain_cuts_at_its_deadline(void **state)
{
    struct fixture *f = *state;
    f->warm.slow = true;
    ask(f, "k");
    while (!f->warm.waiting_count)
        loop_run_once(f->loop);
    drain(f, 0);
    expect_hang_up(f);
    assert_false(f->drained); /* the cache still holds the request */
    table_tier_land(&f->warm);
    while (!f->drained)
        loop_run_once(f->loop);
}

static void nobody_is_taken_while_draining(void **state)
{
    struct fixture *f = *state;
    drain(f, NS_PER_S);
    close(f->fd);
    f->fd = connect_session(f);
    expect_status(f, STATUS_BUSY);
}

#define GREETED(name)   cmocka_unit_test_setup_teardown(name, begin_greeted, end)
#define CONNECTED(name) cmocka_unit_test_setup_teardown(name, begin_connected, end)
#define BOUND(name)     cmocka_unit_test_setup_teardown(name, begin_bound, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONNECTED(hello_is_answered_with_names_and_limits),
        CONNECTED(segment_and_touch_page_come_with_the_welcome),
        CONNECTED(attaching_again_replaces_the_touch_page),
        CONNECTED(the_touch_page_goes_with_its_client),
        CONNECTED(a_clock_that_differs_gets_no_segment),
        CONNECTED(a_bound_connection_gets_no_segment),
        CONNECTED(a_secret_namespace_gives_no_segment),
        CONNECTED(no_version_in_common_says_so),
        CONNECTED(an_unknown_namespace_says_so),
        CONNECTED(nobody_leaves_the_tenant_he_is_bound_to),
        CONNECTED(ping_works_before_hello),
        CONNECTED(everything_else_waits_for_hello),
        CONNECTED(a_large_frame_before_hello_is_a_broken_one),
        GREETED(what_was_set_is_found),
        GREETED(a_miss_carries_reason_and_token),
        GREETED(a_batch_is_answered_in_the_order_of_its_keys),
        GREETED(a_batch_with_a_slow_key_keeps_order_and_values),
        GREETED(later_requests_overtake_one_that_waits),
        GREETED(every_request_has_exactly_one_reply),
        GREETED(entries_that_do_not_fit_are_to_be_asked_alone),
        GREETED(a_change_is_answered_only_when_it_is_safe),
        GREETED(touch_prolongs),
        GREETED(a_get_past_its_deadline_is_a_miss_that_says_so),
        GREETED(a_change_past_its_deadline_is_unknown_and_goes_on),
        GREETED(a_tag_kills_what_carries_it),
        GREETED(a_key_is_counted),
        GREETED(naming_nothing_is_a_bad_request),
        GREETED(a_glob_is_not_known_yet),
        BOUND(a_bound_connection_names_only_its_own_keys),
        BOUND(tags_of_two_tenants_are_two_tags),
        BOUND(everything_of_a_bound_connection_is_the_tenants),
        CONNECTED(a_tenant_has_no_colon),
        GREETED(keys_are_listed_page_by_page),
        GREETED(a_cursor_of_another_shape_is_refused),
        GREETED(documents_come_from_the_host),
        GREETED(explain_waits_for_a_slow_tier),
        GREETED(each_limit_names_itself),
        GREETED(seventeen_tags_are_too_many_and_sixteen_repeated_are_not),
        GREETED(a_payload_that_does_not_decode_is_answered_and_survived),
        GREETED(deep_nesting_costs_nothing),
        GREETED(a_head_that_cannot_be_read_ends_the_connection_with_a_word),
        GREETED(an_unknown_verb_is_named_and_survived),
        GREETED(requests_over_the_bound_are_read_later_not_refused),
        GREETED(late_answers_above_the_bound_are_busy),
        GREETED(a_peer_that_dies_with_requests_under_way_leaves_nothing),
        GREETED(half_close_waits_for_what_is_under_way),
        GREETED(one_client_too_many_is_told_busy),
        GREETED(a_drain_finishes_what_is_under_way),
        GREETED(a_drain_cuts_at_its_deadline),
        GREETED(nobody_is_taken_while_draining),
    };
    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
