/* Options and figures, declared beside the module they belong to and expanded wherever they are needed: struct,
 * parser, environment name, help, man page, reload class; counter, JSON name, help.
 *
 *   #define L1_OPTIONS(OPTION)                                                                 \
 *       OPTION(SIZE, l1_bytes, "256MiB", 4ull << 20, 32ull << 30, START, "CACHE_L1_MAX_SIZE_MB:MIB", "sentence")
 *   struct l1_options { KNOB_FIELDS(L1_OPTIONS) };
 *
 *   TYPE      C type       written as
 *   SIZE      uint64_t     bytes: 4096, 64KiB, 1MiB, 2GiB
 *   COUNT     uint64_t     1000
 *   DURATION  uint64_t     nanoseconds: 100ms, 30s, 5m, 1h, 2d, or a name from [durations]
 *   SWITCH    bool         true false 1 0 yes no on off
 *   RATIO     uint64_t     thousandths: 80%, 99.5%, 0.8
 *   TEXT      const char*  anything; "" is none
 *
 * Reload class: LIVE takes effect on SIGHUP, START needs a restart and is reported when it changed.
 * Aliases: environment variables people have today, comma separated, each with the unit its number has there:
 * "NAME" (same syntax), "NAME:S" seconds, "NAME:MS", "NAME:MIB", "NAME:B". */
#ifndef LARDER_BASE_KNOB_H
#define LARDER_BASE_KNOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum knob_type { KNOB_SIZE, KNOB_COUNT, KNOB_DURATION, KNOB_SWITCH, KNOB_TEXT, KNOB_RATIO };
enum knob_reload { KNOB_LIVE, KNOB_START };

#define KNOB_C_SIZE     uint64_t
#define KNOB_C_COUNT    uint64_t
#define KNOB_C_DURATION uint64_t
#define KNOB_C_SWITCH   bool
#define KNOB_C_TEXT     const char *
#define KNOB_C_RATIO    uint64_t

#define KNOB_FIELD(TYPE, name, fallback, min, max, reload, aliases, sentence) KNOB_C_##TYPE name;
#define KNOB_FIELDS(TABLE)                                                    TABLE(KNOB_FIELD)

/* One row for code that walks options: `offset` within the struct the table was expanded into. */
struct knob {
    const char *name;
    enum knob_type type;
    const char *fallback;
    uint64_t min, max;
    enum knob_reload reload;
    const char *aliases;
    const char *sentence;
    size_t offset;
};
#define KNOB_ROW(TYPE, name_, fallback_, min_, max_, reload_, aliases_, sentence_) \
    {#name_,   KNOB_##TYPE, fallback_,                                             \
     min_,     max_,        KNOB_##reload_,                                        \
     aliases_, sentence_,   offsetof(KNOB_STRUCT, name_)},

/* Figures: FIGURE(COUNTER or GAUGE, name, "sentence") → struct fields of uint64_t, and rows for JSON and metrics. */
enum figure_kind { FIGURE_COUNTER, FIGURE_GAUGE };
struct figure {
    const char *name;
    enum figure_kind kind;
    const char *sentence;
    size_t offset;
};
#define FIGURE_FIELD(KIND, name, sentence) uint64_t name;
#define FIGURE_FIELDS(TABLE)               TABLE(FIGURE_FIELD)
#define FIGURE_ROW(KIND, name_, sentence_) {#name_, FIGURE_##KIND, sentence_, offsetof(FIGURE_STRUCT, name_)},

#endif
