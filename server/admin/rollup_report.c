#include "admin/rollup_report.h"

#include <stdlib.h>
#include <string.h>
#include "admin/rollup_private.h"
#include "base/check.h"

static const char *const words[] = {
#define WORD(NAME, word, sentence) word,
    ROLLUP_BY(WORD)
#undef WORD
};

const char *rollup_by_word(enum rollup_by by)
{
    return words[by];
}

bool rollup_by_parse(struct slice word, enum rollup_by *ret)
{
    for (unsigned n = 0; n < ROLLUP_BY_COUNT; n++)
        if (slice_equal(word, slice_text(words[n]))) {
            *ret = (enum rollup_by)n;
            return true;
        }
    return false;
}

static bool is_nothing(const struct rollup_counts *c)
{
    static const struct rollup_counts nothing;
    return memcmp(c, &nothing, sizeof(nothing)) == 0;
}

/* While it is made. */
struct sum {
    struct rollup_report *report;
    enum rollup_by by;
    struct rollup_counts others, bound; /* no row of their own; of all tenants */
    struct rollup_keys *keys;
    unsigned expected; /* days have their rows in much the same order */
};

/* ======= rows by name ======= */

static struct rollup_line *find_line(struct sum *s, struct slice name)
{
    struct rollup_report *p = s->report;
    for (unsigned n = 0; n < p->count; n++) {
        unsigned at = (s->expected + n) % p->count;
        if (slice_equal(slice_of(p->lines[at].name, p->lines[at].name_bytes), name)) {
            s->expected = at + 1;
            return &p->lines[at];
        }
    }
    return NULL;
}

static struct rollup_line *new_line(struct rollup_report *p, struct slice name)
{
    struct rollup_line *line = &p->lines[p->count++];
    line->name_bytes = (uint8_t)name.size;
    memcpy(line->name, name.data, name.size);
    return line;
}

static void add_named(struct sum *s, struct slice name, const struct rollup_counts *more)
{
    struct rollup_line *line = find_line(s, name);
    if (!line && s->report->count < ROLLUP_LINES)
        line = new_line(s->report, name);
    rollup_add_counts(line ? &line->counts : &s->others, more);
}

static void add_rows(struct sum *s, const struct rollup_rows *rows, bool by_resource)
{
    rollup_add_counts(&s->others, &rows->others);
    for (unsigned n = 0; n < rows->count; n++) {
        const struct rollup_row *row = &rows->of[n];
        struct slice name = slice_of(row->name, row->name_bytes);
        if (by_resource)
            name = slice_of(row->resource, row->resource_bytes);
        if (name.size)
            add_named(s, name, &row->counts);
        else
            rollup_add_counts(&s->others, &row->counts);
    }
}

static void add_tenants(struct sum *s, const struct rollup_rows *rows)
{
    add_rows(s, rows, false);
    rollup_add_counts(&s->bound, &rows->others);
    for (unsigned n = 0; n < rows->count; n++)
        rollup_add_counts(&s->bound, &rows->of[n].counts);
}

/* ======= days ======= */

static void add_day_line(struct sum *s, const struct rollup_day *d)
{
    s->report->lines[s->report->count++] =
        (struct rollup_line){.time = d->day * ROLLUP_DAY_S, .counts = d->total};
}

static void add_day(struct sum *s, const struct rollup_day *d)
{
    rollup_add_counts(&s->report->total, &d->total);
    switch (s->by) {
    case ROLLUP_BY_POLICY: add_rows(s, &d->policies, false); break;
    case ROLLUP_BY_RESOURCE: add_rows(s, &d->policies, true); break;
    case ROLLUP_BY_TENANT: add_tenants(s, &d->tenants); break;
    default: add_day_line(s, d); break;
    }
    for (unsigned n = 0; n < d->keys.count; n++)
        rollup_keys_add(s->keys, slice_of(d->keys.of[n].key, d->keys.of[n].bytes), d->keys.of[n].heat, true);
}

static void add_days(struct sum *s, const struct rollup *r)
{
    const struct rollup_report *p = s->report;
    struct rollup_day *d = must_alloc(sizeof(*d));
    for (unsigned n = 0; n < ROLLUP_DAYS; n++) {
        const struct rollup_closed *c = &r->days[n];
        bool wanted = c->record && c->day >= p->from_day && c->day <= p->to_day && c->day != r->today.day;
        if (wanted && rollup_day_read(slice_of(c->record, c->bytes), d))
            add_day(s, d);
    }
    add_day(s, &r->today);
    free(d);
}

/* ======= minutes ======= */

