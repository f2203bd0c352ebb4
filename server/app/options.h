/* All options, section by section.  A module's options are declared beside the module (L1_OPTIONS and so on); here
 * they are joined to sections, together with those of the daemon itself and those whose feature is still to come. */
#ifndef LARDER_APP_OPTIONS_H
#define LARDER_APP_OPTIONS_H

#include "admin/admin.h"
#include "admin/health.h"
#include "base/knob.h"
#include "cache/cache.h"
#include "cache/quota.h"
#include "l1/l1.h"
#include "l2/l2.h"
#include "net/limits.h"
#include "warm/warm.h"

#define SERVER_OPTIONS(OPTION)                                                                             \
    OPTION(TEXT, socket, "", 0, 0, START, "LARDER_SOCKET",                                                 \
           "where clients connect; empty: /run/larder/larder.sock, or under XDG_RUNTIME_DIR for a user")   \
    OPTION(TEXT, socket_mode, "0660", 0, 0, START, "", "permissions of the socket, octal")                 \
    OPTION(TEXT, state, "", 0, 0, START, "",                                                               \
           "directory of the warm tier; empty: /var/lib/larder, or under XDG_STATE_HOME for a user")       \
    OPTION(TEXT, runtime, "", 0, 0, START, "",                                                             \
           "directory on tmpfs, for what must survive a kill; empty: the socket's, or one under /dev/shm") \
    OPTION(TEXT, log_level, "info", 0, 0, LIVE, "LARDER_LOG_LEVEL", "debug, info, warn or error")          \
    OPTION(TEXT, log_format, "auto", 0, 0, START, "LARDER_LOG_FORMAT",                                     \
           "logfmt, json, or auto: logfmt on a terminal, JSON lines otherwise")                            \
    OPTION(DURATION, drain_timeout, "5s", 0, 60ull * 1000000000ull, LIVE, "",                              \
           "how long SIGTERM waits for requests under way; a second one stops at once")                    \
    OPTION(SWITCH, core_dumps, "off", 0, 1, START, "",                                                     \
           "a core dump would hold cached values; on also lets a debugger of the same user attach")

struct server_options {
    KNOB_FIELDS(SERVER_OPTIONS)
};

#define LOG_LEVEL_WORDS  "debug info warn error"
#define LOG_FORMAT_WORDS "auto logfmt json"

/* Options that are understood and have no effect yet.  LATER(section, key): accepted so that today's files work, checked when
 * their feature comes. */
#define LATER_OPTIONS(LATER) LATER(policy, encrypt)

/* ---- the tables, joined -------------------------------------------------------------------------------- */

enum section {
    SECTION_SERVER,
    SECTION_NAMESPACE,
    SECTION_DURATIONS,
    SECTION_REDIS,
    SECTION_ADMIN,
    SECTION_HEALTH,
    SECTION_POLICY,
    SECTION_EVENT,
    SECTION_LIMIT,
    SECTION_TENANT,
    SECTIONS,
    SECTION_UNKNOWN = SECTIONS,
};

struct section_kind {
    const char *name;
    bool named;   /* [namespace NAME] */
    bool any_key; /* [durations]: the keys are names themselves */
};
extern const struct section_kind section_kinds[SECTIONS];

/* One module's options: where they stand, and where their struct lies in struct config (server) or struct
 * config_namespace (namespace). */
struct option_table {
    enum section section;
    const char *title;
    const struct knob *knobs;
    unsigned count;
    size_t offset;
};
extern const struct option_table option_tables[];
extern const unsigned option_tables_count;
/* Of [policy NAME]: only what is said there counts, so it stands beside the others.  Its struct is a struct policy_rule. */
extern const struct option_table policy_table;
extern const struct option_table event_table; /* of [event NAME], alike; struct event_rule */
extern const struct option_table
    limit_table; /* of [limit NAME], alike; struct quota_rule.  plan.NAME has no field there */

extern const struct option_table tenant_table; /* of [tenant NAME], alike; struct tenant_options */

#define TENANT_OPTIONS(OPTION)                                                                              \
    OPTION(TEXT, uids, "", 0, 0, LIVE, "",                                                                  \
           "user ids, with commas, whose connections are bound to this tenant")                             \
    OPTION(TEXT, socket, "", 0, 0, START, "", "a socket of its own: who connects there is bound to it too") \
    OPTION(TEXT, namespace, "", 0, 0, LIVE, "", "the one namespace they may name; empty: any")
struct tenant_options {
    KNOB_FIELDS(TENANT_OPTIONS)
};
enum { TENANTS_MAX = 64, TENANT_UIDS_MAX = 64 };

struct later_option {
    enum section section;
    const char *name;
};
extern const struct later_option later_options[];
extern const unsigned later_options_count;

/* NULL, NULL: no such option. */
const struct knob *option_find(enum section section, const char *name, const struct option_table **ret_table);
const struct later_option *option_find_later(enum section section, const char *name);

/* Values of TEXT options that are one of a few words: "debug info warn error", or NULL for anything. */
const char *option_words(const struct knob *knob);
/* Which of the words a valid value is: the enums of log.h are in the order of their words. */
unsigned option_word_index(const char *words, const char *text);

/* Walks "NAME,NAME:UNIT,…": the next alias and the unit of its plain numbers (0: none said); false at the end. */
bool option_next_alias(const char **aliases, char ret_name[64], uint64_t *ret_unit);

#endif
