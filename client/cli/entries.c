/* get, ttl, set, touch, tag: verbs about single entries. */
#include "client/cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include "client/cli/text.h"
#include "proto/status.h"
#include "proto/wire.h"

/* ======= get ======= */

/* Lower case: what a script compares with. */
static const char *result_word(int result)
{
    switch (result) {
    case LARDER_HIT: return "hit";
    case LARDER_ABSENT: return "absent";
    case LARDER_NOT_MODIFIED: return "not_modified";
    default: return "miss";
    }
}

static void row_version(json_t *row, larder_entry_version version)
{
    char text[VERSION_TEXT_BYTES];
    version_format(version, text);
    row_text(row, "version", text);
}

static void row_life(json_t *row, const larder_value *v)
{
    row_number(row, "ttl_ms", v->ttl_ms);
    row_number(row, "fresh_ms", v->fresh_ms);
    row_flag(row, "stale", v->flags & LARDER_STALE);
    row_version(row, v->version);
    row_text(row, "tier", tier_name_text((unsigned)v->tier));
}

static void row_miss(json_t *row, const larder_value *v)
{
    char token[TOKEN_TEXT_BYTES];
    token_format(&v->token, token);
    row_text(row, "reason", miss_reason_name((unsigned)v->reason));
    if (*token)
        row_text(row, "token", token);
}

static json_t *value_row(const struct out *out, larder_slice key, const larder_value *v, bool with_value)
{
    json_t *row = row_new();
    row_bytes(out, row, "key", key);
    row_text(row, "result", result_word(v->result));
    if (v->result == LARDER_MISS) {
        row_miss(row, v);
        return row;
    }
    row_life(row, v);
    if (v->flags & LARDER_IS_LOCAL)
        row_flag(row, "local", true);
    if (v->flags & LARDER_IS_DETACHED)
        row_flag(row, "detached", true);
    row_number(row, "user_flags", v->user_flags);
    row_number(row, "schema", v->schema);
    if (with_value && v->result == LARDER_HIT) {
        row_number(row, "bytes", v->size);
        row_bytes(out, row, "value", larder_bytes(v->data, v->size));
    }
    return row;
}

static int negative_exit(const struct cli *cli, const char *key, int result)
{
    if (result < 0)
        return cli_error(cli, key, result);
    return result == LARDER_HIT || result == LARDER_NOT_MODIFIED ? EXIT_DONE : EXIT_NEGATIVE;
}

/* One key without --json: the value alone, so that $(larder get KEY) is the value. */
static int print_plain(const struct cli *cli, const larder_value *v)
{
    if (v->result == LARDER_HIT) {
        fwrite(v->data, 1, v->size, stdout);
        if (!cli->raw)
            putchar('\n');
    } else if (cli->out.shape == OUT_ALIGNED && v->result == LARDER_MISS)
        fprintf(stderr, "miss: %s\n", miss_reason_sentence((unsigned)v->reason));
    else if (cli->out.shape == OUT_ALIGNED)
        fprintf(stderr, "%s\n", larder_strerror(v->result));
    return negative_exit(cli, cli->args[0], v->result);
}

static larder_get_options get_options(const struct cli *cli)
{
    larder_get_options how = LARDER_GET_OPTIONS_INIT;
    how.tiers = cli->tiers;
    how.no_stale = cli->no_stale;
    how.if_version = cli->has_if_version ? &cli->if_version : NULL;
    how.not_older_than = cli->has_after ? &cli->after : NULL;
    return how;
}

static int worse(int a, int b)
{
    return a > b ? a : b;
}

/* Each key by itself, in order: a value of 16 MiB beside another must not fail for want of room in a reply. */
static int get_rows(struct cli *cli, const larder_get_options *how, bool with_value)
{
    larder_value v = LARDER_VALUE_INIT;
    int code = EXIT_DONE;
    for (int i = 0; i < cli->args_count; i++) {
        larder_slice key = larder_text(cli->args[i]);
        int r = larder_get(cli->client, key, how, &v);
        if (r >= 0)
            out_row(&cli->out, value_row(&cli->out, key, &v, with_value));
        code = worse(code, negative_exit(cli, cli->args[i], r));
        if (code >= EXIT_UNREACHABLE)
            break;
    }
    out_flush(&cli->out);
    larder_value_free(&v);
    return code;
}

static int get_raw(struct cli *cli, const larder_get_options *how)
{
    larder_value v = LARDER_VALUE_INIT;
    int code = EXIT_DONE;
    for (int i = 0; i < cli->args_count && code < EXIT_UNREACHABLE; i++) {
        int r = larder_get(cli->client, larder_text(cli->args[i]), how, &v);
        v.result = r;
        code = worse(code, r < 0 ? cli_error(cli, cli->args[i], r) : print_plain(cli, &v));
    }
    larder_value_free(&v);
    return code;
}

int verb_get(struct cli *cli)
{
    static const char *const columns[] = {"key", "result", "value", NULL};
    larder_get_options how = get_options(cli);
    out_columns(&cli->out, columns);
    bool plain = cli->out.shape != OUT_JSON && (cli->args_count == 1 || cli->raw);
    return plain ? get_raw(cli, &how) : get_rows(cli, &how, true);
}

