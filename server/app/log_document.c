#include "app/log_document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "app/put.h"
#include "app/readable.h"
#include "base/check.h"
#include "base/clock.h"

enum {
    LINES_USUAL = 1000,
    DOCUMENT_BYTES = 512 << 10, /* of a turn of the loop: older lines are left out */
    HEAD_BYTES = 1024,          /* what is around the lines: the namespace's name, each byte of it escaped */
};

struct lines {
    json_t *array;
    uint64_t left;
    size_t bytes; /* left */
};

static void put_time(json_t *o, uint64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char date[32], text[48];
    gmtime_r(&seconds, &tm);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, sizeof(text), "%s.%03uZ", date, (unsigned)(ms % 1000));
    put_text(o, "time", text);
}

static void put_who(json_t *o, const struct chronicled *t)
{
    put_text(o, "where", t->elsewhere ? "elsewhere" : "here");
    json_object_set_new(o, "by", t->by.size ? readable(t->by) : json_null());
    json_object_set_new(o, "pid", t->pid ? json_integer(t->pid) : json_null());
    json_object_set_new(o, "event", t->cause.size ? readable(t->cause) : json_null());
    put_text(o, "status", t->elsewhere ? NULL : status_name(t->status));
}

static json_t *names_of(const struct chronicled *t)
{
    char text[CHRONICLE_TEXT];
    return readable(slice_of(text, chronicled_text(t, text)));
}

void put_chronicled(json_t *o, const struct chronicled *t)
{
    put_time(o, t->at_ms);
    put_who(o, t);
    put_switch(o, "soft", t->soft);
}

static json_t *line_of(const struct chronicled *t)
{
    json_t *o = json_object();
    put_chronicled(o, t);
    json_object_set_new(o, "names", names_of(t));
    put_number(o, "keys", t->keys);
    put_number(o, "tags", t->tags);
    put_number(o, "prefixes", t->prefixes);
    put_number(o, "globs", t->globs);
    put_switch(o, "all", t->all);
    put_number(o, "cascaded", t->cascaded);
    put_number(o, "dropped", t->count);
    put_number(o, "position", t->v);
    put_number(o, "skipped", t->skipped);
    return o;
}

/* Whole lines, as many as fit: measured as they will be written, since quotes and backslashes grow. */
static bool add_line(void *user, const struct chronicled *t)
{
    struct lines *l = user;
    json_t *o = line_of(t);
    size_t bytes = json_dumpb(o, NULL, 0, JSON_COMPACT) + strlen(",");
    if (bytes > l->bytes) {
        json_decref(o);
        return false;
    }
    l->bytes -= bytes;
    json_array_append_new(l->array, o);
    return --l->left > 0;
}

static size_t bytes_for_lines(size_t room)
{
    size_t bytes = room && room < DOCUMENT_BYTES ? room : DOCUMENT_BYTES;
    return bytes > HEAD_BYTES ? bytes - HEAD_BYTES : 0;
}

json_t *log_document(const struct session_question *q)
{
    const struct chronicle *c = cache_chronicle(q->space->cache);
    uint64_t now_ms = clock_wall_ns() / NS_PER_MS;
    struct lines lines = {
        .array = json_array(), .left = q->limit ? q->limit : LINES_USUAL, .bytes = bytes_for_lines(q->room)};
    chronicle_each(c, q->back_ms && q->back_ms < now_ms ? now_ms - q->back_ms : 0, add_line, &lines);
    json_t *o = json_object();
    put_text(o, "namespace", cache_namespace(q->space->cache));
    put_switch(o, "kept", chronicle_is_kept(c));
    put_number(o, "skipped", chronicle_skipped(c));
    json_object_set_new(o, "invalidations", lines.array);
    return o;
}

/* ---- of all namespaces --------------------------------------------------------------------------------------- */

enum { LINES_OF_ALL = 50 };

struct place {
    json_t *lines;
    size_t next;
};

static const char *time_of(const struct place *p)
{
    return json_string_value(json_object_get(json_array_get(p->lines, p->next), "time"));
}

/* Times are texts of one length, in one order with time. */
static struct place *newest(struct place *places, unsigned count)
{
    struct place *best = NULL;
    for (unsigned i = 0; i < count; i++)
        if (time_of(&places[i]) && (!best || strcmp(time_of(&places[i]), time_of(best)) > 0))
            best = &places[i];
    return best;
}

static json_t *lines_of(const struct space *s)
{
    struct session_question q = {.space = (struct session_space *)(uintptr_t)&s->session,
                                 .limit = LINES_OF_ALL};
    json_t *log = log_document(&q), *lines = json_incref(json_object_get(log, "invalidations")), *line;
    size_t i;
    json_array_foreach(lines, i, line) put_text(line, "namespace", s->config->name);
    json_decref(log);
    return lines;
}

json_t *log_of_all(const struct space *spaces, unsigned count)
{
    struct place *places = must_alloc((count + 1) * sizeof(*places)), *next;
    json_t *o = json_object(), *all = json_array();
    unsigned told = 0;
    for (unsigned i = 0; i < count; i++)
        if (!spaces[i].config->cache.secret)
            places[told++].lines = lines_of(&spaces[i]);
    while (json_array_size(all) < LINES_OF_ALL && (next = newest(places, told)))
        json_array_append(all, json_array_get(next->lines, next->next++));
    for (unsigned i = 0; i < told; i++)
        json_decref(places[i].lines);
    free(places);
    json_object_set_new(o, "invalidations", all);
    return o;
}
