#include "app/config_document.h"

#include <stdio.h>
#include "app/put.h"

struct config_list {
    json_t *array;
    bool origin;
};

static void list_option(const struct config_list *l, enum section section, const char *name, const char *key,
                        const char *value, const char *origin, bool used)
{
    char shown[1024], where[128];
    json_t *o = json_object();
    config_mask(key, value, shown, sizeof(shown));
    snprintf(where, sizeof(where), name ? "%s %s" : "%s", section_kinds[section].name, name);
    put_text(o, "section", where);
    put_text(o, "option", key);
    put_text(o, "value", shown);
    if (l->origin)
        put_text(o, "origin", origin);
    if (!used)
        put_switch(o, "unused", true);
    json_array_append_new(l->array, o);
}

static void list_unused(void *user, const struct setting *s)
{
    list_option(user, s->section, s->name, s->key, s->value, s->origin, false);
}

static void list_value(const struct config_list *l, const struct config_value *v)
{
    char room[UNIT_TEXT];
    list_option(l, v->section, v->namespace, v->knob->name, config_value_text(v, room), v->origin, true);
}

static void list_named(const struct config_list *l, const struct config_named *n)
{
    for (unsigned i = 0; i < n->values_count; i++)
        list_value(l, &n->values[i]);
}

static void list_rules(const struct config_list *l, const struct config *c)
{
    for (unsigned i = 0; i < c->policies_count; i++)
        list_named(l, &c->policies[i].is);
    for (unsigned i = 0; i < c->events_count; i++)
        list_named(l, &c->events[i].is);
    for (unsigned i = 0; i < c->tenants_count; i++)
        list_named(l, &c->tenants[i].is);
    for (unsigned i = 0; i < c->limits_count; i++)
        list_named(l, &c->limits[i].is);
}

json_t *config_document(const struct config *c, bool origin)
{
    struct config_list list = {json_array(), origin};
    json_t *o = json_object();
    for (unsigned i = 0; i < c->values_count; i++)
        list_value(&list, &c->values[i]);
    list_rules(&list, c);
    config_each_unused(c, list_unused, &list);
    json_object_set_new(o, "options", list.array);
    return o;
}
