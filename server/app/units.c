#include "app/units.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/check.h"

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest last: printing takes the last that divides. */
static const struct unit size_units[] = {
    {"B", 1}, {"KiB", 1ull << 10}, {"MiB", 1ull << 20}, {"GiB", 1ull << 30}, {"TiB", 1ull << 40}};
static const struct unit time_units[] = {{"ns", 1},
                                         {"us", 1000ull},
                                         {"ms", 1000000ull},
                                         {"s", 1000000000ull},
                                         {"m", 60000000000ull},
                                         {"h", 3600000000000ull},
                                         {"d", 86400000000000ull}};

/* Digits at *text; moves behind them. */
static bool take_number(const char **text, uint64_t *ret)
{
    char *end;
    if (!isdigit((unsigned char)**text))
        return false;
    errno = 0;
    *ret = strtoull(*text, &end, 10);
    *text = end;
    return errno == 0;
}

static bool take_unit(const char **text, const struct unit *units, size_t count, uint64_t *ret_factor)
{
    size_t size = 0;
    while (isalpha((unsigned char)(*text)[size]))
        size++;
    for (size_t i = 0; i < count; i++)
        if (strlen(units[i].name) == size && strncasecmp(units[i].name, *text, size) == 0) {
            *text += size;
            *ret_factor = units[i].factor;
            return true;
        }
    return false;
}

bool parse_size(const char *text, uint64_t plain_unit, uint64_t *ret_bytes)
{
    uint64_t number, factor = plain_unit ? plain_unit : 1;
    if (!take_number(&text, &number))
        return false;
    if (*text && !take_unit(&text, size_units, COUNT_OF(size_units), &factor))
        return false;
    return *text == '\0' && !__builtin_mul_overflow(number, factor, ret_bytes);
}

/* 1h30m is the sum of its parts. */
static bool parse_parts(const char *text, uint64_t *ret_ns)
{
    uint64_t sum = 0, number, factor, part;
    do {
        if (!take_number(&text, &number) || !take_unit(&text, time_units, COUNT_OF(time_units), &factor) ||
            __builtin_mul_overflow(number, factor, &part) || __builtin_add_overflow(sum, part, &sum))
            return false;
    } while (*text);
    *ret_ns = sum;
    return true;
}

bool parse_duration(const char *text, uint64_t plain_unit, const struct named_durations *names,
                    uint64_t *ret_ns)
{
    uint64_t number;
    const char *rest = text;
    if (take_number(&rest, &number) && *rest == '\0' && (plain_unit || number == 0))
        return !__builtin_mul_overflow(number, plain_unit, ret_ns);
    if (parse_parts(text, ret_ns))
        return true;
    return names && names->find(names->user, text, ret_ns);
}

bool parse_count(const char *text, uint64_t *ret)
{
    return take_number(&text, ret) && *text == '\0';
}

bool parse_switch(const char *text, bool *ret)
{
    static const char *const words[] = {"off", "on", "false", "true", "0", "1", "no", "yes"};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strcasecmp(text, words[i]) == 0) {
            *ret = i % 2;
            return true;
        }
    return false;
}

/* Up to three digits behind the point; moves behind them.  `one` is what a whole counts. */
static bool take_fraction(const char **text, uint64_t one, uint64_t *ret)
{
    uint64_t whole, part = 0;
    if (!take_number(text, &whole) || __builtin_mul_overflow(whole, one, ret))
        return false;
    if (**text != '.')
        return true;
    for (++*text; isdigit((unsigned char)**text) && one >= 10; ++*text)
        part += (uint64_t)(**text - '0') * (one /= 10);
    return !__builtin_add_overflow(*ret, part, ret);
}

bool parse_ratio(const char *text, uint64_t *ret_thousandths)
{
    bool percent = *text && text[strlen(text) - 1] == '%';
    return take_fraction(&text, percent ? 10 : 1000, ret_thousandths) &&
           strcmp(text, percent ? "%" : "") == 0;
}

bool parse_mode(const char *text, unsigned *ret)
{
    char *end;
    unsigned long mode = strtoul(text, &end, 8);
    if (!isdigit((unsigned char)*text) || *end || mode > 0777)
        return false;
    *ret = (unsigned)mode;
    return true;
}

static const char *print_unit(uint64_t number, const struct unit *units, size_t count, char ret[UNIT_TEXT])
{
    while (count > 1 && (number % units[count - 1].factor || number == 0))
        count--;
    snprintf(ret, UNIT_TEXT, "%llu%s", (unsigned long long)(number / units[count - 1].factor),
             units[count - 1].name);
    return ret;
}

const char *print_size(uint64_t bytes, char ret[UNIT_TEXT])
{
    return print_unit(bytes, size_units, COUNT_OF(size_units), ret);
}

const char *print_duration(uint64_t ns, char ret[UNIT_TEXT])
{
    if (ns == 0)
        return strcpy(ret, "0s");
    return print_unit(ns, time_units, COUNT_OF(time_units), ret);
}

const char *print_ratio(uint64_t thousandths, char ret[UNIT_TEXT])
{
    unsigned long long percent = thousandths / 10, tenth = thousandths % 10;
    snprintf(ret, UNIT_TEXT, tenth ? "%llu.%llu%%" : "%llu%%", percent, tenth);
    return ret;
}
