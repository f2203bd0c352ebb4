/* tag: an entry is read, and set again if it is still that version, with the same value, what is left of its life, and the tags
 * beside its own.
 *
 * What must stay true: a tag is part of what is stored, in every tier and on every host.  So an entry gets one as it gets a
 * value: by a change with a position, which takes the copies without it out of all hosts, and orders it against the
 * invalidations of that tag.  Whoever changes the key in between wins, and the entry is read again; so it is when it has
 * become stale in between, which it stays.
 *
 * What has them all is left alone.  But in the fleet another host may have tagged it whose record is not here yet: then what
 * is here is older, and goes before we say OK, or it would outlive our caller's invalidation of that tag.
 *
 * It is read where its set will be judged: in the fleet, or on this host.  Tags go along by name (base/tag_names.h) where they
 * are known so, which in the fleet they are. */
#include <stdlib.h>
#include <string.h>
#include "base/tag_names.h"
#include "cache/cache_private.h"

enum {
    ATTEMPTS_MAX = 8, /* how often it may be changed under our hands: then somebody writes it all the time */
    COPIES_MAX =
        64
        << 20, /* bytes of values on their way at once; none is in its request's frame, as those of a set are */
};

/* What is stored again, until it is: what was read is gone when the loop has control. */
struct tag_copy {
    struct entry entry;
    size_t bytes;
    unsigned tags_count;
    struct slice *tags; /* behind it, as is what they and the value point to */
};

static int answer(struct cache_tag *t, enum status status)
{
    t->cache->tag_copies -= t->copy ? t->copy->bytes : 0;
    free(t->copy);
    t->copy = NULL;
    t->status = status;
    return CACHE_DONE;
}

/* ======= what it will be ======= */

static bool carries(const struct cache *c, const struct entry *e, struct slice tag)
{
    uint64_t name = shm_hash_name(c->setup.hash_secret, SHM_NAME_TAG, tag);
    for (unsigned i = 0; i < e->tags_count; i++)
        if (e->tags[i] == name)
            return true;
    return false;
}

static bool carries_all(const struct cache *c, const struct entry *e, const struct cache_tag *t)
{
    for (unsigned i = 0; i < t->tags_count; i++)
        if (!carries(c, e, t->tags[i]))
            return false;
    return true;
}

static struct slice keep(char **room, struct slice bytes)
{
    char *at = *room;
    if (bytes.size)
        memcpy(at, bytes.data, bytes.size);
    *room += bytes.size;
    return slice_of(at, bytes.size);
}

static bool is_named(const struct entry *e)
{
    return e->tags_count == 0 || e->tag_names.size;
}

/* With its names, its tags are those of the set; without, the set has them from the entry, as hashes. */
static struct tag_copy *copy_of(const struct cache_tag *t, const struct entry *e)
{
    size_t most = SHM_TAGS_MAX + t->tags_count;
    size_t bytes = most * sizeof(struct slice) + e->value.size + e->tag_names.size;
    struct tag_copy *copy = must_alloc(sizeof(*copy) + bytes);
    copy->bytes = bytes;
    t->cache->tag_copies += bytes;
    char *room = (char *)(copy + 1) + most * sizeof(*copy->tags);
    struct slice rest;
    copy->entry = *e;
    copy->entry.value = keep(&room, e->value);
    copy->entry.tag_names = rest = keep(&room, e->tag_names);
    copy->entry.tags_count = is_named(e) ? 0 : e->tags_count;
    copy->tags = (struct slice *)(void *)(copy + 1);
    while (copy->tags_count < SHM_TAGS_MAX && tag_names_next(&rest, &copy->tags[copy->tags_count]))
        copy->tags_count++;
    for (unsigned i = 0; i < t->tags_count; i++)
        copy->tags[copy->tags_count++] = t->tags[i];
    return copy;
}

/* ======= it has them ======= */

