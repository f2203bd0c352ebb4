/* Feeds the rollup of a namespace (admin/rollup.h): with what its cache, L1 and warm tier counted since they were asked
 * last, each minute, before somebody is told, and at the stop.
 *
 * What must stay true: nothing is counted anew, so no get costs more for it; and of keys no name goes to the disk that
 * the warm tier would not hold there itself.
 *
 * Thread rule: as struct space. */
#ifndef LARDER_APP_ROLLUPS_H
#define LARDER_APP_ROLLUPS_H

#include "admin/rollup.h"

struct space;
struct rollups;

/* With what an earlier run kept. */
struct rollups *rollups_create(struct space *s);
struct rollups *rollups_destroy(struct rollups *u); /* NULL ok, returns NULL */

/* Every 100 ms: has the minute passed?  And a slice of L1 is looked at for what is hot. */
void rollups_tick(struct rollups *u);
/* Up to this moment. */
const struct rollup *rollups_now(struct rollups *u);
uint64_t rollups_kept_s(const struct rollups *u); /* as rollup_kept_s says */
/* Around another set of policies: numbers may go to other names. */
void rollups_before_policies(struct rollups *u);
void rollups_after_policies(struct rollups *u);
/* The cache is about to go; NULL ok. */
void rollups_stop(struct rollups *u);

#endif
