/* set and touch.
 *
 * The order of a set, and why (I7, I12): decide → detach the reads under way → take a position → L1, then warm →
 * wait until kill -9 cannot undo it → answer.  L1 comes first, so that no process of the host sees the old value after
 * it saw the new one; the answer comes last, so that whoever has it may rely on every later read.
 *
 * A set is "remove the old" and "store the new".  The first half is never dropped; the second may be (too large, no
 * room), and then the old is gone all the same. */
#include "base/clock.h"
#include "cache/cache_private.h"

enum { LOOKS_MAX = 8 }; /* how often a condition may be overtaken by other changes before we say BUSY */

/* ======= judging the request ======= */

static bool known_tag(const struct entry *e, uint64_t hash)
{
    for (unsigned i = 0; i < e->tags_count; i++)
        if (e->tags[i] == hash)
            return true;
    return false;
}

static enum status take_tags(struct cache *c, const struct cache_set *set, struct entry *e)
{
    for (unsigned i = 0; i < set->tags_count; i++) {
        struct slice tag = set->tags[i];
        if (tag.size == 0 || tag.size > WIRE_TAG_BYTES_MAX)
            return STATUS_LIMIT;
        uint64_t hash = shm_hash_name(c->setup.hash_secret, SHM_NAME_TAG, tag);
        if (known_tag(e, hash))
            continue;
        if (e->tags_count == SHM_TAGS_MAX)
            return STATUS_LIMIT;
        e->tags[e->tags_count++] = hash;
    }
    return STATUS_OK;
}

static enum status judge_request(struct cache *c, const struct cache_set *set)
{
    if (!cache_key_valid(set->key))
        return STATUS_BAD_KEY;
    if (set->value.size > cache_value_max(c))
        return STATUS_TOO_BIG;
    if (set->absent && set->value.size)
        return STATUS_BAD_REQUEST;
    struct entry e = {0};
    return take_tags(c, set, &e);
}

static void entry_of(struct cache *c, const struct cache_set *set, struct entry *ret)
{
    uint64_t now_ns = cache_now(c);
    struct life life = policy_life(c->setup.options, set->ttl_ms, set->stale_ms, now_ns);
    *ret = (struct entry){.key = set->key,
                          .key_hash = set->look.key_hash,
                          .value = set->value,
                          .epoch = c->setup.epoch,
                          .hard_ns = life.hard_ns,
                          .soft_ns = life.soft_ns,
                          .user_flags = set->user_flags,
                          .schema = set->schema,
                          .absent = set->absent};
    enum status tags = take_tags(c, set, ret);
    CHECK(tags == STATUS_OK);
}

/* ======= tokens ======= */

/* A fill: the caller read its source after a miss at position `since`.  Anything that happened to the key or to one of
 * its names after that keeps it out (C6). */
static bool token_admits(struct cache *c, const struct cache_set *set, const struct entry *e)
{
    uint64_t epoch, since;
    if (!token_read(set->token, &epoch, &since) || epoch != c->setup.epoch || since > c->position)
        return false;
    if (guard_changed_since(c->guard, e->key_hash, since))
        return false;
    return kills_judge(c->setup.kills, e->key, e->tags, e->tags_count, since) == ALIVE;
}

/* ======= storing ======= */

static uint32_t next_id(struct cache *c)
{
    /* splitmix64 (Steele, Lea, Flood, 2014) */
    uint64_t z = c->id_state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (uint32_t)((z ^ z >> 31) & 0xffffff);
}

bool cache_remove_key(struct cache *c, struct slice key, uint64_t key_hash, uint64_t v)
{
    bool unsafe = false;
    for (unsigned i = 0; i < CACHE_TIERS; i++)
        if (c->tiers[i])
            unsafe |= c->tiers[i]->ops->drop(c->tiers[i], key, key_hash, v) == TIER_UNSAFE;
    return unsafe;
}

struct stored {
    bool somewhere, unsafe, no_room;
};

