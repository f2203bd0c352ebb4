/* set.
 *
 * The order of a set, and why (I7, I12): judge → position → detach the reads under way → L1, then warm → wait until kill -9
 * cannot undo it → answer.  L1 comes first, so that no process of the host sees the old value after it saw the new one;
 * the answer comes last, so that whoever has it may rely on every later read.
 *
 * The position comes from this daemon alone, STANDALONE, or from the fleet's commit: judge ──▶ commit ──▶ land, with the
 * loop going on in between.  What was read before the commit and lands after it is older than the position, and is
 * refused (a detached flight) or replaced (L1 compares positions): no lock on the key is needed meanwhile.
 *
 * A set is "remove the old" and "store the new".  The first half is never dropped; the second may be (too large, no
 * room), and then the old is gone all the same. */
#include "base/clock.h"
#include "base/tag_names.h"
#include "cache/failures.h"
#include "cache/lease.h"

enum { LOOKS_MAX = 8 }; /* how often a condition may be overtaken by other changes before we say BUSY */

struct set_token {
    bool valid;
    struct token token;
};

/* ======= judging the request ======= */

static bool known_name(const struct cache_set *set, uint64_t hash)
{
    for (unsigned i = 0; i < set->names_count; i++)
        if (set->names[i] == hash)
            return true;
    return false;
}

/* Adds to set->names, and to `strings` unless it is NULL, what is not there yet. */
static bool take_tags(struct cache *c, struct cache_set *set, const struct slice *tags, unsigned count,
                      struct slice *strings)
{
    for (unsigned i = 0; i < count; i++) {
        if (tags[i].size == 0 || tags[i].size > WIRE_TAG_BYTES_MAX)
            return false;
        uint64_t hash = shm_hash_name(c->setup.hash_secret, SHM_NAME_TAG, tags[i]);
        if (known_name(set, hash))
            continue;
        if (set->names_count == SHM_TAGS_MAX)
            return false;
        if (strings)
            strings[set->names_count] = tags[i];
        set->names[set->names_count++] = hash;
    }
    return true;
}

/* The caller's tags, then the policy's, whose bytes are in *own. */
static enum status name_tags(struct cache *c, struct cache_set *set, struct policy_tags *own,
                             struct slice *strings)
{
    const struct policy *policy = policies_at(c->policies, set->policy);
    set->names_count = set->like ? set->like->tags_count : 0;
    if (set->names_count)
        memcpy(set->names, set->like->tags, set->names_count * sizeof(*set->names));
    CHECK(!strings || !set->names_count); /* what goes to the fleet is told as bytes */
    if (!take_tags(c, set, set->tags, set->tags_count, strings))
        return STATUS_LIMIT;
    if (!policy->has_tags)
        return STATUS_OK;
    bool fit =
        policies_tags(c->policies, policy, set->key, own) && take_tags(c, set, own->of, own->count, strings);
    return fit ? STATUS_OK : STATUS_LIMIT;
}

static enum status judge_request(struct cache *c, struct cache_set *set)
{
    struct policy_tags own;
    enum status key = cache_judge_key(c, set->key);
    if (key != STATUS_OK)
        return key;
    const struct policy *policy = cache_policy(c, set->key);
    set->policy = policy->number;
    if (set->value.size > cache_value_max(c) || set->value.size > policy->max_value)
        return STATUS_TOO_BIG;
    if (set->absent && set->value.size)
        return STATUS_BAD_REQUEST;
    return name_tags(c, set, &own, NULL);
}

/* A policy that stores nothing, or nothing but what was loaded after a miss, makes a bare set a removal. */
static void obey_policy(const struct cache *c, struct cache_set *set)
{
    const struct policy *policy = policies_at(c->policies, set->policy);
    if (!set->token.size && !set->like && (!policy->store || !policy->write_through))
        set->ttl_ms = 0;
}

