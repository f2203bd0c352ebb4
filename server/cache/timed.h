/* Whose time is told by policy and by tenant: keys that somebody named and that were answered, of either kind.
 *
 * Two histograms and not one a verb: a lease is asked for like a get and answered by the same tiers, and what changes an
 * entry goes the way of a set.  Each is 2.5 KiB, and has a series of /metrics. */
#ifndef LARDER_CACHE_TIMED_H
#define LARDER_CACHE_TIMED_H

enum timed {
    TIMED_GET, /* GET, LEASE */
    TIMED_SET, /* SET, TOUCH, TAG */
    TIMED_COUNT
};

#endif
