#include "cache/apply.h"

#include "cache/cache_private.h"
#include "cache/failures.h"

struct fleet_record record_of_call(const struct cache_invalidate *i, uint64_t v)
{
    return (struct fleet_record){.v = v,
                                 .keys = i->keys,
                                 .tags = i->tags,
                                 .prefixes = i->prefixes,
                                 .globs = i->globs,
                                 .keys_count = i->keys_count,
                                 .tags_count = i->tags_count,
                                 .prefixes_count = i->prefixes_count,
                                 .globs_count = i->globs_count,
                                 .all = i->all,
                                 .soft = i->soft};
}

/* ======= one key ======= */

bool apply_removal(struct cache *c, struct slice key, uint64_t key_hash, uint64_t v)
{
    bool unsafe = false;
    for (unsigned i = 0; i < CACHE_LOCAL_TIERS; i++)
        if (c->tiers[i])
            unsafe |= c->tiers[i]->ops->drop(c->tiers[i], key, key_hash, v) == TIER_UNSAFE;
    return unsafe;
}

static bool soften(struct cache *c, struct slice key, uint64_t key_hash, uint64_t v)
{
    bool unsafe = false;
    for (unsigned i = 0; i < CACHE_LOCAL_TIERS; i++)
        if (c->tiers[i])
            unsafe |= c->tiers[i]->ops->soften(c->tiers[i], key, key_hash, v, cache_now(c)) == TIER_UNSAFE;
    return unsafe;
}

static bool change_key(struct cache *c, unsigned p, const struct fleet_record *r, struct slice key)
{
    uint64_t key_hash = cache_key_hash(c, key);
    flights_detach(c->flights, key, key_hash);
    guard_note(c->guards[p], key_hash, r->v);
    failures_forget(c->failures, key_hash); /* who loads it now may have more luck */
    if (c->ahead && ahead_position(c->ahead, key_hash) >= r->v)
        return false; /* what is here is not older */
    if (!r->soft)
        gone_note(c->setup.gone, key_hash, MISS_INVALIDATED);
    return r->soft ? soften(c, key, key_hash, r->v) : apply_removal(c, key, key_hash, r->v);
}

/* ======= names ======= */

static bool tell_kill(struct cache *c, uint64_t name, uint64_t v, bool soft)
{
    bool unsafe = false;
    for (unsigned n = 0; n < CACHE_LOCAL_TIERS; n++)
        if (c->tiers[n])
            unsafe |= c->tiers[n]->ops->kill(c->tiers[n], name, v, soft) == TIER_UNSAFE;
    return unsafe;
}

/* The exact map is full and has become floors: the tiers learn of each. */
static bool tell_floors(struct cache *c)
{
    unsigned partitions = c->fleet ? c->fleet->view->partitions : 1;
    bool unsafe = false;
    for (unsigned p = 0; p < partitions; p++)
        unsafe |= tell_kill(c, kills_name(KILLS_ALL, p), kills_floor(c->setup.kills, p), false);
    return unsafe;
}

bool apply_kill(struct cache *c, uint64_t name, uint64_t v, bool soft)
{
    bool unsafe = kills_add(c->setup.kills, name, v, soft) == KILLS_COLLAPSED && tell_floors(c);
    return tell_kill(c, name, v, soft) || unsafe;
}

static bool kill_named(struct cache *c, unsigned p, const struct fleet_record *r, enum shm_name_kind kind,
                       struct slice name)
{
    uint64_t hash = shm_hash_name(c->setup.hash_secret, kind, name);
    return apply_kill(c, kills_name(hash, p), r->v, r->soft);
}

/* ======= globs ======= */

/* One more than there is room for: what is older than the glob used the longest ago is given up, and need not be compared
 * with it any more.  Rather too much than too little, and no invalidation is refused. */
static bool displace_oldest(struct cache *c)
{
    struct kills *k = c->setup.kills;
    uint64_t oldest = kills_oldest_ban(k);
    unsigned partitions = c->fleet ? c->fleet->view->partitions : 1;
    bool unsafe = false;
    for (unsigned p = 0; p < partitions; p++) {
        struct ban_positions at = kills_ban_positions(k, oldest, p);
        if (at.hard_v)
            unsafe |= apply_kill(c, kills_name(KILLS_ALL, p), at.hard_v, false);
        if (at.soft_v)
            unsafe |= apply_kill(c, kills_name(KILLS_ALL, p), at.soft_v, true);
    }
    kills_unban(k, oldest);
    c->figures.globs_displaced++;
    return unsafe;
}

static bool ban(struct cache *c, unsigned p, const struct fleet_record *r, struct slice glob)
{
    bool unsafe = false;
    uint64_t name = kills_ban(c->setup.kills, glob);
    if (!name) {
        unsafe = displace_oldest(c);
        name = kills_ban(c->setup.kills, glob);
    }
    return apply_kill(c, kills_name(name, p), r->v, r->soft) || unsafe;
}

/* ======= the whole ======= */

bool apply_record(struct cache *c, unsigned p, const struct fleet_record *r)
{
    bool unsafe = r->all && apply_kill(c, kills_name(KILLS_ALL, p), r->v, r->soft);
    for (unsigned n = 0; n < r->keys_count; n++)
        unsafe |= change_key(c, p, r, r->keys[n]);
    for (unsigned n = 0; n < r->tags_count; n++)
        unsafe |= kill_named(c, p, r, SHM_NAME_TAG, r->tags[n]);
    for (unsigned n = 0; n < r->prefixes_count; n++)
        unsafe |= kill_named(c, p, r, SHM_NAME_PREFIX, r->prefixes[n]);
    for (unsigned n = 0; n < r->globs_count; n++)
        unsafe |= ban(c, p, r, r->globs[n]);
    if (r->all || r->tags_count || r->prefixes_count || r->globs_count) {
        flights_detach_all(c->flights); /* any of them may carry the name */
        c->kills_seen++;
    }
    return unsafe;
}
