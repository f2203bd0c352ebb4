/* warm --file FILE: a dump's entries, into the daemon.
 *
 * What must stay true: the whole file is read and found good before the first entry is stored, so a file that is cut
 * short, damaged, foreign or too new changes nothing; and an entry is stored only where there is none, so nothing newer is
 * overwritten.  Standard input is spooled into an unnamed file for the same reason. */
#include "client/cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "client/cli/dumpfile.h"
#include "client/cli/place.h"

enum { WARM_BATCH = 256 }; /* entries a round trip; a block of the file bounds their bytes */

struct warming {
    struct cli *cli;
    const char *name;
    struct dump_reader reader;
    larder_item items[WARM_BATCH];
    larder_set_options how[WARM_BATCH];
    larder_slice tags[WARM_BATCH][WIRE_TAGS_MAX];
    struct place place;
    size_t count;
    uint64_t passed_ms; /* since the dump was begun */
    uint64_t total, seen, before, loaded, kept, expired, refused;
};

static int bad_file(const struct warming *w, int r)
{
    if (r == DUMP_E_SYSTEM)
        return cli_fail(w->cli, EXIT_DAEMON, "%s: %s", w->name, strerror(errno ? errno : ENOMEM));
    return cli_fail(w->cli, EXIT_USAGE, "%s: %s%s", w->name, w->reader.why,
                    w->seen ? "" : "; nothing was loaded");
}

/* First pass: every block, every entry, and the end. */
static int check_file(struct warming *w, FILE *file)
{
    struct dump_entry entry;
    int r = dump_open(&w->reader, file);
    while (r >= 0 && (r = dump_next(&w->reader, &entry)) > 0)
        ;
    w->total = w->reader.count;
    int code = r < 0 ? bad_file(w, r) : EXIT_DONE;
    dump_reader_finish(&w->reader);
    return code;
}

/* ======= loading ======= */

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

/* What was stored stays stored: it is said how far that was. */
static void tell_stop(const struct warming *w)
{
    fprintf(stderr, "larder: warm: stopped after %llu of %llu entries; %s\n", (unsigned long long)w->seen,
            (unsigned long long)w->total,
            w->cli->resume ? "the same command goes on there" : "what was loaded stays");
}

static void show_progress(const struct warming *w)
{
    enum { CELLS = 30 };
    static const char bar[] = "##############################";
    int cells = w->total ? (int)(w->seen * CELLS / w->total) : CELLS;
    if (!isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r[%.*s%*s] %llu/%llu", cells, bar, CELLS - cells, "", (unsigned long long)w->seen,
            (unsigned long long)w->total);
    if (w->seen == w->total)
        fputc('\n', stderr);
}

static void count_result(struct warming *w, int result)
{
    if (result == LARDER_EXISTS)
        w->kept++;
    else if (result >= 0)
        w->loaded++;
    else
        w->refused++;
}

static bool refuses_item(int result)
{
    return result == LARDER_E_TOO_BIG || result == LARDER_E_LIMIT || result == LARDER_E_KEY ||
           result == LARDER_E_SHAPE;
}

/* An item the daemon refuses (its limits may be smaller) is counted; anything else ends the load. */
static int store_batch(struct warming *w)
{
    larder_set_options common = LARDER_SET_OPTIONS_INIT;
    common.if_absent = true;
    int r = w->count ? larder_mset(w->cli->client, w->items, w->count, &common) : 0;
    for (size_t i = 0; i < w->count; i++) {
        int result = w->items[i].result;
        if (result < 0 && !refuses_item(result))
            r = result;
        count_result(w, result);
    }
    if (r < 0 && !refuses_item(r))
        return cli_error(w->cli, w->name, r);
    w->seen += w->count;
    w->count = 0;
    show_progress(w);
    if (place_keep(&w->place, w->seen) < 0)
        return cli_fail(w->cli, EXIT_DAEMON, "%s: %s", w->place.path, strerror(errno));
    return EXIT_DONE;
}

/* What is left of the life it had when the dump was begun; false: nothing. */
static bool life_left(const struct warming *w, const struct dump_entry *e, larder_set_options *how)
{
    uint64_t passed = w->passed_ms, whole;
    if (__builtin_add_overflow(e->ttl_ms, e->stale_ms, &whole) || whole <= passed)
        return false;
    how->ttl_ms = e->ttl_ms > passed ? e->ttl_ms - passed : 1; /* 0 would mean: store nothing */
    how->stale_ms = whole - passed - how->ttl_ms;
    return true;
}

