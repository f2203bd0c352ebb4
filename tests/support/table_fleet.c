#include "support/table_fleet.h"

#include <string.h>
#include "base/check.h"
#include "cache/cache.h"

static struct table_fleet *self(struct fleet *f)
{
    return CONTAINER_OF(f, struct table_fleet, fleet);
}

/* ======= the store ======= */

static struct fleet_row *row_find(struct table_fleet *f, struct slice key)
{
    for (unsigned i = 0; i < FLEET_ROWS; i++)
        if (f->rows[i].used && slice_equal(f->rows[i].entry.key, key))
            return &f->rows[i];
    return NULL;
}

static struct fleet_row *row_for(struct table_fleet *f, struct slice key)
{
    struct fleet_row *row = row_find(f, key);
    for (unsigned i = 0; !row && i < FLEET_ROWS; i++)
        if (!f->rows[i].used)
            row = &f->rows[i];
    CHECK(row);
    return row;
}

static void copy_name(char ret[FLEET_NAME], struct slice name)
{
    CHECK(name.size < FLEET_NAME);
    memset(ret, 0, FLEET_NAME);
    if (name.size)
        memcpy(ret, name.data, name.size);
}

static void point(struct fleet_row *row)
{
    row->entry.key = slice_text(row->key);
    row->entry.value = slice_text(row->value);
    row->entry.tag_names = slice_of(row->tag_names, row->tag_names_bytes);
}

static void row_store(struct table_fleet *f, const struct entry *e, unsigned partition, uint64_t v)
{
    struct fleet_row *row = row_for(f, e->key);
    row->used = true;
    row->entry = *e;
    row->entry.epoch = f->view.of[partition].epoch;
    row->entry.v = v;
    copy_name(row->key, e->key);
    copy_name(row->value, e->value);
    row->tag_names_bytes = 0;
    point(row);
}

static void row_tag(struct fleet_row *row, const struct slice *tags, unsigned count)
{
    row->tag_names_bytes = tag_names_pack(row->tag_names, tags, count).size;
}

static void row_remove(struct table_fleet *f, struct slice key)
{
    struct fleet_row *row = row_find(f, key);
    if (row)
        row->used = false;
}

static bool has_tag(const struct entry *e, uint64_t tag)
{
    for (unsigned i = 0; i < e->tags_count; i++)
        if (e->tags[i] == tag)
            return true;
    return false;
}

static void kill_tag(struct table_fleet *f, unsigned partition, struct slice name)
{
    uint64_t tag = shm_hash_name(f->hash_secret, SHM_NAME_TAG, name);
    for (unsigned i = 0; i < FLEET_ROWS; i++)
        if (f->rows[i].used && shm_partition(f->rows[i].entry.key, f->view.partitions) == partition &&
            has_tag(&f->rows[i].entry, tag))
            f->rows[i].used = false;
}

/* ======= positions ======= */

static uint64_t next_v(struct table_fleet *f, unsigned partition, struct slice key, struct slice tag)
{
    CHECK(f->journal_count < FLEET_JOURNAL);
    struct journal_row *row = &f->journal[f->journal_count++];
    row->partition = partition;
    row->v = ++f->newest[partition];
    copy_name(row->key, key);
    copy_name(row->tag, tag);
    return row->v;
}

static void kill_all(struct table_fleet *f, unsigned partition)
{
    for (unsigned i = 0; i < FLEET_ROWS; i++)
        if (f->rows[i].used && shm_partition(f->rows[i].entry.key, f->view.partitions) == partition)
            f->rows[i].used = false;
}

static struct slice first_of(const struct slice *names, unsigned count)
{
    return count ? names[0] : slice_of(NULL, 0);
}

/* ======= leases ======= */

static struct lease_row *lease_find(struct table_fleet *f, struct slice key)
{
    for (unsigned i = 0; i < FLEET_WAITING; i++)
        if (f->leases[i].used && slice_equal(slice_text(f->leases[i].key), key))
            return &f->leases[i];
    return NULL;
}

static struct lease_row *lease_add(struct table_fleet *f, struct slice key)
{
    unsigned i = 0;
    while (f->leases[i].used)
        CHECK(++i < FLEET_WAITING);
    f->leases[i] = (struct lease_row){
        .used = true, .v = f->newest[shm_partition(key, f->view.partitions)], .left_ns = 10000000000};
    copy_name(f->leases[i].key, key);
    memset(f->leases[i].proof, (int)++f->leases_given, FLEET_PROOF_BYTES);
    return &f->leases[i];
}

