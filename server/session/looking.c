/* KEYS and the documents: STATS, HEALTH, EXPLAIN, CONFIG, DOCTOR, LOG, REPORT. */
#include "session/session_private.h"

#include <string.h>

/* ======= keys ======= */

enum {
    CURSOR_BYTES = 8,
    SCAN_MAX =
        4096, /* entries looked at for one page, whatever the prefix lets through: about a millisecond */
    HELD_ROOM = 32, /* an encoded record without its key */
    PAGE_ROOM = 64,
};

struct listing {
    struct request *r;
    struct slice prefix;
    uint32_t limit;
    size_t bytes_max;
};

static bool begins_with(struct slice key, struct slice prefix)
{
    return key.size >= prefix.size && (prefix.size == 0 || memcmp(key.data, prefix.data, prefix.size) == 0);
}

static bool list_one(void *user, const struct cache_listed *listed)
{
    struct listing *l = user;
    struct request *r = l->r;
    if (!begins_with(listed->key, l->prefix))
        return true;
    if (r->count == l->limit || r->reply.size + listed->key.size + HELD_ROOM > l->bytes_max)
        return false;
    struct wire_held held = {.key = listed->key,
                             .tier = (uint8_t)listed->tier,
                             .ttl_ms = listed->ttl_ms,
                             .bytes = listed->value_bytes,
                             .no_dump = listed->no_dump};
    CHECK(wire_append_held(&r->reply, &held) == 0);
    r->count++;
    return true;
}

static uint64_t load_cursor(struct slice bytes)
{
    const uint8_t *p = bytes.data;
    uint64_t cursor = 0;
    for (size_t i = 0; i < bytes.size; i++)
        cursor = cursor << 8 | p[i];
    return cursor;
}

static struct slice store_cursor(uint64_t cursor, uint8_t room[CURSOR_BYTES])
{
    for (unsigned i = 0; i < CURSOR_BYTES; i++)
        room[i] = (uint8_t)(cursor >> (8 * (CURSOR_BYTES - 1 - i)));
    return slice_of(room, cursor ? CURSOR_BYTES : 0);
}

static void list_page(struct request *r, const struct wire_keys *m)
{
    struct session *s = r->session;
    uint32_t wanted = m->limit ? m->limit : KEYS_DEFAULT;
    struct listing l = {.r = r,
                        .prefix = m->prefix,
                        .limit = wanted < WIRE_BATCH_MAX ? wanted : WIRE_BATCH_MAX,
                        .bytes_max = s->frame_max - PAGE_ROOM};
    if (s->tenant_bytes && !m->prefix.size)
        l.prefix = slice_of(s->tenant, s->tenant_bytes);
    uint8_t room[CURSOR_BYTES];
    uint64_t cursor = load_cursor(m->cursor);
    cache_list(s->space->cache, &cursor, SCAN_MAX, list_one, &l);
    struct wire_page page = {
        .cursor = store_cursor(cursor, room),
        .held = {.count = r->count, .raw = slice_of(r->reply.data, r->reply.size)},
    };
    request_wrote(r, wire_write_page(request_out(r), r->id, &page, s->frame_max));
}

void keys_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_keys m;
    int e = wire_read_keys(fields, head, &m);
    if (e < 0)
        request_malformed(r, e);
    else if (m.cursor.size && m.cursor.size != CURSOR_BYTES)
        request_answer(r, STATUS_BAD_REQUEST, "keys: a cursor that no page gave");
    else if (m.prefix.size && !tenant_owns(r->session, m.prefix))
        request_answer(r, STATUS_DENIED, "this connection is bound to %s", r->session->tenant);
    else
        list_page(r, &m);
    request_started(r, 0);
}

/* ======= documents ======= */

/* False: it is being made, and to be asked for again in the next turn. */
static bool answer_if_made(struct request *r, const struct session_question *question)
{
    const struct session_host *host = &r->session->all->host;
    int e = host->document(host->user, question, &r->reply);
    if (e == DOCUMENT_LATER)
        return false;
    if (e < 0) {
        request_answer(r, STATUS_INTERNAL, "%s: %s", r->verb->name, pack_error_text(e));
    } else if (r->reply.size + PAGE_ROOM > r->session->frame_max) {
        request_answer(r, STATUS_LIMIT, "a document of %zu bytes, the limit is %zu", r->reply.size,
                       r->session->frame_max - PAGE_ROOM);
    } else {
        struct wire_document m = {.json = slice_of(r->reply.data, r->reply.size)};
        request_wrote(r, wire_write_document(request_out(r), r->id, &m, r->session->frame_max));
    }
    return true;
}

static void answer_document(struct request *r, const struct session_question *question)
{
    CHECK(answer_if_made(r, question));
}

static void document_run(struct request *r, enum session_document kind, int error, bool origin)
{
    if (error < 0)
        request_malformed(r, error);
    else
        answer_document(r, &(struct session_question){.kind = kind,
                                                      .space = r->session->space,
                                                      .bound = r->session->tenant_bytes || r->session->only,
                                                      .origin = origin});
    request_started(r, 0);
}

void stats_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_stats m;
    document_run(r, DOCUMENT_STATS, wire_read_stats(fields, head, &m), false);
}

void health_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_health m;
    document_run(r, DOCUMENT_HEALTH, wire_read_health(fields, head, &m), false);
}

void config_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_config m;
    int e = wire_read_config(fields, head, &m);
    document_run(r, DOCUMENT_CONFIG, e, e == 0 && m.origin);
}

