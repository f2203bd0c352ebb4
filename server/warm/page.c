/* The file is allocated whole when it is made, so no store into the mapping can meet a full file system (SIGBUS),
 * and lives on tmpfs, so none can wait for a disk.  Its lock is held as long as the page is open. */
#include "warm/page.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#define PAGE_MAGIC 0x4547415052445241ull

enum {
    PAGE_FORMAT = 1,
    HEADER_BYTES = 4096,
    /* 8 MiB: 349,525 changes without a commit, about 3 s at 100,000 changes a second; a commit takes 20 ms. */
    JOURNAL_BYTES = 8 << 20,
    RECORD_BYTES = 24,
    RECORDS = JOURNAL_BYTES / RECORD_BYTES,
    FILE_BYTES = HEADER_BYTES + JOURNAL_BYTES,
};

struct header {
    uint64_t magic;
    uint32_t format;
    uint32_t stranger;
    uint64_t id;
    char boot_id[40];
    uint64_t epoch, start_no;
    uint64_t clean;
    _Atomic uint64_t alive_until_ns;
    _Atomic uint64_t head, tail; /* positions only grow; the place of one is itself modulo RECORDS */
    _Atomic uint64_t floor;
    _Atomic uint64_t applied;
    _Atomic uint64_t stamp; /* 0: unknown */
};
static_assert(sizeof(struct header) <= HEADER_BYTES, "the header has its own page");

struct ring_record {
    uint64_t kind_and_lap; /* kind 8 | low 56 bits of the position: a record of another lap is not believed */
    uint64_t hash, number;
};
static_assert(sizeof(struct ring_record) == RECORD_BYTES, "24 bytes each");

struct page {
    int fd;
    bool owned; /* a warm tier of this run is tied to it */
    struct header *header;
    struct ring_record *ring;
};

/* ======= opening ======= */

static bool is_in_memory(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

static const char *prepare_file(int fd)
{
    struct stat st;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return "another daemon uses it";
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid())
        return "not a file of ours";
    if (!is_in_memory(fd))
        return "not on tmpfs";
    if (st.st_size != FILE_BYTES && ftruncate(fd, 0) != 0)
        return "cannot be emptied";
    return posix_fallocate(fd, 0, FILE_BYTES) == 0 ? NULL : "no room";
}

static const char *map_file(const char *path, struct page *p)
{
    p->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (p->fd < 0)
        return strerror(errno);
    const char *why = prepare_file(p->fd);
    if (why)
        return why;
    void *at = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
    if (at == MAP_FAILED)
        return "cannot be mapped";
    p->header = at;
    p->ring = (struct ring_record *)(void *)((char *)at + HEADER_BYTES);
    return NULL;
}

static bool is_of_boot(const struct header *h, const char *boot_id)
{
    return h->magic == PAGE_MAGIC && h->format == PAGE_FORMAT && boot_id[0] != '\0' &&
           strncmp(h->boot_id, boot_id, sizeof(h->boot_id)) == 0;
}

static void begin_anew(struct header *h, const char *boot_id)
{
    memset(h, 0, sizeof(*h));
    h->format = PAGE_FORMAT;
    CHECK(getrandom(&h->id, sizeof(h->id), 0) == sizeof(h->id));
    strncpy(h->boot_id, boot_id, sizeof(h->boot_id) - 1);
    h->magic = PAGE_MAGIC;
}

int page_open_in(const char *path, const char *boot_id, struct page **ret, struct page_found *ret_found)
{
    struct page *p = must_alloc(sizeof(*p));
    *ret = NULL;
    *ret_found = (struct page_found){0};
    const char *why = map_file(path, p);
    if (why) {
        log_warn("no runtime page: changes wait for their commit", L_TEXT("path", path), L_TEXT("why", why));
        if (p->fd >= 0)
            close(p->fd);
        free(p);
        return -1;
    }
    if (is_of_boot(p->header, boot_id))
        *ret_found = (struct page_found){.same_boot = true,
                                         .clean = p->header->clean,
                                         .alive_until_ns = atomic_load(&p->header->alive_until_ns)};
    else
        begin_anew(p->header, boot_id);
    p->header->clean = false;
    *ret = p;
    return 0;
}

