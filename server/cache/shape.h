/* The shape of a namespace's keys: tenant:resource:id:version.
 *
 * So many parts, none of them empty; what they are called is for people.  A * as the last part takes any number of parts, one at
 * least.  Pure; looked at anew for each key, so that it may change while the daemon runs. */
#ifndef LARDER_CACHE_SHAPE_H
#define LARDER_CACHE_SHAPE_H

#include <stdbool.h>
#include "proto/slice.h"

/* Of the configuration: a shape, or empty. */
bool shape_ok(const char *shape);
/* An empty shape fits every key. */
bool shape_fits(const char *shape, struct slice key);

#endif
