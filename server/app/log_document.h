/* The chronicle of a namespace's invalidations, as JSON: for a person who asks. */
#ifndef LARDER_APP_LOG_DOCUMENT_H
#define LARDER_APP_LOG_DOCUMENT_H

#include <jansson.h>
#include "app/space.h"

json_t *log_document(const struct session_question *q);

#endif
