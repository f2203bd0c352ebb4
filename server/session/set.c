/* SET, TOUCH and TAG: one item or many, each by itself, each with its outcome.
 *
 * An item whose outcome is not known at the deadline is answered UNKNOWN: the cache carries it through. */
#include "session/session_private.h"

static void outcomes_complete(struct request *r)
{
    struct wire_outcomes m = {.outcomes = {.count = r->count, .items = r->outcomes}};
    request_wrote(r, wire_write_outcomes(request_out(r), r->id, &m, r->session->frame_max));
}

static void note(struct request *r, uint32_t index, struct slice key, size_t bytes,
                 struct wire_outcome outcome)
{
    if (request_open(r))
        r->outcomes[index] = outcome;
    struct told to;
    if (told_of(r, key, &to))
        tell_key(r, key, to,
                 (struct wire_operation){.status = outcome.status, .bytes = bytes, .ttl_ms = outcome.ttl_ms});
}

/* Ends an op that a cache had. */
static void known(struct op *op, unsigned policy, struct slice key, size_t bytes, struct wire_outcome outcome)
{
    request_took_key(op->request, TIMED_SET, policy, outcome.status);
    note(op->request, op->index, key, bytes, outcome);
    op_return(op);
}

static struct wire_outcome outcome_of(enum status status, unsigned partition, const struct version *version,
                                      uint64_t ttl_ms)
{
    return (struct wire_outcome){.status = (uint8_t)status,
                                 .ttl_ms = ttl_ms,
                                 .partition = (uint8_t)partition,
                                 .epoch = version->epoch,
                                 .v = version->v,
                                 .id = version->id};
}

/* Room for the outcomes, and behind them `names` bytes for scoped tags. */
static char *outcomes_room(struct request *r, uint32_t count, size_t names)
{
    r->count = count;
    r->outcomes = request_room(r, count * sizeof(struct wire_outcome) + names);
    for (uint32_t i = 0; i < count; i++)
        r->outcomes[i].status = STATUS_UNKNOWN;
    return (char *)(r->outcomes + count);
}

/* ======= set ======= */

static void set_known(struct op *op)
{
    const struct cache_set *set = &op->set;
    known(op, set->policy, set->key, set->value.size,
          outcome_of(set->status, set->partition, &set->result, set->ttl_left_ms));
}

static void was_set(struct cache_set *set)
{
    struct op *op = CONTAINER_OF(set, struct op, set);
    struct request *r = op->request;
    set_known(op);
    request_released(r);
}

static enum cache_condition condition_of(uint32_t flags)
{
    if (flags & WIRE_SET_IF_VERSION)
        return CACHE_IF_VERSION;
    if (flags & WIRE_SET_IF_PRESENT)
        return CACHE_IF_PRESENT;
    return flags & WIRE_SET_IF_ABSENT ? CACHE_IF_ABSENT : CACHE_ALWAYS;
}

static bool known_tag(const struct slice *known, unsigned count, struct slice tag)
{
    for (unsigned i = 0; i < count; i++)
        if (slice_equal(known[i], tag))
            return true;
    return false;
}

/* WIRE_TAGS_MAX at most, without repeats, in the tenant's scope.  False: more than the limit, or one too long. */
static bool take_tags(const struct session *s, const struct wire_strings *list, char **names,
                      struct slice *ret, unsigned *ret_count)
{
    struct reader tags = reader_of(list->raw);
    struct slice tag;
    *ret_count = 0;
    while (wire_next_string(&tags, &tag)) {
        struct slice scoped = tenant_tag(s, tag, names);
        if (scoped.size == 0 || scoped.size > WIRE_TAG_BYTES_MAX)
            return false;
        if (known_tag(ret, *ret_count, scoped))
            continue;
        if (*ret_count == WIRE_TAGS_MAX)
            return false;
        ret[(*ret_count)++] = scoped;
    }
    return true;
}

static void start_item(struct request *r, const struct wire_set *m, uint32_t index,
                       const struct wire_item *item, char **names)
{
    struct session *s = r->session;
    struct op *op = op_take(r, index);
    unsigned tags_count;
    bool tags_fit = take_tags(s, &item->tags, names, op->tags, &tags_count);
    if (!tags_fit || !tenant_owns(s, item->key)) {
        note(r, index, item->key, 0,
             (struct wire_outcome){.status = tags_fit ? STATUS_DENIED : STATUS_LIMIT});
        op_return(op);
        return;
    }
    op->set = (struct cache_set){.key = item->key,
                                 .value = item->value,
                                 .ttl_ms = item->ttl_ms,
                                 .stale_ms = item->stale_ms,
                                 .user_flags = item->user_flags,
                                 .schema = item->schema,
                                 .absent = item->absent,
                                 .tags = op->tags,
                                 .tags_count = tags_count,
                                 .token = item->token,
                                 .condition = condition_of(m->flags),
                                 .version = {item->if_epoch, item->if_v, item->if_id},
                                 .tiers = m->tiers,
                                 .tenant = s->counts,
                                 .wait_all = m->flags & WIRE_SET_WAIT_ALL,
                                 .done = was_set};
    if (op_done_now(op, cache_set(s->space->cache, &op->set)))
        set_known(op);
}

