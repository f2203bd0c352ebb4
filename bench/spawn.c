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

static char folder[64], memory_folder[64];
static pid_t guarded;
static cpu_set_t all_cores;
static bool pinned;

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

static void make_folder(char out[64], const char *base)
{
    snprintf(out, 64, "%.40s/larder-bench.XXXXXX", base);
    if (!mkdtemp(out)) {
        perror(out);
        exit(1);
    }
}

static void forward(int signal_number)
{
    kill(guarded, signal_number);
}

void spawn_guarded(void)
{
    const char *base = getenv("TMPDIR");
    make_folder(folder, base ? base : "/tmp");
    make_folder(memory_folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : folder);
    guarded = spawn_fork();
    if (guarded == 0)
        return;
    signal(SIGINT, SIG_IGN); /* a terminal sends it to the child as well */
    signal(SIGTERM, forward);
    int status = spawn_reap(guarded);
    nftw(memory_folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    exit(status);
}

const char *spawn_folder(void)
{
    return folder;
}

const char *spawn_memory_folder(void)
{
    return memory_folder;
}

/* ---- cores -------------------------------------------------------------------------------------------- */

static void stay_on(bool last)
{
    cpu_set_t one;
    int core = -1;
    for (int i = 0; i < CPU_SETSIZE && (last || core < 0); i++)
        core = CPU_ISSET(i, &all_cores) ? i : core;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    sched_setaffinity(0, sizeof(one), &one);
}

void spawn_pin(void)
{
    pinned = sched_getaffinity(0, sizeof(all_cores), &all_cores) == 0;
    if (pinned)
        stay_on(false);
}

void spawn_unpin(void)
{
    if (pinned)
        sched_setaffinity(0, sizeof(all_cores), &all_cores);
    pinned = false;
}

void spawn_pin_server(void)
{
    if (pinned)
        stay_on(true);
}

void spawn_cores(cpu_set_t *ret)
{
    CPU_ZERO(ret);
    if (pinned)
        *ret = all_cores;
    else
        sched_getaffinity(0, sizeof(*ret), ret);
}

/* ---- memory ------------------------------------------------------------------------------------------- */

struct pss spawn_pss(pid_t pid)
{
    struct pss sum = {0};
    char path[64], line[512];
    unsigned long long kib, begin, end;
    bool memfd = false;
    snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%llx-%llx ", &begin, &end) == 2)
            memfd = strstr(line, "memfd:") != NULL;
        if (sscanf(line, "Pss: %llu kB", &kib) != 1)
            continue;
        sum.bytes += kib * 1024;
        sum.memfd_bytes += memfd ? kib * 1024 : 0;
    }
    if (f)
        fclose(f);
    return sum;
}
