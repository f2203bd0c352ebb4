/* The two tables that say everything about the command line: what options there are (here), and what verbs, with the
 * options each takes (verbs.c).  The parser and all help texts are made from them (main.c). */
#ifndef LARDER_CLI_VERBS_H
#define LARDER_CLI_VERBS_H

#include <stdint.h>
#include "client/cli/cli.h"

#define OPTIONS(OPTION)                                                                                      \
    OPTION(SOCKET, 's', "socket", "PATH",                                                                    \
           "the daemon's socket (default: $LARDER_SOCKET, else where larderd puts it)")                      \
    OPTION(NAMESPACE, 'n', "namespace", "NAME", "default: $LARDER_NAMESPACE, else \"default\"")              \
    OPTION(TENANT, 0, "tenant", "NAME", "only keys that begin with NAME:")                                   \
    OPTION(JSON, 'j', "json", NULL, "one JSON object a line")                                                \
    OPTION(TIMEOUT, 0, "timeout", "TIME",                                                                    \
           "give up after this long (default: 1s; health: 700ms; top: 200ms)")                               \
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
    OPTION(RESUME, 0, "resume", NULL, "keep how far it is in FILE.pos, and go on there")                     \
    OPTION(MAX, 0, "max", "N", "so many a window")                                                           \
    OPTION(WINDOW, 0, "window", "TIME", "as in 1s, 1m, 1h")                                                  \
    OPTION(COST, 0, "cost", "N", "how many this one counts as (default: 1); 0 only asks")                    \
    OPTION(OP, 0, "op", "LIST", "only these operations, as in get,set")                                      \
    OPTION(COUNT_LINES, 0, "count", "N", "end after N lines")                                                \
    OPTION(DAYS, 0, "days", "N", "so many days of UTC, today among them (default: 30; at most 400)")         \
    OPTION(BY, 0, "by", "WHAT", "a row a day, policy, tenant, resource or minute (default: day)")            \
    OPTION(CSV, 0, "csv", NULL, "comma-separated values, with a head")                                       \
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

#define BIT(id) (1ull << OPT_##id)
#define GLOBAL \
    (BIT(SOCKET) | BIT(NAMESPACE) | BIT(TENANT) | BIT(JSON) | BIT(TIMEOUT) | BIT(HELP) | BIT(VERSION))

struct verb {
    const char *name, *arguments, *sentence;
    int args_min, args_max;
    uint64_t options;
    int (*run)(struct cli *cli);
    const char *text;
};

/* Whoever asks for health is to know within a second, whatever the daemon does: this is waited, the rest is for the
 * command's own start on a machine that has other things to do.  A daemon that is well answers within a millisecond. */
enum { TIMEOUT_USUAL_MS = 1000, TIMEOUT_HEALTH_MS = 700 };
_Static_assert(TIMEOUT_HEALTH_MS + 250 < 1000, "within a second, with room for a start");

/* NULL: there is none of that name. */
const struct verb *verb_find(const char *name);
/* The next one, in the order of the help; NULL before the first and after the last. */
const struct verb *verb_after(const struct verb *verb);

#endif
