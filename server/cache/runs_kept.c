#include "cache/runs_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "proto/pack.h"

enum { VERSION = 1, FIELDS = 6, LAST_FIELDS = 13, RECORD_BYTES = 4096, LATER_FIELDS = 64 };
enum { SUMS = sizeof(struct run_sums) / sizeof(uint64_t) };
#define DAY_NS (86400 * NS_PER_S)

/* ======= days ======= */

static struct run_day *find_day(struct run *r, uint64_t day)
{
    struct run_day *oldest = &r->days[0];
    for (unsigned n = 0; n < RUN_DAYS; n++) {
        if (r->days[n].serial && r->days[n].day == day)
            return &r->days[n];
        if (r->days[n].serial < oldest->serial)
            oldest = &r->days[n];
    }
    *oldest = (struct run_day){.serial = ++r->newest_day, .day = day};
    return oldest;
}

struct run_sums *run_today(struct run *r, uint64_t wall_ns)
{
    return &find_day(r, wall_ns / DAY_NS)->sums;
}

void run_tell_days(const struct run *r, uint64_t wall_ns, struct run_sums ret[RUN_DAYS])
{
    uint64_t today = wall_ns / DAY_NS;
    memset(ret, 0, RUN_DAYS * sizeof(*ret));
    for (unsigned n = 0; n < RUN_DAYS; n++) {
        const struct run_day *d = &r->days[n];
        if (d->serial && d->day <= today && today - d->day < RUN_DAYS)
            ret[today - d->day] = d->sums;
    }
}

/* ======= the record ======= */

static void put_last(struct buffer *b, const struct run_look *l)
{
    const struct warming_figures *f = &l->last;
    const uint64_t numbers[LAST_FIELDS] = {l->last_wall_ns,
                                           f->state,
                                           f->total,
                                           f->total_known,
                                           f->done,
                                           f->loaded,
                                           f->here,
                                           f->missing,
                                           f->others,
                                           f->brought,
                                           f->failed,
                                           f->elapsed_ns,
                                           (uint64_t)(l->ratio_before + 1)};
    pack_array(b, l->has_last ? LAST_FIELDS : 0);
    for (unsigned n = 0; l->has_last && n < LAST_FIELDS; n++)
        pack_uint(b, numbers[n]);
}

static void put_day(struct buffer *b, const struct run_day *d)
{
    pack_array(b, 2 + SUMS);
    pack_uint(b, d->serial);
    pack_uint(b, d->day);
    for (unsigned n = 0; n < SUMS; n++)
        pack_uint(b, ((const uint64_t *)(const void *)&d->sums)[n]);
}

static void put_run(struct buffer *b, const struct run *r)
{
    pack_array(b, FIELDS);
    pack_uint(b, VERSION);
    pack_bytes(b, slice_text(r->name));
    pack_uint(b, r->newest_day);
    put_last(b, &r->look);
    pack_bytes(b, slice_text(r->look.last.why));
    pack_array(b, RUN_DAYS);
    for (unsigned n = 0; n < RUN_DAYS; n++)
        put_day(b, &r->days[n]);
}

static bool skip_rest(struct reader *r, uint32_t read, uint32_t count)
{
    for (; read < count; read++)
        if (read_skip(r) < 0)
            return false;
    return true;
}

/* `count` numbers, and what a later version has behind them.  ret_there: there are any at all. */
static bool read_numbers(struct reader *r, uint64_t *ret, uint32_t count, bool *ret_there)
{
    uint32_t there;
    if (read_array(r, LATER_FIELDS, &there) < 0 || (there && there < count))
        return false;
    *ret_there = there;
    for (uint32_t n = 0; there && n < count; n++)
        if (read_uint(r, UINT64_MAX, &ret[n]) < 0)
            return false;
    return skip_rest(r, there ? count : 0, there);
}

static bool read_last(struct reader *r, struct run_look *l)
{
    uint64_t n[LAST_FIELDS];
    if (!read_numbers(r, n, LAST_FIELDS, &l->has_last))
        return false;
    if (!l->has_last)
        return true;
    l->last_wall_ns = n[0];
    l->last = (struct warming_figures){.state = (enum warming_state)n[1],
                                       .total = n[2],
                                       .total_known = n[3],
                                       .done = n[4],
                                       .loaded = n[5],
                                       .here = n[6],
                                       .missing = n[7],
                                       .others = n[8],
                                       .brought = n[9],
                                       .failed = n[10],
                                       .elapsed_ns = n[11]};
    l->ratio_before = n[12] <= 1001 ? (int)n[12] - 1 : -1;
    return n[1] > WARMING_RUNS && n[1] <= WARMING_FAILED;
}

