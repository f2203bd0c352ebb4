/* The format of LMDB 0.9 (data version 1), as far as a damaged file could lead LMDB astray: both meta pages, every
 * branch and leaf page of every tree, the first page of every long value, the free list.  Values are not looked at:
 * records have their own checksum.
 *
 * What must stay true: nothing is read before its place was compared with the size of the file; every page is
 * visited at most once, so there are no loops.  Whatever passes is a file LMDB can walk, split, merge and free
 * without leaving its pages. */
#include "warm/scan.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/check.h"
#include "base/clock.h"

#define SCAN_NS (10 * NS_PER_S) /* 1 GiB from a disk that reads 100 MiB a second */

enum {
    PAGE = 4096, /* LMDB takes the page of the system; others are not believed */
    PAGE_HEAD = 16,
    NODE_HEAD = 8,
    DEPTH_MAX = 20, /* two keys a branch: a million pages */
    IS_BRANCH = 1,
    IS_LEAF = 2,
    IS_OVERFLOW = 4,
    IS_META = 8,
    NODE_BIG = 1,      /* the value is on pages of its own */
    NODE_TABLE = 2,    /* the value is a struct table */
    TABLE_INTEGER = 8, /* keys are machine words */
};

#define META_MAGIC 0xbeefc0deu
#define NO_ROOT    UINT64_MAX
#define PAGES_MAX  (1ull << 28) /* 1 TiB, the largest warm_bytes */

struct page_head {
    uint64_t number;
    uint16_t pad, flags;
    uint16_t lower, upper; /* of an overflow page together: how many pages */
};

struct node_head {
    uint16_t low, high, flags, key_bytes;
};

struct table {
    uint32_t pad;
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
};

struct meta {
    uint32_t magic, version;
    uint64_t address, map_bytes;
    struct table free, names;
    uint64_t last_page, txn;
};
static_assert(sizeof(struct page_head) == PAGE_HEAD && sizeof(struct node_head) == NODE_HEAD,
              "format of LMDB 0.9");
static_assert(sizeof(struct table) == 48 && sizeof(struct meta) == 136, "format of LMDB 0.9");

struct scan {
    const char *bytes;
    uint64_t pages; /* whole pages in the file */
    struct meta meta;
    uint8_t *seen; /* a bit a page */
};

struct walk;
/* A leaf's entry; false: it cannot be. */
typedef bool each_fn(struct walk *w, const char *key, unsigned key_bytes, const char *value,
                     uint64_t value_bytes);

struct walk {
    struct scan *scan;
    struct table counted;
    bool integer, tables; /* keys are words; values are tables */
    each_fn *each;
    const char *key; /* the last one seen, or the least the next may be */
    unsigned key_bytes;
    bool key_may_equal;
};

/* ======= pages ======= */

static bool mark(struct scan *s, uint64_t number)
{
    if (number < 2 || number > s->meta.last_page)
        return false;
    uint8_t bit = (uint8_t)(1u << (number & 7));
    if (s->seen[number >> 3] & bit)
        return false;
    s->seen[number >> 3] |= bit;
    return true;
}

/* NULL: there is no such page, or it was seen before, or it says it is another one. */
static const char *visit(struct scan *s, uint64_t number, uint16_t flags, struct page_head *ret)
{
    if (number >= s->pages || !mark(s, number))
        return NULL;
    const char *page = s->bytes + number * PAGE;
    memcpy(ret, page, sizeof(*ret));
    return ret->number == number && ret->flags == flags ? page : NULL;
}

static unsigned keys_in(const struct page_head *h)
{
    return (unsigned)(h->lower - PAGE_HEAD) / 2;
}

static unsigned node_at(const char *page, unsigned n)
{
    uint16_t at;
    memcpy(&at, page + PAGE_HEAD + 2 * n, sizeof(at));
    return at;
}

static uint64_t value_bytes_of(const struct node_head *node)
{
    return node->low | (uint64_t)node->high << 16;
}

static uint64_t child_of(const struct node_head *node)
{
    return node->low | (uint64_t)node->high << 16 | (uint64_t)node->flags << 32;
}

static uint64_t bytes_of_node(const struct node_head *node, bool leaf)
{
    uint64_t value = !leaf ? 0 : node->flags & NODE_BIG ? sizeof(uint64_t) : value_bytes_of(node);
    return (NODE_HEAD + node->key_bytes + value + 1) & ~1ull;
}

/* Nodes lie without gap and overlap from upper to the end: what LMDB's memmove relies on. */
static bool nodes_fill_page(const char *page, const struct page_head *h, bool leaf)
{
    uint16_t sizes[PAGE / 2] = {0};
    unsigned keys = keys_in(h), at, counted = 0;
    for (unsigned n = 0; n < keys; n++) {
        struct node_head node;
        at = node_at(page, n);
        if (at < h->upper || (at & 1) || at + NODE_HEAD > PAGE)
            return false;
        memcpy(&node, page + at, sizeof(node));
        uint64_t size = bytes_of_node(&node, leaf);
        if (size > PAGE - at)
            return false;
        sizes[at / 2] = (uint16_t)size;
    }
    for (at = h->upper; at < PAGE && sizes[at / 2]; at += sizes[at / 2])
        counted++;
    return at == PAGE && counted == keys;
}

