/* The way to the fleet and back: a change nobody notices, the invalidation of a key nobody has, and how long it takes
 * until its record comes back through the journal.  For the doctor.
 *
 * What must stay true: it ends by itself, PROBE_MAX_NS after it began at the latest. */
#ifndef LARDER_CACHE_PROBE_H
#define LARDER_CACHE_PROBE_H

#include "cache/cache.h"

/* The journal is done up to v in this partition. */
void probes_heard(struct cache *c, unsigned partition, uint64_t v);
void probes_tick(struct cache *c);

#endif
