/* liblarder against a peer that behaves as no daemon does: a thread that follows a script.  Only for what a real
 * larderd cannot be made to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "client/larder.h"
#include "proto/shm.h"
#include "proto/wire.h"

/* ======= the peer ======= */

struct peer;
/* Serves one connection and returns when it has had enough. */
typedef void script_fn(struct peer *p, int fd);

struct peer {
    char path[64];
    int listener, stop[2];
    pthread_t thread;
    script_fn *script;
    int connections;
};

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

/* The next request's head; false when the client is gone. */
static bool take_request(int fd, struct wire_head *ret)
{
    static uint8_t bytes[1 << 20];
    ssize_t n = read_frame(fd, bytes, sizeof(bytes));
    if (n < 0)
        return false;
    struct reader r = reader_of(slice_of(bytes, (size_t)n));
    return wire_read_head(&r, ret) == 0;
}

static void send_bytes(int fd, const struct buffer *b, size_t size)
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
    assert_true(sendmsg(fd, &m, MSG_NOSIGNAL) > 0);
}

static struct wire_welcome welcome_message(unsigned descriptors)
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

static void send_welcome(int fd, uint64_t id, const struct wire_welcome *w, const int *fds, unsigned count)
{
    struct buffer b;
    buffer_init(&b, 4096 + 4);
    assert_int_equal(wire_write_welcome(&b, id, w, 4096), 0);
    send_with_fds(fd, &b, fds, count);
    buffer_finish(&b);
}

