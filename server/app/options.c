#include "app/options.h"

#include <stdio.h>
#include <string.h>
#include "app/config.h"
#include "base/check.h"

const struct section_kind section_kinds[SECTIONS] = {
    [SECTION_SERVER] = {"server", false, false},      [SECTION_NAMESPACE] = {"namespace", true, false},
    [SECTION_DURATIONS] = {"durations", false, true}, [SECTION_REDIS] = {"redis", false, false},
    [SECTION_ADMIN] = {"admin", false, false},        [SECTION_HEALTH] = {"health", false, false},
    [SECTION_POLICY] = {"policy", true, false},       [SECTION_EVENT] = {"event", true, false},
    [SECTION_LIMIT] = {"limit", true, false},         [SECTION_TENANT] = {"tenant", true, false},
};

#define KNOB_STRUCT struct server_options
static const struct knob server_knobs[] = {SERVER_OPTIONS(KNOB_ROW)};
#undef KNOB_STRUCT
#define KNOB_STRUCT struct net_options
static const struct knob net_knobs[] = {NET_OPTIONS(KNOB_ROW)};
#undef KNOB_STRUCT
#define KNOB_STRUCT struct admin_options
static const struct knob admin_knobs[] = {ADMIN_OPTIONS(KNOB_ROW)};
#undef KNOB_STRUCT
#define KNOB_STRUCT struct health_options
static const struct knob health_knobs[] = {HEALTH_OPTIONS(KNOB_ROW)};
#undef KNOB_STRUCT
#define KNOB_STRUCT struct cache_options
static const struct knob cache_knobs[] = {CACHE_OPTIONS(KNOB_ROW)};
#undef KNOB_STRUCT
#define KNOB_STRUCT struct policy_defaults
static const struct knob default_knobs[] = {POLICY_OPTIONS(KNOB_ROW)};
#undef KNOB_STRUCT
#define KNOB_STRUCT struct policy_rule
static const struct knob policy_knobs[] = {POLICY_RULE_OPTIONS(KNOB_ROW) POLICY_OWN_OPTIONS(KNOB_ROW)
                                               POLICY_OPTIONS(KNOB_ROW)};
#undef KNOB_STRUCT
#define KNOB_STRUCT struct event_rule
static const struct knob event_knobs[] = {EVENT_OPTIONS(KNOB_ROW)};
#undef KNOB_STRUCT
#define KNOB_STRUCT struct quota_rule
static const struct knob limit_knobs[] = {
    QUOTA_OPTIONS(KNOB_ROW){.name = QUOTA_PLAN,
                            .type = KNOB_COUNT,
                            .fallback = "",
                            .min = 1,
                            .max = QUOTA_MAX,
                            .aliases = "",
                            .sentence = "max for those who say plan=NAME: plan.free = 100, plan.pro = 500"}};
#undef KNOB_STRUCT
#define KNOB_STRUCT struct tenant_options
static const struct knob tenant_knobs[] = {TENANT_OPTIONS(KNOB_ROW)};
#undef KNOB_STRUCT
#define KNOB_STRUCT struct l1_options
static const struct knob l1_knobs[] = {L1_OPTIONS(KNOB_ROW)};
#undef KNOB_STRUCT
#define KNOB_STRUCT struct warm_options
static const struct knob warm_knobs[] = {WARM_OPTIONS(KNOB_ROW)};
#undef KNOB_STRUCT
#define KNOB_STRUCT struct l2_options
static const struct knob redis_knobs[] = {L2_OPTIONS(KNOB_ROW)};
#undef KNOB_STRUCT

#define DAEMON_TABLE(section, title, knobs, part)                             \
    {                                                                         \
        section, title, knobs, COUNT_OF(knobs), offsetof(struct config, part) \
    }
#define NAMESPACE_TABLE(title, knobs, part)                                                       \
    {                                                                                             \
        SECTION_NAMESPACE, title, knobs, COUNT_OF(knobs), offsetof(struct config_namespace, part) \
    }

const struct option_table option_tables[] = {
    DAEMON_TABLE(SECTION_SERVER, "the daemon", server_knobs, server),
    DAEMON_TABLE(SECTION_SERVER, "what clients may pin, and how long they may take", net_knobs, net),
    DAEMON_TABLE(SECTION_REDIS, "Redis, what all hosts share", redis_knobs, redis),
    DAEMON_TABLE(SECTION_ADMIN, "health, statistics and the dashboard by HTTP", admin_knobs, admin),
    DAEMON_TABLE(SECTION_HEALTH, "what counts as an issue, and who is told", health_knobs, health),
    NAMESPACE_TABLE("what is kept, and for how long", cache_knobs, cache),
    NAMESPACE_TABLE("what its policies begin with", default_knobs, policy),
    NAMESPACE_TABLE("L1, shared memory", l1_knobs, l1),
    NAMESPACE_TABLE("the warm tier, on disk", warm_knobs, warm),
};
const unsigned option_tables_count = COUNT_OF(option_tables);
const struct option_table policy_table = {SECTION_POLICY, "what a policy says", policy_knobs,
                                          COUNT_OF(policy_knobs), 0};
