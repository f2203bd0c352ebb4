/* One entry as bytes on disk.
 *
 * What must stay true: whatever the bytes are, reading them ends in "bad" or in exactly what was written.  The full
 * key is inside and compared by whoever asked by hash; one checksum covers everything.
 *
 * Expiry (D12): hard and soft are CLOCK_BOOTTIME and mean something only in the boot they were written in; records
 * say which one that was, and hold both clocks as of writing, so that another boot can reckon by the wall clock. */
#ifndef LARDER_WARM_RECORD_H
#define LARDER_WARM_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/tier.h"
#include "proto/slice.h"

enum {
    RECORD_FORMAT = 1, /* what has no names of tags is written so, for older daemons too */
    RECORD_FORMAT_NAMES = 2,
    RECORD_HEAD_BYTES = 96,
    RECORD_KEY_MAX = 1024,               /* = WIRE_KEY_MAX */
    RECORD_VALUE_MAX = 16 * 1024 * 1024, /* = the largest max_value */
};

/* Both clocks at one moment, and a number for the boot (0: unknown, equal to no other). */
struct record_clock {
    uint32_t boot;
    uint64_t boot_ns, wall_ns;
};

uint32_t record_boot(const char *boot_id);

size_t record_bytes(const struct entry *e);
/* Writes record_bytes(e) bytes. */
void record_encode(void *ret, const struct entry *e, const struct record_clock *now);

struct record {
    struct entry entry; /* slices point into the bytes given */
    uint32_t boot;
    uint64_t written_boot_ns, written_wall_ns;
};
/* false: not a record, or not the one that was written. */
bool record_decode(struct slice bytes, struct record *ret);
/* Head, names and key only; for background walks that must not read every value from disk. */
bool record_decode_unchecked(struct slice bytes, struct record *ret);

/* Moves hard_ns and soft_ns into the present boot.  false: it is past its end, or its clock cannot be right. */
bool record_reckon(struct record *r, const struct record_clock *now);

/* A change of life: what touch and soften come down to.  Two of them add up to one. */
struct record_change {
    uint64_t stale_ns; /* stale from then on; 0: leave it */
    struct {           /* the entry of that version, and no other; what is stale stays so */
        uint64_t v;
        uint32_t id;
        uint64_t soft_ns, hard_ns; /* hard_ns 0: leave it */
    } longer;
};
struct record_change record_soften(uint64_t now_ns);
struct record_change record_prolong(const struct entry *as);
/* There is something in it for this version. */
bool record_concerns(struct record_change change, const struct entry *e);
/* `first`, then `second`. */
struct record_change record_both(struct record_change first, struct record_change second);
void record_apply(struct record_change change, struct entry *e);

#endif
