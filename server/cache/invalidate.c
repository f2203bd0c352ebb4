/* invalidate: everything named in one call is one change with one position.
 *
 * Keys are removed where they are.  Tags, prefixes and "all" are O(1): the exact map learns the name first, then each
 * tier mirrors it; entries are judged when somebody comes for them.  The answer comes after the last of it, so that no
 * read on this host that begins later sees what was named. */
#include <stdlib.h>
#include "cache/cache_private.h"

/* ======= judging the request ======= */

static bool prefix_valid(struct slice prefix)
{
    const char *p = prefix.data;
    unsigned levels = 0;
    for (size_t i = 0; i < prefix.size; i++)
        levels += p[i] == ':';
    return prefix.size && prefix.size <= WIRE_KEY_MAX && p[prefix.size - 1] == ':' &&
           levels <= SHM_PREFIX_LEVELS;
}

static enum status refuse(struct cache_invalidate *i, enum status status, const char *message)
{
    i->message = message;
    return status;
}

static enum status judge_request(struct cache_invalidate *i)
{
    if (!i->all && !i->keys_count && !i->tags_count && !i->prefixes_count)
        return refuse(i, STATUS_BAD_REQUEST, "nothing is named that could be invalidated");
    for (unsigned n = 0; n < i->keys_count; n++)
        if (!cache_key_valid(i->keys[n]))
            return refuse(i, STATUS_BAD_KEY, "a key has 1 to 1024 bytes");
    for (unsigned n = 0; n < i->tags_count; n++)
        if (i->tags[n].size == 0 || i->tags[n].size > WIRE_TAG_BYTES_MAX)
            return refuse(i, STATUS_LIMIT, "a tag has 1 to 255 bytes");
    for (unsigned n = 0; n < i->prefixes_count; n++)
        if (!prefix_valid(i->prefixes[n]))
            return refuse(i, STATUS_BAD_REQUEST, "a prefix ends with ':' and has at most 8 of them");
    return STATUS_OK;
}

/* ======= counting ======= */

/* The caller does not wait for a slow disk only to learn a number. */
static void uncounted(struct cache_get *look)
{
    free(look);
}

static bool is_there(struct cache *c, struct slice key)
{
    struct cache_get *look = must_alloc(sizeof(*look));
    *look = (struct cache_get){.no_promote = true, .done = uncounted};
    look->key = key;
    if (cache_get(c, look) == CACHE_PENDING)
        return false;
    bool there = look->status == STATUS_HIT || look->status == STATUS_ABSENT;
    free(look);
    return there;
}

static uint64_t count_all(struct cache *c)
{
    uint64_t most = 0;
    for (unsigned n = 0; n < CACHE_TIERS; n++) {
        struct tier_figures figures = {0};
        if (c->tiers[n])
            c->tiers[n]->ops->measure(c->tiers[n], &figures);
        most = figures.entries > most ? figures.entries : most;
    }
    return most;
}

static void count(struct cache *c, struct cache_invalidate *i)
{
    for (unsigned n = 0; n < i->keys_count && !i->all; n++)
        i->count += is_there(c, i->keys[n]);
    if (i->all)
        i->count = count_all(c);
}

/* ======= doing ======= */

static bool drop_key(struct cache *c, const struct cache_invalidate *i, struct slice key, uint64_t v)
{
    uint64_t key_hash = cache_key_hash(c, key);
    bool unsafe = false;
    flights_detach(c->flights, key, key_hash);
    guard_note(c->guard, key_hash, v);
    if (!i->soft)
        return cache_remove_key(c, key, key_hash, v);
    for (unsigned n = 0; n < CACHE_TIERS; n++)
        if (c->tiers[n])
            unsafe |= c->tiers[n]->ops->soften(c->tiers[n], key, key_hash, v, cache_now(c)) == TIER_UNSAFE;
    return unsafe;
}

static bool everything_below(struct cache *c, uint64_t v, bool soft)
{
    bool unsafe = false;
    kills_raise_floor(c->setup.kills, v, soft);
    for (unsigned n = 0; n < CACHE_TIERS; n++)
        if (c->tiers[n])
            unsafe |= c->tiers[n]->ops->floor(c->tiers[n], v, soft) == TIER_UNSAFE;
    return unsafe;
}

static bool kill_name(struct cache *c, enum shm_name_kind kind, struct slice name, uint64_t v, bool soft)
{
    uint64_t hash = shm_hash_name(c->setup.hash_secret, kind, name);
    bool unsafe = false;
    if (kills_add(c->setup.kills, hash, v, soft) == KILLS_COLLAPSED)
        unsafe |= everything_below(c, kills_floor(c->setup.kills), false);
    for (unsigned n = 0; n < CACHE_TIERS; n++)
        if (c->tiers[n])
            unsafe |= c->tiers[n]->ops->kill(c->tiers[n], hash, v, soft) == TIER_UNSAFE;
    return unsafe;
}

static bool apply(struct cache *c, struct cache_invalidate *i, uint64_t v)
{
    bool unsafe = i->all && everything_below(c, v, i->soft);
    for (unsigned n = 0; n < i->keys_count; n++)
        unsafe |= drop_key(c, i, i->keys[n], v);
    for (unsigned n = 0; n < i->tags_count; n++)
        unsafe |= kill_name(c, SHM_NAME_TAG, i->tags[n], v, i->soft);
    for (unsigned n = 0; n < i->prefixes_count; n++)
        unsafe |= kill_name(c, SHM_NAME_PREFIX, i->prefixes[n], v, i->soft);
    if (i->all || i->tags_count || i->prefixes_count)
        flights_detach_all(c->flights); /* any of them may carry the name */
    c->figures.invalidations++;
    c->figures.invalidated_keys += i->count;
    c->figures.invalidated_names += i->tags_count + i->prefixes_count + i->all;
    return unsafe;
}

static void invalidate_is_safe(struct cache_safety *safety)
{
    struct cache_invalidate *i = CONTAINER_OF(safety, struct cache_invalidate, safety);
    i->done(i);
}

static int decide(struct cache *c, struct cache_invalidate *i)
{
    count(c, i);
    if (i->dry_run)
        return CACHE_DONE;
    uint64_t v = cache_next_position(c);
    i->result = (struct version){c->setup.epoch, v, 0};
    return apply(c, i, v) ? cache_make_safe(c, &i->safety, invalidate_is_safe) : CACHE_DONE;
}

int cache_invalidate(struct cache *c, struct cache_invalidate *i)
{
    i->cache = c;
    i->count = 0;
    i->message = NULL;
    i->result = (struct version){0};
    list_init(&i->waiting);
    i->status = judge_request(i);
    if (i->status != STATUS_OK)
        return CACHE_DONE;
    if (cache_gate_open(c))
        return decide(c, i);
    c->figures.changes_gated++;
    list_append(&c->gated_invalidations, &i->waiting);
    return CACHE_PENDING;
}

void cache_invalidate_resume(struct cache_invalidate *i)
{
    if (decide(i->cache, i) == CACHE_DONE)
        i->done(i);
}
