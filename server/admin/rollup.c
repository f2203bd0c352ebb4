#include "admin/rollup.h"

#include <stdlib.h>
#include <string.h>
#include "admin/rollup_private.h"
#include "base/check.h"

enum { FIRST_DAY = 4096 }; /* number of the first day's record; minutes are below */

struct rollup *rollup_create(const struct rollup_store *store)
{
    struct rollup *r = must_alloc(sizeof(*r));
    r->store = *store;
    return r;
}

struct rollup *rollup_destroy(struct rollup *r)
{
    for (unsigned n = 0; r && n < ROLLUP_DAYS; n++)
        free(r->days[n].record);
    free(r);
    return NULL;
}

/* ======= days ======= */

static struct rollup_closed *find_day(struct rollup *r, uint64_t day)
{
    for (unsigned n = 0; n < ROLLUP_DAYS; n++)
        if (r->days[n].record && r->days[n].day == day)
            return &r->days[n];
    return NULL;
}

/* An empty place, or that of the day begun first, whatever date it has: a clock that shows 1970 or 2100 for a while costs
 * no more than that. */
static struct rollup_closed *room_for_day(struct rollup *r)
{
    struct rollup_closed *oldest = &r->days[0];
    for (unsigned n = 0; n < ROLLUP_DAYS; n++) {
        if (!r->days[n].record)
            return &r->days[n];
        if (r->days[n].serial < oldest->serial)
            oldest = &r->days[n];
    }
    return oldest;
}

static void take_record(struct rollup_closed *to, uint64_t serial, uint64_t day, struct slice record)
{
    free(to->record);
    *to = (struct rollup_closed){serial, day, must_alloc(record.size), record.size};
    memcpy(to->record, record.data, record.size);
}

static void keep_day(struct rollup *r)
{
    struct buffer out = {.limit = ROLLUP_RECORD_BYTES};
    struct rollup_closed *place = find_day(r, r->today.day);
    if (!r->changed)
        return;
    place = place ? place : room_for_day(r);
    rollup_day_write(&r->today, &out);
    struct slice record = slice_of(out.data, out.size);
    take_record(place, r->today.serial, r->today.day, record);
    r->store.keep(r->store.user, FIRST_DAY + (uint64_t)(place - r->days), record);
    r->changed = false;
    buffer_finish(&out);
}

/* The youngest of all from now on, also when it was here before. */
static void open_day(struct rollup *r, uint64_t day)
{
    const struct rollup_closed *place = find_day(r, day);
    if (!place || !rollup_day_read(slice_of(place->record, place->bytes), &r->today))
        memset(&r->today, 0, sizeof(r->today));
    r->today.day = day;
    r->today.serial = ++r->newest_day;
}

/* ======= minutes ======= */

static const struct rollup_counts nothing;

static struct rollup_minute *minute_of(struct rollup *r, uint64_t serial)
{
    return &r->minutes[serial % ROLLUP_MINUTES];
}

/* A minute in which nothing happened is not kept.  One that a restart cut in two is put together. */
static void keep_minute(struct rollup *r)
{
    struct buffer out = {.limit = ROLLUP_RECORD_BYTES};
    struct rollup_minute *m = minute_of(r, r->newest_minute);
    if (memcmp(&r->now.counts, &nothing, sizeof(nothing)) == 0)
        return;
    if (!m->serial || m->minute != r->now.minute) {
        m = minute_of(r, ++r->newest_minute);
        *m = (struct rollup_minute){.serial = r->newest_minute, .minute = r->now.minute};
    }
    rollup_add_counts(&m->counts, &r->now.counts);
    r->now.counts = nothing;
    rollup_minute_write(m, &out);
    r->store.keep(r->store.user, m->serial % ROLLUP_MINUTES, slice_of(out.data, out.size));
    buffer_finish(&out);
}

/* ======= what an earlier run left ======= */

static uint64_t higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static bool load_minute(struct rollup *r, uint64_t number, struct slice record)
{
    struct rollup_minute m;
    if (!rollup_minute_read(record, &m) || !m.serial || m.serial % ROLLUP_MINUTES != number)
        return false;
    r->minutes[number] = m;
    r->newest_minute = higher(r->newest_minute, m.serial);
    return true;
}

/* Read whole, so that a report can trust it; `today` is of no other use yet. */
static bool load_day(struct rollup *r, struct rollup_closed *place, struct slice record)
{
    struct rollup_day *d = &r->today;
    if (!rollup_day_read(record, d) || find_day(r, d->day))
        return false;
    take_record(place, d->serial, d->day, record);
    r->newest_day = higher(r->newest_day, d->serial);
    return true;
}

bool rollup_load(struct rollup *r, uint64_t number, struct slice record)
{
    if (number < ROLLUP_MINUTES)
        return load_minute(r, number, record);
    if (number < FIRST_DAY || number >= FIRST_DAY + ROLLUP_DAYS)
        return false;
    return load_day(r, &r->days[number - FIRST_DAY], record);
}

/* ======= the clock ======= */

void rollup_begin(struct rollup *r, uint64_t wall_s)
{
    r->now = (struct rollup_minute){.minute = wall_s / 60};
    r->kept_s = wall_s;
    open_day(r, wall_s / ROLLUP_DAY_S);
}

bool rollup_is_over(const struct rollup *r, uint64_t wall_s)
{
    return wall_s / 60 != r->now.minute;
}

void rollup_keep(struct rollup *r)
{
    keep_minute(r);
    keep_day(r);
}

void rollup_turn(struct rollup *r, uint64_t wall_s)
{
    rollup_keep(r);
    r->now.minute = wall_s / 60;
    r->kept_s = wall_s;
    if (wall_s / ROLLUP_DAY_S != r->today.day)
        open_day(r, wall_s / ROLLUP_DAY_S);
}

uint64_t rollup_kept_s(const struct rollup *r)
{
    return r->kept_s;
}

/* ======= counting ======= */

static bool add_to_all(struct rollup *r, const struct rollup_counts *more)
{
    if (memcmp(more, &nothing, sizeof(nothing)) == 0)
        return false;
    rollup_add_counts(&r->today.total, more);
    rollup_add_counts(&r->now.counts, more);
    r->changed = true;
    return true;
}

void rollup_add(struct rollup *r, const struct rollup_counts *more)
{
    add_to_all(r, more);
}

void rollup_add_policy(struct rollup *r, struct slice name, struct slice resource,
                       const struct rollup_counts *more)
{
    if (add_to_all(r, more))
        rollup_rows_add(&r->today.policies, ROLLUP_POLICIES, name, resource, more);
}

void rollup_add_others(struct rollup *r, const struct rollup_counts *more)
{
    if (add_to_all(r, more))
        rollup_add_counts(&r->today.policies.others, more);
}

void rollup_add_tenant(struct rollup *r, struct slice name, const struct rollup_counts *more)
{
    if (memcmp(more, &nothing, sizeof(nothing)) == 0)
        return;
    if (name.size)
        rollup_rows_add(&r->today.tenants, ROLLUP_TENANTS, name, slice_of(NULL, 0), more);
    else
        rollup_add_counts(&r->today.tenants.others, more);
    r->changed = true;
}

/* Nothing to write for by itself: what is hot was asked for. */
void rollup_add_key(struct rollup *r, struct slice key, uint64_t heat, bool kept)
{
    rollup_keys_add(&r->today.keys, key, heat, kept);
}
