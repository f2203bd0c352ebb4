#include "app/log_document.h"

#include <stdio.h>
#include <time.h>
#include "app/put.h"
#include "app/readable.h"
#include "base/clock.h"

enum {
    LINES_USUAL = 1000,
    DOCUMENT_BYTES = 512 << 10, /* well below a frame; older lines are left out */
    LINE_BYTES = 400,           /* of members and digits */
};

struct lines {
    json_t *array;
    uint64_t left;
    size_t bytes;
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

static bool add_line(void *user, const struct chronicled *t)
{
    struct lines *l = user;
    json_t *o = json_object();
    put_time(o, t->at_ms);
    put_who(o, t);
    put_switch(o, "soft", t->soft);
    json_t *names = readable(t->names);
    l->bytes += LINE_BYTES + json_string_length(names);
    json_object_set_new(o, "names", names);
    put_number(o, "keys", t->keys);
    put_number(o, "tags", t->tags);
    put_number(o, "prefixes", t->prefixes);
    put_number(o, "globs", t->globs);
    put_switch(o, "all", t->all);
    put_number(o, "cascaded", t->cascaded);
    put_number(o, "dropped", t->count);
    put_number(o, "position", t->v);
    put_number(o, "skipped", t->skipped);
    json_array_append_new(l->array, o);
    return --l->left > 0 && l->bytes < DOCUMENT_BYTES;
}

json_t *log_document(const struct session_question *q)
{
    const struct chronicle *c = cache_chronicle(q->space->cache);
    uint64_t now_ms = clock_wall_ns() / NS_PER_MS;
    struct lines lines = {.array = json_array(), .left = q->limit ? q->limit : LINES_USUAL};
    chronicle_each(c, q->back_ms && q->back_ms < now_ms ? now_ms - q->back_ms : 0, add_line, &lines);
    json_t *o = json_object();
    put_text(o, "namespace", cache_namespace(q->space->cache));
    put_switch(o, "kept", chronicle_is_kept(c));
    put_number(o, "skipped", chronicle_skipped(c));
    json_object_set_new(o, "invalidations", lines.array);
    return o;
}
