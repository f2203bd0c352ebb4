/* The configuration in force: every option of every table with its value and where it came from.
 *
 * Precedence: built-in < file < conf.d in the order of names < environment < flags.  Environment and flags speak of
 * the default namespace and are the starting point of all others: what [namespace NAME] says of itself stays.
 *
 * What must stay true: a configuration is taken whole or not at all. */
#ifndef LARDER_APP_CONFIG_H
#define LARDER_APP_CONFIG_H

#include "app/options.h"
#include "app/settings.h"
#include "app/units.h"

#define CONFIG_FILE       "/etc/larder/larder.conf"
#define NAMESPACE_DEFAULT "default"

enum {
    NAMESPACES_MAX = 64,     /* each has a segment, a database and a thread */
    SOCKET_PATH_BYTES = 108, /* of struct sockaddr_un, the final NUL included */
};

struct config_namespace {
    char *name;
    struct cache_options cache;
    struct policy_defaults policy;
    struct l1_options l1;
    struct warm_options warm;
};

struct config_value {
    enum section section;
    const char *namespace; /* NULL in [server] */
    const struct knob *knob;
    void *field;  /* in struct config or one of its namespaces */
    char *text;   /* what `field` of a TEXT option points to; NULL for the other types */
    char *origin; /* "built-in" or a setting's */
};

/* [policy NAME], in the order of the file: what it says, and nothing else. */
struct config_policy {
    char *name, *origin;
    struct policy_rule said;
    struct config_value *values;
    unsigned values_count;
};

/* [event NAME] */
struct config_event {
    char *name, *origin;
    struct event_rule said;
    struct config_value value;
};

/* [limit NAME]; its values stay where they are. */
struct config_limit {
    char *name, *origin;
    struct quota_rule said;
    struct quota_plan plans[QUOTA_PLANS_MAX];
    struct knob plan_knobs[QUOTA_PLANS_MAX]; /* called as they are written */
    unsigned plans_count;
    struct config_value *values;
    unsigned values_count;
};

/* [tenant NAME]; its values stay where they are. */
struct config_tenant {
    char *name, *origin;
    struct tenant_options said;
    uint32_t uids[TENANT_UIDS_MAX];
    unsigned uids_count;
    struct config_value *values;
    unsigned values_count;
};

struct config {
    struct server_options server;
    struct net_options net;
    struct l2_options redis;
    struct admin_options admin;
    struct health_options health;
    unsigned socket_mode;
    struct config_namespace *namespaces; /* the first is the default one */
    unsigned namespaces_count;
    struct config_policy *policies;
    unsigned policies_count;
    struct config_event *events;
    unsigned events_count;
    struct config_limit *limits;
    unsigned limits_count;
    struct config_tenant *tenants;
    unsigned tenants_count;
    struct config_value *values; /* in the order of the tables: the daemon, then namespace by namespace */
    unsigned values_count;
    struct settings settings; /* all that was said, also what has no effect yet */
};

struct config_sources {
    const char *file;   /* NULL: none */
    bool file_required; /* named by the caller, so it has to be there */
    char *const *environment;
    const struct settings *flags;
};

/* NULL: see what is wrong. */
struct config *config_load(const struct config_sources *sources, struct complaints *wrong);
struct config *config_destroy(struct config *c); /* NULL ok, returns NULL */

/* The policies and events of a namespace, its defaults merged in; `previous` as of policies_create.  NULL: the fault, of which a
 * configuration that was loaded has none. */
struct policies *config_make_policies(const struct config *c, const struct config_namespace *n,
                                      const struct policies *previous, struct policy_fault *ret_fault);

/* Whose connections of that user are, or those through that tenant's own socket; NULL: nobody's in particular. */
const struct config_tenant *config_tenant_of_uid(const struct config *c, uint32_t uid);
const struct config_tenant *config_tenant_named(const struct config *c, const char *name);

/* The named limits; of a configuration that was loaded none is wrong. */
struct quotas *config_make_quotas(const struct config *c);

/* Reload: all policies and the LIVE options of `fresh` go into `running`; `changed` is told every difference (of START options, which
 * keep their old value, with live = false).  Namespaces that came or went are told of with knob NULL. */
void config_take_live(struct config *running, struct config *fresh,
                      void (*changed)(void *user, const char *namespace, const struct knob *knob,
                                      const char *value, bool live),
                      void *user);

/* The value as one would write it.  `room` is used for numbers. */
const char *config_value_text(const struct config_value *v, char room[UNIT_TEXT]);
/* Passwords, tokens and the password within a URL become ***. */
void config_mask(const char *key, const char *value, char *ret, size_t ret_size);

/* Settings that are accepted and do nothing yet. */
void config_each_unused(const struct config *c, void (*each)(void *user, const struct setting *setting),
                        void *user);
bool config_names_redis(const struct config *c);

/* ---- for rules.c, the part that knows policies ---- */

void config_read_policies(struct config *c, struct complaints *wrong);
void config_free_policies(struct config *c);
/* tenants.c */
void config_read_tenants(struct config *c, struct complaints *wrong);
void config_free_tenants(struct config *c);
/* limit_rules.c */
void config_read_limits(struct config *c, struct complaints *wrong);
void config_free_limits(struct config *c);
/* Takes the setting into v, or complains. */
void config_apply(struct config_value *v, const struct setting *s, const struct settings *all,
                  struct complaints *wrong);
void config_value_free(struct config_value *v);

#endif
