#include "admin/rollup_private.h"

#include <stdlib.h>
#include <string.h>
#include "base/check.h"

enum kind { KIND_DAY, KIND_MINUTE };
enum { COUNTS = sizeof(struct rollup_counts) / sizeof(uint64_t), LATER_FIELDS = 64 };

/* ======= counts ======= */

static uint64_t *numbers(struct rollup_counts *c)
{
    return (uint64_t *)(void *)c;
}

static const uint64_t *numbers_of(const struct rollup_counts *c)
{
    return (const uint64_t *)(const void *)c;
}

void rollup_add_counts(struct rollup_counts *to, const struct rollup_counts *more)
{
    for (unsigned n = 0; n < COUNTS; n++)
        numbers(to)[n] += numbers_of(more)[n];
}

struct rollup_counts rollup_since(const struct rollup_counts *now, const struct rollup_counts *before)
{
    struct rollup_counts since;
    for (unsigned n = 0; n < COUNTS; n++) {
        uint64_t is = numbers_of(now)[n], was = numbers_of(before)[n];
        numbers(&since)[n] = is >= was ? is - was : is;
    }
    return since;
}

/* ======= rows ======= */

static uint64_t traffic(const struct rollup_row *row)
{
    return rollup_hits(&row->counts) + row->counts.misses + row->counts.sets;
}

static struct rollup_row *find_row(struct rollup_rows *rows, struct slice name)
{
    for (unsigned n = 0; n < rows->count; n++)
        if (slice_equal(slice_of(rows->of[n].name, rows->of[n].name_bytes), name))
            return &rows->of[n];
    return NULL;
}

/* What it has so far goes to the others. */
static struct rollup_row *empty_quietest(struct rollup_rows *rows)
{
    struct rollup_row *quietest = &rows->of[0];
    for (unsigned n = 1; n < rows->count; n++)
        if (traffic(&rows->of[n]) < traffic(quietest))
            quietest = &rows->of[n];
    rollup_add_counts(&rows->others, &quietest->counts);
    return quietest;
}

static uint8_t take_text(char *to, size_t most, struct slice text)
{
    size_t bytes = text.size < most ? text.size : most;
    if (bytes)
        memcpy(to, text.data, bytes);
    return (uint8_t)bytes;
}

static struct rollup_row *new_row(struct rollup_rows *rows, unsigned max, struct slice name)
{
    struct rollup_row *row = rows->count < max ? &rows->of[rows->count++] : empty_quietest(rows);
    row->counts = (struct rollup_counts){0};
    row->name_bytes = take_text(row->name, ROLLUP_NAME_BYTES, name);
    return row;
}

void rollup_rows_add(struct rollup_rows *rows, unsigned max, struct slice name, struct slice resource,
                     const struct rollup_counts *more)
{
    struct slice fitting = slice_of(name.data, name.size < ROLLUP_NAME_BYTES ? name.size : ROLLUP_NAME_BYTES);
    struct rollup_row *row = find_row(rows, fitting);
    row = row ? row : new_row(rows, max, fitting);
    row->resource_bytes = take_text(row->resource, ROLLUP_RESOURCE_BYTES, resource);
    rollup_add_counts(&row->counts, more);
}

/* ======= keys ======= */

static uint64_t hash_of(struct slice key)
{
    uint64_t hash = 1469598103934665603ull; /* FNV-1a: only to compare less */
    for (size_t n = 0; n < key.size; n++)
        hash = (hash ^ ((const uint8_t *)key.data)[n]) * 1099511628211ull;
    return hash;
}

static struct rollup_key *find_key(struct rollup_keys *keys, struct slice key, uint64_t hash)
{
    for (unsigned n = 0; n < keys->count; n++)
        if (keys->of[n].hash == hash && slice_equal(slice_of(keys->of[n].key, keys->of[n].bytes), key))
            return &keys->of[n];
    return NULL;
}

static struct rollup_key *coldest_of(struct rollup_keys *keys)
{
    struct rollup_key *coldest = &keys->of[0];
    for (unsigned n = 1; n < keys->count; n++)
        if (keys->of[n].heat < coldest->heat)
            coldest = &keys->of[n];
    return coldest;
}