int page_open(const char *path, struct page **ret, struct page_found *ret_found)
{
    char boot_id[37];
    clock_boot_id(boot_id);
    return page_open_in(path, boot_id, ret, ret_found);
}

/* Nothing is waiting for a commit: the memory goes back until the next daemon.  The header stays. */
static void give_back_ring(struct page *p)
{
    if (atomic_load(&p->header->head) == atomic_load(&p->header->tail))
        (void)fallocate(p->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, HEADER_BYTES, JOURNAL_BYTES);
}

struct page *page_close(struct page *p, bool clean)
{
    if (!p)
        return NULL;
    if (clean)
        give_back_ring(p);
    p->header->clean = clean;
    munmap(p->header, FILE_BYTES);
    close(p->fd);
    free(p);
    return NULL;
}

/* ======= mirror and owner ======= */

void page_mirror(void *page, uint64_t alive_until_ns)
{
    struct page *p = page;
    if (!p->owned)
        p->header->stranger = true;
    atomic_store_explicit(&p->header->alive_until_ns, alive_until_ns, memory_order_release);
}

void page_owner(const struct page *p, struct page_owner *ret)
{
    *ret = (struct page_owner){.id = p->header->id,
                               .epoch = p->header->epoch,
                               .start_no = p->header->start_no,
                               .applied = atomic_load(&p->header->applied),
                               .stranger = p->header->stranger};
}

void page_own(struct page *p, uint64_t epoch, uint64_t start_no)
{
    p->header->epoch = epoch;
    p->header->start_no = start_no;
    p->header->stranger = false;
    p->owned = true;
}

void page_clear(struct page *p)
{
    page_forget_all(p);
    atomic_store(&p->header->floor, 0);
    atomic_store(&p->header->applied, 0);
}

/* ======= journal ======= */

static uint64_t kind_and_lap(enum page_kind kind, uint64_t position)
{
    return (uint64_t)kind << 56 | (position & (UINT64_MAX >> 8));
}

bool page_full(const struct page *p)
{
    uint64_t head = atomic_load_explicit(&p->header->head, memory_order_relaxed);
    return head - atomic_load_explicit(&p->header->tail, memory_order_acquire) >= RECORDS;
}

uint64_t page_append(struct page *p, enum page_kind kind, uint64_t hash, uint64_t number)
{
    if (page_full(p))
        return 0;
    uint64_t head = atomic_load_explicit(&p->header->head, memory_order_relaxed);
    p->ring[head % RECORDS] = (struct ring_record){kind_and_lap(kind, head), hash, number};
    atomic_store_explicit(&p->header->head, head + 1, memory_order_release);
    return head + 1;
}

static void lift(_Atomic uint64_t *word, uint64_t to)
{
    uint64_t at = atomic_load(word);
    while (at < to && !atomic_compare_exchange_weak(word, &at, to))
        ;
}

void page_forget(struct page *p, uint64_t position, uint64_t applied)
{
    lift(&p->header->applied, applied);
    lift(&p->header->tail, position);
}

void page_forget_all(struct page *p)
{
    lift(&p->header->tail, atomic_load(&p->header->head));
}

void page_set_floor(struct page *p, uint64_t sequence)
{
    lift(&p->header->floor, sequence);
}

uint64_t page_floor(const struct page *p)
{
    return atomic_load(&p->header->floor);
}

void page_set_stamp(struct page *p, uint64_t stamp)
{
    atomic_store(&p->header->stamp, stamp);
}

uint64_t page_stamp(const struct page *p)
{
    return atomic_load(&p->header->stamp);
}

bool page_replay(const struct page *p, void (*each)(void *user, const struct page_record *record), void *user)
{
    uint64_t head = atomic_load(&p->header->head), tail = atomic_load(&p->header->tail);
    if (tail > head || head - tail > RECORDS)
        return false;
    for (uint64_t at = tail; at < head; at++) {
        const struct ring_record *r = &p->ring[at % RECORDS];
        enum page_kind kind = (enum page_kind)(r->kind_and_lap >> 56);
        if (r->kind_and_lap != kind_and_lap(kind, at) || kind < PAGE_KEY || kind > PAGE_SOFT_NAME)
            return false;
        each(user, &(struct page_record){kind, r->hash, r->number, at + 1});
    }
    return true;
}
