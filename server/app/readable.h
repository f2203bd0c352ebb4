/* Bytes as a person is shown them: names and keys may hold any.
 *
 * What must stay true: no byte of it moves a terminal's cursor, begins a line or ends a C string, and every reader of
 * JSON takes it. */
#ifndef LARDER_APP_READABLE_H
#define LARDER_APP_READABLE_H

#include <jansson.h>
#include <stdbool.h>
#include "proto/slice.h"

/* UTF-8 without control characters: may be shown as it is. */
bool is_readable(struct slice s);
/* A string: of what is UTF-8 the control characters, of what is not also all beyond ASCII, as \xNN. */
json_t *readable(struct slice s);

#endif
