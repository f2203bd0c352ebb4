#include "support/redis.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READY_SECONDS = 20, POLL_MS = 5, ANSWER_BYTES = 65536 };

static void fail(const char *what)
{
    fprintf(stderr, "redis-server of a test: ");
    perror(what);
    exit(99);
}

bool redis_installed(void)
{
    char copy[4096], *rest = copy, *directory;
    const char *path = getenv("PATH");
    snprintf(copy, sizeof(copy), "%s", path ? path : "/usr/bin:/bin");
    while ((directory = strsep(&rest, ":"))) {
        char program[4200];
        snprintf(program, sizeof(program), "%s/redis-server", directory);
        if (access(program, X_OK) == 0)
            return true;
    }
    return false;
}

bool redis_has_tls(void)
{
    return system("ldd \"$(command -v redis-server)\" 2>/dev/null | grep -q libssl") == 0;
}

unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        fail("a free port");
    close(fd);
    return ntohs(address.sin_port);
}

/* ======= life ======= */

const char *redis_path(const struct redis *r, const char *name, char room[128])
{
    snprintf(room, 128, "%s/%s", r->home, name);
    return room;
}

static void append(const struct redis *r, const char *format, va_list arguments)
{
    FILE *file = fopen(r->config, "a");
    if (!file || vfprintf(file, format, arguments) < 0 || fputc('\n', file) < 0 || fclose(file) != 0)
        fail(r->config);
}

void redis_option(struct redis *r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    append(r, format, arguments);
    va_end(arguments);
}

void redis_prepare(struct redis *r, const char *options)
{
    memset(r, 0, sizeof(*r));
    snprintf(r->home, sizeof(r->home), "/tmp/larder-redis.XXXXXX");
    if (!mkdtemp(r->home))
        fail("mkdtemp");
    snprintf(r->socket, sizeof(r->socket), "%s/s", r->home);
    snprintf(r->config, sizeof(r->config), "%s/conf", r->home);
    snprintf(r->log, sizeof(r->log), "%s/log", r->home);
    r->port = free_port();
    redis_option(r, "bind 127.0.0.1 -::1\nport %u\nunixsocket %s\nunixsocketperm 700\ndir %s\nlogfile %s",
                 r->port, r->socket, r->home, r->log);
    redis_option(r, "save \"\"\nappendonly no\ndaemonize no\n%s", options ? options : "");
}

static void run_server(const struct redis *r, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = open(r->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || getppid() != parent)
        _exit(98);
    dup2(fd, STDERR_FILENO);
    dup2(fd, STDOUT_FILENO);
    execlp("redis-server", "redis-server", r->config, (char *)NULL);
    _exit(97);
}

static int dial(const struct redis *r)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", r->socket);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

void redis_start(struct redis *r)
{
    pid_t parent = getpid();
    int fd, status = 0;
    unlink(r->socket); /* a killed one leaves it */
    r->pid = fork();
    if (r->pid < 0)
        fail("fork");
    if (r->pid == 0)
        run_server(r, parent);
    for (int waited = 0; (fd = dial(r)) < 0; waited += POLL_MS) {
        if (waitpid(r->pid, &status, WNOHANG) != 0 || waited > READY_SECONDS * 1000) {
            fprintf(stderr, "redis-server of a test: takes no connections (status %x); log in %s\n", status,
                    r->log);
            exit(99);
        }
        poll(NULL, 0, POLL_MS);
    }
    close(fd);
}

static void reap(struct redis *r)
{
    int status;
    if (waitpid(r->pid, &status, 0) != r->pid)
        fail("waitpid");
    r->pid = 0;
}

void redis_kill(struct redis *r)
{
    kill(r->pid, SIGKILL);
    reap(r);
}

void redis_freeze(struct redis *r)
{
    int status;
    kill(r->pid, SIGSTOP);
    if (waitpid(r->pid, &status, WUNTRACED) != r->pid || !WIFSTOPPED(status))
        fail("waitpid");
}

void redis_thaw(struct redis *r)
{
    kill(r->pid, SIGCONT);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void redis_finish(struct redis *r)
{
    if (r->pid)
        redis_kill(r);
    nftw(r->home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ======= asking ======= */

static size_t read_some(int fd, char *room, size_t at)
{
    ssize_t got = read(fd, room + at, ANSWER_BYTES - 1 - at);
    if (got <= 0)
        fail("an answer");
    room[at + (size_t)got] = 0;
    return at + (size_t)got;
}

static char *read_answer(int fd)
{
    static char room[ANSWER_BYTES];
    size_t have = 0;
    char *line_end = NULL;
    while (!line_end) {
        have = read_some(fd, room, have);
        line_end = strstr(room, "\r\n");
    }
    *line_end = 0;
    long size = room[0] == '$' ? strtol(room + 1, NULL, 10) : -1;
    if (size < 0)
        return room;
    char *body = line_end + 2;
    while (have < (size_t)(body - room) + (size_t)size)
        have = read_some(fd, room, have);
    body[size] = 0;
    return body;
}

const char *redis_ask(const struct redis *r, const char *format, ...)
{
    char command[4096];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(command, sizeof(command) - 2, format, arguments);
    va_end(arguments);
    int fd = dial(r);
    if (fd < 0 || size < 0 || (size_t)size >= sizeof(command) - 2)
        fail(command);
    memcpy(command + size, "\r\n", 2);
    if (write(fd, command, (size_t)size + 2) != size + 2)
        fail(command);
    const char *answer = read_answer(fd);
    close(fd);
    return answer;
}
