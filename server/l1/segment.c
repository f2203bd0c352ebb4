/* Incarnations, one after the other, and the segments of the present one.
 *
 * What must stay true: the old incarnation is CLOSED before its memory is given back; a segment's bytes are
 * rewritten only between segment_free (W2, W3) and the next publication; a segment in a queue is in one queue. */
#include "l1/l1_private.h"

#include <errno.h>
#include <sys/random.h>
#include "base/log.h"

/* Huge pages for the index, usually 0.2 ms a block: of a start, and in the pool, where only the pool waits. */
#define HUGE_NS      (20 * NS_PER_MS)
#define HUGE_POOL_NS NS_PER_S

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

/* ---- incarnations ------------------------------------------------------------------------------------------ */

static void point_into_file(struct l1 *l1)
{
    const struct shm_shape *s = &l1->shape;
    l1->header = (struct shm_header *)(void *)l1->base;
    l1->cells = (au64 *)(void *)(l1->base + s->cells_offset);
    l1->gens = (au64 *)(void *)(l1->base + s->gens_offset);
    l1->buckets = (au64 *)(void *)(l1->base + s->buckets_offset);
}

static void bookkeeping_begin(struct l1 *l1)
{
    queue_init(&l1->free);
    queue_init(&l1->doomed);
    for (int pool = 0; pool < POOLS; pool++) {
        queue_init(&l1->sealed[pool]);
        l1->pool_live_bytes[pool] = 0;
        for (int class = 0; class < L1_TTL_CLASSES; class ++)
            l1->open_segments[pool][class] = SEGMENT_NONE;
    }
    for (uint32_t i = 0; i < l1->shape.segment_count; i++)
        queue_push(l1, &l1->free, i);
    l1->entries = 0;
    l1->doom_cursor = l1->compact_cursor = l1->choose_cursor = 0;
    evict_begin(l1);
    cells_reset(l1);
}

/* With a fleet the epochs are its; alone there is one, for good. */
static void fill_epochs(const struct l1 *l1, struct shm_shape *shape)
{
    if (!l1->view)
        return;
    shape->partitions = l1->view->partitions;
    for (unsigned p = 0; p < l1->view->partitions; p++)
        shape->epochs[p] = l1->view->of[p].epoch;
}

void segment_rewrite_epochs(struct l1 *l1)
{
    fill_epochs(l1, &l1->shape);
    memcpy(l1->header->shape.epochs, l1->shape.epochs, sizeof(l1->shape.epochs));
}

/* Its name, among all there ever were, and what it vouches for are those of the moment. */
static int seal(struct l1 *l1, struct memory *m)
{
    fill_epochs(l1, &m->shape);
    m->shape.incarnation = l1->incarnation_base + l1->count.l1_incarnation++;
    return memory_seal(m);
}

static void take_up(struct l1 *l1, const struct memory *m)
{
    l1->shape = m->shape;
    l1->made_for = m->made_for;
    l1->fd = m->fd;
    l1->base = m->base;
    l1->huge_index_bytes = m->huge_index_bytes;
    l1->segments = m->segments;
    l1->heat = m->heat;
    l1->sizes = m->sizes;
    l1->eviction = m->eviction;
}

static struct memory lay_down(struct l1 *l1)
{
    struct memory m = {.shape = l1->shape,
                       .fd = l1->fd,
                       .base = l1->base,
                       .segments = l1->segments,
                       .heat = l1->heat,
                       .sizes = l1->sizes,
                       .eviction = l1->eviction};
    l1->fd = -1;
    l1->base = NULL;
    l1->segments = NULL;
    l1->heat = NULL;
    l1->sizes = NULL;
    l1->eviction = NULL;
    return m;
}

static void incarnation_begin(struct l1 *l1, const struct memory *m)
{
    l1->handed_out = false;
    take_up(l1, m);
    if (l1->huge_index_bytes && l1->loop)
        l1->huge = huge_create(l1->loop, l1->fd, l1->shape.segments_offset, l1->shape.total_bytes);
    point_into_file(l1);
    bookkeeping_begin(l1);
    life_begin(l1);
}

static struct memory incarnation_end(struct l1 *l1)
{
    life_end(l1);
    l1->huge = huge_destroy(l1->huge);
    return lay_down(l1);
}

static struct memory_plan plan(const struct l1 *l1, uint64_t made_for, uint64_t huge_ns)
{
    return (struct memory_plan){.options = l1->options,
                                .shape = l1->shape,
                                .entries_max = l1->entries_max,
                                .made_for = made_for,
                                .huge_ns = huge_ns};
}

static int make_and_begin(struct l1 *l1)
{
    struct memory_plan p = plan(l1, l1->made_for, HUGE_NS);
    struct memory m;
    int r = memory_make(&p, &m);
    if (r < 0)
        return r;
    r = seal(l1, &m);
    if (r < 0)
        memory_unmake(&m);
    else
        incarnation_begin(l1, &m);
    return r;
}

int segment_setup(struct l1 *l1, const char *namespace, uint64_t hash_secret, uint64_t epoch)
{
    l1->fd = -1;
    l1->shape.hash_secret = hash_secret;
    l1->shape.epochs[0] = epoch;
    snprintf(l1->shape.namespace, sizeof(l1->shape.namespace), "%s", namespace);
    if (getrandom(&l1->incarnation_base, sizeof(l1->incarnation_base), 0) != sizeof(l1->incarnation_base)) {
        int error = errno;
        log_error("no random numbers for the shared segment", L_TEXT("error", strerror(error)));
        return -error;
    }
    return make_and_begin(l1);
}

/* The loop may not run any more, and nobody waits for it: given back here. */
void segment_teardown(struct l1 *l1)
{
    struct memory old = incarnation_end(l1);
    memory_unmake(&old);
}

int segment_renew(struct l1 *l1)
{
    struct memory old = incarnation_end(l1);
    builder_give_back(l1->builder, &old);
    return make_and_begin(l1);
}

int segment_refit(struct l1 *l1, uint64_t made_for)
{
    struct memory_plan p = plan(l1, made_for, HUGE_POOL_NS);
    struct memory m;
    builder_make(l1->builder, &p);
    int r = builder_take(l1->builder, &m);
    if (r)
        return r < 0 ? r : L1_REFITTING;
    r = seal(l1, &m);
    struct memory unwanted = r < 0 ? m : incarnation_end(l1);
    if (r == 0)
        incarnation_begin(l1, &m);
    builder_give_back(l1->builder, &unwanted);
    return r;
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
    if (!s->populated && !memory_populate(l1->base + segment_start(l1, segment), segment_bytes(l1)))
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
