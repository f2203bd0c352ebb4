/* A tier for tests of cache/: a small table in memory that obeys base/tier.h to the letter.  `slow` makes every get
 * PENDING until table_tier_land; `unsafe` makes every change UNSAFE until table_tier_commit. */
#ifndef LARDER_TESTS_TABLE_TIER_H
#define LARDER_TESTS_TABLE_TIER_H

#include "base/kills.h"
#include "base/tier.h"

enum { TABLE_ROWS = 128, TABLE_BYTES = 256, TABLE_WAITING = 64 };

struct table_row {
    bool used;
    char key[TABLE_BYTES], value[TABLE_BYTES], names[TABLE_BYTES];
    struct entry entry;
    bool confirmed; /* since the newest floor */
};

struct table_tier {
    struct tier tier;
    struct tier_ops ops;
    const struct kills *kills;
    struct table_row rows[TABLE_ROWS];
    bool slow, unsafe, refuse, boundless; /* refuse: no room for any put; boundless: no value is too big */
    struct tier_read *waiting[TABLE_WAITING];
    unsigned waiting_count;
    struct tier_barrier *barriers[TABLE_WAITING];
    unsigned barriers_count;
    uint64_t gets, puts, drops;
};

void table_tier_init(struct table_tier *t, enum tier_name name, const struct kills *kills);
/* Answers the reads that wait, as the table stands now. */
void table_tier_land(struct table_tier *t);
/* Lets everything that waits for a commit go. */
void table_tier_commit(struct table_tier *t);
struct table_row *table_tier_find(struct table_tier *t, struct slice key);

#endif
