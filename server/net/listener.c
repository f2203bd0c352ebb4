/* Order is everything here: directory, lock, probe, unlink, bind, chmod, listen.
 *
 * libuv's own pipes would cut a long path short and unlink the path when they close, whoever owns it by then; so
 * the socket is made by hand and libuv only watches it. */
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/loop_uv.h"

enum {
    BACKLOG = 1024,        /* the kernel cuts it to somaxconn */
    ACCEPTS_PER_TURN = 64, /* a storm of connects must not keep the loop from its clients */
};
#define OUT_OF_FILES_PAUSE (100 * NS_PER_MS)

struct listener {
    uv_poll_t watch;
    struct timer again; /* after running out of files altogether */
    unsigned handles;   /* still to be closed by libuv */
    struct listener_setup setup;
    char *path; /* NULL: not our socket */
    int fd, lock_fd, spare_fd;
    dev_t device; /* of the socket file, to know it again */
    ino_t inode;
};

const char *listener_error_text(int error)
{
    switch (error) {
    case LISTENER_E_PATH:
        return "the path of the socket is empty or longer than 107 bytes, the system's limit";
    case LISTENER_E_DIRECTORY: return "the directory of the socket cannot be made";
    case LISTENER_E_LOCK: return "the lock file beside the socket cannot be opened";
    case LISTENER_E_IN_USE: return "another daemon listens there";
    case LISTENER_E_OCCUPIED: return "something that is no socket is in the way";
    case LISTENER_E_BIND: return "the socket cannot be made";
    case LISTENER_E_FD: return "the descriptor handed over is no listening Unix stream socket";
    default: return "no error";
    }
}

static int fail(int error, const char *path)
{
    log_error(listener_error_text(error), L_TEXT("socket", path), L_TEXT("system", strerror(errno)));
    return error;
}

/* ======= opening ======= */

static int fill_address(const char *path, struct sockaddr_un *ret)
{
    size_t size = path ? strlen(path) : 0;
    if (size == 0 || size >= sizeof(ret->sun_path)) {
        errno = size ? ENAMETOOLONG : EINVAL;
        return LISTENER_E_PATH;
    }
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret->sun_path, path, size + 1);
    return 0;
}

static int make_directory(const char *path)
{
    char copy[sizeof(((struct sockaddr_un *)0)->sun_path)];
    snprintf(copy, sizeof(copy), "%s", path);
    const char *directory = dirname(copy);
    if (mkdir(directory, 0750) == 0 || errno == EEXIST)
        return 0;
    return LISTENER_E_DIRECTORY;
}

/* The lock file stays for ever: removing it would let two daemons hold "the" lock. */
static int take_lock(struct listener *l)
{
    char name[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
    snprintf(name, sizeof(name), "%s.lock", l->setup.path);
    l->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (l->lock_fd < 0)
        return LISTENER_E_LOCK;
    return flock(l->lock_fd, LOCK_EX | LOCK_NB) == 0 ? 0 : LISTENER_E_IN_USE;
}

static bool somebody_answers(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return true; /* cannot tell: the safe side */
    int r = connect(fd, (const struct sockaddr *)address, sizeof(*address));
    bool answers = r == 0 || (errno != ECONNREFUSED && errno != ENOENT);
    close(fd);
    return answers;
}

/* The file of a daemon that died is in the way of bind; one of a daemon that lives is not ours to touch, even
 * when that daemon is of a kind that takes no lock. */
static int clear_the_way(const struct sockaddr_un *address)
{
    struct stat st;
    if (lstat(address->sun_path, &st) != 0)
        return errno == ENOENT ? 0 : LISTENER_E_BIND;
    if (!S_ISSOCK(st.st_mode))
        return LISTENER_E_OCCUPIED;
    if (somebody_answers(address))
        return LISTENER_E_IN_USE;
    return unlink(address->sun_path) == 0 ? 0 : LISTENER_E_BIND;
}

static int bind_privately(int fd, const struct sockaddr_un *address)
{
    mode_t before = umask(0177);
    int r = bind(fd, (const struct sockaddr *)address, sizeof(*address));
    umask(before);
    return r;
}

static int make_socket(struct listener *l, const struct sockaddr_un *address)
{
    struct stat st;
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0 || bind_privately(l->fd, address) != 0)
        return LISTENER_E_BIND;
    l->path = must_strdup(address->sun_path);
    if (lstat(l->path, &st) != 0)
        return LISTENER_E_BIND;
    l->device = st.st_dev;
    l->inode = st.st_ino;
    if (chmod(l->path, l->setup.mode) != 0 || listen(l->fd, BACKLOG) != 0)
        return LISTENER_E_BIND;
    return 0;
}

