#include "cache/detached.h"

#include <stdlib.h>
#include "base/clock.h"
#include "cache/cache_private.h"

enum { DETACHED_ROWS = 8192 };

struct detached {
    uint64_t session;    /* of the link that was lost */
    uint64_t changes;    /* made since */
    struct guard *guard; /* by number of change */
};

struct detached *detached_create(void)
{
    struct detached *d = must_alloc(sizeof(*d));
    d->guard = guard_create(0, DETACHED_ROWS);
    return d;
}

struct detached *detached_destroy(struct detached *d)
{
    if (d)
        guard_destroy(d->guard);
    free(d);
    return NULL;
}

bool detached_is(const struct cache *c)
{
    return c->fleet && c->fleet->view->mode == SHM_DETACHED;
}

/* Each key ends at a time of its own, a fifth around detached_max, or the whole host would go to the origin at once. */
bool detached_serves(const struct cache *c, uint64_t key_hash, uint64_t now_ns)
{
    const struct fleet_view *view = c->fleet->view;
    uint64_t spread_ns = view->serve_spread_ns / 256 * (key_hash >> 56);
    return now_ns < clock_after(view->serve_until_ns, spread_ns) && view->serve_until_ns != 0;
}

/* ======= tokens ======= */

/* This absence, with its own count of changes. */
static struct detached *present(struct cache *c)
{
    struct detached *d = c->detached;
    if (d->session == c->fleet->view->session)
        return d;
    guard_destroy(d->guard);
    *d = (struct detached){.session = c->fleet->view->session, .guard = guard_create(0, DETACHED_ROWS)};
    return d;
}

void detached_token(struct cache *c, struct token *ret)
{
    const struct detached *d = present(c);
    *ret = (struct token){TOKEN_DETACHED, d->session, d->changes};
}

bool detached_admits(struct cache *c, const struct token *t, uint64_t key_hash)
{
    const struct detached *d = present(c);
    return t->kind == TOKEN_DETACHED && t->epoch == d->session && t->v <= d->changes &&
           !guard_changed_since(d->guard, key_hash, t->v);
}

/* ======= changes ======= */

static void note(struct cache *c, const struct fleet_change *change)
{
    struct detached *d = present(c);
    d->changes++;
    for (unsigned n = 0; n < change->keys_count; n++)
        guard_note(d->guard, cache_key_hash(c, change->keys[n]), d->changes);
    if (change->all || change->tags_count || change->prefixes_count || change->globs_count)
        guard_raise(d->guard, d->changes); /* whatever was loaded before may carry the name */
}

bool detached_apply(struct cache *c, const struct fleet_change *change, bool *ret_unsafe)
{
    struct fleet_record r = fleet_record_of(change, cache_above_all(c, change->partition));
    note(c, change);
    int kept = c->fleet->ops->queue(c->fleet, change);
    c->figures.changes_queued++;
    *ret_unsafe = apply_record(c, change->partition, &r) || kept == TIER_UNSAFE;
    return kept != TIER_UNSTORED;
}

/* ======= entries ======= */

/* What ends DETACHED ends LOCAL entries.  One kept at another moment (not linked yet, no room on the link) would be
 * served by nobody now, and would outlive all that. */
bool detached_keep(struct cache *c, struct entry *e)
{
    struct tier *l1 = c->tiers[0];
    uint64_t end_ns = clock_after(cache_now(c), c->setup.options->detached_max);
    if (!l1 || !cache_policy(c, e->key)->serve_detached || !detached_is(c))
        return false;
    e->local = true;
    e->v = c->fleet->view->of[cache_partition(c, e->key)].seen;
    e->hard_ns = e->hard_ns < end_ns ? e->hard_ns : end_ns;
    e->soft_ns = e->soft_ns < e->hard_ns ? e->soft_ns : e->hard_ns;
    return l1->ops->put(l1, e) == TIER_DONE;
}
