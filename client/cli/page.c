#include "client/cli/page.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "client/cli/shown.h"
#include "client/cli/text.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum { ROWS_SHOWN = 12, REASONS_SHOWN = 3, COLUMNS_MAX = 10, CELL_BYTES = 96 };

/* ======= tables ======= */

/* Words stand at the left of their column, figures at the right. */
struct table {
    const char *heads[COLUMNS_MAX]; /* NULL: a column that is left out */
    unsigned words;                 /* bits 1 << column */
    char cells[ROWS_SHOWN][COLUMNS_MAX][CELL_BYTES];
    unsigned count, left_out;
};

static void put(struct table *t, unsigned column, const char *text)
{
    snprintf(t->cells[t->count][column], CELL_BYTES, "%s", text);
}

static int width_of(const struct table *t, unsigned column)
{
    int width = text_width(t->heads[column]);
    for (unsigned row = 0; row < t->count; row++) {
        int of_cell = text_width(t->cells[row][column]);
        width = of_cell > width ? of_cell : width;
    }
    return width;
}

static void print_cell(FILE *to, const struct table *t, const char *text, int width, unsigned column)
{
    int blanks = width - text_width(text);
    bool words = t->words & 1u << column;
    fprintf(to, "%s%*s%s", column ? "  " : "", words ? 0 : blanks, "", text);
    if (words && column + 1 < COLUMNS_MAX)
        fprintf(to, "%*s", blanks, "");
}

static void print_table(FILE *to, const struct table *t)
{
    int widths[COLUMNS_MAX] = {0};
    if (!t->count)
        return;
    for (unsigned c = 0; c < COLUMNS_MAX; c++)
        widths[c] = t->heads[c] ? width_of(t, c) : 0;
    for (unsigned row = 0; row <= t->count; row++) {
        for (unsigned c = 0; c < COLUMNS_MAX; c++)
            if (t->heads[c])
                print_cell(to, t, row ? t->cells[row - 1][c] : t->heads[c], widths[c], c);
        fputc('\n', to);
    }
    if (t->left_out)
        fprintf(to, "and %u more\n", t->left_out);
    fputc('\n', to);
}

/* ======= reading ======= */

static double asked_of(const json_t *row)
{
    return shown_number(row, "hits") + shown_number(row, "misses");
}

static int more_asked(const void *a, const void *b)
{
    double of_a = asked_of(*(const json_t *const *)a), of_b = asked_of(*(const json_t *const *)b);
    return of_a < of_b ? 1 : of_a > of_b ? -1 : 0;
}

/* Those of an array that were asked for something, most first; free it. */
static const json_t **busiest(const json_t *array, unsigned *ret_count)
{
    const json_t **rows = calloc(json_array_size(array) + 1, sizeof(*rows));
    *ret_count = 0;
    for (size_t i = 0; rows && i < json_array_size(array); i++)
        if (asked_of(json_array_get(array, i)) > 0)
            rows[(*ret_count)++] = json_array_get(array, i);
    if (rows)
        qsort(rows, *ret_count, sizeof(*rows), more_asked);
    return rows;
}

struct reason {
    const char *word;
    double misses;
};

/* "83.3% cold, 16.7% invalidated" */
static void say_why(const json_t *counts, char *ret, size_t bytes)
{
    static const char *const words[] = {"cold",     "evicted", "expired", "invalidated", "suspect",
                                        "detached", "too_big", "schema",  "stale",       "disabled"};
    char name[32];
    size_t at = 0;
    bool told[COUNT_OF(words)] = {false};
    *ret = '\0';
    for (unsigned n = 0; n < REASONS_SHOWN; n++) {
        struct reason most = {NULL, 0};
        unsigned which = 0;
        for (unsigned i = 0; i < COUNT_OF(words); i++) {
            snprintf(name, sizeof(name), "misses_%s", words[i]);
            double misses = shown_number(counts, name);
            if (!told[i] && misses > most.misses) {
                most = (struct reason){words[i], misses};
                which = i;
            }
        }
        if (!most.word || most.misses * 2000 < shown_number(counts, "misses")) /* 0.0% */
            return;
        told[which] = true;
        at += (size_t)snprintf(ret + at, bytes - at, "%s%s %s", n ? ", " : "",
                               shown_share(most.misses, shown_number(counts, "misses")).text, most.word);
    }
}

/* ======= stats ======= */

