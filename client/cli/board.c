#include "client/cli/board.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "client/cli/shown.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum { METER_CELLS = 20, POLICIES_SHOWN = 12 };

/* ======= lines ======= */

static void line(struct board *b, enum board_look look, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void line(struct board *b, enum board_look look, const char *format, ...)
{
    va_list args;
    if (b->count == BOARD_LINES)
        return;
    va_start(args, format);
    vsnprintf(b->lines[b->count].text, sizeof(b->lines[0].text), format, args);
    va_end(args);
    b->lines[b->count++].look = look;
}

static void gap(struct board *b)
{
    line(b, BOARD_PLAIN, "%s", "");
}

/* ======= reading documents ======= */

static const json_t *namespace_of(const json_t *stats, const char *name)
{
    return json_object_get(json_object_get(stats, "namespaces"), name);
}

/* A group of counters, at both times. */
struct group {
    const json_t *now, *before;
    double seconds;
};

/* The earlier document, unless another daemon wrote it. */
static const json_t *before_of(const struct board_input *in)
{
    const json_t *now = json_object_get(in->now, "process"), *before = json_object_get(in->before, "process");
    return json_equal(json_object_get(now, "pid"), json_object_get(before, "pid")) ? in->before : NULL;
}

static struct group group_of(const struct board_input *in, const char *name)
{
    return (struct group){json_object_get(namespace_of(in->now, in->namespace_), name),
                          json_object_get(namespace_of(before_of(in), in->namespace_), name), in->seconds};
}

/* NAN: not known. */
static double rate(const struct group *g, const char *counter)
{
    double now = shown_number(g->now, counter), before = shown_number(g->before, counter);
    return g->seconds > 0 && now >= before ? (now - before) / g->seconds : NAN;
}

static double known(double n)
{
    return isnan(n) ? 0 : n;
}

/* ======= numbers ======= */

static struct shown meter_of(double part, double whole)
{
    static const char full[] = "||||||||||||||||||||";
    struct shown ret;
    double share = whole > 0 && part > 0 ? part / whole : 0;
    int cells = share < 1 ? (int)(share * METER_CELLS + 0.5) : METER_CELLS;
    snprintf(ret.text, sizeof(ret.text), "[%.*s%*s]", cells, full, METER_CELLS - cells, "");
    return ret;
}

/* ======= head ======= */

static enum board_look look_of_state(const char *state)
{
    if (strcmp(state, "DETACHED") == 0)
        return BOARD_BAD;
    return strcmp(state, "SUSPECT") == 0 ? BOARD_WARNING : BOARD_PLAIN;
}

static enum board_look look_of_status(const char *status)
{
    if (strcmp(status, "ok") == 0)
        return BOARD_GOOD;
    return strcmp(status, "degraded") == 0 ? BOARD_WARNING : BOARD_BAD;
}

static void put_head(struct board *b, const struct board_input *in)
{
    const char *state = shown_text(namespace_of(in->now, in->namespace_), "state");
    line(b, BOARD_TITLE, "larder top   %s   namespace %s", in->socket, in->namespace_);
    if (in->now)
        line(b, look_of_state(state), "larderd %s   up %s   %s   %s client connections",
             shown_text(in->now, "version"), shown_time(shown_number(in->now, "uptime_s")).text,
             *state ? state : "no such namespace",
             shown_count(shown_number(json_object_get(in->now, "sessions"), "client_connections")).text);
}

/* What is below is old news then, and says so. */
static void put_silence(struct board *b, const struct board_input *in)
{
    const char *daemon = shown_text(in->health, "daemon"), *mode = shown_text(in->health, "mode");
    if (!in->silence)
        return;
    if (in->silent_s >= 0)
        line(b, BOARD_BAD, "NO ANSWER for %.1f s: %s; all figures below are from before", in->silent_s,
             in->silence);
    else
        line(b, BOARD_BAD, "NO ANSWER: %s", in->silence);
    if (*daemon)
        line(b, BOARD_BAD, "its shared memory says: %s, %s%s", daemon, mode,
             strcmp(daemon, "busy") == 0 ? ", hits go on" : ", nothing is read from it");
}

static void put_list(struct board *b, const json_t *health, const char *name, const char *mark,
                     enum board_look look)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(health, name), i, item)
    {
        const json_t *said = json_is_object(item) ? json_object_get(item, "message") : item;
        if (json_is_string(said))
            line(b, look, "%s %s", mark, json_string_value(said));
    }
}