/* As the record will do that is on its way. */
static bool make_way(struct cache *c, const struct cache_tag *t, const struct entry *found)
{
    uint64_t key_hash = cache_key_hash(c, t->key);
    flights_detach(c->flights, t->key, key_hash);
    if (ahead_position(c->ahead, key_hash) >= found->v)
        return false; /* what is here is not older */
    ahead_note(c->ahead, t->partition, key_hash, found->v);
    return apply_removal(c, t->key, key_hash, found->v);
}

static void all_know(struct waiting *w)
{
    struct cache_tag *t = CONTAINER_OF(w, struct cache_tag, all);
    t->done(t);
}

static int finish_safe(struct cache *c, struct cache_tag *t)
{
    if (!t->wait_all)
        return CACHE_DONE;
    cache_wait_for_all(c, &t->all, all_know);
    return CACHE_PENDING;
}

static void is_safe(struct cache_safety *safety)
{
    struct cache_tag *t = CONTAINER_OF(safety, struct cache_tag, safety);
    if (finish_safe(t->cache, t) == CACHE_DONE)
        t->done(t);
}

static int has_them(struct cache *c, struct cache_tag *t, const struct entry *found, bool shared)
{
    t->result = (struct version){found->epoch, found->v, found->id};
    t->ttl_left_ms = policy_left_ms(found->hard_ns, cache_now(c));
    answer(t, STATUS_OK);
    if (!shared)
        return CACHE_DONE;
    /* What its record removed here, when that came first, may be no safer than what is removed now. */
    bool heard = found->v <= c->fleet->view->of[t->partition].applied;
    bool unsafe = heard ? c->setup.warm != NULL : make_way(c, t, found);
    if (unsafe && cache_make_safe(c, &t->safety, is_safe) == CACHE_PENDING)
        return CACHE_PENDING;
    return finish_safe(c, t);
}

/* ======= storing it again ======= */

static int look(struct cache *c, struct cache_tag *t);

static int again(struct cache *c, struct cache_tag *t)
{
    answer(t, STATUS_CONFLICT);
    return t->attempts < ATTEMPTS_MAX ? look(c, t) : CACHE_DONE;
}

static int stored(struct cache *c, struct cache_tag *t)
{
    const struct cache_set *set = &t->set;
    if (set->status == STATUS_CONFLICT)
        return again(c, t);
    t->result = set->result;
    t->partition = set->partition;
    t->ttl_left_ms = set->ttl_left_ms;
    return answer(t, set->status);
}

static void set_done(struct cache_set *set)
{
    struct cache_tag *t = CONTAINER_OF(set, struct cache_tag, set);
    if (stored(t->cache, t) == CACHE_DONE)
        t->done(t);
}

/* With the fleet no tier is left out; else they are this host's.  What only L1 has goes there alone: it has fingerprints of
 * tags, which no kill elsewhere would find. */
static unsigned tiers_for(const struct cache_tag *t, const struct entry *found, bool shared)
{
    if (shared)
        return 0;
    bool prints = t->look.tier == TIER_L1 && !is_named(found);
    return prints ? 1u << TIER_L1 : 1u << TIER_L1 | 1u << TIER_WARM;
}

static int store(struct cache *c, struct cache_tag *t, const struct entry *found, bool shared)
{
    if (carries_all(c, found, t))
        return has_them(c, t, found, shared);
    if (c->tag_copies && c->tag_copies + found->value.size > COPIES_MAX)
        return answer(t, STATUS_BUSY);
    struct tag_copy *copy = t->copy = copy_of(t, found);
    const struct entry *e = &copy->entry;
    t->set = (struct cache_set){.key = t->key,
                                .value = e->value,
                                .ttl_ms = CACHE_TTL_DEFAULT,
                                .stale_ms = CACHE_TTL_DEFAULT,
                                .user_flags = e->user_flags,
                                .schema = e->schema,
                                .absent = e->absent,
                                .tags = copy->tags,
                                .tags_count = copy->tags_count,
                                .condition = CACHE_IF_VERSION,
                                .version = {e->epoch, e->v, e->id},
                                .tiers = (uint8_t)tiers_for(t, found, shared),
                                .wait_all = t->wait_all,
                                .like = e,
                                .done = set_done};
    return cache_set(c, &t->set) == CACHE_PENDING ? CACHE_PENDING : stored(c, t);
}