static void say_redis(FILE *to, const json_t *redis)
{
    if (!json_is_true(json_object_get(redis, "configured")))
        fputs("Redis       none configured: this host by itself\n", to);
    else if (json_is_true(json_object_get(redis, "connected")))
        fprintf(to, "Redis       connected, %s, %s used\n", shown_text(redis, "version"),
                shown_size(shown_number(redis, "used_memory_bytes")).text);
    else
        fprintf(to, "Redis       not connected: %s\n",
                *shown_text(redis, "trouble") ? shown_text(redis, "trouble") : shown_text(redis, "session"));
}

static void say_head(FILE *to, const json_t *stats)
{
    const json_t *overall = json_object_get(stats, "overall"), *get;
    double hits = shown_number(overall, "hits"), asked = shown_number(overall, "requests");
    get = json_object_get(json_object_get(stats, "times"), "get");
    fprintf(to, "larderd %s   up %s   %s   %s resident\n", shown_text(stats, "version"),
            shown_time(shown_number(stats, "uptime_s")).text, shown_text(stats, "state"),
            shown_size(shown_number(json_object_get(stats, "process"), "resident_bytes")).text);
    say_redis(to, json_object_get(stats, "redis"));
    fprintf(to, "asked for   %s keys, %s found, %s missed; %s entries; %s errors\n", shown_count(asked).text,
            shown_share(hits, asked).text, shown_count(shown_number(overall, "misses")).text,
            shown_count(shown_number(overall, "keys")).text,
            shown_count(shown_number(overall, "errors")).text);
    if (shown_number(get, "count") > 0)
        fprintf(to, "a get took  %s, 99%% within %s, in the daemon\n",
                shown_us(shown_number(get, "p50_us")).text, shown_us(shown_number(get, "p99_us")).text);
    fputc('\n', to);
}

static void put_time(struct table *t, unsigned column, const json_t *times, const char *quantile)
{
    bool any = shown_number(times, "count") > 0;
    put(t, column, any ? shown_us(shown_number(times, quantile)).text : "-");
}

static void put_times(struct table *t, unsigned column, const json_t *times)
{
    put_time(t, column, times, "p50_us");
    put_time(t, column + 1, times, "p99_us");
}

static void put_tier(struct table *t, const char *name, double hits, double whole, const json_t *tier,
                     const json_t *times)
{
    put(t, 0, name);
    put(t, 1, shown_count(hits).text);
    put(t, 2, shown_share(hits, whole).text);
    put(t, 3, tier ? shown_count(shown_number(tier, "entries")).text : "");
    put(t, 4, tier ? shown_size(shown_number(tier, "bytes")).text : "");
    put_times(t, 5, times);
    t->count++;
}

/* What clients found by themselves is in l1's hits as well. */
static void say_tiers(FILE *to, const json_t *stats)
{
    struct table t = {
        .heads = {"found in", "keys", "of all", "entries", "size", "half within", "99% within"}};
    const json_t *overall = json_object_get(stats, "overall"), *tiers = json_object_get(stats, "tiers"),
                 *times = json_object_get(json_object_get(json_object_get(stats, "times"), "get"), "tiers");
    const json_t *l1 = json_object_get(tiers, "l1"), *warm = json_object_get(tiers, "warm"),
                 *l2 = json_object_get(tiers, "l2");
    double near = shown_number(overall, "hits_shared"), whole = shown_number(overall, "requests");
    put_tier(&t, "shared memory", near, whole, l1, json_object_get(times, "near"));
    put_tier(&t, "l1, by the daemon", shown_number(l1, "hits") - near, whole, NULL,
             json_object_get(times, "l1"));
    put_tier(&t, "warm, on disk", shown_number(warm, "hits"), whole, warm, json_object_get(times, "warm"));
    if (json_is_true(json_object_get(l2, "available")) || shown_number(l2, "hits") > 0)
        put_tier(&t, "Redis", shown_number(l2, "hits"), whole, NULL, json_object_get(times, "l2"));
    put_tier(&t, "nowhere", shown_number(overall, "misses"), whole, NULL, json_object_get(times, "miss"));
    print_table(to, &t);
}