static bool read_days(struct reader *r, struct run *run)
{
    uint32_t count;
    uint64_t n[2 + SUMS];
    bool there;
    if (read_array(r, LATER_FIELDS, &count) < 0 || count < RUN_DAYS)
        return false;
    for (unsigned d = 0; d < RUN_DAYS; d++) {
        if (!read_numbers(r, n, 2 + SUMS, &there) || !there)
            return false;
        run->days[d] = (struct run_day){.serial = n[0], .day = n[1]};
        memcpy(&run->days[d].sums, n + 2, sizeof(run->days[d].sums));
    }
    return skip_rest(r, RUN_DAYS, count);
}

static void take_text(char *to, size_t room, struct slice text)
{
    snprintf(to, room, "%.*s", (int)text.size, (const char *)text.data);
}

static bool read_run(struct slice record, struct run *ret)
{
    struct reader r = reader_of(record);
    struct slice name, why;
    uint32_t fields;
    uint64_t version;
    bool whole = read_array(&r, LATER_FIELDS, &fields) == 0 && fields >= FIELDS &&
                 read_uint(&r, UINT64_MAX, &version) == 0 && version == VERSION &&
                 read_bytes(&r, RUN_NAME_BYTES - 1, &name) == 0 && name.size &&
                 read_uint(&r, UINT64_MAX, &ret->newest_day) == 0 && read_last(&r, &ret->look) &&
                 read_bytes(&r, RUN_WHY_BYTES - 1, &why) == 0 && read_days(&r, ret) &&
                 skip_rest(&r, FIELDS, fields);
    if (!whole)
        return false;
    take_text(ret->name, sizeof(ret->name), name);
    take_text(ret->why, sizeof(ret->why), why);
    ret->look.last.why = why.size ? ret->why : NULL;
    ret->look.ratio_after = -1;
    return true;
}

/* ======= all of them ======= */

struct loading {
    struct runs_kept *kept;
    uint64_t refused;
};

static struct run *find(const struct runs_kept *k, const char *name)
{
    for (unsigned n = 0; n < RUNS_KEPT; n++)
        if (k->of[n] && strcmp(k->of[n]->name, name) == 0)
            return k->of[n];
    return NULL;
}

static void take_over(void *user, uint64_t number, struct slice record)
{
    struct loading *l = user;
    struct run *r = must_alloc(sizeof(*r));
    if (number < RUNS_KEPT && !l->kept->of[number] && read_run(record, r) && !find(l->kept, r->name)) {
        l->kept->of[number] = r;
        return;
    }
    l->refused++;
    free(r);
}

void runs_kept_load(struct runs_kept *k, struct outbox *store)
{
    struct loading l = {.kept = k};
    k->store = store;
    if (store)
        store->ops->each(store, take_over, &l);
    if (l.refused)
        log_warn("statistics of warmings of another version, or broken, are left out",
                 L_U64("records", l.refused));
}

void runs_kept_free(struct runs_kept *k)
{
    for (unsigned n = 0; n < RUNS_KEPT; n++)
        free(k->of[n]);
}

static bool ran_before(const struct run *a, const struct run *b)
{
    return a->look.last_wall_ns < b->look.last_wall_ns;
}

static struct run **room(struct runs_kept *k)
{
    struct run **oldest = NULL;
    for (struct run **at = k->of; at < k->of + RUNS_KEPT; at++) {
        if (!*at)
            return at;
        if (!(*at)->held && (!oldest || ran_before(*at, *oldest)))
            oldest = at;
    }
    CHECK(oldest);
    return oldest;
}

struct run *runs_kept_of(struct runs_kept *k, const char *name)
{
    struct run *r = find(k, name);
    if (r)
        return r;
    struct run **at = room(k);
    if (!*at)
        *at = must_alloc(sizeof(**at));
    **at = (struct run){.look = {.ratio_before = -1, .ratio_after = -1}};
    take_text((*at)->name, RUN_NAME_BYTES, slice_text(name));
    return *at;
}

void runs_kept_save(struct runs_kept *k, const struct run *run)
{
    struct buffer b = {.limit = RECORD_BYTES};
    unsigned n = 0;
    if (!k->store)
        return;
    while (k->of[n] != run)
        n++;
    put_run(&b, run);
    k->store->ops->keep(k->store, n, slice_of(b.data, b.size));
    buffer_finish(&b);
}