static void lease_end(struct table_fleet *f, struct slice key)
{
    struct lease_row *row = lease_find(f, key);
    if (row)
        row->used = false;
}

static bool is_due(const struct table_fleet *f, const struct fleet_row *value, uint64_t ahead_ns)
{
    return value->entry.stale || (f->now_ns && value->entry.soft_ns < *f->now_ns + ahead_ns);
}

static void judge_lease(struct table_fleet *f, struct fleet_lease *l)
{
    struct lease_row *row = lease_find(f, l->key);
    const struct fleet_row *value = row_find(f, l->key);
    struct fleet_partition *shown = &f->view.of[l->partition];
    l->v = f->newest[l->partition];
    shown->seen = l->v > shown->seen ? l->v : shown->seen;
    if (f->view.mode == SHM_DETACHED || f->silent_leases) {
        l->outcome = FLEET_LEASE_AWAY;
    } else if (value && !is_due(f, value, l->ahead_ns)) {
        l->outcome = FLEET_LEASE_THERE;
    } else if (row) {
        l->outcome = row->rests ? FLEET_LEASE_RESTS : FLEET_LEASE_BUSY;
        l->left_ns = row->left_ns;
        row->waited_for = true;
    } else {
        l->outcome = FLEET_LEASE_GIVEN;
        memcpy(l->proof, lease_add(f, l->key)->proof, FLEET_PROOF_BYTES);
    }
}

static int ask_lease(struct fleet *fleet, struct fleet_lease *l)
{
    struct table_fleet *f = self(fleet);
    f->leases_asked++;
    judge_lease(f, l);
    if (!f->slow_leases || l->outcome == FLEET_LEASE_AWAY)
        return FLEET_DONE;
    CHECK(f->asked_count < FLEET_WAITING);
    f->asked[f->asked_count++] = l;
    return FLEET_PENDING;
}

void table_fleet_answer_leases(struct table_fleet *f)
{
    struct fleet_lease *asked[FLEET_WAITING];
    unsigned count = f->asked_count;
    memcpy(asked, f->asked, sizeof(asked));
    f->asked_count = 0;
    for (unsigned i = 0; i < count; i++)
        asked[i]->done(asked[i]);
}

static void keep_lease(struct fleet *fleet, unsigned partition, struct slice key, const uint8_t *proof,
                       uint64_t life_ns)
{
    struct table_fleet *f = self(fleet);
    struct lease_row *row = lease_find(f, key);
    f->leases_kept++;
    if (row && memcmp(row->proof, proof, FLEET_PROOF_BYTES) == 0)
        row->left_ns = life_ns;
}

static void rest(struct table_fleet *f, struct slice key, uint64_t rest_ns)
{
    lease_end(f, key);
    if (!rest_ns)
        return;
    struct lease_row *row = lease_add(f, key);
    row->rests = true;
    row->left_ns = rest_ns;
}

static void drop_lease(struct fleet *fleet, unsigned partition, struct slice key, const uint8_t *proof,
                       uint64_t rest_ns)
{
    struct table_fleet *f = self(fleet);
    struct lease_row *row = lease_find(f, key);
    if (row && memcmp(row->proof, proof, FLEET_PROOF_BYTES) == 0)
        rest(f, key, rest_ns);
}

/* Another host holds it. */
void table_fleet_lease(struct table_fleet *f, const char *key, uint64_t left_ns)
{
    lease_add(f, slice_text(key))->left_ns = left_ns;
}

void table_fleet_lease_ends(struct table_fleet *f, const char *key, uint64_t rest_ns)
{
    rest(f, slice_text(key), rest_ns);
    f->fleet.heard(f->fleet.heard_user, shm_partition(slice_text(key), f->view.partitions), slice_text(key));
}

/* ======= changes ======= */

static enum fleet_outcome condition_of(struct table_fleet *f, const struct fleet_change *c)
{
    const struct fleet_row *row = c->entry ? row_find(f, c->entry->key) : NULL;
    switch (c->condition) {
    case FLEET_IF_ABSENT: return row ? FLEET_EXISTS : FLEET_COMMITTED;
    case FLEET_IF_PRESENT: return row ? FLEET_COMMITTED : FLEET_NOT_FOUND;
    case FLEET_IF_VERSION:
        if (!row)
            return FLEET_NOT_FOUND;
        return row->entry.v == c->expected_v && row->entry.id == c->expected_id &&
                       !(c->expected_fresh && row->entry.stale)
                   ? FLEET_COMMITTED
                   : FLEET_CONFLICT;
    default: return FLEET_COMMITTED;
    }
}

