#include "bench/bars.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "bench/table.h"
#include "bench/verbs.h"

static const struct {
    const char *name;
    void (*measure)(struct bars *b);
    const char *sentence;
} bars[] = {
    {"hit", bar_hit, "a hit beside a table in the own process, Redis and memcached"},
    {"hot", bar_hot, "a hit of a hot key, before and after a kill"},
    {"batch", bar_batch, "cold keys by mget beside single gets"},
    {"readers", bar_readers, "two readers beside a writer"},
    {"memory", bar_memory, "bytes an item beyond key and value, dead space after churn"},
    {"pipeline", bar_pipeline, "pipelined gets and sets beside Redis"},
    {"full", bar_full, "what sets into a full L1 do to others"},
    {"sigkill", bar_sigkill, "how soon readers stop when the daemon is killed"},
    {"restart", bar_restart, "what readers see of a SIGKILL and the start after it"},
    {"tags", bar_tags,
     "entries nobody invalidated and hits with eight tags, beside 1,000 tag kills a second"},
    {"crowd", bar_crowd, "invalidating a tag that a million entries carry"},
};
enum { BARS = sizeof(bars) / sizeof(bars[0]) };

/* ---- reporting ---------------------------------------------------------------------------------------- */

static struct bar_row *add(struct bars *b, const char *what)
{
    struct bar_row *row = &b->rows[b->count < BAR_ROWS_MAX - 1 ? b->count++ : b->count];
    *row = (struct bar_row){.bar = b->bar, .goal = NAN, .figure = NAN, .unit = ""};
    snprintf(row->what, sizeof(row->what), "%s", what);
    return row;
}

struct bar_row *bar_figure(struct bars *b, const char *what, enum bar_sense sense, double goal, double figure,
                           const char *unit)
{
    struct bar_row *row = add(b, what);
    bool reached = sense == AT_MOST ? figure <= goal : figure >= goal;
    row->sense = sense;
    row->goal = goal;
    row->figure = figure;
    row->unit = unit;
    row->verdict = reached ? BAR_REACHED : BAR_MISSED;
    return row;
}

void bar_unclaimed(struct bar_row *row, const char *why)
{
    row->verdict = BAR_UNCLAIMED;
    snprintf(row->why, sizeof(row->why), "%s", why);
}

void bar_beside(struct bars *b, const char *what, double figure, const char *unit)
{
    struct bar_row *row = add(b, what);
    row->figure = figure;
    row->unit = unit;
}

void bar_failed(struct bars *b, const char *what, const char *why)
{
    struct bar_row *row = add(b, what);
    row->verdict = BAR_FAILED;
    snprintf(row->why, sizeof(row->why), "%s", why);
}

/* ---- what bars need ----------------------------------------------------------------------------------- */

bool bar_server(struct bars *b, struct server *s, enum server_kind kind, uint64_t memory_bytes)
{
    struct server_options so = {.memory_bytes = memory_bytes, .larderd = b->options->larderd};
    if (s->folder[0] == '\0')
        server_init(s, kind);
    if (server_start(s, &so) == 0)
        return true;
    bar_failed(b, server_name(kind), s->why);
    return false;
}

bool bar_client(struct bars *b, larder_client **ret, const char *socket)
{
    larder_options how = LARDER_OPTIONS_INIT;
    how.socket = socket;
    how.name = "larder-bench bars";
    how.strict = true;
    how.get_ms = 2000;
    how.change_ms = 5000;
    int r = larder_open(ret, &how);
    if (r == LARDER_OK)
        r = larder_ping(*ret);
    if (r < 0)
        bar_failed(b, "client", larder_strerror(r));
    return r >= 0;
}

static double find_number(const json_t *j, const char *name)
{
    const char *key;
    json_t *value;
    if (json_is_number(json_object_get(j, name)))
        return json_number_value(json_object_get(j, name));
    json_object_foreach((json_t *)(uintptr_t)j, key, value)
    {
        double found = json_is_object(value) ? find_number(value, name) : -1;
        if (found >= 0)
            return found;
    }
    return -1;
}

