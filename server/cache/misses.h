/* Why gets miss: the figures of a namespace, a policy and a tenant have the same. */
#ifndef LARDER_CACHE_MISSES_H
#define LARDER_CACHE_MISSES_H

#include "base/knob.h"

/* Misses by reason.  EVICTED, and EXPIRED and INVALIDATED of what went without being asked for, as far as `gone` remembers. */
#define MISS_FIGURES(FIGURE)                                                                        \
    FIGURE(COUNTER, misses_cold, "of those: never stored, as far as is remembered")                 \
    FIGURE(COUNTER, misses_evicted, "of those: evicted to make room")                               \
    FIGURE(COUNTER, misses_expired, "of those: past its end")                                       \
    FIGURE(COUNTER, misses_invalidated, "of those: invalidated")                                    \
    FIGURE(COUNTER, misses_suspect, "of those: there, but nobody could say that it is current")     \
    FIGURE(COUNTER, misses_detached, "of those: Redis was away, and what is here not to be served") \
    FIGURE(COUNTER, misses_too_big, "of those: its value was too large to be stored")               \
    FIGURE(COUNTER, misses_schema, "of those: there, with another schema than the caller wants")    \
    FIGURE(COUNTER, misses_stale, "of those: there, but stale, and the caller refuses stale")       \
    FIGURE(COUNTER, misses_disabled, "of those: the cache is switched off")

#endif
