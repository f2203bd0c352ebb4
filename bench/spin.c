#include "bench/spin.h"

#include <sched.h>
#include <signal.h>
#include <unistd.h>
#include "bench/spawn.h"

static inline void pause_a_moment(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("" ::: "memory");
#endif
}

_Noreturn static void spin_on(int core)
{
    cpu_set_t only;
    struct sched_param none = {0};
    CPU_ZERO(&only);
    CPU_SET(core, &only);
    sched_setaffinity(0, sizeof(only), &only);
    sched_setscheduler(0, SCHED_IDLE, &none);
    for (;;)
        pause_a_moment();
}

void spin_start(struct spinners *s)
{
    cpu_set_t mine;
    s->count = 0;
    spawn_cores(&mine);
    for (int core = 0; core < CPU_SETSIZE && s->count < SPIN_CORES_MAX; core++) {
        if (!CPU_ISSET(core, &mine))
            continue;
        pid_t pid = spawn_fork();
        if (pid == 0)
            spin_on(core);
        if (pid > 0)
            s->pids[s->count++] = pid;
    }
}

void spin_stop(struct spinners *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        kill(s->pids[i], SIGKILL);
        spawn_reap(s->pids[i]);
    }
    s->count = 0;
}