/* Did anything happen to the key or a name of the entry above v? */
static bool changed_since(const struct table_fleet *f, const struct fleet_change *c, uint64_t v)
{
    for (unsigned i = 0; i < f->journal_count; i++) {
        const struct journal_row *row = &f->journal[i];
        uint64_t tag = shm_hash_name(f->hash_secret, SHM_NAME_TAG, slice_text(row->tag));
        if (row->partition == c->partition && row->v > v &&
            (row->all || slice_equal(slice_text(row->key), c->entry->key) || has_tag(c->entry, tag)))
            return true;
    }
    return false;
}

static bool fill_is_late(struct table_fleet *f, const struct fleet_change *c)
{
    const struct lease_row *lease = lease_find(f, c->entry->key);
    const struct fleet_row *row = row_find(f, c->entry->key);
    if (c->beside && row && !row->entry.stale)
        return true;
    if (!c->proof)
        return changed_since(f, c, c->since_v);
    return !lease || memcmp(lease->proof, c->proof, FLEET_PROOF_BYTES) != 0 || changed_since(f, c, lease->v);
}

static void commit_store(struct table_fleet *f, struct fleet_change *c)
{
    bool fill_of_absent = c->verb == FLEET_FILL && !row_find(f, c->entry->key);
    bool late = c->verb == FLEET_FILL && fill_is_late(f, c);
    c->outcome = late ? FLEET_REFUSED : condition_of(f, c);
    c->v = f->newest[c->partition];
    if (c->outcome != FLEET_COMMITTED)
        return;
    c->v =
        fill_of_absent ? f->newest[c->partition] : next_v(f, c->partition, c->entry->key, slice_of(NULL, 0));
    lease_end(f, c->entry->key);
    if (c->remove)
        row_remove(f, c->entry->key);
    else
        row_store(f, c->entry, c->partition, c->v);
    if (!c->remove)
        row_tag(row_find(f, c->entry->key), c->tags, c->tags_count);
}

static void commit_touch(struct table_fleet *f, struct fleet_change *c)
{
    struct fleet_row *row = row_find(f, c->entry->key);
    c->outcome = row ? FLEET_COMMITTED : FLEET_NOT_FOUND;
    if (!row)
        return;
    row->entry.hard_ns = c->hard_ns = c->entry->hard_ns;
    row->entry.soft_ns = c->soft_ns = c->entry->soft_ns;
    c->v = row->entry.v;
    c->id = row->entry.id;
}

static void commit_invalidate(struct table_fleet *f, struct fleet_change *c)
{
    unsigned items = c->keys_count + c->tags_count + c->prefixes_count + c->all;
    f->largest = items > f->largest ? items : f->largest;
    CHECK(items <= FLEET_ITEMS_MAX);
    for (unsigned i = 0; i < c->keys_count; i++) {
        row_remove(f, c->keys[i]);
        lease_end(f, c->keys[i]);
    }
    for (unsigned i = 0; i < c->tags_count; i++)
        kill_tag(f, c->partition, c->tags[i]);
    c->v = next_v(f, c->partition, first_of(c->keys, c->keys_count), first_of(c->tags, c->tags_count));
    f->journal[f->journal_count - 1].all = c->all || c->prefixes_count;
    if (c->all || c->prefixes_count)
        kill_all(f, c->partition);
}

static void judge(struct table_fleet *f, struct fleet_change *c)
{
    c->epoch = f->view.of[c->partition].epoch;
    c->outcome = f->outcome;
    if (c->outcome != FLEET_COMMITTED)
        return;
    switch (c->verb) {
    case FLEET_SET:
    case FLEET_FILL: commit_store(f, c); break;
    case FLEET_TOUCH: commit_touch(f, c); break;
    case FLEET_INVALIDATE: commit_invalidate(f, c); break;
    }
    struct fleet_partition *shown = &f->view.of[c->partition];
    shown->seen = c->v > shown->seen ? c->v : shown->seen;
}

static int commit(struct fleet *fleet, struct fleet_change *c)
{
    struct table_fleet *f = self(fleet);
    f->commits++;
    if (f->view.mode == SHM_DETACHED) {
        c->outcome = FLEET_AWAY;
        return FLEET_DONE;
    }
    if (f->slow_commits) { /* judged at once, since what its pointers point to goes now; counted and told later */
        CHECK(f->changes_count < FLEET_WAITING);
        f->changes[f->changes_count++] = c;
    }
    judge(f, c);
    return f->slow_commits ? FLEET_PENDING : FLEET_DONE;
}

