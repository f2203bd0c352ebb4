/* larder, the command.  Two tables say everything: what options there are, and what verbs, with the options each
 * takes.  The parser and all help texts are made from them. */
#include "client/cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client/cli/text.h"
#include "proto/wire.h"

/* ======= options ======= */

#define OPTIONS(OPTION)                                                                                      \
    OPTION(SOCKET, 's', "socket", "PATH",                                                                    \
           "the daemon's socket (default: $LARDER_SOCKET, else where larderd puts it)")                      \
    OPTION(NAMESPACE, 'n', "namespace", "NAME", "default: $LARDER_NAMESPACE, else \"default\"")              \
    OPTION(TENANT, 0, "tenant", "NAME", "only keys that begin with NAME:")                                   \
    OPTION(JSON, 'j', "json", NULL, "one JSON object a line")                                                \
    OPTION(TIMEOUT, 0, "timeout", "TIME", "give up after this long (default: 1s; top: 200ms)")               \
    OPTION(HELP, 'h', "help", NULL, "this text; after a verb, that verb's")                                  \
    OPTION(VERSION, 'V', "version", NULL, "print the version")                                               \
    OPTION(STDIN, 'x', "stdin", NULL, "take the value from standard input")                                  \
    OPTION(RAW, 0, "raw", NULL, "the bytes and nothing else: no newline, no escapes")                        \
    OPTION(TIER, 0, "tier", "LIST", "only these tiers: l1, warm, l2, with commas between")                   \
    OPTION(NO_STALE, 0, "no-stale", NULL, "a stale value counts as a miss")                                  \
    OPTION(TTL, 0, "ttl", "TIME", "life, as in 30s, 5m, 1h, 2d; 0: store nothing, drop what is there")       \
    OPTION(STALE, 0, "stale", "TIME", "how much longer it may be served stale")                              \
    OPTION(TAG, 't', "tag", "TAG", "may be given many times")                                                \
    OPTION(ABSENT, 0, "absent", NULL, "store the knowledge that there is no such thing, instead of a value") \
    OPTION(IF_ABSENT, 0, "if-absent", NULL, "only when there is no entry yet")                               \
    OPTION(IF_PRESENT, 0, "if-present", NULL, "only when there is an entry")                                 \
    OPTION(IF_VERSION, 0, "if-version", "V",                                                                 \
           "set: only over this version; get: no value when it is this one")                                 \
    OPTION(SINCE, 0, "since", "TOKEN|TIME",                                                                  \
           "set: refuse when something newer happened since the miss that gave TOKEN; log: not older")       \
    OPTION(PREFIX, 0, "prefix", "P", "keys that begin with P")                                               \
    OPTION(GLOB, 0, "glob", "G", "keys that match G, as in '*:user_42:*'; may be given many times")          \
    OPTION(ALL, 0, "all", NULL, "everything in the namespace")                                               \
    OPTION(POLICY, 0, "policy", "NAME", "what the daemon's configuration says of that policy's warming")     \
    OPTION(LOAD, 0, "load", NULL, "ask registered loaders for what is nowhere, or stale")                    \
    OPTION(EVENT, 0, "event", "NAME", "what the daemon's configuration says of that event")                  \
    OPTION(SOFT, 0, "soft", NULL,                                                                            \
           "make stale instead of dropping: one caller reloads, the others get the old value")               \
    OPTION(DRY_RUN, 0, "dry-run", NULL, "only count")                                                        \
    OPTION(WAIT, 0, "wait", "all", "until no host of the fleet serves anything older, unflagged")            \
    OPTION(AFTER, 0, "after", "POSITION", "nothing older than this change, made on whatever host")           \
    OPTION(YES, 0, "yes", NULL, "yes, really")                                                               \
    OPTION(LIMIT, 0, "limit", "N", "at most N lines")                                                        \
    OPTION(WATCH, 0, "watch", NULL, "again every second, until interrupted")                                 \
    OPTION(SHOW_ORIGIN, 0, "show-origin", NULL, "with the place each value comes from")                      \
    OPTION(FILE, 'f', "file", "FILE", "a dump; - is standard input")                                         \
    OPTION(MAX, 0, "max", "N", "so many a window")                                                           \
    OPTION(WINDOW, 0, "window", "TIME", "as in 1s, 1m, 1h")                                                  \
    OPTION(COST, 0, "cost", "N", "how many this one counts as (default: 1); 0 only asks")                    \
    OPTION(KEYS_FROM, 0, "keys-from", "FILE", "keys, one a line; - is standard input")

