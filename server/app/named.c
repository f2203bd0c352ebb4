/* What [policy], [event], [limit] and [tenant] NAME have in common. */
#include <stdlib.h>
#include <string.h>
#include "app/config.h"
#include "base/check.h"

void *config_named_find(void *items, unsigned count, size_t bytes, const char *name)
{
    char *item = items;
    for (unsigned i = 0; i < count; i++, item += bytes)
        if (strcmp(((struct config_named *)(void *)item)->name, name) == 0)
            return item;
    return NULL;
}

struct config_named config_named_begin(const struct setting *opened, unsigned most)
{
    return (struct config_named){.name = must_strdup(opened->name),
                                 .origin = must_strdup(opened->origin),
                                 .values = must_alloc(most * sizeof(struct config_value))};
}

void config_named_finish(struct config_named *n)
{
    for (unsigned i = 0; i < n->values_count; i++)
        config_value_free(&n->values[i]);
    free(n->values);
    free(n->name);
    free(n->origin);
}

const struct config_value *config_named_value(const struct config_named *n, const char *option)
{
    for (unsigned i = 0; i < n->values_count; i++)
        if (strcmp(n->values[i].knob->name, option) == 0)
            return &n->values[i];
    return NULL;
}

const char *config_named_origin(const struct config_named *n, const char *option)
{
    const struct config_value *v = config_named_value(n, option);
    return v && v->origin ? v->origin : n->origin;
}

struct config_value *config_named_place(struct config_named *n, const struct setting *s, void *said)
{
    const struct option_table *table;
    const struct knob *knob = s->key ? option_find(s->section, s->key, &table) : NULL;
    const struct config_value *known = knob ? config_named_value(n, s->key) : NULL;
    if (!knob || known)
        return (struct config_value *)known;
    struct config_value *v = &n->values[n->values_count++];
    *v = (struct config_value){
        .section = s->section, .namespace = n->name, .knob = knob, .field = (char *)said + knob->offset};
    return v;
}

void config_named_take(struct config *c, struct config_named *n, const struct setting *s, void *said,
                       struct complaints *wrong)
{
    struct config_value *v = config_named_place(n, s, said);
    if (v)
        config_apply(v, s, &c->settings, wrong);
}

bool config_has_namespace(const struct config *c, const char *name)
{
    for (unsigned i = 0; i < c->namespaces_count; i++)
        if (strcmp(c->namespaces[i].name, name) == 0)
            return true;
    return false;
}
