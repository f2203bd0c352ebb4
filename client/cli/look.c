/* ping, keys, stats, health, explain, config: looking in. */
#include "client/cli/cli.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "client/cli/page.h"
#include "client/cli/text.h"
#include "proto/status.h"

/* ======= ping ======= */

static double us_since(const struct timespec *begin)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begin->tv_sec) * 1e6 + (double)(now.tv_nsec - begin->tv_nsec) / 1e3;
}

/* Twice: the first one also pays for the connection. */
int verb_ping(struct cli *cli)
{
    static const char *const columns[] = {"result", "us", NULL};
    struct timespec begin;
    int r = larder_ping(cli->client);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (r == LARDER_OK)
        r = larder_ping(cli->client);
    if (r < 0)
        return cli_error(cli, NULL, r);
    json_t *row = row_new();
    row_text(row, "result", "pong");
    json_object_set_new(row, "us", json_real(us_since(&begin)));
    out_columns(&cli->out, columns);
    cli->out.head_printed = true;
    out_row(&cli->out, row);
    out_flush(&cli->out);
    return EXIT_DONE;
}

/* ======= keys ======= */

enum { KEYS_PAGE = 256 };

struct listing {
    struct cli *cli;
    uint64_t left;
};

static bool list_one(void *user, const larder_listed *listed)
{
    struct listing *l = user;
    json_t *row = row_new();
    row_bytes(&l->cli->out, row, "key", listed->key);
    row_text(row, "tier", tier_name_text((unsigned)listed->tier));
    row_number(row, "ttl_ms", listed->ttl_ms);
    row_number(row, "bytes", listed->value_bytes);
    out_row(&l->cli->out, row);
    return --l->left > 0;
}

int verb_keys(struct cli *cli)
{
    static const char *const columns[] = {"key", "tier", "ttl_ms", "bytes", NULL};
    struct listing l = {.cli = cli, .left = cli->limit ? cli->limit : UINT64_MAX};
    larder_token cursor = {.size = 0};
    if (cli->globs.count)
        return cli_fail(cli, EXIT_DAEMON, "--glob: this daemon lists by prefix only");
    out_columns(&cli->out, columns);
    do {
        uint32_t page = l.left < KEYS_PAGE ? (uint32_t)l.left : KEYS_PAGE;
        int r = larder_keys(cli->client, cli->prefix, page, &cursor, list_one, &l);
        if (r < 0)
            return cli_error(cli, NULL, r);
        out_flush(&cli->out);
    } while (cursor.size && l.left);
    return EXIT_DONE;
}

/* ======= documents ======= */

/* On a terminal. */
static bool print_page(const char *json, void (*page)(FILE *to, const json_t *document))
{
    json_t *document = json_loads(json, JSON_ALLOW_NUL, NULL);
    if (document)
        page(stdout, document);
    json_decref(document);
    return document;
}

/* `page`: what a person is shown of it; NULL: all of it. */
static int print_document(struct cli *cli, int r, char *json, void (*page)(FILE *to, const json_t *document))
{
    if (r < 0)
        return cli_error(cli, NULL, r);
    bool person = page && cli->out.shape == OUT_ALIGNED;
    bool fine = person ? print_page(json, page) : out_document(&cli->out, json);
    out_flush(&cli->out);
    larder_text_free(json);
    return fine ? EXIT_DONE : cli_fail(cli, EXIT_DAEMON, "the daemon's answer is not JSON");
}

int verb_stats(struct cli *cli)
{
    char *json = NULL;
    int code;
    do {
        int r = larder_stats(cli->client, &json);
        if (cli->watch && cli->out.shape == OUT_ALIGNED)
            fputs("\033[H\033[J", stdout);
        code = print_document(cli, r, json, page_stats);
        fflush(stdout);
    } while (cli->watch && code == EXIT_DONE && !ferror(stdout) && poll(NULL, 0, 1000) == 0);
    return code;
}

int verb_explain(struct cli *cli)
{
    char *json = NULL;
    int r = larder_explain(cli->client, larder_text(cli->args[0]), &json);
    return print_document(cli, r, json, page_explain);
}

