/* monitor: what is asked of the daemon, as it happens.
 *
 * What must stay true: nobody takes what it shows for all there was: what was left out, and the hits in shared memory
 * that no daemon sees, are told once a second and at the end.  With --json those lines are the ones with `not_shown`; in
 * a pipe they go to standard error. */
#include "client/cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "client/cli/text.h"

enum { OPS_MAX = 9, TIME_BYTES = 40 };

struct viewer {
    struct cli *cli;
    uint64_t left; /* lines still to be shown; 0: no end */
    bool counts;   /* `left` counts */
    uint64_t not_shown, near_hits;
    time_t told_at;
};

static volatile sig_atomic_t ended;

static void end_soon(int signal)
{
    (void)signal;
    ended = 1;
}

/* ======= one line ======= */

/* 12:34:56.123456 for people, with the day for programs. */
static void format_time(uint64_t at_us, bool whole, char to[TIME_BYTES])
{
    time_t seconds = (time_t)(at_us / 1000000);
    struct tm when;
    char text[TIME_BYTES / 2 + 4];
    if (whole)
        gmtime_r(&seconds, &when);
    else
        localtime_r(&seconds, &when);
    strftime(text, sizeof(text), whole ? "%Y-%m-%dT%H:%M:%S" : "%H:%M:%S", &when);
    snprintf(to, TIME_BYTES, "%s.%06u%s", text, (unsigned)(at_us % 1000000), whole ? "Z" : "");
}

static const char *tier_of(const larder_operation *o)
{
    static const char *const names[] = {"", "l1", "warm", "l2"};
    return o->tier >= 0 && o->tier <= LARDER_TIER_L2 ? names[o->tier] : "";
}

static const char *named_of(const larder_operation *o)
{
    static const char *const words[] = {"", "key", "tag", "prefix", "glob", "all"};
    return o->named >= 0 && o->named <= LARDER_NAMED_EVERYTHING ? words[o->named] : "";
}

/* "tag users (+2)"; of a key, itself. */
static void put_name(const larder_operation *o)
{
    char text[4 * 1024 + 1];
    larder_slice name = larder_bytes(o->name.data, o->name.size < 1024 ? o->name.size : 1024);
    escape_format(name, text);
    printf("%s%s%s", o->named == LARDER_NAMED_KEY ? "" : named_of(o), o->named > LARDER_NAMED_KEY ? " " : "",
           text);
    if (o->names > 1)
        printf(" (+%u)", o->names - 1);
}

static void put_escaped(larder_slice bytes, int width)
{
    char text[4 * 255 + 1];
    escape_format(larder_bytes(bytes.data, bytes.size < 255 ? bytes.size : 255), text);
    printf("%-*s  ", width, text);
}

/* Widths are fixed: lines come one by one, and are to stand below each other. */
static void print_aligned(const larder_operation *o)
{
    char when[TIME_BYTES], result[64], bytes[32] = "";
    format_time(o->at_us, false, when);
    snprintf(result, sizeof(result), "%s%s%s", o->result, *o->reason ? " " : "", o->reason);
    if (o->bytes)
        size_format(o->bytes, bytes, sizeof(bytes));
    printf("%s  ", when);
    put_escaped(o->op, 10);
    printf("%-16s  %-4s  %8.1f  %9s  ", result, tier_of(o), (double)o->took_ns / 1e3, bytes);
    put_escaped(o->client, 12);
    put_name(o);
    if (o->trace.size)
        printf("  trace=%.*s", (int)o->trace.size, (const char *)o->trace.data);
    putchar('\n');
}

static json_t *row_of(const struct cli *cli, const larder_operation *o)
{
    char when[TIME_BYTES];
    json_t *row = row_new();
    format_time(o->at_us, true, when);
    row_text(row, "time", when);
    row_bytes(&cli->out, row, "op", o->op);
    row_text(row, "result", o->result);
    row_text(row, "reason", o->reason);
    row_text(row, "tier", tier_of(o));
    json_object_set_new(row, "us", json_real((double)(o->took_ns / 100) / 10));
    row_number(row, "bytes", o->bytes);
    row_bytes(&cli->out, row, "client", o->client);
    row_number(row, "pid", o->pid);
    row_text(row, "named", named_of(o));
    row_bytes(&cli->out, row, "name", o->name);
    row_number(row, "names", o->names);
    row_number(row, "ttl_ms", o->ttl_ms);
    row_number(row, "dropped", o->dropped);
    row_flag(row, "stale", o->flags & LARDER_STALE);
    row_bytes(&cli->out, row, "event", o->event);
    row_bytes(&cli->out, row, "trace", o->trace);
    return row;
}

