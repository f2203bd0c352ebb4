/* One entry as bytes in Redis, {ns}:e:<key>.
 *
 *   0 magic "Ld" 3 with format     24 soft u32, ms after born; 0: stale by invalidation
 *   3 epoch 8 raw                  28 hard u32, ms after born
 *  11 V u56                        32 check u32: low half of XXH3(from 36 on, seeded with XXH3(key))
 *  18 born u48: Redis' clock, ms   36 id u24 · 39 shape: tags count | ABSENT | ZSTD · 40 user flags u32 · 44 schema u32
 *  48 tags: u16 size and bytes each, then the value.  Little endian.
 *
 * The scripts write bytes 0 to 31, for only they know V and the time; the daemon packs the rest, the *tail*.  They
 * read epoch to hard, shape and tags (scripts/parts/alive.lua) and get the offsets from here (scripts/embed.py).
 *
 * What must stay true: whatever the bytes are, reading them ends in "not an entry" or in what was packed for that very
 * key.  The check holds the key: bytes that were stored for another key are not an entry of this one, so a stream of
 * replies that is out of step by one shows nobody another's value.  Plain 32 bits against accidents; nothing here
 * withstands somebody who writes to our Redis on purpose.
 *
 * Clock: promotion only shortens.  See scripts/README.md. */
#ifndef LARDER_L2_RECORD_H
#define LARDER_L2_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "proto/shm.h"
#include "proto/slice.h"

#define L2_RECORD_MAGIC "Ld\1"

enum {
    L2_RECORD_AT_EPOCH = 3,
    L2_RECORD_AT_V = 11,
    L2_RECORD_AT_BORN = 18,
    L2_RECORD_AT_SOFT = 24,
    L2_RECORD_AT_HARD = 28,
    L2_RECORD_AT_CHECK = 32,
    L2_RECORD_TAIL = 32,
    L2_RECORD_AT_ID = 36,
    L2_RECORD_AT_SHAPE = 39,
    L2_RECORD_AT_USER_FLAGS = 40,
    L2_RECORD_AT_SCHEMA = 44,
    L2_RECORD_HEAD_BYTES = 48,
    L2_RECORD_TAG_BYTES_MAX = 1536, /* a tag, its tenant in front */
    L2_RECORD_NAMES_BYTES_MAX =
        24656, /* head and the longest list of tags: all that a script ever reads to judge */
    L2_RECORD_VALUE_MAX = 16777216, /* = the largest max_value */
    /* Packing happens on the loop thread, whose turns are to end within 5 ms: 2.4 ms for so much JSON, 0.7 back; 16 MiB
     * take 50 and 15.  What is larger lies in Redis as it is. */
    L2_RECORD_PACK_MAX = 1 << 20,
    L2_VERSION_BYTES = 18,
};

/* What the daemon packs. */
struct l2_entry {
    struct slice key, value;
    uint32_t id; /* 24 bits */
    uint32_t user_flags, schema;
    bool absent;
    unsigned tags_count;
    struct slice tags[SHM_TAGS_MAX];
};
/* Of one that was read: its tags as they stand there (base/tag_names.h). */
struct slice l2_tag_names(const struct l2_entry *e);

/* Compresses values of `compress_min` bytes and more, up to L2_RECORD_PACK_MAX, where that makes them smaller; UINT32_MAX: none.  Room for
 * l2_tail_bytes_max(e) bytes; returns the size. */
size_t l2_tail_bytes_max(const struct l2_entry *e);
size_t l2_tail_encode(void *ret, const struct l2_entry *e, uint32_t compress_min);

/* Writes the check of a record that was put together by other means (tests). */
void l2_record_seal(void *record, size_t size, struct slice key);

struct l2_record {
    struct l2_entry entry; /* slices point into the bytes given; a packed value needs l2_record_value */
    uint64_t epoch, v;
    uint64_t born_ms; /* Redis' clock */
    uint32_t soft_ms, hard_ms;
    bool packed;
    uint64_t value_bytes; /* once unpacked */
};

/* false: not an entry of this key, or longer than value_max.  A packed value is not unpacked yet. */
bool l2_record_decode(struct slice bytes, struct slice key, uint64_t value_max, struct l2_record *ret);
/* Version and life from the first L2_RECORD_HEAD_BYTES, as the scripts answer them (`head`).  Nothing is checked but
 * magic and size: it is not for values. */
bool l2_record_peek(struct slice head, struct l2_record *ret);
/* The value, unpacked into room for value_bytes if it is packed.  false: the bytes were not what they said. */
bool l2_record_value(const struct l2_record *r, void *room, struct slice *ret);

/* What is left of its life, given what Redis' clock can show at most.  false: gone, or born in its future. */
struct l2_left {
    uint64_t soft_ms, hard_ms;
};
bool l2_record_left(const struct l2_record *r, uint64_t redis_ms, struct l2_left *ret);

/* (E, V, id) as the scripts compare it. */
void l2_version(uint8_t ret[L2_VERSION_BYTES], uint64_t epoch, uint64_t v, uint32_t id);
/* An epoch as ARGV and record hold it. */
void l2_epoch(uint8_t ret[8], uint64_t epoch);
uint64_t l2_epoch_read(const void *bytes8);

#endif
