/* How long requests took, by operation and by how far they had to go, and by namespace, policy and tenant: as JSON for stats,
 * as histograms for /metrics.  `near` are the hits that clients found in shared memory by themselves; they measure one in a
 * thousand, and tell it by namespace. */
#ifndef LARDER_APP_TIMES_H
#define LARDER_APP_TIMES_H

#include <jansson.h>
#include "admin/exposition.h"
#include "app/documents.h"

json_t *times_document(const struct documents *d);
void times_expose(struct exposition *e, const struct documents *d);

/* The requests of a namespace by operation, and `near`. */
json_t *times_of_space(const struct space *s);
/* Of a policy and of a tenant: an object each for `get` and `set`. */
json_t *times_of_policy(const struct cache *c, unsigned number);
json_t *times_of_tenant(const struct took took[TIMED_COUNT]);

/* A quantity of time, as documents write it. */
void put_us(json_t *object, const char *name, uint64_t ns);

#endif
