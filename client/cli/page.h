/* What `stats` and `explain` say to a person at a terminal: short tables of what is asked for most, in words and with units.
 * All there is has a pipe, and --json.
 *
 * Pure: a document goes in, text comes out, so that it can be tested without a daemon. */
#ifndef LARDER_CLI_PAGE_H
#define LARDER_CLI_PAGE_H

#include <jansson.h>
#include <stdio.h>

void page_stats(FILE *to, const json_t *stats);
void page_explain(FILE *to, const json_t *explained);

#endif
