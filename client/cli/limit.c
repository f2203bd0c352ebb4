/* limit KEY --max N --window TIME, limit NAME …: may it be done once more now? */
#include "client/cli/cli.h"

#include <stdio.h>

static void print_row(struct cli *cli, const larder_allowance *a)
{
    static const char *const columns[] = {"result", "remaining", "reset_ms", "retry_ms",
                                          "local",  "max",       NULL};
    json_t *row = row_new();
    out_columns(&cli->out, columns);
    row_text(row, "result", a->allowed ? "allowed" : "limited");
    row_number(row, "remaining", a->remaining);
    row_number(row, "reset_ms", a->reset_ms);
    row_number(row, "retry_ms", a->retry_ms);
    row_flag(row, "local", a->local);
    row_number(row, "max", a->max);
    out_row(&cli->out, row);
}

static int answer(struct cli *cli, const larder_allowance *a, int result)
{
    if (result < 0)
        return cli_error(cli, cli->args[0], result);
    print_row(cli, a);
    return a->allowed ? EXIT_DONE : EXIT_NEGATIVE;
}

/* [limit NAME] of the daemon's configuration says how often; behind it a key or name=value. */
static int by_name(struct cli *cli, larder_limit_options *how)
{
    larder_argument arguments[CLI_ARGUMENTS_MAX];
    larder_slice key = larder_text("");
    larder_allowance a;
    size_t count = 0;
    if (cli->args_count < 2 || cli->args_count > CLI_ARGUMENTS_MAX)
        return cli_fail(
            cli, EXIT_USAGE,
            "say how many in which time: KEY --max N --window TIME; or a limit of the configuration and "
            "whom it is about: NAME KEY, or NAME with up to %d name=value",
            CLI_ARGUMENTS_MAX);
    for (int i = 1; i < cli->args_count; i++)
        if (cli_argument(cli->args[i], &arguments[count]))
            count++;
        else if (key.size == 0)
            key = larder_text(cli->args[i]);
        else
            return cli_fail(cli, EXIT_USAGE, "%s: one key, or arguments written as name=value", cli->args[i]);
    int r = larder_limit_named(cli->client, larder_text(cli->args[0]), key, arguments, count, how, &a);
    return answer(cli, &a, r);
}

int verb_limit(struct cli *cli)
{
    larder_limit_options how = LARDER_LIMIT_OPTIONS_INIT;
    larder_allowance a;
    how.cost = cli->has_cost ? cli->cost : 1;
    if (!cli->max && !cli->window_ms)
        return by_name(cli, &how);
    if (!cli->max || !cli->window_ms || cli->args_count > 1)
        return cli_fail(cli, EXIT_USAGE, "say how many in which time: KEY --max N --window TIME");
    how.max = cli->max;
    how.window_ms = cli->window_ms;
    return answer(cli, &a, larder_limit(cli->client, larder_text(cli->args[0]), &how, &a));
}