void table_fleet_tell_answers(struct table_fleet *f)
{
    struct fleet_change *changes[FLEET_WAITING];
    unsigned count = f->changes_count;
    memcpy(changes, f->changes, sizeof(changes));
    f->changes_count = 0;
    for (unsigned i = 0; i < count; i++)
        changes[i]->done(changes[i]);
}

static int queue(struct fleet *fleet, const struct fleet_change *c)
{
    (void)c;
    self(fleet)->queued++;
    return self(fleet)->outbox_lost ? TIER_UNSTORED : TIER_DONE;
}

static void forgot(struct fleet *fleet, unsigned partition, uint64_t v)
{
    (void)fleet;
    (void)partition;
    (void)v;
}

static void measure_fleet(struct fleet *fleet, struct fleet_figures *ret)
{
    *ret = (struct fleet_figures){.connected = self(fleet)->view.mode == SHM_FRESH};
}

/* ======= reads ======= */

static int read_store(struct table_fleet *f, struct tier_read *read, struct fleet_row *ret)
{
    unsigned partition = shm_partition(read->key, f->view.partitions);
    const struct fleet_row *row = row_find(f, read->key);
    bool here = row && row->entry.epoch == f->view.of[partition].epoch && read->now_ns < row->entry.hard_ns;
    struct fleet_partition *shown = &f->view.of[partition];
    read->at_v = f->newest[partition];
    shown->seen = read->at_v > shown->seen ? read->at_v : shown->seen;
    read->reason = MISS_COLD;
    if (!here)
        return TIER_MISSED;
    if (read->known.given && read->known.v == row->entry.v && read->known.id == row->entry.id)
        return TIER_SAME;
    *ret = *row;
    return TIER_FOUND;
}

static int get(struct tier *tier, struct tier_read *read)
{
    struct table_fleet *f = CONTAINER_OF(tier, struct table_fleet, tier);
    struct fleet_row found = {0};
    f->gets++;
    f->compared += read->known.given;
    f->exact += read->exact;
    if (f->view.mode == SHM_DETACHED) {
        read->reason = MISS_DETACHED;
        return TIER_MISSED;
    }
    CHECK(f->reads_count < FLEET_WAITING);
    int outcome = read_store(f, read, &found);
    struct waiting_read *w = &f->reads[f->reads_count];
    *w = (struct waiting_read){read, outcome, found};
    if (f->slow_reads) {
        f->reads_count++;
        return TIER_PENDING;
    }
    point(&w->found);
    read->entry = w->found.entry;
    if (f->large.size)
        read->entry.value = f->large;
    return outcome;
}

void table_fleet_answer_reads(struct table_fleet *f)
{
    struct waiting_read reads[FLEET_WAITING];
    unsigned count = f->reads_count;
    memcpy(reads, f->reads, sizeof(reads));
    f->reads_count = 0;
    for (unsigned i = 0; i < count; i++) {
        point(&reads[i].found);
        reads[i].read->entry = reads[i].found.entry;
        reads[i].read->done(reads[i].read, reads[i].outcome);
    }
}

static void measure_tier(struct tier *tier, struct tier_figures *ret)
{
    (void)tier;
    *ret = (struct tier_figures){.available = true};
}

/* ======= other hosts ======= */

static uint64_t put_row(struct table_fleet *f, const char *key, const char *value, uint64_t hard_ns,
                        uint64_t v)
{
    struct entry e = {.key = slice_text(key),
                      .key_hash = shm_hash_key(f->hash_secret, slice_text(key)),
                      .value = slice_text(value),
                      .id = 77,
                      .hard_ns = hard_ns,
                      .soft_ns = hard_ns};
    lease_end(f, e.key);
    row_store(f, &e, shm_partition(e.key, f->view.partitions), v);
    return v;
}

uint64_t table_fleet_set(struct table_fleet *f, const char *key, const char *value, uint64_t hard_ns)
{
    unsigned partition = shm_partition(slice_text(key), f->view.partitions);
    return put_row(f, key, value, hard_ns, next_v(f, partition, slice_text(key), slice_of(NULL, 0)));
}

uint64_t table_fleet_fill(struct table_fleet *f, const char *key, const char *value, uint64_t hard_ns)
{
    return put_row(f, key, value, hard_ns, f->newest[shm_partition(slice_text(key), f->view.partitions)]);
}

