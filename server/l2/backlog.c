#include "l2/backlog.h"

#include <stdlib.h>
#include <uthash.h>
#include "base/check.h"
#include "base/list.h"
#include "l2/rules.h"

/* One name: partition, kind and its bytes are how the outbox keeps it, and how equals are found.  The kinds are those
 * of the journal: k key, t tag, p prefix, g glob, a all; upper case: soft. */
struct item {
    struct list node; /* in its partition, by number */
    uint64_t number;
    int kept; /* what the outbox said */
    bool on_its_way, hashed;
    UT_hash_handle hh;
    uint32_t size;
    char bytes[]; /* partition 1, kind 1, name */
};

enum { BYTES_PARTITION, BYTES_KIND, BYTES_NAME };

struct backlog {
    struct outbox *outbox;
    struct item *waiting;                 /* the hash of those not on their way */
    struct list of[FLEET_PARTITIONS_MAX]; /* first those on their way, then those that wait */
    unsigned partitions;
    uint64_t count, bytes, count_max, number;
};

static struct item *item_of(struct list *node)
{
    return CONTAINER_OF(node, struct item, node);
}

static char kind_of(const struct item *item)
{
    return item->bytes[BYTES_KIND];
}

static bool is_soft(const struct item *item)
{
    return kind_of(item) < 'a';
}

static struct slice name_of(const struct item *item)
{
    return slice_of(item->bytes + BYTES_NAME, item->size - BYTES_NAME);
}

/* ======= one item in, one item out ======= */

static struct item *append(struct backlog *b, uint64_t number, struct slice bytes)
{
    struct item *item = must_alloc(sizeof(*item) + bytes.size);
    item->number = number;
    item->size = (uint32_t)bytes.size;
    memcpy(item->bytes, bytes.data, bytes.size);
    list_append(&b->of[(uint8_t)item->bytes[BYTES_PARTITION]], &item->node);
    HASH_ADD(hh, b->waiting, bytes, item->size, item);
    item->hashed = true;
    b->count++;
    b->bytes += item->size;
    return item;
}

static void unhash(struct backlog *b, struct item *item)
{
    if (item->hashed)
        HASH_DEL(b->waiting, item);
    item->hashed = false;
}

static void drop(struct backlog *b, struct item *item)
{
    unhash(b, item);
    list_remove(&item->node);
    b->count--;
    b->bytes -= item->size;
    free(item);
}

static struct item *find(struct backlog *b, struct slice bytes)
{
    struct item *item;
    HASH_FIND(hh, b->waiting, bytes.data, bytes.size, item);
    return item;
}

/* The outbox may forget what is before the oldest that is left. */
static void forget_done(struct backlog *b)
{
    uint64_t oldest = b->number + 1;
    for (unsigned p = 0; p < b->partitions; p++) {
        struct list *first = list_first(&b->of[p]);
        if (first && item_of(first)->number < oldest)
            oldest = item_of(first)->number;
    }
    if (b->outbox)
        b->outbox->ops->drop_up_to(b->outbox, oldest - 1);
}

/* ======= adding ======= */

static int keep(struct backlog *b, struct slice bytes)
{
    struct item *item = append(b, ++b->number, bytes);
    item->kept = b->outbox ? b->outbox->ops->keep(b->outbox, item->number, bytes) : TIER_UNSTORED;
    return item->kept;
}

static struct slice everything_of(unsigned partition, char room[2])
{
    room[BYTES_PARTITION] = (char)partition;
    room[BYTES_KIND] = 'a';
    return slice_of(room, 2);
}

/* It is kept before what it stands for is forgotten. */
static int keep_everything(struct backlog *b, unsigned partition)
{
    char room[2];
    struct item *stands = find(b, everything_of(partition, room));
    if (stands)
        return stands->kept;
    int kept = keep(b, everything_of(partition, room));
    stands = find(b, everything_of(partition, room));
    LIST_FOR_SAFE(node, &b->of[partition])
    if (item_of(node) != stands && !item_of(node)->on_its_way)
        drop(b, item_of(node));
    return kept;
}

static void collapse(struct backlog *b)
{
    for (unsigned p = 0; p < b->partitions; p++)
        if (!list_empty(&b->of[p]))
            keep_everything(b, p);
    forget_done(b);
}

static int worse(int a, int b)
{
    static const int badness[] = {[TIER_DONE] = 0, [TIER_UNSAFE] = 1, [TIER_UNSTORED] = 2};
    return badness[a] >= badness[b] ? a : b;
}

static int add_name(struct backlog *b, const struct fleet_change *change, char kind, struct slice name)
{
    char bytes[BYTES_NAME + 1024], room[2];
    CHECK(name.size <= sizeof(bytes) - BYTES_NAME);
    bytes[BYTES_PARTITION] = (char)change->partition;
    bytes[BYTES_KIND] = change->soft ? (char)(kind - 'a' + 'A') : kind;
    if (name.size)
        memcpy(bytes + BYTES_NAME, name.data, name.size);
    struct slice all = slice_of(bytes, BYTES_NAME + name.size);
    struct item *same = find(b, everything_of(change->partition, room));
    if (!same)
        same = find(b, all);
    if (same)
        return same->kept;
    if (b->count < b->count_max && b->bytes + all.size <= BACKLOG_BYTES_MAX)
        return keep(b, all);
    collapse(b);
    return keep_everything(b, change->partition);
}

