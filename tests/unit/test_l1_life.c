/* The segment as readers and the system see it: seals, lease, death mark, incarnations, touch pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "support/l1_fixture.h"

static int setup(void **state)
{
    *state = fixture_create(0, 0);
    return 0;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

static void nobody_can_write_to_grow_or_shrink_the_segment(void **state)
{
    struct fixture *f = *state;
    int fd = l1_fd(f->l1);
    int wanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
    assert_int_equal(fcntl(fd, F_GET_SEALS) & wanted, wanted);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(ftruncate(fd, 1 << 30), -1);
    assert_ptr_equal(mmap(NULL, SHM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    assert_int_equal(mprotect(f->mapped, SHM_PAGE, PROT_READ | PROT_WRITE), -1);
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
}

static void the_segment_takes_no_more_than_it_was_given(void **state)
{
    for (uint64_t bytes = 4 << 20; bytes <= 64 << 20; bytes *= 4) {
        struct fixture *f = fixture_create(bytes, 0);
        assert_true(f->l1->shape.total_bytes <= bytes);
        assert_true(f->l1->shape.total_bytes > bytes * 97 / 100);
        assert_true(f->l1->shape.segment_count >= 64);
        fixture_destroy(f);
    }
}

static uint64_t mirrored;
static struct shm_header *mirrored_header;
static uint64_t lease_when_mirrored;

static void mirror(void *user, uint64_t alive_until_ns)
{
    mirrored = alive_until_ns;
    lease_when_mirrored = mirrored_header ? order_own(&mirrored_header->alive_until) : 0;
}

static void the_mirror_is_stored_before_the_lease(void **state)
{
    struct fixture *f = *state;
    f->l1->mirror = mirror;
    mirrored_header = f->l1->header;
    uint64_t before = order_own(&f->l1->header->alive_until);
    f->l1->test_now_ns += NS_PER_S;
    l1_tick(f->l1);
    assert_int_equal(mirrored, f->l1->test_now_ns + f->l1->options.l1_lease);
    assert_int_equal(lease_when_mirrored, before);
    assert_int_equal(order_own(&f->l1->header->alive_until), mirrored);
    f->l1->mirror = NULL;
}

/* The child is the daemon: it opens an L1, hands the memfd over and waits to be killed. */
static int receive_fd(int socket)
{
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    assert_int_equal(recvmsg(socket, &message, 0), 1);
    int fd;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
    return fd;
}

static void send_fd(int socket, int fd)
{
    char byte = 1, control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &fd, sizeof(fd));
    CHECK(sendmsg(socket, &message, 0) == 1);
}

static void a_killed_daemon_is_seen_at_once(void **state)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    pid_t daemon = fork();
    if (daemon == 0) {
        struct fixture *f = fixture_create(0, 0);
        fixture_put(f, "k", "v");
        send_fd(pair[1], l1_fd(f->l1));
        for (;;)
            pause();
    }
    int fd = receive_fd(pair[0]);
    struct shm_view view;
    void *mapped = mmap(NULL, 8 << 20, PROT_READ, MAP_SHARED, fd, 0);
    const struct shm_shape *shape = mapped;
    assert_true(shm_view_init(&view, mapped, shape->total_bytes, NULL));
    assert_true(shm_alive(&view));
    kill(daemon, SIGKILL);
    assert_int_equal(waitpid(daemon, NULL, 0), daemon);
    assert_false(shm_alive(&view)); /* the lease of a minute has not run out */
    char value[8];
    struct shm_found found;
    int outcome = shm_get(&view, slice_text("k"), fixture_hash("k"), value, sizeof(value), &found);
    assert_int_equal(outcome, SHM_ASK);
    assert_int_equal(found.reason, SHM_ASK_DEAD);
    munmap(mapped, 8 << 20);
    close(fd);
    close(pair[0]);
    close(pair[1]);
}

static void a_clean_end_closes_the_segment(void **state)
{
    struct fixture *f = fixture_create(0, 0);
    void *mapped = f->mapped;
    struct shm_view view = f->view;
    f->mapped = NULL;
    size_t bytes = f->mapped_bytes;
    l1_unmake(f->l1);
    assert_false(shm_alive(&view));
    assert_int_equal(view.header->state, SHM_CLOSED);
    munmap(mapped, bytes);
    kills_destroy(f->kills);
    free(f);
}

