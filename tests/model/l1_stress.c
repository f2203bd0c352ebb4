/* Readers beside the real writer: threads over one mapping (also under ThreadSanitizer) or processes of their own.
 *
 *   l1_stress threads|processes [reads a reader]
 *
 * Every value names its key and version and is checked whole: a torn copy or another key's value is noticed.  A key
 * has a floor, raised to a version only after the writer's call that made everything older unreadable returned
 * (that is the acknowledgement); a reader takes the floor before its get, and a hit below it is stale.  The writer
 * sets, drops, kills by tag and by prefix, sweeps, and churns through segments so that memory is reused all the
 * time; the cache is the smallest there is. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "support/l1_fixture.h"

enum { KEYS = 16384, TAGS = 1024, READERS = 2, VALUE_MAX = 3000 };

/* Shared by writer and readers, in its own mapping. */
struct board {
    _Atomic uint64_t floor[KEYS]; /* hits below this version are stale */
    _Atomic uint32_t finished;    /* readers */
    _Atomic uint64_t reads, hits, torn, stale, asked, peeks;
};
static struct board *board;

struct value {
    uint64_t key, version, sum;
    uint64_t words[VALUE_MAX / 8];
};

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
    return *x;
}

static struct slice key_text(uint64_t key, char buffer[40])
{
    return slice_of(
        buffer, (size_t)snprintf(buffer, 40, "t%lu:user:%lu", (unsigned long)(key % 8), (unsigned long)key));
}

static uint32_t value_words(uint64_t key, uint64_t version)
{
    uint64_t x = key * 31 + version;
    return (uint32_t)(x % 7 == 0 ? x % (VALUE_MAX / 8) : x % 20);
}

static uint32_t value_make(struct value *v, uint64_t key, uint64_t version)
{
    uint32_t words = value_words(key, version);
    v->key = key;
    v->version = version;
    v->sum = key ^ version << 20;
    for (uint32_t i = 0; i < words; i++)
        v->words[i] = v->sum + i;
    return 24 + 8 * words;
}

static bool value_whole(const struct value *v, uint64_t key, uint32_t bytes)
{
    if (bytes < 24 || v->key != key || v->sum != (key ^ v->version << 20))
        return false;
    uint32_t words = value_words(key, v->version);
    if (bytes != 24 + 8 * words)
        return false;
    for (uint32_t i = 0; i < words; i++)
        if (v->words[i] != v->sum + i)
            return false;
    return true;
}

/* ---- readers --------------------------------------------------------------------------------------------------- */

struct reader {
    const struct shm_view *view;
    uint64_t reads, seed;
    pthread_t thread;
};

static void judge(const struct value *v, uint64_t key, uint32_t bytes, uint64_t floor)
{
    if (!value_whole(v, key, bytes))
        atomic_fetch_add(&board->torn, 1);
    else if (v->version < floor)
        atomic_fetch_add(&board->stale, 1);
}

/* The optimistic view: bytes are taken from the mapping one by one and believed only after validation. */
static bool peek_once(const struct shm_view *view, struct slice key, uint64_t hash, struct value *v,
                      uint32_t *ret_bytes)
{
    struct shm_peek p;
    if (shm_peek(view, key, hash, &p) != SHM_HIT || p.found.value_bytes > sizeof(*v))
        return false;
    for (uint32_t i = 0; i < p.found.value_bytes; i++)
        ((uint8_t *)v)[i] = __atomic_load_n(p.value + i, __ATOMIC_RELAXED);
    *ret_bytes = p.found.value_bytes;
    return shm_validate(view, &p);
}

static void *read_all(void *argument)
{
    const struct reader *r = argument;
    uint64_t x = r->seed, hits = 0, peeks = 0;
    for (uint64_t n = 0; n < r->reads; n++) {
        uint64_t random = next_random(&x), key = random % (random & 1 << 20 ? 64 : KEYS);
        char buffer[40];
        struct value v;
        uint32_t bytes;
        struct slice text = key_text(key, buffer);
        uint64_t hash = shm_hash_key(FIXTURE_SECRET, text), floor = atomic_load(&board->floor[key]);
        if (random % 16 == 3) {
            if (!peek_once(r->view, text, hash, &v, &bytes))
                continue;
            peeks++;
        } else {
            struct shm_found found;
            if (shm_get(r->view, text, hash, &v, sizeof(v), &found) != SHM_HIT)
                continue;
            bytes = found.value_bytes;
        }
        hits++;
        judge(&v, key, bytes, floor);
    }
    atomic_fetch_add(&board->reads, r->reads);
    atomic_fetch_add(&board->hits, hits);
    atomic_fetch_add(&board->peeks, peeks);
    atomic_fetch_add(&board->finished, 1);
    return NULL;
}

/* ---- the writer -------------------------------------------------------------------------------------------------- */

struct writer {
    struct fixture *f;
    uint64_t x, version[KEYS];
};

static uint64_t tag_of(uint64_t key)
{
    return shm_hash_name(FIXTURE_SECRET, SHM_NAME_TAG, slice_of(&(uint64_t){key % TAGS}, 8));
}

static void set(struct writer *w, uint64_t key)
{
    char buffer[40];
    struct value v;
    struct entry e = fixture_entry(w->f, "", slice_of(&v, value_make(&v, key, ++w->version[key])));
    e.key = key_text(key, buffer);
    e.key_hash = shm_hash_key(FIXTURE_SECRET, e.key);
    e.tags_count = 1;
    e.tags[0] = tag_of(key);
    w->f->tier->ops->put(w->f->tier, &e);
    atomic_store(&board->floor[key], w->version[key]);
}