void rollup_keys_add(struct rollup_keys *keys, struct slice key, uint64_t heat, bool kept)
{
    struct slice cut = slice_of(key.data, key.size < ROLLUP_KEY_BYTES ? key.size : ROLLUP_KEY_BYTES);
    uint64_t hash = hash_of(cut), before = 0;
    struct rollup_key *k = find_key(keys, cut, hash);
    if (!k) {
        bool full = keys->count == ROLLUP_KEYS_WATCHED;
        k = full ? coldest_of(keys) : &keys->of[keys->count++];
        before = full ? k->heat : 0;
        k->hash = hash;
        k->heat = before;
        k->bytes = take_text(k->key, ROLLUP_KEY_BYTES, cut);
    }
    k->heat += heat;
    k->kept = kept;
}

static int by_heat(const void *a, const void *b)
{
    const struct rollup_key *x = a, *y = b;
    return (x->heat < y->heat) - (x->heat > y->heat);
}

void rollup_keys_sort(struct rollup_keys *keys)
{
    qsort(keys->of, keys->count, sizeof(keys->of[0]), by_heat);
}

/* ======= writing ======= */

/* Zeros at the end are not written: most rows have many. */
static void write_counts(struct buffer *out, const struct rollup_counts *c)
{
    unsigned count = COUNTS;
    while (count && !numbers_of(c)[count - 1])
        count--;
    pack_array(out, count);
    for (unsigned n = 0; n < count; n++)
        pack_uint(out, numbers_of(c)[n]);
}

static void write_head(struct buffer *out, uint32_t fields, enum kind kind, uint64_t serial, uint64_t time)
{
    pack_array(out, fields);
    pack_uint(out, ROLLUP_VERSION);
    pack_uint(out, kind);
    pack_uint(out, serial);
    pack_uint(out, time);
}

static void write_rows(struct buffer *out, const struct rollup_rows *rows)
{
    write_counts(out, &rows->others);
    pack_array(out, rows->count);
    for (unsigned n = 0; n < rows->count; n++) {
        const struct rollup_row *row = &rows->of[n];
        pack_array(out, 3);
        pack_bytes(out, slice_of(row->name, row->name_bytes));
        pack_bytes(out, slice_of(row->resource, row->resource_bytes));
        write_counts(out, &row->counts);
    }
}

/* The hottest that may be written down. */
static void write_keys(struct buffer *out, const struct rollup_keys *keys)
{
    unsigned kept = 0, written = 0;
    for (unsigned n = 0; n < keys->count; n++)
        kept += keys->of[n].kept;
    pack_array(out, kept < ROLLUP_KEYS ? kept : ROLLUP_KEYS);
    for (unsigned n = 0; n < keys->count && written < ROLLUP_KEYS; n++) {
        const struct rollup_key *k = &keys->of[n];
        if (!k->kept)
            continue;
        pack_array(out, 2);
        pack_bytes(out, slice_of(k->key, k->bytes));
        pack_uint(out, k->heat);
        written++;
    }
}

void rollup_day_write(struct rollup_day *d, struct buffer *out)
{
    rollup_keys_sort(&d->keys);
    write_head(out, 10, KIND_DAY, d->serial, d->day);
    write_counts(out, &d->total);
    write_rows(out, &d->policies); /* two fields */
    write_rows(out, &d->tenants);
    write_keys(out, &d->keys);
}

void rollup_minute_write(const struct rollup_minute *m, struct buffer *out)
{
    write_head(out, 5, KIND_MINUTE, m->serial, m->minute);
    write_counts(out, &m->counts);
}

/* ======= reading ======= */

/* The rest of an array whose beginning was read. */
static bool skip_rest(struct reader *r, uint32_t read, uint32_t count)
{
    for (; read < count; read++)
        if (read_skip(r) < 0)
            return false;
    return true;
}

static bool read_counts(struct reader *r, struct rollup_counts *ret)
{
    uint32_t count, n = 0;
    *ret = (struct rollup_counts){0};
    if (read_array(r, COUNTS + LATER_FIELDS, &count) < 0)
        return false;
    for (; n < count && n < COUNTS; n++)
        if (read_uint(r, UINT64_MAX, &numbers(ret)[n]) < 0)
            return false;
    return skip_rest(r, n, count);
}

