/* What the documents tell of policies. */
#ifndef LARDER_APP_POLICY_DOCUMENTS_H
#define LARDER_APP_POLICY_DOCUMENTS_H

#include <jansson.h>
#include "app/space.h"

/* Appends one object a policy of the namespace, in their order, its own options first.  Figures are since the start, or
 * since the policy's name was first seen; near hits of policies past the 62nd name are one sum, in a row of their own. */
void list_policies(json_t *array, const struct space *s);

/* Appends one object a named limit, in their order: what it allows, how often it was asked. */
void list_limits(json_t *array, const struct space *s);
/* Those of connections that are bound to one, since the start. */
void list_tenants(json_t *array, const struct space *s);

/* What holds for the key: every option that decides something. */
json_t *explain_policy(const struct space *s, struct slice key);

/* Calls `find` for each policy whose hit ratio is below what it expects; scope: NAMESPACE/POLICY. */
void each_disappointment(const struct space *s,
                         void (*find)(void *user, const char *scope, const char *issue), void *user);

#endif
