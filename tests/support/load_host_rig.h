/* Those of the load rig on one host, and short words for the key they all want. */
#ifndef LARDER_TESTS_LOAD_HOST_RIG_H
#define LARDER_TESTS_LOAD_HOST_RIG_H

#include "support/cache_rig.h"
#include "support/load_rig.h"

#define KEY "acme:k"

static inline struct cache_figures figures(const struct fixture *f)
{
    struct cache_figures figures;
    cache_measure(f->cache, &figures);
    return figures;
}

static inline void set_for(struct fixture *f, const char *value, uint64_t ttl_ms, uint64_t stale_ms)
{
    struct cache_set s = a_set(KEY, value);
    s.ttl_ms = ttl_ms;
    s.stale_ms = stale_ms;
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
}

#endif