static void put_health(struct board *b, const struct board_input *in)
{
    const char *status = shown_text(in->health, "status");
    if (in->silence || !*status)
        return;
    line(b, look_of_status(status), "%s   score %.0f", status, known(shown_number(in->health, "score")));
    put_list(b, in->health, "issues", "!", look_of_status(status));
    put_list(b, in->health, "recommendations", ">", BOARD_FAINT);
}

/* ======= gets ======= */

static void put_gets(struct board *b, const struct board_input *in)
{
    static const struct {
        const char *label, *counter;
    } rows[] = {{"from shared memory", "l1_hits_shared"},
                {"L1, asked", "hits_l1"},
                {"warm tier", "hits_warm"},
                {"Redis", "hits_l2"},
                {"misses", "misses"}};
    struct group l1 = group_of(in, "l1"), cache = group_of(in, "cache");
    double near = rate(&l1, "l1_hits_shared"), asked = rate(&cache, "gets"), all = known(near) + asked;
    line(b, BOARD_TITLE, "%-20s %10s %8s", "gets", "a second", "share");
    for (unsigned i = 0; i < COUNT_OF(rows); i++) {
        double r = i == 0 ? near : rate(&cache, rows[i].counter);
        line(b, BOARD_PLAIN, "%-20s %10s %8s %s", rows[i].label, shown_count(r).text,
             shown_share(r, all).text, meter_of(r, all).text);
    }
    line(b, BOARD_PLAIN, "%-20s %10s %8s   expired %s, invalidated %s, evicted %s", "all",
         shown_count(all).text, "", shown_share(rate(&cache, "misses_expired"), all).text,
         shown_share(rate(&cache, "misses_invalidated"), all).text,
         shown_share(rate(&cache, "misses_evicted"), all).text);
}

/* ======= everything else ======= */

static void put_changes(struct board *b, const struct board_input *in)
{
    struct group cache = group_of(in, "cache"), l1 = group_of(in, "l1"), warm = group_of(in, "warm");
    line(b, BOARD_PLAIN, "%-20s sets %s   invalidations %s   loads %s   records of others %s",
         "changes a second", shown_count(rate(&cache, "sets")).text,
         shown_count(rate(&cache, "invalidations")).text, shown_count(rate(&cache, "loads")).text,
         shown_count(rate(&cache, "records")).text);
    line(b, BOARD_PLAIN, "%-20s evicted from L1 %s, from warm %s   expired %s", "gone a second",
         shown_count(rate(&l1, "l1_evictions")).text, shown_count(rate(&warm, "warm_evictions")).text,
         shown_count(known(rate(&l1, "l1_expired")) + rate(&warm, "warm_expired")).text);
}

/* A full cache is as it should be: no warning. */
static void put_room(struct board *b, const char *label, double used, double most, double entries)
{
    line(b, BOARD_PLAIN, "%-20s %10s %8s %s of %s, %s entries", label, shown_size(used).text,
         shown_share(used, most).text, meter_of(used, most).text, shown_size(most).text,
         shown_count(entries).text);
}

static void put_memory(struct board *b, const struct board_input *in)
{
    struct group l1 = group_of(in, "l1"), warm = group_of(in, "warm");
    const json_t *redis = json_object_get(in->now, "redis");
    line(b, BOARD_TITLE, "%-20s %10s %8s", "room", "used", "share");
    if (l1.now)
        put_room(b, "shared memory",
                 shown_number(l1.now, "l1_item_bytes") + known(shown_number(l1.now, "l1_dead_bytes")),
                 shown_number(l1.now, "l1_segment_bytes"), shown_number(l1.now, "l1_entries"));
    if (warm.now)
        put_room(b, "warm tier", shown_number(warm.now, "warm_bytes_used"),
                 shown_number(warm.now, "warm_bytes_max"), shown_number(warm.now, "warm_entries"));
    if (!json_is_true(json_object_get(redis, "configured")))
        return;
    bool linked = json_is_true(json_object_get(redis, "connected"));
    line(b, linked ? BOARD_PLAIN : BOARD_BAD, "%-20s %10s   %s", "Redis",
         shown_size(shown_number(redis, "used_memory_bytes")).text,
         linked                          ? "connected"
         : *shown_text(redis, "trouble") ? shown_text(redis, "trouble")
                                         : "not connected");
}

