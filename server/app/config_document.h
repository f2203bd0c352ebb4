/* The configuration as it is in force, as JSON; values that are nobody's business are masked. */
#ifndef LARDER_APP_CONFIG_DOCUMENT_H
#define LARDER_APP_CONFIG_DOCUMENT_H

#include <jansson.h>
#include "app/config.h"

/* `origin`: with the file and line, or the variable, that each value is from. */
json_t *config_document(const struct config *c, bool origin);

#endif
