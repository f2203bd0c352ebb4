/* The memfd and its segments.
 *
 * What must stay true: the shape is written before the file is sealed and never after; a segment's bytes are
 * rewritten only between segment_free (W2, W3) and the next publication; a segment in a queue is in one queue. */
#include "l1/l1_private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>
#include "base/log.h"
#include "proto/shm_map.h"

enum { SEGMENTS_WANTED = 128 };

#define HUGE_BUDGET_NS (20 * NS_PER_MS) /* of a start; usually 0.2 ms a block */

/* ---- queues ----------------------------------------------------------------------------------------------- */

static void queue_init(struct queue *q)
{
    *q = (struct queue){SEGMENT_NONE, SEGMENT_NONE, 0};
}

void queue_push(struct l1 *l1, struct queue *q, uint32_t segment)
{
    struct segment *s = &l1->segments[segment];
    s->next = SEGMENT_NONE;
    s->prev = q->last;
    if (q->last == SEGMENT_NONE)
        q->first = segment;
    else
        l1->segments[q->last].next = segment;
    q->last = segment;
    q->count++;
}

void queue_remove(struct l1 *l1, struct queue *q, uint32_t segment)
{
    struct segment *s = &l1->segments[segment];
    if (s->prev == SEGMENT_NONE)
        q->first = s->next;
    else
        l1->segments[s->prev].next = s->next;
    if (s->next == SEGMENT_NONE)
        q->last = s->prev;
    else
        l1->segments[s->next].prev = s->prev;
    q->count--;
}

uint32_t queue_pop(struct l1 *l1, struct queue *q)
{
    uint32_t segment = q->first;
    if (segment != SEGMENT_NONE)
        queue_remove(l1, q, segment);
    return segment;
}

/* ---- the file ---------------------------------------------------------------------------------------------- */

static uint64_t page_up(uint64_t bytes)
{
    return (bytes + SHM_PAGE - 1) & ~(uint64_t)(SHM_PAGE - 1);
}

/* Buckets for as many usual items as the segments can hold, or for the entries asked for. */
static uint32_t buckets_for(const struct l1 *l1, uint64_t bytes)
{
    uint64_t ceiling = bytes / 4 / SHM_LINE; /* entries asked for, but no more than a quarter for the index */
    uint64_t items = l1->entries_max ? l1->entries_max : fit_items(bytes, l1->made_for);
    uint64_t buckets = items / FIT_BUCKET_ITEMS + 2;
    return (uint32_t)(buckets < ceiling ? buckets : ceiling);
}

/* Four for each entry, where that takes no more memory than one for each of the smallest that are usual. */
uint64_t segment_ghosts(const struct l1 *l1, uint64_t entries)
{
    uint64_t most = fit_items(l1->shape.total_bytes, FIT_DEFAULT);
    return 4 * entries < most ? 4 * entries : entries > most ? entries : most;
}

static uint32_t shift_for(uint64_t bytes)
{
    uint32_t shift = SHM_SEGMENT_SHIFT_MAX;
    while (shift > SHM_SEGMENT_SHIFT_MIN && bytes >> shift < SEGMENTS_WANTED)
        shift--;
    return shift;
}

static void shape_fill(struct l1 *l1)
{
    struct shm_shape *s = &l1->shape;
    const struct l1_options *o = &l1->options;
    uint64_t bytes = o->l1_bytes;
    s->magic = SHM_MAGIC;
    s->abi = SHM_ABI;
    s->partitions = 1;
    s->base_boot_ns = clock_boot_ns() - NS_PER_S; /* tick 0 is past for every clock: "stale at once" */
    s->boottime_clock = o->l1_boottime_clock;
    s->cells_offset = SHM_PAGE;
    s->gens_offset = s->cells_offset + SHM_CELLS * sizeof(au64);
    s->bucket_count = buckets_for(l1, bytes - s->gens_offset);
    uint64_t gens_max = page_up((bytes >> SHM_SEGMENT_SHIFT_MIN) * sizeof(au64));
    s->buckets_offset = s->gens_offset + gens_max;
    s->segments_offset = s->buckets_offset + page_up((uint64_t)s->bucket_count * SHM_LINE);
    s->segment_shift = shift_for(bytes - s->segments_offset);
    s->segment_count = (uint32_t)((bytes - s->segments_offset) >> s->segment_shift);
    s->total_bytes = s->segments_offset + ((uint64_t)s->segment_count << s->segment_shift);
}

static bool populate(void *at, size_t bytes)
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