/* A refused put is a removal, of which the answer does not say whether kill -9 could undo it. */
static bool may_be_unsafe(const struct cache *c, const struct tier *t, int answer)
{
    return answer == TIER_UNSAFE ||
           (t == c->setup.warm && (answer == TIER_UNSTORED || answer == TIER_TOO_BIG));
}

static struct stored store(struct cache *c, const struct cache_set *set, const struct entry *e)
{
    struct stored s = {0};
    for (unsigned i = 0; i < CACHE_TIERS; i++) {
        struct tier *t = c->tiers[i];
        if (!t)
            continue;
        bool wanted = cache_may_use(set->tiers, t);
        int r = wanted ? t->ops->put(t, e) : t->ops->drop(t, e->key, e->key_hash, e->v);
        s.unsafe |= may_be_unsafe(c, t, r);
        s.somewhere |= wanted && (r == TIER_DONE || r == TIER_UNSAFE);
        s.no_room |= wanted && r == TIER_UNSTORED;
    }
    return s;
}

static void set_is_safe(struct cache_safety *safety)
{
    struct cache_set *set = CONTAINER_OF(safety, struct cache_set, safety);
    set->done(set);
}

static int finish(struct cache *c, struct cache_set *set, enum status status, bool unsafe)
{
    set->status = status;
    c->figures.sets += status == STATUS_OK;
    c->figures.sets_skipped += status == STATUS_SKIPPED;
    return unsafe ? cache_make_safe(c, &set->safety, set_is_safe) : CACHE_DONE;
}

static int unmet(struct cache *c, struct cache_set *set, enum status status)
{
    c->figures.sets_unmet++;
    return finish(c, set, status, false);
}

static int apply(struct cache *c, struct cache_set *set)
{
    struct entry e;
    entry_of(c, set, &e);
    if (set->token.size && !token_admits(c, set, &e)) {
        c->figures.fills_refused++;
        return finish(c, set, STATUS_REFUSED, false);
    }
    flights_detach(c->flights, e.key, e.key_hash);
    e.v = cache_next_position(c);
    e.id = next_id(c);
    if (!set->token.size)
        guard_note(c->guard, e.key_hash, e.v);
    set->result = (struct version){e.epoch, e.v, e.id};
    if (set->ttl_ms == 0) /* "do not store" is an invalidation (F15) */
        return finish(c, set, STATUS_SKIPPED, cache_remove_key(c, e.key, e.key_hash, e.v));
    struct stored s = store(c, set, &e);
    set->ttl_left_ms = policy_left_ms(e.hard_ns, cache_now(c));
    enum status otherwise = s.no_room ? STATUS_BUSY : STATUS_TOO_BIG; /* room comes back, a limit stays */
    return finish(c, set, s.somewhere ? STATUS_OK : otherwise, s.unsafe);
}

/* ======= conditions ======= */

static enum status judge_condition(const struct cache_set *set)
{
    const struct cache_get *look = &set->look;
    bool there = look->status == STATUS_HIT || look->status == STATUS_ABSENT;
    switch (set->condition) {
    case CACHE_IF_ABSENT: return there ? STATUS_EXISTS : STATUS_OK;
    case CACHE_IF_PRESENT: return there ? STATUS_OK : STATUS_NOT_FOUND;
    case CACHE_IF_VERSION:
        if (!there)
            return STATUS_NOT_FOUND;
        return version_is(&look->entry, &set->version) ? STATUS_OK : STATUS_CONFLICT;
    default: return STATUS_OK;
    }
}

static void looked(struct cache_get *look);

static int look(struct cache *c, struct cache_set *set)
{
    do {
        if (set->attempts++ == LOOKS_MAX)
            return finish(c, set, STATUS_BUSY, false);
        uint64_t key_hash = set->look.key_hash;
        set->look =
            (struct cache_get){.key = set->key, .key_hash = key_hash, .no_promote = true, .done = looked};
        if (cache_get(c, &set->look) == CACHE_PENDING)
            return CACHE_PENDING;
    } while (set->look.overtaken); /* the answer is true no more: another change came in between */
    enum status status = judge_condition(set);
    return status == STATUS_OK ? apply(c, set) : unmet(c, set, status);
}

