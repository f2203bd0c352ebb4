/* What stands for the node of l2/ in the model: questions of the membership and of the cache become messages, and
 * answers calls. */
#include "base/tag_names.h"
#include "tests/model/fleet_host.h"

/* ======= sending ======= */

static void io_connect(void *io)
{
    struct host *h = io;
    h->link.wanted = true;
}

static void io_close(void *io)
{
    link_close(io);
}

static uint64_t epoch_of(const struct host *h, unsigned partition)
{
    return coherence_view(h->coherence)->of[partition].epoch;
}

static void io_hello(void *io, unsigned partition)
{
    CHECK(link_send(io, CHANNEL_CONTROL, (struct message){.ask = ASK_HELLO, .partition = partition}));
}

static void io_fence(void *io, unsigned partition)
{
    CHECK(link_send(
        io, CHANNEL_CONTROL,
        (struct message){.ask = ASK_FENCE, .partition = partition, .epoch = epoch_of(io, partition)}));
}

static void io_tail(void *io, unsigned partition, uint64_t after_v)
{
    struct host *h = io;
    h->link.tailing[partition] = true;
    h->link.cursor[partition] = after_v;
}

static bool io_send(void *io, struct fleet_change *change)
{
    static const enum ask asks[] = {[FLEET_SET] = ASK_SET,
                                    [FLEET_FILL] = ASK_FILL,
                                    [FLEET_TOUCH] = ASK_TOUCH,
                                    [FLEET_INVALIDATE] = ASK_INVALIDATE};
    struct host *h = io;
    struct message m = {.ask = asks[change->verb],
                        .partition = change->partition,
                        .op = calling_op,
                        .epoch = epoch_of(h, change->partition),
                        .since_v = change->since_v,
                        .condition = change->condition,
                        .expected_epoch = change->expected_epoch,
                        .expected_v = change->expected_v,
                        .expected_id = change->expected_id,
                        .again = change->again,
                        .expected_fresh = change->expected_fresh,
                        .remove = change->remove,
                        .names = names_of(change),
                        .change = change};
    if (change->verb != FLEET_INVALIDATE) {
        m.key = model_key(change->entry->key);
        m.id = change->entry->id;
        m.left_ns = change->entry->hard_ns - clock_of(h);
    }
    if (change->verb == FLEET_SET || change->verb == FLEET_FILL) {
        memcpy(&m.value, change->entry->value.data, change->remove ? 0 : sizeof(m.value));
        m.tags = tags_of(change->tags, change->tags_count);
        m.stale = change->entry->stale;
    }
    if (h->link.requests[CHANNEL_CONTROL].count > QUEUE / 4) /* room for hello and fences */
        return false;
    return link_send(h, CHANNEL_CONTROL, m);
}

const struct coherence_io node_io = {io_connect, io_close, io_hello, io_fence, io_tail, io_send};

/* ======= the tier of the fleet ======= */

static bool ask_read(struct host *h, struct tier_read *read, bool exact)
{
    unsigned p = shm_partition(read->key, redis_partitions());
    struct message m = {.ask = ASK_READ,
                        .partition = p,
                        .epoch = epoch_of(h, p),
                        .key = model_key(read->key),
                        .exact = exact,
                        .session = coherence_view(h->coherence)->session,
                        .read = read};
    return link_send(h, CHANNEL_DATA, m);
}

static int fleet_get(struct tier *t, struct tier_read *read)
{
    struct host *h = CONTAINER_OF(t, struct host, l2_tier);
    read->reason = MISS_SUSPECT;
    if (h->dying)
        return TIER_MISSED;
    coherence_read_noticed(h->coherence, clock_of(h));
    if (!coherence_linked(h->coherence) || !ask_read(h, read, read->known.given || read->exact))
        return TIER_MISSED;
    return TIER_PENDING;
}

static void add_tags(struct entry *e, uint8_t tags, char *room)
{
    struct slice names[TAGS];
    e->tags_count = (uint8_t)names_list(names, tag_texts, tags);
    for (unsigned i = 0; i < e->tags_count; i++)
        e->tags[i] = shm_hash_name(1, SHM_NAME_TAG, names[i]);
    e->tag_names = tag_names_pack(room, names, e->tags_count);
}

void node_read_answered(struct host *h, struct message *m)
{
    struct tier_read *read = m->read;
    if (!coherence_may_believe(h->coherence, m->session, m->partition,
                               m->found ? m->entry_epoch : epoch_of(h, m->partition), m->v)) {
        read->reason = MISS_SUSPECT;
        read->done(read, TIER_MISSED);
        return;
    }
    read->at_v = m->v;
    read->reason = MISS_COLD;
    if (!m->found) {
        read->done(read, TIER_MISSED);
        return;
    }
    if (!RULE(seen_before, false))
        coherence_saw(h->coherence, m->partition, m->v > m->entry_v ? m->v : m->entry_v);
    if (!m->exact && !coherence_knows_kills(h->coherence, m->partition, m->entry_v, m->v, clock_of(h))) {
        if (!ask_read(h, read, true))
            read->done(read, TIER_MISSED);
        return;
    }
    bool same = read->known.given && read->known.epoch == m->entry_epoch && read->known.v == m->entry_v &&
                read->known.id == m->entry_id;
    uint64_t end_ns = clock_of(h) + m->left_ns - (world_ns - m->sent_ns); /* counted from the sending */
    char room[TAG_NAMES_MAX];
    read->entry = (struct entry){.key = slice_text(key_texts[m->key]),
                                 .key_hash = read->key_hash,
                                 .epoch = m->entry_epoch,
                                 .v = m->entry_v,
                                 .id = m->entry_id,
                                 .hard_ns = end_ns,
                                 .soft_ns = end_ns,
                                 .stale = m->stale};
    add_tags(&read->entry, m->tags, room);
    model_value_into(&read->entry, &m->value);
    read->done(read, same ? TIER_SAME : TIER_FOUND);
}

static void fleet_measure_tier(struct tier *t, struct tier_figures *ret)
{
    *ret = (struct tier_figures){.available = true};
}

const struct tier_ops node_tier_ops = {.name = TIER_L2, .get = fleet_get, .measure = fleet_measure_tier};

static struct host *host_of_fleet(struct fleet *f)
{
    return CONTAINER_OF(f, struct host, fleet);
}

static int fleet_commit(struct fleet *f, struct fleet_change *change)
{
    struct host *h = host_of_fleet(f);
    if (!h->dying)
        return coherence_commit(h->coherence, change);
    change->outcome = FLEET_AWAY;
    return FLEET_DONE;
}

static int fleet_queue(struct fleet *f, const struct fleet_change *change)
{
    struct host *h = host_of_fleet(f);
    unsigned op = calling_op;
    calling_op = 0; /* what is sent now is nobody's */
    int kept = h->dying ? TIER_UNSTORED : coherence_queue(h->coherence, change);
    calling_op = op;
    return kept;
}

static void fleet_forgot(struct fleet *f, unsigned partition, uint64_t v)
{
    coherence_forgot(host_of_fleet(f)->coherence, partition, v);
}

static void fleet_measure(struct fleet *f, struct fleet_figures *ret)
{
    coherence_measure(host_of_fleet(f)->coherence, ret);
}

const struct fleet_ops node_fleet_ops = {
    .commit = fleet_commit, .queue = fleet_queue, .forgot = fleet_forgot, .measure = fleet_measure};
