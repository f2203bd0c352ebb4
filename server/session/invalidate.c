/* INVALIDATE: everything one request names is one change with one count and one position.  EVENT: the configuration names it.
 *
 * A bound connection's tags become "tenant:tag", its "everything" is the prefix "tenant:", and its globs begin so.  A glob
 * that is a prefix, user:42:*, is taken for one: it costs none of the few places for globs, and entries that it does not
 * hit no question. */
#include "session/session_private.h"

struct named {
    struct slice *keys, *tags, *prefixes, *globs;
    unsigned prefixes_count, globs_count;
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
}

static void is_known(struct request *r)
{
    r->known = 1;
    if (r->looked_on)
        tell_invalidate(r);
}

static void invalidated(struct cache_invalidate *invalidate)
{
    struct request *r = CONTAINER_OF(invalidate, struct request, invalidate);
    is_known(r);
    request_released(r);
}

/* r->invalidate has its names. */
static void invalidate_start(struct request *r, uint32_t flags)
{
    r->invalidate.soft = flags & WIRE_INVALIDATE_SOFT;
    r->invalidate.dry_run = flags & WIRE_INVALIDATE_DRY_RUN;
    r->invalidate.wait_all = flags & WIRE_INVALIDATE_WAIT_ALL;
    r->invalidate.done = invalidated;
    if (r->session->tenant_bytes)
        r->invalidate.within = slice_of(r->session->tenant, r->session->tenant_bytes - 1u);
    r->invalidate.by = slice_text(r->session->name);
    r->invalidate.pid = (uint32_t)r->session->peer.pid;
    if (cache_invalidate(r->session->space->cache, &r->invalidate) == CACHE_PENDING)
        r->pending++;
    else
        is_known(r);
}

/* ======= judging the request ======= */

static bool acceptable(struct request *r, const struct wire_invalidate *m)
{
    if (request_too_many(r, m->keys.count, "keys") || request_too_many(r, m->tags.count, "tags") ||
        request_too_many(r, m->prefixes.count, "prefixes") || request_too_many(r, m->globs.count, "globs"))
        return false;
    if (!m->keys.count && !m->tags.count && !m->prefixes.count && !m->globs.count &&
        !(m->flags & WIRE_INVALIDATE_ALL))
        request_answer(r, STATUS_BAD_REQUEST, "names nothing to invalidate");
    else if (!tenant_owns_all(r->session, &m->keys) || !tenant_owns_all(r->session, &m->prefixes) ||
             !tenant_owns_patterns(r->session, &m->globs))
        request_answer(r, STATUS_DENIED, "this connection is bound to %s", r->session->tenant);
    return request_open(r);
}

/* ======= collecting ======= */

struct slice *strings_take(const struct wire_strings *list, struct slice *to)
{
    struct reader strings = reader_of(list->raw);
    while (wire_next_string(&strings, to))
        to++;
    return to;
}

/* Those that are prefixes, as such; or the others. */
static struct slice *globs_take(const struct wire_strings *globs, bool prefixes, struct slice *to)
{
    bool too_many = globs->count > CACHE_GLOBS_MAX; /* to be refused as such */
    struct reader strings = reader_of(globs->raw);
    struct slice glob, prefix;
    while (wire_next_string(&strings, &glob)) {
        bool is_prefix = !too_many && bans_glob_is_prefix(glob, &prefix);
        if (is_prefix == prefixes)
            *to++ = is_prefix ? prefix : glob;
    }
    return to;
}

static struct named collect(struct request *r, const struct wire_invalidate *m)
{
    const struct session *s = r->session;
    size_t count =
        m->keys.count + m->tags.count + m->prefixes.count + m->globs.count + 1; /* the tenant's own prefix */
    struct named n = {.keys = request_room(r, count * sizeof(struct slice) + tenant_tags_bytes(s, &m->tags))};
    n.names = (char *)(n.keys + count);
    n.tags = strings_take(&m->keys, n.keys);
    n.prefixes = strings_take(&m->tags, n.tags);
    for (struct slice *tag = n.tags; tag < n.prefixes; tag++)
        *tag = tenant_tag(s, *tag, &n.names);
    struct slice *end = globs_take(&m->globs, true, strings_take(&m->prefixes, n.prefixes));
    n.prefixes_count = (unsigned)(end - n.prefixes);
    n.globs = end + 1;
    n.globs_count = (unsigned)(globs_take(&m->globs, false, n.globs) - n.globs);
    return n;
}