struct life cache_set_life(const struct cache *c, const struct cache_set *set, uint64_t from_ns)
{
    struct wish wish = {.ttl_ms = set->ttl_ms,
                        .stale_ms = set->stale_ms,
                        .absent = set->absent,
                        .chance = set->look.key_hash ^ from_ns};
    return policy_life(policies_at(c->policies, set->policy), &wish, from_ns);
}

static struct life life_of(const struct cache *c, const struct cache_set *set)
{
    return set->like ? (struct life){.soft_ns = set->like->soft_ns, .hard_ns = set->like->hard_ns}
                     : cache_set_life(c, set, set->began_ns);
}

static void entry_of(struct cache *c, const struct cache_set *set, struct entry *ret)
{
    struct life life = life_of(c, set);
    *ret = (struct entry){.key = set->key,
                          .key_hash = set->look.key_hash,
                          .value = set->value,
                          .epoch = cache_epoch(c, set->partition),
                          .id = cache_next_id(c),
                          .hard_ns = life.hard_ns,
                          .soft_ns = life.soft_ns,
                          .user_flags = set->user_flags,
                          .schema = set->schema,
                          .policy = set->policy,
                          .absent = set->absent,
                          .stale = set->like && set->like->stale,
                          .tags_count = set->names_count};
    memcpy(ret->tags, set->names, set->names_count * sizeof(*set->names));
}

/* ======= tokens ======= */

/* A fill: the caller read its source after a miss at position t->v.  Anything that happened to the key or to one of
 * its names after that keeps it out (C6). */
bool token_admits(struct cache *c, const struct token *t, const struct entry *e, unsigned partition)
{
    uint64_t newest = c->fleet ? c->fleet->view->of[partition].seen : c->position;
    if (t->kind != TOKEN_POSITION || t->epoch != cache_epoch(c, partition) || t->v > newest)
        return false;
    if (guard_changed_since(c->guards[partition], e->key_hash, t->v))
        return false;
    return kills_judge(c->setup.kills, e->key, e->tags, e->tags_count, t->v) == ALIVE;
}

static struct set_token token_of(const struct cache_set *set)
{
    struct set_token t = {.valid = !set->lease || !set->lease->overtaken};
    if (set->lease)
        t.token = set->lease->granted;
    else
        t.valid = token_read(set->token, &t.token);
    return t;
}

/* ======= storing ======= */

struct stored {
    bool somewhere, unsafe, no_room;
};

/* A refused put is a removal, of which the answer does not say whether kill -9 could undo it. */
static bool may_be_unsafe(const struct cache *c, const struct tier *t, int answer)
{
    return answer == TIER_UNSAFE ||
           (t == c->setup.warm && (answer == TIER_UNSTORED || answer == TIER_TOO_BIG));
}

/* The policies may be others than when the tags were hashed: then they are not known by name. */
static struct slice names_of(struct cache *c, struct cache_set *set, const struct entry *e, char *room)
{
    struct slice strings[SHM_TAGS_MAX];
    struct policy_tags own;
    if (e->tags_count == 0 || (set->like && set->like->tags_count))
        return slice_of(NULL, 0);
    bool same = name_tags(c, set, &own, strings) == STATUS_OK && set->names_count == e->tags_count &&
                memcmp(set->names, e->tags, e->tags_count * sizeof(*e->tags)) == 0;
    return same ? tag_names_pack(room, strings, e->tags_count) : slice_of(NULL, 0);
}

static struct stored store(struct cache *c, struct cache_set *set, struct entry *e)
{
    const struct policy *policy = policies_at(c->policies, set->policy);
    char room[TAG_NAMES_MAX];
    struct stored s = {0};
    e->tag_names = names_of(c, set, e, room);
    for (unsigned i = 0; i < CACHE_LOCAL_TIERS; i++) {
        struct tier *t = c->tiers[i];
        if (!t)
            continue;
        bool wanted = cache_may_use(set->tiers, t) && policy_allows(policy, t->ops->name);
        struct entry shaped = policy_shape(policy, t->ops->name, e, set->began_ns);
        int r = wanted ? t->ops->put(t, &shaped) : t->ops->drop(t, e->key, e->key_hash, e->v);
        s.unsafe |= may_be_unsafe(c, t, r);
        s.somewhere |= wanted && (r == TIER_DONE || r == TIER_UNSAFE);
        s.no_room |= wanted && r == TIER_UNSTORED;
    }
    e->tag_names = slice_of(NULL, 0);
    return s;
}

