/* L1 as a tier: what cache/ asks of it, done with the rooms beside this file. */
#include "l1/l1_private.h"

#include "base/log.h"

/* What was asked for by l1_fleet_epoch.  As long as nobody has the segment and nothing is in it, it can be given other
 * epochs, which saves populating it anew, partition by partition, when the daemon joins its fleet. */
static void renew_epochs(struct l1 *l1)
{
    l1->renew_soon = false;
    if (l1->handed_out || l1->entries)
        CHECK(segment_renew(l1) ==
              0); /* without it readers would take items of the old epoch for present ones */
    else
        segment_rewrite_epochs(l1);
}

static struct l1 *l1_of(struct tier *t)
{
    struct l1 *l1 = CONTAINER_OF(t, struct l1, tier);
    if (l1->renew_soon)
        renew_epochs(l1);
    return l1;
}

/* ---- get ----------------------------------------------------------------------------------------------------- */

static int missed(struct l1 *l1, struct tier_read *read, enum miss_reason reason)
{
    l1->count.l1_misses_socket++;
    read->reason = reason;
    return TIER_MISSED;
}

/* Somebody was told that the entry is stale and will load it; the others need not ask meanwhile. */
static void serve_stale(struct l1 *l1, const struct item_view *i, uint64_t now_ns)
{
    uint32_t hard = shm_life_hard(i->life), soft = item_ticks(l1, now_ns + L1_STALE_MS * NS_PER_MS);
    order_life(i->item,
               shm_life(hard, soft < hard ? soft : hard, (i->life & SHM_LIFE_LOCAL) | SHM_LIFE_STALE));
}

/* What it was killed by: whoever explains the key asks. */
static int was_killed(struct l1 *l1, struct tier_read *read, const struct item_view *i)
{
    read->entry.tags_count = (uint8_t)i->prints_count;
    for (unsigned t = 0; t < i->prints_count; t++)
        read->entry.tags[t] = i->prints[t];
    return missed(l1, read, MISS_INVALIDATED);
}

static int look(struct l1 *l1, struct tier_read *read, uint32_t *ret_slot)
{
    uint32_t slot = slots_find(l1, read->key, read->key_hash);
    if (slot == SLOT_NONE)
        return missed(l1, read, MISS_COLD);
    if (read->now_ns >= item_ns(l1, shm_life_hard(item_of_slot(l1, slot).life))) {
        slots_drop(l1, slot);
        l1->count.l1_expired++;
        gone_note(l1->gone, read->key_hash, MISS_EXPIRED);
        return missed(l1, read, MISS_EXPIRED);
    }
    struct item_view i = item_of_slot(l1, slot);
    enum verdict verdict = cells_settle(l1, slot);
    if (verdict == DEAD)
        return was_killed(l1, read, &i);
    i = item_of_slot(l1, slot);
    item_entry(l1, &i, read->key_hash, read->now_ns, &read->entry);
    read->entry.suspect = verdict == SUSPECT;
    if (read->now_ns >= read->entry.soft_ns)
        serve_stale(l1, &i, read->now_ns);
    slots_touch(l1, slot);
    l1->count.l1_hits_socket++;
    *ret_slot = slot;
    return TIER_FOUND;
}

static int tier_get(struct tier *t, struct tier_read *read)
{
    struct l1 *l1 = l1_of(t);
    uint32_t slot = SLOT_NONE;
    int outcome = look(l1, read, &slot);
    watch_asked(l1, read, slot);
    return outcome;
}

/* ---- put ----------------------------------------------------------------------------------------------------- */

static bool too_big(const struct l1 *l1, const struct entry *e)
{
    return e->value.size > l1_value_max(l1, (uint32_t)e->key.size, e->tags_count);
}

/* Shorter than a tick of the clock of items: gone before a reader could see it. */
static bool too_short(struct l1 *l1, const struct entry *e)
{
    return item_ticks(l1, e->hard_ns) <= item_ticks(l1, l1->now_ns(l1));
}

