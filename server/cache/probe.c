#include "cache/probe.h"

#include <stdio.h>
#include "base/clock.h"
#include "cache/cache_private.h"

/* Ten times what a Redis may take to answer before its connection ends. */
#define PROBE_MAX_NS (2500 * NS_PER_MS)

static int end(struct cache_probe *p, enum cache_probe_end how)
{
    p->end = how;
    return CACHE_DONE;
}

/* The record may have come before the answer. */
static int came_back(struct cache *c, struct cache_probe *p, uint64_t heard)
{
    if (heard < p->change.v)
        return CACHE_PENDING;
    p->back_ns = cache_now(c) - p->began_ns;
    return end(p, PROBE_BACK);
}

static int judge(struct cache *c, struct cache_probe *p)
{
    static const enum cache_probe_end ends[] = {
        [FLEET_FAILED] = PROBE_REFUSED, [FLEET_UNKNOWN] = PROBE_UNKNOWN, [FLEET_AWAY] = PROBE_AWAY};
    c->committing--;
    p->commit_ns = cache_now(c) - p->began_ns;
    p->why = p->change.why;
    if (p->change.outcome != FLEET_COMMITTED)
        return end(p, ends[p->change.outcome]);
    chronicle_own(c->chronicle, p->change.partition, p->change.v); /* nobody invalidated anything */
    return came_back(c, p, c->fleet->view->of[p->change.partition].applied);
}

static void wait_for_record(struct cache *c, struct cache_probe *p)
{
    p->end = PROBE_SILENT; /* unless it comes */
    list_append(&c->probes, &p->node);
}

static void commit_answered(struct fleet_change *change)
{
    struct cache_probe *p = CONTAINER_OF(change, struct cache_probe, change);
    if (judge(p->cache, p) == CACHE_DONE)
        p->done(p);
    else
        wait_for_record(p->cache, p);
}

void probes_heard(struct cache *c, unsigned partition, uint64_t v)
{
    LIST_FOR_SAFE(node, &c->probes)
    {
        struct cache_probe *p = CONTAINER_OF(node, struct cache_probe, node);
        if (p->change.partition != partition || came_back(c, p, v) == CACHE_PENDING)
            continue;
        list_remove(node);
        p->done(p);
    }
}

void probes_tick(struct cache *c)
{
    LIST_FOR_SAFE(node, &c->probes)
    {
        struct cache_probe *p = CONTAINER_OF(node, struct cache_probe, node);
        if (cache_now(c) < clock_after(p->began_ns, PROBE_MAX_NS))
            continue;
        list_remove(node);
        p->done(p);
    }
}

int cache_probe(struct cache *c, struct cache_probe *p)
{
    p->cache = c;
    p->began_ns = cache_now(c);
    p->commit_ns = p->back_ns = 0;
    p->why = NULL;
    list_init(&p->node);
    if (!c->fleet)
        return end(p, PROBE_STANDALONE);
    int size =
        snprintf(p->name, sizeof(p->name), "larder:doctor:%06x%06x", cache_next_id(c), cache_next_id(c));
    p->key = slice_of(p->name, (size_t)size);
    p->change = (struct fleet_change){.verb = FLEET_INVALIDATE,
                                      .partition = cache_partition(c, p->key),
                                      .keys = &p->key,
                                      .keys_count = 1,
                                      .done = commit_answered};
    c->committing++;
    if (c->fleet->ops->commit(c->fleet, &p->change) == FLEET_PENDING)
        return CACHE_PENDING;
    if (judge(c, p) == CACHE_DONE)
        return CACHE_DONE;
    wait_for_record(c, p);
    return CACHE_PENDING;
}
