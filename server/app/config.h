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

/* [policy NAME] and its like: what it says, and nothing else.  First in the struct of each kind, which stays where it is, for the
 * values point into it; one without an origin was told to be none. */
struct config_named {
    char *name, *origin;
    struct config_value *values;
    unsigned values_count;
};

/* In the order of the file. */
struct config_policy {
    struct config_named is;
    struct policy_rule said;
};

struct config_event {
    struct config_named is;
    struct event_rule said;
};

struct config_limit {
    struct config_named is;
    struct quota_rule said;
    struct quota_plan plans[QUOTA_PLANS_MAX];
    struct knob plan_knobs[QUOTA_PLANS_MAX]; /* called as they are written */
    unsigned plans_count;
};

struct config_tenant {
    struct config_named is;
    struct tenant_options said;
    uint32_t uids[TENANT_UIDS_MAX];
    unsigned uids_count;
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

/* ---- named.c: for the parts that know one kind of named section ---- */

/* Of `count` structs of `bytes` each that begin with a config_named; NULL: none is called so. */
void *config_named_find(void *items, unsigned count, size_t bytes, const char *name);
/* `most`: so many values it can have. */
struct config_named config_named_begin(const struct setting *opened, unsigned most);
void config_named_finish(struct config_named *n);
const struct config_value *config_named_value(const struct config_named *n, const char *option);
/* Where a complaint about it points to: the option's place, or the section's. */
const char *config_named_origin(const struct config_named *n, const char *option);
/* The value that the setting speaks of, new or known, whose fields are in `said`.  NULL: the section itself, or an option that is
 * none, and complained of already. */
struct config_value *config_named_place(struct config_named *n, const struct setting *s, void *said);
/* And takes it into that, or complains. */
void config_named_take(struct config *c, struct config_named *n, const struct setting *s, void *said,
                       struct complaints *wrong);
bool config_has_namespace(const struct config *c, const char *name);

/* Takes the setting into v, or complains. */
void config_apply(struct config_value *v, const struct setting *s, const struct settings *all,
                  struct complaints *wrong);
void config_value_free(struct config_value *v);

#endif
