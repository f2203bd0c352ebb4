/* What to change, and the figure that says so: the "advice" of the stats document, which `larder advise` prints.
 *
 *   "advice": [{"namespace", "kind", "scope", "figure", "line", …numbers}]
 *
 * kind: memory (one for each size), no_memory_helps, little_seen, ttl, invalidation, policy.  "line" is what to write into the configuration,
 * null where nothing is to be changed.  Nothing is claimed that was not counted. */
#ifndef LARDER_APP_ADVICE_H
#define LARDER_APP_ADVICE_H

#include <jansson.h>
#include "app/space.h"

json_t *advice_document(const struct space *spaces, unsigned count);
/* What half more of L1 would do, in words; "" where that is not known. */
void advice_of_more(const struct space *s, char *ret, size_t room);

#endif
