/* Names that came by once, so that they are not taken twice: a set of hashes, with an end.  A name is its 64-bit hash; two
 * names with one hash are one in 2^64 pairs, and cost a key its turn.
 *
 * Pure. */
#ifndef LARDER_CACHE_SEEN_H
#define LARDER_CACHE_SEEN_H

#include <stdbool.h>
#include <stdint.h>

enum { SEEN_MAX = 65536 }; /* names in one: 1 MiB, and four times the fleet's list as it is by default */

struct seen {
    uint64_t *slots; /* 0: free; NULL: nothing was added yet */
    uint32_t count, capacity;
};

bool seen_full(const struct seen *s);
bool seen_has(const struct seen *s, uint64_t name);
/* What was there stays, and so does what finds it full. */
void seen_add(struct seen *s, uint64_t name);
void seen_finish(struct seen *s);

#endif
