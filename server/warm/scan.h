/* Is the LMDB file whole?  LMDB trusts its file: one bad byte in a page header is a crash or worse (CVE-2019-16224 and
 * its brothers), so somebody who trusts nothing reads every page of every tree before LMDB is let near it.
 *
 * Always, also after a clean stop: a disk, a copy or a hand can change a file that was closed well, and the walk
 * costs a fraction of a second for a million entries. */
#ifndef LARDER_WARM_SCAN_H
#define LARDER_WARM_SCAN_H

#include <stddef.h>

/* NULL: whole.  Otherwise a static sentence.  Reads in a child process, so that a disk that fails under the mapping
 * (SIGBUS) ends the child only; gives up after SCAN_NS. */
const char *scan_file(const char *path);
/* The same over bytes in memory, whatever they are. */
const char *scan_bytes(const void *bytes, size_t size);

#endif
