#include "support/old_kernel.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define LOAD(field)     BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(n, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (n), 0, (skip))
#define ANSWER(error)   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define LET_THROUGH     BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

int old_kernel(void)
{
    struct sock_filter code[] = {
        LOAD(nr),      UNLESS(SYS_membarrier, 1),  ANSWER(ENOSYS), UNLESS(SYS_madvise, 3),
        LOAD(args[2]), UNLESS(MADV_WIPEONFORK, 1), ANSWER(EINVAL), LET_THROUGH,
    };
    struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}
