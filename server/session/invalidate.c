/* INVALIDATE: everything one request names is one change with one count and one position.
 *
 * A bound connection's tags become "tenant:tag", and its "everything" is the prefix "tenant:". */
#include "session/session_private.h"

struct named {
    struct slice *keys, *tags, *prefixes;
    char *names;
};

static void invalidate_complete(struct request *r)
{
    const struct cache_invalidate *i = &r->invalidate;
    bool known = r->known;
    struct wire_result m = {
        .status = (uint8_t)(known ? i->status : STATUS_UNKNOWN),
        .message = slice_text(known ? i->message : "the deadline passed; it goes on"),
        .count = known ? i->count : 0,
        .partition = (uint8_t)(known ? i->partition : 0),
        .epoch = known ? i->result.epoch : 0,
        .v = known ? i->result.v : 0,
    };
    request_wrote(r, wire_write_result(request_out(r), r->id, &m, WIRE_HELLO_FRAME_MAX));
    request_log(r, i->keys_count ? i->keys[0] : slice_of(NULL, 0), m.status, 0, 0);
}

static void invalidated(struct cache_invalidate *invalidate)
{
    struct request *r = CONTAINER_OF(invalidate, struct request, invalidate);
    r->known = 1;
    request_released(r);
}

/* ======= judging the request ======= */

static bool owns_all(struct request *r, const struct wire_strings *list)
{
    struct reader names = reader_of(list->raw);
    struct slice name;
    while (wire_next_string(&names, &name))
        if (!tenant_owns(r->session, name))
            return false;
    return true;
}

static bool acceptable(struct request *r, const struct wire_invalidate *m)
{
    if (request_too_many(r, m->keys.count, "keys") || request_too_many(r, m->tags.count, "tags") ||
        request_too_many(r, m->prefixes.count, "prefixes"))
        return false;
    if (m->globs.count)
        request_answer(r, STATUS_UNSUPPORTED, "invalidating by glob is not known to this daemon");
    else if (!m->keys.count && !m->tags.count && !m->prefixes.count && !(m->flags & WIRE_INVALIDATE_ALL))
        request_answer(r, STATUS_BAD_REQUEST, "names nothing to invalidate");
    else if (!owns_all(r, &m->keys) || !owns_all(r, &m->prefixes))
        request_answer(r, STATUS_DENIED, "this connection is bound to %s", r->session->tenant);
    return request_open(r);
}

/* ======= collecting ======= */

static struct slice *take_strings(const struct wire_strings *list, struct slice *to)
{
    struct reader strings = reader_of(list->raw);
    while (wire_next_string(&strings, to))
        to++;
    return to;
}

static size_t tag_names_bytes(const struct session *s, const struct wire_strings *tags)
{
    struct reader strings = reader_of(tags->raw);
    struct slice tag;
    size_t bytes = 0;
    while (wire_next_string(&strings, &tag))
        bytes += tenant_tag_bytes(s, tag);
    return bytes;
}

static struct named collect(struct request *r, const struct wire_invalidate *m)
{
    const struct session *s = r->session;
    size_t count =
        m->keys.count + m->tags.count + m->prefixes.count + 1; /* one for the tenant's own prefix */
    struct named n = {.keys = request_room(r, count * sizeof(struct slice) + tag_names_bytes(s, &m->tags))};
    n.names = (char *)(n.keys + count);
    n.tags = take_strings(&m->keys, n.keys);
    n.prefixes = take_strings(&m->tags, n.tags);
    for (struct slice *tag = n.tags; tag < n.prefixes; tag++)
        *tag = tenant_tag(s, *tag, &n.names);
    take_strings(&m->prefixes, n.prefixes);
    return n;
}

static void start(struct request *r, const struct wire_invalidate *m)
{
    const struct session *s = r->session;
    struct named n = collect(r, m);
    bool all = m->flags & WIRE_INVALIDATE_ALL;
    unsigned prefixes_count = m->prefixes.count;
    if (all && s->tenant_bytes) {
        n.prefixes[prefixes_count++] = slice_of(s->tenant, s->tenant_bytes);
        all = false;
    }
    r->invalidate = (struct cache_invalidate){.keys = n.keys,
                                              .tags = n.tags,
                                              .prefixes = n.prefixes,
                                              .keys_count = m->keys.count,
                                              .tags_count = m->tags.count,
                                              .prefixes_count = prefixes_count,
                                              .all = all,
                                              .soft = m->flags & WIRE_INVALIDATE_SOFT,
                                              .dry_run = m->flags & WIRE_INVALIDATE_DRY_RUN,
                                              .wait_all = m->flags & WIRE_INVALIDATE_WAIT_ALL,
                                              .done = invalidated};
    if (cache_invalidate(s->space->cache, &r->invalidate) == CACHE_PENDING)
        r->pending++;
    else
        r->known = 1;
}

void invalidate_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_invalidate m;
    int e = wire_read_invalidate(fields, head, &m);
    r->complete = invalidate_complete;
    if (e < 0)
        request_malformed(r, e);
    else if (acceptable(r, &m))
        start(r, &m);
    request_started(r, e < 0 ? 0 : m.timeout_ms);
}
