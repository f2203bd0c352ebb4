/* How things are written on a command line: durations, versions, tokens, tiers. */
#ifndef LARDER_CLI_TEXT_H
#define LARDER_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "client/larder.h"

/* "30s", "5m", "1h30m", "250ms", "2d", "0".  False: not a duration. */
bool duration_parse(const char *text, uint64_t *ret_ms);
/* "4m59s"; two units at most. */
void duration_format(uint64_t ms, char *ret, size_t bytes);
/* "1.5 MiB". */
void size_format(uint64_t n, char *ret, size_t bytes);

/* epoch.v.id in hexadecimal. */
enum { VERSION_TEXT_BYTES = 16 + 1 + 16 + 1 + 8 + 1 };
bool version_parse(const char *text, larder_entry_version *ret);
void version_format(larder_entry_version version, char ret[VERSION_TEXT_BYTES]);

/* partition.epoch.v in hexadecimal. */
enum { POSITION_TEXT_BYTES = 2 + 1 + 16 + 1 + 16 + 1 };
bool position_parse(const char *text, larder_position *ret);
void position_format(larder_position position, char ret[POSITION_TEXT_BYTES]);

enum { TOKEN_TEXT_BYTES = 2 * 64 + 1 };
bool token_parse(const char *text, larder_token *ret);
void token_format(const larder_token *token, char ret[TOKEN_TEXT_BYTES]);

/* "l1,warm,l2" → LARDER_ONLY_… bits. */
bool tiers_parse(const char *text, uint8_t *ret);

/* base64 with padding; `ret` has room for 4 * (size / 3 + 1) + 1. */
void base64_format(larder_slice bytes, char *ret);
/* Columns of a terminal: characters, not bytes. */
int text_width(const char *text);
/* Printable, on one line: \t \n \r \\ and \xNN for what is not.  `ret` has room for 4 * size + 1. */
void escape_format(larder_slice bytes, char *ret);

#endif
