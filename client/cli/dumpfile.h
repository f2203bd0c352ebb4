/* The file that `larder dump` writes and `larder warm --file` reads.
 *
 *   12 bytes   89 'L' 'A' 'R' 'D' 'E' 'R' 0A, then the format's number, 32 bits little-endian
 *   blocks     32 bits little-endian: bytes of the zstd frame that follows (content size and checksum in it)
 *
 * The frames' contents together are msgpack arrays:
 *   [0, wall clock ms, namespace, writer]                                  first, once
 *   [1, key, value, ttl ms, stale ms, user flags, schema, absent, [tag…]] an entry; its life counts from that clock
 *   [2, number of entries]                                                 last, once: without it the file is cut short
 *
 * Format 1 had no tags.  No array crosses a frame.  A reader allocates what a frame says only up to DUMP_BLOCK_MAX. */
#ifndef LARDER_CLI_DUMPFILE_H
#define LARDER_CLI_DUMPFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "proto/pack.h"
#include "proto/wire.h"

#define DUMP_MAGIC       "\x89LARDER\n"
#define DUMP_BLOCK_BYTES (256u << 10) /* a frame is closed when it has this much */
#define DUMP_BLOCK_MAX   (DUMP_BLOCK_BYTES + WIRE_VALUE_LIMIT + 32768) /* and may be over by one entry */
enum { DUMP_FORMAT = 2, DUMP_FORMAT_WITHOUT_TAGS = 1, DUMP_HEAD = 0, DUMP_ENTRY = 1, DUMP_END = 2 };

struct dump_entry {
    struct slice key, value;
    uint64_t ttl_ms, stale_ms;
    uint32_t user_flags, schema;
    bool absent;
    uint32_t tags_count;
    struct slice tags[WIRE_TAGS_MAX];
};

/* ---- writing.  0, or -1: see errno ------------------------------------------------------------------------ */

struct dump_writer {
    FILE *file;
    struct buffer block;
    uint8_t *packed;
    size_t packed_bytes;
    uint64_t count;
};
int dump_begin(struct dump_writer *w, FILE *file, uint64_t wall_ms, const char *namespace);
int dump_put(struct dump_writer *w, const struct dump_entry *e);
int dump_end(struct dump_writer *w);
void dump_writer_finish(struct dump_writer *w);

/* ---- reading ---------------------------------------------------------------------------------------------- */

struct dump_reader {
    FILE *file;
    uint8_t *packed, *block;
    size_t packed_capacity, block_capacity;
    struct reader at; /* in the present block */
    bool begun, ended;
    uint32_t format;
    uint64_t wall_ms;
    uint64_t count;      /* entries handed out */
    uint64_t count_said; /* by the last array */
    const char *why;     /* of DUMP_E_BAD: a sentence */
};
enum { DUMP_E_BAD = -1, DUMP_E_SYSTEM = -2 };

/* Reads magic and format. */
int dump_open(struct dump_reader *r, FILE *file);
/* 1: an entry, pointing into the reader until the block changes; 0: the end, complete; DUMP_E_…. */
int dump_next(struct dump_reader *r, struct dump_entry *ret);
/* The present block holds no further entry: what was handed out so far is about to become invalid. */
bool dump_block_done(const struct dump_reader *r);
void dump_reader_finish(struct dump_reader *r);

#endif
