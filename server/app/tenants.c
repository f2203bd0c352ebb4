/* [tenant NAME]: who may name nothing but what is the tenant's.
 *
 * What must stay true: whom the configuration binds cannot talk his way out; so a user belongs to one tenant at most, and a
 * socket of a tenant's is nobody else's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "app/config.h"
#include "base/check.h"
#include "base/pattern.h"
#include "session/session.h"

const struct config_tenant *config_tenant_named(const struct config *c, const char *name)
{
    return config_named_find(c->tenants, c->tenants_count, sizeof(*c->tenants), name);
}

const struct config_tenant *config_tenant_of_uid(const struct config *c, uint32_t uid)
{
    for (unsigned i = 0; i < c->tenants_count; i++)
        for (unsigned u = 0; u < c->tenants[i].uids_count; u++)
            if (c->tenants[i].uids[u] == uid)
                return &c->tenants[i];
    return NULL;
}

static struct config_tenant *add(struct config *c, const struct setting *s)
{
    if (!c->tenants)
        c->tenants = must_alloc(TENANTS_MAX * sizeof(*c->tenants));
    struct config_tenant *t = &c->tenants[c->tenants_count++];
    *t = (struct config_tenant){.is = config_named_begin(s, tenant_table.count),
                                .said = {.uids = "", .socket = "", .namespace = ""}};
    return t;
}

static void take_uid(struct config *c, struct config_tenant *t, struct slice word, struct complaints *wrong)
{
    char text[16];
    uint64_t uid = UINT64_MAX;
    snprintf(text, sizeof(text), "%.*s", (int)word.size, (const char *)word.data);
    if (word.size >= sizeof(text) || !parse_count(text, &uid) || uid >= UINT32_MAX)
        complain(wrong, "%s: uids: %.*s: expected user ids from 0 to 4294967294, with commas between them",
                 config_named_origin(&t->is, "uids"), (int)word.size, (const char *)word.data);
    else if (config_tenant_of_uid(c, (uint32_t)uid))
        complain(wrong, "%s: uids: %s is bound to tenant %s already", config_named_origin(&t->is, "uids"),
                 text, config_tenant_of_uid(c, (uint32_t)uid)->is.name);
    else if (t->uids_count == TENANT_UIDS_MAX)
        complain(wrong, "%s: uids: more than %d", config_named_origin(&t->is, "uids"), TENANT_UIDS_MAX);
    else
        t->uids[t->uids_count++] = (uint32_t)uid;
}

static void take_uids(struct config *c, struct config_tenant *t, struct complaints *wrong)
{
    struct slice rest = slice_text(t->said.uids), word;
    while (*t->said.uids && list_next_item(&rest, &word))
        take_uid(c, t, word, wrong);
}

/* The path another door of this daemon has, the main one's included. */
static bool socket_taken(const struct config *c, const struct config_tenant *t)
{
    if (strcmp(t->said.socket, c->server.socket) == 0)
        return true;
    for (const struct config_tenant *other = c->tenants; other < t; other++)
        if (strcmp(t->said.socket, other->said.socket) == 0)
            return true;
    return false;
}

static void check(struct config *c, struct config_tenant *t, struct complaints *wrong)
{
    if (!*t->said.uids && !*t->said.socket)
        complain(wrong, "%s: [tenant %s] binds nobody: expected uids = 1001 or socket = PATH", t->is.origin,
                 t->is.name);
    if (*t->said.namespace && !config_has_namespace(c, t->said.namespace))
        complain(wrong, "%s: namespace = %s: expected the name of a [namespace NAME] of this configuration",
                 config_named_origin(&t->is, "namespace"), t->said.namespace);
    if (*t->said.socket && *t->said.socket != '/')
        complain(wrong, "%s: socket = %s: expected a path from /", config_named_origin(&t->is, "socket"),
                 t->said.socket);
    else if (strlen(t->said.socket) >= SOCKET_PATH_BYTES)
        complain(wrong, "%s: socket: the path has %zu bytes, the system takes %d",
                 config_named_origin(&t->is, "socket"), strlen(t->said.socket), SOCKET_PATH_BYTES - 1);
    else if (*t->said.socket && socket_taken(c, t))
        complain(wrong, "%s: socket = %s: another one has it", config_named_origin(&t->is, "socket"),
                 t->said.socket);
    take_uids(c, t, wrong);
}

void config_read_tenants(struct config *c, struct complaints *wrong)
{
    for (unsigned i = 0; i < c->settings.count; i++) {
        const struct setting *s = &c->settings.items[i];
        if (s->section != SECTION_TENANT)
            continue;
        struct config_tenant *t = (struct config_tenant *)config_tenant_named(c, s->name);
        if (!t && c->tenants_count == TENANTS_MAX) {
            if (!s->key)
                complain(wrong, "%s: more than %d tenants", s->origin, TENANTS_MAX);
            continue;
        }
        t = t ? t : add(c, s);
        config_named_take(c, &t->is, s, &t->said, wrong);
    }
    for (unsigned i = 0; i < c->tenants_count; i++)
        check(c, &c->tenants[i], wrong);
}

void config_free_tenants(struct config *c)
{
    for (unsigned i = 0; i < c->tenants_count; i++)
        config_named_finish(&c->tenants[i].is);
    free(c->tenants);
}