static void all_know(struct waiting *w)
{
    struct cache_set *set = CONTAINER_OF(w, struct cache_set, waiting);
    set->done(set);
}

static int finish_safe(struct cache *c, struct cache_set *set)
{
    bool committed = set->status == STATUS_OK || set->status == STATUS_SKIPPED;
    if (!set->in_fleet || !set->wait_all || !committed)
        return CACHE_DONE;
    cache_wait_for_all(c, &set->waiting, all_know);
    return CACHE_PENDING;
}

static void set_is_safe(struct cache_safety *safety)
{
    struct cache_set *set = CONTAINER_OF(safety, struct cache_set, safety);
    if (finish_safe(set->cache, set) == CACHE_DONE)
        set->done(set);
}

static int finish(struct cache *c, struct cache_set *set, enum status status, bool unsafe)
{
    set->status = status;
    c->figures.sets += status == STATUS_OK;
    c->figures.sets_skipped += status == STATUS_SKIPPED;
    c->by_policy[set->policy].sets += status == STATUS_OK;
    c->by_policy[set->policy].sets_skipped += status == STATUS_SKIPPED;
    c->by_policy[set->policy].sets_refused += status == STATUS_REFUSED;
    c->figures.changes_local += status == STATUS_LOCAL;
    if (set->tenant)
        set->tenant->sets += status == STATUS_OK;
    if (set->lease)
        load_landed(c, set);
    if (unsafe && cache_make_safe(c, &set->safety, set_is_safe) == CACHE_PENDING)
        return CACHE_PENDING;
    return finish_safe(c, set);
}

static int unmet(struct cache *c, struct cache_set *set, enum status status)
{
    c->figures.sets_unmet++;
    return finish(c, set, status, false);
}

static int refused(struct cache *c, struct cache_set *set)
{
    c->figures.fills_refused++;
    return finish(c, set, STATUS_REFUSED, false);
}

/* What was killed by name while its position was on its way. */
static enum verdict judge_names(const struct cache *c, const struct entry *e)
{
    return c->fleet ? kills_judge(c->setup.kills, e->key, e->tags, e->tags_count, e->v) : ALIVE;
}

/* A value that leaves the fleet out takes no position of its own: tokens given at the present one are older all the same. */
static uint64_t newer_than_tokens(const struct cache *c, const struct cache_set *set, const struct entry *e)
{
    return c->fleet && !set->in_fleet ? e->v + 1 : e->v;
}

/* Has something newer than the entry come to this host while its position was on its way?  Not the value for this host alone
 * that had the same position before. */
static bool overtaken(struct cache *c, const struct cache_set *set, const struct entry *e)
{
    return c->fleet &&
           (ahead_position(c->ahead, e->key_hash) > e->v ||
            guard_changed_since(c->guards[set->partition], e->key_hash, newer_than_tokens(c, set, e)) ||
            judge_names(c, e) == DEAD);
}

static void note_change(struct cache *c, const struct cache_set *set, const struct entry *e)
{
    flights_detach(c->flights, e->key, e->key_hash);
    failures_forget(c->failures, e->key_hash);
    if (!set->token.size || set->ttl_ms == 0)
        guard_note(c->guards[set->partition], e->key_hash, newer_than_tokens(c, set, e));
    if (c->fleet && e->v > c->fleet->view->of[set->partition].applied)
        ahead_note(c->ahead, set->partition, e->key_hash, e->v);
}