static int open_own(struct listener *l)
{
    struct sockaddr_un address;
    int r = fill_address(l->setup.path, &address);
    if (r == 0)
        r = make_directory(address.sun_path);
    if (r == 0)
        r = take_lock(l);
    if (r == 0)
        r = clear_the_way(&address);
    if (r == 0)
        r = make_socket(l, &address);
    return r;
}

static int socket_option(int fd, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

static int adopt(struct listener *l)
{
    int fd = l->setup.fd;
    if ((socket_option(fd, SO_DOMAIN) == AF_UNIX) == l->setup.tcp ||
        socket_option(fd, SO_TYPE) != SOCK_STREAM || socket_option(fd, SO_ACCEPTCONN) != 1)
        return LISTENER_E_FD;
    l->fd = fd;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        return LISTENER_E_FD;
    return 0;
}

/* ======= accepting ======= */

static bool peer_of(int fd, struct peer *ret)
{
    struct ucred c;
    socklen_t size = sizeof(c);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &size) != 0)
        return false;
    *ret = (struct peer){.uid = c.uid, .gid = c.gid, .pid = c.pid};
    return true;
}

/* Out of descriptors: the waiting client is accepted on the spare one and hung up on, so that it learns at once
 * instead of hanging in the backlog.  Without a spare, the door stays shut for a moment. */
static bool hang_up_on_one(struct listener *l)
{
    if (l->spare_fd < 0)
        return false;
    close(l->spare_fd);
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

static void shut_for_a_moment(struct listener *l)
{
    log_warn("no descriptor left for a client", L_U64("pause_ms", OUT_OF_FILES_PAUSE / NS_PER_MS));
    uv_poll_stop(&l->watch);
    timer_start(&l->again, OUT_OF_FILES_PAUSE, 0);
}

static bool accept_one(struct listener *l)
{
    struct peer peer;
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EINTR || errno == ECONNABORTED)
            return true;
        if ((errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) && !hang_up_on_one(l))
            shut_for_a_moment(l);
        return false;
    }
    if (peer_of(fd, &peer))
        l->setup.accepted(l->setup.user, fd, &peer);
    else
        close(fd);
    return true;
}

static void on_waiting(uv_poll_t *watch, int status, int events)
{
    struct listener *l = watch->data;
    if (status < 0) {
        log_error("the listening socket failed", L_TEXT("system", uv_strerror(status)));
        return;
    }
    for (unsigned i = 0; i < ACCEPTS_PER_TURN && accept_one(l); i++)
        if (uv_is_closing((uv_handle_t *)watch))
            return;
}

static void open_again(struct timer *again)
{
    struct listener *l = CONTAINER_OF(again, struct listener, again);
    if (l->spare_fd < 0)
        l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    uv_poll_start(&l->watch, UV_READABLE, on_waiting);
}

/* ======= life ======= */

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void remove_own_socket(struct listener *l)
{
    struct stat st;
    bool ours = l->path && lstat(l->path, &st) == 0 && st.st_dev == l->device && st.st_ino == l->inode;
    if (ours)
        unlink(l->path);
}

/* The lock goes last: until then nobody else makes a socket there. */
static void let_go(struct listener *l)
{
    remove_own_socket(l);
    close_fd(l->fd);
    close_fd(l->spare_fd);
    close_fd(l->lock_fd);
    free(l->path);
    l->path = NULL;
}

int listener_open(const struct listener_setup *setup, struct listener **ret)
{
    struct listener *l = must_alloc(sizeof(*l));
    l->setup = *setup;
    l->fd = l->lock_fd = l->spare_fd = -1;
    int r = setup->fd >= 0 ? adopt(l) : open_own(l);
    if (r < 0) {
        fail(r, setup->path);
        let_go(l);
        free(l);
        return r;
    }
    l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(uv_poll_init(loop_uv(setup->loop), &l->watch, l->fd) == 0);
    l->watch.data = l;
    timer_init(&l->again, setup->loop, open_again);
    uv_poll_start(&l->watch, UV_READABLE, on_waiting);
    *ret = l;
    return 0;
}

static void handle_closed(struct listener *l)
{
    if (--l->handles == 0)
        free(l);
}

static void on_watch_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

static void on_timer_closed(struct timer *again)
{
    handle_closed(CONTAINER_OF(again, struct listener, again));
}

struct listener *listener_close(struct listener *l)
{
    if (!l)
        return NULL;
    l->handles = 2;
    timer_finish(&l->again, on_timer_closed);
    uv_close((uv_handle_t *)&l->watch, on_watch_closed);
    let_go(l);
    return NULL;
}