/* The slot the entry goes into: its own, an empty one, or the least used one of its buckets. */
static uint32_t slot_for(struct l1 *l1, const struct entry *e)
{
    uint32_t slot = slots_find(l1, e->key, e->key_hash);
    if (slot != SLOT_NONE)
        return slot;
    slot = slots_place(l1, e->key_hash);
    if (slot != SLOT_NONE)
        return slot;
    slot = slots_coldest(l1, e->key_hash);
    if (slots_live(l1, slots_word(l1, slot))) {
        l1->count.l1_displaced++;
        gone_note(l1->gone, slots_hash(l1, slot), MISS_EVICTED);
    }
    slots_drop(l1, slot);
    return slot;
}

/* Where an entry lies is where its successor belongs: a value set again is no news about the key. */
static enum pool pool_for(const struct l1 *l1, uint32_t slot)
{
    return slot == SLOT_NONE ? POOL_NEW
                             : l1->segments[segment_of(l1, shm_slot_offset(slots_word(l1, slot)))].pool;
}

static bool store(struct l1 *l1, const struct entry *e)
{
    uint32_t slot = slots_find(l1, e->key, e->key_hash);
    if (slot == SLOT_NONE && !evict_to_limit(l1))
        return false;
    uint32_t bytes = item_bytes_needed(e);
    unsigned class = item_ttl_class(l1->now_ns(l1), e->hard_ns);
    uint32_t heat = slot == SLOT_NONE ? evict_newcomer(l1, e->key_hash) : l1->heat[slot];
    uint64_t offset = evict_room(l1, pool_for(l1, slot), class, bytes);
    if (!offset)
        return false;
    slot = slot_for(l1, e); /* again: making room may have moved or evicted it */
    item_write(l1, offset, e, bytes);
    segment_appended(l1, offset, bytes, item_ticks(l1, e->hard_ns));
    l1->heat[slot] = heat;
    l1->sizes[slot] = eviction_size(bytes);
    slots_store(l1, slot, shm_slot(shm_tag(e->key_hash), l1->segments[segment_of(l1, offset)].gen, offset));
    watch_stored(l1, e, bytes);
    return true;
}

static int tier_put(struct tier *t, const struct entry *e)
{
    struct l1 *l1 = l1_of(t);
    CHECK(e->key.size > 0 && e->tags_count <= SHM_TAGS_MAX);
    bool big = too_big(l1, e);
    if (!big && !too_short(l1, e) && store(l1, e)) {
        l1->count.l1_puts++;
        return TIER_DONE;
    }
    l1->count.l1_unstored++;
    uint32_t slot = slots_find(l1, e->key, e->key_hash);
    if (slot != SLOT_NONE)
        slots_drop(l1, slot);
    return big ? TIER_TOO_BIG : TIER_UNSTORED;
}

/* ---- changes ------------------------------------------------------------------------------------------------- */

/* The slot of an entry older than v, or SLOT_NONE. */
static uint32_t find_older(struct l1 *l1, struct slice key, uint64_t hash, uint64_t v)
{
    uint32_t slot = slots_find(l1, key, hash);
    return slot != SLOT_NONE && item_of_slot(l1, slot).v < v ? slot : SLOT_NONE;
}

static int tier_drop(struct tier *t, struct slice key, uint64_t key_hash, uint64_t v)
{
    struct l1 *l1 = l1_of(t);
    uint32_t slot = find_older(l1, key, key_hash, v);
    if (slot == SLOT_NONE) {
        if (slots_find(l1, key, key_hash) == SLOT_NONE)
            watch_invalidated(l1, key_hash);
        return TIER_DONE;
    }
    watch_invalidated(l1, key_hash);
    eviction_went(l1->eviction, key_hash, l1->heat[slot]); /* the next value finds its readers known */
    slots_drop(l1, slot);
    return TIER_DONE;
}

static int tier_soften(struct tier *t, struct slice key, uint64_t key_hash, uint64_t v, uint64_t now_ns)
{
    struct l1 *l1 = l1_of(t);
    uint32_t slot = find_older(l1, key, key_hash, v);
    if (slot == SLOT_NONE)
        return TIER_DONE;
    struct item_view i = item_of_slot(l1, slot);
    order_life(i.item, shm_life(shm_life_hard(i.life), 0, (i.life & SHM_LIFE_LOCAL) | SHM_LIFE_STALE));
    return TIER_DONE;
}

