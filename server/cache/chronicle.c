#include "cache/chronicle.h"

#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/tally.h"
#include "cache/apply.h"
#include "cache/cascade.h"

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

static const char at_the_end[] = ", …, all";

/* As text: with its word, a blank, and a comma and a blank before it. */
static size_t text_of_name(const struct named_item *named)
{
    return strlen(", ") + strlen(named_word(named->kind)) + strlen(" ") + named->name.size;
}

/* Whole names only, as many as fit as text; false: there are more. */
static bool put_names(struct text *t, size_t *left, enum named_kind kind, const struct slice *names,
                      unsigned count, unsigned asked)
{
    for (unsigned n = 0; n < count; n++) {
        struct named_item named = {kind, n >= asked, names[n]};
        size_t need = text_of_name(&named);
        if (n == NAMES_LISTED || need > *left)
            return false;
        *left -= need;
        named_put(&named, t->bytes, &t->size);
    }
    return true;
}

/* `i`: the call, of which some may be its cascade's; NULL: a record. */
static bool put_all_names(struct text *t, const struct fleet_record *r, const struct cache_invalidate *i)
{
    const struct {
        const struct slice *names;
        unsigned count;
    } of[] = {[NAMED_KEY] = {r->keys, r->keys_count},
              [NAMED_TAG] = {r->tags, r->tags_count},
              [NAMED_PREFIX] = {r->prefixes, r->prefixes_count},
              [NAMED_GLOB] = {r->globs, r->globs_count}};
    size_t left = CHRONICLE_TEXT - strlen(at_the_end);
    bool fits = true;
    for (unsigned kind = NAMED_KEY; kind <= NAMED_GLOB && fits; kind++)
        fits = put_names(t, &left, kind, of[kind].names, of[kind].count,
                         i ? cascade_asked(i, kind) : of[kind].count);
    return fits;
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
                       const struct cache_invalidate *i)
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
    told->by_bytes = i ? (uint8_t)put(&text, i->by, UINT8_MAX) : 0;
    told->cause_bytes = i ? (uint8_t)put(&text, i->cause, UINT8_MAX) : 0;
    size_t before = text.size;
    told->unlisted = !put_all_names(&text, r, i);
    told->names_bytes = (uint16_t)(text.size - before);
    take(c, c->number + 1, told, text.bytes);
    store(c, *place(c, c->number));
}

void chronicle_call(struct chronicle *c, const struct cache_invalidate *i, uint64_t now_ns)
{
    struct fleet_record r = record_of_call(i, i->result.v);
    struct chronicled told;
    memset(&told, 0, sizeof(told)); /* padding is kept as well */
    told.v = i->result.v;
    told.partition = (uint8_t)i->partition;
    told.status = (uint8_t)i->status;
    told.count = i->count;
    told.pid = i->pid;
    told.cascaded = cascade_added(i);
    count_tags(c, &r);
    if (may_write(c, &c->named, CHRONICLE_A_SECOND, now_ns))
        write_line(c, &told, &r, i);
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
    write_line(c, &told, r, NULL);
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

static size_t say(char *to, size_t at, const char *word, struct slice name)
{
    if (at) {
        memcpy(to + at, ", ", strlen(", "));
        at += strlen(", ");
    }
    memcpy(to + at, word, strlen(word));
    at += strlen(word);
    if (name.size) {
        to[at++] = ' ';
        memcpy(to + at, name.data, name.size);
    }
    return at + name.size;
}

size_t chronicled_text(const struct chronicled *told, char *to)
{
    struct slice rest = told->named;
    struct named_item named;
    size_t size = 0;
    while (named_next(&rest, &named) && size + text_of_name(&named) + strlen(at_the_end) <= CHRONICLE_TEXT)
        size = say(to, size, named_word(named.kind), named.name);
    if (told->unlisted)
        size = say(to, size, "…", slice_of(NULL, 0));
    return told->all ? say(to, size, "all", slice_of(NULL, 0)) : size;
}

static void hand_out(const struct line *line, struct chronicled *ret)
{
    *ret = line->told;
    ret->by = slice_of(line->text, ret->by_bytes);
    ret->cause = slice_of(line->text + ret->by_bytes, ret->cause_bytes);
    ret->named = slice_of(line->text + ret->by_bytes + ret->cause_bytes, ret->names_bytes);
}

/* NULL: it was taken back. */
static const struct line *line_at(const struct chronicle *c, uint64_t number)
{
    const struct line *line = c->of[number % CHRONICLE_MAX];
    return line && line->number == number ? line : NULL;
}

static bool is_kept(const struct chronicle *c, uint64_t number)
{
    return number > 0 && number + CHRONICLE_MAX > c->number;
}

void chronicle_each(const struct chronicle *c, uint64_t since_ms,
                    bool (*each)(void *user, const struct chronicled *told), void *user)
{
    struct chronicled told;
    for (uint64_t n = c->number; is_kept(c, n); n--) {
        const struct line *line = line_at(c, n);
        if (!line || line->told.at_ms < since_ms)
            continue;
        hand_out(line, &told);
        if (!each(user, &told))
            return;
    }
}

/* ---- of one key ---- */

static bool concerns(const struct chronicled *told, const struct named_of *of, struct named_item *ret,
                     unsigned *names, unsigned *ret_tagged)
{
    struct slice rest = told->named;
    bool tags = false;
    for (; named_next(&rest, ret); ++*names) {
        if (named_concerns(ret, of))
            return true;
        tags |= ret->kind == NAMED_TAG;
    }
    *ret_tagged += tags && !of->tags_known && !told->all;
    *ret = (struct named_item){.kind = NAMED_ALL};
    return told->all;
}

void chronicle_find(const struct chronicle *c, const struct named_of *of, struct chronicle_found *ret)
{
    unsigned names = 0;
    *ret = (struct chronicle_found){.skipped = c->skipped - c->skipped_told};
    for (uint64_t n = c->number; is_kept(c, n) && !ret->found; n--) {
        const struct line *line = line_at(c, n);
        if (!line)
            continue;
        if (names >= CHRONICLE_NAMES) {
            ret->stopped = true;
            return;
        }
        ret->lines++;
        hand_out(line, &ret->line);
        ret->found = concerns(&ret->line, of, &ret->by, &names, &ret->tagged);
        ret->uncertain += !ret->found && ret->line.unlisted;
        ret->skipped += ret->found ? 0 : ret->line.skipped;
    }
}
