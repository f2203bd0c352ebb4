/* larder_monitor: asks what was done since it asked last, until it is told to stop.
 *
 * What must stay true: the daemon keeps what it did not tell yet with the connection, so all of it goes over one, and
 * when that breaks nothing is repeated: what happened meanwhile is not known. */
#include "client/ask.h"

#include "client/message.h"
#include "proto/status.h"

enum { MONITOR_ROUND_MS = 250, FILTERS_MAX = 16 };

struct monitoring {
    struct call call;
    const larder_monitor_options *how;
    struct slice ops[FILTERS_MAX], globs[FILTERS_MAX];
};

static struct wire_strings strings_of(const larder_slice *from, size_t count, struct slice *room)
{
    for (size_t i = 0; i < count; i++)
        room[i] = slice_in(from[i]);
    return (struct wire_strings){.count = (uint32_t)count, .items = room};
}

static struct wire_monitor message_of(struct monitoring *m)
{
    return (struct wire_monitor){.wait_ms = MONITOR_ROUND_MS,
                                 .ops = strings_of(m->how->ops, m->how->ops_count, m->ops),
                                 .globs = strings_of(m->how->globs, m->how->globs_count, m->globs)};
}

static larder_operation operation_of(const struct wire_operation *w, char reason[MISS_REASON_BYTES])
{
    return (larder_operation){
        .at_us = w->at_us,
        .op = slice_out(w->op),
        .named = w->named,
        .name = slice_out(w->name),
        .names = w->names,
        .result = status_name(w->status),
        .reason = w->reason ? miss_reason_word(w->reason, reason) : "",
        .tier = w->tier,
        .flags = w->flags,
        .bytes = w->bytes,
        .ttl_ms = w->ttl_ms,
        .dropped = w->dropped,
        .took_ns = w->took_ns,
        .client = slice_out(w->client),
        .pid = w->pid,
        .event = slice_out(w->event),
        .trace = slice_out(w->trace),
    };
}

/* False: the caller has had enough. */
static bool hand_out(const larder_monitor_options *how, const struct wire_operations *m)
{
    struct reader list = reader_of(m->operations.raw);
    struct wire_operation w;
    char reason[MISS_REASON_BYTES];
    while (wire_next_operation(&list, &w)) {
        larder_operation operation = operation_of(&w, reason);
        if (!how->each(how->user, &operation))
            return false;
    }
    return !how->meanwhile || how->meanwhile(how->user, m->left_out, m->near_hits);
}

static int ask_round(struct monitoring *m, struct wire_monitor *asked, struct wire_operations *ret)
{
    m->call.deadline_ns = now_ns() + MONITOR_ROUND_MS * NS_PER_MS + m->call.client->change_ns;
    int r = ask(&m->call, WIRE_MONITOR, asked, WIRE_OPERATIONS, ret);
    m->call.retried = true; /* from now on it belongs to this connection */
    return r;
}

static int run(struct monitoring *m, uint64_t until_ns)
{
    struct wire_monitor asked = message_of(m);
    struct wire_operations answer;
    int r = 0;
    while (r == 0 && (!until_ns || now_ns() < until_ns)) {
        r = ask_round(m, &asked, &answer);
        if (r == 0 && !hand_out(m->how, &answer))
            break;
    }
    asked = (struct wire_monitor){.flags = WIRE_MONITOR_END};
    if (r == 0)
        ask_round(m, &asked, &answer); /* the connection is of use to others */
    return r;
}

int larder_monitor(larder_client *client, const larder_monitor_options *options)
{
    larder_monitor_options how = LARDER_MONITOR_OPTIONS_INIT;
    struct monitoring m = {.how = &how};
    client_enter(client);
    if (!options_copy(&how, sizeof(how), options) || !how.each || how.ops_count > FILTERS_MAX ||
        how.globs_count > FILTERS_MAX)
        return LARDER_E_INVALID;
    call_begin(&m.call, client, client->change_ns, 0, false);
    int r = call_needs_version(&m.call, 3);
    if (r == 0)
        r = run(&m, how.timeout_ms ? now_ns() + how.timeout_ms * NS_PER_MS : 0);
    call_end(&m.call);
    if (r == LARDER_E_UNKNOWN)
        return LARDER_E_UNREACHABLE; /* it changed nothing to be unsure about */
    return r == LARDER_E_PROTOCOL ? LARDER_E_INVALID : r;
}