/* A stale entry stays stale: only a new value makes it fresh. */
static uint64_t touched_life(const struct l1 *l1, uint64_t life, uint64_t soft_ns, uint64_t hard_ns,
                             uint64_t now_ns)
{
    bool stale = life & SHM_LIFE_STALE || now_ns >= item_ns(l1, shm_life_soft(life));
    uint32_t hard = item_ticks(l1, hard_ns), soft = item_ticks(l1, soft_ns);
    if (hard < shm_life_hard(life))
        hard = shm_life_hard(life);
    if (stale || soft < shm_life_soft(life))
        soft = shm_life_soft(life);
    return shm_life(hard, soft, life & (SHM_LIFE_LOCAL | SHM_LIFE_STALE));
}

static int tier_touch(struct tier *t, const struct entry *as)
{
    struct l1 *l1 = l1_of(t);
    uint64_t now = l1->now_ns(l1);
    uint32_t slot = slots_find(l1, as->key, as->key_hash);
    if (slot == SLOT_NONE || cells_settle(l1, slot) >= SUSPECT)
        return TIER_NOT_THERE;
    struct item_view i = item_of_slot(l1, slot);
    if (i.v != as->v || shm_item_id(i.shape) != as->id)
        return TIER_NOT_THERE;
    uint64_t life = touched_life(l1, i.life, as->soft_ns, as->hard_ns, now);
    watch_prolonged(l1, as->key_hash, item_ns(l1, shm_life_hard(life)));
    struct segment *s = &l1->segments[segment_of(l1, shm_slot_offset(slots_word(l1, slot)))];
    unsigned class = item_ttl_class(now, item_ns(l1, shm_life_hard(life)));
    if (class > s->ttl_class && evict_move(l1, slot, s->pool, life, class))
        return TIER_DONE;
    order_life(i.item, life);
    if (shm_life_hard(life) > s->hard_max)
        s->hard_max = shm_life_hard(life);
    return TIER_DONE;
}

static void sweep_soon(struct l1 *l1)
{
    if (l1->sweep_soon)
        l1->sweep_soon(l1);
}

/* Readers cannot compare keys with globs: they ask about all keys that begin like one that matches. */
static void kill_glob(struct l1 *l1, uint64_t name)
{
    struct slice prefix = bans_glob_prefix(kills_glob(l1->kills, name));
    if (prefix.size)
        cells_kill(l1, shm_hash_name(l1->shape.hash_secret, SHM_NAME_PREFIX, prefix));
    else
        cells_floor(l1);
}

/* Hard or soft, readers ask; which of the two it was says the exact map. */
static int tier_kill(struct tier *t, uint64_t name_hash, uint64_t v, bool soft)
{
    struct l1 *l1 = l1_of(t);
    if (kills_is_floor(name_hash))
        cells_floor(l1);
    else if (kills_is_ban(name_hash))
        kill_glob(l1, name_hash);
    else
        cells_kill(l1, name_hash);
    if (!soft && (name_hash & KILLS_NAME_MASK) == KILLS_ALL)
        watch_cleared(l1);
    sweep_soon(l1);
    return TIER_DONE;
}

static int tier_confirm(struct tier *t, struct slice key, uint64_t key_hash, uint64_t v, bool stale)
{
    struct l1 *l1 = l1_of(t);
    uint32_t slot = slots_find(l1, key, key_hash);
    if (slot == SLOT_NONE || item_of_slot(l1, slot).v != v)
        return TIER_NOT_THERE;
    cells_confirm(l1, slot, stale);
    return TIER_DONE;
}

/* Shared memory survives nothing, so there is nothing to wait for. */
static void tier_barrier(struct tier *t, struct tier_barrier *barrier)
{
    barrier->done(barrier);
}

/* ---- looking in ------------------------------------------------------------------------------------------------ */

static bool listed_at(const struct l1 *l1, uint32_t slot, uint64_t now_ns, struct tier_listed *ret)
{
    if (!slots_live(l1, slots_word(l1, slot)))
        return false;
    struct item_view i = item_of_slot(l1, slot);
    *ret = (struct tier_listed){.key = i.key,
                                .key_hash = shm_hash_key(l1->shape.hash_secret, i.key),
                                .hard_ns = item_ns(l1, shm_life_hard(i.life)),
                                .value_bytes = i.value.size};
    return now_ns < ret->hard_ns && !(cells_hit(l1, &i) && cells_judge(l1, &i) == DEAD);
}

