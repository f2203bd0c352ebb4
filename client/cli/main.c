/* larder, the command: its parser and its help, made from the tables of verbs.h. */
#include "client/cli/verbs.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client/cli/text.h"
#include "proto/wire.h"

static const struct option_row options[] = {
#define OPTION(ID, letter, name, argument, help) {letter, name, argument, help},
    OPTIONS(OPTION)
#undef OPTION
};

/* ======= help ======= */

static void print_option(const struct option_row *o)
{
    char left[40];
    const char *argument = o->argument ? o->argument : "";
    if (o->letter)
        snprintf(left, sizeof(left), "-%c, --%s %s", o->letter, o->name, argument);
    else
        snprintf(left, sizeof(left), "    --%s %s", o->name, argument);
    printf("  %-24s %s\n", left, o->help);
}

static void print_options(uint64_t which)
{
    for (int i = 0; i < OPT_COUNT; i++)
        if (which & 1ull << i)
            print_option(&options[i]);
}

static void print_help(void)
{
    puts("usage: larder [OPTION...] VERB ...\n\nTalks to larderd, the cache beside your app.\n");
    for (const struct verb *v = verb_after(NULL); v; v = verb_after(v))
        printf("  %-11s %-12s %s\n", v->name, v->arguments, v->sentence);
    puts("\noptions of every verb:");
    print_options(GLOBAL);
    puts("\n`larder VERB --help` tells the rest.  A terminal gets aligned text, a pipe tab-separated lines.\n"
         "Exit codes: 0 done or hit, 1 negative answer (miss, degraded), 2 usage or a bad file, 3 cannot\n"
         "reach the daemon, 4 error, 5 time-out.");
}

static void print_verb_help(const struct verb *verb)
{
    printf("usage: larder %s %s%s\n\n%s\n", verb->name, verb->arguments, verb->options ? " [OPTION...]" : "",
           verb->text);
    if (verb->options) {
        puts("\noptions:");
        print_options(verb->options);
    }
    puts("\noptions of every verb:");
    print_options(GLOBAL);
}

/* ======= failing ======= */

bool cli_argument(const char *word, larder_argument *ret)
{
    const char *equals = strchr(word, '=');
    if (!equals || equals == word)
        return false;
    *ret = (larder_argument){larder_bytes(word, (size_t)(equals - word)), larder_text(equals + 1)};
    return true;
}

int cli_fail(const struct cli *cli, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "larder: %s%s", cli->verb ? cli->verb : "", cli->verb ? ": " : "");
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return code;
}

int exit_code_of(int result)
{
    switch (result) {
    case LARDER_E_UNREACHABLE: return EXIT_UNREACHABLE;
    case LARDER_E_TIMEOUT: return EXIT_TIMED_OUT;
    case LARDER_E_INVALID:
    case LARDER_E_KEY:
    case LARDER_E_SHAPE: return EXIT_USAGE;
    default: return result < 0 ? EXIT_DAEMON : EXIT_DONE;
    }
}

/* Verbs that only ask need not be told what may have become of a change. */
static bool only_asks(const char *verb)
{
    static const char *const changing[] = {"set", "touch", "tag", "invalidate", "clear", "limit", "warm"};
    for (size_t n = 0; verb && n < sizeof(changing) / sizeof(*changing); n++)
        if (strcmp(verb, changing[n]) == 0)
            return false;
    return true;
}

int cli_error(const struct cli *cli, const char *what, int result)
{
    const char *said = larder_message(cli->client), *sentence = larder_strerror(result);
    if (result == LARDER_E_TIMEOUT && only_asks(cli->verb))
        return cli_fail(cli, EXIT_TIMED_OUT, "no answer in time (%s): larderd hangs, or has too much to do",
                        larder_socket(cli->client));
    if (result == LARDER_E_UNREACHABLE)
        return cli_fail(cli, EXIT_UNREACHABLE, "%s (%s); is larderd running?", sentence,
                        larder_socket(cli->client));
    if (result == LARDER_E_SYSTEM)
        said = strerror(errno);
    return cli_fail(cli, exit_code_of(result), "%s%s%s%s%s", what ? what : "", what ? ": " : "", sentence,
                    *said ? ": " : "", said);
}