static bool page_is_sound(const char *page, const struct page_head *h, bool leaf)
{
    return h->lower >= PAGE_HEAD + 2 && !(h->lower & 1) && !(h->upper & 1) && h->upper <= PAGE &&
           h->lower <= h->upper && nodes_fill_page(page, h, leaf);
}

/* ======= order ======= */

static int compare(const struct walk *w, const char *a, unsigned a_bytes, const char *b, unsigned b_bytes)
{
    if (w->integer) {
        uint64_t x, y;
        memcpy(&x, a, sizeof(x));
        memcpy(&y, b, sizeof(y));
        return x < y ? -1 : x > y;
    }
    int order = memcmp(a, b, a_bytes < b_bytes ? a_bytes : b_bytes);
    return order ? order : a_bytes < b_bytes ? -1 : a_bytes > b_bytes;
}

/* `key` follows what was seen before; from here on it is what was seen, or what the next must not be less than. */
static bool follows(struct walk *w, const char *key, unsigned key_bytes, bool next_may_equal)
{
    if (key_bytes == 0 || (w->integer && key_bytes != sizeof(uint64_t)))
        return false;
    if (w->key) {
        int order = compare(w, w->key, w->key_bytes, key, key_bytes);
        if (order > 0 || (order == 0 && !w->key_may_equal))
            return false;
    }
    w->key = key;
    w->key_bytes = key_bytes;
    w->key_may_equal = next_may_equal;
    return true;
}

/* ======= trees ======= */

/* The bytes of a long value, or NULL. */
static const char *visit_overflow(struct walk *w, const char *where, uint64_t value_bytes)
{
    struct page_head h;
    uint64_t number, count = (PAGE_HEAD - 1 + value_bytes) / PAGE + 1;
    memcpy(&number, where, sizeof(number));
    const char *page = visit(w->scan, number, IS_OVERFLOW, &h);
    if (!page || (h.lower | (uint64_t)h.upper << 16) != count || count > w->scan->pages - number)
        return NULL;
    for (uint64_t n = 1; n < count; n++)
        if (!mark(w->scan, number + n))
            return NULL;
    w->counted.overflows += count;
    return page + PAGE_HEAD;
}

static bool walk_leaf(struct walk *w, const char *page, const struct page_head *h)
{
    for (unsigned n = 0; n < keys_in(h); n++) {
        struct node_head node;
        const char *at = page + node_at(page, n), *key = at + NODE_HEAD;
        memcpy(&node, at, sizeof(node));
        const char *value = key + node.key_bytes;
        if (node.flags & ~(w->tables ? NODE_TABLE : NODE_BIG) || (w->tables && !(node.flags & NODE_TABLE)))
            return false;
        if (node.flags & NODE_BIG)
            value = visit_overflow(w, value, value_bytes_of(&node));
        if (!value || !follows(w, key, node.key_bytes, false))
            return false;
        if (w->each && !w->each(w, key, node.key_bytes, value, value_bytes_of(&node)))
            return false;
        w->counted.entries++;
    }
    return true;
}

static bool walk_page(struct walk *w, uint64_t number, unsigned depth);

static bool walk_branch(struct walk *w, const char *page, const struct page_head *h, unsigned depth)
{
    for (unsigned n = 0; n < keys_in(h); n++) {
        struct node_head node;
        const char *at = page + node_at(page, n);
        memcpy(&node, at, sizeof(node));
        if (n > 0 && !follows(w, at + NODE_HEAD, node.key_bytes, true))
            return false;
        if (!walk_page(w, child_of(&node), depth - 1))
            return false;
    }
    return true;
}

static bool walk_page(struct walk *w, uint64_t number, unsigned depth)
{
    struct page_head h;
    bool leaf = depth == 1;
    const char *page = visit(w->scan, number, leaf ? IS_LEAF : IS_BRANCH, &h);
    if (!page || !page_is_sound(page, &h, leaf))
        return false;
    w->counted.leaves += leaf;
    w->counted.branches += !leaf;
    return leaf ? walk_leaf(w, page, &h) : walk_branch(w, page, &h, depth);
}

static bool walk_tree(struct scan *s, const struct table *t, bool tables, each_fn *each)
{
    struct walk w = {.scan = s, .integer = t->flags & TABLE_INTEGER, .tables = tables, .each = each};
    if (t->depth > DEPTH_MAX || (t->root == NO_ROOT) != (t->depth == 0))
        return false;
    if (t->depth > 0 && !walk_page(&w, t->root, t->depth))
        return false;
    return w.counted.branches == t->branches && w.counted.leaves == t->leaves &&
           w.counted.overflows == t->overflows && w.counted.entries == t->entries;
}

