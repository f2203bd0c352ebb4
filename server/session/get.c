/* GET: one key or many; and what LEASE answers like it.
 *
 * An answer of the cache borrows its value from a tier until the next call: it is encoded at once.  For one key that
 * means straight into the connection's output; for many, into r->reply as they come, put in order at the end. */
#include "session/session_private.h"

#include "base/tag_names.h"

enum {
    ENTRY_ROOM =
        128,      /* an encoded entry without value and tags, numbers at their longest, token included: 128 */
    TAG_ROOM = 3, /* the head of a tag, beside its bytes */
    HEAD_ROOM = 32, /* array heads, code, id */
};

_Static_assert(WIRE_BATCH_MAX *ENTRY_ROOM + HEAD_ROOM <= FRAME_VALUE_ROOM + WIRE_FRAME_ROOM,
               "a batch of answers without values fits into a frame");

static uint64_t left_ms(uint64_t until_ns, uint64_t now_ns)
{
    return until_ns > now_ns ? (until_ns - now_ns) / 1000000 : 0;
}

static uint8_t entry_flags(const struct cache_get *g)
{
    return (uint8_t)((g->entry.stale ? WIRE_ENTRY_STALE : 0) | (g->entry.local ? WIRE_ENTRY_LOCAL : 0) |
                     (g->detached ? WIRE_ENTRY_DETACHED : 0) |
                     (g->too_big_for_l1 ? WIRE_ENTRY_TOO_BIG_FOR_L1 : 0));
}

struct wire_entry values_entry(const struct cache_get *g, bool no_value)
{
    struct wire_entry w = {.status = (uint8_t)g->status};
    if (g->status == STATUS_MISS) {
        w.reason = (uint8_t)g->reason;
        w.token = slice_of(g->token, g->token_bytes);
    } else if (!status_is_error(g->status)) {
        const struct entry *e = &g->entry;
        w.tier = (uint8_t)g->tier;
        w.flags = entry_flags(g);
        w.user_flags = e->user_flags;
        w.schema = e->schema;
        w.ttl_ms = left_ms(e->hard_ns, g->now_ns);
        w.fresh_ms = e->stale ? 0 : left_ms(e->soft_ns, g->now_ns);
        w.epoch = e->epoch;
        w.v = e->v;
        w.id = e->id;
        if (g->status == STATUS_HIT && !no_value)
            w.value = e->value;
    }
    return w;
}

struct wire_operation values_line(const struct wire_entry *w, const struct cache_get *g)
{
    return (struct wire_operation){.status = w->status,
                                   .reason = w->reason,
                                   .tier = w->tier,
                                   .flags = w->flags,
                                   .bytes = w->status == STATUS_HIT ? g->entry.value.size : 0,
                                   .ttl_ms = w->ttl_ms};
}

static void drop_value(struct wire_entry *w, enum status status)
{
    *w = (struct wire_entry){.status = (uint8_t)status};
}

/* A value that a loader brought just now was in no tier when it was asked for. */
static void reached(struct request *r, const struct wire_entry *w)
{
    uint8_t reach = status_is_error(w->status) ? REACH_NOWHERE : w->tier ? w->tier : REACH_MISS;
    if (reach > r->reach)
        r->reach = reach;
}

/* A bound connection is told those of its tenant, as it named them.  False: there are others, and who stored the entry
 * again without them would keep it from their kills. */
static bool add_tags(const struct session *s, const struct cache_get *g, struct slice *room,
                     struct wire_entry *w)
{
    struct slice rest = g->entry.tag_names, name;
    w->tags = (struct wire_strings){.items = room};
    while (w->tags.count < SHM_TAGS_MAX && tag_names_next(&rest, &name)) {
        if (!tenant_owns(s, name))
            return false;
        room[w->tags.count++] =
            slice_of((const char *)name.data + s->tenant_bytes, name.size - s->tenant_bytes);
    }
    return true;
}

static size_t tags_bytes(const struct wire_entry *w)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < w->tags.count; i++)
        bytes += TAG_ROOM + w->tags.items[i].size;
    return bytes;
}

/* ======= one key ======= */

/* A peer that does not read is not read either, so only answers that come late can meet this bound. */
static bool room_to_send(const struct session *s)
{
    return stream_unsent(s->stream) <= s->all->host.options->write_kill;
}

/* False: it was told something else. */
static bool reply_one(struct request *r, struct wire_entry *w)
{
    uint8_t status = w->status;
    reached(r, w);
    if (w->value.size + tags_bytes(w) + ENTRY_ROOM + HEAD_ROOM > r->session->frame_max)
        drop_value(w, STATUS_TOO_BIG); /* stored when the limit was another one */
    else if (!room_to_send(r->session))
        drop_value(w, STATUS_BUSY);
    struct wire_values values = {.entries = {.count = 1, .items = w}};
    int written = wire_write_values(request_out(r), r->id, &values, r->session->frame_max);
    request_wrote(r, written);
    return written == 0 && w->status == status;
}

/* ======= many keys ======= */

static bool fits(const struct request *r, const struct wire_entry *w)
{
    size_t others = (size_t)(r->count - r->known) * ENTRY_ROOM;
    return r->reply.size + w->value.size + tags_bytes(w) + others + HEAD_ROOM <= r->session->frame_max;
}

