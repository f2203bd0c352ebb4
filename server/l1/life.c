/* How readers know that somebody is behind the segment: the death mark, the lease, the state.
 *
 * What must stay true: the mirror for the next daemon is stored before the lease it mirrors (F3); CLOSED is stored
 * before the mutex is let go, so that an owner word without owner is never seen in an open segment. */
#include "l1/l1_private.h"

#include <pthread.h>

static_assert(sizeof(pthread_mutex_t) <= SHM_LINE, "the death mark has one line of the header");

static pthread_mutex_t *owner_mutex(struct l1 *l1)
{
    return (pthread_mutex_t *)(void *)&l1->header->owner;
}

/* The kernel walks the list of robust mutexes of a thread that dies, and marks their first word. */
static void take_mutex(struct l1 *l1)
{
    pthread_mutexattr_t attributes;
    CHECK(pthread_mutexattr_init(&attributes) == 0);
    CHECK(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
    CHECK(pthread_mutex_init(owner_mutex(l1), &attributes) == 0);
    CHECK(pthread_mutex_lock(owner_mutex(l1)) == 0);
    pthread_mutexattr_destroy(&attributes);
}

/* Alone, nobody else changes anything.  In a fleet promises and mode are its to make.  A segment begins without LOCAL
 * items, so that its first mode needs no local floor. */
void life_promise(struct l1 *l1)
{
    const struct fleet_view *view = l1->view;
    bool was_detached = order_own(&l1->header->mode) == SHM_DETACHED;
    for (unsigned p = 0; p < SHM_PARTITIONS; p++)
        order_promise(l1->header, p, view ? view->of[p].fresh_until_ns : UINT64_MAX);
    if (view && view->mode == SHM_DETACHED)
        order_detach(l1->header, view->serve_until_ns);
    else if (was_detached)
        order_attach(l1->header, ++l1->seq, view->mode);
    else
        order_attach(l1->header, (uint32_t)order_own(&l1->header->local_floor),
                     view ? view->mode : SHM_STANDALONE);
}

void life_begin(struct l1 *l1)
{
    take_mutex(l1);
    order_state(l1->header, SHM_STARTING);
    life_promise(l1);
    life_renew(l1);
    if (l1->open)
        order_state(l1->header, SHM_OPEN);
}

/* Measured between two readings of the other clock, and rather too large than too small: then readers see time
 * too late, which is the safe side. */
static uint64_t boot_minus_mono(void)
{
    uint64_t before = 0, boot = 0;
    for (int attempt = 0; attempt < 3; attempt++) {
        before = clock_mono_ns();
        boot = clock_boot_ns();
        if (clock_mono_ns() - before < 20000)
            break; /* else the thread was paused in between */
    }
    return boot - before;
}

void life_renew(struct l1 *l1)
{
    uint64_t until = clock_after(l1->now_ns(l1), l1->options.l1_lease);
    if (l1->mirror)
        l1->mirror(l1->user, until);
    order_alive(l1->header, until, boot_minus_mono());
}

void life_end(struct l1 *l1)
{
    order_state(l1->header, SHM_CLOSED);
    CHECK(pthread_mutex_unlock(owner_mutex(l1)) == 0);
    CHECK(pthread_mutex_destroy(owner_mutex(l1)) == 0);
}

bool life_exhausted(const struct l1 *l1)
{
    return l1->seq >= L1_SEQ_LAST || item_ticks(l1, l1->now_ns((struct l1 *)l1)) >= L1_TICKS_LAST;
}
