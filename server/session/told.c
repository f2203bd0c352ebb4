/* Where operations end: what became of each is said here once, to the debug log and to those who watch.
 *
 * What must stay true: nobody waits for either; a value is never said, and the names of a secret namespace are said to
 * its own connections only, so not in the log. */
#include "base/clock.h"
#include "base/log.h"
#include "session/session_private.h"

#include <stdio.h>

enum {
    TOLD_A_SECOND =
        1000, /* lines: half a percent of a core, and more than a person or a log store wants to read */
    LINE_FIELDS = 14,
};

/* ======= the debug log ======= */

/* False: there were enough in this second. */
static bool may_log(struct told_lines *t, uint64_t now_ns)
{
    uint64_t second = now_ns / NS_PER_S;
    if (second != t->second) {
        if (t->left_out)
            log_debug("operations were left out of the log", L_U64("count", t->left_out));
        *t = (struct told_lines){.second = second};
    }
    if (t->taken == TOLD_A_SECOND) {
        t->left_out++;
        return false;
    }
    t->taken++;
    return true;
}

static const char *const named_words[] = {"", "key", "tag", "prefix", "glob", "all"};

/* The first of them, and how many there are. */
static unsigned name_fields(const struct watched *op, bool secret, struct log_field *at)
{
    const struct watched_names *first = NULL;
    unsigned count = op->everything;
    for (unsigned i = 0; i < op->lists_count; i++) {
        first = first || !op->lists[i].count ? first : &op->lists[i];
        count += op->lists[i].count;
    }
    if (!first)
        at[0] = (struct log_field)L_TEXT("all", "yes");
    else if (secret)
        at[0] = (struct log_field)L_TEXT(named_words[first->named], "(secret)");
    else
        at[0] = (struct log_field)L_BYTES(named_words[first->named], first->of[0]);
    if (count > 1)
        at[1] = (struct log_field)L_U64("names", count);
    return count > 1 ? 2 : count;
}

static void format_ttl(uint64_t ms, char *to, size_t room)
{
    bool whole = ms % 1000 == 0;
    snprintf(to, room, "%llu%s", (unsigned long long)(whole ? ms / 1000 : ms), whole ? "s" : "ms");
}

static bool changes(const struct watched *op)
{
    return op->code == WIRE_INVALIDATE || op->code == WIRE_EVENT;
}

static void log_operation(const struct watched *op, const struct wire_operation *line, bool secret)
{
    struct log_field fields[LINE_FIELDS] = {L_BYTES("op", line->op)};
    unsigned count = 1 + name_fields(op, secret, fields + 1);
    char ttl[32], reason[MISS_REASON_BYTES];
    if (line->event.size)
        fields[count++] = L_BYTES("event", line->event);
    fields[count++] = L_TEXT("result", status_name(line->status));
    if (line->tier)
        fields[count++] = L_TEXT("tier", tier_name_text(line->tier));
    if (line->reason)
        fields[count++] = L_TEXT("reason", miss_reason_word(line->reason, reason));
    if (op->code == WIRE_SET || op->code == WIRE_TOUCH || op->code == WIRE_TAG) {
        format_ttl(line->ttl_ms, ttl, sizeof(ttl));
        fields[count++] = L_TEXT("ttl", ttl);
    }
    if (changes(op))
        fields[count++] = L_U64("dropped", line->dropped);
    if (line->trace.size)
        fields[count++] = L_BYTES("trace", line->trace);
    fields[count++] = L_US("us", line->took_ns);
    log_line(LOG_DEBUG, "", fields, count);
}

/* ======= both ======= */

static struct slice trace_of(const struct request *r)
{
    return wire_trace_valid(r->trace) ? r->trace : slice_of(NULL, 0);
}

/* Who, when, and how long; clocks are read for those only that are told. */
static void complete(const struct request *r, struct wire_operation *line)
{
    const struct session *s = r->session;
    uint64_t now = clock_boot_ns();
    line->op = slice_text(r->verb->name);
    line->client = slice_text(s->name);
    line->pid = (uint32_t)s->peer.pid;
    line->trace = trace_of(r);
    line->took_ns = now > r->began_ns ? now - r->began_ns : 0;
    line->at_us = clock_wall_ns() / NS_PER_US;
}

static struct watched watched_of(const struct request *r, const struct watched_names *lists, unsigned count)
{
    const struct session *s = r->session;
    return (struct watched){.space = s->space,
                            .tenant = slice_of(s->tenant, s->tenant_bytes),
                            .code = r->code,
                            .lists = lists,
                            .lists_count = count};
}

/* Before an operation is taken apart: whether anybody may have to be told of it.  For most, of those who watch, nobody. */
static inline bool concerns(struct request *r, struct told *ret)
{
    struct session *s = r->session;
    ret->watchers =
        r->looked_on & LOOKED_ON_BY_WATCHERS && monitor_closer(&s->all->monitor, s->space, r->code);
    return ret->watchers || r->looked_on & LOOKED_ON_BY_LOG;
}

/* False: nobody is to be told. */
static bool wanted(struct request *r, const struct watched *op, struct told *to)
{
    struct sessions *all = r->session->all;
    uint64_t now = loop_now_ns(all->host.loop);
    to->logged = r->looked_on & LOOKED_ON_BY_LOG && may_log(&all->told, now);
    to->watchers = to->watchers ? monitor_wanted(&all->monitor, op, now) : 0;
    return to->logged || to->watchers;
}

static __attribute__((noinline)) bool wants_key(struct request *r, struct slice key, struct told *to)
{
    struct watched_names list = {WIRE_NAMED_KEY, &key, 1};
    struct watched op = watched_of(r, &list, 1);
    return wanted(r, &op, to);
}

bool told_wants(struct request *r, struct slice key, struct told *ret)
{
    return concerns(r, ret) && wants_key(r, key, ret);
}

static void tell(struct request *r, const struct watched *op, struct told to, struct wire_operation line)
{
    complete(r, &line);
    if (to.logged)
        log_operation(op, &line, r->session->space->secret);
    if (to.watchers)
        monitor_tell(&r->session->all->monitor, to.watchers, op, line);
}

void tell_key(struct request *r, struct slice key, struct told to, struct wire_operation line)
{
    struct watched_names list = {WIRE_NAMED_KEY, &key, 1};
    struct watched op = watched_of(r, &list, 1);
    tell(r, &op, to, line);
}

void tell_invalidate(struct request *r)
{
    const struct cache_invalidate *i = &r->invalidate;
    const struct watched_names lists[] = {{WIRE_NAMED_KEY, i->keys, i->keys_count},
                                          {WIRE_NAMED_TAG, i->tags, i->tags_count},
                                          {WIRE_NAMED_PREFIX, i->prefixes, i->prefixes_count},
                                          {WIRE_NAMED_GLOB, i->globs, i->globs_count}};
    struct watched op = watched_of(r, lists, COUNT_OF(lists));
    struct wire_operation line = {.status = (uint8_t)i->status, .dropped = i->count, .event = i->cause};
    struct told to;
    op.everything = i->all;
    if (concerns(r, &to) && wanted(r, &op, &to))
        tell(r, &op, to, line);
}
