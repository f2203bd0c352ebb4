#include "cache/chronicle.h"

#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/tally.h"
#include "cache/apply.h"

enum {
    OWN_KEPT = 256,     /* positions: more than records that are behind their answers at any time */
    LOOKED_BACK = 64,   /* lines, for a record that came before the answer */
    NAMES_LISTED = 64,  /* the text is full long before */
    FORGET_EVERY = 256, /* lines: the store drops many with one change */
    LINE_BYTES_MAX = sizeof(struct chronicled) + 2 * UINT8_MAX + CHRONICLE_TEXT,
};

struct line {
    uint64_t number;
    struct chronicled told; /* its slices are not used */
    char text[];            /* by, cause, names */
};

/* Lines of the present second. */
struct share {
    uint64_t second, taken;
};

struct own {
    unsigned partition;
    uint64_t v;
};

struct chronicle {
    struct outbox *store;
    struct line *of[CHRONICLE_MAX]; /* by number; NULL: none, or taken back */
    uint64_t number;                /* of the newest */
    struct share named, single;
    uint64_t skipped, skipped_told;
    struct own own[OWN_KEPT];
    unsigned own_next;
    struct tally *tags;
};

/* ======= lines ======= */

static size_t text_bytes(const struct chronicled *t)
{
    return (size_t)t->by_bytes + t->cause_bytes + t->names_bytes;
}

static struct line **place(struct chronicle *c, uint64_t number)
{
    return &c->of[number % CHRONICLE_MAX];
}

static void take(struct chronicle *c, uint64_t number, const struct chronicled *told, const char *text)
{
    struct line **at = place(c, number);
    struct line *line = must_alloc(sizeof(*line) + text_bytes(told));
    line->number = number;
    line->told = *told;
    memcpy(line->text, text, text_bytes(told));
    free(*at);
    *at = line;
    c->number = number > c->number ? number : c->number;
}

/* What is not kept is lost with the process, which is all that can be done. */
static void store(struct chronicle *c, const struct line *line)
{
    char bytes[LINE_BYTES_MAX];
    size_t size = text_bytes(&line->told);
    if (!c->store)
        return;
    memcpy(bytes, &line->told, sizeof(line->told));
    memcpy(bytes + sizeof(line->told), line->text, size);
    c->store->ops->keep(c->store, line->number, slice_of(bytes, sizeof(line->told) + size));
    if (line->number % FORGET_EVERY == 0 && line->number > CHRONICLE_MAX)
        c->store->ops->drop_up_to(c->store, line->number - CHRONICLE_MAX);
}

/* Of an earlier run, perhaps of an earlier version: what does not fit together is left out. */
static void take_over(void *user, uint64_t number, struct slice bytes)
{
    struct chronicled told;
    if (bytes.size < sizeof(told))
        return;
    memcpy(&told, bytes.data, sizeof(told));
    if (bytes.size == sizeof(told) + text_bytes(&told) && told.names_bytes <= CHRONICLE_TEXT)
        take(user, number, &told, (const char *)bytes.data + sizeof(told));
}

struct chronicle *chronicle_create(struct outbox *store)
{
    struct chronicle *c = must_alloc(sizeof(*c));
    c->store = store;
    c->tags = tally_create();
    if (store)
        store->ops->each(store, take_over, c);
    return c;
}

struct chronicle *chronicle_destroy(struct chronicle *c)
{
    if (!c)
        return NULL;
    for (unsigned n = 0; n < CHRONICLE_MAX; n++)
        free(c->of[n]);
    tally_destroy(c->tags);
    free(c);
    return NULL;
}

const struct tally *chronicle_tags(const struct chronicle *c)
{
    return c->tags;
}

static void count_tags(struct chronicle *c, const struct fleet_record *r)
{
    for (unsigned n = 0; n < r->tags_count; n++)
        tally_add(c->tags, r->tags[n]);
}

bool chronicle_is_kept(const struct chronicle *c)
{
    return c->store;
}

uint64_t chronicle_skipped(const struct chronicle *c)
{
    return c->skipped;
}

/* ======= writing ======= */

struct text {
    char bytes[2 * UINT8_MAX + CHRONICLE_TEXT];
    size_t size;
};

static size_t put(struct text *t, struct slice s, size_t most)
{
    size_t size = s.size < most ? s.size : most;
    if (size)
        memcpy(t->bytes + t->size, s.data, size);
    t->size += size;
    return size;
}

/* "key a, key b": whole names only; false: no more fit. */
static bool put_names(struct text *t, size_t end, const char *kind, const struct slice *names, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        size_t need = strlen(kind) + 3 + names[n].size;
        if (n == NAMES_LISTED || t->size + need > end - strlen(", …"))
            return false;
        if (t->size && t->bytes[t->size - 1] != '\n')
            put(t, slice_text(", "), 2);
        put(t, slice_text(kind), strlen(kind));
        put(t, slice_text(" "), 1);
        put(t, names[n], names[n].size);
    }
    return true;
}