int verb_ttl(struct cli *cli)
{
    static const char *const columns[] = {"key", "result", "ttl_ms", "fresh_ms", "tier", "version", NULL};
    larder_get_options how = get_options(cli);
    how.no_value = true;
    out_columns(&cli->out, columns);
    return get_rows(cli, &how, false);
}

/* ======= set, touch ======= */

static int changed_exit(int result)
{
    switch (result) {
    case LARDER_OK:
    case LARDER_SKIPPED:
    case LARDER_QUEUED:
    case LARDER_LOCAL: return EXIT_DONE;
    case LARDER_E_DETACHED: return EXIT_NEGATIVE;
    default: return result < 0 ? exit_code_of(result) : EXIT_NEGATIVE;
    }
}

/* What a set made, beside its result. */
struct made {
    larder_entry_version version;
    larder_position position;
};

static void row_made(json_t *row, int result, const struct made *made)
{
    char text[POSITION_TEXT_BYTES];
    row_version(row, made->version);
    if (result != LARDER_OK)
        return; /* the fleet gave no position */
    position_format(made->position, text);
    row_text(row, "position", text);
}

static int print_change(struct cli *cli, int result, const struct made *made)
{
    static const char *const with[] = {"result", "version", NULL}, *const without[] = {"result", NULL};
    bool stored = made && (result == LARDER_OK || result == LARDER_LOCAL);
    json_t *row = row_new();
    out_columns(&cli->out, stored ? with : without);
    row_bytes(&cli->out, row, "key", larder_text(cli->args[0]));
    row_text(row, "result",
             cli->out.shape == OUT_ALIGNED ? larder_strerror(result) : cli_result_word(result));
    if (stored)
        row_made(row, result, made);
    out_row(&cli->out, row);
    out_flush(&cli->out);
    return changed_exit(result);
}

/* Answers about the change itself are results; the rest is about why there is none. */
static int tell_change(struct cli *cli, int result, const struct made *made)
{
    bool answered = result >= 0 || result == LARDER_E_DETACHED || result == LARDER_E_UNKNOWN;
    return answered ? print_change(cli, result, made) : cli_error(cli, cli->args[0], result);
}

static int set_arguments(const struct cli *cli, larder_slice *ret_value)
{
    bool has_value = cli->args_count == 2;
    if (has_value + cli->from_stdin + cli->absent != 1)
        return cli_fail(cli, EXIT_USAGE, "give the value, or -x to read it from stdin, or --absent");
    if (cli->from_stdin)
        return read_stdin(cli, ret_value);
    *ret_value = has_value ? larder_text(cli->args[1]) : larder_bytes(NULL, 0);
    return EXIT_DONE;
}

int verb_set(struct cli *cli)
{
    larder_slice value = {NULL, 0};
    struct made made = {0};
    int r = set_arguments(cli, &value);
    if (r != EXIT_DONE)
        return r;
    larder_set_options how = LARDER_SET_OPTIONS_INIT;
    how.ttl_ms = cli->ttl_ms;
    how.stale_ms = cli->stale_ms;
    how.tags = cli->tags.items;
    how.tags_count = cli->tags.count;
    how.if_absent = cli->if_absent;
    how.if_present = cli->if_present;
    how.if_version = cli->has_if_version ? &cli->if_version : NULL;
    if (cli->has_since_text && !cli->has_since)
        return cli_fail(cli, EXIT_USAGE, "--since: not a token of `get --json`");
    how.since = cli->has_since ? &cli->since : NULL;
    how.absent = cli->absent;
    how.tiers = cli->tiers;
    how.ret_version = &made.version;
    how.ret_position = &made.position;
    how.wait_all = cli->wait_all;
    r = larder_set(cli->client, larder_text(cli->args[0]), value, &how);
    if (cli->from_stdin)
        free((void *)(uintptr_t)value.data);
    return tell_change(cli, r, &made);
}

int verb_touch(struct cli *cli)
{
    uint64_t ttl_ms;
    if (!duration_parse(cli->args[1], &ttl_ms))
        return cli_fail(cli, EXIT_USAGE, "%s: not a duration; write 30s, 5m, 1h, 2d or 250ms", cli->args[1]);
    int r = larder_touch(cli->client, larder_text(cli->args[0]), ttl_ms);
    return tell_change(cli, r, NULL);
}

int verb_tag(struct cli *cli)
{
    larder_slice tags[WIRE_TAGS_MAX];
    size_t count = (size_t)cli->args_count - 1;
    if (count > WIRE_TAGS_MAX)
        return cli_fail(cli, EXIT_USAGE, "more than %d tags", WIRE_TAGS_MAX);
    for (size_t i = 0; i < count; i++)
        tags[i] = larder_text(cli->args[i + 1]);
    return tell_change(cli, larder_tag(cli->client, larder_text(cli->args[0]), tags, count), NULL);
}
