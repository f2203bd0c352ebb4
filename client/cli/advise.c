/* advise: what the daemon would change, and the figure that says so. */
#include "client/cli/cli.h"

#include <string.h>

static const char *text_of(const json_t *advice, const char *name)
{
    const char *text = json_string_value(json_object_get(advice, name));
    return text ? text : "";
}

static void print_advice(struct cli *cli, const json_t *advice)
{
    if (cli->out.shape == OUT_JSON) {
        out_row(&cli->out, json_deep_copy(advice));
        return;
    }
    json_t *row = row_new();
    row_text(row, "kind", text_of(advice, "kind"));
    row_text(row, "scope", text_of(advice, "scope"));
    row_text(row, "figure", text_of(advice, "figure"));
    row_text(row, "line", text_of(advice, "line"));
    out_row(&cli->out, row);
}

/* Something could be said of the memory of some namespace, or none is watched. */
static int print_all(struct cli *cli, const json_t *all)
{
    static const char *const columns[] = {"kind", "scope", "figure", "line", NULL};
    size_t i, said = 0, little = 0;
    const json_t *advice;
    out_columns(&cli->out, columns);
    json_array_foreach(all, i, advice)
    {
        said += strcmp(text_of(advice, "kind"), "memory") == 0;
        little += strcmp(text_of(advice, "kind"), "little_seen") == 0;
        print_advice(cli, advice);
    }
    out_flush(&cli->out);
    return little && !said ? EXIT_NEGATIVE : EXIT_DONE;
}

int verb_advise(struct cli *cli)
{
    char *json = NULL;
    int r = larder_stats(cli->client, &json);
    if (r < 0)
        return cli_error(cli, NULL, r);
    json_t *document = json_loads(json, 0, NULL);
    const json_t *all = json_object_get(document, "advice");
    r = json_is_array(all) ? print_all(cli, all)
                           : cli_fail(cli, EXIT_DAEMON, "the daemon's answer has no advice");
    json_decref(document);
    larder_text_free(json);
    return r;
}
