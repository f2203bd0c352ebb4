#include "client/cli/shown.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "client/cli/text.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

double shown_number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

const char *shown_text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value ? value : "";
}

static const struct shown unknown = {"-"};

struct shown shown_count(double n)
{
    static const char *const units[] = {"", "k", "M", "G", "T"};
    struct shown ret;
    unsigned u = 0;
    if (isnan(n))
        return unknown;
    for (; n >= (u ? 1000 : 10000) && u + 1 < COUNT_OF(units); u++)
        n /= 1000;
    snprintf(ret.text, sizeof(ret.text), u && n < 100 ? "%.1f%s" : "%.0f%s", n, units[u]);
    return ret;
}

struct shown shown_share(double part, double whole)
{
    struct shown ret;
    if (isnan(part) || isnan(whole) || whole <= 0)
        return unknown;
    snprintf(ret.text, sizeof(ret.text), "%.1f%%", 100 * part / whole);
    return ret;
}

struct shown shown_size(double bytes)
{
    struct shown ret;
    if (isnan(bytes) || bytes < 0)
        return unknown;
    size_format((uint64_t)bytes, ret.text, sizeof(ret.text));
    return ret;
}

struct shown shown_time(double seconds)
{
    struct shown ret;
    if (isnan(seconds) || seconds < 0)
        return unknown;
    duration_format((uint64_t)(1000 * seconds), ret.text, sizeof(ret.text));
    return ret;
}

struct shown shown_us(double us)
{
    struct shown ret;
    if (isnan(us))
        return unknown;
    bool long_ = us >= 1000;
    snprintf(ret.text, sizeof(ret.text), long_ ? "%.1f ms" : "%.0f us", long_ ? us / 1000 : us);
    return ret;
}
