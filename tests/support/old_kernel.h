/* Makes the kernel look older than it is: for this process and its children, membarrier is ENOSYS and
 * MADV_WIPEONFORK is EINVAL, so that the library's other ways are taken. */
#ifndef LARDER_TESTS_OLD_KERNEL_H
#define LARDER_TESTS_OLD_KERNEL_H

/* 0, or -1 when system calls cannot be filtered here. */
int old_kernel(void);

#endif