const char *cli_result_word(int result)
{
    switch (result) {
    case LARDER_OK: return "ok";
    case LARDER_SKIPPED: return "skipped";
    case LARDER_EXISTS: return "exists";
    case LARDER_NOT_FOUND: return "not_found";
    case LARDER_CONFLICT: return "conflict";
    case LARDER_REFUSED: return "refused";
    case LARDER_QUEUED: return "queued";
    case LARDER_LOCAL: return "local";
    case LARDER_E_DETACHED: return "detached";
    default: return "unknown";
    }
}

int read_stdin(const struct cli *cli, larder_slice *ret)
{
    struct buffer b;
    size_t n;
    buffer_init(&b, WIRE_VALUE_LIMIT + 1);
    do {
        if (buffer_reserve(&b, 65536) < 0 && b.size + 65536 <= b.limit)
            return cli_fail(cli, EXIT_DAEMON, "no memory");
        n = fread(b.data + b.size, 1, b.capacity - b.size, stdin);
        b.size += n;
    } while (n && b.size < b.limit);
    if (ferror(stdin))
        return cli_fail(cli, EXIT_USAGE, "standard input: %s", strerror(errno));
    if (b.size == b.limit)
        return cli_fail(cli, EXIT_USAGE, "standard input is larger than any value may be");
    *ret = larder_bytes(b.data, b.size);
    return EXIT_DONE;
}

/* ======= parsing ======= */

static int duration_option(const struct cli *cli, enum option_id o, uint64_t *ret)
{
    if (duration_parse(optarg, ret))
        return EXIT_DONE;
    return cli_fail(cli, EXIT_USAGE, "--%s %s: not a duration; write 30s, 5m, 1h, 2d or 250ms",
                    options[o].name, optarg);
}

static int parsed_option(const struct cli *cli, enum option_id o, bool fine, const char *expected)
{
    return fine ? EXIT_DONE : cli_fail(cli, EXIT_USAGE, "--%s %s: not %s", options[o].name, optarg, expected);
}

static int name_option(const struct cli *cli, struct names *names)
{
    if (names->count == CLI_NAMES_MAX)
        return cli_fail(cli, EXIT_USAGE, "too many of them: at most %d", CLI_NAMES_MAX);
    names->items[names->count++] = larder_text(optarg);
    return EXIT_DONE;
}

static int timeout_option(struct cli *cli)
{
    uint64_t ms;
    int code = duration_option(cli, OPT_TIMEOUT, &ms);
    if (code == EXIT_DONE && (ms == 0 || ms > 3600000))
        return cli_fail(cli, EXIT_USAGE, "--timeout %s: from 1ms to 1h", optarg);
    cli->timeout_ms = (uint32_t)ms;
    return code;
}

static bool limit_parse(const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return !errno && *text >= '0' && *text <= '9' && !*end && *ret;
}

