#include "l1/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/log.h"
#include "l1/l1_private.h"
#include "proto/shm_map.h"

enum { SEGMENTS_WANTED = 128 };

/* ---- the shape --------------------------------------------------------------------------------------------- */

static uint64_t page_up(uint64_t bytes)
{
    return (bytes + SHM_PAGE - 1) & ~(uint64_t)(SHM_PAGE - 1);
}

/* Buckets for as many usual items as the segments can hold, or for the entries asked for. */
static uint32_t buckets_for(const struct memory_plan *plan, uint64_t bytes)
{
    uint64_t ceiling = bytes / 4 / SHM_LINE; /* entries asked for, but no more than a quarter for the index */
    uint64_t items = plan->entries_max ? plan->entries_max : fit_items(bytes, plan->made_for);
    uint64_t buckets = items / FIT_BUCKET_ITEMS + 2;
    return (uint32_t)(buckets < ceiling ? buckets : ceiling);
}

static uint32_t shift_for(uint64_t bytes)
{
    uint32_t shift = SHM_SEGMENT_SHIFT_MAX;
    while (shift > SHM_SEGMENT_SHIFT_MIN && bytes >> shift < SEGMENTS_WANTED)
        shift--;
    return shift;
}

static void shape_fill(const struct memory_plan *plan, struct shm_shape *s)
{
    uint64_t bytes = plan->options.l1_bytes;
    *s = plan->shape;
    s->magic = SHM_MAGIC;
    s->abi = SHM_ABI;
    s->partitions = 1;
    s->base_boot_ns = clock_boot_ns() - NS_PER_S; /* tick 0 is past for every clock: "stale at once" */
    s->boottime_clock = plan->options.l1_boottime_clock;
    s->cells_offset = SHM_PAGE;
    s->gens_offset = s->cells_offset + SHM_CELLS * sizeof(au64);
    s->bucket_count = buckets_for(plan, bytes - s->gens_offset);
    uint64_t gens_max = page_up((bytes >> SHM_SEGMENT_SHIFT_MIN) * sizeof(au64));
    s->buckets_offset = s->gens_offset + gens_max;
    s->segments_offset = s->buckets_offset + page_up((uint64_t)s->bucket_count * SHM_LINE);
    s->segment_shift = shift_for(bytes - s->segments_offset);
    s->segment_count = (uint32_t)((bytes - s->segments_offset) >> s->segment_shift);
    s->total_bytes = s->segments_offset + ((uint64_t)s->segment_count << s->segment_shift);
}

/* ---- the file ---------------------------------------------------------------------------------------------- */

bool memory_populate(void *at, size_t bytes)
{
    if (madvise(at, bytes, MADV_POPULATE_WRITE) == 0)
        return true;
    if (errno != EINVAL) /* EINVAL: a kernel before 5.14, which faults the pages in one by one */
        return false;
    for (size_t i = 0; i < bytes; i += SHM_PAGE)
        atomic_store_explicit((au64 *)(void *)((char *)at + i), 0, memory_order_relaxed);
    return true;
}

static int trouble(const char *what)
{
    int error = errno;
    log_error("cannot make the shared segment", L_TEXT("step", what), L_TEXT("error", strerror(error)));
    return -error;
}

static int file_make(const struct memory_plan *plan, struct memory *m)
{
    const struct shm_shape *s = &m->shape;
    m->fd = memfd_create("larder-l1", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (m->fd < 0)
        return trouble("memfd_create");
    if (ftruncate(m->fd, (off_t)s->total_bytes) != 0)
        return trouble("ftruncate");
    if (plan->options.l1_huge_pages)
        m->huge_index_bytes = huge_begin(m->fd, s->segments_offset, s->total_bytes, plan->huge_ns);
    void *base = shm_map(m->fd, s->total_bytes, PROT_READ | PROT_WRITE);
    if (base == MAP_FAILED)
        return trouble("mmap");
    m->base = base;
    return memory_populate(base, s->segments_offset) ? 0 : trouble("populate");
}

/* Its pages go with whoever closes or unmaps it last: without readers, here. */
static void file_unmake(struct memory *m)
{
    uint64_t bytes = m->base ? m->shape.total_bytes : 0;
    for (uint64_t at = 0; at < bytes; at += MEMORY_PIECE)
        munmap(m->base + at, bytes - at < MEMORY_PIECE ? bytes - at : MEMORY_PIECE);
    if (m->fd >= 0)
        close(m->fd);
}

int memory_seal(struct memory *m)
{
    memcpy(m->base, &m->shape, sizeof(m->shape));
    if (fcntl(m->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0)
        return trouble("seals");
    return 0;
}

/* ---- all of it --------------------------------------------------------------------------------------------- */

int memory_make(const struct memory_plan *plan, struct memory *ret)
{
    *ret = (struct memory){.fd = -1, .made_for = plan->made_for};
    shape_fill(plan, &ret->shape);
    int r = file_make(plan, ret);
    if (r < 0) {
        memory_unmake(ret);
        return r;
    }
    uint64_t slots = (uint64_t)ret->shape.bucket_count * SHM_SLOTS;
    ret->segments = must_alloc(ret->shape.segment_count * sizeof(*ret->segments));
    ret->heat = must_alloc(slots * sizeof(*ret->heat));
    ret->sizes = must_alloc(slots);
    ret->eviction = evict_make(plan, &ret->shape);
    return 0;
}

void memory_unmake(struct memory *m)
{
    file_unmake(m);
    eviction_destroy(m->eviction);
    free(m->segments);
    free(m->heat);
    free(m->sizes);
    *m = (struct memory){.fd = -1};
}
