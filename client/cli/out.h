/* What the command prints, in three shapes from one source: aligned columns on a terminal, tab-separated lines on a
 * pipe, one JSON object a line with --json.
 *
 * A verb builds rows of named fields.  Text shapes print the columns it named, in that order; JSON prints all fields.
 * On a terminal fields called …_ms are shown as durations and …bytes as sizes; elsewhere they stay numbers. */
#ifndef LARDER_CLI_OUT_H
#define LARDER_CLI_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "client/larder.h"

enum out_shape { OUT_ALIGNED, OUT_TABS, OUT_JSON };
enum { OUT_COLUMNS_MAX = 12 };

struct out {
    enum out_shape shape;
    bool colour;
    const char *columns[OUT_COLUMNS_MAX];
    int columns_count;
    json_t *rows; /* waiting for their widths to be known; bounded by out_flush */
    bool head_printed;
};

void out_init(struct out *out);
void out_use_json(struct out *out);
void out_finish(struct out *out);
/* Names of the text columns, NULL at the end. */
void out_columns(struct out *out, const char *const *names);

json_t *row_new(void);
/* Bytes that are not UTF-8 go into a field NAME_base64 of JSON; text shapes escape what would break a line. */
void row_bytes(const struct out *out, json_t *row, const char *name, larder_slice bytes);
void row_text(json_t *row, const char *name, const char *text);
void row_number(json_t *row, const char *name, uint64_t n);
void row_flag(json_t *row, const char *name, bool value);

/* Takes the row over. */
void out_row(struct out *out, json_t *row);
/* Prints what waits; between the pages of a long list. */
void out_flush(struct out *out);

/* A document of the daemon: as it is with --json, otherwise one "path value" a line.  False: not JSON. */
bool out_document(struct out *out, const char *json);

#endif
