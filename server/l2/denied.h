/* What Redis keeps from our user, in words: which command, or that it is about keys.  Pure.
 *
 * Redis says it in a sentence that differs by version and by who ran the command.  Within a script it may name the line
 * of the script only; the text of the script then names the command. */
#ifndef LARDER_L2_DENIED_H
#define LARDER_L2_DENIED_H

#include <stdbool.h>
#include "proto/slice.h"

enum { DENIED_ROOM = 160 };

/* false: the error is about something else.  `script`: the text that was run, or empty.  `ret_in_script`: the script had
 * begun, and what it did before stays done. */
bool denied_read(struct slice error, struct slice script, char ret_says[DENIED_ROOM], bool *ret_in_script);

#endif