static void say_namespaces(FILE *to, json_t *namespaces)
{
    struct table t = {.words = 1 | 1 << 1 | 1 << 8,
                      .heads = {"namespace", "state", "asked", "missed", "sets", "invalidations", NULL, NULL,
                                "why missed"}};
    const char *name;
    json_t *space;
    json_object_foreach(namespaces, name, space)
    {
        const json_t *counts = json_object_get(space, "cache");
        double near = shown_number(json_object_get(space, "l1"), "l1_hits_shared");
        if (t.count == ROWS_SHOWN) {
            t.left_out++;
            continue;
        }
        put(&t, 0, name);
        put(&t, 1, shown_text(space, "state"));
        put(&t, 2, shown_count(shown_number(counts, "gets") + (isnan(near) ? 0 : near)).text);
        put(&t, 3, shown_count(shown_number(counts, "misses")).text);
        put(&t, 4, shown_count(shown_number(counts, "sets")).text);
        put(&t, 5, shown_count(shown_number(counts, "invalidations")).text);
        say_why(counts, t.cells[t.count][8], CELL_BYTES);
        t.count++;
    }
    print_table(to, &t);
}

/* Rows of the document that are told alike. */
struct kind {
    const char *word, *array;
    bool expects; /* a hit ratio */
};
static const struct kind policies = {"policy", "policies", true}, tenants = {"tenant", "tenants", false};

static void say_rows(FILE *to, const struct kind *of, const json_t *stats, bool with_namespace)
{
    struct table t = {.words = 1 | 1 << 1 | 1 << 9,
                      .heads = {of->word, with_namespace ? "namespace" : NULL, "asked", "found",
                                of->expects ? "expected" : NULL, "half within", "99% within", "sets",
                                "99% set within", "why missed"}};
    unsigned count;
    const json_t **rows = busiest(json_object_get(stats, of->array), &count);
    for (unsigned i = 0; i < count && t.count < ROWS_SHOWN; i++) {
        const json_t *times = json_object_get(rows[i], "times");
        put(&t, 0, shown_text(rows[i], "name"));
        put(&t, 1, shown_text(rows[i], "namespace"));
        put(&t, 2, shown_count(asked_of(rows[i])).text);
        put(&t, 3, shown_share(shown_number(rows[i], "hits"), asked_of(rows[i])).text);
        put(&t, 4, shown_share(shown_number(rows[i], "expect_hit_ratio"), 1).text);
        put_times(&t, 5, json_object_get(times, "get"));
        put(&t, 7, shown_count(shown_number(rows[i], "sets")).text);
        put_time(&t, 8, json_object_get(times, "set"), "p99_us");
        say_why(rows[i], t.cells[t.count][9], CELL_BYTES);
        t.count++;
    }
    t.left_out = count - t.count;
    print_table(to, &t);
    free(rows);
}

void page_stats(FILE *to, const json_t *stats)
{
    json_t *namespaces = json_object_get(stats, "namespaces");
    bool several = json_object_size(namespaces) > 1;
    say_head(to, stats);
    say_tiers(to, stats);
    say_namespaces(to, namespaces);
    say_rows(to, &policies, stats, several);
    say_rows(to, &tenants, stats, several);
    fputs("live: larder top   what is wrong: larder health   what to change: larder advise\n"
          "every counter: larder stats | less, or with --json\n",
          to);
}

/* ======= explain ======= */

static void say_time(char *ret, size_t bytes, const json_t *object, const char *name)
{
    double ms = shown_number(object, name);
    if (isnan(ms))
        snprintf(ret, bytes, "-");
    else
        duration_format((uint64_t)ms, ret, bytes);
}

static void say_entry(FILE *to, const json_t *o)
{
    char left[32], fresh[32];
    say_time(left, sizeof(left), o, "ttl_ms");
    say_time(fresh, sizeof(fresh), o, "fresh_ms");
    fprintf(to, "found in    %s: %s, version %s, %.0f tags\n", shown_text(o, "tier"),
            shown_size(shown_number(o, "value_bytes")).text, shown_text(o, "version"),
            shown_number(o, "tags"));
    if (json_is_true(json_object_get(o, "stale")))
        fprintf(to, "life        stale; served so for %s more\n", left);
    else
        fprintf(to, "life        %s more, fresh for %s\n", left, fresh);
    if (json_is_true(json_object_get(o, "too_big_for_l1")))
        fputs("            too big for shared memory: each get asks the daemon\n", to);
}

