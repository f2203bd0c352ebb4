/* The two tables that say everything about the command line: what options there are (here), and what verbs, with the
 * options each takes (verbs.c).  The parser and all help texts are made from them (main.c). */
#ifndef LARDER_CLI_VERBS_H
#define LARDER_CLI_VERBS_H

#include <stdint.h>
#include "client/cli/cli.h"

/* ID, letter, name, argument, what is made of that (take_… in main.c), where in struct cli it goes, and the help. */
#define OPTIONS(OPTION)                                                                                     \
    OPTION(SOCKET, 's', "socket", "PATH", text, socket,                                                     \
           "the daemon's socket (default: $LARDER_SOCKET, else where larderd puts it)")                     \
    OPTION(NAMESPACE, 'n', "namespace", "NAME", text, namespace_,                                           \
           "default: $LARDER_NAMESPACE, else \"default\"")                                                  \
    OPTION(TENANT, 0, "tenant", "NAME", text, tenant, "only keys that begin with NAME:")                    \
    OPTION(JSON, 'j', "json", NULL, json, out, "one JSON object a line")                                    \
    OPTION(TIMEOUT, 0, "timeout", "TIME", timeout, timeout_ms,                                              \
           "give up after this long (default: $LARDER_TIMEOUT_MS, else 1s; health: 700ms; top: 200ms)")     \
    OPTION(HELP, 'h', "help", NULL, flag, wants_help, "this text; after a verb, that verb's")               \
    OPTION(VERSION, 'V', "version", NULL, flag, wants_version, "print the version")                         \
    OPTION(STDIN, 'x', "stdin", NULL, flag, from_stdin, "take the value from standard input")               \
    OPTION(RAW, 0, "raw", NULL, flag, raw, "the bytes and nothing else: no newline, no escapes")            \
    OPTION(TIER, 0, "tier", "LIST", tiers, tiers, "only these tiers: l1, warm, l2, with commas between")    \
    OPTION(NO_STALE, 0, "no-stale", NULL, flag, no_stale, "a stale value counts as a miss")                 \
    OPTION(TTL, 0, "ttl", "TIME", time, ttl_ms,                                                             \
           "life, as in 30s, 5m, 1h, 2d; 0: store nothing, drop what is there")                             \
    OPTION(STALE, 0, "stale", "TIME", time, stale_ms, "how much longer it may be served stale")             \
    OPTION(TAG, 't', "tag", "TAG", name, tags, "may be given many times")                                   \
    OPTION(ABSENT, 0, "absent", NULL, flag, absent,                                                         \
           "store the knowledge that there is no such thing, instead of a value")                           \
    OPTION(IF_ABSENT, 0, "if-absent", NULL, flag, if_absent, "only when there is no entry yet")             \
    OPTION(IF_PRESENT, 0, "if-present", NULL, flag, if_present, "only when there is an entry")              \
    OPTION(IF_VERSION, 0, "if-version", "V", version, if_version,                                           \
           "set: only over this version; get: no value when it is this one")                                \
    OPTION(SINCE, 0, "since", "TOKEN|TIME", since, since,                                                   \
           "set: refuse when something newer happened since the miss that gave TOKEN; log: not older")      \
    OPTION(PREFIX, 0, "prefix", "P", prefix, prefixes, "keys that begin with P")                            \
    OPTION(GLOB, 0, "glob", "G", name, globs,                                                               \
           "keys that match G, as in '*:user_42:*'; may be given many times")                               \
    OPTION(ALL, 0, "all", NULL, flag, all, "everything in the namespace")                                   \
    OPTION(POLICY, 0, "policy", "NAME", text, policy,                                                       \
           "what the daemon's configuration says of that policy's warming")                                 \
    OPTION(LOAD, 0, "load", NULL, flag, load, "ask registered loaders for what is nowhere, or stale")       \
    OPTION(EVENT, 0, "event", "NAME", text, event, "what the daemon's configuration says of that event")    \
    OPTION(SOFT, 0, "soft", NULL, flag, soft,                                                               \
           "make stale instead of dropping: one caller reloads, the others get the old value")              \
    OPTION(DRY_RUN, 0, "dry-run", NULL, flag, dry_run, "only count")                                        \
    OPTION(WAIT, 0, "wait", "all", wait, wait_all,                                                          \
           "until no host of the fleet serves anything older, unflagged")                                   \
    OPTION(AFTER, 0, "after", "POSITION", position, after,                                                  \
           "nothing older than this change, made on whatever host")                                         \
    OPTION(YES, 0, "yes", NULL, flag, yes, "yes, really")                                                   \
    OPTION(LIMIT, 0, "limit", "N", number, limit, "at most N lines")                                        \
    OPTION(WATCH, 0, "watch", NULL, flag, watch, "again every second, until interrupted")                   \
    OPTION(SHOW_ORIGIN, 0, "show-origin", NULL, flag, show_origin, "with the place each value comes from")  \
    OPTION(FILE, 'f', "file", "FILE", text, file, "a dump; - is standard input")                            \
    OPTION(RESUME, 0, "resume", NULL, flag, resume, "keep how far it is in FILE.pos, and go on there")      \
    OPTION(MAX, 0, "max", "N", number, max, "so many a window")                                             \
    OPTION(WINDOW, 0, "window", "TIME", time, window_ms, "as in 1s, 1m, 1h")                                \
    OPTION(COST, 0, "cost", "N", cost, cost, "how many this one counts as (default: 1); 0 only asks")       \
    OPTION(OP, 0, "op", "LIST", text, ops, "only these operations, as in get,set")                          \
    OPTION(COUNT_LINES, 0, "count", "N", number, count, "end after N lines")                                \
    OPTION(DAYS, 0, "days", "N", number, days,                                                              \
           "so many days of UTC, today among them (default: 30; at most 400)")                              \
    OPTION(BY, 0, "by", "WHAT", text, by, "a row a day, policy, tenant, resource or minute (default: day)") \
    OPTION(CSV, 0, "csv", NULL, flag, csv, "comma-separated values, with a head")                           \
    OPTION(KEYS_FROM, 0, "keys-from", "FILE", text, keys_from, "keys, one a line; - is standard input")

enum option_id {
#define OPTION(ID, letter, name, argument, kind, field, help) OPT_##ID,
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
enum { TIMEOUT_USUAL_MS = 1000, TIMEOUT_HEALTH_MS = 700, TIMEOUT_MAX_MS = 60 * 1000 };
_Static_assert(TIMEOUT_HEALTH_MS + 250 < 1000, "within a second, with room for a start");

/* NULL: there is none of that name. */
const struct verb *verb_find(const char *name);
/* The next one, in the order of the help; NULL before the first and after the last. */
const struct verb *verb_after(const struct verb *verb);

#endif
