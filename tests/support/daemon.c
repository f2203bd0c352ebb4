#include "support/daemon.h"

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { READY_SECONDS = 20, POLL_MS = 5 };

static void fail(const char *what)
{
    fprintf(stderr, "daemon of a test: ");
    perror(what);
    exit(99);
}

void daemon_prepare(struct daemon *d, const char *config)
{
    memset(d, 0, sizeof(*d));
    snprintf(d->home, sizeof(d->home), "/tmp/larder-test.XXXXXX");
    if (!mkdtemp(d->home))
        fail("mkdtemp");
    snprintf(d->socket, sizeof(d->socket), "%s/s", d->home);
    snprintf(d->state, sizeof(d->state), "%s/state", d->home);
    snprintf(d->config, sizeof(d->config), "%s/conf", d->home);
    FILE *file = fopen(d->config, "w");
    if (!file || fputs(config, file) < 0 || fclose(file) != 0)
        fail(d->config);
}

static void run_larderd(const struct daemon *d, pid_t parent)
{
    char log[128];
    const char *program = getenv("LARDERD");
    snprintf(log, sizeof(log), "%s/log", d->home);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || getppid() != parent || !program)
        _exit(98);
    dup2(fd, STDERR_FILENO);
    dup2(fd, STDOUT_FILENO);
    setenv("XDG_RUNTIME_DIR", d->home, 1); /* nothing of the machine's own daemon is touched */
    setenv("XDG_STATE_HOME", d->home, 1);
    execl(program, program, "--config", d->config, "--socket", d->socket, "--state", d->state, (char *)NULL);
    _exit(97);
}

static int takes_connections(const struct daemon *d)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", d->socket);
    int r = connect(fd, (const struct sockaddr *)&address, sizeof(address));
    close(fd);
    return r == 0;
}

void daemon_start(struct daemon *d)
{
    pid_t parent = getpid();
    d->pid = fork();
    if (d->pid < 0)
        fail("fork");
    if (d->pid == 0)
        run_larderd(d, parent);
    for (int waited = 0; !takes_connections(d); waited += POLL_MS) {
        int status;
        if (waitpid(d->pid, &status, WNOHANG) != 0 || waited > READY_SECONDS * 1000) {
            fprintf(stderr, "daemon of a test: does not take connections (status %x); log in %s\n", status,
                    d->home);
            exit(99);
        }
        poll(NULL, 0, POLL_MS);
    }
}

static void reap(struct daemon *d)
{
    int status;
    if (waitpid(d->pid, &status, 0) != d->pid)
        fail("waitpid");
    d->pid = 0;
}

void daemon_kill(struct daemon *d)
{
    kill(d->pid, SIGKILL);
    reap(d);
}

void daemon_freeze(struct daemon *d)
{
    int status;
    kill(d->pid, SIGSTOP);
    if (waitpid(d->pid, &status, WUNTRACED) != d->pid || !WIFSTOPPED(status))
        fail("waitpid");
}

void daemon_thaw(struct daemon *d)
{
    kill(d->pid, SIGCONT);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void daemon_finish(struct daemon *d)
{
    if (d->pid) {
        kill(d->pid, SIGCONT);
        kill(d->pid, SIGTERM);
        reap(d);
    }
    nftw(d->home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