static bool read_head(struct reader *r, enum kind wanted, uint32_t fields, uint64_t *ret_serial,
                      uint64_t *ret_time, uint32_t *ret_fields)
{
    uint64_t version, kind;
    return read_array(r, LATER_FIELDS, ret_fields) == 0 && read_uint(r, UINT64_MAX, &version) == 0 &&
           version == ROLLUP_VERSION && *ret_fields >= fields && read_uint(r, UINT64_MAX, &kind) == 0 &&
           kind == wanted && read_uint(r, UINT64_MAX, ret_serial) == 0 &&
           read_uint(r, UINT64_MAX, ret_time) == 0;
}

/* Names are written once each, so none is looked for. */
static bool read_row(struct reader *r, struct rollup_rows *rows, unsigned max)
{
    struct slice name, resource;
    struct rollup_counts counts;
    struct rollup_row *row;
    uint32_t fields;
    if (read_array(r, LATER_FIELDS, &fields) < 0 || fields < 3 ||
        read_bytes(r, ROLLUP_NAME_BYTES, &name) < 0 || read_bytes(r, ROLLUP_RESOURCE_BYTES, &resource) < 0 ||
        !read_counts(r, &counts) || !skip_rest(r, 3, fields))
        return false;
    row = new_row(rows, max, name);
    row->resource_bytes = take_text(row->resource, ROLLUP_RESOURCE_BYTES, resource);
    row->counts = counts;
    return true;
}

static bool read_rows(struct reader *r, struct rollup_rows *rows, unsigned max)
{
    uint32_t count;
    if (!read_counts(r, &rows->others) || read_array(r, ROLLUP_POLICIES, &count) < 0)
        return false;
    while (count--)
        if (!read_row(r, rows, max))
            return false;
    return true;
}

static bool read_key(struct reader *r, struct rollup_keys *keys)
{
    struct slice key;
    uint64_t heat;
    uint32_t fields;
    if (read_array(r, LATER_FIELDS, &fields) < 0 || fields < 2 || read_bytes(r, ROLLUP_KEY_BYTES, &key) < 0 ||
        read_uint(r, UINT64_MAX, &heat) < 0 || !skip_rest(r, 2, fields))
        return false;
    struct rollup_key *k = &keys->of[keys->count++];
    k->hash = hash_of(key);
    k->heat = heat;
    k->kept = true;
    k->bytes = take_text(k->key, ROLLUP_KEY_BYTES, key);
    return true;
}

static bool read_keys(struct reader *r, struct rollup_keys *keys)
{
    uint32_t count;
    if (read_array(r, ROLLUP_KEYS_WATCHED, &count) < 0)
        return false;
    while (count--)
        if (!read_key(r, keys))
            return false;
    return true;
}

bool rollup_day_read(struct slice record, struct rollup_day *ret)
{
    struct reader r = reader_of(record);
    uint32_t fields;
    ret->policies.count = ret->tenants.count = ret->keys.count = 0; /* what is behind them means nothing */
    return read_head(&r, KIND_DAY, 10, &ret->serial, &ret->day, &fields) && read_counts(&r, &ret->total) &&
           read_rows(&r, &ret->policies, ROLLUP_POLICIES) && read_rows(&r, &ret->tenants, ROLLUP_TENANTS) &&
           read_keys(&r, &ret->keys) && skip_rest(&r, 10, fields) && reader_left(&r) == 0;
}

bool rollup_day_peek(struct slice record, uint64_t *ret_serial, uint64_t *ret_day)
{
    struct reader r = reader_of(record);
    uint32_t fields;
    return read_head(&r, KIND_DAY, 10, ret_serial, ret_day, &fields);
}

bool rollup_minute_read(struct slice record, struct rollup_minute *ret)
{
    struct reader r = reader_of(record);
    uint32_t fields;
    memset(ret, 0, sizeof(*ret));
    return read_head(&r, KIND_MINUTE, 5, &ret->serial, &ret->minute, &fields) &&
           read_counts(&r, &ret->counts) && skip_rest(&r, 5, fields) && reader_left(&r) == 0;
}
