/* THE lookup in a mapped segment, for the library and the daemon alike.  proto/shm.h has the argument why
 * what it returns is whole and current.
 *
 * Thread rule: a view is read-only after shm_view_init; any number of threads may use it at once.
 * Cost: no system call, no lock, no allocation, no shared store. */
#ifndef LARDER_PROTO_SHM_VIEW_H
#define LARDER_PROTO_SHM_VIEW_H

#include <stdbool.h>
#include <stdint.h>
#include "proto/shm.h"
#include "proto/slice.h"

/* A mapping and the checked copy of its shape: nothing that bounds an access is read from shared memory after
 * shm_view_init. */
struct shm_view {
    const uint8_t *base;
    const struct shm_header *header;
    const au64 *cells;
    const au64 *gens;
    const au64 *buckets;
    struct shm_shape shape;
    uint64_t clock_lag_ns; /* how far the clock of readers may be behind: counted against them */
};

/* Checks the shape found at `base` against `size`.  False: not a segment this program can read, or one whose
 * numbers do not fit together; *ret_why is then a static sentence. */
bool shm_view_init(struct shm_view *v, const void *base, size_t size, const char **ret_why);

/* Answers of shm_get. */
enum {
    SHM_HIT = 1, /* *ret is filled, the value is in the buffer */
    SHM_ASK = 0, /* not here, or not provably current: ask the daemon; ret->reason says why, for counters */
    SHM_SMALL = -1, /* the buffer is too small; ret->value_bytes says how large it must be */
};

enum shm_ask {
    SHM_ASK_NOT_FOUND,
    SHM_ASK_RACE,   /* lost SHM_ATTEMPTS races in a row */
    SHM_ASK_KILLED, /* maybe killed by a tag or prefix */
    SHM_ASK_FLOOR,
    SHM_ASK_EXPIRED,
    SHM_ASK_REFRESH, /* past soft: somebody should load it */
    SHM_ASK_SUSPECT, /* past fresh_until */
    SHM_ASK_DEAD,    /* the daemon is dead, closed or hung: this view will give no more hits */
};

struct shm_found {
    uint64_t v;
    uint64_t soft_ns, hard_ns; /* CLOCK_BOOTTIME */
    uint64_t now_ns;           /* what the reader took for now, CLOCK_BOOTTIME */
    uint32_t value_bytes;
    uint32_t user_flags;
    uint32_t schema;
    uint32_t id;
    uint32_t slot_number; /* with `tag` what shm_touch wants */
    uint16_t tag;
    uint8_t policy;
    uint8_t partition; /* v is a position in it, of epoch shape.epochs[partition] */
    bool absent, stale, local, detached;
    enum shm_ask reason;
};

/* `hash` is shm_hash_key(v->shape.hash_secret, key).  Copies the value into buffer[0, capacity). */
int shm_get(const struct shm_view *v, struct slice key, uint64_t hash, void *buffer, size_t capacity,
            struct shm_found *ret);

/* The same in two steps without the copy: shm_peek finds the item and hands out where its value lies, to be
 * parsed in place by code that survives garbage; shm_validate then says whether what was parsed was whole and
 * current the whole time.  Nothing may be concluded from the bytes before it says so. */
struct shm_peek {
    const uint8_t *value; /* in the mapping: may change under the reader */
    struct shm_found found;
    /* private to the two calls */
    uint64_t slot, gen, fresh_until, alive_until, mode, sweeps, life, born, v, shape;
    const au64 *slot_at, *gen_at;
    struct slice key;
    uint32_t prints_count;
    uint32_t prints[SHM_TAGS_MAX + 2]; /* tags, then the schema; read by the pair */
};
int shm_peek(const struct shm_view *v, struct slice key, uint64_t hash, struct shm_peek *ret);
bool shm_validate(const struct shm_view *v, struct shm_peek *p);

/* The daemon is alive and the segment open: hits are possible at all. */
bool shm_alive(const struct shm_view *v);

/* Batches go over their keys three times, so that the memory of all is on its way at once: shm_prefetch asks the CPU for
 * the bucket lines of a key, shm_prefetch_item for the item that its bucket names, shm_get then finds both near. */
void shm_prefetch(const struct shm_view *v, uint64_t hash);
void shm_prefetch_item(const struct shm_view *v, uint64_t hash);

#endif