static bool show(void *user, const larder_operation *o)
{
    struct viewer *v = user;
    if (v->cli->out.shape == OUT_ALIGNED)
        print_aligned(o);
    else
        out_row(&v->cli->out, row_of(v->cli, o));
    return !ended && !(v->counts && --v->left == 0);
}

/* ======= what is not shown ======= */

static void print_missing(const struct viewer *v, FILE *to, uint64_t not_shown, uint64_t near_hits)
{
    bool colour = v->cli->out.colour;
    fprintf(to, "%s-- %llu more not shown; %llu hits in shared memory, which the daemon never sees%s\n",
            colour ? "\033[2m" : "", (unsigned long long)not_shown, (unsigned long long)near_hits,
            colour ? "\033[0m" : "");
}

static void tell_missing(struct viewer *v)
{
    if (v->cli->out.shape == OUT_JSON) {
        json_t *row = row_new();
        row_number(row, "not_shown", v->not_shown);
        row_number(row, "near_hits", v->near_hits);
        out_row(&v->cli->out, row);
    } else {
        print_missing(v, v->cli->out.shape == OUT_ALIGNED ? stdout : stderr, v->not_shown, v->near_hits);
    }
    v->not_shown = v->near_hits = 0;
}

static bool meanwhile(void *user, uint64_t left_out, uint64_t near_hits)
{
    struct viewer *v = user;
    time_t now = time(NULL);
    v->not_shown += left_out;
    v->near_hits += near_hits;
    if ((v->not_shown || v->near_hits) && now != v->told_at) {
        tell_missing(v);
        v->told_at = now;
    }
    return fflush(stdout) == 0 && !ended; /* who read it may have gone */
}

/* ======= the verb ======= */

static void print_head(const struct viewer *v)
{
    const struct out *out = &v->cli->out;
    if (out->shape != OUT_ALIGNED)
        return;
    puts("What the daemon is asked; hits in shared memory never reach it, and are only counted.  Ctrl-C ends "
         "it.");
    printf("%s%-15s  %-10s  %-16s  %-4s  %8s  %9s  %-12s  %s%s\n", out->colour ? "\033[1m" : "", "time", "op",
           "result", "tier", "us", "bytes", "client", "name", out->colour ? "\033[0m" : "");
    fflush(stdout);
}

/* "get,set" */
static bool take_ops(const char *list, larder_slice *ops, size_t *ret_count)
{
    while (list) {
        const char *comma = strchr(list, ',');
        if (*ret_count == OPS_MAX)
            return false;
        ops[(*ret_count)++] = larder_bytes(list, comma ? (size_t)(comma - list) : strlen(list));
        list = comma ? comma + 1 : NULL;
    }
    return true;
}

/* Without SA_RESTART: a write that nobody reads ends too. */
static void end_by_signals(void)
{
    struct sigaction soon = {.sa_handler = end_soon};
    sigaction(SIGINT, &soon, NULL);
    sigaction(SIGTERM, &soon, NULL);
}

int verb_monitor(struct cli *cli)
{
    static const char *const columns[] = {"time",  "op",     "result", "reason", "tier",  "us",
                                          "bytes", "client", "named",  "name",   "trace", NULL};
    struct viewer v = {.cli = cli, .left = cli->count, .counts = cli->count > 0, .told_at = time(NULL)};
    larder_slice ops[OPS_MAX];
    larder_monitor_options how = LARDER_MONITOR_OPTIONS_INIT;
    how.ops = ops;
    if (!take_ops(cli->ops, ops, &how.ops_count))
        return cli_fail(cli, EXIT_USAGE, "--op: at most %d of them", OPS_MAX);
    how.globs = cli->globs.items;
    how.globs_count = cli->globs.count;
    how.each = show;
    how.meanwhile = meanwhile;
    how.user = &v;
    out_columns(&cli->out, columns);
    end_by_signals();
    print_head(&v);
    int r = larder_monitor(cli->client, &how);
    if (v.not_shown || v.near_hits)
        tell_missing(&v);
    return r < 0 ? cli_error(cli, NULL, r) : EXIT_DONE;
}
