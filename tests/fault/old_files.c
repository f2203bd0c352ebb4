/* old_files COMMAND...
 *
 * Runs it on file systems that look older than they are, to it and its children: a file without a name (O_TMPFILE) is
 * EOPNOTSUPP, as the kernel says where a file system has none.  Exit code 77: system calls cannot be filtered here. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CANNOT = 77, NAMELESS = O_TMPFILE & ~O_DIRECTORY, FLAGS_OF_OPENAT = 2 };

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))

static int refuse_nameless(void)
{
    struct sock_filter code[] = {
        LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
        LOAD(args[FLAGS_OF_OPENAT]), /* its lower half: every flag is in there */
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NAMELESS, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

int main(int argc, char **argv)
{
    if (argc < 2 || refuse_nameless() < 0)
        return CANNOT;
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    return CANNOT;
}