/* The cursor is the next slot's number + 1; listings walk over 16 slots an entry at most. */
static void tier_list(struct tier *t, uint64_t *cursor, uint32_t limit, uint64_t now_ns,
                      bool (*each)(void *user, const struct tier_listed *listed), void *user)
{
    struct l1 *l1 = l1_of(t);
    uint64_t slot = *cursor ? *cursor - 1 : 0, end = slots_count(l1), last = slot + 16ull * limit + 64;
    for (; slot < end && slot < last && limit > 0; slot++) {
        struct tier_listed listed;
        if (!listed_at(l1, (uint32_t)slot, now_ns, &listed))
            continue;
        if (!each(user, &listed))
            break;
        limit--;
    }
    *cursor = slot < end ? slot + 1 : 0;
}

static void tier_measure(struct tier *t, struct tier_figures *ret)
{
    struct l1 *l1 = l1_of(t);
    struct l1_figures f;
    l1_measure(l1, &f);
    *ret = (struct tier_figures){
        .entries = f.l1_entries,
        .bytes = f.l1_item_bytes,
        .bytes_max = f.l1_segment_bytes,
        .hits = f.l1_hits_shared + f.l1_hits_socket,
        .misses = f.l1_misses_socket,
        .puts = f.l1_puts,
        .evictions = f.l1_evictions,
        .expirations = f.l1_expired,
        .available = l1->open,
    };
}

static bool tier_full(const struct tier *t)
{
    const struct l1 *l1 = CONTAINER_OF(t, const struct l1, tier);
    return l1->free.count <= L1_SEGMENTS_LOW || (l1->entries_max && l1->entries >= l1->entries_max);
}

static void tier_expect(const struct tier *t, uint64_t key_hash)
{
    slots_expect(CONTAINER_OF(t, const struct l1, tier), key_hash);
}

static const struct tier_ops l1_ops = {
    .name = TIER_L1,
    .get = tier_get,
    .put = tier_put,
    .drop = tier_drop,
    .soften = tier_soften,
    .touch = tier_touch,
    .kill = tier_kill,
    .confirm = tier_confirm,
    .barrier = tier_barrier,
    .list = tier_list,
    .measure = tier_measure,
    .full = tier_full,
    .expect = tier_expect,
};

struct tier *l1_tier(struct l1 *l1)
{
    return &l1->tier;
}

/* ---- beginning and end ------------------------------------------------------------------------------------------- */

int l1_make(const struct l1_setup *setup, uint64_t (*now_ns)(struct l1 *l1), struct l1 **ret)
{
    struct l1 *l1 = must_alloc(sizeof(*l1));
    l1->tier.ops = &l1_ops;
    l1->options = *setup->options;
    l1->kills = setup->kills;
    l1->gone = setup->gone;
    l1->view = setup->view;
    l1->mirror = setup->mirror;
    l1->user = setup->user;
    l1->loop = setup->loop;
    l1->now_ns = now_ns;
    l1->test_now_ns = clock_boot_ns();
    l1->entries_max = setup->options->l1_entries;
    l1->made_for = fit_at_start(setup->options->l1_entry_bytes, setup->usual_entry);
    list_init(&l1->pages);
    l1->page_cursor = &l1->pages;
    l1->builder = builder_create(l1->loop);
    watch_setup(l1);
    int r = segment_setup(l1, setup->namespace, setup->hash_secret, setup->epoch);
    if (r < 0) {
        watch_teardown(l1);
        builder_destroy(l1->builder);
        free(l1);
        return r;
    }
    *ret = l1;
    return 0;
}

void l1_unmake(struct l1 *l1)
{
    CHECK(list_empty(&l1->pages));
    segment_teardown(l1);
    builder_destroy(l1->builder);
    watch_teardown(l1);
    free(l1);
}

void l1_open(struct l1 *l1)
{
    l1->open = true;
    life_renew(l1);
    order_state(l1->header, SHM_OPEN);
}

/* Not on a segment of older epochs: its items would be vouched for. */
void l1_fleet_shown(struct l1 *l1)
{
    l1_of(&l1->tier);
    life_promise(l1);
}

void l1_fleet_epoch(struct l1 *l1)
{
    l1->renew_soon = true;
}

int l1_fd(struct l1 *l1)
{
    l1_of(&l1->tier);
    l1->handed_out = true;
    return l1->fd;
}