/* The change has its position. */
static int land(struct cache *c, struct cache_set *set, struct entry *e)
{
    bool late = overtaken(c, set, e);
    e->stale |= judge_names(c, e) == SOFTENED; /* the tiers take it for younger than that kill */
    note_change(c, set, e);
    set->result = (struct version){e->epoch, e->v, e->id};
    if (set->ttl_ms == 0) { /* "do not store" is an invalidation (F15) */
        gone_note(c->setup.gone, e->key_hash, MISS_INVALIDATED);
        return finish(c, set, STATUS_SKIPPED, apply_removal(c, e->key, e->key_hash, e->v));
    }
    set->ttl_left_ms = policy_left_ms(e->hard_ns, cache_now(c));
    if (late) /* in the fleet it was stored, and then something newer happened */
        return finish(c, set, STATUS_OK, apply_removal(c, e->key, e->key_hash, e->v));
    struct stored s = store(c, set, e);
    enum status otherwise = s.no_room ? STATUS_BUSY : STATUS_TOO_BIG; /* room comes back, a limit stays */
    if (!s.somewhere && otherwise == STATUS_TOO_BIG && !set->in_fleet)
        gone_note(c->setup.gone, e->key_hash, MISS_TOO_BIG);
    return finish(c, set, s.somewhere || set->in_fleet ? STATUS_OK : otherwise, s.unsafe);
}

/* Of a value for this host alone.  What is asserted is newer than all that ever was; what was loaded, only than what is known
 * here; what replaces an entry, than that one too. */
static uint64_t position_here(const struct cache *c, const struct cache_set *set)
{
    const struct fleet_partition *p = &c->fleet->view->of[set->partition];
    const struct cache_get *look = &set->look;
    if (set->condition == CACHE_ALWAYS)
        return set->token.size ? p->applied : p->seen;
    bool there = look->status == STATUS_HIT || look->status == STATUS_ABSENT;
    return there && look->entry.epoch == p->epoch && look->entry.v > p->applied ? look->entry.v : p->applied;
}

/* On this host alone: the position is ours to give; beside a fleet, none is taken (F15). */
static int apply(struct cache *c, struct cache_set *set)
{
    struct entry e;
    entry_of(c, set, &e);
    if (set->token.size) {
        struct set_token token = token_of(set);
        if (!token.valid || !token_admits(c, &token.token, &e, set->partition))
            return refused(c, set);
    }
    e.v = c->fleet ? position_here(c, set) : cache_next_position(c);
    return land(c, set, &e);
}

/* ======= conditions ======= */

/* What is stored anew as it was must not be stale by now: a soft invalidation gives it no other version, and the new one
 * would have outlived it. */
static bool expects_fresh(const struct cache_set *set)
{
    return set->like && !set->like->stale;
}

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
        if (expects_fresh(set) && look->entry.stale)
            return STATUS_CONFLICT;
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

/* ======= the fleet ======= */

/* The old value must go everywhere, now here and later there; the new one is nowhere. */
static bool remove_later(struct cache *c, struct cache_set *set, bool *ret_unsafe)
{
    struct fleet_change removal = {
        .verb = FLEET_INVALIDATE, .partition = set->partition, .keys = &set->key, .keys_count = 1};
    return detached_apply(c, &removal, ret_unsafe);
}

static int removed_later(struct cache *c, struct cache_set *set, enum status status)
{
    bool unsafe;
    remove_later(c, set, &unsafe);
    return finish(c, set, status, unsafe);
}

static int keep_here(struct cache *c, struct cache_set *set, bool unsafe, enum status otherwise)
{
    struct entry e;
    entry_of(c, set, &e);
    bool kept = set->ttl_ms != 0 && detached_keep(c, &e);
    set->result = (struct version){e.epoch, e.v, e.id};
    set->ttl_left_ms = kept ? policy_left_ms(e.hard_ns, cache_now(c)) : 0;
    return finish(c, set, kept ? STATUS_LOCAL : otherwise, unsafe);
}

