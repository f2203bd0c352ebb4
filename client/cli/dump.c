/* dump FILE: every entry the daemon holds, into a file.
 *
 * What must stay true: FILE is either what it was before or a complete dump, never a half one, and nothing is left beside
 * it.  It is written without a name, synced, and gets its name when it is whole.  An entry is in it with all its tags or not at all: with fewer it would live on, once
 * loaded, where it must die. */
#include "client/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "client/cli/dumpfile.h"

enum {
    PAGE_KEYS = 256,       /* keys listed at a time */
    GROUP_BYTES = 4 << 20, /* values asked for at a time, about */
};

struct dumping {
    struct cli *cli;
    struct dump_writer writer;
    larder_slice keys[PAGE_KEYS];
    uint64_t bytes[PAGE_KEYS];
    size_t count;
    char *texts; /* room for the keys of a page */
    larder_value values[PAGE_KEYS];
    uint64_t unnamed; /* left out: nobody knows their tags by name */
};

static uint64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool page_add(void *user, const larder_listed *listed)
{
    struct dumping *d = user;
    if (listed->no_dump)
        return true;
    if (d->count == PAGE_KEYS || listed->key.size == 0 || listed->key.size > WIRE_KEY_MAX)
        return d->count < PAGE_KEYS;
    char *text = d->texts + d->count * WIRE_KEY_MAX;
    memcpy(text, listed->key.data, listed->key.size);
    d->keys[d->count] = larder_bytes(text, listed->key.size);
    d->bytes[d->count++] = listed->value_bytes;
    return true;
}

/* Life is told from the head's clock, so an entry that is read later gets what has passed since on top. */
static int write_value(struct dumping *d, larder_slice key, const larder_value *v, uint64_t passed_ms)
{
    struct dump_entry e = {
        .key = slice_of(key.data, key.size),
        .value = slice_of(v->size ? v->data : "", v->size),
        .ttl_ms = v->fresh_ms + passed_ms,
        .stale_ms = v->ttl_ms > v->fresh_ms ? v->ttl_ms - v->fresh_ms : 0,
        .user_flags = v->user_flags,
        .schema = v->schema,
        .absent = v->result == LARDER_ABSENT,
    };
    larder_slice tags[LARDER_TAGS_MAX];
    bool there = v->result == LARDER_HIT || v->result == LARDER_ABSENT;
    e.tags_count = (uint32_t)larder_value_tags(v, tags);
    for (uint32_t i = 0; i < e.tags_count; i++)
        e.tags[i] = slice_of(tags[i].data, tags[i].size);
    d->unnamed += v->result == LARDER_MISS && v->reason == LARDER_REASON_UNNAMED;
    if (there && dump_put(&d->writer, &e) < 0)
        return cli_fail(d->cli, EXIT_DAEMON, "cannot write: %s", strerror(errno));
    return EXIT_DONE;
}

static int dump_group(struct dumping *d, size_t from, size_t count, uint64_t begin_ms)
{
    larder_get_options how = LARDER_GET_OPTIONS_INIT;
    how.tags = true;
    int r = larder_mget(d->cli->client, d->keys + from, count, &how, d->values);
    uint64_t now = wall_ms(), passed_ms = now > begin_ms ? now - begin_ms : 0;
    if (r < 0)
        return cli_error(d->cli, NULL, r);
    for (size_t i = 0; i < count; i++) {
        if (d->values[i].result < 0)
            return cli_error(d->cli, NULL, d->values[i].result);
        int code = write_value(d, d->keys[from + i], &d->values[i], passed_ms);
        if (code != EXIT_DONE)
            return code;
    }
    return EXIT_DONE;
}

static int dump_page(struct dumping *d, uint64_t begin_ms)
{
    int code = EXIT_DONE;
    for (size_t from = 0, count; code == EXIT_DONE && from < d->count; from += count) {
        uint64_t bytes = 0;
        for (count = 0; from + count < d->count && (count == 0 || bytes < GROUP_BYTES); count++)
            bytes += d->bytes[from + count];
        code = dump_group(d, from, count, begin_ms);
    }
    return code;
}

static int dump_entries(struct dumping *d, uint64_t begin_ms)
{
    larder_token cursor = {.size = 0};
    int code;
    do {
        d->count = 0;
        int r = larder_keys(d->cli->client, d->cli->prefix, PAGE_KEYS, &cursor, page_add, d);
        if (r < 0)
            return cli_error(d->cli, NULL, r);
        code = dump_page(d, begin_ms);
    } while (code == EXIT_DONE && cursor.size);
    return code;
}

