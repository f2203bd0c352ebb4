/* The chronicle of a namespace's invalidations, as JSON: for a person who asks. */
#ifndef LARDER_APP_LOG_DOCUMENT_H
#define LARDER_APP_LOG_DOCUMENT_H

#include <jansson.h>
#include "app/space.h"

/* Of one line: time, where, by, pid, event, status; what it named as text. */
void put_chronicled(json_t *o, const struct chronicled *t);
json_t *log_document(const struct session_question *q);
/* The newest of all namespaces that are not secret, newest first, each with its `namespace`. */
json_t *log_of_all(const struct space *spaces, unsigned count);

#endif