uint64_t l1_incarnation(struct l1 *l1)
{
    return l1_of(&l1->tier)->shape.incarnation;
}

/* ---- periodic work ------------------------------------------------------------------------------------------------ */

/* A sequence or clock that is nearly used up: a new segment, empty.  Every few years, so nothing is carried over.
 * The old one is CLOSED, and its readers come for the new one. */
static void renew_if_exhausted(struct l1 *l1)
{
    if (!life_exhausted(l1))
        return;
    log_info("a new incarnation of the shared segment begins", L_TEXT("namespace", l1->shape.namespace));
    CHECK(segment_renew(l1) == 0); /* without it no invalidation could be told from an older one any more */
}

void l1_tick(struct l1 *l1)
{
    l1_of(&l1->tier);
    life_renew(l1);
    touch_drain(l1, L1_DRAIN_STRIPES);
    watch_tick(l1);
    segment_doom_expired(l1, l1->now_ns(l1));
    if (evict_pending(l1))
        evict_step(l1, L1_EVICT_ITEMS);
    renew_if_exhausted(l1);
}

static struct fit what_is_here(const struct l1 *l1)
{
    return (struct fit){.total_bytes = l1->shape.total_bytes,
                        .segment_bytes = (uint64_t)l1->shape.segment_count << l1->shape.segment_shift,
                        .item_bytes = l1->pool_live_bytes[POOL_NEW] + l1->pool_live_bytes[POOL_KEPT],
                        .entries = l1->entries,
                        .slots = slots_count(l1),
                        .free_bytes = (uint64_t)l1->free.count << l1->shape.segment_shift,
                        .made_for = l1->made_for};
}

uint64_t l1_usual_entry(const struct l1 *l1)
{
    struct fit f = what_is_here(l1);
    return fit_usual(&f);
}

int l1_refit(struct l1 *l1)
{
    struct fit f = what_is_here(l1);
    uint64_t wanted = fit_wanted(&f), was = l1->made_for;
    if (wanted == was || l1->options.l1_entry_bytes || l1->entries_max) {
        builder_drop(l1->builder);
        return L1_FITS;
    }
    int r = segment_refit(l1, wanted);
    if (r)
        return r;
    log_info("the index of shared memory is made anew", L_TEXT("namespace", l1->shape.namespace),
             L_U64("entry_bytes", l1->made_for), L_U64("was_made_for", was));
    l1->count.l1_refits++;
    return 0;
}

bool l1_sweep_slice(struct l1 *l1)
{
    return cells_sweep(l1, clock_mono_ns() + L1_SWEEP_NS);
}

/* ---- figures -------------------------------------------------------------------------------------------------------- */

void l1_measure(struct l1 *l1, struct l1_figures *ret)
{
    touch_count_all(l1);
    *ret = l1->count;
    ret->l1_entries = l1->entries;
    ret->l1_item_bytes = l1->pool_live_bytes[POOL_NEW] + l1->pool_live_bytes[POOL_KEPT];
    ret->l1_dead_bytes = segment_dead_bytes(l1);
    ret->l1_segment_bytes = (uint64_t)l1->shape.segment_count << l1->shape.segment_shift;
    ret->l1_total_bytes = l1->shape.total_bytes;
    ret->l1_made_for = l1->made_for;
    ret->l1_huge_bytes = l1->huge_index_bytes + (l1->huge ? huge_bytes(l1->huge) : 0);
    ret->l1_clients = l1->pages_count;
}

void l1_policy_hits(struct l1 *l1, uint64_t ret_hits[SHM_POLICIES])
{
    touch_count_all(l1);
    memcpy(ret_hits, l1->policy_hits, sizeof(l1->policy_hits));
}

void l1_near_times(struct l1 *l1, struct l1_times *ret)
{
    touch_count_all(l1);
    *ret = l1->near_times;
}

uint32_t l1_value_max(const struct l1 *l1, uint32_t key_bytes, unsigned tags_count)
{
    uint32_t quarter = segment_bytes(l1) / 4;
    uint32_t beside = (uint32_t)sizeof(struct shm_item) + 4 * (tags_count + 1) + key_bytes;
    return key_bytes > 1024 || beside >= quarter ? 0 : quarter - beside;
}
