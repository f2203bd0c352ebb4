/* warm KEY..., --prefix, --tag, --all, --keys-from: entries of slower tiers, into the faster ones. */
#include "client/cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ======= keys of a file, one a line ======= */

struct lines {
    char *bytes; /* the whole of it; keys point into it */
    larder_slice *keys;
    size_t count, room;
};

static void lines_free(struct lines *l)
{
    free(l->bytes);
    free(l->keys);
}

static bool add_line(struct lines *l, char *text, size_t size)
{
    if (l->count == l->room) {
        size_t room = l->room ? 2 * l->room : 1024;
        larder_slice *keys = realloc(l->keys, room * sizeof(*keys));
        if (!keys)
            return false;
        l->keys = keys;
        l->room = room;
    }
    if (size)
        l->keys[l->count++] = larder_bytes(text, size);
    return true;
}

static bool split(struct lines *l, size_t size)
{
    char *at = l->bytes, *end = l->bytes + size;
    while (at < end) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        if (!add_line(l, at, (size_t)(stop - at)))
            return false;
        at = stop + 1;
    }
    return true;
}

static bool read_whole(FILE *file, char **ret, size_t *ret_size)
{
    FILE *memory = open_memstream(ret, ret_size);
    char bytes[65536];
    size_t n;
    if (!memory)
        return false;
    while ((n = fread(bytes, 1, sizeof(bytes), file)) > 0)
        fwrite(bytes, 1, n, memory);
    bool good = !ferror(file) && !ferror(memory);
    return fclose(memory) == 0 && good;
}

static int lines_read(struct cli *cli, const char *name, struct lines *l)
{
    bool from_stdin = strcmp(name, "-") == 0;
    FILE *file = from_stdin ? stdin : fopen(name, "re");
    size_t size = 0;
    bool good = file && read_whole(file, &l->bytes, &size) && split(l, size);
    int why = errno;
    if (file && !from_stdin)
        fclose(file);
    return good ? EXIT_DONE : cli_fail(cli, EXIT_USAGE, "%s: %s", name, strerror(why ? why : ENOMEM));
}

/* ======= while it runs ======= */

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

static void print_bar(const larder_warm_progress *p)
{
    enum { CELLS = 30 };
    static const char bar[] = "##############################";
    double rate = p->elapsed_ms ? (double)p->done * 1000 / (double)p->elapsed_ms : 0;
    int cells = p->total ? (int)(p->done * CELLS / p->total) : 0;
    fprintf(stderr, "\r[%.*s%*s] %llu/%llu%s  %.0f keys/s", cells, bar, CELLS - cells, "",
            (unsigned long long)p->done, (unsigned long long)p->total, p->total_known ? "" : "+", rate);
    if (p->total_known && rate > 0)
        fprintf(stderr, "  %.0f s left ", (double)(p->total - p->done) / rate);
}

static bool show(void *user, const larder_warm_progress *p)
{
    const struct cli *cli = user;
    if (cli->out.shape == OUT_ALIGNED && isatty(STDERR_FILENO))
        print_bar(p);
    return !interrupted;
}

/* ======= the end ======= */

static void print_row(struct cli *cli, const larder_warm_progress *p)
{
    static const char *const columns[] = {"result", "done",    "loaded", "here",       "missing",
                                          "others", "brought", "failed", "elapsed_ms", NULL};
    static const char *const words[] = {"none", "running", "warmed", "cancelled", "failed"};
    json_t *row = row_new();
    out_columns(&cli->out, columns);
    row_text(row, "result", words[p->state]);
    row_number(row, "done", p->done);
    row_number(row, "loaded", p->loaded);
    row_number(row, "here", p->here);
    row_number(row, "missing", p->missing);
    row_number(row, "others", p->others);
    row_number(row, "brought", p->brought);
    row_number(row, "failed", p->failed);
    row_number(row, "elapsed_ms", p->elapsed_ms);
    out_row(&cli->out, row);
}

static void print_end(struct cli *cli, const larder_warm_progress *p)
{
    if (cli->out.shape != OUT_ALIGNED) {
        print_row(cli, p);
        return;
    }
    if (isatty(STDERR_FILENO)) {
        print_bar(p); /* how it ended, and not how it was when it was last looked at */
        fputc('\n', stderr);
    }
    printf("%s%llu loaded, %llu already there, %llu not found",
           p->state == LARDER_WARM_DONE ? "" : "stopped: ", (unsigned long long)p->loaded,
           (unsigned long long)p->here, (unsigned long long)p->missing);
    if (p->others)
        printf(", %llu without the tag", (unsigned long long)p->others);
    if (p->brought)
        printf(", %llu of those loaded brought by loaders", (unsigned long long)p->brought);
    if (p->failed)
        printf(", %llu not brought", (unsigned long long)p->failed);
    putchar('\n');
}

static int pull(struct cli *cli, larder_warm_options *how)
{
    larder_warm_progress p = {.state = LARDER_WARM_NONE};
    struct sigaction on_interrupt = {.sa_handler = interrupt};
    sigaction(SIGINT, &on_interrupt, NULL);
    how->prefixes = cli->prefixes.items;
    how->prefixes_count = cli->prefixes.count;
    how->tags = cli->tags.items;
    how->tags_count = cli->tags.count;
    how->all = cli->all;
    how->load = cli->load;
    how->policy = cli->policy;
    how->progress = show;
    how->user = cli;
    int r = larder_warm(cli->client, how, &p);
    if (r < 0)
        return cli_error(cli, NULL, r);
    print_end(cli, &p);
    if (p.state == LARDER_WARM_FAILED)
        return cli_fail(cli, EXIT_DAEMON, "%s", p.why);
    return p.state == LARDER_WARM_DONE ? EXIT_DONE : EXIT_NEGATIVE;
}

static int pull_named(struct cli *cli, struct lines *l)
{
    larder_warm_options how = LARDER_WARM_OPTIONS_INIT;
    int code = cli->keys_from ? lines_read(cli, cli->keys_from, l) : EXIT_DONE;
    for (int i = 0; i < cli->args_count && code == EXIT_DONE; i++)
        if (!add_line(l, (char *)(uintptr_t)cli->args[i], strlen(cli->args[i])))
            code = cli_error(cli, NULL, LARDER_E_MEMORY);
    if (code != EXIT_DONE)
        return code;
    how.keys = l->keys;
    how.keys_count = l->count;
    bool nothing = !l->count && !cli->prefixes.count && !cli->tags.count && !cli->all && !cli->policy;
    if (nothing && cli->keys_from)
        return cli_fail(cli, EXIT_USAGE, "%s: there is no key in it", cli->keys_from);
    return nothing
               ? cli_fail(cli, EXIT_USAGE,
                          "name keys, --keys-from, --prefix, --tag, --all, --policy, or a dump with --file")
               : pull(cli, &how);
}

int warm_by_name(struct cli *cli)
{
    struct lines l = {.count = 0};
    int code = pull_named(cli, &l);
    lines_free(&l);
    return code;
}
