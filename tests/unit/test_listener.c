/* The door, in a fresh directory each time. */
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
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "net/listener.h"

struct fixture {
    struct loop *loop;
    char root[64], directory[80], path[100];
    unsigned accepted;
    int last_fd;
    struct peer last_peer;
};

static void on_accepted(void *user, int fd, const struct peer *peer)
{
    struct fixture *f = user;
    f->accepted++;
    f->last_peer = *peer;
    if (f->last_fd >= 0)
        close(f->last_fd);
    f->last_fd = fd;
}

static int begin(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->last_fd = -1;
    f->loop = loop_create();
    snprintf(f->root, sizeof(f->root), "/tmp/larder-test-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    snprintf(f->directory, sizeof(f->directory), "%s/run", f->root);
    snprintf(f->path, sizeof(f->path), "%s/l.sock", f->directory);
    log_setup(LOG_ERROR, LOG_LOGFMT, open("/dev/null", O_WRONLY | O_CLOEXEC));
    *state = f;
    alarm(60);
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    char lock[120];
    loop_destroy(f->loop);
    snprintf(lock, sizeof(lock), "%s.lock", f->path);
    unlink(lock);
    unlink(f->path);
    rmdir(f->directory);
    assert_int_equal(rmdir(f->root), 0);
    if (f->last_fd >= 0)
        close(f->last_fd);
    free(f);
    return 0;
}

/* ======= shorthands ======= */

static int open_at(struct fixture *f, const char *path, struct listener **ret)
{
    struct listener_setup setup = {
        .loop = f->loop, .path = path, .mode = 0660, .fd = -1, .accepted = on_accepted, .user = f};
    return listener_open(&setup, ret);
}

static void close_door(struct fixture *f, struct listener *l)
{
    listener_close(l);
    loop_run_once(f->loop);
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    return a;
}

static int try_connect(const char *path)
{
    struct sockaddr_un a = address_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
        return fd;
    close(fd);
    return -1;
}

/* A socket bound by hand, as a daemon without a lock would; listening or, being dead, not. */
static int foreign_socket(struct fixture *f, bool alive)
{
    struct sockaddr_un a = address_of(f->path);
    mkdir(f->directory, 0750);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    if (alive)
        assert_int_equal(listen(fd, 5), 0);
    return fd;
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

/* ======= tests ======= */

static void a_client_is_accepted_with_its_credentials(void **state)
{
    struct fixture *f = *state;
    struct listener *l;
    assert_int_equal(open_at(f, f->path, &l), 0);
    int fd = try_connect(f->path);
    assert_true(fd >= 0);
    while (!f->accepted)
        loop_run_once(f->loop);
    assert_int_equal(f->last_peer.uid, getuid());
    assert_int_equal(f->last_peer.pid, getpid());
    close(fd);
    close_door(f, l);
}

static void directory_and_socket_get_their_modes_whatever_the_umask(void **state)
{
    struct fixture *f = *state;
    struct listener *l;
    mode_t before = umask(0);
    assert_int_equal(open_at(f, f->path, &l), 0);
    umask(before);
    assert_int_equal(mode_of(f->directory), 0750);
    assert_int_equal(mode_of(f->path), 0660);
    close_door(f, l);
}

static void a_path_longer_than_an_address_is_refused(void **state)
{
    struct fixture *f = *state;
    struct listener *l;
    char path[200];
    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[108] = 0; /* one more than fits with its NUL */
    assert_int_equal(open_at(f, path, &l), LISTENER_E_PATH);
    assert_int_equal(open_at(f, "", &l), LISTENER_E_PATH);
    assert_non_null(strstr(listener_error_text(LISTENER_E_PATH), "107"));
}

static void a_directory_that_cannot_be_made_is_named(void **state)
{
    struct fixture *f = *state;
    struct listener *l;
    char path[120];
    snprintf(path, sizeof(path), "%s/a/b/l.sock", f->root);
    assert_int_equal(open_at(f, path, &l), LISTENER_E_DIRECTORY);
}

static void the_socket_of_a_dead_daemon_is_taken_over(void **state)
{
    struct fixture *f = *state;
    struct listener *l;
    close(foreign_socket(f, true)); /* closed without unlinking, as by kill -9 */
    assert_int_equal(open_at(f, f->path, &l), 0);
    int fd = try_connect(f->path);
    assert_true(fd >= 0);
    close(fd);
    close_door(f, l);
}

static void the_socket_of_a_living_daemon_is_refused_and_left_alone(void **state)
{
    struct fixture *f = *state;
    struct listener *l;
    int foreign = foreign_socket(f, true);
    assert_int_equal(open_at(f, f->path, &l), LISTENER_E_IN_USE);
    int fd = try_connect(f->path);
    assert_true(fd >= 0);
    close(fd);
    close(foreign);
}

static void two_of_us_do_not_share_a_socket(void **state)
{
    struct fixture *f = *state;
    struct listener *first, *second;
    assert_int_equal(open_at(f, f->path, &first), 0);
    assert_int_equal(open_at(f, f->path, &second), LISTENER_E_IN_USE);
    close_door(f, first);
    assert_int_equal(open_at(f, f->path, &second), 0);
    close_door(f, second);
}

static void the_lock_counts_even_when_nobody_answers(void **state)
{
    struct fixture *f = *state;
    struct listener *l;
    char lock[120];
    snprintf(lock, sizeof(lock), "%s.lock", f->path);
    mkdir(f->directory, 0750);
    int held = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(held, LOCK_EX), 0);
    assert_int_equal(open_at(f, f->path, &l), LISTENER_E_IN_USE);
    close(held);
}

static void a_file_that_is_no_socket_is_never_removed(void **state)
{
    struct fixture *f = *state;
    struct listener *l;
    mkdir(f->directory, 0750);
    close(open(f->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(open_at(f, f->path, &l), LISTENER_E_OCCUPIED);
    assert_int_equal(access(f->path, F_OK), 0);
}

static void the_socket_is_removed_at_the_end(void **state)
{
    struct fixture *f = *state;
    struct listener *l;
    assert_int_equal(open_at(f, f->path, &l), 0);
    close_door(f, l);
    assert_int_equal(access(f->path, F_OK), -1);
}

static void a_socket_that_is_not_ours_any_more_is_not_removed(void **state)
{
    struct fixture *f = *state;
    struct listener *l;
    assert_int_equal(open_at(f, f->path, &l), 0);
    unlink(f->path);
    int successor = foreign_socket(f, true);
    close_door(f, l);
    assert_int_equal(access(f->path, F_OK), 0);
    close(successor);
}

static void a_listening_descriptor_is_taken_over_and_its_path_left_alone(void **state)
{
    struct fixture *f = *state;
    struct listener *l;
    struct listener_setup setup = {
        .loop = f->loop, .fd = foreign_socket(f, true), .accepted = on_accepted, .user = f};
    assert_int_equal(listener_open(&setup, &l), 0);
    int fd = try_connect(f->path);
    while (!f->accepted)
        loop_run_once(f->loop);
    close(fd);
    close_door(f, l);
    assert_int_equal(access(f->path, F_OK), 0);
}

static void a_descriptor_that_does_not_listen_is_refused(void **state)
{
    struct fixture *f = *state;
    struct listener *l;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    struct listener_setup setup = {.loop = f->loop, .fd = fds[0], .accepted = on_accepted, .user = f};
    assert_int_equal(listener_open(&setup, &l), LISTENER_E_FD);
    close(fds[0]);
    close(fds[1]);
}

/* Out of descriptors: whoever waits learns it by a closed connection, and the door works on afterwards. */
static void running_out_of_descriptors_is_survived(void **state)
{
    struct fixture *f = *state;
    struct listener *l;
    struct rlimit before, tight;
    assert_int_equal(open_at(f, f->path, &l), 0);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un a = address_of(f->path);
    getrlimit(RLIMIT_NOFILE, &before);
    tight = before;
    tight.rlim_cur = (rlim_t)client + 1;
    int fill;
    while ((fill = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0 && fill < client)
        ;
    close(fill);
    setrlimit(RLIMIT_NOFILE, &tight);
    assert_int_equal(connect(client, (struct sockaddr *)&a, sizeof(a)), 0);
    loop_run_once(f->loop);
    char byte;
    assert_int_equal(recv(client, &byte, 1, 0), 0);
    assert_int_equal(f->accepted, 0);
    setrlimit(RLIMIT_NOFILE, &before);
    close(client);
    client = try_connect(f->path);
    while (!f->accepted)
        loop_run_once(f->loop);
    close(client);
    close_door(f, l);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_client_is_accepted_with_its_credentials),
        TEST(directory_and_socket_get_their_modes_whatever_the_umask),
        TEST(a_path_longer_than_an_address_is_refused),
        TEST(a_directory_that_cannot_be_made_is_named),
        TEST(the_socket_of_a_dead_daemon_is_taken_over),
        TEST(the_socket_of_a_living_daemon_is_refused_and_left_alone),
        TEST(two_of_us_do_not_share_a_socket),
        TEST(the_lock_counts_even_when_nobody_answers),
        TEST(a_file_that_is_no_socket_is_never_removed),
        TEST(the_socket_is_removed_at_the_end),
        TEST(a_socket_that_is_not_ours_any_more_is_not_removed),
        TEST(a_listening_descriptor_is_taken_over_and_its_path_left_alone),
        TEST(a_descriptor_that_does_not_listen_is_refused),
        TEST(running_out_of_descriptors_is_survived),
    };
    return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