/* ======= what is in them ======= */

static bool table_is_known(const char *name, unsigned name_bytes, uint16_t flags)
{
    const char *words = "ikhondr", *bytes = "vm"; /* env.h */
    if (name_bytes != 1 || *name == '\0')
        return false;
    return strchr(flags == TABLE_INTEGER ? words : bytes, *name) && (flags == TABLE_INTEGER || flags == 0);
}

static bool each_table(struct walk *w, const char *key, unsigned key_bytes, const char *value,
                       uint64_t value_bytes)
{
    struct table t;
    if (value_bytes != sizeof(t))
        return false;
    memcpy(&t, value, sizeof(t));
    return table_is_known(key, key_bytes, t.flags) && walk_tree(w->scan, &t, false, NULL);
}

/* A list of free pages: how many, then their numbers, falling.  None may be in use or free twice. */
static bool each_free_list(struct walk *w, const char *key, unsigned key_bytes, const char *value,
                           uint64_t value_bytes)
{
    uint64_t count, number, before = UINT64_MAX;
    if (value_bytes < sizeof(count))
        return false;
    memcpy(&count, value, sizeof(count));
    if (count > PAGES_MAX || value_bytes < (count + 1) * sizeof(count))
        return false;
    for (uint64_t n = 1; n <= count; n++, before = number) {
        memcpy(&number, value + n * sizeof(number), sizeof(number));
        if (number >= before || !mark(w->scan, number))
            return false;
    }
    return true;
}

/* ======= the two meta pages ======= */

/* Commits take turns, so the newer one is known by parity and by being one ahead: a changed number shows. */
static bool take_newer_meta(struct scan *s)
{
    struct meta m[2];
    for (unsigned n = 0; n < 2; n++) {
        struct page_head h;
        memcpy(&h, s->bytes + n * PAGE, sizeof(h));
        memcpy(&m[n], s->bytes + n * PAGE + PAGE_HEAD, sizeof(m[n]));
        if (h.number != n || h.flags != IS_META || m[n].magic != META_MAGIC || m[n].version != 1)
            return false;
        if (m[n].free.pad != PAGE || m[n].free.flags != TABLE_INTEGER || m[n].names.flags != 0)
            return false;
    }
    s->meta = m[m[0].txn < m[1].txn];
    uint64_t newer = s->meta.txn, older = m[0].txn < m[1].txn ? m[0].txn : m[1].txn;
    bool new_file = newer == 0 && older == 0;
    return new_file || (newer == older + 1 && (m[1].txn & 1) && !(m[0].txn & 1));
}

const char *scan_bytes(const void *bytes, size_t size)
{
    struct scan s = {.bytes = bytes, .pages = size / PAGE};
    if (size == 0)
        return NULL; /* an empty file is what LMDB begins with */
    if (s.pages < 2 || !take_newer_meta(&s))
        return "its head is damaged";
    if (s.meta.last_page < 1 || s.meta.last_page >= PAGES_MAX)
        return "it claims to be larger than it can be";
    s.seen = must_alloc(s.meta.last_page / 8 + 1);
    const char *why = NULL;
    if (!walk_tree(&s, &s.meta.names, true, each_table))
        why = "a page of a table is damaged";
    else if (!walk_tree(&s, &s.meta.free, false, each_free_list))
        why = "the list of free pages is damaged";
    free(s.seen);
    return why;
}

/* ======= in a child ======= */

static const char *scan_mapped(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return "it cannot be read";
    if (st.st_size == 0)
        return NULL;
    void *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return "it cannot be mapped";
    madvise(at, (size_t)st.st_size, MADV_WILLNEED);
    return scan_bytes(at, (size_t)st.st_size);
}

/* The child has the parent's addresses, so a sentence crosses as a pointer. */
static _Noreturn void run_child(const char *path, int answer)
{
    const char *why = scan_mapped(path);
    _exit(write(answer, &why, sizeof(why)) == (ssize_t)sizeof(why) ? 0 : 1);
}

static const char *await_child(pid_t child, int answer)
{
    const char *why = "reading it takes too long";
    struct pollfd p = {.fd = answer, .events = POLLIN};
    uint64_t until = clock_after(clock_mono_ns(), SCAN_NS), now;
    int ready = 0;
    while (ready <= 0 && (now = clock_mono_ns()) < until)
        ready = poll(&p, 1, (int)((until - now) / NS_PER_MS) + 1);
    if (ready > 0 && read(answer, &why, sizeof(why)) != (ssize_t)sizeof(why))
        why = "reading it crashes";
    kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    return why;
}

const char *scan_file(const char *path)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return "no pipe for the process that checks it";
    pid_t child = fork();
    if (child == 0)
        run_child(path, ends[1]);
    close(ends[1]);
    const char *why = child < 0 ? "no process to check it" : await_child(child, ends[0]);
    close(ends[0]);
    return why;
}
