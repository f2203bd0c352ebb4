/* invalidate, clear: what must not be served any more. */
#include "client/cli/cli.h"

#include <stdio.h>
#include <string.h>
#include "client/cli/text.h"

static void print_count(struct cli *cli, int result, uint64_t count, larder_position position)
{
    static const char *const columns[] = {"result", "dropped", "position", NULL};
    char text[POSITION_TEXT_BYTES];
    json_t *row = row_new();
    position_format(position, text);
    row_text(row, "result", cli->dry_run ? "dry_run" : cli_result_word(result));
    row_number(row, "dropped", count);
    row_text(row, "position", cli->dry_run || result != LARDER_OK ? "" : text); /* else the fleet gave none */
    out_columns(&cli->out, columns);
    out_row(&cli->out, row);
}

static void print_sentence(const struct cli *cli, int result, uint64_t count)
{
    const char *what = cli->dry_run ? "would be " : "", *how = cli->soft ? "made stale" : "dropped";
    const char *rest = result == LARDER_OK ? "" : "; ",
               *said = result == LARDER_OK ? "" : larder_strerror(result);
    printf("%llu %s %s%s%s%s\n", (unsigned long long)count, count == 1 ? "entry" : "entries", what, how, rest,
           said);
}

static int tell(struct cli *cli, int result, uint64_t count, larder_position position)
{
    if (result < 0)
        return cli_error(cli, cli->event, result);
    if (cli->out.shape == OUT_ALIGNED)
        print_sentence(cli, result, count);
    else
        print_count(cli, result, count, position);
    return EXIT_DONE;
}

static int run(struct cli *cli, const larder_invalidate_options *given)
{
    uint64_t count = 0;
    larder_position position = {0};
    larder_invalidate_options how = *given;
    how.soft = cli->soft;
    how.dry_run = cli->dry_run;
    how.wait_all = cli->wait_all;
    how.ret_count = &count;
    how.ret_position = &position;
    return tell(cli, larder_invalidate_all_of(cli->client, &how), count, position);
}

/* ======= events ======= */

static int run_event(struct cli *cli)
{
    larder_argument arguments[CLI_ARGUMENTS_MAX];
    uint64_t count = 0;
    larder_position position = {0};
    larder_invalidate_options how = LARDER_INVALIDATE_OPTIONS_INIT;
    if (cli->tags.count || cli->prefixes.count || cli->globs.count || cli->all ||
        cli->args_count > CLI_ARGUMENTS_MAX)
        return cli_fail(cli, EXIT_USAGE,
                        "--event goes with up to %d arguments, written as name=value, and nothing else",
                        CLI_ARGUMENTS_MAX);
    for (int i = 0; i < cli->args_count; i++)
        if (!cli_argument(cli->args[i], &arguments[i]))
            return cli_fail(cli, EXIT_USAGE, "%s: arguments of an event are written as name=value",
                            cli->args[i]);
    how.soft = cli->soft;
    how.dry_run = cli->dry_run;
    how.wait_all = cli->wait_all;
    how.ret_count = &count;
    how.ret_position = &position;
    int r = larder_event(cli->client, larder_text(cli->event), arguments, (size_t)cli->args_count, &how);
    return tell(cli, r, count, position);
}

int verb_invalidate(struct cli *cli)
{
    struct names keys = {.count = 0};
    larder_invalidate_options how = LARDER_INVALIDATE_OPTIONS_INIT;
    if (cli->event)
        return run_event(cli);
    if (cli->args_count > CLI_NAMES_MAX)
        return cli_fail(cli, EXIT_USAGE, "at most %d keys in one change", CLI_NAMES_MAX);
    if (cli->args_count == 0 && !cli->tags.count && !cli->prefixes.count && !cli->globs.count && !cli->all)
        return cli_fail(cli, EXIT_USAGE, "name keys, --tag, --prefix, --glob, --event or --all");
    for (int i = 0; i < cli->args_count; i++)
        keys.items[keys.count++] = larder_text(cli->args[i]);
    how.keys = keys.items;
    how.keys_count = keys.count;
    how.tags = cli->tags.items;
    how.tags_count = cli->tags.count;
    how.prefixes = cli->prefixes.items;
    how.prefixes_count = cli->prefixes.count;
    how.globs = cli->globs.items;
    how.globs_count = cli->globs.count;
    how.all = cli->all;
    return run(cli, &how);
}

int verb_clear(struct cli *cli)
{
    larder_invalidate_options how = LARDER_INVALIDATE_OPTIONS_INIT;
    if (!cli->yes)
        return cli_fail(cli, EXIT_USAGE, "drops every entry of the namespace; say --yes if that is meant");
    how.all = true;
    return run(cli, &how);
}
