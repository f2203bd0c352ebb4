/* {ns}:j as records: ids "V-0" are changes, "V-n" notes; fields are pairs (kind, name), all at position V.
 *
 * What must stay true: a record is applied whole or the session ends: one that cannot be read is a gap nobody would
 * see. */
#include <stdlib.h>
#include <string.h>
#include "l2/l2_private.h"
#include "proto/wire.h"

enum { RECORD_NAMES_MAX = 2 * SCRIPT_ITEMS_MAX }; /* twice what a script writes */

struct collected {
    struct slice keys[RECORD_NAMES_MAX], tags[RECORD_NAMES_MAX], prefixes[RECORD_NAMES_MAX],
        globs[RECORD_NAMES_MAX];
    struct fleet_record record;
};

struct collected *journal_collected(void)
{
    return must_alloc(sizeof(struct collected));
}

/* Decimal digits up to `end` or a '-'. */
static bool take_number(const char **at, const char *end, uint64_t *ret)
{
    const char *from = *at;
    uint64_t n = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(**at - '0'), &n))
            return false;
    *ret = n;
    return *at > from;
}

bool l2_number_read(struct slice text, uint64_t *ret)
{
    const char *at = text.data, *end = at + text.size;
    return take_number(&at, end, ret) && at == end;
}

bool l2_time_read(struct slice seconds, struct slice micros, uint64_t *ret_ms)
{
    uint64_t s, us;
    if (!l2_number_read(seconds, &s) || !l2_number_read(micros, &us) || us >= 1000000 ||
        s > UINT64_MAX / 1000 - 1000)
        return false;
    *ret_ms = s * 1000 + us / 1000;
    return true;
}

static bool read_id(const struct l2_reply *r, uint64_t *ret_v, uint64_t *ret_note)
{
    if (!r || r->kind != L2_BULK)
        return false;
    const char *at = r->text.data, *end = at + r->text.size;
    return take_number(&at, end, ret_v) && at < end && *at++ == '-' && take_number(&at, end, ret_note) &&
           at == end && *ret_v <= POSITION_MAX;
}

static bool take_name(struct slice *names, unsigned *count, struct slice name, size_t bytes_max)
{
    names[(*count)++] = name;
    return name.size > 0 && name.size <= bytes_max;
}

static bool take_pair(struct collected *c, char kind, struct slice name)
{
    struct fleet_record *r = &c->record;
    const char *why;
    if (r->keys_count + r->tags_count + r->prefixes_count + r->globs_count >= RECORD_NAMES_MAX)
        return false;
    switch (kind) {
    case 's': r->stored = true; return take_name(c->keys, &r->keys_count, name, WIRE_KEY_MAX);
    case 'k':
    case 'K': return take_name(c->keys, &r->keys_count, name, WIRE_KEY_MAX);
    case 't':
    case 'T': return take_name(c->tags, &r->tags_count, name, L2_RECORD_TAG_BYTES_MAX);
    case 'p':
    case 'P': return take_name(c->prefixes, &r->prefixes_count, name, WIRE_KEY_MAX);
    case 'g':
    case 'G': return take_name(c->globs, &r->globs_count, name, BAN_BYTES_MAX) && bans_glob_ok(name, &why);
    case 'a':
    case 'A': r->all = true; return true;
    default: return false;
    }
}

/* All of a record is soft, or nothing of it: it was one call. */
static bool take_softness(struct collected *c, char kind, bool first)
{
    bool soft = kind >= 'A' && kind <= 'Z', same = first || soft == c->record.soft;
    c->record.soft = soft;
    return same;
}

/* A note names the key whose lease ended, and changes nothing. */
static bool read_pair(struct collected *c, bool note, bool first, char kind, struct slice name)
{
    if (note || kind == 'w')
        return note && kind == 'w' && c->record.keys_count < RECORD_NAMES_MAX &&
               take_name(c->keys, &c->record.keys_count, name, WIRE_KEY_MAX);
    return take_softness(c, kind, first) && take_pair(c, kind, name);
}

static bool read_fields(const struct l2_reply *fields, bool note, struct collected *c)
{
    c->record.keys = c->keys;
    c->record.tags = c->tags;
    c->record.prefixes = c->prefixes;
    c->record.globs = c->globs;
    if (!fields || fields->kind != L2_ARRAY || fields->count == 0 || fields->count % 2)
        return false;
    const struct l2_reply *e = l2_reply_first(fields);
    while (e) {
        const struct l2_reply *name = l2_reply_next(fields, e);
        if (!name || e->kind != L2_BULK || e->text.size != 1 || name->kind != L2_BULK ||
            !read_pair(c, note, e == fields + 1, *(const char *)e->text.data, name->text))
            return false;
        e = l2_reply_next(fields, name);
    }
    return true;
}

static void tell_ends(struct l2 *l2, unsigned p, const struct fleet_record *note)
{
    uint64_t generation = l2->node.generation;
    for (unsigned i = 0; l2->fleet.heard && i < note->keys_count && generation == l2->node.generation; i++)
        l2->fleet.heard(l2->fleet.heard_user, p, note->keys[i]);
}

static bool read_entry(struct l2 *l2, unsigned p, const struct l2_reply *entry)
{
    struct collected *c = l2->collected;
    uint64_t note;
    c->record = (struct fleet_record){0};
    if (!read_id(l2_reply_at(entry, 0), &c->record.v, &note) ||
        !read_fields(l2_reply_at(entry, 1), note > 0, c))
        return false;
    l2->node.tailing.after[p] = c->record.v;
    l2->node.tailing.after_note[p] = note;
    coherence_record(l2->coherence, p, note, &c->record, l2_now(l2));
    if (note)
        tell_ends(l2, p, &c->record);
    return true;
}

static unsigned partition_named(const struct l2 *l2, const struct l2_reply *name)
{
    unsigned partitions = (unsigned)l2->setup.options->partitions;
    for (unsigned p = 0; p < partitions; p++) {
        size_t size = strlen(l2->names.of[p]);
        if (name && name->kind == L2_BULK && name->text.size == size + 2 &&
            memcmp(name->text.data, l2->names.of[p], size) == 0 &&
            memcmp((const char *)name->text.data + size, ":j", 2) == 0)
            return p;
    }
    return partitions;
}

/* The listener may end the session at any record: then the rest is nobody's. */
static bool read_stream(struct l2 *l2, const struct l2_reply *stream)
{
    uint64_t generation = l2->node.generation;
    unsigned p = partition_named(l2, l2_reply_at(stream, 0));
    const struct l2_reply *entries = l2_reply_at(stream, 1);
    if (p == l2->setup.options->partitions || !entries || entries->kind != L2_ARRAY)
        return false;
    for (const struct l2_reply *e = l2_reply_first(entries); e && generation == l2->node.generation;
         e = l2_reply_next(entries, e))
        if (!read_entry(l2, p, e))
            return false;
    return true;
}

bool journal_read(struct l2 *l2, const struct l2_reply *streams)
{
    uint64_t generation = l2->node.generation;
    if (streams->kind == L2_NIL)
        return true; /* nothing new */
    if (streams->kind != L2_ARRAY)
        return false;
    for (const struct l2_reply *s = l2_reply_first(streams); s && generation == l2->node.generation;
         s = l2_reply_next(streams, s))
        if (!read_stream(l2, s))
            return false;
    return true;
}