static int add_names(struct backlog *b, const struct fleet_change *change, char kind,
                     const struct slice *names, unsigned count)
{
    int answer = TIER_DONE;
    for (unsigned i = 0; i < count; i++)
        answer = worse(answer, add_name(b, change, kind, names[i]));
    return answer;
}

int backlog_add(struct backlog *b, const struct fleet_change *change)
{
    CHECK(change->verb == FLEET_INVALIDATE && change->partition < b->partitions);
    int answer = change->all ? add_name(b, change, 'a', slice_of("", 0)) : TIER_DONE;
    answer = worse(answer, add_names(b, change, 'k', change->keys, change->keys_count));
    answer = worse(answer, add_names(b, change, 't', change->tags, change->tags_count));
    answer = worse(answer, add_names(b, change, 'p', change->prefixes, change->prefixes_count));
    return worse(answer, add_names(b, change, 'g', change->globs, change->globs_count));
}

/* ======= sending ======= */

struct adder {
    struct backlog_batch *batch;
    uint64_t bytes;
    unsigned count;
};

static bool fits(const struct adder *a, const struct item *item)
{
    bool same_kind = a->count == 0 || is_soft(item) == a->batch->change.soft;
    return same_kind && a->count < BACKLOG_BATCH && a->bytes + item->size <= BACKLOG_BATCH_BYTES;
}

static void put_into(struct adder *a, const struct item *item)
{
    struct fleet_change *change = &a->batch->change;
    switch (kind_of(item) | ('a' - 'A')) {
    case 'k': a->batch->keys[change->keys_count++] = name_of(item); break;
    case 't': a->batch->tags[change->tags_count++] = name_of(item); break;
    case 'p': a->batch->prefixes[change->prefixes_count++] = name_of(item); break;
    case 'g': a->batch->globs[change->globs_count++] = name_of(item); break;
    default: change->all = true; break;
    }
    change->soft = is_soft(item);
    a->bytes += item->size;
    a->count++;
}

static struct adder begin_batch(struct backlog_batch *batch, unsigned partition)
{
    batch->change = (struct fleet_change){.verb = FLEET_INVALIDATE,
                                          .partition = partition,
                                          .keys = batch->keys,
                                          .tags = batch->tags,
                                          .prefixes = batch->prefixes,
                                          .globs = batch->globs};
    return (struct adder){.batch = batch};
}

bool backlog_next(struct backlog *b, unsigned partition, struct backlog_batch *ret)
{
    struct adder adder = begin_batch(ret, partition);
    LIST_FOR(node, &b->of[partition])
    {
        struct item *item = item_of(node);
        CHECK(!item->on_its_way); /* one batch of a partition at a time */
        if (!fits(&adder, item))
            break;
        put_into(&adder, item);
        item->on_its_way = true;
        unhash(b, item);
    }
    return adder.count > 0;
}

void backlog_sent(struct backlog *b, unsigned partition, struct backlog_batch *ret)
{
    struct adder adder = begin_batch(ret, partition);
    LIST_FOR(node, &b->of[partition])
    {
        if (!item_of(node)->on_its_way)
            break;
        put_into(&adder, item_of(node));
    }
}

void backlog_answered(struct backlog *b, unsigned partition)
{
    struct list *first;
    while ((first = list_first(&b->of[partition])) && item_of(first)->on_its_way)
        drop(b, item_of(first));
    forget_done(b);
}

void backlog_returned(struct backlog *b, unsigned partition)
{
    LIST_FOR(node, &b->of[partition])
    {
        struct item *item = item_of(node);
        if (!item->on_its_way)
            break;
        item->on_its_way = false;
        if (find(b, slice_of(item->bytes, item->size)))
            continue;
        HASH_ADD(hh, b->waiting, bytes, item->size, item);
        item->hashed = true;
    }
}

/* ======= the whole ======= */

uint64_t backlog_count(const struct backlog *b)
{
    return b->count;
}

bool backlog_empty(const struct backlog *b, unsigned partition)
{
    return list_empty(&b->of[partition]);
}

/* From an earlier run.  A partition there is no more was one of another division of the keys: its invalidations are
 * sent somewhere rather than lost. */
static void take_over(void *user, uint64_t number, struct slice bytes)
{
    struct backlog *b = user;
    char room[BYTES_NAME + 1024];
    b->number = number > b->number ? number : b->number;
    if (bytes.size < BYTES_NAME || bytes.size > sizeof(room))
        return;
    memcpy(room, bytes.data, bytes.size);
    room[BYTES_PARTITION] = (char)((uint8_t)room[BYTES_PARTITION] % b->partitions);
    if (!find(b, slice_of(room, bytes.size)))
        append(b, number, slice_of(room, bytes.size))->kept = TIER_DONE;
}

struct backlog *backlog_create(unsigned partitions, uint64_t items_max, struct outbox *outbox)
{
    struct backlog *b = must_alloc(sizeof(*b));
    b->partitions = partitions;
    b->count_max = items_max;
    b->outbox = outbox;
    for (unsigned p = 0; p < FLEET_PARTITIONS_MAX; p++)
        list_init(&b->of[p]);
    if (outbox)
        outbox->ops->each(outbox, take_over, b);
    return b;
}

struct backlog *backlog_destroy(struct backlog *b)
{
    if (!b)
        return NULL;
    for (unsigned p = 0; p < b->partitions; p++)
        LIST_FOR_SAFE(node, &b->of[p])
    drop(b, item_of(node));
    free(b);
    return NULL;
}