static void put_times(struct board *b, const struct board_input *in)
{
    static const char *const verbs[] = {"get", "set", "invalidate"};
    const json_t *times = json_object_get(in->now, "times"), *loop = json_object_get(in->now, "loop");
    line(b, BOARD_TITLE, "%-20s %10s %10s", "time in the daemon", "p50", "p99");
    for (unsigned i = 0; i < COUNT_OF(verbs); i++) {
        const json_t *verb = json_object_get(times, verbs[i]);
        if (known(shown_number(verb, "count")) > 0)
            line(b, BOARD_PLAIN, "%-20s %10s %10s", verbs[i], shown_us(shown_number(verb, "p50_us")).text,
                 shown_us(shown_number(verb, "p99_us")).text);
    }
    line(b, BOARD_PLAIN, "%-20s %10s %10s   longest %s", "a turn of its loop",
         shown_us(shown_number(loop, "p50_us")).text, shown_us(shown_number(loop, "p99_us")).text,
         shown_us(shown_number(loop, "max_us")).text);
}

/* ======= policies ======= */

static const json_t *same_policy(const json_t *stats, const char *namespace_, const char *name)
{
    size_t i;
    json_t *p;
    json_array_foreach(json_object_get(stats, "policies"), i, p)
    {
        if (strcmp(shown_text(p, "namespace"), namespace_) == 0 && strcmp(shown_text(p, "name"), name) == 0)
            return p;
    }
    return NULL;
}

static void put_policy(struct board *b, const struct board_input *in, const json_t *policy)
{
    const char *name = shown_text(policy, "name");
    struct group g = {policy, same_policy(before_of(in), in->namespace_, name), in->seconds};
    double all = known(rate(&g, "hits_shared")) + rate(&g, "gets"), misses = rate(&g, "misses");
    line(b, BOARD_PLAIN, "%-20.20s %10s %8s %10s %10s   %s", name, shown_count(all).text,
         shown_share(all - misses, all).text, shown_count(misses).text, shown_count(rate(&g, "sets")).text,
         shown_text(policy, "description"));
}

static void put_policies(struct board *b, const struct board_input *in)
{
    size_t i;
    unsigned shown_count = 0;
    json_t *p;
    line(b, BOARD_TITLE, "%-20s %10s %8s %10s %10s", "policy", "gets/s", "hits", "misses/s", "sets/s");
    json_array_foreach(json_object_get(in->now, "policies"), i, p)
    {
        if (strcmp(shown_text(p, "namespace"), in->namespace_) != 0)
            continue;
        if (shown_count++ < POLICIES_SHOWN)
            put_policy(b, in, p);
    }
    if (shown_count > POLICIES_SHOWN)
        line(b, BOARD_FAINT, "and %u more: larder stats", shown_count - POLICIES_SHOWN);
}

/* ======= the whole ======= */

void board_make(struct board *ret, const struct board_input *in)
{
    ret->count = 0;
    put_head(ret, in);
    put_silence(ret, in);
    put_health(ret, in);
    if (!namespace_of(in->now, in->namespace_))
        return;
    void (*const parts[])(struct board *, const struct board_input *) = {put_gets, put_changes, put_memory,
                                                                         put_times, put_policies};
    for (unsigned i = 0; i < COUNT_OF(parts); i++) {
        gap(ret);
        parts[i](ret, in);
    }
}

const char *board_next_namespace(const json_t *stats, const char *name)
{
    json_t *all = json_object_get(stats, "namespaces");
    void *at = json_object_iter_at(all, name);
    at = at ? json_object_iter_next(all, at) : NULL;
    at = at ? at : json_object_iter(all);
    return at ? json_object_iter_key(at) : NULL;
}
