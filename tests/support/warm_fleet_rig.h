/* A warm tier in a fleet of one partition, and short words for what the fleet does to it. */
#ifndef LARDER_TESTS_WARM_FLEET_RIG_H
#define LARDER_TESTS_WARM_FLEET_RIG_H

#include "support/warm_rig.h"

enum { E1 = 111, E2 = 222 };

static inline int make_fleet_rig(void **state)
{
    rig_make(&rig);
    rig.fleet = true;
    rig.partitions = 1;
    return 0;
}

/* ======= what the fleet does ======= */

static inline void begin_epoch(unsigned partition, uint64_t epoch)
{
    kills_forget(rig.kills, partition);
    warm_fleet_epoch(rig.warm, partition, epoch);
}

static inline void keep_place(unsigned partition, uint64_t epoch, uint64_t applied)
{
    warm_keep_place(
        rig.warm, partition,
        &(struct fleet_memory){.epoch = epoch, .applied = applied, .floor = 3, .last_fence_ns = 77});
}

static inline void store_with(const char *key, uint64_t epoch, uint64_t v, bool red)
{
    struct entry e = rig_entry(&rig, key, slice_text("value"));
    e.epoch = epoch;
    e.v = v;
    e.tags_count = red;
    e.tags[0] = rig_tag(&rig, "red");
    rig.tier->ops->put(rig.tier, &e);
}

static inline void store(const char *key, uint64_t epoch, uint64_t v)
{
    store_with(key, epoch, v, true);
}

static inline int drop(const char *key, uint64_t v)
{
    return rig.tier->ops->drop(rig.tier, slice_text(key), rig_hash(&rig, key), v);
}

static inline void kill_name(uint64_t name, uint64_t v)
{
    kills_add(rig.kills, name, v, false);
    rig.tier->ops->kill(rig.tier, name, v, false);
}

static inline struct fleet_memory place_of(unsigned partition, uint64_t *ret_newest)
{
    struct fleet_memory places[FLEET_PARTITIONS_MAX] = {0};
    uint64_t newest[FLEET_PARTITIONS_MAX] = {0};
    warm_places(rig.warm, places, newest);
    if (ret_newest)
        *ret_newest = newest[partition];
    return places[partition];
}

/* Position of what is found, 0: none. */
static inline uint64_t found_v(const char *key)
{
    struct rig_read r;
    rig_get(&rig, key, &r);
    return r.outcome == TIER_FOUND ? r.read.entry.v : 0;
}

static inline bool is_suspect(const char *key)
{
    struct rig_read r;
    rig_get(&rig, key, &r);
    assert_int_equal(r.outcome, TIER_FOUND);
    return r.read.entry.suspect;
}

/* ======= the outbox ======= */

static char kept[256];
static uint64_t kept_last;

static inline void note_kept(void *user, uint64_t number, struct slice bytes)
{
    char one[64];
    assert_true(number > kept_last);
    kept_last = number;
    snprintf(one, sizeof(one), "%llu=%.*s ", (unsigned long long)number, (int)bytes.size,
             (const char *)bytes.data);
    strncat(kept, one, sizeof(kept) - strlen(kept) - 1);
}

static inline int keep(uint64_t number, const char *bytes)
{
    struct outbox *o = warm_outbox(rig.warm);
    return o->ops->keep(o, number, slice_text(bytes));
}

static inline void drop_up_to(uint64_t number)
{
    struct outbox *o = warm_outbox(rig.warm);
    o->ops->drop_up_to(o, number);
}

static inline const char *all_kept(void)
{
    struct outbox *o = warm_outbox(rig.warm);
    kept[0] = '\0';
    kept_last = 0;
    o->ops->each(o, note_kept, NULL);
    return kept;
}

#endif
