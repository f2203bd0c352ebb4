/* How people write sizes, durations, counts and switches, and how we write them back.  Pure. */
#ifndef LARDER_APP_UNITS_H
#define LARDER_APP_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/knob.h"

/* Looks a name from [durations] up; false: no such name. */
struct named_durations {
    bool (*find)(void *user, const char *name, uint64_t *ret_ns);
    void *user;
};

/* "12" of an alias that counts in `plain_unit` is 12 * plain_unit; with 0 a size is in bytes, and a duration has to
 * name its unit.  All are false for anything but a whole, unsigned number that fits 64 bits. */
bool parse_size(const char *text, uint64_t plain_unit, uint64_t *ret_bytes);
bool parse_duration(const char *text, uint64_t plain_unit, const struct named_durations *names,
                    uint64_t *ret_ns);
bool parse_count(const char *text, uint64_t *ret);
bool parse_switch(const char *text, bool *ret);
bool parse_ratio(const char *text, uint64_t *ret_thousandths); /* 80%, 99.5%, 0.8 */
bool parse_mode(const char *text, unsigned *ret);              /* octal, 0 to 0777 */

enum { UNIT_TEXT = 32 };
/* The shortest exact form: 64MiB, 1500ms, 1h. */
const char *print_size(uint64_t bytes, char ret[UNIT_TEXT]);
const char *print_duration(uint64_t ns, char ret[UNIT_TEXT]);
const char *print_ratio(uint64_t thousandths, char ret[UNIT_TEXT]); /* 80%, 99.5% */

#endif