/* Nothing was sent: the fleet is away (C7).  Conditions cannot be decided; a fill needs a token of this absence. */
static int set_away(struct cache *c, struct cache_set *set)
{
    bool unsafe = false;
    if (set->condition != CACHE_ALWAYS)
        return finish(c, set, STATUS_DETACHED, false);
    if (set->token.size) {
        struct set_token t = token_of(set);
        if (!t.valid || !detached_is(c) || !detached_admits(c, &t.token, set->look.key_hash))
            return refused(c, set);
        return keep_here(c, set, false, STATUS_SKIPPED);
    }
    bool durable = remove_later(c, set, &unsafe);
    return keep_here(c, set, unsafe, durable ? STATUS_QUEUED : STATUS_LOCAL);
}

static int committed(struct cache *c, struct cache_set *set)
{
    struct entry e;
    entry_of(c, set, &e);
    e.epoch = set->change.epoch;
    e.v = set->change.v;
    e.id = set->result.id;
    set->in_fleet = true;
    return land(c, set, &e);
}

static int answered(struct cache *c, struct cache_set *set)
{
    c->committing--;
    switch (set->change.outcome) {
    case FLEET_COMMITTED:
        if (set->change.remove)
            chronicle_own(c->chronicle, set->partition, set->change.v);
        return committed(c, set);
    case FLEET_EXISTS: return unmet(c, set, STATUS_EXISTS);
    case FLEET_NOT_FOUND: return unmet(c, set, STATUS_NOT_FOUND);
    case FLEET_CONFLICT: return unmet(c, set, STATUS_CONFLICT);
    case FLEET_REFUSED: return refused(c, set);
    case FLEET_FAILED: return removed_later(c, set, STATUS_BUSY);
    case FLEET_UNKNOWN: c->figures.changes_unknown++; return removed_later(c, set, STATUS_UNKNOWN);
    case FLEET_AWAY: return set_away(c, set);
    }
    WRONG("an outcome that is none");
}

static void commit_answered(struct fleet_change *change)
{
    struct cache_set *set = CONTAINER_OF(change, struct cache_set, change);
    if (answered(set->cache, set) == CACHE_DONE)
        set->done(set);
}

static const enum fleet_condition fleet_conditions[] = {
    [CACHE_ALWAYS] = FLEET_ALWAYS,
    [CACHE_IF_ABSENT] = FLEET_IF_ABSENT,
    [CACHE_IF_PRESENT] = FLEET_IF_PRESENT,
    [CACHE_IF_VERSION] = FLEET_IF_VERSION,
};

/* A removal needs no proof: it is never too late. */
static void make_fill(const struct cache *c, struct cache_set *set, const struct token *t)
{
    uint64_t applied = c->fleet->view->of[set->partition].applied;
    set->change.verb = set->change.remove ? FLEET_SET : FLEET_FILL;
    set->change.since_v = t->v > applied ? t->v : applied; /* up to there we have judged it */
    set->change.proof = set->lease && set->lease->in_fleet ? set->lease->proof : NULL;
    set->change.beside = set->lease && set->lease->beside;
}

static int commit(struct cache *c, struct cache_set *set)
{
    const struct policy *policy = policies_at(c->policies, set->policy);
    struct slice tags[SHM_TAGS_MAX];
    struct policy_tags own;
    struct entry e;
    enum status tagged = name_tags(c, set, &own, tags);
    if (tagged != STATUS_OK)
        return finish(c, set, tagged, false);
    entry_of(c, set, &e);
    e = policy_shape(policy, TIER_L2, &e, set->began_ns);
    set->result.id = e.id;
    set->change = (struct fleet_change){.verb = FLEET_SET,
                                        .partition = set->partition,
                                        .entry = &e,
                                        .remove = set->ttl_ms == 0 || !policy_allows(policy, TIER_L2),
                                        .condition = fleet_conditions[set->condition],
                                        .expected_epoch = set->version.epoch,
                                        .expected_v = set->version.v,
                                        .expected_id = set->version.id,
                                        .again = set->like != NULL,
                                        .expected_fresh = expects_fresh(set),
                                        .compress_min = policy->compress_min,
                                        .tags = tags,
                                        .tags_count = set->names_count,
                                        .done = commit_answered};
    if (set->token.size) {
        struct set_token t = token_of(set);
        if (detached_is(c))
            return set_away(c, set);
        if (!t.valid || !token_admits(c, &t.token, &e, set->partition))
            return refused(c, set);
        make_fill(c, set, &t.token);
    }
    c->committing++;
    return c->fleet->ops->commit(c->fleet, &set->change) == FLEET_DONE ? answered(c, set) : CACHE_PENDING;
}