static void a_sequence_nearly_used_up_begins_a_new_incarnation(void **state)
{
    struct fixture *f = *state;
    fixture_put(f, "k", "v");
    uint64_t before = l1_incarnation(f->l1);
    f->l1->seq = L1_SEQ_LAST;
    l1_tick(f->l1);
    assert_int_not_equal(l1_incarnation(f->l1), before);
    assert_int_equal(fixture_see(f, "k").found.reason, SHM_ASK_DEAD); /* the old one is closed */
    fixture_attach(f);
    assert_int_equal(fixture_see(f, "k").found.reason, SHM_ASK_NOT_FOUND);
    fixture_put(f, "k", "again");
    assert_string_equal(fixture_see(f, "k").value, "again");
    assert_int_equal(fixture_measure(f)->l1_incarnation, 2);
}

static void a_clock_nearly_used_up_begins_a_new_incarnation(void **state)
{
    struct fixture *f = *state;
    uint64_t before = l1_incarnation(f->l1);
    f->l1->test_now_ns += (uint64_t)L1_TICKS_LAST * SHM_TICK_NS;
    l1_tick(f->l1);
    assert_int_not_equal(l1_incarnation(f->l1), before);
    fixture_attach(f);
}

/* ---- touch pages ------------------------------------------------------------------------------------------------ */

struct client {
    struct touch_page *page;
    struct shm_touch_page *shared;
    int fd;
};

static struct client client_open(struct fixture *f)
{
    struct client c;
    assert_int_equal(l1_touch_page_open(f->l1, &c.page, &c.fd), 0);
    c.shared = mmap(NULL, sizeof(*c.shared), PROT_READ | PROT_WRITE, MAP_SHARED, c.fd, 0);
    assert_ptr_not_equal(c.shared, MAP_FAILED);
    return c;
}

static void client_close(struct client *c)
{
    l1_touch_page_close(c->page);
    munmap(c->shared, sizeof(*c->shared));
    close(c->fd);
}

static void hits_of_all_clients_are_counted_exactly_even_after_they_left(void **state)
{
    struct fixture *f = *state;
    struct client a = client_open(f), b = client_open(f);
    a.shared->stripes_used = 2;
    a.shared->stripes[0].hits[3] = 10;
    a.shared->stripes[1].hits[3] = 5;
    b.shared->stripes_used = SHM_STRIPES;
    b.shared->stripes[63].hits[0] = 7;
    uint64_t hits[SHM_POLICIES];
    l1_policy_hits(f->l1, hits);
    assert_int_equal(hits[3], 15);
    assert_int_equal(hits[0], 7);
    a.shared->stripes[1].hits[3] = 6;
    client_close(&a);
    l1_policy_hits(f->l1, hits);
    assert_int_equal(hits[3], 16);
    assert_int_equal(fixture_measure(f)->l1_hits_shared, 23);
    assert_int_equal(f->figures.l1_clients, 1);
    client_close(&b);
}

static void times_of_hits_are_summed_over_clients_and_stay_when_they_leave(void **state)
{
    struct fixture *f = *state;
    struct client a = client_open(f), b = client_open(f);
    struct l1_times times;
    a.shared->took[shm_took_cell(100)] = 2;
    a.shared->took_ns = 200;
    b.shared->took[shm_took_cell(100)] = 1;
    b.shared->took[SHM_TOOK_CELLS - 1] = 1;
    b.shared->took_ns = 300;
    client_close(&a);
    for (int twice = 0; twice < 2; twice++) {
        l1_near_times(f->l1, &times);
        assert_int_equal(times.sum_ns, 500);
        assert_int_equal(times.cells[shm_took_cell(100)], 3);
        assert_int_equal(times.cells[SHM_TOOK_CELLS - 1], 1);
    }
    client_close(&b);
}

static void a_time_lies_within_its_cell(void **state)
{
    unsigned last = 0;
    for (uint64_t ns = 0; ns < 100000; ns++) {
        unsigned cell = shm_took_cell(ns);
        assert_true(ns <= shm_took_end(cell) && (cell == 0 || ns > shm_took_end(cell - 1)));
        assert_true(cell == last || cell == last + 1);
        last = cell;
    }
    assert_int_equal(shm_took_cell(UINT64_MAX), SHM_TOOK_CELLS - 1);
}

static void a_touch_reaches_the_frequency_of_its_slot(void **state)
{
    struct fixture *f = *state;
    fixture_put(f, "k", "v");
    struct seen s = fixture_see(f, "k");
    struct client c = client_open(f);
    c.shared->stripes_used = 1;
    c.shared->stripes[0].touched[9] = shm_touch(s.found.slot_number, s.found.tag);
    l1_tick(f->l1);
    assert_int_equal(c.shared->stripes[0].touched[9], 0);
    struct l1_explain x;
    l1_explain(f->l1, slice_text("k"), fixture_hash("k"), &x);
    assert_int_equal(x.frequency, 2);
    client_close(&c);
}

