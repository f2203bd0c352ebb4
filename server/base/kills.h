/* What was invalidated by name: for each tag and prefix the position of its newest kill, and one floor for
 * everything.  This is the exact map: the shared kill cells and the warm tier's database only mirror it.
 *
 * An entry with position v is dead when a name of it was killed hard at a position greater than v, stale when
 * killed softly so.  Strictly greater: an entry stamped with the very position of the kill is newer than it.
 *
 * Bound: KILLS_MAX names.  One more and the map collapses: the floor rises to the newest position and the map
 * is empty; correct, at the price of a cold cache.  kills_prune keeps it from coming to that.
 *
 * Pure memory, no clock, no I/O; belongs to the loop thread. */
#ifndef LARDER_BASE_KILLS_H
#define LARDER_BASE_KILLS_H

#include <stdbool.h>
#include <stdint.h>
#include "proto/slice.h"

enum { KILLS_MAX = 1000000 }; /* 24 bytes each: 24 MB at load 1, 48 MB with room */

struct kills;

struct kills *kills_create(uint64_t hash_secret);
struct kills *kills_destroy(struct kills *k); /* NULL ok, returns NULL */

enum kills_added { KILLS_ADDED = 0, KILLS_COLLAPSED = 1 };
/* `name_hash` from shm_hash_name.  v must be at least that of every earlier kill of the name (older: ignored). */
int kills_add(struct kills *k, uint64_t name_hash, uint64_t v, bool soft);
/* Everything with a position below v is dead (or stale). */
void kills_raise_floor(struct kills *k, uint64_t v, bool soft);
uint64_t kills_floor(const struct kills *k);

enum verdict { ALIVE = 0, SOFTENED = 1, DEAD = 2 };
/* The tags as full hashes (entries), or as fingerprints (items of the shared segment: may say DEAD for a
 * neighbour with the same 32 bits, which costs an entry, never truth).  Prefixes come from the key. */
enum verdict kills_judge(const struct kills *k, struct slice key, const uint64_t *tags, unsigned tags_count,
                         uint64_t v);
enum verdict kills_judge_prints(const struct kills *k, struct slice key, const uint32_t *prints,
                                unsigned prints_count, uint64_t v);

/* Forgets kills at positions up to v: the caller knows that no tier holds an entry older than that. */
void kills_prune(struct kills *k, uint64_t v);

uint64_t kills_count(const struct kills *k);
/* Walks all names in no order; for saving them.  The callback must not change the map. */
void kills_each(const struct kills *k,
                void (*each)(void *user, uint64_t name_hash, uint64_t hard_v, uint64_t soft_v), void *user);

#endif
