/* invalidate: everything named in one call is one change with one position; in a fleet, one in each partition it concerns
 * and for each 256 keys of it, and the last of their positions is told.
 *
 * Keys are removed where they are.  Tags, prefixes, globs and "all" are O(1): the exact map learns the name first, then
 * each tier mirrors it; entries are judged when somebody comes for them.  The answer comes after the last of it, so that no
 * read on this host that begins later sees what was named (I7: also when the fleet did not answer, or is away). */
#include <stdlib.h>
#include "cache/cache_private.h"
#include "cache/cascade.h"

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

static unsigned names_count(const struct cache_invalidate *i)
{
    return i->tags_count + i->prefixes_count + i->globs_count + i->all;
}

static enum status judge_globs(struct cache_invalidate *i)
{
    const char *why;
    if (i->globs_count > CACHE_GLOBS_MAX)
        return refuse(i, STATUS_LIMIT, "at most 16 globs in one invalidation");
    for (unsigned n = 0; n < i->globs_count; n++)
        if (!bans_glob_ok(i->globs[n], &why))
            return refuse(i, STATUS_BAD_REQUEST, why);
    return STATUS_OK;
}

/* What a rule names may have any shape: nothing is there. */
static enum status judge_keys(const struct cache *c, struct cache_invalidate *i)
{
    for (unsigned n = 0; n < i->keys_count; n++) {
        enum status key = cache_judge_key(c, i->keys[n]);
        if (key == STATUS_BAD_KEY)
            return refuse(i, key, "a key has 1 to 1024 bytes");
        if (key != STATUS_OK && !i->cascade)
            return refuse(i, key, "a key has not the parts that key_shape of its namespace demands");
    }
    return STATUS_OK;
}

static enum status judge_names(const struct cache *c, struct cache_invalidate *i)
{
    if (!names_count(i) && !i->keys_count)
        return refuse(i, STATUS_BAD_REQUEST, "nothing is named that could be invalidated");
    for (unsigned n = 0; n < i->tags_count; n++)
        if (i->tags[n].size == 0 || i->tags[n].size > WIRE_TAG_BYTES_MAX)
            return refuse(i, STATUS_LIMIT, "a tag has 1 to 255 bytes");
    for (unsigned n = 0; n < i->prefixes_count; n++)
        if (!prefix_valid(i->prefixes[n]))
            return refuse(i, STATUS_BAD_REQUEST, "a prefix ends with ':' and has at most 8 of them");
    if (c->fleet && names_count(i) > FLEET_ITEMS_MAX)
        return refuse(i, STATUS_LIMIT, "at most 256 tags, prefixes and globs in one invalidation of a fleet");
    return judge_globs(i);
}

static enum status judge_request(const struct cache *c, struct cache_invalidate *i)
{
    enum status status = judge_keys(c, i);
    return status == STATUS_OK ? judge_names(c, i) : status;
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
    *look = (struct cache_get){
        .key = key, .tiers = 1u << TIER_L1 | 1u << TIER_WARM, .no_promote = true, .done = uncounted};
    if (cache_get(c, look) == CACHE_PENDING)
        return false;
    bool there = look->status == STATUS_HIT || look->status == STATUS_ABSENT || look->held;
    free(look);
    return there;
}