static int take_option(struct cli *cli, enum option_id o)
{
    switch (o) {
    case OPT_SOCKET: cli->socket = optarg; break;
    case OPT_NAMESPACE: cli->namespace_ = optarg; break;
    case OPT_LOAD: cli->load = true; break;
    case OPT_POLICY: cli->policy = optarg; break;
    case OPT_TENANT: cli->tenant = optarg; break;
    case OPT_JSON: out_use_json(&cli->out); break;
    case OPT_TIMEOUT: return timeout_option(cli);
    case OPT_STDIN: cli->from_stdin = true; break;
    case OPT_RAW: cli->raw = true; break;
    case OPT_TIER: return parsed_option(cli, o, tiers_parse(optarg, &cli->tiers), "a list of l1, warm, l2");
    case OPT_NO_STALE: cli->no_stale = true; break;
    case OPT_TTL: return duration_option(cli, o, &cli->ttl_ms);
    case OPT_STALE: return duration_option(cli, o, &cli->stale_ms);
    case OPT_TAG: return name_option(cli, &cli->tags);
    case OPT_ABSENT: cli->absent = true; break;
    case OPT_IF_ABSENT: cli->if_absent = true; break;
    case OPT_IF_PRESENT: cli->if_present = true; break;
    case OPT_IF_VERSION:
        cli->has_if_version = true;
        return parsed_option(cli, o, version_parse(optarg, &cli->if_version), "a version, as in 1f.3.2a");
    case OPT_SINCE:
        cli->has_since_text = true;
        cli->has_since = token_parse(optarg, &cli->since);
        cli->has_back = duration_parse(optarg, &cli->back_ms);
        return parsed_option(cli, o, cli->has_since || cli->has_back, "a token of `get --json`, nor a time");
    case OPT_PREFIX: cli->prefix = larder_text(optarg); return name_option(cli, &cli->prefixes);
    case OPT_GLOB: return name_option(cli, &cli->globs);
    case OPT_ALL: cli->all = true; break;
    case OPT_EVENT: cli->event = optarg; break;
    case OPT_SOFT: cli->soft = true; break;
    case OPT_DRY_RUN: cli->dry_run = true; break;
    case OPT_WAIT: cli->wait_all = true; return parsed_option(cli, o, strcmp(optarg, "all") == 0, "all");
    case OPT_AFTER:
        cli->has_after = true;
        return parsed_option(cli, o, position_parse(optarg, &cli->after), "a position, as in 0.1f.3");
    case OPT_YES: cli->yes = true; break;
    case OPT_LIMIT: return parsed_option(cli, o, limit_parse(optarg, &cli->limit), "a number from 1 on");
    case OPT_MAX: return parsed_option(cli, o, limit_parse(optarg, &cli->max), "a number from 1 on");
    case OPT_WINDOW: return duration_option(cli, o, &cli->window_ms);
    case OPT_COST:
        cli->has_cost = true;
        return parsed_option(cli, o, strcmp(optarg, "0") == 0 || limit_parse(optarg, &cli->cost),
                             "a number from 0 on");
    case OPT_OP: cli->ops = optarg; break;
    case OPT_COUNT_LINES:
        return parsed_option(cli, o, limit_parse(optarg, &cli->count), "a number from 1 on");
    case OPT_DAYS: return parsed_option(cli, o, limit_parse(optarg, &cli->days), "a number from 1 on");
    case OPT_BY: cli->by = optarg; break;
    case OPT_CSV: cli->csv = true; break;
    case OPT_WATCH: cli->watch = true; break;
    case OPT_SHOW_ORIGIN: cli->show_origin = true; break;
    case OPT_FILE: cli->file = optarg; break;
    case OPT_RESUME: cli->resume = true; break;
    case OPT_KEYS_FROM: cli->keys_from = optarg; break;
    case OPT_HELP:
    case OPT_VERSION:
    case OPT_COUNT: break;
    }
    return EXIT_DONE;
}

enum { LONG_BASE = 256 }; /* getopt_long answers this + enum option_id, whichever way it was written */

static void getopt_tables(struct option *ret_long, char *ret_short)
{
    for (int i = 0; i < OPT_COUNT; i++) {
        int has = options[i].argument ? required_argument : no_argument;
        ret_long[i] = (struct option){options[i].name, has, NULL, LONG_BASE + i};
        if (!options[i].letter)
            continue;
        *ret_short++ = options[i].letter;
        if (options[i].argument)
            *ret_short++ = ':';
    }
    ret_long[OPT_COUNT] = (struct option){0};
    *ret_short = '\0';
}

static int option_of(int answer)
{
    if (answer >= LONG_BASE)
        return answer - LONG_BASE;
    for (int i = 0; i < OPT_COUNT; i++)
        if (options[i].letter == answer)
            return i;
    return -1; /* getopt has said why */
}

