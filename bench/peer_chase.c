/* The floor of memory: one load whose address the load before it gave, in as many bytes as Larder needs for as many
 * items, in the same kind of pages (a memfd of 4 KiB pages).  A table that has to look anything up needs two such loads
 * for a key it has not seen for long, one in its index and one in an item. */
#include "bench/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bench/keys.h"

enum { OVERHEAD_BYTES = 44, LINE_BYTES = 64 }; /* Larder's header and its share of the index */

struct line {
    uint32_t next;
    uint8_t rest[LINE_BYTES - sizeof(uint32_t)];
};

struct peer {
    struct line *lines;
    uint64_t count;
    uint32_t at;
};

/* One ring through all lines in random order (Sattolo, 1986). */
static void link_lines(struct peer *p)
{
    struct rng rng = {p->count};
    for (uint64_t i = 0; i < p->count; i++)
        p->lines[i].next = (uint32_t)i;
    for (uint64_t i = p->count - 1; i > 0; i--) {
        uint64_t j = rng_below(&rng, i);
        uint32_t next = p->lines[i].next;
        p->lines[i].next = p->lines[j].next;
        p->lines[j].next = next;
    }
}

static void *map_memfd(uint64_t bytes)
{
    int fd = memfd_create("larder-bench chase", MFD_CLOEXEC);
    void *at = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, (off_t)bytes) == 0)
        at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (fd >= 0)
        close(fd);
    return at == MAP_FAILED ? NULL : at;
}

static void close_chase(struct peer *p)
{
    if (p->lines)
        munmap(p->lines, p->count * LINE_BYTES);
    free(p);
}

static struct peer *open_chase(const struct peer_where *where)
{
    struct peer *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->count = where->item_count * (where->item_bytes + OVERHEAD_BYTES) / LINE_BYTES + 1;
    p->lines = p->count <= UINT32_MAX ? map_memfd(p->count * LINE_BYTES) : NULL;
    if (!p->lines) {
        close_chase(p);
        errno = ENOMEM;
        return NULL;
    }
    link_lines(p);
    return p;
}

static int get_chase(struct peer *p, struct slice key, struct slice *ret_value)
{
    p->at = p->lines[p->at].next;
    *ret_value = slice_of(p->lines[p->at].rest, sizeof(p->lines->rest));
    return PEER_HIT;
}

static int set_chase(struct peer *p, struct slice key, struct slice value)
{
    return PEER_OK;
}

static const char *why_chase(const struct peer *p)
{
    return "it cannot fail";
}

const struct peer_kind peer_chase = {
    .name = "chase",
    .sentence = "one dependent load in as much memory: the floor",
    .server = SERVER_NONE,
    .reads_memory = true,
    .floor = true,
    .named_only = true,
    .open = open_chase,
    .get = get_chase,
    .set = set_chase,
    .close = close_chase,
    .why = why_chase,
};
