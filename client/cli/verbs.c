#include "client/cli/verbs.h"

#include <string.h>

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
    {"tag", "KEY TAG...", "give an entry tags beside those it has", 2, MANY, 0, verb_tag,
     "At most 16 in all, the policy's among them.  Value and life stay, the version is another one:\n"
     "an invalidation of one of the tags takes the entry along on every host.\n"
     "\n"
     "  larder tag page:7 user:42 && larder invalidate --tag user:42"},
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
     "Where it is and how long it lives, or why it is not there; what invalidated it last, by which\n"
     "name, as far as the log goes back; who is loading it; what its policy says.  A pipe and --json\n"
     "have all of it."},
    {"stats", "", "counters and gauges", 0, 0, BIT(WATCH), verb_stats,
     "On a terminal what is asked for most, in tables; in a pipe all of it, one name and value a line;\n"
     "--json gives the document that GET /api/cache/stats has."},
    {"top", "", "what goes on, live", 0, 0, 0, verb_top,
     "Gets by where they were answered, changes, room, times, policies and issues, twice a second; rates\n"
     "are those of the last second.  A daemon that hangs is told of within a second, by what its shared\n"
     "memory says.  q ends it, n shows the next namespace, space freezes the screen.  Where there is no\n"
     "terminal it prints one screen and ends."},
    {"health", "", "state, issues, recommendations", 0, 0, 0, verb_health,
     "Exit code 0 when ok, 1 when degraded, 4 when failing, 3 or 5 when no daemon answers; a daemon that\n"
     "hangs is told of within a second."},
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
    {"monitor", "", "what is asked of the daemon, live", 0, 0, BIT(OP) | BIT(GLOB) | BIT(COUNT_LINES), verb_monitor,
     "A line an operation as it ends: time, what, result, the tier that had it, microseconds in the\n"
     "daemon, size of the value, who asked and for which name; never a value.  The daemon waits for\n"
     "nobody: of more than about a thousand a second it tells some, chosen evenly, and how many more\n"
     "there were.  Hits in shared memory never reach it; their number is told once a second.  Operations:\n"
     "get, set, touch, invalidate, event, lease, fail, limit, offer.  A pipe gets tab-separated lines:\n"
     "time, op, result, reason, tier, us, bytes, client, named, name, trace; --json has more.\n"
     "\n"
     "  larder monitor --op set,invalidate --glob 'user:*'\n"
     "  larder --json monitor | jq -r 'select(.result == \"MISS\").name'"},
    {"report", "", "what was counted on the last days, and what it saved", 0, 0,
     BIT(DAYS) | BIT(BY) | BIT(CSV), verb_report,
     "A row a day (of UTC), and a total: hits, those of shared memory among them, misses, sets, and what\n"
     "the hits saved: calls of the source, its time (by the policy's source_cost) and money (by its\n"
     "source_price).  Then the hottest keys; heat is no count of hits, it only says which are hotter.\n"
     "--by policy; --by tenant: of connections that are bound to one, which have no shared memory, the\n"
     "rest is (not bound); --by resource: what the patterns of policies name, page of {t}:page:{id}; --by\n"
     "minute: the last 24 hours.  Rows always add up to the total.  400 days are kept, over restarts too\n"
     "where there is a warm tier; a kill loses a minute at most.\n"
     "\n"
     "  larder report --days 7 --by policy\n"
     "  larder report --csv > days.csv\n"
     "  larder --json report --by minute | jq -r '.rows[] | [.minute, .hit_ratio] | @tsv'"},
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
     "output.  FILE appears when it is complete, never before.  Tags are in it; an entry whose tags\n"
     "are only known by hash (older daemons stored it, or its policy keeps it in shared memory\n"
     "alone) is left out and counted.  Entries that change meanwhile are there with one of their\n"
     "states."},
    {"warm", "[KEY...]", "pull entries into the fast tiers, or load a dump", 0, MANY,
     BIT(FILE) | BIT(RESUME) | BIT(KEYS_FROM) | BIT(PREFIX) | BIT(TAG) | BIT(ALL) | BIT(LOAD) |
         BIT(POLICY), verb_warm,
     "From Redis into the warm tier and shared memory, before anybody asks: keys in the order given,\n"
     "everything with a prefix or a tag, or --all, what is hot in the fleet first.  Others' reads go\n"
     "before it, shared memory makes no room for it, and nothing that was invalidated comes back.\n"
     "Interrupting it cancels the rest.\n"
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
     "is cut short, damaged, foreign or from a newer larder changes nothing.  --resume keeps how far it\n"
     "is in FILE.pos: interrupted, the same command goes on there, and brings nothing back that was\n"
     "loaded before and invalidated since."},
};
/* clang-format on */
enum { VERBS = sizeof(verbs) / sizeof(verbs[0]) };

const struct verb *verb_find(const char *name)
{
    for (int i = 0; i < VERBS; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

const struct verb *verb_after(const struct verb *verb)
{
    const struct verb *next = verb ? verb + 1 : verbs;
    return next < verbs + VERBS ? next : NULL;
}
