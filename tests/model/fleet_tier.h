/* Tiers of a few rows: as L1 in memory, or as warm with a disk that lags behind and is what a crash leaves. */
#ifndef LARDER_TESTS_FLEET_TIER_H
#define LARDER_TESTS_FLEET_TIER_H

#include "base/kills.h"
#include "base/tier.h"
#include "tests/model/fleet_world.h"

struct model_row {
    bool used;
    struct entry entry;
    unsigned value;
};

enum { TIER_WAITING = 64, KILLS_KEPT = 32 };

/* What warm keeps: entries, and the names that were killed. */
struct model_kept {
    struct model_row rows[KEYS];
    struct {
        uint64_t name, hard_v, soft_v;
        char glob[3]; /* of a glob: its text */
    } kills[KILLS_KEPT];
    unsigned kills_count;
};

struct model_tier {
    struct tier tier;
    struct tier_ops ops;
    const struct kills *kills;
    struct model_kept now;
    struct model_kept *disk; /* warm: as of the last commit; L1: NULL */
    bool
        journaled; /* warm: removals reach the disk at once, stores with the commit; else all is unsafe till then */
    bool slow; /* reads wait until model_tier_land */
    struct tier_read *waiting[TIER_WAITING];
    unsigned waiting_count;
    struct tier_barrier *barriers[TIER_WAITING];
    unsigned barriers_count;
};

void model_tier_init(struct model_tier *t, enum tier_name name, struct kills *kills, struct model_kept *disk);
/* Another epoch: what is there of this partition belongs to none. */
void model_tier_forget(struct model_tier *t, unsigned partition);
/* LOCAL entries are no more. */
void model_tier_end_local(struct model_tier *t);
void model_tier_land(struct model_tier *t);
/* Everything up to now is on the disk. */
void model_tier_committed(struct model_tier *t);
unsigned model_key(struct slice key);
void model_value_into(struct entry *e, const unsigned *value);

#endif
