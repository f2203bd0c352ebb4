#include "app/report_document.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include "admin/reports.h"
#include "app/put.h"
#include "app/readable.h"
#include "base/clock.h"

enum {
    SCHEMA = 1,
    DAYS_USUAL = 30,
    DOCUMENT_BYTES = 64 << 10, /* of a turn of the loop, half a millisecond: the rest is on the next page */
    HEAD_BYTES =
        4096 + ROLLUP_KEYS * 6 * 200, /* what is around the rows: names and keys, each byte of them escaped */
    MILLION = 1000000,
};

enum { AS_DAY = 10, AS_MINUTE = 16, AS_SECOND = 19 }; /* characters of 2026-11-22T00:51:38 */

static void put_time(json_t *o, const char *name, uint64_t seconds, int characters)
{
    time_t time = (time_t)seconds;
    struct tm utc;
    char text[32], cut[40];
    gmtime_r(&time, &utc);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(cut, sizeof(cut), "%.*s%s", characters, text, characters > AS_DAY ? "Z" : "");
    put_text(o, name, cut);
}

/* ======= counts ======= */

static const struct count {
    const char *name;
    size_t offset;
} counts[] = {
#define COUNT(name, sentence) {#name, offsetof(struct rollup_counts, name)},
    ROLLUP_COUNTS(COUNT)
#undef COUNT
};

/* Told otherwise, or of the whole only. */
static bool is_saving(const char *name)
{
    return strncmp(name, "saved_", 6) == 0;
}

static bool is_of_whole(size_t offset)
{
    return offset >= offsetof(struct rollup_counts, invalidations);
}

static void put_counts(json_t *o, const struct rollup_counts *c, bool whole)
{
    uint64_t hits = rollup_hits(c), gets = hits + c->misses;
    put_number(o, "gets", gets);
    put_number(o, "hits", hits);
    json_object_set_new(o, "hit_ratio", gets ? json_real((double)hits / (double)gets) : json_null());
    for (unsigned n = 0; n < sizeof(counts) / sizeof(*counts); n++)
        if (!is_saving(counts[n].name) && (whole || !is_of_whole(counts[n].offset)))
            put_number(o, counts[n].name,
                       *(const uint64_t *)(const void *)((const char *)c + counts[n].offset));
    put_number(o, "saved_calls", hits);
    put_number(o, "saved_ms", c->saved_us / 1000);
    put_number(o, "saved_millionths", c->saved_millionths);
    json_object_set_new(o, "saved_cost", json_real((double)c->saved_millionths / MILLION));
}

/* ======= rows ======= */

static json_t *row_of(const struct rollup_line *line, enum rollup_by by)
{
    json_t *o = json_object();
    bool by_time = by == ROLLUP_BY_DAY || by == ROLLUP_BY_MINUTE;
    if (by == ROLLUP_BY_MINUTE)
        put_time(o, "minute", line->time, AS_MINUTE);
    else if (by == ROLLUP_BY_DAY)
        put_time(o, "day", line->time, AS_DAY);
    else
        json_object_set_new(o, rollup_by_word(by), readable(slice_of(line->name, line->name_bytes)));
    put_counts(o, &line->counts, by_time);
    return o;
}

/* Whole rows, as many as fit; how many there are behind them. */
static json_t *rows_of(const struct rollup_report *p, const struct report_question *q, unsigned *ret_next)
{
    size_t room = q->room && q->room < DOCUMENT_BYTES ? q->room : DOCUMENT_BYTES;
    json_t *rows = json_array();
    unsigned n = q->nameless && q->by == ROLLUP_BY_TENANT ? p->count : q->from;
    for (size_t used = HEAD_BYTES; n < p->count; n++) {
        json_t *row = row_of(&p->lines[n], q->by);
        used += json_dumpb(row, NULL, 0, JSON_COMPACT) + strlen(",");
        if (used > room && n > q->from) {
            json_decref(row);
            break;
        }
        json_array_append_new(rows, row);
    }
    *ret_next = n;
    return rows;
}

static json_t *keys_of(const struct rollup_report *p)
{
    json_t *keys = json_array();
    for (unsigned n = 0; n < p->keys_count; n++) {
        json_t *o = json_object();
        json_object_set_new(o, "key", readable(slice_of(p->keys[n].key, p->keys[n].bytes)));
        put_number(o, "heat", p->keys[n].heat);
        json_array_append_new(keys, o);
    }
    return keys;
}

/* ======= the whole ======= */

static void put_head(json_t *o, const struct space *s, const struct report_question *q,
                     const struct rollup_report *p)
{
    put_number(o, "schema", SCHEMA);
    put_time(o, "timestamp", clock_wall_ns() / NS_PER_S, AS_SECOND);
    put_text(o, "namespace", s->config->name);
    put_text(o, "by", rollup_by_word(q->by));
    put_time(o, "from", p->from_day * ROLLUP_DAY_S, AS_DAY);
    put_time(o, "to", p->to_day * ROLLUP_DAY_S, AS_DAY);
    put_switch(o, "kept", s->warm);
    put_time(o, "kept_until", rollups_kept_s(s->rollups), AS_SECOND);
}

static json_t *document_of(const struct space *s, const struct report_question *q,
                           const struct rollup_report *p)
{
    unsigned next;
    json_t *o = json_object(), *totals = json_object(), *rows = rows_of(p, q, &next);
    put_head(o, s, q, p);
    put_counts(totals, &p->total, true);
    json_object_set_new(o, "totals", totals);
    json_object_set_new(o, "rows", rows);
    json_object_set_new(o, "next", next < p->count ? json_integer(next) : json_null());
    json_object_set_new(o, "keys", q->nameless ? json_array() : keys_of(p));
    return o;
}

json_t *report_document(struct space *s, const struct report_question *q)
{
    unsigned days = q->days ? q->days : DAYS_USUAL;
    const struct reports_wanted wanted = {
        .days = days < ROLLUP_DAYS ? days : ROLLUP_DAYS, .by = q->by, .anew = !q->from && !q->again};
    const struct rollup_report *p = reports_get(s->reports, &wanted, loop_now_ns(s->loop));
    return p ? document_of(s, q, p) : NULL;
}
