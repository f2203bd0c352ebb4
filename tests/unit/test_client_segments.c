/* liblarder is handed segments that are none: they are not mapped, not believed, and not kept open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "support/client_peer.h"

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
    struct wire_welcome w = peer_welcome((unsigned)handed_count);
    if (!peer_take(fd, &head))
        return;
    for (int i = 0; i < handed_count; i++)
        fds[i] = make_file(handed_bytes, handed_seals);
    if (p->connections > 1) /* a connection for requests: it asked for none */
        w.descriptors = 0;
    peer_send_welcome(fd, head.id, &w, fds, p->connections > 1 ? 0 : (unsigned)handed_count);
    for (int i = 0; i < handed_count; i++)
        close(fds[i]);
    while (peer_take(fd, &head))
        peer_send_pong(fd, head.id, "larder");
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
    larder_client *c = peer_client(&p, true);
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
    larder_client *c = peer_client(&p, true);
    larder_ping(c);
    larder_close(c);
    peer_finish(&p);
    assert_int_equal(open_files(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_without_seals_is_not_mapped),
        cmocka_unit_test(a_file_that_could_still_shrink_is_not_mapped),
        cmocka_unit_test(a_sealed_file_of_zeroes_is_not_believed),
        cmocka_unit_test(an_empty_file_is_not_mapped),
        cmocka_unit_test(more_descriptors_than_were_asked_for_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