static void start(struct request *r, const struct wire_invalidate *m)
{
    const struct session *s = r->session;
    struct named n = collect(r, m);
    bool all = m->flags & WIRE_INVALIDATE_ALL;
    if (all && s->tenant_bytes) {
        n.prefixes[n.prefixes_count++] = slice_of(s->tenant, s->tenant_bytes);
        all = false;
    }
    r->invalidate = (struct cache_invalidate){.keys = n.keys,
                                              .tags = n.tags,
                                              .prefixes = n.prefixes,
                                              .globs = n.globs,
                                              .keys_count = m->keys.count,
                                              .tags_count = m->tags.count,
                                              .prefixes_count = n.prefixes_count,
                                              .globs_count = n.globs_count,
                                              .all = all};
    invalidate_start(r, m->flags);
}

void invalidate_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_invalidate m;
    int e = wire_read_invalidate(fields, head, &m);
    r->complete = invalidate_complete;
    if (e == 0)
        r->trace = m.trace;
    if (e < 0)
        request_malformed(r, e);
    else if (acceptable(r, &m))
        start(r, &m);
    request_started(r, e < 0 ? 0 : m.timeout_ms);
}

/* ======= events ======= */

static bool owns_names(const struct session *s, const struct slice *names, unsigned count)
{
    for (unsigned n = 0; n < count; n++)
        if (!tenant_owns(s, names[n]))
            return false;
    return true;
}

static bool event_acceptable(struct request *r, const struct wire_event *m, unsigned names)
{
    if (request_too_many(r, m->arguments.count, "arguments"))
        return false;
    if (m->arguments.count % 2)
        request_answer(r, STATUS_BAD_REQUEST, "event: a name without a value");
    else if (!names)
        request_answer(r, STATUS_BAD_REQUEST, "no event %.*s is configured", (int)m->name.size,
                       (const char *)m->name.data);
    return request_open(r);
}

static void refuse_event(struct request *r, enum status status, const struct cache_event *event)
{
    request_answer(r, status, "event %.*s: %.*s%s%s", (int)event->name.size, (const char *)event->name.data,
                   (int)event->wanted.size, event->wanted.size ? (const char *)event->wanted.data : "",
                   event->wanted.size ? " " : "", event->message);
}

/* Tags of a bound connection are its tenant's. */
static void scope_tags(const struct session *s, struct slice *tags, unsigned count, char *room)
{
    for (unsigned n = 0; n < count; n++)
        tags[n] = tenant_tag(s, tags[n], &room);
}

static void start_event(struct request *r, const struct wire_event *m, unsigned names)
{
    const struct session *s = r->session;
    size_t scoped = names * (WIRE_TAG_BYTES_MAX + (size_t)s->tenant_bytes);
    char *room =
        request_room(r, CACHE_EVENT_ROOM(names) + m->arguments.count * sizeof(struct slice) + scoped);
    struct slice *arguments = (struct slice *)(void *)(room + CACHE_EVENT_ROOM(names));
    char *tags_room = (char *)strings_take(&m->arguments, arguments);
    struct cache_event event = {
        .name = m->name, .arguments = arguments, .arguments_count = m->arguments.count};
    enum status status = cache_event_fill(s->space->cache, &event, room);
    if (status != STATUS_OK) {
        refuse_event(r, status, &event);
    } else if (!owns_names(s, event.keys, event.keys_count) ||
               !owns_names(s, event.prefixes, event.prefixes_count)) {
        request_answer(r, STATUS_DENIED, "this connection is bound to %s", s->tenant);
    } else {
        scope_tags(s, event.tags, event.tags_count, tags_room);
        r->invalidate = (struct cache_invalidate){.keys = event.keys,
                                                  .tags = event.tags,
                                                  .prefixes = event.prefixes,
                                                  .keys_count = event.keys_count,
                                                  .tags_count = event.tags_count,
                                                  .prefixes_count = event.prefixes_count,
                                                  .cause = m->name};
        invalidate_start(r, m->flags);
    }
}

void event_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_event m;
    int e = wire_read_event(fields, head, &m);
    unsigned names = e == 0 ? cache_event_names(r->session->space->cache, m.name) : 0;
    r->complete = invalidate_complete;
    if (e == 0)
        r->trace = m.trace;
    if (e < 0)
        request_malformed(r, e);
    else if (event_acceptable(r, &m, names))
        start_event(r, &m, names);
    request_started(r, e < 0 ? 0 : m.timeout_ms);
}