/* The log names keys of others, too. */
void log_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_log m;
    int e = wire_read_log(fields, head, &m);
    if (e < 0)
        request_malformed(r, e);
    else if (r->session->tenant_bytes)
        request_answer(r, STATUS_DENIED, "this connection is bound to %s", r->session->tenant);
    else
        answer_document(r, &(struct session_question){.kind = DOCUMENT_LOG,
                                                      .space = r->session->space,
                                                      .back_ms = m.back_ms,
                                                      .limit = m.limit,
                                                      .room = r->session->frame_max - PAGE_ROOM});
    request_started(r, 0);
}

/* ======= report ======= */

/* A report of many days is made in many turns: its request waits, and asks in each. */
struct reporting {
    struct list node;
    struct request *request;
    struct wire_report asked;
};

static bool answer_report(struct request *r, const struct wire_report *m, bool again)
{
    return answer_if_made(r, &(struct session_question){.kind = DOCUMENT_REPORT,
                                                        .space = r->session->space,
                                                        .days = m->days,
                                                        .by = m->by,
                                                        .from = m->from,
                                                        .again = again,
                                                        .room = r->session->frame_max - PAGE_ROOM});
}

static void wait_for_report(struct request *r, const struct wire_report *m)
{
    struct sessions *all = r->session->all;
    struct reporting *w = request_room(r, sizeof(*w));
    *w = (struct reporting){.request = r, .asked = *m};
    list_init(&w->node);
    list_append(&all->reporting, &w->node);
    r->pending++;
    later_ask(all->host.loop, &all->report_turn);
}

/* Of one that was answered meanwhile, by its deadline, or whose peer has gone, nothing more is asked. */
void reports_on_turn(struct later *turn)
{
    struct sessions *all = CONTAINER_OF(turn, struct sessions, report_turn);
    LIST_FOR_SAFE(node, &all->reporting)
    {
        struct reporting *w = CONTAINER_OF(node, struct reporting, node);
        if (request_open(w->request) && !answer_report(w->request, &w->asked, true))
            continue;
        list_remove(&w->node);
        request_released(w->request);
    }
    if (!list_empty(&all->reporting))
        later_ask(all->host.loop, turn);
}

static void report_complete(struct request *r)
{
    request_answer(r, STATUS_TIMEOUT, "report: it was not made in time");
}

/* It names keys of others, too, as the log does. */
void report_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_report m;
    int e = wire_read_report(fields, head, &m);
    r->complete = report_complete;
    if (e < 0)
        request_malformed(r, e);
    else if (r->session->tenant_bytes)
        request_answer(r, STATUS_DENIED, "this connection is bound to %s", r->session->tenant);
    else if (!answer_report(r, &m, false))
        wait_for_report(r, &m);
    request_started(r, 0);
}

/* ======= explain ======= */

static void explained(struct op *op)
{
    struct request *r = op->request;
    const struct session *s = r->session;
    if (request_open(r))
        answer_document(r, &(struct session_question){.kind = DOCUMENT_EXPLAIN,
                                                      .space = s->space,
                                                      .bound = s->tenant_bytes || s->only,
                                                      .key = op->get.key,
                                                      .tenant = slice_of(s->tenant, s->tenant_bytes),
                                                      .get = &op->get});
    op_return(op);
}

static void looked(struct cache_get *get)
{
    struct op *op = CONTAINER_OF(get, struct op, get);
    struct request *r = op->request;
    explained(op);
    request_released(r);
}

static void explain_complete(struct request *r)
{
    request_answer(r, STATUS_TIMEOUT, "explain: the warm tier did not answer in time");
}

static void explain_key(struct request *r, struct slice key)
{
    struct op *op = op_take(r, 0);
    op->get = (struct cache_get){.key = key, .no_promote = true, .done = looked};
    if (op_done_now(op, cache_get(r->session->space->cache, &op->get)))
        explained(op);
}

void explain_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_explain m;
    int e = wire_read_explain(fields, head, &m);
    r->complete = explain_complete;
    if (e < 0)
        request_malformed(r, e);
    else if (m.key.size == 0 || m.key.size > WIRE_KEY_MAX)
        request_answer(r, STATUS_BAD_KEY, "a key of %zu bytes, the limits are 1 and %d", m.key.size,
                       WIRE_KEY_MAX);
    else if (!tenant_owns(r->session, m.key))
        request_answer(r, STATUS_DENIED, "this connection is bound to %s", r->session->tenant);
    else
        explain_key(r, m.key);
    request_started(r, 0);
}

/* ======= doctor ======= */

static void answer_doctor(struct request *r, const struct cache_probe *probe)
{
    answer_document(
        r, &(struct session_question){.kind = DOCUMENT_DOCTOR, .space = r->session->space, .probe = probe});
}

static void examined(struct op *op)
{
    struct request *r = op->request;
    if (request_open(r))
        answer_doctor(r, &op->probe);
    op_return(op);
}

static void probed(struct cache_probe *probe)
{
    struct op *op = CONTAINER_OF(probe, struct op, probe);
    struct request *r = op->request;
    examined(op);
    request_released(r);
}

static void doctor_complete(struct request *r)
{
    answer_doctor(r, NULL);
}

void doctor_run(struct request *r, struct reader *fields, const struct wire_head *head)
{
    struct wire_doctor m;
    int e = wire_read_doctor(fields, head, &m);
    r->complete = doctor_complete;
    if (e < 0) {
        request_malformed(r, e);
    } else {
        struct op *op = op_take(r, 0);
        op->probe = (struct cache_probe){.done = probed};
        if (op_done_now(op, cache_probe(r->session->space->cache, &op->probe)))
            examined(op);
    }
    request_started(r, e < 0 ? 0 : m.timeout_ms);
}
