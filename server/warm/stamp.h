/* Which file was committed: a number that is another one as soon as anybody touches the file.
 *
 * Of its size, its inode and the time of its last change.  Linux 6.13 and later give a change a time of its own when the
 * time before it has been looked at, which taking the stamp does.  Older ones stamp with a clock that stands still for up
 * to 10 ms: what keeps the size within the tick of the last commit goes unseen there, unless stamp_of_settled_file let
 * the tick go by. */
#ifndef LARDER_WARM_STAMP_H
#define LARDER_WARM_STAMP_H

#include <stdint.h>

/* 0: there is no such file, or nobody can tell. */
uint64_t stamp_of_path(const char *path);
uint64_t stamp_of_file(int fd);
/* The same of a file that its owner has changed for the last time; waits up to 20 ms. */
uint64_t stamp_of_settled_file(int fd);

#endif