static void say_policy(FILE *to, const json_t *o)
{
    static const char *const tiers[] = {"l1", "warm", "l2"};
    const json_t *holds = json_object_get(o, "holds"), *tags = json_object_get(holds, "tags"), *tag;
    char ttl[32], stale[32];
    size_t i;
    say_time(ttl, sizeof(ttl), holds, "ttl_ms");
    say_time(stale, sizeof(stale), holds, "stale_ms");
    fprintf(to, "policy      %s%s%s: lives %s, then stale for %s; kept in", shown_text(o, "policy"),
            *shown_text(holds, "pattern") ? ", " : "", shown_text(holds, "pattern"), ttl, stale);
    for (i = 0; i < COUNT_OF(tiers); i++)
        if (json_is_true(json_object_get(holds, tiers[i])))
            fprintf(to, " %s", tiers[i]);
    if (!json_is_true(json_object_get(holds, "store")))
        fputs("; its store is off: nothing is", to);
    fputc('\n', to);
    json_array_foreach(tags, i, tag)
        fprintf(to, "%s%s", i ? ", " : "            its tags: ", json_string_value(tag));
    if (json_array_size(tags))
        fputc('\n', to);
}

static void say_lease(FILE *to, const json_t *o)
{
    const json_t *lease = json_object_get(o, "lease");
    char left[32];
    if (!json_is_object(lease))
        return;
    say_time(left, sizeof(left), lease, "left_ms");
    fprintf(to, "loaded by   pid %.0f for %s more (%s, %s); %.0f wait for it\n",
            shown_number(lease, "holder_pid"), left, shown_text(lease, "state"), shown_text(lease, "scope"),
            shown_number(lease, "waiting"));
}

/* "by tag users, named by a cascade rule" */
static void say_cause(FILE *to, const json_t *last)
{
    json_int_t position = json_integer_value(json_object_get(last, "position"));
    char ago[32];
    say_time(ago, sizeof(ago), last, "ago_ms");
    fprintf(to, "invalidated %s ago by %s%s%s%s%s", ago, shown_text(last, "kind"),
            *shown_text(last, "name") ? " " : "", shown_text(last, "name"),
            json_is_true(json_object_get(last, "soft")) ? ", made stale only" : "",
            json_is_true(json_object_get(last, "cascaded")) ? ", named by a cascade rule" : "");
    if (*shown_text(last, "event"))
        fprintf(to, ", event %s", shown_text(last, "event"));
    fputc('\n', to);
    if (strcmp(shown_text(last, "where"), "elsewhere") == 0)
        fprintf(to, "            on another host, position %" JSON_INTEGER_FORMAT ", %s\n", position,
                shown_text(last, "time"));
    else
        fprintf(to, "            here, position %" JSON_INTEGER_FORMAT ", %s%s%s\n", position,
                shown_text(last, "time"), *shown_text(last, "by") ? ", by " : "", shown_text(last, "by"));
}

static void say_invalidation(FILE *to, const json_t *o)
{
    const json_t *last = json_object_get(o, "last_invalidation"),
                 *seen = json_object_get(o, "invalidations_seen");
    if (json_is_object(last))
        say_cause(to, last);
    else if (seen)
        fputs("invalidated not, as far as the log goes back\n", to);
    if (seen && !json_is_true(json_object_get(seen, "complete")))
        fprintf(to, "            perhaps %s: %s\n", json_is_object(last) ? "later too" : "all the same",
                json_is_true(json_object_get(seen, "stopped_early"))
                    ? "the log is longer than what was looked through"
                : shown_number(seen, "tagged") > 0 ? "tags were, and which ones it had is not known any more"
                                                   : "the log is incomplete, too much was named at once");
}

void page_explain(FILE *to, const json_t *o)
{
    bool in_hexadecimal = json_object_get(o, "key_hex");
    fprintf(to, "%s%s   namespace %s\n", shown_text(o, in_hexadecimal ? "key_hex" : "key"),
            in_hexadecimal ? " (hexadecimal)" : "", shown_text(o, "namespace"));
    if (*shown_text(o, "reason"))
        fprintf(to, "not found   %s\n", shown_text(o, "reason"));
    else
        say_entry(to, o);
    say_invalidation(to, o);
    say_lease(to, o);
    if (shown_number(o, "load_rests_ms") > 0)
        fprintf(to, "rests       its load failed; the next try in %s\n",
                shown_time(shown_number(o, "load_rests_ms") / 1000).text);
    say_policy(to, o);
}