static void a_hostile_page_changes_nothing_but_its_own_counts(void **state)
{
    struct fixture *f = *state;
    fixture_put(f, "k", "v");
    struct client c = client_open(f);
    memset(c.shared, 0xff, sizeof(*c.shared));
    for (int i = 0; i < 10; i++)
        l1_tick(f->l1);
    c.shared->stripes_used = UINT32_MAX;
    for (uint32_t n = 0; n < SHM_TOUCHES; n++)
        c.shared->stripes[5].touched[n] = (uint64_t)n << 53 | n;
    l1_tick(f->l1);
    memset(c.shared, 0, sizeof(*c.shared)); /* counters that run backwards */
    uint64_t hits[SHM_POLICIES];
    l1_policy_hits(f->l1, hits);
    assert_int_equal(fixture_see(f, "k").outcome, SHM_HIT);
    client_close(&c);
}

static void many_clients_are_drained_in_turns(void **state)
{
    struct fixture *f = *state;
    enum { CLIENTS = 40 };
    fixture_put(f, "k", "v");
    struct seen s = fixture_see(f, "k");
    struct client clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = client_open(f);
        clients[i].shared->stripes_used = 4;
        clients[i].shared->stripes[3].touched[1] = shm_touch(s.found.slot_number, s.found.tag);
    }
    l1_tick(f->l1);
    assert_int_equal(fixture_measure(f)->l1_touches, L1_DRAIN_STRIPES / 4);
    l1_tick(f->l1);
    l1_tick(f->l1);
    assert_int_equal(fixture_measure(f)->l1_touches, CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        client_close(&clients[i]);
}

static void the_hottest_come_first(void **state)
{
    struct fixture *f = *state;
    fixture_put(f, "cold", "v");
    fixture_put(f, "hot", "v");
    fixture_put(f, "warm", "v");
    static const char *const order[] = {"hot", "warm", "cold"};
    for (int i = 0; i < 3; i++)
        slots_touch(f->l1, fixture_see(f, "hot").found.slot_number);
    slots_touch(f->l1, fixture_see(f, "warm").found.slot_number);
    uint32_t slots[8], cursor = 0;
    assert_int_equal(l1_hottest(f->l1, &cursor, UINT32_MAX, slots, 8), 3);
    for (int i = 0; i < 3; i++)
        assert_true(slice_equal(l1_slot_key(f->l1, slots[i]), slice_text(order[i])));
    assert_int_equal(l1_slot_frequency(f->l1, slots[0]), 4);
    assert_int_equal(l1_hottest(f->l1, &cursor, UINT32_MAX, slots, 2), 2);
    assert_true(slice_equal(l1_slot_key(f->l1, slots[1]), slice_text("warm")));
}

static void slices_of_the_table_make_a_round_and_name_each_entry_once(void **state)
{
    struct fixture *f = *state;
    uint32_t slots[64], cursor = 0, found = 0, looked = 0;
    char key[16];
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        fixture_put(f, key, "v");
    }
    for (; looked < l1_slots(f->l1); looked += 7)
        found += l1_hottest(f->l1, &cursor, 7, slots, 64);
    assert_int_equal(looked % l1_slots(f->l1), cursor);
    assert_in_range(found, 20, 20 + 7); /* the last slice has begun the next round */
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(nobody_can_write_to_grow_or_shrink_the_segment),
        cmocka_unit_test(the_segment_takes_no_more_than_it_was_given),
        T(the_mirror_is_stored_before_the_lease),
        cmocka_unit_test(a_killed_daemon_is_seen_at_once),
        cmocka_unit_test(a_clean_end_closes_the_segment),
        T(a_sequence_nearly_used_up_begins_a_new_incarnation),
        T(a_clock_nearly_used_up_begins_a_new_incarnation),
        T(hits_of_all_clients_are_counted_exactly_even_after_they_left),
        T(times_of_hits_are_summed_over_clients_and_stay_when_they_leave),
        T(a_time_lies_within_its_cell),
        T(a_touch_reaches_the_frequency_of_its_slot),
        T(a_hostile_page_changes_nothing_but_its_own_counts),
        T(many_clients_are_drained_in_turns),
        T(the_hottest_come_first),
        T(slices_of_the_table_make_a_round_and_name_each_entry_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
