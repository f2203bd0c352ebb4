/* WHO MAY UNMAP, AND WHEN.
 *
 *   reader:   inside = entry + 1 (plain store) │ current (load) … reads … inside - 1 (release)
 *   changer:  current = new                    │ membarrier     │ inside of every seat (acquire)
 *
 * The membarrier stands for a fence between the reader's store and its load: either the changer sees the mark, or the
 * reader sees the new attachment.  A seat that is seen inside may stand in the old mapping; its word is remembered,
 * and the mapping goes when each such seat has left (depth 0) or has come in again since (another entry count).
 * Where membarrier is missing the reader makes a full exchange instead of the store. */
#include "client/near.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "client/client.h"
#include "proto/shm_map.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

enum { SEALS_SEGMENT = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL };
enum { SEALS_TOUCH = F_SEAL_SHRINK };
#define ANCHOR_EVERY_NS \
    (1000 * NS_PER_MS) /* a lost touch page costs recency, so it may take a second to notice */
#define REFUSED_EVERY_NS (5000 * NS_PER_MS) /* a daemon that gives out no segment rarely changes its mind */

static bool membarrier_works(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

static void membarrier_all(const struct near *near)
{
    if (!near->fenced)
        syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

int near_init(struct near *near, bool wanted)
{
    *near = (struct near){.wanted = wanted, .fenced = !membarrier_works()};
    channel_init(&near->anchor);
    return pthread_mutex_init(&near->lock, NULL) == 0 ? 0 : LARDER_E_MEMORY;
}

/* ======= mapping ======= */

static bool sealed(int fd, int seals)
{
    int have = fcntl(fd, F_GET_SEALS);
    return have >= 0 && (have & seals) == seals;
}

static void *map_file(int fd, int seals, int protection, size_t *ret_bytes)
{
    struct stat st;
    if (!sealed(fd, seals) || fstat(fd, &st) < 0 || st.st_size <= 0)
        return NULL;
    void *base = shm_map(fd, (size_t)st.st_size, protection);
    *ret_bytes = (size_t)st.st_size;
    return base == MAP_FAILED ? NULL : base;
}

static struct shm_touch_page *map_touch(int fd)
{
    size_t bytes;
    struct shm_touch_page *page = map_file(fd, SEALS_TOUCH, PROT_READ | PROT_WRITE, &bytes);
    if (page && bytes >= sizeof(*page) && page->magic == SHM_TOUCH_MAGIC && page->abi == SHM_ABI)
        return page;
    if (page)
        munmap(page, bytes);
    return NULL;
}

static size_t touch_mapped_bytes(void)
{
    return (sizeof(struct shm_touch_page) + SHM_PAGE - 1) / SHM_PAGE * SHM_PAGE;
}

static void attachment_destroy(struct attachment *a)
{
    if (!a)
        return;
    munmap((void *)(uintptr_t)a->view.base, a->bytes);
    if (a->touch)
        munmap(a->touch, touch_mapped_bytes());
    free(a);
}

/* Header and index only: items are touched soon enough, and populating all would cost 160 ms. */
static void populate(const struct attachment *a)
{
    madvise((void *)(uintptr_t)a->view.base, a->view.shape.segments_offset, MADV_POPULATE_READ);
}

static struct attachment *attachment_create(const struct descriptors *d)
{
    size_t bytes = 0;
    const char *why;
    void *base = d->count ? map_file(d->fds[0], SEALS_SEGMENT, PROT_READ, &bytes) : NULL;
    if (!base)
        return NULL;
    struct attachment *a = calloc(1, sizeof(*a));
    if (!a || !shm_view_init(&a->view, base, bytes, &why)) {
        munmap(base, bytes);
        free(a);
        return NULL;
    }
    a->bytes = bytes;
    a->touch = d->count > 1 ? map_touch(d->fds[1]) : NULL;
    populate(a);
    return a;
}

/* ======= letting go ======= */

/* With the lock: no thread can be looking at what was current before the last change. */
static void remember_inside(struct larder_client *c)
{
    membarrier_all(&c->near);
    for (struct seat *s = atomic_load(&c->seats.first); s; s = s->next)
        s->seen = atomic_load(&s->inside);
}

static bool still_inside(struct larder_client *c)
{
    for (struct seat *s = atomic_load(&c->seats.first); s; s = s->next) {
        uint64_t now = atomic_load_explicit(&s->inside, memory_order_acquire);
        bool was_in = s->seen & 0xffff, is_in = now & 0xffff, same_stay = now >> 16 == s->seen >> 16;
        if (was_in && is_in && same_stay)
            return true;
    }
    return false;
}

static void release_retired(struct larder_client *c)
{
    struct near *near = &c->near;
    if (!near->retired || still_inside(c))
        return;
    attachment_destroy(near->retired);
    near->retired = NULL;
    atomic_store_explicit(&near->has_retired, false, memory_order_relaxed);
}

/* With the lock, and only when nothing is retired yet. */
static void change_current(struct larder_client *c, struct attachment *a)
{
    struct near *near = &c->near;
    near->retired = atomic_exchange(&near->current, a);
    atomic_store_explicit(&near->has_retired, near->retired != NULL, memory_order_relaxed);
    remember_inside(c);
    release_retired(c);
}

void near_finish(struct near *near)
{
    attachment_destroy(atomic_load(&near->current));
    attachment_destroy(near->retired);
    channel_finish(&near->anchor);
    pthread_mutex_destroy(&near->lock);
}

/* A thread of the parent may have been in the middle of a change: then the lock is held for ever in here, and what it
 * guards is left alone (lost, once a fork) but for our copy of the anchor's descriptor. */
void near_reborn(struct near *near)
{
    bool whole = pthread_mutex_trylock(&near->lock) == 0;
    uint64_t serials = near->serials;
    bool wanted = near->wanted;
    attachment_destroy(atomic_exchange(&near->current, NULL));
    channel_close(&near->anchor);
    if (whole) {
        attachment_destroy(near->retired);
        channel_finish(&near->anchor);
        pthread_mutex_unlock(&near->lock);
    }
    near_init(near, wanted);
    near->serials = serials;
}

/* ======= attaching ======= */

static bool current_lives(struct larder_client *c, struct seat *seat)
{
    struct attachment *a = near_enter(&c->near, seat);
    if (!a)
        return false;
    bool alive = shm_alive(&a->view);
    near_leave(seat);
    return alive;
}

/* The daemon drops our touch page with this connection, and it has nothing to say on it. */
static bool anchor_holds(struct near *near)
{
    struct pollfd p = {.fd = near->anchor.fd, .events = POLLIN | POLLRDHUP};
    return near->anchor.fd >= 0 && poll(&p, 1, 0) == 0;
}

/* With the lock, and only when nothing is retired.  False: nothing to be mapped came along. */
static bool take_segment(struct larder_client *c, struct descriptors *d)
{
    struct near *near = &c->near;
    struct attachment *a = attachment_create(d);
    descriptors_drop(d);
    if (!a)
        return false;
    a->serial = ++near->serials;
    atomic_store_explicit(&near->unborn, !shm_alive(&a->view), memory_order_relaxed);
    change_current(c, a);
    atomic_fetch_add_explicit(&near->attaches, 1, memory_order_relaxed);
    return true;
}

bool near_adopt(struct larder_client *c, struct descriptors *d)
{
    pthread_mutex_lock(&c->near.lock);
    release_retired(c);
    bool adopted = !c->near.retired && take_segment(c, d);
    pthread_mutex_unlock(&c->near.lock);
    descriptors_drop(d);
    return adopted;
}

bool near_lives(struct larder_client *c)
{
    struct seat *seat = seat_mine(c, &c->seats);
    return seat && current_lives(c, seat);
}

static int attach(struct larder_client *c, uint64_t deadline_ns)
{
    struct near *near = &c->near;
    struct descriptors d = {.count = 0};
    channel_close(&near->anchor);
    int r = pool_dial(c, &near->anchor, WIRE_WANT_SEGMENT | WIRE_WANT_TOUCH, deadline_ns, &d);
    if (r < 0)
        return r;
    if (!take_segment(c, &d)) {
        channel_close(&near->anchor);
        atomic_store(&near->look_again_ns, now_ns() + REFUSED_EVERY_NS);
        return 0;
    }
    atomic_store(&near->look_again_ns, now_ns() + ANCHOR_EVERY_NS);
    return 0;
}

static int mend_locked(struct larder_client *c, struct seat *seat, bool alive, uint64_t deadline_ns)
{
    struct near *near = &c->near;
    release_retired(c);
    if (near->retired)
        return 0; /* one dead mapping is the most we keep */
    if (alive && anchor_holds(near)) {
        atomic_store(&near->look_again_ns, now_ns() + ANCHOR_EVERY_NS);
        return 0;
    }
    return current_lives(c, seat) && anchor_holds(near) ? 0 : attach(c, deadline_ns);
}

/* A segment that died is worth an attempt at once (the back-off of pool_dial bounds how many).  One that lives, was
 * refused, or has not been opened by its daemon yet is looked at again only when its time has come. */
static bool mend_is_due(struct near *near, bool alive)
{
    if (alive)
        atomic_store_explicit(&near->unborn, false, memory_order_relaxed);
    bool unborn = atomic_load_explicit(&near->unborn, memory_order_relaxed);
    bool died = !alive && !unborn && atomic_load(&near->current);
    return died || atomic_load_explicit(&near->has_retired, memory_order_relaxed) ||
           now_ns() >= atomic_load_explicit(&near->look_again_ns, memory_order_relaxed);
}

int near_mend(struct larder_client *c, struct seat *seat, uint64_t deadline_ns)
{
    struct near *near = &c->near;
    if (!near->wanted)
        return 0;
    bool alive = current_lives(c, seat);
    if (!mend_is_due(near, alive) || pthread_mutex_trylock(&near->lock) != 0)
        return 0; /* when somebody else is at it, the socket answers meanwhile */
    int r = mend_locked(c, seat, alive, deadline_ns);
    pthread_mutex_unlock(&near->lock);
    return r;
}

void near_forget_dead(struct larder_client *c, struct seat *seat)
{
    struct near *near = &c->near;
    pthread_mutex_lock(&near->lock);
    release_retired(c);
    if (!near->retired && atomic_load(&near->current) && !current_lives(c, seat))
        change_current(c, NULL);
    pthread_mutex_unlock(&near->lock);
}

uint64_t near_dead_bytes(struct larder_client *c, struct seat *seat)
{
    struct near *near = &c->near;
    uint64_t bytes = 0;
    pthread_mutex_lock(&near->lock);
    struct attachment *a = atomic_load(&near->current);
    if (a && !current_lives(c, seat))
        bytes += a->bytes;
    if (near->retired)
        bytes += near->retired->bytes;
    pthread_mutex_unlock(&near->lock);
    return bytes;
}

/* ======= stripes ======= */

static int claim_bit(_Atomic uint64_t *taken)
{
    uint64_t bits = atomic_load_explicit(taken, memory_order_relaxed);
    while (~bits) {
        int free_bit = __builtin_ctzll(~bits);
        if (atomic_compare_exchange_weak_explicit(taken, &bits, bits | 1ull << free_bit, memory_order_acquire,
                                                  memory_order_relaxed))
            return free_bit;
    }
    return -1;
}

static void raise_used(_Atomic uint32_t *used, uint32_t at_least)
{
    uint32_t now = atomic_load_explicit(used, memory_order_relaxed);
    while (now < at_least && !atomic_compare_exchange_weak_explicit(
                                 used, &now, at_least, memory_order_release, memory_order_relaxed))
        ;
}

/* Threads beyond the last stripe share it: they may lose each other's counts, nothing more. */
void near_stripe_take(struct attachment *a, struct seat *seat)
{
    seat->stripe_of = a->serial;
    seat->stripe = NULL;
    seat->stripe_number = -1;
    if (!a->touch)
        return;
    seat->stripe_number = claim_bit(&a->stripes_taken);
    unsigned number = seat->stripe_number >= 0 ? (unsigned)seat->stripe_number : SHM_STRIPES - 1;
    raise_used(&a->touch->stripes_used, number + 1);
    seat->stripe = &a->touch->stripes[number];
}

void near_stripe_return(struct near *near, struct seat *seat)
{
    struct attachment *a = near_enter(near, seat);
    if (a && a->serial == seat->stripe_of && seat->stripe_number >= 0)
        atomic_fetch_and_explicit(&a->stripes_taken, ~(1ull << seat->stripe_number), memory_order_release);
    if (a)
        near_leave(seat);
    seat->stripe_of = 0;
    seat->stripe_number = -1;
}

/* ======= times ======= */

uint64_t near_clock_read(void)
{
    return now_ns();
}

/* Between two readings of the clock without anything between them lies what reading it costs. */
void near_took(struct attachment *a, uint64_t since)
{
    uint64_t end = now_ns(), cost = now_ns() - end, took = end - since;
    if (!a->touch)
        return;
    took = took > cost ? took - cost : 0;
    atomic_fetch_add_explicit(&a->touch->took_ns, took, memory_order_relaxed);
    atomic_fetch_add_explicit(&a->touch->took[shm_took_cell(took)], 1, memory_order_relaxed);
}
