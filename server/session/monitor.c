#include "session/monitor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"

/* The longest line, in a frame that holds values of no great size (session_frame_max). */
_Static_assert(WATCH_LINES_MAX *(WIRE_KEY_MAX + 3 * WIRE_NAME_MAX) <= 256 * 1024, "an answer fits a frame");

/* ======= filters ======= */

static const struct {
    const char *name;
    enum wire_code code;
} ops[] = {
    {"get", WIRE_GET},     {"set", WIRE_SET},     {"touch", WIRE_TOUCH}, {"invalidate", WIRE_INVALIDATE},
    {"event", WIRE_EVENT}, {"lease", WIRE_LEASE}, {"fail", WIRE_FAIL},   {"limit", WIRE_LIMIT},
    {"offer", WIRE_OFFER}};

static uint64_t code_bit(struct slice name)
{
    for (unsigned i = 0; i < COUNT_OF(ops); i++)
        if (slice_equal(name, slice_text(ops[i].name)))
            return 1ull << ops[i].code;
    return 0;
}

static const char *read_ops(struct watch_filter *f, struct slice raw)
{
    struct reader names = reader_of(raw);
    struct slice name;
    while (wire_next_string(&names, &name)) {
        uint64_t bit = code_bit(name);
        if (!bit)
            return "no such operation; there are get, set, touch, invalidate, event, lease, fail, limit, "
                   "offer";
        f->codes |= bit;
    }
    f->codes = f->codes ? f->codes : UINT64_MAX;
    return NULL;
}

static const char *read_globs(struct watch_filter *f, struct slice raw)
{
    struct reader globs = reader_of(raw);
    struct slice glob;
    const char *why;
    while (wire_next_string(&globs, &glob)) {
        struct pattern_names names = {.count = 0};
        if (f->globs_count == WATCH_GLOBS_MAX)
            return "more than 8 globs";
        if (!pattern_parse(glob, &names, &f->globs[f->globs_count++], &why))
            return why;
    }
    return NULL;
}

/* Kept as it came: so it can be told from another. */
static bool keep(struct watch_filter *f, const struct wire_monitor *m)
{
    f->came.limit = WATCH_FILTER_BYTES;
    return buffer_append(&f->came, m->ops.raw.data, m->ops.raw.size) == 0 &&
           buffer_append(&f->came, m->globs.raw.data, m->globs.raw.size) == 0;
}

bool watch_filter_read(struct watch_filter *f, const struct wire_monitor *m, const char **ret_why)
{
    *f = (struct watch_filter){.codes = 0};
    const char *why = "longer than 4096 bytes";
    if (keep(f, m)) {
        why = read_ops(f, slice_of(f->came.data, m->ops.raw.size));
        if (!why)
            why = read_globs(f, slice_of(f->came.data + m->ops.raw.size, m->globs.raw.size));
    }
    if (why)
        watch_filter_finish(f);
    *ret_why = why;
    return !why;
}

bool watch_filter_is(const struct watch_filter *f, const struct wire_monitor *m)
{
    size_t first = m->ops.raw.size, both = first + m->globs.raw.size;
    return f->came.size == both && slice_equal(slice_of(f->came.data, first), m->ops.raw) &&
           slice_equal(slice_of(f->came.data + first, both - first), m->globs.raw);
}

void watch_filter_finish(struct watch_filter *f)
{
    buffer_finish(&f->came);
}

/* ======= who watches ======= */

void monitor_init(struct monitor *m, uint64_t seed, void (*forget)(struct watch *w))
{
    *m = (struct monitor){.random = seed | 1, .forget = forget};
}

static bool is_gone(const struct watch *w, uint64_t now_ns)
{
    return !w->waits && now_ns > w->asked_ns + WATCH_FORGET_NS;
}

/* From behind: one that is ended gives its place to the last. */
static void forget_gone(struct monitor *m, uint64_t now_ns)
{
    for (unsigned i = m->count; i-- > 0;)
        if (is_gone(m->of[i], now_ns))
            m->forget(m->of[i]);
}

static void begin_anew(struct monitor *m, struct watch *w)
{
    w->seen = w->count = 0;
    w->next = 1;
    w->left = 1;
    m->near = true;
}

struct watch *watch_begin(struct monitor *m, const void *space, struct slice tenant,
                          const struct watch_filter *filter, uint64_t now_ns)
{
    forget_gone(m, now_ns);
    if (m->count == WATCHERS_MAX)
        return NULL;
    struct watch *w = must_alloc(sizeof(*w));
    w->space = space;
    w->tenant = tenant;
    w->filter = *filter;
    w->by_name = tenant.size || filter->globs_count;
    w->asked_ns = w->answered_ns = now_ns;
    begin_anew(m, w);
    for (unsigned i = 0; i < WATCH_LINES_MAX; i++)
        w->lines[i].bytes.limit = WATCH_LINE_BYTES;
    return m->of[m->count++] = w;
}

struct watch *watch_end(struct monitor *m, struct watch *w)
{
    if (!w)
        return NULL;
    unsigned place = 0;
    while (place < m->count && m->of[place] != w)
        place++;
    CHECK(place < m->count);
    m->of[place] = m->of[--m->count];
    m->of[m->count] = NULL;
    for (unsigned i = 0; i < WATCH_LINES_MAX; i++)
        buffer_finish(&w->lines[i].bytes);
    watch_filter_finish(&w->filter);
    free(w);
    return NULL;
}

/* ======= what one may see of an operation ======= */