/* The look had to wait for a slow tier. */
static void looked(struct cache_get *look_done)
{
    struct cache_set *set = CONTAINER_OF(look_done, struct cache_set, look);
    struct cache *c = set->cache;
    int r;
    if (look_done->overtaken) {
        r = look(c, set);
    } else {
        enum status status = judge_condition(set);
        r = status == STATUS_OK ? apply(c, set) : unmet(c, set, status);
    }
    if (r == CACHE_DONE)
        set->done(set);
}

/* ======= the verbs ======= */

static int decide(struct cache *c, struct cache_set *set)
{
    if (!c->setup.options->cache || !(c->tiers[0] || c->tiers[1] || c->tiers[2]))
        return finish(c, set, STATUS_SKIPPED, false);
    set->look.key_hash = cache_key_hash(c, set->key);
    return set->condition == CACHE_ALWAYS ? apply(c, set) : look(c, set);
}

int cache_set(struct cache *c, struct cache_set *set)
{
    set->cache = c;
    set->attempts = 0;
    set->result = (struct version){0};
    set->ttl_left_ms = 0;
    list_init(&set->waiting);
    enum status status = judge_request(c, set);
    if (status != STATUS_OK)
        return finish(c, set, status, false);
    if (cache_gate_open(c))
        return decide(c, set);
    c->figures.changes_gated++;
    list_append(&c->gated_sets, &set->waiting);
    return CACHE_PENDING;
}

void cache_set_resume(struct cache_set *set)
{
    if (decide(set->cache, set) == CACHE_DONE)
        set->done(set);
}

static int touch_found(struct cache *c, struct cache_touch *touch)
{
    const struct entry *e = &touch->look.entry;
    struct life life = policy_life(c->setup.options, touch->ttl_ms, touch->stale_ms, touch->look.now_ns);
    uint64_t soft_ns = life.soft_ns > e->soft_ns ? life.soft_ns : e->soft_ns;
    uint64_t hard_ns = life.hard_ns > e->hard_ns ? life.hard_ns : e->hard_ns;
    touch->result = (struct version){e->epoch, e->v, e->id};
    touch->ttl_left_ms = policy_left_ms(hard_ns, touch->look.now_ns);
    bool reached = false;
    for (unsigned i = 0; i < CACHE_TIERS; i++)
        if (c->tiers[i])
            reached |= c->tiers[i]->ops->touch(c->tiers[i], touch->key, touch->look.key_hash, soft_ns,
                                               hard_ns) != TIER_NOT_THERE;
    touch->status = reached ? STATUS_OK : STATUS_NOT_FOUND;
    c->figures.touches += reached;
    return CACHE_DONE;
}

/* A longer life that a kill -9 takes back is a miss earlier, never a lie: no need to make it safe. */
static int touch_judge(struct cache *c, struct cache_touch *touch)
{
    bool there = touch->look.status == STATUS_HIT || touch->look.status == STATUS_ABSENT;
    if (there && !touch->look.overtaken)
        return touch_found(c, touch);
    touch->status = touch->look.status == STATUS_BAD_KEY ? STATUS_BAD_KEY : STATUS_NOT_FOUND;
    return CACHE_DONE;
}

static void touch_looked(struct cache_get *look_done)
{
    struct cache_touch *touch = CONTAINER_OF(look_done, struct cache_touch, look);
    if (touch_judge(touch->cache, touch) == CACHE_DONE)
        touch->done(touch);
}

int cache_touch(struct cache *c, struct cache_touch *touch)
{
    touch->cache = c;
    touch->ttl_left_ms = 0;
    touch->result = (struct version){0};
    touch->look = (struct cache_get){.key = touch->key, .no_promote = true, .done = touch_looked};
    if (cache_get(c, &touch->look) == CACHE_PENDING)
        return CACHE_PENDING;
    return touch_judge(c, touch);
}