/* The one under way may have begun before a restart, and a clock that went back shows a minute twice. */
static struct rollup_line *line_of_minute(struct rollup_report *p, uint64_t minute)
{
    for (unsigned n = p->count; n-- > 0;)
        if (p->lines[n].time == minute * 60)
            return &p->lines[n];
    p->lines[p->count].time = minute * 60;
    return &p->lines[p->count++];
}

static void add_minute(struct sum *s, const struct rollup *r, const struct rollup_minute *m)
{
    bool is_past = m->minute <= r->now.minute && m->minute + ROLLUP_MINUTES > r->now.minute;
    if (!is_past || is_nothing(&m->counts))
        return;
    rollup_add_counts(&s->report->total, &m->counts);
    rollup_add_counts(&line_of_minute(s->report, m->minute)->counts, &m->counts);
}

static void add_minutes(struct sum *s, const struct rollup *r)
{
    for (unsigned n = 0; n < ROLLUP_MINUTES; n++)
        if (r->minutes[n].serial)
            add_minute(s, r, &r->minutes[n]);
    add_minute(s, r, &r->now);
}

/* ======= the whole ======= */

static int by_time(const void *a, const void *b)
{
    const struct rollup_line *x = a, *y = b;
    return (x->time > y->time) - (x->time < y->time);
}

static int by_name(const void *a, const void *b)
{
    const struct rollup_line *x = a, *y = b;
    unsigned both = x->name_bytes < y->name_bytes ? x->name_bytes : y->name_bytes;
    int order = memcmp(x->name, y->name, both);
    return order ? order : (int)x->name_bytes - (int)y->name_bytes;
}

static void add_last(struct rollup_report *p, const char *name, const struct rollup_counts *counts)
{
    if (!is_nothing(counts))
        new_line(p, slice_text(name))->counts = *counts;
}

/* Of a count that a namespace has as a whole, no row has any: it is in the total alone. */
static struct rollup_counts unbound(const struct sum *s)
{
    struct rollup_counts rest = s->report->total;
#define COUNT(name, sentence) rest.name -= s->bound.name < rest.name ? s->bound.name : rest.name;
    ROLLUP_COUNTS(COUNT)
#undef COUNT
    rest.invalidations = rest.loads = rest.evictions = rest.evictions_warm = 0;
    return rest;
}

static void end_names(struct sum *s)
{
    qsort(s->report->lines, s->report->count, sizeof(*s->report->lines), by_name);
    add_last(s->report, s->by == ROLLUP_BY_RESOURCE ? "(of any kind)" : "(others)", &s->others);
    if (s->by == ROLLUP_BY_TENANT) {
        struct rollup_counts rest = unbound(s);
        add_last(s->report, "(not bound)", &rest);
    }
}

static void tell_keys(struct sum *s)
{
    struct rollup_report *p = s->report;
    rollup_keys_sort(s->keys);
    for (; p->keys_count < s->keys->count && p->keys_count < ROLLUP_KEYS; p->keys_count++) {
        const struct rollup_key *k = &s->keys->of[p->keys_count];
        p->keys[p->keys_count].heat = k->heat;
        p->keys[p->keys_count].bytes = k->bytes;
        memcpy(p->keys[p->keys_count].key, k->key, k->bytes);
    }
}

static bool is_by_time(enum rollup_by by)
{
    return by == ROLLUP_BY_DAY || by == ROLLUP_BY_MINUTE;
}

static unsigned lines_at_most(enum rollup_by by)
{
    return by == ROLLUP_BY_MINUTE ? ROLLUP_MINUTES + 1
           : by == ROLLUP_BY_DAY  ? ROLLUP_DAYS + 1
                                  : ROLLUP_LINES + 2;
}

void rollup_report(const struct rollup *r, unsigned days, enum rollup_by by, struct rollup_report *ret)
{
    CHECK(days >= 1 && days <= ROLLUP_DAYS);
    uint64_t today = r->today.day;
    *ret = (struct rollup_report){.from_day = today >= days - 1 ? today - (days - 1) : 0, .to_day = today};
    ret->lines = must_alloc(lines_at_most(by) * sizeof(*ret->lines));
    struct sum s = {.report = ret, .by = by, .keys = must_alloc(sizeof(*s.keys))};
    if (by == ROLLUP_BY_MINUTE)
        add_minutes(&s, r);
    else
        add_days(&s, r);
    if (is_by_time(by))
        qsort(ret->lines, ret->count, sizeof(*ret->lines), by_time);
    else
        end_names(&s);
    tell_keys(&s);
    free(s.keys);
}

void rollup_report_finish(struct rollup_report *p)
{
    free(p->lines);
    *p = (struct rollup_report){0};
}
