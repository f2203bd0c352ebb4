/* Bans: globs (base/pattern.h) that were invalidated, with the positions of their newest hard and soft kill in each
 * partition.  The part of the map of kills (base/kills.h) that has to look at keys; nobody else uses it.
 *
 * A ban has a place, 0 to BANS_MAX - 1, and keeps it as long as it is here: it is what the others know it by.
 *
 * Bound: BANS_MAX globs, since each entry that is older than the newest of them is compared with all that are newer than
 * it: 64 are 2 µs.  A place without a glob is one whose glob nobody knows: then its kills hit every key.
 *
 * Pure memory; belongs to whoever has it. */
#ifndef LARDER_BASE_BANS_H
#define LARDER_BASE_BANS_H

#include <stdbool.h>
#include <stdint.h>
#include "proto/slice.h"

enum { BANS_MAX = 64, BAN_BYTES_MAX = 255 };
#define BAN_NONE BANS_MAX /* no place */

struct bans;
struct bans *bans_create(void);
struct bans *bans_destroy(struct bans *b); /* NULL ok, returns NULL */

/* False: *ret_why, a static sentence. */
bool bans_glob_ok(struct slice glob, const char **ret_why);
/* All keys that match begin so: up to a ':', at most SHM_PREFIX_LEVELS of them; empty: they may begin with anything. */
struct slice bans_glob_prefix(struct slice glob);
/* It is all that begins so, and need be no ban: user:42:* is the prefix user:42: */
bool bans_glob_is_prefix(struct slice glob, struct slice *ret_prefix);

/* The place of the glob, which must be ok, or the first free one; BAN_NONE: there is none. */
unsigned bans_place(const struct bans *b, struct slice glob);
/* Copied.  The place is free, or has this glob. */
void bans_put(struct bans *b, unsigned place, struct slice glob);
/* Valid until the place is free again; empty: it is free, or nobody knows. */
struct slice bans_glob(const struct bans *b, unsigned place);
void bans_kill(struct bans *b, unsigned place, unsigned partition, uint64_t v, bool soft);
void bans_remove(struct bans *b, unsigned place);
/* The place whose newest kill is older than those of all others; BAN_NONE: there are no bans. */
unsigned bans_oldest(const struct bans *b);

unsigned bans_count(const struct bans *b);
struct ban_positions {
    uint64_t hard_v, soft_v; /* 0: none */
};
struct ban_positions bans_positions(const struct bans *b, unsigned place, unsigned partition);
/* The newest hard and the newest soft kill above v that hit the key; zeros: none. */
struct ban_positions bans_judge(const struct bans *b, unsigned partition, struct slice key, uint64_t v);

/* Kills of the partition at positions up to v are over.  A ban without kills is no more. */
void bans_forget(struct bans *b, unsigned partition, uint64_t v);

#endif