static size_t names_bytes(const struct session *s, const struct wire_set *m)
{
    if (!s->tenant_bytes)
        return 0;
    struct reader items = reader_of(m->items.raw);
    struct wire_item item;
    size_t bytes = 0;
    while (wire_next_item(&items, &item))
        bytes += tenant_tags_bytes(s, &item.tags);
    return bytes;
}

static bool flags_contradict(struct request *r, uint32_t flags)
{
    uint32_t conditions = flags & (WIRE_SET_IF_ABSENT | WIRE_SET_IF_PRESENT | WIRE_SET_IF_VERSION);
    if ((conditions & (conditions - 1)) == 0)
        return false;
    request_answer(r, STATUS_BAD_REQUEST, "set: more than one condition");
    return true;
}

void set_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_set m;
    int e = wire_read_set(fields, head, &m);
    r->complete = outcomes_complete;
    if (e < 0) {
        request_malformed(r, e);
    } else if (!request_too_many(r, m.items.count, "items") && !flags_contradict(r, m.flags)) {
        r->trace = m.trace;
        char *names = outcomes_room(r, m.items.count, names_bytes(r->session, &m));
        struct reader items = reader_of(m.items.raw);
        struct wire_item item;
        for (uint32_t i = 0; wire_next_item(&items, &item); i++)
            start_item(r, &m, i, &item, &names);
    }
    request_started(r, e < 0 ? 0 : m.timeout_ms);
}

/* ======= touch ======= */

static void touch_known(struct op *op)
{
    const struct cache_touch *touch = &op->touch;
    known(op, touch->policy, touch->key, 0,
          outcome_of(touch->status, touch->partition, &touch->result, touch->ttl_left_ms));
}

static void was_touched(struct cache_touch *touch)
{
    struct op *op = CONTAINER_OF(touch, struct op, touch);
    struct request *r = op->request;
    touch_known(op);
    request_released(r);
}

static void start_touch(struct request *r, const struct wire_touch *m, uint32_t index, struct slice key)
{
    struct session *s = r->session;
    if (!tenant_owns(s, key)) {
        note(r, index, key, 0, (struct wire_outcome){.status = STATUS_DENIED});
        return;
    }
    struct op *op = op_take(r, index);
    op->touch =
        (struct cache_touch){.key = key, .ttl_ms = m->ttl_ms, .stale_ms = m->stale_ms, .done = was_touched};
    if (op_done_now(op, cache_touch(s->space->cache, &op->touch)))
        touch_known(op);
}

void touch_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_touch m;
    int e = wire_read_touch(fields, head, &m);
    r->complete = outcomes_complete;
    if (e < 0) {
        request_malformed(r, e);
    } else if (!request_too_many(r, m.keys.count, "keys")) {
        r->trace = m.trace;
        outcomes_room(r, m.keys.count, 0);
        struct reader keys = reader_of(m.keys.raw);
        struct slice key;
        for (uint32_t i = 0; wire_next_string(&keys, &key); i++)
            start_touch(r, &m, i, key);
    }
    request_started(r, e < 0 ? 0 : m.timeout_ms);
}

/* ======= tag ======= */

static void tag_known(struct op *op)
{
    const struct cache_tag *tag = &op->tag;
    known(op, tag->policy, tag->key, 0,
          outcome_of(tag->status, tag->partition, &tag->result, tag->ttl_left_ms));
}

static void was_tagged(struct cache_tag *tag)
{
    struct op *op = CONTAINER_OF(tag, struct op, tag);
    struct request *r = op->request;
    tag_known(op);
    request_released(r);
}

static void start_tag(struct request *r, uint32_t index, struct slice key, const struct cache_tag *all)
{
    struct session *s = r->session;
    if (!tenant_owns(s, key)) {
        note(r, index, key, 0, (struct wire_outcome){.status = STATUS_DENIED});
        return;
    }
    struct op *op = op_take(r, index);
    op->tag = *all;
    op->tag.key = key;
    if (op_done_now(op, cache_tag(s->space->cache, &op->tag)))
        tag_known(op);
}

/* The tags are the request's: the same for all its keys. */
static void start_tags(struct request *r, const struct wire_tag *m)
{
    size_t room = WIRE_TAGS_MAX * sizeof(struct slice);
    struct slice *tags =
        (void *)outcomes_room(r, m->keys.count, room + tenant_tags_bytes(r->session, &m->tags));
    struct cache_tag all = {.tags = tags, .wait_all = m->flags & WIRE_SET_WAIT_ALL, .done = was_tagged};
    char *names = (char *)tags + room;
    r->trace = m->trace;
    struct reader keys = reader_of(m->keys.raw);
    struct slice key;
    if (!m->tags.count) {
        request_answer(r, STATUS_BAD_REQUEST, "tag: no tag is named");
        return;
    }
    if (!take_tags(r->session, &m->tags, &names, tags, &all.tags_count)) {
        request_answer(r, STATUS_LIMIT, "at most %d tags of 1 to %d bytes", WIRE_TAGS_MAX,
                       WIRE_TAG_BYTES_MAX);
        return;
    }
    for (uint32_t i = 0; wire_next_string(&keys, &key); i++)
        start_tag(r, i, key, &all);
}

void tag_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_tag m;
    int e = wire_read_tag(fields, head, &m);
    r->complete = outcomes_complete;
    if (e < 0)
        request_malformed(r, e);
    else if (!request_too_many(r, m.keys.count, "keys"))
        start_tags(r, &m);
    request_started(r, e < 0 ? 0 : m.timeout_ms);
}