static uint64_t count_all(struct cache *c)
{
    uint64_t most = 0;
    for (unsigned n = 0; n < CACHE_LOCAL_TIERS; n++) {
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

/* ======= the answer ======= */

static void all_know(struct waiting *w)
{
    struct cache_invalidate *i = CONTAINER_OF(w, struct cache_invalidate, waiting);
    i->done(i);
}

static int finish_safe(struct cache *c, struct cache_invalidate *i)
{
    if (!c->fleet || !i->wait_all || i->status != STATUS_OK)
        return CACHE_DONE;
    cache_wait_for_all(c, &i->waiting, all_know);
    return CACHE_PENDING;
}

static void is_safe(struct cache_safety *safety)
{
    struct cache_invalidate *i = CONTAINER_OF(safety, struct cache_invalidate, safety);
    if (finish_safe(i->cache, i) == CACHE_DONE)
        i->done(i);
}

static int finish(struct cache *c, struct cache_invalidate *i)
{
    c->figures.invalidations++;
    c->figures.invalidated_keys += i->count;
    c->figures.invalidated_names += names_count(i);
    c->figures.changes_local += i->status == STATUS_LOCAL;
    chronicle_call(c->chronicle, i, cache_now(c));
    cascade_end(i);
    if (i->unsafe && cache_make_safe(c, &i->safety, is_safe) == CACHE_PENDING)
        return CACHE_PENDING;
    return finish_safe(c, i);
}

/* ======= on this host alone ======= */

static int invalidate_here(struct cache *c, struct cache_invalidate *i)
{
    struct fleet_record r = record_of_call(i, cache_next_position(c));
    i->result = (struct version){c->setup.epoch, r.v, 0};
    i->unsafe = apply_record(c, 0, &r);
    return finish(c, i);
}

/* ======= the fleet ======= */

/* One change of a call: names concern every partition, a key its own, and no change has more than FLEET_ITEMS_MAX keys
 * and names, nor more of their bytes than one record of a journal should have. */
struct part {
    struct fleet_change change;
    struct cache_invalidate *owner;
};

enum {
    PART_BYTES = 64 << 10,
    PART_KEYS_MIN = PART_BYTES / WIRE_KEY_MAX, /* that many keys always fit */
};

static void commit_answered(struct fleet_change *change);

static struct part *next_part(struct cache_invalidate *i, unsigned partition, const struct slice *keys)
{
    struct part *part = &i->parts[i->parts_count++];
    part->owner = i;
    part->change = (struct fleet_change){.verb = FLEET_INVALIDATE,
                                         .partition = partition,
                                         .keys = keys,
                                         .soft = i->soft,
                                         .done = commit_answered};
    return part;
}

static void name_all(const struct cache_invalidate *i, struct part *part)
{
    part->change.tags = i->tags;
    part->change.tags_count = i->tags_count;
    part->change.prefixes = i->prefixes;
    part->change.prefixes_count = i->prefixes_count;
    part->change.globs = i->globs;
    part->change.globs_count = i->globs_count;
    part->change.all = i->all;
}

/* Without names there is a part for each key at most; with them, one more for each partition. */
static unsigned parts_max(const struct cache_invalidate *i, unsigned partitions)
{
    unsigned full = partitions + i->keys_count / PART_KEYS_MIN;
    return (names_count(i) ? partitions : 0) + (full < i->keys_count ? full : i->keys_count);
}

/* The keys of one partition in parts, the names in the first of them.  Returns where the keys of the next begin. */
static struct slice *split_partition(struct cache *c, struct cache_invalidate *i, unsigned partition,
                                     struct slice *keys)
{
    struct part *part = NULL;
    unsigned room = 0;
    size_t bytes = 0;
    if (names_count(i)) {
        part = next_part(i, partition, keys);
        name_all(i, part);
        room = FLEET_ITEMS_MAX - names_count(i);
    }
    for (unsigned n = 0; n < i->keys_count; n++) {
        struct slice key = i->keys[n];
        if (cache_partition(c, key) != partition)
            continue;
        if (room == 0 || bytes + key.size > PART_BYTES) {
            part = next_part(i, partition, keys);
            room = FLEET_ITEMS_MAX;
            bytes = 0;
        }
        *keys++ = key;
        part->change.keys_count++;
        room--;
        bytes += key.size;
    }
    return keys;
}

/* Keys in the order of their partitions, behind the parts in the same memory. */
static void split(struct cache *c, struct cache_invalidate *i)
{
    unsigned partitions = c->fleet->view->partitions, most = parts_max(i, partitions);
    i->parts = must_alloc(most * sizeof(*i->parts) + i->keys_count * sizeof(struct slice));
    struct slice *keys = (struct slice *)(void *)(i->parts + most);
    i->parts_count = 0;
    for (unsigned p = 0; p < partitions; p++)
        keys = split_partition(c, i, p, keys);
    CHECK(i->parts_count <= most);
}

static enum status worse(enum status a, enum status b)
{
    return a > b ? a : b; /* OK, QUEUED, LOCAL */
}

static void apply_part(struct cache *c, struct cache_invalidate *i, const struct fleet_change *change)
{
    struct fleet_record r = fleet_record_of(change, change->v);
    i->unsafe |= apply_record(c, change->partition, &r);
    i->result = (struct version){change->epoch, change->v, 0};
    i->partition = change->partition;
    chronicle_own(c->chronicle, change->partition, change->v);
}

/* Whatever went wrong, the keys and names are dead here from now on, and will be told when the fleet is back (C8). */
static void part_answered(struct cache *c, struct cache_invalidate *i, const struct fleet_change *change)
{
    bool unsafe, durable;
    c->committing--;
    c->figures.changes_unknown += change->outcome == FLEET_UNKNOWN;
    if (change->outcome == FLEET_COMMITTED) {
        apply_part(c, i, change);
        return;
    }
    durable = detached_apply(c, change, &unsafe);
    i->unsafe |= unsafe;
    i->status = worse(i->status, durable ? STATUS_QUEUED : STATUS_LOCAL);
}

static int one_less_open(struct cache *c, struct cache_invalidate *i)
{
    if (--i->parts_open)
        return CACHE_PENDING;
    free(i->parts);
    i->parts = NULL;
    return finish(c, i);
}

static void commit_answered(struct fleet_change *change)
{
    struct part *part = CONTAINER_OF(change, struct part, change);
    struct cache_invalidate *i = part->owner;
    part_answered(i->cache, i, change);
    if (one_less_open(i->cache, i) == CACHE_DONE)
        i->done(i);
}

static int invalidate_there(struct cache *c, struct cache_invalidate *i)
{
    split(c, i);
    unsigned count = i->parts_count;
    i->parts_open = count + 1; /* one is ours: nobody answers while parts are still being sent */
    for (unsigned n = 0; n < count; n++) {
        c->committing++;
        if (c->fleet->ops->commit(c->fleet, &i->parts[n].change) == FLEET_PENDING)
            continue;
        part_answered(c, i, &i->parts[n].change);
        i->parts_open--;
    }
    return one_less_open(c, i);
}

/* ======= the verb ======= */

static int decide(struct cache *c, struct cache_invalidate *i)
{
    if (!cascade_begin(c, i) || (i->cascade && judge_request(c, i) != STATUS_OK)) {
        cascade_end(i);
        i->status = refuse(i, STATUS_LIMIT, "its cascade names more than an invalidation may");
        return CACHE_DONE;
    }
    count(c, i);
    if (i->dry_run) {
        cascade_end(i);
        return CACHE_DONE;
    }
    return c->fleet ? invalidate_there(c, i) : invalidate_here(c, i);
}

static void gate_opened(struct waiting *w)
{
    struct cache_invalidate *i = CONTAINER_OF(w, struct cache_invalidate, waiting);
    if (decide(i->cache, i) == CACHE_DONE)
        i->done(i);
}

int cache_invalidate(struct cache *c, struct cache_invalidate *i)
{
    i->cache = c;
    i->count = 0;
    i->unsafe = false;
    i->message = NULL;
    i->cascade = NULL;
    i->result = (struct version){0};
    i->partition = 0;
    i->status = judge_request(c, i);
    if (i->status != STATUS_OK)
        return CACHE_DONE;
    if (cache_gate_open(c))
        return decide(c, i);
    cache_wait_for_gate(c, &i->waiting, gate_opened);
    return CACHE_PENDING;
}
