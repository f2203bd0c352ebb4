/* Maps a file of shared memory where its huge pages fit: at an address that is the same as the offset modulo their size.
 * Elsewhere each of them would be mapped as 512 small ones, and a hit would wait for the page tables of two. */
#ifndef LARDER_PROTO_SHM_MAP_H
#define LARDER_PROTO_SHM_MAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include "proto/shm.h"

#define SHM_HUGE_BYTES ((size_t)2 << 20)

/* As mmap of the whole file, MAP_SHARED.  munmap ends it. */
static inline void *shm_map(int fd, size_t bytes, int protection)
{
    char *room =
        mmap(NULL, bytes + SHM_HUGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
    char *at = (char *)(((uintptr_t)room + SHM_HUGE_BYTES - 1) & ~(SHM_HUGE_BYTES - 1));
    char *end = room + bytes + SHM_HUGE_BYTES;
    if (mmap(at, bytes, protection, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
        munmap(room, bytes + SHM_HUGE_BYTES);
        return MAP_FAILED;
    }
    char *behind = at + (bytes + SHM_PAGE - 1) / SHM_PAGE * SHM_PAGE;
    if (at > room)
        munmap(room, (size_t)(at - room));
    if (end > behind)
        munmap(behind, (size_t)(end - behind));
    return at;
}

#endif
