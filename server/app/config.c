#include "app/config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "app/places.h"
#include "base/check.h"
#include "cache/shape.h"

#define BUILT_IN "built-in"

/* ---- one value ----------------------------------------------------------------------------------------- */

static const char *const built_in_durations[][2] = {
    {"short", "60s"}, {"medium", "5m"}, {"long", "30m"}, {"very_long", "1h"}, {"day", "24h"}};

/* A name from [durations], the last one said. */
static bool find_duration(void *user, const char *name, uint64_t *ret_ns)
{
    const struct settings *all = user;
    for (unsigned i = all->count; i-- > 0;) {
        const struct setting *s = &all->items[i];
        if (s->section == SECTION_DURATIONS && s->key && strcmp(s->key, name) == 0)
            return parse_duration(s->value, 0, NULL, ret_ns);
    }
    for (unsigned i = 0; i < COUNT_OF(built_in_durations); i++)
        if (strcmp(built_in_durations[i][0], name) == 0)
            return parse_duration(built_in_durations[i][1], 0, NULL, ret_ns);
    return false;
}

static bool word_of(const char *words, const char *text)
{
    size_t size = strlen(text);
    for (const char *at = words; size && (at = strstr(at, text)); at += size)
        if ((at == words || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\0'))
            return true;
    return false;
}

static bool text_ok(const struct knob *knob, const char *text)
{
    unsigned mode;
    const char *words = option_words(knob);
    if (words)
        return word_of(words, text);
    bool is_mode = strcmp(knob->name, "socket_mode") == 0 || strcmp(knob->name, "listen_mode") == 0;
    return !is_mode || parse_mode(text, &mode);
}

/* What would have been right, for the complaint. */
static void expectation(const struct knob *knob, uint64_t plain_unit, char *ret, size_t size)
{
    char min[UNIT_TEXT], max[UNIT_TEXT];
    const char *words = option_words(knob);
    switch (knob->type) {
    case KNOB_SIZE:
        snprintf(ret, size, "a size from %s to %s, written as 4096, 64KiB, 1MiB or 2GiB%s",
                 print_size(knob->min, min), print_size(knob->max, max),
                 plain_unit == 1ull << 20 ? "; a plain number counts MiB here" : "");
        break;
    case KNOB_COUNT:
        snprintf(ret, size, "a number from %llu to %llu", (unsigned long long)knob->min,
                 (unsigned long long)knob->max);
        break;
    case KNOB_DURATION:
        snprintf(
            ret, size,
            "a duration from %s to %s, written as 100ms, 30s, 5m, 1h or 2d, or a name from [durations]%s",
            print_duration(knob->min, min), print_duration(knob->max, max),
            plain_unit == 1000000000ull ? "; a plain number counts seconds here" : "");
        break;
    case KNOB_SWITCH: snprintf(ret, size, "on or off (true, false, 1, 0, yes, no)"); break;
    case KNOB_RATIO:
        snprintf(ret, size, "a share from %s to %s, written as 80%% or 0.8", print_ratio(knob->min, min),
                 print_ratio(knob->max, max));
        break;
    case KNOB_TEXT:
        snprintf(ret, size, words ? "one of: %s" : "permissions in octal, such as 0660", words);
        break;
    }
}

static bool number_ok(const struct knob *knob, uint64_t number)
{
    return number >= knob->min && number <= knob->max;
}

/* Into v->field; false: not a value of this option. */
static bool assign(struct config_value *v, const char *text, uint64_t plain_unit, const struct settings *all)
{
    const struct named_durations names = {find_duration, (void *)all};
    uint64_t number = 0;
    switch (v->knob->type) {
    case KNOB_TEXT:
        if (!text_ok(v->knob, text))
            return false;
        free(v->text);
        v->text = must_strdup(text);
        *(const char **)v->field = v->text;
        return true;
    case KNOB_SWITCH: return parse_switch(text, v->field);
    case KNOB_SIZE:
        if (!parse_size(text, plain_unit, &number) || !number_ok(v->knob, number))
            return false;
        break;
    case KNOB_COUNT:
        if (!parse_count(text, &number) || !number_ok(v->knob, number))
            return false;
        break;
    case KNOB_RATIO:
        if (!parse_ratio(text, &number) || !number_ok(v->knob, number))
            return false;
        break;
    case KNOB_DURATION:
        if (!parse_duration(text, plain_unit, &names, &number) || !number_ok(v->knob, number))
            return false;
        break;
    }
    *(uint64_t *)v->field = number;
    return true;
}

const char *config_value_text(const struct config_value *v, char room[UNIT_TEXT])
{
    switch (v->knob->type) {
    case KNOB_TEXT: return v->text;
    case KNOB_SWITCH: return *(const bool *)v->field ? "on" : "off";
    case KNOB_SIZE: return print_size(*(const uint64_t *)v->field, room);
    case KNOB_DURATION: return print_duration(*(const uint64_t *)v->field, room);
    case KNOB_RATIO: return print_ratio(*(const uint64_t *)v->field, room);
    case KNOB_COUNT: break;
    }
    snprintf(room, UNIT_TEXT, "%llu", (unsigned long long)*(const uint64_t *)v->field);
    return room;
}

/* ---- all values ---------------------------------------------------------------------------------------- */

static void set_origin(struct config_value *v, const char *origin)
{
    free(v->origin);
    v->origin = must_strdup(origin);
}

void config_apply(struct config_value *v, const struct setting *s, const struct settings *all,
                  struct complaints *wrong)
{
    char expected[300], shown[128];
    if (assign(v, s->value, s->plain_unit, all)) {
        set_origin(v, s->origin);
        return;
    }
    expectation(v->knob, s->plain_unit, expected, sizeof(expected));
    config_mask(s->key, s->value, shown, sizeof(shown));
    complain(wrong, "%s: %s = %s: expected %s", s->origin, s->key, shown, expected);
}

static void apply(struct config_value *v, const struct setting *s, const struct settings *all,
                  struct complaints *wrong)
{
    if (s->key && s->section == v->section && strcmp(s->key, v->knob->name) == 0)
        config_apply(v, s, all, wrong);
}

/* The general first and the particular last, as the header says. */
static void apply_all(struct config_value *v, const struct settings *all, struct complaints *wrong)
{
    bool particular = v->namespace && strcmp(v->namespace, NAMESPACE_DEFAULT) != 0;
    struct complaints unheard = {
        0}; /* what is wrong with a general setting is said once, for the default namespace */
    for (unsigned i = 0; particular && i < all->count; i++)
        if (!all->items[i].from_file)
            apply(v, &all->items[i], all, &unheard);
    for (unsigned i = 0; i < all->count; i++) {
        const struct setting *s = &all->items[i];
        bool mine = !v->namespace || (s->name ? strcmp(s->name, v->namespace) == 0 : !particular);
        if (mine)
            apply(v, s, all, wrong);
    }
}

static void add_values(struct config *c, const struct option_table *table, struct config_namespace *n)
{
    char *base = (n ? (char *)n : (char *)c) + table->offset;
    for (unsigned i = 0; i < table->count; i++) {
        struct config_value *v = &c->values[c->values_count++];
        *v = (struct config_value){.section = table->section,
                                   .namespace = n ? n->name : NULL,
                                   .knob = &table->knobs[i],
                                   .field = base + table->knobs[i].offset};
        if (v->knob->type == KNOB_TEXT && !*v->knob->fallback) {
            v->text = must_strdup("");
            *(const char **)v->field = v->text;
        } else if (!assign(v, v->knob->fallback, 0, &c->settings)) {
            WRONG(v->knob->name); /* an option table whose fallback is not a value */
        }
        set_origin(v, BUILT_IN);
    }
}

static void make_values(struct config *c)
{
    unsigned room = 0;
    for (unsigned t = 0; t < option_tables_count; t++)
        room += option_tables[t].count *
                (option_tables[t].section == SECTION_NAMESPACE ? c->namespaces_count : 1);
    c->values = must_alloc(room * sizeof(*c->values));
    for (unsigned t = 0; t < option_tables_count; t++)
        if (option_tables[t].section != SECTION_NAMESPACE)
            add_values(c, &option_tables[t], NULL);
    for (unsigned n = 0; n < c->namespaces_count; n++)
        for (unsigned t = 0; t < option_tables_count; t++)
            if (option_tables[t].section == SECTION_NAMESPACE)
                add_values(c, &option_tables[t], &c->namespaces[n]);
}

static void make_namespaces(struct config *c, struct complaints *wrong)
{
    c->namespaces = must_alloc(NAMESPACES_MAX * sizeof(*c->namespaces));
    c->namespaces[c->namespaces_count++].name = must_strdup(NAMESPACE_DEFAULT);
    for (unsigned i = 0; i < c->settings.count; i++) {
        const struct setting *s = &c->settings.items[i];
        if (s->section != SECTION_NAMESPACE || !s->name || config_has_namespace(c, s->name))
            continue;
        if (c->namespaces_count == NAMESPACES_MAX) {
            complain(wrong, "%s: more than %d namespaces", s->origin, NAMESPACES_MAX);
            return;
        }
        c->namespaces[c->namespaces_count++].name = must_strdup(s->name);
    }
}

static void check_known(const struct config *c, struct complaints *wrong)
{
    const struct option_table *table;
    uint64_t ns;
    for (unsigned i = 0; i < c->settings.count; i++) {
        const struct setting *s = &c->settings.items[i];
        if (!s->key)
            continue;
        if (s->section == SECTION_DURATIONS) {
            if (!parse_duration(s->value, 0, NULL, &ns))
                complain(wrong, "%s: %s = %s: expected a duration, written as 100ms, 30s, 5m, 1h or 2d",
                         s->origin, s->key, s->value);
        } else if (!option_find(s->section, s->key, &table) && !option_find_later(s->section, s->key)) {
            complain_unknown(wrong, s->origin, s->section, s->key);
        }
    }
}

/* ---- places -------------------------------------------------------------------------------------------- */

static struct config_value *value_of(struct config *c, const void *field)
{
    for (unsigned i = 0; i < c->values_count; i++)
        if (c->values[i].field == field)
            return &c->values[i];
    WRONG("no such field");
}

static void find_place(struct config *c, const char **field, bool (*place)(char *const *, bool, char *),
                       char *const *environment, struct complaints *wrong)
{
    char path[PLACE_BYTES];
    struct config_value *v = value_of(c, field);
    if (**field)
        return;
    if (place(environment, geteuid() == 0, path)) {
        free(v->text);
        v->text = must_strdup(path);
        *field = v->text;
    } else {
        complain(wrong, "%s: no place for it: XDG_RUNTIME_DIR and HOME are not set; say --%s PATH",
                 v->knob->name, v->knob->name);
    }
}

/* What no single option can tell. */
static void check_together(struct config *c, struct complaints *wrong)
{
    if (strlen(c->server.socket) >= SOCKET_PATH_BYTES)
        complain(wrong, "%s: socket: %s: the path has %zu bytes, the system takes %d; choose a shorter one",
                 value_of(c, &c->server.socket)->origin, c->server.socket, strlen(c->server.socket),
                 SOCKET_PATH_BYTES - 1);
    if (parse_mode(c->server.socket_mode, &c->socket_mode) && (c->socket_mode & 0600) != 0600)
        complain(wrong, "%s: socket_mode = %s: the owner has to read and write",
                 value_of(c, &c->server.socket_mode)->origin, c->server.socket_mode);
    if (c->net.write_kill < c->net.write_stop)
        complain(wrong,
                 "%s: write_kill is below write_stop: a client would be cut off before it is slowed down",
                 value_of(c, &c->net.write_kill)->origin);
    const char *why = admin_check(&c->admin);
    if (why)
        complain(wrong, "%s: listen = %s: %s", value_of(c, &c->admin.listen)->origin, c->admin.listen, why);
    for (unsigned i = 0; i < c->namespaces_count; i++) {
        struct config_namespace *n = &c->namespaces[i];
        if (!shape_ok(n->cache.key_shape))
            complain(
                wrong,
                "%s: key_shape = %s: expected names with ':' between them, such as tenant:resource:id; the "
                "last may be *",
                value_of(c, &n->cache.key_shape)->origin, n->cache.key_shape);
        if (n->cache.max_ttl < n->cache.ttl)
            complain(wrong, "%s: ttl in [namespace %s] is above its max_ttl",
                     value_of(c, &n->cache.ttl)->origin, n->name);
    }
}

/* ---- load and destroy ---------------------------------------------------------------------------------- */

static void copy_settings(struct settings *to, const struct settings *from, struct complaints *wrong)
{
    for (unsigned i = 0; from && i < from->count; i++)
        settings_add(to, &from->items[i], wrong);
}

struct config *config_load(const struct config_sources *sources, struct complaints *wrong)
{
    struct config *c = must_alloc(sizeof(*c));
    if (sources->file) {
        settings_read_file(&c->settings, sources->file, sources->file_required, wrong);
        settings_read_directory(&c->settings, sources->file, wrong);
    }
    settings_read_environment(&c->settings, sources->environment, wrong);
    copy_settings(&c->settings, sources->flags, wrong);
    check_known(c, wrong);
    make_namespaces(c, wrong);
    make_values(c);
    for (unsigned i = 0; i < c->values_count; i++)
        apply_all(&c->values[i], &c->settings, wrong);
    find_place(c, &c->server.socket, place_socket, sources->environment, wrong);
    find_place(c, &c->server.state, place_state, sources->environment, wrong);
    check_together(c, wrong);
    config_read_policies(c, wrong);
    config_read_limits(c, wrong);
    config_read_tenants(c, wrong);
    return wrong->count ? config_destroy(c) : c;
}

void config_value_free(struct config_value *v)
{
    free(v->text);
    free(v->origin);
}

struct config *config_destroy(struct config *c)
{
    if (!c)
        return NULL;
    config_free_policies(c);
    config_free_limits(c);
    config_free_tenants(c);
    for (unsigned i = 0; i < c->values_count; i++)
        config_value_free(&c->values[i]);
    for (unsigned i = 0; i < c->namespaces_count; i++)
        free(c->namespaces[i].name);
    free(c->values);
    free(c->namespaces);
    settings_finish(&c->settings);
    free(c);
    return NULL;
}

/* ---- reload -------------------------------------------------------------------------------------------- */

static struct config_value *counterpart(struct config *in, const struct config_value *of)
{
    for (unsigned i = 0; i < in->values_count; i++) {
        struct config_value *v = &in->values[i];
        if (v->knob == of->knob && (!of->namespace || strcmp(v->namespace, of->namespace) == 0))
            return v;
    }
    return NULL;
}

static void swap_texts(char **a, char **b)
{
    char *kept = *a;
    *a = *b;
    *b = kept;
}

static size_t field_bytes(enum knob_type type)
{
    return type == KNOB_SWITCH ? sizeof(bool) : sizeof(uint64_t);
}

static void take_value(struct config_value *running, struct config_value *fresh)
{
    swap_texts(&running->text, &fresh->text);
    swap_texts(&running->origin, &fresh->origin);
    if (running->knob->type == KNOB_TEXT) {
        *(const char **)running->field = running->text;
        *(const char **)fresh->field = fresh->text;
    } else {
        memcpy(running->field, fresh->field, field_bytes(running->knob->type));
    }
}

static void exchange_policies(struct config *a, struct config *b)
{
    struct config kept = *a;
    a->policies = b->policies;
    a->policies_count = b->policies_count;
    a->events = b->events;
    a->events_count = b->events_count;
    b->policies = kept.policies;
    b->policies_count = kept.policies_count;
    b->events = kept.events;
    b->events_count = kept.events_count;
    a->limits = b->limits;
    a->limits_count = b->limits_count;
    b->limits = kept.limits;
    b->limits_count = kept.limits_count;
    a->tenants = b->tenants;
    a->tenants_count = b->tenants_count;
    b->tenants = kept.tenants;
    b->tenants_count = kept.tenants_count;
}

void config_take_live(struct config *running, struct config *fresh,
                      void (*changed)(void *user, const char *namespace, const struct knob *knob,
                                      const char *value, bool live),
                      void *user)
{
    char was[UNIT_TEXT], is[UNIT_TEXT];
    for (unsigned i = 0; i < running->values_count; i++) {
        struct config_value *old = &running->values[i], *new = counterpart(fresh, old);
        if (!new)
            continue;
        bool live = old->knob->reload == KNOB_LIVE;
        if (strcmp(config_value_text(old, was), config_value_text(new, is)) != 0)
            changed(user, old->namespace, old->knob, config_value_text(new, is), live);
        if (live)
            take_value(old, new);
    }
    exchange_policies(running, fresh);
    for (unsigned i = 0; i < fresh->namespaces_count; i++)
        if (!config_has_namespace(running, fresh->namespaces[i].name))
            changed(user, fresh->namespaces[i].name, NULL, "added", false);
    for (unsigned i = 0; i < running->namespaces_count; i++)
        if (!config_has_namespace(fresh, running->namespaces[i].name))
            changed(user, running->namespaces[i].name, NULL, "removed", false);
}

/* ---- secrets and the unused ---------------------------------------------------------------------------- */

/* scheme://user:password@host: what stands between the colon and the last @ before the path. */
static bool password_in_url(const char *value, const char **ret_begin, const char **ret_end)
{
    const char *host = strstr(value, "://");
    if (!host)
        return false;
    host += 3;
    const char *end = host + strcspn(host, "/?#"), *at = NULL;
    for (const char *p = host; p < end; p++)
        if (*p == '@')
            at = p;
    const char *colon = at ? memchr(host, ':', (size_t)(at - host)) : NULL;
    *ret_begin = colon ? colon + 1 : NULL;
    *ret_end = at;
    return colon;
}

void config_mask(const char *key, const char *value, char *ret, size_t ret_size)
{
    const char *begin, *end;
    size_t size = strlen(key);
    bool names_a_file = size > 5 && strcmp(key + size - 5, "_file") == 0;
    if (!names_a_file && (strstr(key, "password") || strstr(key, "token")))
        snprintf(ret, ret_size, "***");
    else if (password_in_url(value, &begin, &end))
        snprintf(ret, ret_size, "%.*s***%s", (int)(begin - value), value, end);
    else
        snprintf(ret, ret_size, "%s", value);
}

void config_each_unused(const struct config *c, void (*each)(void *user, const struct setting *setting),
                        void *user)
{
    for (unsigned i = 0; i < c->settings.count; i++)
        if (c->settings.items[i].key &&
            option_find_later(c->settings.items[i].section, c->settings.items[i].key))
            each(user, &c->settings.items[i]);
}

bool config_names_redis(const struct config *c)
{
    return c->redis.enabled && (*c->redis.url || *c->redis.host);
}