double bar_stat(larder_client *client, const char *name)
{
    char *text = NULL;
    const char *dot = strchr(name, '.');
    if (larder_stats(client, &text) < 0)
        return -1;
    json_t *j = json_loads(text, 0, NULL);
    const json_t *in = dot ? json_object_getn(j, name, (size_t)(dot - name)) : j;
    double number = in ? find_number(in, dot ? dot + 1 : name) : -1;
    json_decref(j);
    larder_text_free(text);
    return number;
}

/* ---- telling ------------------------------------------------------------------------------------------ */

static double missed_by(const struct bar_row *r)
{
    return r->sense == AT_MOST ? r->figure - r->goal : r->goal - r->figure;
}

static const char *verdict_text(const struct bar_row *r)
{
    static const char *const texts[] = {"reached", "MISSED", "no claim", "FAILED"};
    return r->verdict == BAR_REACHED && isnan(r->goal) ? "beside" : texts[r->verdict];
}

static int digits(double n)
{
    double size = fabs(n);
    return size >= 1000 ? 0 : size >= 10 ? 1 : size >= 0.1 || size == 0 ? 2 : 4;
}

static void number_cell(struct table *t, const char *front, double n, const char *unit)
{
    if (isnan(n))
        table_cell(t, " ");
    else
        table_cell(t, "%s%.*f%s%s", front, digits(n), n, unit[0] ? " " : "", unit);
}

static void print_row(struct table *t, const struct bar_row *r)
{
    table_row(t);
    table_cell(t, "%s", r->bar);
    table_cell(t, "%s", r->what);
    number_cell(t, r->sense == AT_MOST ? "<= " : ">= ", r->goal, r->unit);
    number_cell(t, "", r->figure, r->unit);
    table_cell(t, "%s", verdict_text(r));
    number_cell(t, "by ", r->verdict == BAR_MISSED ? missed_by(r) : NAN, r->unit);
}

static void print_people(const struct bars *b)
{
    static struct table t;
    table_init(&t, "<bar|<what|goal|figure|<verdict|missed");
    for (unsigned i = 0; i < b->count; i++)
        print_row(&t, &b->rows[i]);
    table_print(&t);
    for (unsigned i = 0; i < b->count; i++) {
        if (b->rows[i].why[0])
            printf("%s, %s: %s\n", b->rows[i].bar, b->rows[i].what, b->rows[i].why);
    }
    if (b->options->quick)
        printf("quick: fewer keys and shorter rounds; for a look, not for a claim\n");
}

static json_t *number_json(double n)
{
    return isnan(n) ? json_null() : json_real(n);
}

static json_t *curve_json(const struct bar_row *r)
{
    json_t *points = json_array();
    for (unsigned i = 0; i < r->curve_count; i++)
        json_array_append_new(points, json_pack("[f, f]", r->curve[i][0], r->curve[i][1]));
    return points;
}

static void print_json(const struct bars *b)
{
    json_t *all = json_array();
    for (unsigned i = 0; i < b->count; i++) {
        const struct bar_row *r = &b->rows[i];
        json_array_append_new(all,
                              json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:s}", "bar", r->bar, "what",
                                        r->what, "sense", r->sense == AT_MOST ? "at_most" : "at_least",
                                        "goal", number_json(r->goal), "figure", number_json(r->figure),
                                        "unit", r->unit, "verdict", verdict_text(r), "why", r->why));
        if (r->curve)
            json_object_set_new(json_array_get(all, i), "curve", curve_json(r));
    }
    json_dumpf(all, stdout, JSON_REAL_PRECISION(6) | JSON_COMPACT);
    putchar('\n');
    json_decref(all);
}

int verb_bars(struct options *o)
{
    static struct bars b;
    bool missed = false;
    b.options = o;
    for (unsigned i = 0; i < BARS; i++) {
        if (!options_wanted(o, bars[i].name))
            continue;
        fprintf(stderr, "%s: %s …\n", bars[i].name, bars[i].sentence);
        b.bar = bars[i].name;
        bars[i].measure(&b);
    }
    (o->json ? print_json : print_people)(&b);
    for (unsigned i = 0; i < b.count; i++)
        missed |= b.rows[i].verdict == BAR_FAILED || b.rows[i].verdict == BAR_MISSED;
    for (unsigned i = 0; i < b.count; i++)
        free(b.rows[i].curve);
    return missed;
}
