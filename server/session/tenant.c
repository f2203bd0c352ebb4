/* A connection bound to a tenant names only what is the tenant's: keys and prefixes that begin with "tenant:", tags
 * that are stored under "tenant:tag".  The unbound world sees those tags by their long names. */
#include "session/session_private.h"

#include <string.h>
#include "base/check.h"

bool session_tenant_valid(struct slice tenant)
{
    return tenant.size >= 1 && tenant.size + 1 <= WIRE_NAME_MAX && !memchr(tenant.data, ':', tenant.size);
}

void tenant_bind(struct session *s, struct slice tenant)
{
    CHECK(session_tenant_valid(tenant));
    memcpy(s->tenant, tenant.data, tenant.size);
    s->tenant[tenant.size] = ':';
    s->tenant[tenant.size + 1] = 0;
    s->tenant_bytes = (uint8_t)(tenant.size + 1);
}

bool tenant_owns(const struct session *s, struct slice key)
{
    return key.size >= s->tenant_bytes && memcmp(key.data ? key.data : "", s->tenant, s->tenant_bytes) == 0;
}

bool tenant_owns_all(const struct session *s, const struct wire_strings *list)
{
    struct reader names = reader_of(list->raw);
    struct slice name;
    while (wire_next_string(&names, &name))
        if (!tenant_owns(s, name))
            return false;
    return true;
}

/* Those of a tenant called "*" or "{t}" would be those of all. */
bool tenant_owns_patterns(const struct session *s, const struct wire_strings *list)
{
    bool literal = !memchr(s->tenant, '*', s->tenant_bytes) && !memchr(s->tenant, '{', s->tenant_bytes);
    return !s->tenant_bytes || !list->count || (literal && tenant_owns_all(s, list));
}

size_t tenant_tag_bytes(const struct session *s, struct slice tag)
{
    return s->tenant_bytes ? s->tenant_bytes + tag.size : 0;
}

size_t tenant_tags_bytes(const struct session *s, const struct wire_strings *tags)
{
    struct reader names = reader_of(tags->raw);
    struct slice tag;
    size_t bytes = 0;
    while (wire_next_string(&names, &tag))
        bytes += tenant_tag_bytes(s, tag);
    return bytes;
}

struct slice tenant_tag(const struct session *s, struct slice tag, char **room)
{
    if (!s->tenant_bytes || !tag.size)
        return tag;
    char *at = *room;
    memcpy(at, s->tenant, s->tenant_bytes);
    memcpy(at + s->tenant_bytes, tag.data, tag.size);
    *room += s->tenant_bytes + tag.size;
    return slice_of(at, s->tenant_bytes + tag.size);
}