static bool welcome(int fd)
{
    struct wire_head head;
    struct wire_welcome w = welcome_message(0);
    if (!take_request(fd, &head) || head.code != WIRE_HELLO)
        return false;
    send_welcome(fd, head.id, &w, NULL, 0);
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

static void peer_start(struct peer *p, script_fn *script)
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

static void peer_finish(struct peer *p)
{
    shutdown(p->listener, SHUT_RDWR);
    pthread_join(p->thread, NULL);
    close(p->listener);
    unlink(p->path);
    *strrchr(p->path, '/') = '\0';
    rmdir(p->path);
}

static larder_client *open_to(const struct peer *p, bool shared_memory)
{
    larder_client *c;
    larder_options o = LARDER_OPTIONS_INIT;
    o.socket = p->path;
    o.strict = true;
    o.no_shared_memory = !shared_memory;
    assert_int_equal(larder_open(&c, &o), LARDER_OK);
    return c;
}

/* ======= scripts ======= */

static void until_the_client_leaves(int fd)
{
    struct wire_head head;
    while (take_request(fd, &head))
        ;
}

static void never_answers(struct peer *p, int fd)
{
    until_the_client_leaves(fd);
}

static void hangs_up(struct peer *p, int fd)
{
}

static void sends_garbage(struct peer *p, int fd)
{
    static const char bytes[] = "\0\0\0\x10garbage garbage!";
    struct wire_head head;
    take_request(fd, &head);
    send(fd, bytes, sizeof(bytes) - 1, MSG_NOSIGNAL);
    until_the_client_leaves(fd);
}

static void announces_a_giant(struct peer *p, int fd)
{
    struct wire_head head;
    take_request(fd, &head);
    send(fd, "\xff\xff\xff\xff", 4, MSG_NOSIGNAL);
    until_the_client_leaves(fd);
}

static void says_half_a_welcome(struct peer *p, int fd)
{
    struct wire_head head;
    struct wire_welcome w = welcome_message(0);
    struct buffer b;
    buffer_init(&b, 4100);
    take_request(fd, &head);
    wire_write_welcome(&b, head.id, &w, 4096);
    send_bytes(fd, &b, b.size / 2);
    buffer_finish(&b);
    until_the_client_leaves(fd);
}

static void says_half_a_welcome_and_hangs_up(struct peer *p, int fd)
{
    struct wire_head head;
    struct wire_welcome w = welcome_message(0);
    struct buffer b;
    buffer_init(&b, 4100);
    take_request(fd, &head);
    wire_write_welcome(&b, head.id, &w, 4096);
    send_bytes(fd, &b, b.size / 2);
    buffer_finish(&b);
}

static void welcomes_without_limits(struct peer *p, int fd)
{
    struct wire_head head;
    struct wire_welcome w = welcome_message(0);
    w.frame_max = UINT32_MAX;
    take_request(fd, &head);
    send_welcome(fd, head.id, &w, NULL, 0);
    until_the_client_leaves(fd);
}

static void speaks_another_version(struct peer *p, int fd)
{
    struct wire_head head;
    struct wire_welcome w = welcome_message(0);
    w.version = 9;
    take_request(fd, &head);
    send_welcome(fd, head.id, &w, NULL, 0);
    until_the_client_leaves(fd);
}

static void welcomes_and_falls_silent(struct peer *p, int fd)
{
    if (welcome(fd))
        until_the_client_leaves(fd);
}

static void welcomes_and_hangs_up_on_a_request(struct peer *p, int fd)
{
    struct wire_head head;
    if (welcome(fd))
        take_request(fd, &head);
}

static void cuts_a_reply_in_half(struct peer *p, int fd)
{
    struct wire_head head;
    struct buffer b;
    buffer_init(&b, 4100);
    if (welcome(fd) && take_request(fd, &head)) {
        struct wire_pong pong = {.payload = slice_text("larder")};
        wire_write_pong(&b, head.id, &pong, 4096);
        send_bytes(fd, &b, b.size - 2);
    }
    buffer_finish(&b);
}

static void send_pong(int fd, uint64_t id, const char *payload)
{
    struct wire_pong pong = {.payload = slice_text(payload)};
    struct buffer b;
    buffer_init(&b, 4100);
    wire_write_pong(&b, id, &pong, 4096);
    send_bytes(fd, &b, b.size);
    buffer_finish(&b);
}

static void answers_late_replies_first(struct peer *p, int fd)
{
    struct wire_head head;
    if (!welcome(fd))
        return;
    while (take_request(fd, &head)) {
        send_pong(fd, head.id + 1000, "another's");
        send_pong(fd, head.id - 1, "late");
        send_pong(fd, head.id, "larder");
    }
}

static void answers_with_another_message(struct peer *p, int fd)
{
    struct wire_head head;
    if (!welcome(fd))
        return;
    while (take_request(fd, &head))
        send_pong(fd, head.id, "not what was asked");
}

static void answers_one_byte_at_a_time(struct peer *p, int fd)
{
    struct wire_head head;
    struct buffer b;
    struct wire_pong pong = {.payload = slice_text("larder")};
    buffer_init(&b, 4100);
    if (welcome(fd) && take_request(fd, &head)) {
        wire_write_pong(&b, head.id, &pong, 4096);
        for (size_t i = 0; i < b.size; i++)
            send(fd, b.data + i, 1, MSG_NOSIGNAL);
        until_the_client_leaves(fd);
    }
    buffer_finish(&b);
}

static void answers_fewer_entries_than_keys(struct peer *p, int fd)
{
    struct wire_head head;
    struct buffer b;
    struct wire_values none = {.entries = {.count = 0}};
    buffer_init(&b, 4100);
    if (welcome(fd) && take_request(fd, &head)) {
        wire_write_values(&b, head.id, &none, 4096);
        send_bytes(fd, &b, b.size);
        until_the_client_leaves(fd);
    }
    buffer_finish(&b);
}

/* A first connection that breaks after a request, then one that answers. */
static void breaks_once(struct peer *p, int fd)
{
    struct wire_head head;
    if (!welcome(fd) || !take_request(fd, &head))
        return;
    send_pong(fd, head.id, "larder"); /* the connection is worth keeping */
    if (p->connections == 1) {
        take_request(fd, &head);
        return;
    }
    while (take_request(fd, &head))
        send_pong(fd, head.id, "larder");
}

/* ======= hellos that go wrong ======= */

static int ping_of(script_fn *script)
{
    struct peer p;
    peer_start(&p, script);
    larder_client *c = open_to(&p, false);
    int r = larder_ping(c);
    larder_close(c);
    peer_finish(&p);
    return r;
}

static void a_peer_that_never_answers_is_a_time_out(void **state)
{
    assert_int_equal(ping_of(never_answers), LARDER_E_TIMEOUT);
}

static void a_peer_that_hangs_up_is_unreachable(void **state)
{
    assert_int_equal(ping_of(hangs_up), LARDER_E_UNREACHABLE);
}

static void garbage_is_a_protocol_error(void **state)
{
    assert_int_equal(ping_of(sends_garbage), LARDER_E_PROTOCOL);
}

static void a_giant_length_is_refused_before_memory_is_taken(void **state)
{
    assert_int_equal(ping_of(announces_a_giant), LARDER_E_PROTOCOL);
}

static void half_a_welcome_is_a_time_out(void **state)
{
    assert_int_equal(ping_of(says_half_a_welcome), LARDER_E_TIMEOUT);
}

static void half_a_welcome_and_the_end_is_unreachable(void **state)
{
    assert_int_equal(ping_of(says_half_a_welcome_and_hangs_up), LARDER_E_UNREACHABLE);
}

static void limits_that_make_no_sense_are_a_protocol_error(void **state)
{
    assert_int_equal(ping_of(welcomes_without_limits), LARDER_E_PROTOCOL);
}

static void another_version_is_named_so(void **state)
{
    assert_int_equal(ping_of(speaks_another_version), LARDER_E_VERSION);
}

/* It would pass over the words in silence, and the caller would believe a promise nobody gave. */
static void what_an_older_daemon_does_not_know_is_not_asked_of_it(void **state)
{
    struct peer p;
    larder_set_options set = LARDER_SET_OPTIONS_INIT;
    larder_invalidate_options invalidate = LARDER_INVALIDATE_OPTIONS_INIT;
    peer_start(&p, welcomes_and_falls_silent);
    larder_client *c = open_to(&p, false);
    set.wait_all = invalidate.wait_all = invalidate.all = true;
    assert_int_equal(larder_set(c, larder_text("k"), larder_text("v"), &set), LARDER_E_UNSUPPORTED);
    assert_int_equal(larder_invalidate_all_of(c, &invalidate), LARDER_E_UNSUPPORTED);
    larder_close(c);
    peer_finish(&p);
}

/* ======= replies that go wrong ======= */

static void silence_after_a_request_is_a_time_out(void **state)
{
    assert_int_equal(ping_of(welcomes_and_falls_silent), LARDER_E_TIMEOUT);
}

static void replies_to_others_are_dropped(void **state)
{
    assert_int_equal(ping_of(answers_late_replies_first), LARDER_OK);
}

static void a_reply_in_single_bytes_is_put_together(void **state)
{
    assert_int_equal(ping_of(answers_one_byte_at_a_time), LARDER_OK);
}

static void a_reply_cut_in_half_is_unreachable_for_a_read(void **state)
{
    assert_int_equal(ping_of(cuts_a_reply_in_half), LARDER_E_UNREACHABLE);
}

static void a_reply_of_another_kind_is_a_protocol_error(void **state)
{
    struct peer p;
    peer_start(&p, answers_with_another_message);
    larder_client *c = open_to(&p, false);
    assert_int_equal(larder_invalidate(c, larder_text("k")), LARDER_E_PROTOCOL);
    larder_close(c);
    peer_finish(&p);
}

static void an_entry_too_few_is_a_protocol_error(void **state)
{
    struct peer p;
    larder_value v = LARDER_VALUE_INIT;
    peer_start(&p, answers_fewer_entries_than_keys);
    larder_client *c = open_to(&p, false);
    assert_int_equal(larder_get(c, larder_text("k"), NULL, &v), LARDER_E_PROTOCOL);
    larder_value_free(&v);
    larder_close(c);
    peer_finish(&p);
}

static void a_change_whose_reply_never_comes_is_unknown_and_sent_once(void **state)
{
    struct peer p;
    peer_start(&p, welcomes_and_hangs_up_on_a_request);
    larder_client *c = open_to(&p, false);
    assert_int_equal(larder_set(c, larder_text("k"), larder_text("v"), NULL), LARDER_E_UNKNOWN);
    larder_close(c);
    peer_finish(&p);
    assert_int_equal(p.connections, 1);
}

static void a_read_whose_connection_breaks_is_asked_again_on_a_new_one(void **state)
{
    struct peer p;
    peer_start(&p, breaks_once);
    larder_client *c = open_to(&p, false);
    assert_int_equal(larder_ping(c), LARDER_OK);
    assert_int_equal(larder_ping(c), LARDER_OK);
    larder_close(c);
    peer_finish(&p);
    assert_int_equal(p.connections, 2);
}

static void a_peer_that_cannot_be_had_is_left_alone_for_a_while(void **state)
{
    struct peer p;
    larder_value v = LARDER_VALUE_INIT;
    peer_start(&p, hangs_up);
    larder_client *c = open_to(&p, false);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(larder_get(c, larder_text("k"), NULL, &v), LARDER_E_UNREACHABLE);
    larder_close(c);
    peer_finish(&p);
    assert_true(p.connections < 100); /* a few, one a back-off */
}

/* ======= segments that are none ======= */

static int make_file(size_t bytes, int seals)
{
    int fd = memfd_create("peer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

enum { ALL_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | 0x0010 };
static int handed_seals, handed_count;
static size_t handed_bytes;

static void hands_out_files(struct peer *p, int fd)
{
    struct wire_head head;
    int fds[8];
    struct wire_welcome w = welcome_message((unsigned)handed_count);
    if (!take_request(fd, &head))
        return;
    for (int i = 0; i < handed_count; i++)
        fds[i] = make_file(handed_bytes, handed_seals);
    if (p->connections > 1) /* a connection for requests: it asked for none */
        w.descriptors = 0;
    send_welcome(fd, head.id, &w, fds, p->connections > 1 ? 0 : (unsigned)handed_count);
    for (int i = 0; i < handed_count; i++)
        close(fds[i]);
    while (take_request(fd, &head))
        send_pong(fd, head.id, "larder");
}

static int open_files(void)
{
    int count = 0;
    for (int fd = 3; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Connections go one after the other here, and a client that asks for a segment keeps two. */
static void expect_no_attachment(int seals, size_t bytes, int count)
{
    struct peer p;
    int before = open_files();
    handed_seals = seals;
    handed_bytes = bytes;
    handed_count = count;
    peer_start(&p, hands_out_files);
    larder_client *c = open_to(&p, true);
    larder_counters counted = {.struct_size = sizeof(counted)};
    assert_int_equal(larder_ping(c), LARDER_OK); /* by socket, as if nothing had been handed out */
    assert_int_equal(larder_counted(c, &counted), LARDER_OK);
    assert_int_equal(counted.attaches, 0);
    larder_close(c);
    peer_finish(&p);
    assert_int_equal(open_files(), before);
}

static void a_file_without_seals_is_not_mapped(void **state)
{
    expect_no_attachment(0, 1 << 20, 1);
}

static void a_file_that_could_still_shrink_is_not_mapped(void **state)
{
    expect_no_attachment(ALL_SEALS & ~F_SEAL_SHRINK, 1 << 20, 1);
}

static void a_sealed_file_of_zeroes_is_not_believed(void **state)
{
    expect_no_attachment(ALL_SEALS, 1 << 20, 2);
}

static void an_empty_file_is_not_mapped(void **state)
{
    expect_no_attachment(ALL_SEALS, 0, 1);
}

static void more_descriptors_than_were_asked_for_are_closed(void **state)
{
    struct peer p;
    int before = open_files();
    handed_seals = ALL_SEALS;
    handed_bytes = 4096;
    handed_count = 7;
    peer_start(&p, hands_out_files);
    larder_client *c = open_to(&p, true);
    larder_ping(c);
    larder_close(c);
    peer_finish(&p);
    assert_int_equal(open_files(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_that_never_answers_is_a_time_out),
        cmocka_unit_test(a_peer_that_hangs_up_is_unreachable),
        cmocka_unit_test(garbage_is_a_protocol_error),
        cmocka_unit_test(a_giant_length_is_refused_before_memory_is_taken),
        cmocka_unit_test(half_a_welcome_is_a_time_out),
        cmocka_unit_test(half_a_welcome_and_the_end_is_unreachable),
        cmocka_unit_test(limits_that_make_no_sense_are_a_protocol_error),
        cmocka_unit_test(another_version_is_named_so),
        cmocka_unit_test(what_an_older_daemon_does_not_know_is_not_asked_of_it),
        cmocka_unit_test(silence_after_a_request_is_a_time_out),
        cmocka_unit_test(replies_to_others_are_dropped),
        cmocka_unit_test(a_reply_in_single_bytes_is_put_together),
        cmocka_unit_test(a_reply_cut_in_half_is_unreachable_for_a_read),
        cmocka_unit_test(a_reply_of_another_kind_is_a_protocol_error),
        cmocka_unit_test(an_entry_too_few_is_a_protocol_error),
        cmocka_unit_test(a_change_whose_reply_never_comes_is_unknown_and_sent_once),
        cmocka_unit_test(a_read_whose_connection_breaks_is_asked_again_on_a_new_one),
        cmocka_unit_test(a_peer_that_cannot_be_had_is_left_alone_for_a_while),
        cmocka_unit_test(a_file_without_seals_is_not_mapped),
        cmocka_unit_test(a_file_that_could_still_shrink_is_not_mapped),
        cmocka_unit_test(a_sealed_file_of_zeroes_is_not_believed),
        cmocka_unit_test(an_empty_file_is_not_mapped),
        cmocka_unit_test(more_descriptors_than_were_asked_for_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
