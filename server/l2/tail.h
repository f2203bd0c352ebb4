/* Where one partition stands in its journal: what a greeting, a record or a silence means for (E, A, floor).
 *
 * What must stay true: `applied` moves by one, by a record; every other way raises the floor to the last position that
 * was lost (I2), or begins another epoch (I10).  A record kills what is strictly older, so an entry at the floor itself
 * has nothing to fear from what was lost.
 *
 * Pure: no clock, no I/O. */
#ifndef LARDER_L2_TAIL_H
#define LARDER_L2_TAIL_H

#include "base/fleet.h"

/* What must be told to the listener; the partition is set already. */
enum tail_news {
    TAIL_NOTHING,
    TAIL_RECORD, /* the record is the next one */
    TAIL_GAP,    /* records up to the floor are lost; a record, if one came, is the next one now */
    TAIL_EPOCH,
    TAIL_BACK, /* in this epoch it was further already; nothing is set */
};

/* HELLO answered: the partition is at v of this epoch, its oldest record is first (v + 1: none is left). */
enum tail_news tail_greeted(struct fleet_partition *p, uint64_t epoch, uint64_t v, uint64_t first);
/* A record arrived.  After TAIL_RECORD and TAIL_GAP: do it, then tail_applied. */
enum tail_news tail_record(struct fleet_partition *p, uint64_t v);
void tail_applied(struct fleet_partition *p, uint64_t v);
/* A reply of this session showed v. */
void tail_saw(struct fleet_partition *p, uint64_t v);
/* Records are known to exist and do not come: the stream is gone, or its connection is. */
enum tail_news tail_lost(struct fleet_partition *p);

#endif
