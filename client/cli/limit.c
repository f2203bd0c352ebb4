/* limit KEY --max N --window TIME: may it be done once more now? */
#include "client/cli/cli.h"

#include <stdio.h>

static void print_row(struct cli *cli, const larder_allowance *a)
{
    static const char *const columns[] = {"result", "remaining", "reset_ms", "retry_ms", "local", NULL};
    json_t *row = row_new();
    out_columns(&cli->out, columns);
    row_text(row, "result", a->allowed ? "allowed" : "limited");
    row_number(row, "remaining", a->remaining);
    row_number(row, "reset_ms", a->reset_ms);
    row_number(row, "retry_ms", a->retry_ms);
    row_flag(row, "local", a->local);
    out_row(&cli->out, row);
}

int verb_limit(struct cli *cli)
{
    larder_limit_options how = LARDER_LIMIT_OPTIONS_INIT;
    larder_allowance a;
    if (!cli->max || !cli->window_ms)
        return cli_fail(cli, EXIT_USAGE, "say how many in which time: --max N --window TIME");
    how.max = cli->max;
    how.window_ms = cli->window_ms;
    how.cost = cli->has_cost ? cli->cost : 1;
    int r = larder_limit(cli->client, larder_text(cli->args[0]), &how, &a);
    if (r < 0)
        return cli_error(cli, cli->args[0], r);
    print_row(cli, &a);
    return a.allowed ? EXIT_DONE : EXIT_NEGATIVE;
}