static void batch_add(struct warming *w, const struct dump_entry *e)
{
    larder_set_options *how = &w->how[w->count];
    *how = (larder_set_options)LARDER_SET_OPTIONS_INIT;
    if (w->before < w->place.done) {
        w->before++;
        w->seen++;
        return;
    }
    if (!life_left(w, e, how)) {
        w->expired++;
        w->seen++;
        return;
    }
    how->if_absent = true;
    how->user_flags = e->user_flags;
    how->schema = e->schema;
    how->absent = e->absent;
    how->tags = w->tags[w->count];
    how->tags_count = e->tags_count;
    for (uint32_t i = 0; i < e->tags_count; i++)
        w->tags[w->count][i] = larder_bytes(e->tags[i].data, e->tags[i].size);
    w->items[w->count++] = (larder_item){
        .key = larder_bytes(e->key.data, e->key.size),
        .value = larder_bytes(e->value.data, e->value.size),
        .options = how,
    };
}

static uint64_t passed_since(uint64_t wall_ms)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    uint64_t now = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
    return now > wall_ms ? now - wall_ms : 0;
}

static int load_file(struct warming *w, FILE *file)
{
    struct dump_entry entry;
    int r = dump_open(&w->reader, file), code = EXIT_DONE;
    while (code == EXIT_DONE && r >= 0 && !interrupted && (r = dump_next(&w->reader, &entry)) > 0) {
        w->passed_ms = passed_since(w->reader.wall_ms);
        batch_add(w, &entry);
        if (w->count == WARM_BATCH || dump_block_done(&w->reader))
            code = store_batch(w);
    }
    if (code == EXIT_DONE)
        code = r < 0 ? bad_file(w, r) : store_batch(w);
    if (code == EXIT_DONE && interrupted)
        code = EXIT_NEGATIVE;
    if (code != EXIT_DONE)
        tell_stop(w);
    dump_reader_finish(&w->reader);
    return code;
}

static void report(struct warming *w)
{
    static const char *const columns[] = {"result", "loaded", "kept", "expired", "refused", "before", NULL};
    json_t *row = row_new();
    out_columns(&w->cli->out, columns);
    row_text(row, "result", "warmed");
    row_number(row, "loaded", w->loaded);
    row_number(row, "kept", w->kept);
    row_number(row, "expired", w->expired);
    row_number(row, "refused", w->refused);
    row_number(row, "before", w->before);
    if (w->cli->out.shape != OUT_ALIGNED) {
        out_row(&w->cli->out, row);
        return;
    }
    json_decref(row);
    printf("%llu loaded, %llu already there, %llu expired, %llu refused", (unsigned long long)w->loaded,
           (unsigned long long)w->kept, (unsigned long long)w->expired, (unsigned long long)w->refused);
    if (w->before)
        printf(", %llu gone through before", (unsigned long long)w->before);
    putchar('\n');
}

/* ======= files ======= */

static FILE *spool_stdin(void)
{
    char bytes[65536];
    size_t n;
    FILE *file = tmpfile();
    while (file && (n = fread(bytes, 1, sizeof(bytes), stdin)) > 0)
        if (fwrite(bytes, 1, n, file) != n) {
            fclose(file);
            return NULL;
        }
    if (file && (ferror(stdin) || fflush(file) != 0)) {
        fclose(file);
        return NULL;
    }
    return file;
}

static int warm_from(struct warming *w, FILE *file)
{
    rewind(file);
    int code = check_file(w, file);
    if (code != EXIT_DONE)
        return code;
    if (w->cli->resume && place_open(&w->place, w->cli->file, w->reader.wall_ms, w->total) < 0)
        return cli_fail(w->cli, EXIT_USAGE, "%s.pos: %s", w->cli->file, strerror(errno));
    struct sigaction on_interrupt = {.sa_handler = interrupt};
    sigaction(SIGINT, &on_interrupt, NULL);
    rewind(file);
    code = load_file(w, file);
    place_close(&w->place, code == EXIT_DONE);
    if (code == EXIT_DONE)
        report(w);
    return code;
}

int verb_warm(struct cli *cli)
{
    static struct warming w; /* too large for the stack */
    if (!cli->file)
        return cli->resume ? cli_fail(cli, EXIT_USAGE, "--resume goes with --file") : warm_by_name(cli);
    if (cli->args_count || cli->keys_from || cli->prefixes.count || cli->tags.count || cli->all)
        return cli_fail(cli, EXIT_USAGE, "--file goes alone");
    bool from_stdin = strcmp(cli->file, "-") == 0;
    if (from_stdin && cli->resume)
        return cli_fail(cli, EXIT_USAGE, "--resume needs a file: standard input does not come twice");
    w = (struct warming){.cli = cli, .name = from_stdin ? "standard input" : cli->file, .place = {.fd = -1}};
    FILE *file = from_stdin ? spool_stdin() : fopen(cli->file, "re");
    if (!file)
        return cli_fail(cli, EXIT_USAGE, "%s: %s", w.name, strerror(errno));
    int code = warm_from(&w, file);
    fclose(file);
    return code;
}