const struct option_table event_table = {SECTION_EVENT, "what dies of it", event_knobs, COUNT_OF(event_knobs),
                                         0};

const struct option_table limit_table = {SECTION_LIMIT, "how often, and who is counted", limit_knobs,
                                         COUNT_OF(limit_knobs), 0};
const struct option_table tenant_table = {SECTION_TENANT, "who is bound to it", tenant_knobs,
                                          COUNT_OF(tenant_knobs), 0};

#define SECTION_policy          SECTION_POLICY
#define LATER_ROW(section, key) {SECTION_##section, #key},
const struct later_option later_options[] = {LATER_OPTIONS(LATER_ROW)};
const unsigned later_options_count = COUNT_OF(later_options);

/* plan.NAME stands for plan.free, plan.pro and so on. */
static bool is_called(const struct knob *knob, const char *name)
{
    const char *family = strstr(knob->name, ".NAME");
    size_t head = family ? (size_t)(family - knob->name) + 1 : 0;
    return family ? strncmp(knob->name, name, head) == 0 && name[head] : strcmp(knob->name, name) == 0;
}

static const struct knob *find_in(const struct option_table *table, enum section section, const char *name)
{
    for (unsigned i = 0; table->section == section && i < table->count; i++)
        if (is_called(&table->knobs[i], name))
            return &table->knobs[i];
    return NULL;
}

const struct knob *option_find(enum section section, const char *name, const struct option_table **ret_table)
{
    const struct option_table *beside = section == SECTION_EVENT    ? &event_table
                                        : section == SECTION_LIMIT  ? &limit_table
                                        : section == SECTION_TENANT ? &tenant_table
                                                                    : &policy_table;
    for (unsigned t = 0; t <= option_tables_count; t++) {
        *ret_table = t < option_tables_count ? &option_tables[t] : beside;
        const struct knob *knob = find_in(*ret_table, section, name);
        if (knob)
            return knob;
    }
    return NULL;
}

const struct later_option *option_find_later(enum section section, const char *name)
{
    for (unsigned i = 0; i < later_options_count; i++)
        if (later_options[i].section == section && strcmp(later_options[i].name, name) == 0)
            return &later_options[i];
    return NULL;
}

const char *option_words(const struct knob *knob)
{
    static const char *const words[][2] = {{"log_level", LOG_LEVEL_WORDS},
                                           {"log_format", LOG_FORMAT_WORDS},
                                           {"lease_scope", LEASE_SCOPE_WORDS},
                                           {"alone", QUOTA_ALONE_WORDS}};
    for (unsigned i = 0; i < COUNT_OF(words); i++)
        if (strcmp(knob->name, words[i][0]) == 0)
            return words[i][1];
    return NULL;
}

unsigned option_word_index(const char *words, const char *text)
{
    unsigned index = 0;
    for (const char *at = words; *at; index++) {
        size_t size = strcspn(at, " ");
        if (strlen(text) == size && strncmp(at, text, size) == 0)
            break;
        at += size + (at[size] == ' ');
    }
    return index;
}

static uint64_t alias_unit(const char *name)
{
    static const struct {
        const char *name;
        uint64_t unit;
    } units[] = {{"S", 1000000000ull}, {"MS", 1000000ull}, {"MIB", 1ull << 20}, {"B", 1}};
    for (unsigned i = 0; i < COUNT_OF(units); i++)
        if (strcmp(units[i].name, name) == 0)
            return units[i].unit;
    WRONG("an option table names a unit nobody knows");
}

bool option_next_alias(const char **aliases, char ret_name[64], uint64_t *ret_unit)
{
    size_t size = strcspn(*aliases, ",");
    if (size == 0)
        return false;
    CHECK(size < 64);
    memcpy(ret_name, *aliases, size);
    ret_name[size] = '\0';
    *aliases += size + ((*aliases)[size] == ',');
    char *colon = strchr(ret_name, ':');
    *ret_unit = colon ? alias_unit(colon + 1) : 0;
    if (colon)
        *colon = '\0';
    return true;
}
