/* What an invalidation named, as the chronicle keeps it: the kind, whether a cascade rule added it, and the bytes, whatever
 * they are; so a line can be compared with a key, and not only be read.
 *
 * What must stay true: whatever bytes are read, also those of an earlier run, nothing beyond them is.
 *
 * Pure. */
#ifndef LARDER_CACHE_NAMED_H
#define LARDER_CACHE_NAMED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "proto/slice.h"

enum named_kind { NAMED_KEY, NAMED_TAG, NAMED_PREFIX, NAMED_GLOB, NAMED_ALL, NAMED_KINDS };
const char *named_word(enum named_kind kind); /* "key", … "all" */

struct named_item {
    enum named_kind kind;
    bool cascaded;
    struct slice name; /* of NAMED_ALL empty */
};

enum { NAMED_BYTES = 3 }; /* of one, beside its name; fewer than its word as text has */

/* Appends one to bytes that have room for it. */
void named_put(const struct named_item *named, char *bytes, size_t *size);
/* Takes the first of them off; false: there is none, or what is left is broken. */
bool named_next(struct slice *rest, struct named_item *ret);

/* Whose invalidations are looked for. */
struct named_of {
    struct slice key;
    const uint64_t *tags; /* that it has: hashes (shm_hash_name) or their fingerprints */
    unsigned tags_count;
    bool tags_known; /* it has, or had, no others */
    uint64_t hash_secret;
};
bool named_concerns(const struct named_item *named, const struct named_of *of);

#endif