static int parse_options(struct cli *cli, int argc, char **argv, uint64_t *ret_given)
{
    struct option longs[OPT_COUNT + 1];
    char shorts[2 * OPT_COUNT + 1];
    int answer;
    getopt_tables(longs, shorts);
    while ((answer = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        int o = option_of(answer);
        if (o < 0) {
            fputs("larder: see `larder --help`\n", stderr);
            return EXIT_USAGE;
        }
        int code = take_option(cli, (enum option_id)o);
        if (code != EXIT_DONE)
            return code;
        *ret_given |= 1ull << o;
    }
    return EXIT_DONE;
}

static int check_verb(struct cli *cli, const struct verb *verb, uint64_t given)
{
    uint64_t foreign = given & ~(GLOBAL | verb->options);
    if (foreign)
        return cli_fail(cli, EXIT_USAGE, "--%s does not belong to this verb",
                        options[__builtin_ctzll(foreign)].name);
    if (cli->args_count < verb->args_min || cli->args_count > verb->args_max)
        return cli_fail(cli, EXIT_USAGE, "usage: larder %s %s; see `larder %s --help`", verb->name,
                        verb->arguments, verb->name);
    return EXIT_DONE;
}

/* ======= running ======= */

int cli_open(struct cli *cli, bool maps, uint32_t timeout_ms)
{
    larder_options o = LARDER_OPTIONS_INIT;
    o.socket = cli->socket;
    o.namespace_ = cli->namespace_;
    o.tenant = cli->tenant;
    o.name = "larder";
    o.connect_ms = o.get_ms = o.change_ms = cli->timeout_ms ? cli->timeout_ms : timeout_ms;
    o.strict = true;
    o.no_shared_memory = !maps;
    if (cli->client)
        larder_close(cli->client);
    cli->client = NULL;
    int r = larder_open(&cli->client, &o);
    return r < 0 ? cli_fail(cli, exit_code_of(r), "%s", larder_strerror(r)) : EXIT_DONE;
}

/* No mapping: a process that asks once is done before a segment would pay. */
static int run(struct cli *cli, const struct verb *verb)
{
    int code = cli_open(cli, false, verb->run == verb_health ? TIMEOUT_HEALTH_MS : TIMEOUT_USUAL_MS);
    if (code != EXIT_DONE)
        return code;
    code = verb->run(cli);
    if (cli->client)
        larder_close(cli->client);
    out_finish(&cli->out);
    if (fflush(stdout) != 0 && code == EXIT_DONE)
        code = cli_fail(cli, EXIT_DAEMON, "standard output: %s", strerror(errno));
    return code;
}

/* Answers that need no verb's work.  -1: go on. */
static int run_without_daemon(const struct verb *verb, uint64_t given)
{
    if (given & BIT(VERSION)) {
        printf("larder %s\n", larder_version());
        return EXIT_DONE;
    }
    if (!(given & BIT(HELP)))
        return -1;
    if (verb)
        print_verb_help(verb);
    else
        print_help();
    return EXIT_DONE;
}

static int no_verb(const struct cli *cli, const char *name)
{
    if (name)
        return cli_fail(cli, EXIT_USAGE, "%s: no such verb; see `larder --help`", name);
    print_help();
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    static struct cli cli = {.ttl_ms = LARDER_TTL_DEFAULT, .stale_ms = LARDER_TTL_DEFAULT};
    uint64_t given = 0;
    out_init(&cli.out);
    int code = parse_options(&cli, argc, argv, &given);
    if (code != EXIT_DONE)
        return code;
    const char *name = argv[optind];
    bool help_verb = name && strcmp(name, "help") == 0;
    if (help_verb) {
        given |= BIT(HELP);
        name = argv[++optind];
    }
    const struct verb *verb = name ? verb_find(name) : NULL;
    if (name && !verb)
        return no_verb(&cli, name);
    code = run_without_daemon(verb, given);
    if (code >= 0)
        return code;
    if (!verb)
        return no_verb(&cli, NULL);
    cli.verb = name;
    cli.args = (const char *const *)argv + optind + 1;
    cli.args_count = argc - optind - 1;
    code = check_verb(&cli, verb, given);
    return code == EXIT_DONE ? run(&cli, verb) : code;
}
