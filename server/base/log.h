/* One line an event, structured, to stderr: logfmt on a terminal, JSON otherwise.  Never a value; keys only at
 * debug.
 *
 * What must stay true: logging never blocks.  A line is formatted into a bounded buffer and written with a
 * non-blocking write; when nobody reads the other end, lines are dropped and counted, and the count is logged
 * as soon as a line gets through again.  Any thread may log.  What a peer sent is escaped: control characters as
 * \uXXXX, bytes that are no UTF-8 as \xNN; a line over 4 KiB is cut. */
#ifndef LARDER_BASE_LOG_H
#define LARDER_BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "proto/slice.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_AUTO, LOG_LOGFMT, LOG_JSON };

/* To begin with lines go to stderr as logfmt from info on.  The descriptor stays the caller's and must stay open. */
void log_setup(enum log_level level, enum log_format format, int fd);
void log_set_level(enum log_level level);
bool log_on(enum log_level level);
uint64_t log_dropped(void);

/* log_info("warm tier opened", L_TEXT("path", path), L_U64("entries", n)) */
struct log_field {
    const char *name;
    enum { LOG_F_TEXT, LOG_F_U64, LOG_F_I64, LOG_F_US, LOG_F_BYTES } kind;
    struct slice text;
    uint64_t number;
};
#define L_TEXT(name_, value) ((struct log_field){.name = (name_), .kind = LOG_F_TEXT, .text = slice_text(value)})
#define L_BYTES(name_, slice_) ((struct log_field){.name = (name_), .kind = LOG_F_BYTES, .text = (slice_)})
#define L_U64(name_, value)  ((struct log_field){.name = (name_), .kind = LOG_F_U64, .number = (uint64_t)(value)})
#define L_I64(name_, value)                                                                                    \
    ((struct log_field){.name = (name_), .kind = LOG_F_I64, .number = (uint64_t)(int64_t)(value)})
/* nanoseconds, shown as microseconds with one decimal: us=2.3 */
#define L_US(name_, ns) ((struct log_field){.name = (name_), .kind = LOG_F_US, .number = (uint64_t)(ns)})

/* `message` may be empty: a line of fields only. */
void log_line(enum log_level level, const char *message, const struct log_field *fields, unsigned count);
#define LOG_AT(level, message, ...)                                                                            \
    do {                                                                                                       \
        if (log_on(level)) {                                                                                   \
            const struct log_field log_fields_[] = {{0}, ##__VA_ARGS__};                                       \
            log_line(level, message, log_fields_ + 1, sizeof(log_fields_) / sizeof(log_fields_[0]) - 1);       \
        }                                                                                                      \
    } while (0)
#define log_debug(message, ...) LOG_AT(LOG_DEBUG, message, ##__VA_ARGS__)
#define log_info(message, ...)  LOG_AT(LOG_INFO, message, ##__VA_ARGS__)
#define log_warn(message, ...)  LOG_AT(LOG_WARN, message, ##__VA_ARGS__)
#define log_error(message, ...) LOG_AT(LOG_ERROR, message, ##__VA_ARGS__)

/* For what can happen thousands of times a second: one line every `every_ns` at most.  When it may be logged,
 * *ret_held_back tells how many were not since the last one.
 *     static struct log_limit limit = {.every_ns = NS_PER_S};
 *     if (log_allowed(&limit, now_ns, &held_back)) log_warn("…", L_U64("held_back", held_back)); */
struct log_limit {
    uint64_t every_ns;
    _Atomic uint64_t next_ns, held_back;
};
bool log_allowed(struct log_limit *limit, uint64_t now_ns, uint64_t *ret_held_back);

#endif
