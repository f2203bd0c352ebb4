/* What an item is worth: the policy of eviction as a pure object.  L1 asks it which segment to clean and what of it
 * to keep; `larder-bench simulate` asks it the same about recorded traces.
 *
 * Idea: one slot of memory, used best.  For an item of some class (how often it was used, how far apart) and age (since
 * its last use), the worth is the largest over all horizons T of
 *
 *     chance to be used within T / time its slot is taken until then
 *
 * per byte.  That is the Gittins index (Gittins 1979) of one stay between two uses; its nearest kin among caches is
 * LHD (Beckmann, Chen, Cidon, NSDI 2018).  The chances are learnt while running, from a sample of keys that is
 * watched whether resident or not (eviction_learn.c).  Behaviour like LRU, LFU, or "newest goes first" in a loop
 * comes out of the curves; nothing is switched.
 *
 * What must stay true: no clock but the requests told, no I/O, no randomness: the same calls give the same answers.
 * Every call does a bounded amount of work; the longest is a slice of learning, some 10 µs.
 *
 * Memory: 5 bytes an item, kept by the owner (struct below); 4 bytes a ghost; 8 bytes a segment; 12 bytes a watched
 * key; 50 KiB of tables.
 *
 * Thread rule: the owner's. */
#ifndef LARDER_L1_EVICTION_H
#define LARDER_L1_EVICTION_H

#include <stdbool.h>
#include <stdint.h>

struct eviction_setup {
    uint64_t entries_max; /* most items there can be: sets the grain of time */
    uint64_t ghosts;      /* keys remembered after they went */
    uint32_t watched;     /* keys the curves are learnt from */
    uint32_t segments;
};

struct eviction;
struct eviction *eviction_create(const struct eviction_setup *setup);
struct eviction *eviction_destroy(struct eviction *e); /* NULL ok, returns NULL */

/* How many items a full cache holds, as far as one can tell now.  Often; cheap. */
void eviction_capacity(struct eviction *e, uint64_t entries);

/* ---- items ---------------------------------------------------------------------------------------------------- */

/* time 20 | frequency 4 | distance 8, and a size in eighths of octaves.  0 is no valid heat. */
struct eviction_item {
    uint32_t heat;
    uint8_t size;
};
uint8_t eviction_size(uint32_t bytes);

/* A request found nothing and the key comes in.  Returns the heat it starts with: what a ghost remembers, or new. */
uint32_t eviction_came(struct eviction *e, uint64_t key_hash);
/* It went, for whatever reason but its own end: if it comes back it is known. */
void eviction_went(struct eviction *e, uint64_t key_hash, uint32_t heat);

/* A request found the item: its heat now.  `live` items are in its segment. */
uint32_t eviction_used(struct eviction *e, struct eviction_item item, uint32_t segment, uint32_t live);
/* Whether the keys with that tag (low 16 bits of their hash) are watched: then the use is told with the hash too. */
bool eviction_watches(const struct eviction *e, uint16_t tag);
void eviction_used_key(struct eviction *e, uint64_t key_hash);

unsigned eviction_frequency(uint32_t heat); /* uses, 1 to 15, fading */
uint8_t eviction_distance(uint32_t heat);   /* 8 log2 of requests between uses, smoothed */
float eviction_worth(const struct eviction *e, struct eviction_item item);

/* ---- segments -------------------------------------------------------------------------------------------------- */

void eviction_opened(struct eviction *e, uint32_t segment);
void eviction_appended(struct eviction *e, uint32_t segment, struct eviction_item item);
/* A resident picked at random, eviction_looks of them for each item that comes in: what thresholds and segments are
 * judged by.  Returns its worth. */
unsigned eviction_looks(const struct eviction *e); /* a multiple of 8 */
float eviction_look(struct eviction *e, struct eviction_item item, uint32_t segment, uint32_t live);
/* The share of its bytes that would be well freed, 0 to 1; the highest is cleaned first. */
float eviction_gain(const struct eviction *e, uint32_t segment, float dead_share);
/* Whether the item of a segment being cleaned is worth copying. */
bool eviction_keeps(const struct eviction *e, struct eviction_item item);
/* Cleaning freed that share of a segment: more than wanted, and the next keeps more; or the other way. */
void eviction_cleaned(struct eviction *e, float freed_share);
/* Insertions wait and cleaning freed hardly anything. */
void eviction_pressed(struct eviction *e);

/* Part of the learning that is due, if any. */
void eviction_work(struct eviction *e);

#endif
