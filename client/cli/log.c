/* log invalidations: who invalidated what, when, and because of what. */
#include "client/cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *line, const char *name)
{
    const char *text = json_string_value(json_object_get(line, name));
    return text ? text : "";
}

static uint64_t number_of(const json_t *line, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(line, name));
}

static void print_line(struct cli *cli, const json_t *line)
{
    json_t *row = row_new();
    row_text(row, "time", text_of(line, "time"));
    row_text(row, "where", text_of(line, "where"));
    row_text(row, "by", text_of(line, "by"));
    row_text(row, "event", text_of(line, "event"));
    row_text(row, "how", json_is_true(json_object_get(line, "soft")) ? "soft" : "hard");
    row_number(row, "dropped", number_of(line, "dropped"));
    row_number(row, "cascaded", number_of(line, "cascaded"));
    row_text(row, "names", text_of(line, "names"));
    out_row(&cli->out, row);
}

static void print_json(const json_t *lines)
{
    size_t i;
    json_t *line;
    json_array_foreach(lines, i, line)
    {
        char *text = json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER);
        if (text)
            puts(text);
        free(text);
    }
}

static void print_lines(struct cli *cli, const json_t *document)
{
    static const char *const columns[] = {"time",    "where",    "by",    "event", "how",
                                          "dropped", "cascaded", "names", NULL};
    const json_t *lines = json_object_get(document, "invalidations");
    size_t i;
    json_t *line;
    if (cli->out.shape == OUT_JSON) {
        print_json(lines);
        return;
    }
    out_columns(&cli->out, columns);
    json_array_foreach(lines, i, line) print_line(cli, line);
    out_flush(&cli->out);
    if (!json_is_true(json_object_get(document, "kept")))
        fputs("larder: there is no warm tier: this is since the daemon's start\n", stderr);
}

int verb_log(struct cli *cli)
{
    char *json = NULL;
    if (strcmp(cli->args[0], "invalidations") != 0)
        return cli_fail(cli, EXIT_USAGE, "there is: log invalidations");
    if (cli->has_since_text && !cli->has_back)
        return cli_fail(cli, EXIT_USAGE, "--since: not a duration; write 30s, 5m, 1h, 2d or 250ms");
    int r = larder_log(cli->client, cli->back_ms, cli->limit < UINT32_MAX ? (uint32_t)cli->limit : UINT32_MAX,
                       &json);
    if (r < 0)
        return cli_error(cli, NULL, r);
    json_t *document = json_loads(json, 0, NULL);
    r = document ? EXIT_DONE : cli_fail(cli, EXIT_DAEMON, "the daemon's answer is not JSON");
    if (document)
        print_lines(cli, document);
    json_decref(document);
    larder_text_free(json);
    return r;
}
