/* How large the entries are that the index should be made for: pure.
 *
 * The index of a segment cannot grow.  Made for smaller entries than there are, it takes memory that values could have: a seventh
 * of it for values of 4 KiB.  Made for larger ones, entries push each other out of full buckets while segments have room.  What
 * entries are like is known once they fill the segment; so the index is made anew then, if that is worth the refilling, and the
 * next start begins with what the last run knew. */
#ifndef LARDER_L1_FIT_H
#define LARDER_L1_FIT_H

#include <stdbool.h>
#include <stdint.h>

enum {
    FIT_DEFAULT = 112, /* bytes: key 12, value 100.  Before anything is known */
    FIT_SMALLEST = 16,
    FIT_LARGEST = 64 << 10,
    FIT_BUCKET_ITEMS = 6, /* of 8 slots: load 0.75, where two choices lose nothing */
};

/* What is there.  Bytes. */
struct fit {
    uint64_t total_bytes, segment_bytes, item_bytes;
    uint64_t entries, slots;
    uint64_t free_bytes; /* of segments that nothing lies in */
    uint64_t made_for;   /* key and value of an entry */
};

/* Entries with `each` bytes of key and value that go into so many bytes, with their part of an index. */
uint64_t fit_items(uint64_t bytes, uint64_t each);
/* Key and value of the mean entry; 0: there are too few to tell. */
uint64_t fit_usual(const struct fit *f);
/* What the index should be made for, from now on; as it is, unless it is full of entries that want less than half of it, or
 * more than all of it. */
uint64_t fit_wanted(const struct fit *f);
/* As the option and the last run have it (0: neither). */
uint64_t fit_at_start(uint64_t option, uint64_t remembered);

#endif