static void put_all_names(struct text *t, const struct fleet_record *r)
{
    struct text names = {.size = 0};
    size_t end = CHRONICLE_TEXT;
    bool fits = put_names(&names, end, "key", r->keys, r->keys_count) &&
                put_names(&names, end, "tag", r->tags, r->tags_count) &&
                put_names(&names, end, "prefix", r->prefixes, r->prefixes_count) &&
                put_names(&names, end, "glob", r->globs, r->globs_count);
    if (r->all)
        put(&names, slice_text(names.size ? ", all" : "all"), end - names.size);
    else if (!fits)
        put(&names, slice_text(names.size ? ", …" : "…"), end - names.size);
    put(t, slice_of(names.bytes, names.size), CHRONICLE_TEXT);
}

static bool may_write(struct chronicle *c, struct share *share, uint64_t most, uint64_t now_ns)
{
    uint64_t second = now_ns / NS_PER_S;
    share->taken = second == share->second ? share->taken + 1 : 1;
    share->second = second;
    if (share->taken <= most)
        return true;
    c->skipped++;
    return false;
}

static void write_line(struct chronicle *c, struct chronicled *told, const struct fleet_record *r,
                       struct slice by, struct slice cause)
{
    struct text text = {.size = 0};
    told->at_ms = clock_wall_ns() / NS_PER_MS;
    told->keys = r->keys_count;
    told->tags = r->tags_count;
    told->prefixes = r->prefixes_count;
    told->globs = r->globs_count;
    told->all = r->all;
    told->soft = r->soft;
    told->skipped = (uint32_t)(c->skipped - c->skipped_told);
    c->skipped_told = c->skipped;
    told->by_bytes = (uint8_t)put(&text, by, UINT8_MAX);
    told->cause_bytes = (uint8_t)put(&text, cause, UINT8_MAX);
    size_t before = text.size;
    put_all_names(&text, r);
    told->names_bytes = (uint16_t)(text.size - before);
    take(c, c->number + 1, told, text.bytes);
    store(c, *place(c, c->number));
}

void chronicle_call(struct chronicle *c, const struct cache_invalidate *i, uint32_t cascaded, uint64_t now_ns)
{
    struct fleet_record r = record_of_call(i, i->result.v);
    struct chronicled told;
    memset(&told, 0, sizeof(told)); /* padding is kept as well */
    told.v = i->result.v;
    told.partition = (uint8_t)i->partition;
    told.status = (uint8_t)i->status;
    told.count = i->count;
    told.pid = i->pid;
    told.cascaded = cascaded;
    count_tags(c, &r);
    if (may_write(c, &c->named, CHRONICLE_A_SECOND, now_ns))
        write_line(c, &told, &r, i->by, i->cause);
}

/* ======= what the journal tells ======= */

static bool is_own(const struct chronicle *c, unsigned partition, uint64_t v)
{
    for (unsigned n = 0; n < OWN_KEPT; n++)
        if (c->own[n].v == v && c->own[n].partition == partition)
            return true;
    return false;
}

static bool is_single_key(const struct fleet_record *r)
{
    return r->keys_count == 1 && !r->tags_count && !r->prefixes_count && !r->globs_count && !r->all;
}

static bool may_write_record(struct chronicle *c, const struct fleet_record *r, uint64_t now_ns)
{
    return is_single_key(r) ? may_write(c, &c->single, CHRONICLE_SINGLE_A_SECOND, now_ns)
                            : may_write(c, &c->named, CHRONICLE_A_SECOND, now_ns);
}

void chronicle_record(struct chronicle *c, unsigned partition, const struct fleet_record *r, uint64_t now_ns)
{
    struct chronicled told;
    if (r->again)
        chronicle_own(c, partition, r->v);
    if (r->stored || r->again || is_own(c, partition, r->v))
        return;
    if (partition == 0) /* a tag is named in all of them */
        count_tags(c, r);
    if (!may_write_record(c, r, now_ns))
        return;
    memset(&told, 0, sizeof(told));
    told.v = r->v;
    told.partition = (uint8_t)partition;
    told.elsewhere = true;
    write_line(c, &told, r, slice_of(NULL, 0), slice_of(NULL, 0));
}

/* The record may have come before the answer: then it was not somebody else's. */
static void take_back(struct chronicle *c, unsigned partition, uint64_t v)
{
    for (uint64_t n = c->number; n > 0 && n + LOOKED_BACK > c->number; n--) {
        struct line **at = place(c, n);
        if (!*at || !(*at)->told.elsewhere || (*at)->told.v != v || (*at)->told.partition != partition)
            continue;
        free(*at);
        *at = NULL;
        if (c->store)
            c->store->ops->keep(c->store, n, slice_of("", 0));
    }
}

void chronicle_own(struct chronicle *c, unsigned partition, uint64_t v)
{
    c->own[c->own_next++ % OWN_KEPT] = (struct own){partition, v};
    take_back(c, partition, v);
}

/* ======= reading ======= */

void chronicle_each(const struct chronicle *c, uint64_t since_ms,
                    bool (*each)(void *user, const struct chronicled *told), void *user)
{
    for (uint64_t n = c->number; n > 0 && n + CHRONICLE_MAX > c->number; n--) {
        const struct line *line = c->of[n % CHRONICLE_MAX];
        if (!line || line->number != n || line->told.at_ms < since_ms)
            continue;
        struct chronicled told = line->told;
        told.by = slice_of(line->text, told.by_bytes);
        told.cause = slice_of(line->text + told.by_bytes, told.cause_bytes);
        told.names = slice_of(line->text + told.by_bytes + told.cause_bytes, told.names_bytes);
        if (!each(user, &told))
            return;
    }
}
