#include "l1/huge.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/check.h"
#include "base/clock.h"
#include "proto/shm_map.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum { AHEAD_BYTES = 4 << 20 }; /* at 1 GB/s of sets the pool has 4 ms */

struct huge {
    struct offload offload;
    struct loop *loop;
    int fd;
    uint64_t next, wanted, file_bytes; /* blocks from `next` up to `wanted` are still to be asked for */
    uint64_t at;                       /* of the one that is asked for */
    uint64_t asked, bytes;
    bool running, over, got;
};

static uint64_t block_up(uint64_t offset)
{
    return (offset + SHM_HUGE_BYTES - 1) & ~(uint64_t)(SHM_HUGE_BYTES - 1);
}

/* Any mapping will do: pages belong to the file.  Reading a byte gives the block its first page, without which the kernel
 * takes it for a hole. */
static bool ask(int fd, uint64_t offset)
{
    void *room =
        mmap(NULL, 2 * SHM_HUGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return false;
    void *at = (void *)block_up((uintptr_t)room);
    bool got = mmap(at, SHM_HUGE_BYTES, PROT_READ, MAP_SHARED | MAP_FIXED, fd, (off_t)offset) != MAP_FAILED &&
               madvise(at, SHM_PAGE, MADV_POPULATE_READ) == 0 &&
               madvise(at, SHM_HUGE_BYTES, MADV_COLLAPSE) == 0;
    munmap(room, 2 * SHM_HUGE_BYTES);
    return got;
}

uint64_t huge_begin(int fd, uint64_t bytes, uint64_t file_bytes, uint64_t budget_ns)
{
    uint64_t got = 0, until_ns = clock_after(clock_mono_ns(), budget_ns);
    for (uint64_t at = 0; at < bytes && at + SHM_HUGE_BYTES <= file_bytes && clock_mono_ns() < until_ns;
         at += SHM_HUGE_BYTES) {
        if (!ask(fd, at))
            break;
        got += SHM_HUGE_BYTES;
    }
    return got;
}

static void work(struct offload *o)
{
    struct huge *h = CONTAINER_OF(o, struct huge, offload);
    h->got = ask(h->fd, h->at);
}

static void free_huge(struct huge *h)
{
    close(h->fd);
    free(h);
}

static void go_on(struct huge *h)
{
    if (h->running || h->next >= h->wanted || h->next + SHM_HUGE_BYTES > h->file_bytes)
        return;
    h->at = h->next;
    h->next += SHM_HUGE_BYTES;
    h->asked += SHM_HUGE_BYTES;
    h->running = true;
    offload_start(h->loop, &h->offload);
}

static void work_close(struct offload *o)
{
    close(CONTAINER_OF(o, struct huge, offload)->fd);
}

static void closed(struct offload *o)
{
    free(CONTAINER_OF(o, struct huge, offload));
}

/* Everybody else may have closed the file: then this is what gives its pages back, all of them. */
static void end_in_pool(struct huge *h)
{
    h->offload = (struct offload){.work = work_close, .done = closed};
    offload_start(h->loop, &h->offload);
}

static void done(struct offload *o)
{
    struct huge *h = CONTAINER_OF(o, struct huge, offload);
    h->running = false;
    h->bytes += h->got ? SHM_HUGE_BYTES : 0;
    if (h->over)
        end_in_pool(h);
    else
        go_on(h);
}

struct huge *huge_create(struct loop *loop, int fd, uint64_t from, uint64_t file_bytes)
{
    struct huge *h = must_alloc(sizeof(*h));
    *h = (struct huge){.loop = loop,
                       .fd = fcntl(fd, F_DUPFD_CLOEXEC, 0),
                       .next = block_up(from),
                       .file_bytes = file_bytes,
                       .offload = {.work = work, .done = done}};
    huge_used(h, from);
    return h;
}

struct huge *huge_destroy(struct huge *h)
{
    if (h && h->running)
        h->over = true; /* the pool has it; its end ends it */
    else if (h)
        free_huge(h);
    return NULL;
}

void huge_used(struct huge *h, uint64_t offset)
{
    uint64_t in_use = block_up(offset);
    h->next = h->next > in_use ? h->next : in_use;
    h->wanted = h->wanted > in_use + AHEAD_BYTES ? h->wanted : in_use + AHEAD_BYTES;
    go_on(h);
}

uint64_t huge_asked(const struct huge *h)
{
    return h->asked;
}

uint64_t huge_bytes(const struct huge *h)
{
    return h->bytes;
}
