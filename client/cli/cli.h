/* larder, the command: what main.c has understood, and what every verb may use.
 *
 * One table of options and one of verbs (verbs.h) make the parser and all help texts.  A verb is a function that gets a
 * connected client and answers an exit code. */
#ifndef LARDER_CLI_CLI_H
#define LARDER_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include "client/larder.h"
#include "client/cli/out.h"

enum exit_code {
    EXIT_DONE = 0,        /* done, or a hit */
    EXIT_NEGATIVE = 1,    /* a negative answer: miss, not found, degraded */
    EXIT_USAGE = 2,       /* the command line or a file is wrong */
    EXIT_UNREACHABLE = 3, /* no daemon */
    EXIT_DAEMON = 4,      /* the daemon, or this machine, failed */
    EXIT_TIMED_OUT = 5,
};

enum {
    CLI_NAMES_MAX = 1024,   /* of one kind in one call: what fits into one change */
    CLI_ARGUMENTS_MAX = 64, /* name=value of an event or a limit: what the library takes */
};

struct names {
    larder_slice items[CLI_NAMES_MAX];
    size_t count;
};

struct cli {
    const char *verb;
    const char *socket, *namespace_, *tenant; /* NULL: the library decides */
    uint32_t timeout_ms;                      /* 0: not given */
    larder_client *client;
    struct out out;
    const char *const *args;
    int args_count;
    /* options, as given */
    larder_slice prefix; /* the last one, for verbs that take one */
    struct names tags, prefixes, globs;
    uint64_t ttl_ms, stale_ms; /* LARDER_TTL_DEFAULT when not given */
    uint64_t limit, max, window_ms, cost;
    bool has_cost;
    const char *ops; /* "get,set" */
    uint64_t count;  /* 0: no end */
    uint8_t tiers;
    larder_entry_version if_version;
    larder_token since;
    larder_position after;
    const char *file, *event, *keys_from, *policy;
    uint64_t back_ms; /* --since as a time */
    bool has_since_text, has_back;
    bool from_stdin, raw, if_absent, if_present, has_if_version, has_since, has_after, absent;
    uint64_t days;
    const char *by;
    bool csv;
    bool all, load, resume, soft, dry_run, yes, watch, show_origin, no_stale, wait_all;
    bool wants_help, wants_version; /* instead of what the verb does */
};

/* cli->client anew, as the command line says; `maps`: with the shared segment, whose header tells about a daemon that does
 * not answer.  0 or an exit code; then there is no client. */
int cli_open(struct cli *cli, bool maps, uint32_t timeout_ms);
/* name=value; false: it is something else. */
bool cli_argument(const char *word, larder_argument *ret);
/* "larder: VERB: …" on stderr; returns `code`. */
int cli_fail(const struct cli *cli, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same for an error of the library about `what` (NULL: nothing in particular); picks the code. */
int cli_error(const struct cli *cli, const char *what, int result);
int exit_code_of(int result);
/* "ok", "exists", "not_found": what scripts compare with. */
const char *cli_result_word(int result);
/* Everything on stdin, up to the largest value there can be.  0 or an exit code. */
int read_stdin(const struct cli *cli, larder_slice *ret);

int verb_ping(struct cli *cli);
int verb_get(struct cli *cli);
int verb_ttl(struct cli *cli);
int verb_set(struct cli *cli);
int verb_touch(struct cli *cli);
int verb_tag(struct cli *cli);
int verb_invalidate(struct cli *cli);
int verb_clear(struct cli *cli);
int verb_keys(struct cli *cli);
int verb_stats(struct cli *cli);
int verb_top(struct cli *cli);
int verb_health(struct cli *cli);
int verb_explain(struct cli *cli);
int verb_config(struct cli *cli);
int verb_dump(struct cli *cli);
int verb_limit(struct cli *cli);
int verb_warm(struct cli *cli);
int warm_by_name(struct cli *cli); /* not from a dump */
int verb_advise(struct cli *cli);
int verb_doctor(struct cli *cli);
int verb_log(struct cli *cli);
int verb_report(struct cli *cli);
int verb_monitor(struct cli *cli);
int verb_audit(struct cli *cli);

#endif