struct dumped {
    uint64_t entries, unnamed;
};

static int dump_to(struct cli *cli, FILE *file, struct dumped *ret)
{
    struct dumping *d = calloc(1, sizeof(*d));
    uint64_t begin_ms = wall_ms();
    if (!d || !(d->texts = malloc(PAGE_KEYS * WIRE_KEY_MAX))) {
        free(d);
        return cli_fail(cli, EXIT_DAEMON, "no memory");
    }
    d->cli = cli;
    bool wrong = dump_begin(&d->writer, file, begin_ms, cli->namespace_ ? cli->namespace_ : "") < 0;
    int code = wrong ? EXIT_DONE : dump_entries(d, begin_ms);
    if (code == EXIT_DONE && (wrong || dump_end(&d->writer) < 0))
        code = cli_fail(cli, EXIT_DAEMON, "cannot write: %s", strerror(errno));
    *ret = (struct dumped){d->writer.count, d->unnamed};
    for (int i = 0; i < PAGE_KEYS; i++)
        larder_value_free(&d->values[i]);
    dump_writer_finish(&d->writer);
    free(d->texts);
    free(d);
    return code;
}

/* A file on its way to `path`. */
struct growing {
    FILE *file;
    const char *path;
    char *beside; /* FILE.tmp: a new name cannot take another file's place, a renaming can */
    bool named;   /* so from its beginning */
};

static int open_nameless(const char *path)
{
    char *copy = strdup(path);
    bool can_be_named = access("/proc/self/fd", X_OK) == 0;
    int fd = copy && can_be_named ? open(dirname(copy), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666) : -1;
    free(copy);
    return fd;
}

/* Without a name it goes with this process, however that ends.  Where the file system has no such files it has one from its
 * beginning, and what a killed dump left is written over by the next. */
static void growing_begin(struct growing *g)
{
    int fd = open_nameless(g->path);
    g->named = fd < 0;
    g->file = g->named ? fopen(g->beside, "we") : fdopen(fd, "w");
}

static bool give_name(struct growing *g)
{
    char self[32];
    snprintf(self, sizeof(self), "/proc/self/fd/%d", fileno(g->file));
    unlink(g->beside); /* of one that was killed just here, or had its name from its beginning */
    g->named = linkat(AT_FDCWD, self, AT_FDCWD, g->beside, AT_SYMLINK_FOLLOW) == 0;
    return g->named;
}

static int growing_end(struct cli *cli, struct growing *g, int code)
{
    bool whole = code == EXIT_DONE && fflush(g->file) == 0 && fsync(fileno(g->file)) == 0 &&
                 (g->named || give_name(g)) && rename(g->beside, g->path) == 0;
    if (code == EXIT_DONE && !whole)
        code = cli_fail(cli, EXIT_DAEMON, "%s: %s", g->path, strerror(errno));
    if (g->named && !whole)
        unlink(g->beside);
    fclose(g->file); /* all of it is on disk */
    return code;
}

static int dump_to_path(struct cli *cli, const char *path, struct dumped *ret)
{
    struct growing g = {.path = path};
    if (asprintf(&g.beside, "%s.tmp", path) < 0)
        return cli_fail(cli, EXIT_DAEMON, "no memory");
    growing_begin(&g);
    int code = g.file ? growing_end(cli, &g, dump_to(cli, g.file, ret))
                      : cli_fail(cli, EXIT_DAEMON, "%s: %s", g.beside, strerror(errno));
    free(g.beside);
    return code;
}

static void tell(struct cli *cli, const struct dumped *told)
{
    static const char *const columns[] = {"result", "entries", "left_out", NULL};
    json_t *row = row_new();
    row_text(row, "result", "dumped");
    row_number(row, "entries", told->entries);
    row_number(row, "left_out", told->unnamed);
    out_columns(&cli->out, columns);
    out_row(&cli->out, row);
    out_flush(&cli->out);
}

int verb_dump(struct cli *cli)
{
    const char *path = cli->args[0];
    struct dumped told = {0};
    if (strcmp(path, "-") == 0) {
        if (isatty(STDOUT_FILENO))
            return cli_fail(cli, EXIT_USAGE, "a dump is not for a terminal; name a file, or pipe it on");
        return dump_to(cli, stdout, &told);
    }
    int code = dump_to_path(cli, path, &told);
    if (code != EXIT_DONE)
        return code;
    if (told.unnamed)
        fprintf(stderr, "%llu entries were left out: their tags are not known by name any more\n",
                (unsigned long long)told.unnamed);
    tell(cli, &told);
    return EXIT_DONE;
}