static bool begins(struct slice name, struct slice with)
{
    return name.size >= with.size && (!with.size || memcmp(name.data, with.data, with.size) == 0);
}

/* Most names differ in what a glob begins with: those are not taken apart. */
static bool matches(const struct watch_filter *f, struct slice name)
{
    struct key_levels key;
    bool split = false;
    for (unsigned i = 0; i < f->globs_count; i++) {
        if (!begins(name, f->globs[i].levels[0].head))
            continue;
        if (!split)
            key_split(name, &key);
        split = true;
        if (pattern_match(&f->globs[i], &key))
            return true;
    }
    return false;
}

static bool sees(const struct watch *w, struct slice name)
{
    return (!w->tenant.size || begins(name, w->tenant)) &&
           (!w->filter.globs_count || matches(&w->filter, name));
}

static bool asks_for(const struct watch *w, const void *space, unsigned code)
{
    return w->space == space && w->filter.codes >> code & 1;
}

/* The first name it may see and asked for. */
static bool find_name(const struct watch *w, const struct watched *op, struct wire_operation *ret)
{
    for (const struct watched_names *list = op->lists; list < op->lists + op->lists_count; list++)
        for (unsigned i = 0; i < list->count; i++) {
            struct slice name = list->of[i];
            if (!sees(w, name))
                continue;
            ret->named = list->named;
            ret->name = slice_of(name.data, name.size < WIRE_KEY_MAX ? name.size : WIRE_KEY_MAX);
            return true;
        }
    ret->named = op->everything ? WIRE_NAMED_EVERYTHING : WIRE_NAMED_NOTHING;
    ret->name = slice_of(NULL, 0);
    return !w->tenant.size && !w->filter.globs_count;
}

static bool is_own(const struct watch *w, const struct watched *op)
{
    return !w->tenant.size || slice_equal(w->tenant, op->tenant);
}

static uint32_t names_count(const struct watched *op)
{
    uint32_t count = op->everything;
    for (unsigned i = 0; i < op->lists_count; i++)
        count += op->lists[i].count;
    return count;
}

/* ======= telling ======= */

/* xorshift64 (Marsaglia 2003), as a number between 0 and 1, neither of them. */
static double draw(struct monitor *m)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return ((double)(m->random >> 12) + 0.5) / (double)(1ull << 52);
}

/* While there are places the next one has one; from then on algorithm L says how many have none. */
static void choose_next(struct monitor *m, struct watch *w)
{
    w->next++;
    if (w->count < WATCH_LINES_MAX)
        return;
    w->left *= exp(log(draw(m)) / WATCH_LINES_MAX);
    double passed_over = floor(log(draw(m)) / log1p(-w->left));
    w->next += passed_over < 1e18 ? (uint64_t)passed_over : (uint64_t)1e18;
}

static void take_line(struct monitor *m, struct watch *w)
{
    bool full = w->count == WATCH_LINES_MAX;
    w->chosen = full ? (unsigned)(draw(m) * WATCH_LINES_MAX) : w->count++;
    w->lines[w->chosen].number = w->seen;
    w->lines[w->chosen].bytes.size = 0;
    choose_next(m, w);
}

static bool is_due_by_name(struct watch *w, const struct watched *op)
{
    struct wire_operation unused;
    return asks_for(w, op->space, op->code) && find_name(w, op, &unused) && ++w->seen == w->next;
}

/* Who was ended is looked for here: when a watcher has seen so many its next place is at most some hundredths of that
 * away, and nobody who asks for names is passed over. */
unsigned monitor_wanted(struct monitor *m, const struct watched *op, uint64_t now_ns)
{
    unsigned wanted = 0;
    forget_gone(m, now_ns); /* which changes places */
    for (unsigned i = 0; i < m->count; i++) {
        struct watch *w = m->of[i];
        if (w->by_name ? is_due_by_name(w, op) : w->due) {
            w->due = false;
            take_line(m, w);
            wanted |= 1u << i;
        }
    }
    return wanted;
}

/* Of another's operation on what is this tenant's: that it happened. */
static void hide_others(struct wire_operation *line)
{
    line->client = line->trace = line->event = slice_of(NULL, 0);
    line->pid = 0;
    line->dropped = 0;
    line->names = 1;
}

void monitor_tell(struct monitor *m, unsigned wanted, const struct watched *op, struct wire_operation told)
{
    told.names = names_count(op);
    for (unsigned i = 0; i < m->count; i++) {
        if (!(wanted >> i & 1))
            continue;
        struct watch *w = m->of[i];
        struct wire_operation line = told;
        find_name(w, op, &line);
        if (!is_own(w, op))
            hide_others(&line);
        CHECK(wire_append_operation(&w->lines[w->chosen].bytes, &line) == 0);
    }
}

/* ======= answering ======= */

static int by_number(const void *a, const void *b)
{
    const struct watch_line *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

void watch_answer(struct monitor *m, struct watch *w, uint64_t now_ns, struct buffer *out,
                  struct wire_operations *ret)
{
    size_t begin = out->size;
    qsort(w->lines, w->count, sizeof(*w->lines), by_number);
    for (unsigned i = 0; i < w->count; i++)
        CHECK(buffer_append(out, w->lines[i].bytes.data, w->lines[i].bytes.size) == 0);
    *ret = (struct wire_operations){
        .left_out = w->seen - w->count,
        .operations = {.count = w->count, .raw = slice_of(out->data + begin, out->size - begin)}};
    begin_anew(m, w);
    w->answered_ns = w->asked_ns = now_ns;
}