/* ======= on this host alone ======= */

static int look_here(struct cache *c, struct cache_tag *t);

static int found_here(struct cache *c, struct cache_tag *t)
{
    struct entry found = t->look.entry;
    t->policy = t->look.policy;
    if (t->look.overtaken)
        return again(c, t);
    if (t->look.status == STATUS_MISS && !t->by_hash) {
        t->by_hash = true; /* L1 may have it, which knows no names */
        return look_here(c, t);
    }
    if (t->look.status != STATUS_HIT && t->look.status != STATUS_ABSENT)
        return answer(t, STATUS_NOT_FOUND);
    return store(c, t, &found, false);
}

static void looked(struct cache_get *get)
{
    struct cache_tag *t = CONTAINER_OF(get, struct cache_tag, look);
    if (found_here(t->cache, t) == CACHE_DONE)
        t->done(t);
}

static int look_here(struct cache *c, struct cache_tag *t)
{
    t->look = (struct cache_get){.key = t->key,
                                 .tiers = 1u << TIER_L1 | 1u << TIER_WARM,
                                 .tag_names = !t->by_hash,
                                 .no_promote = true,
                                 .done = looked};
    return cache_get(c, &t->look) == CACHE_PENDING ? CACHE_PENDING : found_here(c, t);
}

/* ======= the fleet ======= */

static int found_there(struct cache *c, struct cache_tag *t, int outcome)
{
    struct entry found = t->read.entry;
    bool away = t->read.reason == MISS_DETACHED || t->read.reason == MISS_SUSPECT;
    if (outcome == TIER_FOUND)
        return store(c, t, &found, true);
    return answer(t, away ? STATUS_DETACHED : STATUS_NOT_FOUND);
}

static void read_done(struct tier_read *read, int outcome)
{
    struct cache_tag *t = CONTAINER_OF(read, struct cache_tag, read);
    t->cache->committing--;
    if (found_there(t->cache, t, outcome) == CACHE_DONE)
        t->done(t);
}

static int look_there(struct cache *c, struct cache_tag *t)
{
    t->read =
        (struct tier_read){.key = t->key,
                           .key_hash = cache_key_hash(c, t->key),
                           .now_ns = cache_now(c),
                           .looks = true,
                           .exact = true, /* stale or not: what this host does not know yet counts too */
                           .done = read_done};
    c->committing++; /* nobody else knows of it */
    int outcome = c->fleet->tier->ops->get(c->fleet->tier, &t->read);
    if (outcome == TIER_PENDING)
        return CACHE_PENDING;
    c->committing--;
    return found_there(c, t, outcome);
}

/* ======= the verb ======= */

static bool is_shared(const struct cache *c, struct cache_tag *t)
{
    if (!c->fleet)
        return false;
    const struct policy *policy = cache_policy(c, t->key);
    t->policy = policy->number;
    return policy_allows(policy, TIER_L2);
}

static int look(struct cache *c, struct cache_tag *t)
{
    t->attempts++;
    return is_shared(c, t) ? look_there(c, t) : look_here(c, t);
}

int cache_tag(struct cache *c, struct cache_tag *t)
{
    t->cache = c;
    t->attempts = 0;
    t->policy = 0;
    t->by_hash = false;
    t->copy = NULL;
    t->ttl_left_ms = 0;
    t->result = (struct version){0};
    t->partition = 0;
    enum status key = cache_judge_key(c, t->key);
    if (key != STATUS_OK)
        return answer(t, key);
    t->partition = cache_partition(c, t->key);
    if (!c->setup.options->cache)
        return answer(t, STATUS_NOT_FOUND);
    return look(c, t);
}