static void drop(struct writer *w, uint64_t key)
{
    char buffer[40];
    struct slice text = key_text(key, buffer);
    w->f->tier->ops->drop(w->f->tier, text, shm_hash_key(FIXTURE_SECRET, text), ++w->f->v);
    atomic_store(&board->floor[key], w->version[key] + 1);
}

static void kill_all_with(struct writer *w, uint64_t name, uint64_t step, uint64_t first)
{
    kills_add(w->f->kills, name, ++w->f->v, false);
    w->f->tier->ops->kill(w->f->tier, name, w->f->v, false);
    for (uint64_t key = first; key < KEYS; key += step)
        atomic_store(&board->floor[key], w->version[key] + 1);
}

static void kill_tag(struct writer *w)
{
    uint64_t tag = next_random(&w->x) % TAGS;
    kill_all_with(w, tag_of(tag), TAGS, tag);
}

static void kill_prefix(struct writer *w)
{
    char prefix[16];
    uint64_t tenant = next_random(&w->x) % 8;
    struct slice text =
        slice_of(prefix, (size_t)snprintf(prefix, sizeof(prefix), "t%lu:", (unsigned long)tenant));
    kill_all_with(w, shm_hash_name(FIXTURE_SECRET, SHM_NAME_PREFIX, text), 8, tenant);
}

/* What a client does after "ask": the daemon judges, re-stamps or drops. */
static void ask(struct writer *w, uint64_t key)
{
    char buffer[40];
    struct tier_read read = {.key = key_text(key, buffer), .now_ns = w->f->l1->test_now_ns};
    read.key_hash = shm_hash_key(FIXTURE_SECRET, read.key);
    if (w->f->tier->ops->get(w->f->tier, &read) == TIER_FOUND) {
        struct value v;
        memcpy(&v, read.entry.value.data, read.entry.value.size);
        judge(&v, key, (uint32_t)read.entry.value.size, atomic_load(&board->floor[key]));
    }
}

static void write_once(struct writer *w)
{
    uint64_t random = next_random(&w->x), key = (random >> 20) % KEYS;
    switch (random % 1024) {
    case 0: kill_tag(w); break;
    case 1: random >> 40 & 63 ? (void)0 : kill_prefix(w); break;
    case 2: l1_sweep_slice(w->f->l1); break;
    case 3:
        w->f->l1->test_now_ns = clock_boot_ns();
        l1_tick(w->f->l1);
        break;
    default: random % 16 == 7 ? drop(w, key) : random % 16 > 12 ? ask(w, key) : set(w, key);
    }
}

static void write_until_finished(struct fixture *f)
{
    struct writer *w = must_alloc(sizeof(*w));
    w->f = f;
    w->x = 0x9e3779b97f4a7c15ull;
    while (atomic_load(&board->finished) < READERS)
        write_once(w);
    free(w);
}

/* ---- the two ways ---------------------------------------------------------------------------------------------------- */

static void with_threads(struct fixture *f, struct reader *readers)
{
    for (int i = 0; i < READERS; i++)
        CHECK(pthread_create(&readers[i].thread, NULL, read_all, &readers[i]) == 0);
    write_until_finished(f);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i].thread, NULL);
}

static void with_processes(struct fixture *f, struct reader *readers)
{
    pid_t pids[READERS];
    for (int i = 0; i < READERS; i++) {
        pids[i] = fork();
        CHECK(pids[i] >= 0);
        if (pids[i] == 0) {
            munmap(f->l1->base, f->l1->shape.total_bytes); /* a reader has nothing to write with */
            read_all(&readers[i]);
            _exit(0);
        }
    }
    write_until_finished(f);
    for (int i = 0; i < READERS; i++)
        waitpid(pids[i], NULL, 0);
}

static bool tap(int number, bool ok, const char *what)
{
    printf("%sok %d - %s\n", ok ? "" : "not ", number, what);
    return ok;
}

int main(int argc, char **argv)
{
    bool processes = argc > 1 && strcmp(argv[1], "processes") == 0;
    uint64_t reads = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(board != MAP_FAILED);
    struct fixture *f = fixture_create(0, 0);
    struct reader readers[READERS];
    for (int i = 0; i < READERS; i++)
        readers[i] = (struct reader){&f->view, reads, 12345u + 77u * (unsigned)i, 0};
    (processes ? with_processes : with_threads)(f, readers);
    const struct l1_figures *figures = fixture_measure(f);
    printf("# %lu reads, %lu hits (%lu peeked); writer: %lu puts, %lu evictions, %lu moves, %lu kills, %lu "
           "sweeps\n",
           board->reads, board->hits, board->peeks, figures->l1_puts, figures->l1_evictions,
           figures->l1_moves, figures->l1_kills, figures->l1_sweeps);
    bool ok = tap(1, board->torn == 0, "no torn copy and no other key's value");
    ok &= tap(2, board->stale == 0, "nothing older than what was acknowledged before the get");
    ok &= tap(3, board->hits > board->reads / 100 && figures->l1_kills > 0, "there were hits and kills");
    printf("1..3\n");
    fixture_destroy(f);
    return !ok;
}
