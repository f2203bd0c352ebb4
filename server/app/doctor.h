/* The self-test of the way to Redis and back, each step on its own; the first that fails says what to look at. */
#ifndef LARDER_APP_DOCTOR_H
#define LARDER_APP_DOCTOR_H

#include <jansson.h>
#include "app/space.h"

/* {"ok":…,"state":…,"steps":[{"name":…,"result":"ok"|"failed"|"skipped","says":…,"check":…}]}.  `probe` NULL: it takes too
 * long. */
json_t *doctor_document(const struct space *s, const struct cache_probe *probe);

#endif
