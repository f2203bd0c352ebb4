#include "bench/spawn.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench/timing.h"

static char folder[64];

pid_t spawn_fork(void)
{
    pid_t parent = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    return 0;
}

int spawn_reap(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void spawn_end(pid_t pid)
{
    enum { STEP_MS = 2 };
    kill(pid, SIGTERM);
    for (int waited = 0; waited < 5000; waited += STEP_MS) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return;
        usleep(STEP_MS * 1000);
    }
    kill(pid, SIGKILL);
    spawn_reap(pid);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    return remove(path);
}

void spawn_guarded(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof(folder), "%.40s/larder-bench.XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder)) {
        perror(folder);
        exit(1);
    }
    pid_t pid = spawn_fork();
    if (pid == 0)
        return;
    signal(SIGINT, SIG_IGN); /* a terminal sends it to the child as well */
    int status = spawn_reap(pid);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    exit(status);
}

const char *spawn_folder(void)
{
    return folder;
}

uint64_t spawn_pss_bytes(pid_t pid)
{
    char path[64], line[128];
    unsigned long long kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    while (fgets(line, sizeof(line), f) && sscanf(line, "Pss: %llu kB", &kib) != 1)
        ;
    fclose(f);
    return kib * 1024;
}