static void print_option(struct cli *cli, const json_t *option)
{
    char name[256];
    json_t *row = row_new();
    const char *value = json_string_value(json_object_get(option, "value"));
    const char *origin = json_string_value(json_object_get(option, "origin"));
    const char *section = json_string_value(json_object_get(option, "section"));
    const char *last = json_string_value(json_object_get(option, "option"));
    snprintf(name, sizeof(name), "%s.%s", section ? section : "", last ? last : "");
    row_text(row, "option", name);
    row_bytes(&cli->out, row, "value", larder_text(value ? value : ""));
    row_text(row, "origin", origin ? origin : "");
    out_row(&cli->out, row);
}

static int print_options(struct cli *cli, const char *json)
{
    static const char *const with_origin[] = {"option", "value", "origin", NULL};
    static const char *const without[] = {"option", "value", NULL};
    json_t *document = json_loads(json, 0, NULL), *option;
    size_t i;
    out_columns(&cli->out, cli->show_origin ? with_origin : without);
    json_array_foreach(json_object_get(document, "options"), i, option) print_option(cli, option);
    out_flush(&cli->out);
    json_decref(document);
    return document ? EXIT_DONE : cli_fail(cli, EXIT_DAEMON, "the daemon's answer is not JSON");
}

int verb_config(struct cli *cli)
{
    char *json = NULL;
    if (strcmp(cli->args[0], "dump") != 0)
        return cli_fail(cli, EXIT_USAGE, "%s: only `config dump` is known", cli->args[0]);
    int r = larder_config(cli->client, cli->show_origin, &json);
    if (r < 0 || cli->out.shape == OUT_JSON)
        return print_document(cli, r, json, NULL);
    r = print_options(cli, json);
    larder_text_free(json);
    return r;
}

/* ======= health ======= */

static void print_list(const json_t *document, const char *name, const char *mark)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(document, name), i, item)
    {
        const json_t *text = json_is_object(item) ? json_object_get(item, "message") : item;
        if (json_is_string(text))
            printf("%s %s\n", mark, json_string_value(text));
    }
}

static const char *status_colour(const char *status)
{
    return strcmp(status, "ok") == 0 ? "\033[32m" : strcmp(status, "degraded") == 0 ? "\033[33m" : "\033[31m";
}

static void print_health(const struct out *out, const json_t *document, const char *status)
{
    const char *on = out->colour ? status_colour(status) : "", *off = out->colour ? "\033[0m" : "";
    const json_t *score = json_object_get(document, "score");
    printf("%s%s%s", on, status, off);
    if (json_is_number(score))
        printf("  score %.0f", json_number_value(score));
    putchar('\n');
    print_list(document, "issues", "!");
    print_list(document, "recommendations", ">");
}

static int health_exit(const char *status)
{
    if (strcmp(status, "ok") == 0)
        return EXIT_DONE;
    return strcmp(status, "failing") == 0 ? EXIT_DAEMON : EXIT_NEGATIVE;
}

static json_t *silence(bool silent)
{
    return json_pack("{s:s, s:i, s:s, s:s, s:[s], s:[s]}", "status", "failing", "score", 0, "source",
                     "larder", "daemon", silent ? "silent" : "absent", "issues",
                     silent ? "larderd does not answer" : "there is no larderd", "recommendations",
                     silent ? "it hangs, or has too much to do: its log says more"
                            : "start it, or name its socket with -s");
}

/* That there is no answer is an answer, too, for whoever reads documents. */
static int no_health(struct cli *cli, int r)
{
    if (r == LARDER_E_TIMEOUT || r == LARDER_E_UNREACHABLE) {
        json_t *document = silence(r == LARDER_E_TIMEOUT);
        char *text = json_dumps(document, JSON_COMPACT);
        if (cli->out.shape == OUT_ALIGNED)
            print_health(&cli->out, document, "failing");
        else
            out_document(&cli->out, text);
        fflush(stdout); /* before what stderr says */
        free(text);
        json_decref(document);
    }
    return cli_error(cli, NULL, r);
}

int verb_health(struct cli *cli)
{
    char *json = NULL;
    int r = larder_health(cli->client, &json);
    if (r < 0)
        return no_health(cli, r);
    json_t *document = json_loads(json, 0, NULL);
    const char *status = json_string_value(json_object_get(document, "status"));
    if (!status)
        r = cli_fail(cli, EXIT_DAEMON, "the daemon's answer has no status");
    else {
        r = health_exit(status);
        if (cli->out.shape == OUT_ALIGNED)
            print_health(&cli->out, document, status);
        else
            out_document(&cli->out, json);
    }
    json_decref(document);
    larder_text_free(json);
    return r;
}
