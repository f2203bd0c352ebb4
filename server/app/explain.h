/* What a get of a key would find and why, as JSON: for a person who asks. */
#ifndef LARDER_APP_EXPLAIN_H
#define LARDER_APP_EXPLAIN_H

#include <jansson.h>
#include "app/space.h"

json_t *explain_key(const struct session_question *q);

#endif
