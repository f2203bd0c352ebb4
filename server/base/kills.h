/* What was invalidated by name: for each tag, prefix and glob the position of its newest kill, and one floor for
 * everything, in each partition.  This is the exact map: the shared kill cells and the warm tier's database only mirror it.
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
#include "base/bans.h"
#include "proto/slice.h"

enum { KILLS_MAX = 1000000 }; /* 24 bytes each: 24 MB at load 1, 48 MB with room */

struct kills;

struct kills *kills_create(uint64_t hash_secret);
struct kills *kills_destroy(struct kills *k); /* NULL ok, returns NULL */

enum kills_added { KILLS_ADDED = 0, KILLS_COLLAPSED = 1 };
/* `name_hash` from shm_hash_name.  v must be at least that of every earlier kill of the name (older: ignored). */
int kills_add(struct kills *k, uint64_t name_hash, uint64_t v, bool soft);
uint64_t kills_floor(const struct kills *k, unsigned partition); /* the hard one */

/* ---- partitions ---- */

/* Positions of different partitions cannot be compared, so a name is one name in each: what is added is
 * kills_name(hash, partition), and an entry is judged in the partition of its key. */
enum { KILLS_PARTITION_SHIFT = 58 };
#define KILLS_NAME_MASK ((1ull << KILLS_PARTITION_SHIFT) - 1)
static inline uint64_t kills_name(uint64_t name_hash, unsigned partition)
{
    return (name_hash & KILLS_NAME_MASK) | (uint64_t)partition << KILLS_PARTITION_SHIFT;
}
/* Before the first is added.  Without it there is one partition, and kills_add takes any hash. */
void kills_split(struct kills *k, unsigned partitions);

/* Names of no tag: adding one raises a floor of the partition, so that whoever saves names saves floors as well.
 * KILLS_ALL: what is older is dead (or stale).  KILLS_UNKNOWN: what is older is suspect: it may have been invalidated, and
 * nobody here knows. */
enum { KILLS_ALL = 2, KILLS_UNKNOWN = 3 };
static inline bool kills_is_floor(uint64_t name)
{
    return (name & KILLS_NAME_MASK) == KILLS_ALL || (name & KILLS_NAME_MASK) == KILLS_UNKNOWN;
}

/* ---- globs ---- */

/* A glob has one of these names, of no tag either, as long as it has kills; so whoever saves names saves its positions, and
 * asks kills_glob for the text.  A name here whose glob nobody knows hits every key: rather too much than too little. */
enum { KILLS_BAN_FIRST = 64 };
static inline bool kills_is_ban(uint64_t name)
{
    uint64_t n = name & KILLS_NAME_MASK;
    return n >= KILLS_BAN_FIRST && n < KILLS_BAN_FIRST + BANS_MAX;
}
static inline unsigned kills_ban_place(uint64_t name)
{
    return (unsigned)((name & KILLS_NAME_MASK) - KILLS_BAN_FIRST);
}
/* The name of a glob (bans_glob_ok) without its partition, for kills_add, at once; 0: BANS_MAX of them are here already. */
uint64_t kills_ban(struct kills *k, struct slice glob);
/* At a start, before the kills of that name are added: what the glob was.  False: that is none. */
bool kills_ban_was(struct kills *k, uint64_t name, struct slice glob);
struct slice kills_glob(const struct kills *k, uint64_t name);
uint64_t kills_bans(const struct kills *k);
/* The glob that was used the longest ago makes room for another: the name, and what its kills were in each partition,
 * until kills_unban.  There is one. */
uint64_t kills_oldest_ban(const struct kills *k);
struct ban_positions kills_ban_positions(const struct kills *k, uint64_t name, unsigned partition);
void kills_unban(struct kills *k, uint64_t name);

/* Another epoch: the positions of the old one mean nothing any more. */
void kills_forget(struct kills *k, unsigned partition);

enum verdict { ALIVE = 0, SOFTENED = 1, SUSPECT = 2, DEAD = 3 };
/* The tags as full hashes (entries), or as fingerprints (items of the shared segment: may say DEAD for a
 * neighbour with the same 32 bits, which costs an entry, never truth).  Prefixes come from the key. */
enum verdict kills_judge(const struct kills *k, struct slice key, const uint64_t *tags, unsigned tags_count,
                         uint64_t v);
/* SUSPECT hides SOFTENED: is it that as well?  For whoever knows the rest from somebody else. */
bool kills_softens(const struct kills *k, struct slice key, const uint64_t *tags, unsigned tags_count,
                   uint64_t v);
enum verdict kills_judge_prints(const struct kills *k, struct slice key, const uint32_t *prints,
                                unsigned prints_count, uint64_t v);

/* Forgets kills in partition 0 at positions up to v: the caller knows that no tier holds an entry older than that. */
void kills_prune(struct kills *k, uint64_t v);

uint64_t kills_count(const struct kills *k); /* of tags and prefixes */

#endif
