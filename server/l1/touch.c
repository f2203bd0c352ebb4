/* Touch pages: what readers tell about their hits.
 *
 * What must stay true: every word of a page is hostile: a slot number is compared before use, counters only ever
 * add what they grew by, and nothing else of a page is believed. */
#include "l1/l1_private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

struct touch_page {
    struct list node;
    struct l1 *l1;
    struct shm_touch_page *shared;
    uint64_t seen[SHM_POLICIES]; /* sums already added to the totals */
    struct l1_times times_seen;
};

static int page_file(int *ret_fd, struct shm_touch_page **ret)
{
    int fd = memfd_create("larder-touch", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    void *at = MAP_FAILED;
    if (ftruncate(fd, sizeof(**ret)) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        at = mmap(NULL, sizeof(**ret), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        int error = errno;
        close(fd);
        return -error;
    }
    *ret_fd = fd;
    *ret = at;
    return 0;
}

int l1_touch_page_open(struct l1 *l1, struct touch_page **ret, int *ret_fd)
{
    struct shm_touch_page *shared = NULL;
    int r = page_file(ret_fd, &shared);
    if (r < 0)
        return r;
    shared->magic = SHM_TOUCH_MAGIC;
    shared->abi = SHM_ABI;
    atomic_store_explicit(&shared->watch_below, watch_below(l1), memory_order_relaxed);
    struct touch_page *page = must_alloc(sizeof(*page));
    page->l1 = l1;
    page->shared = shared;
    list_append(&l1->pages, &page->node);
    l1->pages_count++;
    *ret = page;
    return 0;
}

static uint32_t stripes_used(const struct touch_page *page)
{
    uint32_t used = atomic_load_explicit(&page->shared->stripes_used, memory_order_relaxed);
    return used < SHM_STRIPES ? used : SHM_STRIPES;
}

uint32_t touch_slot(const struct l1 *l1, uint64_t touch)
{
    uint32_t slot = (uint32_t)(touch >> 32);
    uint16_t tag = (uint16_t)(touch >> 16);
    if (slot >= slots_count(l1))
        return SLOT_NONE;
    uint64_t word = slots_word(l1, slot);
    return word != 0 && shm_slot_tag(word) == tag ? slot : SLOT_NONE;
}

static void take_touch(struct l1 *l1, uint64_t touch)
{
    uint32_t slot = touch_slot(l1, touch);
    if (slot == SLOT_NONE)
        return;
    slots_touch(l1, slot);
    l1->count.l1_touches++;
}

static void drain_stripe(struct l1 *l1, struct shm_stripe *stripe)
{
    for (unsigned i = 0; i < SHM_TOUCHES; i++) {
        uint64_t touch = atomic_load_explicit(&stripe->touched[i], memory_order_relaxed);
        if (!touch)
            continue;
        atomic_store_explicit(&stripe->touched[i], 0, memory_order_relaxed);
        take_touch(l1, touch);
    }
}

static void drain(struct touch_page *page, uint32_t stripe)
{
    drain_stripe(page->l1, &page->shared->stripes[stripe]);
    watch_drain(page->l1, page->shared->stripes[stripe].watched);
}

/* What it grew by since `seen`; a counter that went back is a lie, and adds nothing until it is past where it was. */
static void add_growth(au64 *counter, uint64_t *seen, uint64_t *total)
{
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
    if (now <= *seen)
        return;
    *total += now - *seen;
    *seen = now;
}

static void count_times(struct touch_page *page)
{
    struct l1_times *total = &page->l1->near_times;
    add_growth(&page->shared->took_ns, &page->times_seen.sum_ns, &total->sum_ns);
    for (unsigned i = 0; i < SHM_TOOK_CELLS; i++)
        add_growth(&page->shared->took[i], &page->times_seen.cells[i], &total->cells[i]);
}

static void count_page(struct touch_page *page)
{
    count_times(page);
    struct l1 *l1 = page->l1;
    uint32_t used = stripes_used(page);
    for (unsigned p = 0; p < SHM_POLICIES; p++) {
        uint64_t sum = 0;
        for (uint32_t s = 0; s < used; s++)
            sum += atomic_load_explicit(&page->shared->stripes[s].hits[p], memory_order_relaxed);
        if (sum <= page->seen[p])
            continue;
        l1->policy_hits[p] += sum - page->seen[p];
        l1->count.l1_hits_shared += sum - page->seen[p];
        page->seen[p] = sum;
    }
}

/* Round robin over all stripes of all pages, so that the work of a tick does not grow with the clients. */
void touch_drain(struct l1 *l1, uint32_t stripes)
{
    uint32_t empty_pages = 0;
    while (stripes > 0 && empty_pages <= l1->pages_count && !list_empty(&l1->pages)) {
        if (l1->page_cursor == &l1->pages) {
            l1->page_cursor = l1->pages.next;
            l1->stripe_cursor = 0;
        }
        struct touch_page *page = CONTAINER_OF(l1->page_cursor, struct touch_page, node);
        if (l1->stripe_cursor >= stripes_used(page)) {
            l1->page_cursor = l1->page_cursor->next;
            l1->stripe_cursor = 0;
            empty_pages++;
            continue;
        }
        drain(page, l1->stripe_cursor++);
        stripes--;
    }
}

void touch_count_all(struct l1 *l1)
{
    LIST_FOR(node, &l1->pages)
    count_page(CONTAINER_OF(node, struct touch_page, node));
}

void touch_watch_below(struct l1 *l1, uint32_t below)
{
    LIST_FOR(node, &l1->pages)
    {
        struct touch_page *page = CONTAINER_OF(node, struct touch_page, node);
        atomic_store_explicit(&page->shared->watch_below, below, memory_order_relaxed);
    }
}

struct touch_page *l1_touch_page_close(struct touch_page *page)
{
    if (!page)
        return NULL;
    struct l1 *l1 = page->l1;
    count_page(page);
    for (uint32_t s = 0; s < stripes_used(page); s++)
        drain(page, s);
    if (l1->page_cursor == &page->node) {
        l1->page_cursor = page->node.next;
        l1->stripe_cursor = 0;
    }
    list_remove(&page->node);
    l1->pages_count--;
    munmap(page->shared, sizeof(*page->shared));
    free(page);
    return NULL;
}