/* False: it will be told something else. */
static bool note_entry(struct request *r, uint32_t index, struct wire_entry *w)
{
    uint8_t status = w->status;
    reached(r, w);
    if (!fits(r, w))
        drop_value(w, STATUS_ALONE);
    size_t at = r->reply.size;
    CHECK(wire_append_entry(&r->reply, w) == 0);
    r->chunks[index] = (struct chunk){at, r->reply.size - at};
    r->known++;
    return w->status == status;
}

static void fill_holes(struct request *r)
{
    for (uint32_t i = 0; r->known < r->count; i++)
        if (!r->chunks[i].size)
            note_entry(r, i, &(struct wire_entry){.status = STATUS_MISS, .reason = MISS_TIMEOUT});
}

static bool in_order(const struct request *r)
{
    for (uint32_t i = 1; i < r->count; i++)
        if (r->chunks[i].at < r->chunks[i - 1].at)
            return false;
    return true;
}

static int write_in_order(struct request *r, struct wire_values *values)
{
    struct buffer sorted = {.limit = r->reply.size};
    int e = buffer_reserve(&sorted, r->reply.size);
    for (uint32_t i = 0; e == 0 && i < r->count; i++)
        e = buffer_append(&sorted, r->reply.data + r->chunks[i].at, r->chunks[i].size);
    values->entries.raw = slice_of(sorted.data, sorted.size);
    if (e == 0)
        e = wire_write_values(request_out(r), r->id, values, r->session->frame_max);
    buffer_finish(&sorted);
    return e;
}

static void reply_many(struct request *r)
{
    if (!room_to_send(r->session)) {
        request_wrote(r, PACK_E_FULL);
        return;
    }
    struct wire_values values = {
        .entries = {.count = r->count, .raw = slice_of(r->reply.data, r->reply.size)}};
    bool ordered = in_order(r);
    request_wrote(r, ordered ? wire_write_values(request_out(r), r->id, &values, r->session->frame_max)
                             : write_in_order(r, &values));
}

void values_complete(struct request *r)
{
    if (r->count == 1) { /* its deadline has passed: answered otherwise */
        reply_one(r, &(struct wire_entry){.status = STATUS_MISS, .reason = MISS_TIMEOUT});
        return;
    }
    fill_holes(r);
    reply_many(r);
}

bool values_tell(struct request *r, uint32_t index, struct wire_entry *w)
{
    return r->count == 1 ? reply_one(r, w) : note_entry(r, index, w);
}

void values_begin(struct request *r, uint32_t count, bool no_value)
{
    r->count = count;
    r->no_value = no_value;
    if (count != 1)
        r->chunks = request_room(r, count * sizeof(struct chunk));
}

/* ======= keys ======= */

static void key_known(struct op *op)
{
    struct request *r = op->request;
    const struct cache_get *g = &op->get;
    struct slice tags[SHM_TAGS_MAX];
    struct told to;
    struct wire_entry w = values_entry(g, r->no_value);
    request_took_key(r, TIMED_GET, g->policy, g->status);
    bool with_tags = g->tag_names && (w.status == STATUS_HIT || w.status == STATUS_ABSENT);
    if (with_tags && !add_tags(r->session, g, tags, &w))
        w = (struct wire_entry){.status = STATUS_MISS, .reason = MISS_UNNAMED};
    if (told_of(r, g->key, &to))
        tell_key(r, g->key, to, values_line(&w, g));
    if (request_open(r))
        values_tell(r, op->index, &w);
    if (g->due)
        cache_fetch_ahead(r->session->space->cache, g->key);
    op_return(op);
}

static void got(struct cache_get *get)
{
    struct op *op = CONTAINER_OF(get, struct op, get);
    struct request *r = op->request;
    key_known(op);
    request_released(r);
}

void values_denied(struct request *r, uint32_t index, struct slice key)
{
    struct told to;
    if (told_of(r, key, &to))
        tell_key(r, key, to, (struct wire_operation){.status = STATUS_DENIED});
    values_tell(r, index, &(struct wire_entry){.status = STATUS_DENIED});
}

static void start_key(struct request *r, const struct wire_get *m, uint32_t index, struct slice key)
{
    struct session *s = r->session;
    if (!tenant_owns(s, key)) {
        values_denied(r, index, key);
        return;
    }
    struct op *op = op_take(r, index);
    op->get =
        (struct cache_get){.key = key,
                           .tiers = m->tiers,
                           .no_stale = m->flags & WIRE_GET_NO_STALE,
                           .tag_names = m->flags & WIRE_GET_TAGS,
                           .if_version = index == 0 && m->flags & WIRE_GET_IF_VERSION,
                           .version = {m->if_epoch, m->if_v, m->if_id},
                           .schema = m->schema,
                           .not_older = {m->after_v != 0, m->after_partition, m->after_epoch, m->after_v},
                           .tenant = s->counts,
                           .done = got};
    if (op_done_now(op, cache_get(s->space->cache, &op->get)))
        key_known(op);
}

void get_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_get m;
    int e = wire_read_get(fields, head, &m);
    r->complete = values_complete;
    if (e < 0) {
        request_malformed(r, e);
    } else if (!request_too_many(r, m.keys.count, "keys")) {
        r->trace = m.trace;
        values_begin(r, m.keys.count, m.flags & WIRE_GET_NO_VALUE);
        struct reader keys = reader_of(m.keys.raw);
        struct slice key;
        for (uint32_t i = 0; wire_next_string(&keys, &key); i++)
            start_key(r, &m, i, key);
    }
    request_started(r, e < 0 ? 0 : m.timeout_ms);
}