uint64_t table_fleet_remove(struct table_fleet *f, const char *key)
{
    row_remove(f, slice_text(key));
    lease_end(f, slice_text(key));
    return next_v(f, shm_partition(slice_text(key), f->view.partitions), slice_text(key), slice_of(NULL, 0));
}

uint64_t table_fleet_tag(struct table_fleet *f, const char *key, const char *tag)
{
    struct fleet_row *row = row_find(f, slice_text(key));
    struct slice name = slice_text(tag);
    unsigned partition = shm_partition(row->entry.key, f->view.partitions);
    row_tag(row, &name, 1);
    row->entry.tags[0] = shm_hash_name(f->hash_secret, SHM_NAME_TAG, name);
    row->entry.tags_count = 1;
    row->entry.id++;
    return row->entry.v = next_v(f, partition, row->entry.key, slice_of(NULL, 0));
}

void table_fleet_soften(struct table_fleet *f, const char *key)
{
    row_find(f, slice_text(key))->entry.stale = true;
}

uint64_t table_fleet_kill(struct table_fleet *f, unsigned partition, const char *tag)
{
    kill_tag(f, partition, slice_text(tag));
    return next_v(f, partition, slice_of(NULL, 0), slice_text(tag));
}

/* ======= the journal ======= */

static void hear(struct table_fleet *f, const struct journal_row *row)
{
    struct slice key = slice_text(row->key), tag = slice_text(row->tag);
    struct fleet_record record = {.v = row->v,
                                  .keys = &key,
                                  .keys_count = key.size > 0,
                                  .tags = &tag,
                                  .tags_count = tag.size > 0,
                                  .all = row->all};
    struct fleet_partition *shown = &f->view.of[row->partition];
    shown->seen = row->v > shown->seen ? row->v : shown->seen;
    cache_fleet_record(f->cache, row->partition, &record);
    shown->applied = row->v;
    cache_fleet_applied(f->cache, row->partition);
}

void table_fleet_hear(struct table_fleet *f)
{
    while (f->journal_told < f->journal_count)
        hear(f, &f->journal[f->journal_told++]);
}

void table_fleet_gap(struct table_fleet *f)
{
    f->journal_told = f->journal_count;
    for (unsigned p = 0; p < f->view.partitions; p++) {
        struct fleet_partition *shown = &f->view.of[p];
        if (shown->applied == f->newest[p])
            continue;
        shown->applied = shown->seen = shown->floor = f->newest[p];
        cache_fleet_gap(f->cache, p, shown->floor);
    }
}

void table_fleet_epoch(struct table_fleet *f, uint64_t epoch)
{
    f->journal_told = f->journal_count;
    for (unsigned p = 0; p < f->view.partitions; p++) {
        f->newest[p] = 0;
        f->view.of[p] =
            (struct fleet_partition){.epoch = epoch, .fresh_until_ns = f->view.of[p].fresh_until_ns};
        cache_fleet_epoch(f->cache, p);
    }
}

/* ======= the link ======= */

void table_fleet_fresh(struct table_fleet *f, uint64_t until_ns)
{
    f->view.mode = SHM_FRESH;
    f->view.session++;
    for (unsigned p = 0; p < f->view.partitions; p++)
        f->view.of[p].fresh_until_ns = until_ns;
}

void table_fleet_lose(struct table_fleet *f, uint64_t serve_until_ns, uint64_t spread_ns)
{
    f->view.mode = SHM_DETACHED;
    f->view.session++;
    f->view.serve_until_ns = serve_until_ns;
    f->view.serve_spread_ns = spread_ns;
    for (unsigned p = 0; p < f->view.partitions; p++)
        f->view.of[p].fresh_until_ns = 0;
}

void table_fleet_init(struct table_fleet *f, unsigned partitions, uint64_t epoch, uint64_t hash_secret)
{
    static const struct fleet_ops fleet_ops = {.commit = commit,
                                               .lease = ask_lease,
                                               .lease_keep = keep_lease,
                                               .lease_drop = drop_lease,
                                               .queue = queue,
                                               .forgot = forgot,
                                               .measure = measure_fleet};
    static const struct tier_ops tier_ops = {.name = TIER_L2, .get = get, .measure = measure_tier};
    memset(f, 0, sizeof(*f));
    f->tier.ops = &tier_ops;
    f->fleet = (struct fleet){.ops = &fleet_ops, .view = &f->view, .tier = &f->tier};
    f->view.partitions = partitions;
    f->hash_secret = hash_secret;
    for (unsigned p = 0; p < partitions; p++)
        f->view.of[p].epoch = epoch;
}
