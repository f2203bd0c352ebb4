/* larder, the command: its parser and its help, made from the tables of verbs.h. */
#include "client/cli/verbs.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client/cli/text.h"
#include "proto/wire.h"

static const struct option_row options[] = {
#define OPTION(ID, letter, name, argument, kind, field, help) {letter, name, argument, help},
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

/* One option of the command line. */
struct given {
    struct cli *cli;
    enum option_id id;
    char *text; /* its argument */
};

static int expected(const struct given *g, bool fine, const char *what)
{
    return fine ? EXIT_DONE
                : cli_fail(g->cli, EXIT_USAGE, "--%s %s: not %s", options[g->id].name, g->text, what);
}

static bool number_parse(const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return !errno && *text >= '0' && *text <= '9' && !*end && *ret;
}

/* ---- one a kind of option, as the table names them ---- */

static int take_flag(const struct given *g, bool *ret)
{
    (void)g;
    *ret = true;
    return EXIT_DONE;
}

static int take_json(const struct given *g, struct out *out)
{
    (void)g;
    out_use_json(out);
    return EXIT_DONE;
}

static int take_text(const struct given *g, const char **ret)
{
    *ret = g->text;
    return EXIT_DONE;
}

static int take_name(const struct given *g, struct names *names)
{
    if (names->count == CLI_NAMES_MAX)
        return cli_fail(g->cli, EXIT_USAGE, "too many of them: at most %d", CLI_NAMES_MAX);
    names->items[names->count++] = larder_text(g->text);
    return EXIT_DONE;
}

static int take_prefix(const struct given *g, struct names *names)
{
    g->cli->prefix = larder_text(g->text);
    return take_name(g, names);
}

static int take_time(const struct given *g, uint64_t *ret)
{
    return expected(g, duration_parse(g->text, ret), "a duration; write 30s, 5m, 1h, 2d or 250ms");
}

static int take_timeout(const struct given *g, uint32_t *ret)
{
    uint64_t ms;
    int code = take_time(g, &ms);
    if (code == EXIT_DONE && (ms == 0 || ms > 3600000))
        return cli_fail(g->cli, EXIT_USAGE, "--timeout %s: from 1ms to 1h", g->text);
    *ret = (uint32_t)ms;
    return code;
}

static int take_number(const struct given *g, uint64_t *ret)
{
    return expected(g, number_parse(g->text, ret), "a number from 1 on");
}

static int take_cost(const struct given *g, uint64_t *ret)
{
    g->cli->has_cost = true;
    return expected(g, strcmp(g->text, "0") == 0 || number_parse(g->text, ret), "a number from 0 on");
}

static int take_tiers(const struct given *g, uint8_t *ret)
{
    return expected(g, tiers_parse(g->text, ret), "a list of l1, warm, l2");
}

static int take_version(const struct given *g, larder_entry_version *ret)
{
    g->cli->has_if_version = true;
    return expected(g, version_parse(g->text, ret), "a version, as in 1f.3.2a");
}

static int take_position(const struct given *g, larder_position *ret)
{
    g->cli->has_after = true;
    return expected(g, position_parse(g->text, ret), "a position, as in 0.1f.3");
}

static int take_since(const struct given *g, larder_token *ret)
{
    struct cli *cli = g->cli;
    cli->has_since_text = true;
    cli->has_since = token_parse(g->text, ret);
    cli->has_back = duration_parse(g->text, &cli->back_ms);
    return expected(g, cli->has_since || cli->has_back, "a token of `get --json`, nor a time");
}

static int take_wait(const struct given *g, bool *ret)
{
    *ret = true;
    return expected(g, strcmp(g->text, "all") == 0, "all");
}

/* ---- the command line ---- */

static int take_option(const struct given *g)
{
    switch (g->id) {
#define OPTION(ID, letter, name, argument, kind, field, help) \
    case OPT_##ID: return take_##kind(g, &g->cli->field);
        OPTIONS(OPTION)
#undef OPTION
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
        int code = take_option(&(struct given){cli, (enum option_id)o, optarg});
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

/* More than the library's own, since a person asks; another one may be given for the machine, as to all programs of it. */
static uint32_t usual_ms(void)
{
    const char *given = getenv("LARDER_TIMEOUT_MS");
    unsigned long ms = given && isdigit((unsigned char)*given) ? strtoul(given, NULL, 10) : 0;
    return ms == 0 ? TIMEOUT_USUAL_MS : ms < TIMEOUT_MAX_MS ? (uint32_t)ms : TIMEOUT_MAX_MS;
}

/* No mapping: a process that asks once is done before a segment would pay. */
static int run(struct cli *cli, const struct verb *verb)
{
    int code = cli_open(cli, false, verb->run == verb_health ? TIMEOUT_HEALTH_MS : usual_ms());
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
static int run_without_daemon(const struct cli *cli, const struct verb *verb)
{
    if (cli->wants_version) {
        printf("larder %s\n", larder_version());
        return EXIT_DONE;
    }
    if (!cli->wants_help)
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
        cli.wants_help = true;
        name = argv[++optind];
    }
    const struct verb *verb = name ? verb_find(name) : NULL;
    if (name && !verb)
        return no_verb(&cli, name);
    code = run_without_daemon(&cli, verb);
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