enum option_id {
#define OPTION(ID, letter, name, argument, help) OPT_##ID,
    OPTIONS(OPTION)
#undef OPTION
        OPT_COUNT
};

struct option_row {
    char letter;
    const char *name, *argument, *help;
};

static const struct option_row options[] = {
#define OPTION(ID, letter, name, argument, help) {letter, name, argument, help},
    OPTIONS(OPTION)
#undef OPTION
};

#define BIT(id) (1ull << OPT_##id)
#define GLOBAL \
    (BIT(SOCKET) | BIT(NAMESPACE) | BIT(TENANT) | BIT(JSON) | BIT(TIMEOUT) | BIT(HELP) | BIT(VERSION))

/* ======= verbs ======= */

struct verb {
    const char *name, *arguments, *sentence;
    int args_min, args_max;
    uint64_t options;
    int (*run)(struct cli *cli);
    const char *text;
};

enum { MANY = 1 << 20 };

/* clang-format off */
static const struct verb verbs[] = {
    {"ping", "", "is the daemon there?", 0, 0, 0, verb_ping,
     "Prints pong and how long the answer took, in microseconds."},
    {"get", "KEY...", "print values", 1, MANY,
     BIT(RAW) | BIT(TIER) | BIT(NO_STALE) | BIT(IF_VERSION) | BIT(AFTER), verb_get,
     "One key: its value and a newline.  Several: a line each, with key, result and value, where\n"
     "tabs, newlines and backslashes of a value are escaped.  A miss is exit code 1.\n"
     "\n"
     "With --json also ttl_ms, fresh_ms, tier and version, and for a miss a token for `set\n"
     "--since`.  A value that is not UTF-8 comes as value_base64.\n"
     "\n"
     "  larder get user:42\n"
     "  larder get --raw logo.png > logo.png\n"
     "  larder get --json user:42 | jq -r .version\n"
     "  larder get user:42 --after $(larder set --json user:42 new | jq -r .position)"},
    {"ttl", "KEY...", "print remaining life and version", 1, MANY, BIT(TIER), verb_ttl,
     "Columns: key, result, ttl_ms until it is gone, fresh_ms until it is stale, tier, version.  A\n"
     "terminal shows durations, a pipe milliseconds."},
    {"set", "KEY [VALUE]", "store a value", 1, 2,
     BIT(STDIN) | BIT(TTL) | BIT(STALE) | BIT(TAG) | BIT(ABSENT) | BIT(IF_ABSENT) | BIT(IF_PRESENT) |
         BIT(IF_VERSION) | BIT(SINCE) | BIT(TIER) | BIT(WAIT),
     verb_set,
     "When it says ok, no get on this host returns anything older any more.  A condition that does\n"
     "not hold is exit code 1.  A value that begins with - goes behind --, or through -x.\n"
     "While Redis is away it says local: this host has the value for a while, the others learn that\n"
     "the old one is dead when it is back; or queued: the same, and the value is nowhere.\n"
     "\n"
     "  larder set user:42 '{\"name\":\"Ada\"}' --ttl 5m --stale 1m --tag users\n"
     "  larder set logo.png -x < logo.png\n"
     "  larder set user:42 NEW --if-version $(larder get --json user:42 | jq -r .version)"},
    {"touch", "KEY TTL", "give an entry a longer life", 2, 2, 0, verb_touch,
     "Life from now, as in 30s, 5m, 1h.  Never makes it shorter."},
    {"invalidate", "[KEY...]", "what must not be served any more", 0, MANY,
     BIT(TAG) | BIT(PREFIX) | BIT(GLOB) | BIT(ALL) | BIT(EVENT) | BIT(SOFT) | BIT(DRY_RUN) | BIT(WAIT),
     verb_invalidate,
     "Keys, tags, prefixes and globs may be mixed; all of one call are one change with one count and\n"
     "one position.  When it returns, no get on this host returns what was named; the count is of\n"
     "named keys.  A prefix ends with ':', within a key's first 8 levels.  In a glob a * takes what is\n"
     "left of its level (between two ':'), at the very end all that is left; one * a level, and prefixes\n"
     "and tags cost less.  It says queued when Redis is away: done here, and told to the other hosts\n"
     "when it is back.\n"
     "\n"
     "  larder invalidate user:42 user:43\n"
     "  larder invalidate --tag users --prefix session:\n"
     "  larder invalidate --glob '*:user_42:*'\n"
     "  larder invalidate --event course.updated id=7    with [event course.updated] in the configuration\n"
     "  larder invalidate --all --dry-run"},
    {"clear", "--yes", "drop everything in the namespace", 0, 0, BIT(YES) | BIT(DRY_RUN), verb_clear,
     "The same as `invalidate --all`, for those who look for it under this name."},
    {"limit", "KEY | NAME WHO...", "may it be done once more now?", 1, MANY, BIT(MAX) | BIT(WINDOW) | BIT(COST), verb_limit,
     "A rate limit, counted once for all hosts of the fleet: --max in one burst or spread over the\n"
     "window.  Columns: result, remaining, reset_ms until it is as if nothing had been asked, retry_ms\n"
     "until this would be allowed, local while nobody counts for the fleet, max.  Limited is exit code\n"
     "1.  Without --max and --window it is a limit of the daemon's configuration, [limit NAME], with the\n"
     "key or the arguments that it counts by.\n"
     "\n"
     "  larder limit login:203.0.113.7 --max 5 --window 1m\n"
     "  larder limit api ip=203.0.113.7 user=42 plan=pro    with [limit api] in the configuration"},
    {"keys", "", "list what the daemon holds", 0, 0, BIT(PREFIX) | BIT(GLOB) | BIT(LIMIT), verb_keys,
     "Columns: key, fastest tier that has it, ttl_ms, bytes.  The list is made page by page while\n"
     "the cache goes on working, so it is not one moment's picture."},
    {"explain", "KEY", "all that is known about one key", 1, 1, 0, verb_explain,
     "Tier, age, remaining life, version, policy, and why a get would hit or miss."},
    {"stats", "", "counters and gauges", 0, 0, BIT(WATCH), verb_stats,
     "One name and value a line; --json gives the document that GET /api/cache/stats has."},
    {"top", "", "what goes on, live", 0, 0, 0, verb_top,
     "Gets by where they were answered, changes, room, times, policies and issues, twice a second; rates\n"
     "are those of the last second.  A daemon that hangs is told of within a second, by what its shared\n"
     "memory says.  q ends it, n shows the next namespace, space freezes the screen.  Where there is no\n"
     "terminal it prints one screen and ends."},
    {"health", "", "state, issues, recommendations", 0, 0, 0, verb_health,
     "Exit code 0 when ok, 1 when degraded, 4 when failing, 3 or 5 when no daemon answers."},
    {"advise", "", "what to change, with its figure", 0, 0, 0, verb_advise,
     "What half and half more shared memory would do, learnt from a sample of the keys asked for, and\n"
     "policies whose entries live too short, are invalidated in vain, or are not worth keeping: each\n"
     "with the figure and the line of the configuration to change.  A miss of L1 may still be found\n"
     "on disk or in Redis.  Half of what counts happened within the last 10 to 20 minutes; figures\n"
     "of policies are those since the start.  With --json one object a line, with all numbers.\n"
     "Exit code 1 when too little was seen to say anything of memory."},
    {"doctor", "", "test the way to Redis and back", 0, 0, 0, verb_doctor,
     "Each step on its own: address, connection, TLS, AUTH, database, write right, eviction policy,\n"
     "memory, and the journal there and back with its lag.  The first that fails says what to look\n"
     "at, and is exit code 1; so is a daemon without Redis."},
    {"log", "invalidations", "who invalidated what", 1, 1, BIT(SINCE) | BIT(LIMIT), verb_log,
     "The newest invalidations of the namespace, newest first: time, where (here, or elsewhere: told by\n"
     "the journal), who the caller said it was, the event that named it, how many entries were dropped\n"
     "by key, how many names cascade rules added, and the names.  The last 4096 are kept, over restarts\n"
     "too where there is a warm tier; of more than 1000 a second some are only counted.\n"
     "\n"
     "  larder log invalidations --since 1h\n"
     "  larder --json log invalidations | jq -r 'select(.event == \"course.updated\").time'"},
    {"audit", "", "compare the tiers of this host with Redis", 0, 0, BIT(PREFIX) | BIT(LIMIT), verb_audit,
     "Takes keys this host holds (1000, or --limit) and compares the versions that L1 and the warm\n"
     "tier would serve with the one Redis has.  What is older is asked for again until it is not,\n"
     "and counted by the time that took; a quarter of a second is promised.  Exit code 1 when one\n"
     "stays longer."},
    {"config", "dump", "the configuration in force", 1, 1, BIT(SHOW_ORIGIN), verb_config,
     "One option a line, secrets masked.  --show-origin tells which file, variable or flag each\n"
     "value comes from."},
    {"dump", "FILE", "write all entries into a file", 1, 1, BIT(PREFIX), verb_dump,
     "Keys, values, flags, schema and remaining life, compressed and with checksums; - is standard\n"
     "output.  FILE appears when it is complete, never before.  Not in it: tags, since a get does\n"
     "not return them.  Entries that change meanwhile are there with one of their states."},
    {"warm", "[KEY...]", "pull entries into the fast tiers, or load a dump", 0, MANY,
     BIT(FILE) | BIT(KEYS_FROM) | BIT(PREFIX) | BIT(TAG) | BIT(ALL) | BIT(LOAD) |
         BIT(POLICY), verb_warm,
     "From Redis into the warm tier and shared memory, before anybody asks: keys in the order given,\n"
     "everything with a prefix or a tag, or --all.  Others' reads go first, shared memory makes no\n"
     "room for it, and nothing that was invalidated comes back.  Interrupting it cancels the rest.\n"
     "With --load, what is nowhere or stale is asked of the applications that offered to load it\n"
     "(stats: loaders), one of the whole fleet for each key.\n"
     "--policy begins by hand what [policy NAME] warming and its schedule do by themselves.\n"
     "\n"
     "  larder warm --prefix user: --tag dashboard\n"
     "  larder warm --policy pages\n"
     "  larder warm --keys-from hottest.txt --load\n"
     "\n"
     "--file loads a dump: stores an entry only where there is none, so nothing newer is overwritten, and with the life\n"
     "it has left: what passed since the dump is gone.  The whole file is checked first; one that\n"
     "is cut short, damaged, foreign or from a newer larder changes nothing."},
};
/* clang-format on */
enum { VERBS = sizeof(verbs) / sizeof(verbs[0]) };

static const struct verb *verb_find(const char *name)
{
    for (int i = 0; i < VERBS; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

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
    for (int i = 0; i < VERBS; i++)
        printf("  %-11s %-12s %s\n", verbs[i].name, verbs[i].arguments, verbs[i].sentence);
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
    case LARDER_E_KEY: return EXIT_USAGE;
    default: return result < 0 ? EXIT_DAEMON : EXIT_DONE;
    }
}

int cli_error(const struct cli *cli, const char *what, int result)
{
    const char *said = larder_message(cli->client), *sentence = larder_strerror(result);
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
    case OPT_WATCH: cli->watch = true; break;
    case OPT_SHOW_ORIGIN: cli->show_origin = true; break;
    case OPT_FILE: cli->file = optarg; break;
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
    int code = cli_open(cli, false, 1000);
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
