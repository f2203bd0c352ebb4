/* How long requests took, by operation and by how far they had to go: as JSON for stats, as a histogram for /metrics.
 * `near` are the hits that clients found in shared memory by themselves; they measure one in a thousand. */
#ifndef LARDER_APP_TIMES_H
#define LARDER_APP_TIMES_H

#include <jansson.h>
#include "admin/exposition.h"
#include "app/documents.h"

json_t *times_document(const struct documents *d);
void times_expose(struct exposition *e, const struct documents *d);

/* A quantity of time, as documents write it. */
void put_us(json_t *object, const char *name, uint64_t ns);

#endif
