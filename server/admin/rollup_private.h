/* What the files of a rollup share: a day taken apart, and its record.  Nobody else includes this.
 *
 * A record is a msgpack array [version, kind, serial, time, …]: what a later version appends is stepped over, what an
 * earlier one did not have is 0.  A version that is not ours means other things, and is not read. */
#ifndef LARDER_ADMIN_ROLLUP_PRIVATE_H
#define LARDER_ADMIN_ROLLUP_PRIVATE_H

#include "admin/rollup.h"
#include "proto/pack.h"

enum {
    ROLLUP_VERSION = 1,
    ROLLUP_KEYS_WATCHED = 128, /* candidates of a day for its hottest */
};

struct rollup_row {
    uint8_t name_bytes, resource_bytes;
    char name[ROLLUP_NAME_BYTES];
    char resource[ROLLUP_RESOURCE_BYTES];
    struct rollup_counts counts;
};

/* At most `max`; of more the quietest are in `others`. */
struct rollup_rows {
    unsigned count;
    struct rollup_counts others;
    struct rollup_row of[ROLLUP_POLICIES];
};

struct rollup_key {
    uint64_t heat, hash;
    uint8_t bytes;
    bool kept;
    char key[ROLLUP_KEY_BYTES];
};

/* The hottest keys of a stream, in the memory of a few (Space-Saving: Metwally, Agrawal, El Abbadi, 2005): a newcomer
 * takes the place of the coldest and is taken for as hot as that was, so no key hotter than the coldest is missed. */
struct rollup_keys {
    unsigned count;
    struct rollup_key of[ROLLUP_KEYS_WATCHED];
};

struct rollup_day {
    uint64_t serial, day; /* days since 1970 */
    struct rollup_counts total;
    struct rollup_rows policies, tenants;
    struct rollup_keys keys;
};

struct rollup_minute {
    uint64_t serial, minute; /* minutes since 1970 */
    struct rollup_counts counts;
};

struct rollup {
    struct rollup_store store;
    struct rollup_closed {
        uint64_t serial, day;
        uint8_t *record; /* NULL: no day here */
        size_t bytes;
    } days[ROLLUP_DAYS];                          /* that of the day under way is as it was kept last */
    struct rollup_minute minutes[ROLLUP_MINUTES]; /* serial 0: none here */
    uint64_t newest_day, newest_minute;           /* serials: in which order they were begun */
    struct rollup_day today;
    struct rollup_minute now; /* the minute under way; its serial means nothing yet */
    bool changed;             /* today, since it was kept */
    uint64_t kept_s;
};

void rollup_rows_add(struct rollup_rows *rows, unsigned max, struct slice name, struct slice resource,
                     const struct rollup_counts *more);
void rollup_keys_add(struct rollup_keys *keys, struct slice key, uint64_t heat, bool kept);
/* Hottest first. */
void rollup_keys_sort(struct rollup_keys *keys);

/* Sorts the day's keys.  `out` is empty, with a limit of ROLLUP_RECORD_BYTES, which is enough. */
void rollup_day_write(struct rollup_day *d, struct buffer *out);
bool rollup_day_read(struct slice record, struct rollup_day *ret);
/* Only where it belongs. */
bool rollup_day_peek(struct slice record, uint64_t *ret_serial, uint64_t *ret_day);
void rollup_minute_write(const struct rollup_minute *m, struct buffer *out);
bool rollup_minute_read(struct slice record, struct rollup_minute *ret);

#endif
