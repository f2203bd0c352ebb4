/* report: what was counted on the last days, what it saved, and what is hot. */
#include "client/cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const groups[] = {"day", "policy", "tenant", "resource", "minute"};
enum { GROUPS = sizeof(groups) / sizeof(*groups), DAYS_MAX = 400 };

static uint64_t number_of(const json_t *row, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(row, name));
}

/* ======= asking ======= */

static int page_of(struct cli *cli, int by, uint32_t from, json_t **ret)
{
    char *json = NULL;
    int r = larder_report(cli->client, (uint32_t)cli->days, by, from, &json);
    if (r < 0)
        return cli_error(cli, NULL, r);
    *ret = json_loads(json, 0, NULL);
    larder_text_free(json);
    return *ret ? EXIT_DONE : cli_fail(cli, EXIT_DAEMON, "the daemon's answer is not JSON");
}

/* All pages as one document: the rows of all, the rest of the first. */
static int ask_all(struct cli *cli, int by, json_t **ret)
{
    json_t *all = NULL, *page = NULL;
    int code = page_of(cli, by, 0, &all);
    while (code == EXIT_DONE && json_is_integer(json_object_get(all, "next"))) {
        code = page_of(cli, by, (uint32_t)number_of(all, "next"), &page);
        if (code != EXIT_DONE) {
            json_decref(all);
            break;
        }
        json_array_extend(json_object_get(all, "rows"), json_object_get(page, "rows"));
        json_object_set(all, "next", json_object_get(page, "next"));
        json_decref(page);
    }
    *ret = code == EXIT_DONE ? all : NULL;
    return code;
}

/* ======= CSV (RFC 4180) ======= */

static void print_quoted(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"')
            putchar('"');
        putchar(*text);
    }
    putchar('"');
}

static void print_csv_cell(const json_t *value)
{
    if (json_is_string(value))
        print_quoted(json_string_value(value));
    else if (json_is_integer(value))
        printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        printf("%.6f", json_real_value(value));
}

/* Every row has the fields of the first. */
static void print_csv(json_t *rows)
{
    json_t *row, *value, *first = json_array_get(rows, 0);
    const char *name;
    size_t n;
    bool begun = false;
    json_object_foreach(first, name, value)
    {
        printf("%s%s", begun ? "," : "", name);
        begun = true;
    }
    fputs(begun ? "\r\n" : "", stdout);
    json_array_foreach(rows, n, row)
    {
        begun = false;
        json_object_foreach(first, name, value)
        {
            fputs(begun ? "," : "", stdout);
            print_csv_cell(json_object_get(row, name));
            begun = true;
        }
        fputs("\r\n", stdout);
    }
}

/* ======= a table ======= */

static void ratio_cell(const struct out *out, json_t *row, const json_t *ratio)
{
    char text[32] = "-";
    if (json_is_real(ratio))
        snprintf(text, sizeof(text), out->shape == OUT_ALIGNED ? "%.1f %%" : "%.4f",
                 json_real_value(ratio) * (out->shape == OUT_ALIGNED ? 100 : 1));
    row_text(row, "hit_ratio", text);
}

static void print_row(struct cli *cli, const char *group, const char *name, const json_t *counts)
{
    char money[32];
    json_t *row = row_new();
    snprintf(money, sizeof(money), "%.2f", (double)number_of(counts, "saved_millionths") / 1e6);
    row_text(row, group, name);
    row_number(row, "hits", number_of(counts, "hits"));
    row_number(row, "misses", number_of(counts, "misses"));
    ratio_cell(&cli->out, row, json_object_get(counts, "hit_ratio"));
    row_number(row, "sets", number_of(counts, "sets"));
    row_number(row, "saved_calls", number_of(counts, "saved_calls"));
    row_number(row, "saved_ms", number_of(counts, "saved_ms"));
    row_text(row, "saved_cost", money);
    out_row(&cli->out, row);
}

static void print_keys(struct cli *cli, const json_t *keys)
{
    static const char *const columns[] = {"hottest", "heat", NULL};
    const json_t *key;
    size_t n;
    if (cli->out.shape != OUT_ALIGNED || !json_array_size(keys))
        return;
    putchar('\n');
    cli->out.head_printed = false;
    out_columns(&cli->out, columns);
    json_array_foreach(keys, n, key)
    {
        json_t *row = row_new();
        row_text(row, "hottest", json_string_value(json_object_get(key, "key")));
        row_number(row, "heat", number_of(key, "heat"));
        out_row(&cli->out, row);
    }
    out_flush(&cli->out);
}

static void print_table(struct cli *cli, const json_t *document, const char *group)
{
    const char *const columns[] = {group,  "hits",        "misses",   "hit_ratio",
                                   "sets", "saved_calls", "saved_ms", "saved_cost"};
    const char *named[sizeof(columns) / sizeof(*columns) + 1] = {0};
    const json_t *row;
    size_t n;
    memcpy(named, columns, sizeof(columns));
    out_columns(&cli->out, named);
    json_array_foreach(json_object_get(document, "rows"), n, row)
        print_row(cli, group, json_string_value(json_object_get(row, group)), row);
    print_row(cli, group, "total", json_object_get(document, "totals"));
    out_flush(&cli->out);
    print_keys(cli, json_object_get(document, "keys"));
}

/* ======= the verb ======= */

static int group_of(const struct cli *cli)
{
    int by = 0;
    while (cli->by && by < GROUPS && strcmp(cli->by, groups[by]) != 0)
        by++;
    return by;
}

static void print_document(struct cli *cli, json_t *document, const char *group)
{
    if (cli->csv)
        print_csv(json_object_get(document, "rows"));
    else if (cli->out.shape == OUT_JSON)
        out_row(&cli->out, json_incref(document));
    else
        print_table(cli, document, group);
    if (!json_is_true(json_object_get(document, "kept")))
        fputs("larder: there is no warm tier: this is since the daemon's start\n", stderr);
}

int verb_report(struct cli *cli)
{
    json_t *document;
    int by = group_of(cli);
    if (by == GROUPS)
        return cli_fail(cli, EXIT_USAGE, "--by %s: there are day, policy, tenant, resource, minute", cli->by);
    if (cli->days > DAYS_MAX)
        return cli_fail(cli, EXIT_USAGE, "--days: at most %d are kept", DAYS_MAX);
    int code = ask_all(cli, by, &document);
    if (code != EXIT_DONE)
        return code;
    print_document(cli, document, groups[by]);
    json_decref(document);
    return EXIT_DONE;
}