/* ======= the verb ======= */

/* Values whose set leaves the fleet out are this host's own: no record tells of them (F15).  Where it is the policy that
 * keeps values on their host, a bare set still tells the others that theirs is old: there it is a removal.  A fill says
 * nothing new, and a condition is judged by what this host has. */
static bool concerns_fleet(const struct cache *c, const struct cache_set *set)
{
    bool asked = c->fleet && (set->tiers == 0 || set->tiers & 1u << TIER_L2);
    bool kept_here = !policy_allows(policies_at(c->policies, set->policy), TIER_L2);
    return asked && !(kept_here && (set->token.size || set->condition != CACHE_ALWAYS));
}

static bool is_unwanted_fill(const struct cache *c, const struct cache_set *set)
{
    return set->token.size && !policies_at(c->policies, set->policy)->store;
}

/* Nothing was there when the lease was given, and the loader wants nothing to be. */
static bool leaves_all_as_it_is(const struct cache_set *set)
{
    return set->lease && set->ttl_ms == 0 && !set->lease->refresh;
}

static int decide(struct cache *c, struct cache_set *set)
{
    if (leaves_all_as_it_is(set))
        return finish(c, set, STATUS_SKIPPED, false);
    if (!c->setup.options->cache || !(c->tiers[0] || c->tiers[1] || c->tiers[2]))
        return finish(c, set, STATUS_SKIPPED, false);
    if (is_unwanted_fill(c, set))
        return finish(c, set, STATUS_SKIPPED, false);
    obey_policy(c, set);
    set->look.key_hash = cache_key_hash(c, set->key);
    set->began_ns = cache_now(c);
    if (concerns_fleet(c, set))
        return commit(c, set);
    return set->condition == CACHE_ALWAYS ? apply(c, set) : look(c, set);
}

/* False: the token is of a lease that is no more, or of another key. */
static bool take_lease(struct cache *c, struct cache_set *set)
{
    struct token token;
    bool is_lease = token_read(set->token, &token) && token.kind == TOKEN_LEASE;
    return !is_lease || load_take(c, set, &token);
}

static void gate_opened(struct waiting *w)
{
    struct cache_set *set = CONTAINER_OF(w, struct cache_set, waiting);
    struct cache *c = set->cache;
    enum status status = judge_request(c, set); /* the policies may be others by now */
    if ((status == STATUS_OK ? decide(c, set) : finish(c, set, status, false)) == CACHE_DONE)
        set->done(set);
}

int cache_set(struct cache *c, struct cache_set *set)
{
    set->cache = c;
    set->attempts = 0;
    set->in_fleet = false;
    set->policy = 0;
    set->result = (struct version){0};
    set->ttl_left_ms = 0;
    set->lease = NULL;
    enum status status = judge_request(c, set);
    if (status != STATUS_BAD_REQUEST && !take_lease(c, set))
        return refused(c, set);
    if (status == STATUS_TOO_BIG)
        gone_note(c->setup.gone, cache_key_hash(c, set->key), MISS_TOO_BIG);
    if (status != STATUS_OK)
        return finish(c, set, status, false);
    set->partition = cache_partition(c, set->key);
    if (cache_gate_open(c))
        return decide(c, set);
    cache_wait_for_gate(c, &set->waiting, gate_opened);
    return CACHE_PENDING;
}