static int file_make(struct l1 *l1)
{
    const struct shm_shape *s = &l1->shape;
    l1->fd = memfd_create("larder-l1", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (l1->fd < 0)
        return trouble("memfd_create");
    if (ftruncate(l1->fd, (off_t)s->total_bytes) != 0)
        return trouble("ftruncate");
    l1->huge_index_bytes = l1->options.l1_huge_pages
                               ? huge_begin(l1->fd, s->segments_offset, s->total_bytes, HUGE_BUDGET_NS)
                               : 0;
    void *base = shm_map(l1->fd, s->total_bytes, PROT_READ | PROT_WRITE);
    if (base == MAP_FAILED)
        return trouble("mmap");
    l1->base = base;
    if (!populate(base, s->segments_offset))
        return trouble("populate");
    memcpy(base, s, sizeof(*s));
    if (fcntl(l1->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0)
        return trouble("seals");
    return 0;
}

static void file_unmake(struct l1 *l1)
{
    if (l1->base)
        munmap(l1->base, l1->shape.total_bytes);
    if (l1->fd >= 0)
        close(l1->fd);
    l1->base = NULL;
    l1->fd = -1;
}

/* ---- incarnations ------------------------------------------------------------------------------------------ */

static void point_into_file(struct l1 *l1)
{
    const struct shm_shape *s = &l1->shape;
    l1->header = (struct shm_header *)(void *)l1->base;
    l1->cells = (au64 *)(void *)(l1->base + s->cells_offset);
    l1->gens = (au64 *)(void *)(l1->base + s->gens_offset);
    l1->buckets = (au64 *)(void *)(l1->base + s->buckets_offset);
}

static void bookkeeping_make(struct l1 *l1)
{
    const struct shm_shape *s = &l1->shape;
    l1->segments = must_alloc(s->segment_count * sizeof(*l1->segments));
    l1->heat = must_alloc((size_t)s->bucket_count * SHM_SLOTS * sizeof(*l1->heat));
    l1->sizes = must_alloc((size_t)s->bucket_count * SHM_SLOTS);
    queue_init(&l1->free);
    queue_init(&l1->doomed);
    for (int pool = 0; pool < POOLS; pool++) {
        queue_init(&l1->sealed[pool]);
        l1->pool_live_bytes[pool] = 0;
        for (int class = 0; class < L1_TTL_CLASSES; class ++)
            l1->open_segments[pool][class] = SEGMENT_NONE;
    }
    for (uint32_t i = 0; i < s->segment_count; i++)
        queue_push(l1, &l1->free, i);
    l1->entries = 0;
    l1->doom_cursor = l1->compact_cursor = l1->choose_cursor = 0;
    evict_setup(l1);
    cells_reset(l1);
}

/* With a fleet the epochs are its; alone there is one, for good. */
static void fill_epochs(struct l1 *l1)
{
    if (!l1->view)
        return;
    l1->shape.partitions = l1->view->partitions;
    for (unsigned p = 0; p < l1->view->partitions; p++)
        l1->shape.epochs[p] = l1->view->of[p].epoch;
}

void segment_rewrite_epochs(struct l1 *l1)
{
    fill_epochs(l1);
    memcpy(l1->header->shape.epochs, l1->shape.epochs, sizeof(l1->shape.epochs));
}

static int incarnation_begin(struct l1 *l1)
{
    l1->handed_out = false;
    shape_fill(l1);
    fill_epochs(l1);
    l1->shape.incarnation = l1->incarnation_base + l1->count.l1_incarnation++;
    int r = file_make(l1);
    if (r < 0) {
        file_unmake(l1);
        return r;
    }
    if (l1->huge_index_bytes && l1->loop)
        l1->huge = huge_create(l1->loop, l1->fd, l1->shape.segments_offset, l1->shape.total_bytes);
    point_into_file(l1);
    bookkeeping_make(l1);
    life_begin(l1);
    return 0;
}

static void incarnation_end(struct l1 *l1)
{
    if (!l1->base)
        return;
    life_end(l1);
    l1->huge = huge_destroy(l1->huge);
    file_unmake(l1);
    evict_teardown(l1);
    free(l1->segments);
    free(l1->heat);
    free(l1->sizes);
    l1->segments = NULL;
    l1->heat = NULL;
    l1->sizes = NULL;
}

int segment_setup(struct l1 *l1, const char *namespace, uint64_t hash_secret, uint64_t epoch)
{
    l1->fd = -1;
    l1->shape.hash_secret = hash_secret;
    l1->shape.epochs[0] = epoch;
    snprintf(l1->shape.namespace, sizeof(l1->shape.namespace), "%s", namespace);
    if (getrandom(&l1->incarnation_base, sizeof(l1->incarnation_base), 0) != sizeof(l1->incarnation_base))
        return trouble("getrandom");
    return incarnation_begin(l1);
}

void segment_teardown(struct l1 *l1)
{
    incarnation_end(l1);
}

int segment_renew(struct l1 *l1)
{
    incarnation_end(l1);
    return incarnation_begin(l1);
}

/* ---- segments ------------------------------------------------------------------------------------------------ */

void segment_seal(struct l1 *l1, uint32_t segment)
{
    struct segment *s = &l1->segments[segment];
    l1->open_segments[s->pool][s->ttl_class] = SEGMENT_NONE;
    s->state = SEGMENT_SEALED;
    queue_push(l1, &l1->sealed[s->pool], segment);
    if (s->live_items == 0) {
        queue_remove(l1, &l1->sealed[s->pool], segment);
        segment_free(l1, segment);
    }
}

void segment_free(struct l1 *l1, uint32_t segment)
{
    struct segment *s = &l1->segments[segment];
    CHECK(s->live_items == 0);
    order_recycle(l1->gens + segment);
    s->state = SEGMENT_FREE;
    s->used = 0;
    queue_push(l1, &l1->free, segment);
    if (l1->sweep.segment == segment)
        l1->sweep.at = 0; /* what comes next has other item boundaries */
}

static uint32_t segment_open(struct l1 *l1, enum pool pool, unsigned ttl_class, bool reserved)
{
    if (l1->free.count <= (reserved ? 0 : L1_SEGMENTS_RESERVED))
        return SEGMENT_NONE;
    uint32_t segment = l1->free.first;
    struct segment *s = &l1->segments[segment];
    if (!s->populated && l1->huge)
        huge_used(l1->huge, segment_start(l1, segment) + segment_bytes(l1));
    if (!s->populated && !populate(l1->base + segment_start(l1, segment), segment_bytes(l1)))
        return SEGMENT_NONE; /* the machine is out of memory: what is here stays, new entries wait for eviction */
    queue_remove(l1, &l1->free, segment);
    *s = (struct segment){.gen = (uint16_t)order_own(l1->gens + segment),
                          .state = SEGMENT_OPEN,
                          .pool = (uint8_t)pool,
                          .ttl_class = (uint8_t)ttl_class,
                          .populated = true};
    l1->open_segments[pool][ttl_class] = segment;
    eviction_opened(l1->eviction, segment);
    return segment;
}

uint64_t segment_room(struct l1 *l1, enum pool pool, unsigned ttl_class, uint32_t bytes, bool reserved)
{
    uint32_t segment = l1->open_segments[pool][ttl_class];
    if (segment != SEGMENT_NONE && l1->segments[segment].used + bytes > segment_bytes(l1)) {
        segment_seal(l1, segment);
        segment = SEGMENT_NONE;
    }
    if (segment == SEGMENT_NONE)
        segment = segment_open(l1, pool, ttl_class, reserved);
    return segment == SEGMENT_NONE ? 0 : segment_start(l1, segment) + l1->segments[segment].used;
}

void segment_appended(struct l1 *l1, uint64_t offset, uint32_t bytes, uint32_t hard)
{
    struct segment *s = &l1->segments[segment_of(l1, offset)];
    s->used += bytes;
    s->live_bytes += bytes;
    s->live_items++;
    if (hard > s->hard_max)
        s->hard_max = hard;
    l1->pool_live_bytes[s->pool] += bytes;
    l1->entries++;
}

void segment_item_died(struct l1 *l1, uint64_t slot_word)
{
    uint64_t offset = shm_slot_offset(slot_word);
    uint32_t segment = segment_of(l1, offset);
    struct segment *s = &l1->segments[segment];
    if (s->state == SEGMENT_DOOMED)
        return; /* counted when it was doomed */
    uint32_t bytes = shm_item_bytes(item_at(l1, offset).shape);
    CHECK(s->live_items > 0 && s->live_bytes >= bytes);
    s->live_items--;
    s->live_bytes -= bytes;
    l1->pool_live_bytes[s->pool] -= bytes;
    l1->entries--;
    if (s->live_items == 0 && s->state == SEGMENT_SEALED) {
        queue_remove(l1, &l1->sealed[s->pool], segment);
        segment_free(l1, segment);
    }
}

static void doom(struct l1 *l1, uint32_t segment)
{
    struct segment *s = &l1->segments[segment];
    order_recycle(l1->gens + segment);
    l1->count.l1_expired += s->live_items;
    l1->entries -= s->live_items;
    l1->pool_live_bytes[s->pool] -= s->live_bytes;
    s->live_items = s->live_bytes = 0;
    queue_remove(l1, &l1->sealed[s->pool], segment);
    s->state = SEGMENT_DOOMED;
    queue_push(l1, &l1->doomed, segment);
}

/* A whole segment past its last end dies by one store. */
void segment_doom_expired(struct l1 *l1, uint64_t now_ns)
{
    uint32_t now = item_ticks(l1, now_ns);
    for (uint32_t i = 0; i < L1_DOOM_SEGMENTS && i < l1->shape.segment_count; i++) {
        uint32_t segment = l1->doom_cursor++ % l1->shape.segment_count;
        const struct segment *s = &l1->segments[segment];
        if (s->state == SEGMENT_SEALED && s->hard_max <= now)
            doom(l1, segment);
    }
}

/* Everything in segments in use that is neither a live item nor still to be written. */
uint64_t segment_dead_bytes(const struct l1 *l1)
{
    uint64_t held = (uint64_t)(l1->shape.segment_count - l1->free.count) << l1->shape.segment_shift;
    for (int pool = 0; pool < POOLS; pool++)
        for (int class = 0; class < L1_TTL_CLASSES; class ++)
            if (l1->open_segments[pool][class] != SEGMENT_NONE)
                held -= segment_bytes(l1) - l1->segments[l1->open_segments[pool][class]].used;
    return held - l1->pool_live_bytes[POOL_NEW] - l1->pool_live_bytes[POOL_KEPT];
}
