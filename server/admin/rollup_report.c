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

enum { DAYS_A_STEP = 8 }; /* 0.2 ms, of the largest */

/* While it is made. */
struct sum {
    struct rollup_report *report;
    enum rollup_by by;
    struct rollup_counts others, bound; /* no row of their own; of all tenants */
    struct rollup_keys keys;
    unsigned expected; /* days have their rows in much the same order */
};

struct rollup_making {
    const struct rollup *rollup;
    unsigned days;
    unsigned place; /* in the ring: where the next step begins */
    struct rollup_report report;
    struct sum sum;
    struct rollup_day day; /* that is looked at */
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
        rollup_keys_add(&s->keys, slice_of(d->keys.of[n].key, d->keys.of[n].bytes), d->keys.of[n].heat, true);
}

static bool is_wanted(const struct rollup_making *m, const struct rollup_closed *c)
{
    const struct rollup_report *p = &m->report;
    return c->record && c->day >= p->from_day && c->day <= p->to_day && c->day != m->rollup->today.day;
}

/* ======= minutes ======= */

static void add_minute(struct sum *s, const struct rollup *r, const struct rollup_minute *m)
{
    bool is_past = m->minute <= r->now.minute && m->minute + ROLLUP_MINUTES > r->now.minute;
    if (!is_past || is_nothing(&m->counts))
        return;
    rollup_add_counts(&s->report->total, &m->counts);
    s->report->lines[s->report->count++] = (struct rollup_line){.time = m->minute * 60, .counts = m->counts};
}

/* Oldest first, so that there is little to sort. */
static void add_minutes(struct sum *s, const struct rollup *r)
{
    for (unsigned n = 1; n <= ROLLUP_MINUTES; n++) {
        const struct rollup_minute *m = &r->minutes[(r->newest_minute + n) % ROLLUP_MINUTES];
        if (m->serial)
            add_minute(s, r, m);
    }
    add_minute(s, r, &r->now);
}

/* The minute under way may have begun before a restart, and a clock that went back shows one twice. */
static void join_minutes(struct rollup_report *p)
{
    unsigned last = 0;
    for (unsigned n = 1; n < p->count; n++) {
        if (p->lines[n].time == p->lines[last].time)
            rollup_add_counts(&p->lines[last].counts, &p->lines[n].counts);
        else if (++last != n)
            p->lines[last] = p->lines[n];
    }
    p->count = p->count ? last + 1 : 0;
}

/* ======= the whole ======= */

static int by_time(const void *a, const void *b)
{
    const struct rollup_line *x = a, *y = b;
    return (x->time > y->time) - (x->time < y->time);
}

static void sort_by_time(struct rollup_report *p)
{
    for (unsigned n = 1; n < p->count; n++)
        if (p->lines[n - 1].time > p->lines[n].time) {
            qsort(p->lines, p->count, sizeof(*p->lines), by_time);
            return;
        }
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
    rollup_keys_sort(&s->keys);
    for (; p->keys_count < s->keys.count && p->keys_count < ROLLUP_KEYS; p->keys_count++) {
        const struct rollup_key *k = &s->keys.of[p->keys_count];
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

/* ======= the making ======= */

static void begin(struct rollup_making *m)
{
    uint64_t today = m->rollup->today.day, back = m->days - 1;
    free(m->report.lines);
    m->report = (struct rollup_report){.from_day = today >= back ? today - back : 0, .to_day = today};
    m->report.lines = must_alloc(lines_at_most(m->sum.by) * sizeof(*m->report.lines));
    m->sum = (struct sum){.report = &m->report, .by = m->sum.by};
    m->place = 0;
}

struct rollup_making *rollup_making_begin(const struct rollup *r, unsigned days, enum rollup_by by)
{
    CHECK(days >= 1 && days <= ROLLUP_DAYS);
    struct rollup_making *m = must_alloc(sizeof(*m));
    m->rollup = r;
    m->days = days;
    m->sum.by = by;
    begin(m);
    return m;
}

bool rollup_making_step(struct rollup_making *m)
{
    for (unsigned looked = 0; m->sum.by != ROLLUP_BY_MINUTE && m->place < ROLLUP_DAYS; m->place++) {
        const struct rollup_closed *c = &m->rollup->days[m->place];
        if (!is_wanted(m, c))
            continue;
        if (looked++ == DAYS_A_STEP)
            return false;
        if (rollup_day_read(slice_of(c->record, c->bytes), &m->day))
            add_day(&m->sum, &m->day);
    }
    return true;
}

static void add_present(struct rollup_making *m)
{
    if (m->sum.by == ROLLUP_BY_MINUTE)
        add_minutes(&m->sum, m->rollup);
    else
        add_day(&m->sum, &m->rollup->today);
}

bool rollup_making_end(struct rollup_making *m, struct rollup_report *ret)
{
    if (m->rollup->today.day != m->report.to_day) {
        begin(m); /* what was today is closed now, and was passed over */
        return false;
    }
    add_present(m);
    if (is_by_time(m->sum.by))
        sort_by_time(&m->report);
    else
        end_names(&m->sum);
    if (m->sum.by == ROLLUP_BY_MINUTE)
        join_minutes(&m->report);
    tell_keys(&m->sum);
    *ret = m->report;
    m->report.lines = NULL;
    return true;
}

struct rollup_making *rollup_making_destroy(struct rollup_making *m)
{
    if (m)
        free(m->report.lines);
    free(m);
    return NULL;
}

void rollup_report(const struct rollup *r, unsigned days, enum rollup_by by, struct rollup_report *ret)
{
    struct rollup_making *m = rollup_making_begin(r, days, by);
    while (!rollup_making_step(m))
        ;
    CHECK(rollup_making_end(m, ret));
    rollup_making_destroy(m);
}

void rollup_report_finish(struct rollup_report *p)
{
    free(p->lines);
    *p = (struct rollup_report){0};
}
