#include "client/cli/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "proto/status.h"

/* ======= durations and sizes ======= */

static const struct {
    const char *unit;
    uint64_t ms;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
enum { UNITS = sizeof(units) / sizeof(units[0]) };

static bool unit_find(const char *text, size_t size, uint64_t *ret_ms)
{
    for (int i = 0; i < UNITS; i++)
        if (strlen(units[i].unit) == size && memcmp(units[i].unit, text, size) == 0) {
            *ret_ms = units[i].ms;
            return true;
        }
    return false;
}

static bool number_parse(const char **text, int base, uint64_t *ret)
{
    char *end;
    if (!isxdigit((unsigned char)**text))
        return false; /* strtoull would take signs and blanks */
    errno = 0;
    *ret = strtoull(*text, &end, base);
    if (errno || end == *text)
        return false;
    *text = end;
    return true;
}

bool duration_parse(const char *text, uint64_t *ret_ms)
{
    uint64_t sum = 0;
    if (strcmp(text, "0") == 0) {
        *ret_ms = 0;
        return true;
    }
    do {
        uint64_t n, unit_ms, part;
        if (!number_parse(&text, 10, &n))
            return false;
        size_t size = strspn(text, "dhms");
        if (!unit_find(text, size, &unit_ms) || __builtin_mul_overflow(n, unit_ms, &part) ||
            __builtin_add_overflow(sum, part, &sum) || sum == UINT64_MAX)
            return false;
        text += size;
    } while (*text);
    *ret_ms = sum;
    return true;
}

void duration_format(uint64_t ms, char *ret, size_t bytes)
{
    int i = 0;
    while (i < UNITS - 1 && ms < units[i].ms)
        i++;
    uint64_t first = ms / units[i].ms, rest = ms % units[i].ms;
    uint64_t second = i + 1 < UNITS ? rest / units[i + 1].ms : 0;
    if (second)
        snprintf(ret, bytes, "%llu%s%llu%s", (unsigned long long)first, units[i].unit,
                 (unsigned long long)second, units[i + 1].unit);
    else
        snprintf(ret, bytes, "%llu%s", (unsigned long long)first, units[i].unit);
}

void size_format(uint64_t n, char *ret, size_t bytes)
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double size = (double)n;
    unsigned i = 0;
    for (; size >= 1024 && i < 4; i++)
        size /= 1024;
    snprintf(ret, bytes, i ? "%.1f %s" : "%.0f %s", size, names[i]);
}

/* ======= versions and tokens ======= */

static bool hex_part(const char **text, char end, uint64_t max, uint64_t *ret)
{
    bool ended = number_parse(text, 16, ret) && *ret <= max && (**text == end || (end && **text == '-'));
    if (!ended)
        return false;
    *text += end != '\0';
    return true;
}

bool version_parse(const char *text, larder_entry_version *ret)
{
    uint64_t epoch, v, id;
    if (!hex_part(&text, '.', UINT64_MAX, &epoch) || !hex_part(&text, '.', UINT64_MAX, &v) ||
        !hex_part(&text, '\0', UINT32_MAX, &id))
        return false;
    *ret = (larder_entry_version){epoch, v, (uint32_t)id};
    return true;
}

void version_format(larder_entry_version version, char ret[VERSION_TEXT_BYTES])
{
    snprintf(ret, VERSION_TEXT_BYTES, "%llx.%llx.%x", (unsigned long long)version.epoch,
             (unsigned long long)version.v, version.id);
}

bool position_parse(const char *text, larder_position *ret)
{
    uint64_t partition, epoch, v;
    if (!hex_part(&text, '.', 63, &partition) || !hex_part(&text, '.', UINT64_MAX, &epoch) ||
        !hex_part(&text, '\0', UINT64_MAX, &v))
        return false;
    *ret = (larder_position){(uint8_t)partition, epoch, v};
    return true;
}

void position_format(larder_position position, char ret[POSITION_TEXT_BYTES])
{
    snprintf(ret, POSITION_TEXT_BYTES, "%x.%llx.%llx", position.partition & 63,
             (unsigned long long)position.epoch, (unsigned long long)position.v);
}

static const char hex_digits[] = "0123456789abcdef";

static int hex_value(char digit)
{
    const char *at = digit ? strchr(hex_digits, digit) : NULL;
    return at ? (int)(at - hex_digits) : -1;
}

bool token_parse(const char *text, larder_token *ret)
{
    size_t size = strlen(text);
    if (size == 0 || size % 2 || size / 2 > sizeof(ret->bytes))
        return false;
    for (size_t i = 0; i < size; i += 2) {
        int high = hex_value(text[i]), low = hex_value(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret->bytes[i / 2] = (uint8_t)(high << 4 | low);
    }
    ret->size = (uint8_t)(size / 2);
    return true;
}

void token_format(const larder_token *token, char ret[TOKEN_TEXT_BYTES])
{
    for (unsigned i = 0; i < token->size; i++) {
        *ret++ = hex_digits[token->bytes[i] >> 4];
        *ret++ = hex_digits[token->bytes[i] & 15];
    }
    *ret = '\0';
}

/* ======= tiers ======= */

static uint8_t tier_bit(const char *name, size_t size)
{
#define TIER(code, NAME, text)                                                      \
    if (code != TIER_NONE && strlen(text) == size && memcmp(name, text, size) == 0) \
        return (uint8_t)(1u << (code));
    TIER_TABLE(TIER)
#undef TIER
    return 0;
}

bool tiers_parse(const char *text, uint8_t *ret)
{
    uint8_t bits = 0;
    for (;;) {
        size_t size = strcspn(text, ",");
        uint8_t bit = tier_bit(text, size);
        if (!bit)
            return false;
        bits |= bit;
        if (!text[size])
            break;
        text += size + 1;
    }
    *ret = bits;
    return true;
}

/* ======= bytes ======= */

void base64_format(larder_slice bytes, char *ret)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = bytes.data;
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t n = (uint32_t)p[i] << 16;
        n |= left > 1 ? (uint32_t)p[i + 1] << 8 : 0;
        n |= left > 2 ? p[i + 2] : 0u;
        *ret++ = digits[n >> 18];
        *ret++ = digits[n >> 12 & 63];
        *ret++ = left > 1 ? digits[n >> 6 & 63] : '=';
        *ret++ = left > 2 ? digits[n & 63] : '=';
    }
    *ret = '\0';
}

/* Bytes from 0x80 on stay: most text is UTF-8, and a reader of a pipe wants it back. */
void escape_format(larder_slice bytes, char *ret)
{
    static const char named[] = "\t\n\r\\", names[] = "tnr\\";
    const uint8_t *p = bytes.data;
    for (size_t i = 0; i < bytes.size; i++) {
        const char *at = p[i] ? strchr(named, p[i]) : NULL;
        if (at) {
            *ret++ = '\\';
            *ret++ = names[at - named];
        } else if (p[i] < ' ' || p[i] == 0x7f) {
            *ret++ = '\\';
            *ret++ = 'x';
            *ret++ = hex_digits[p[i] >> 4];
            *ret++ = hex_digits[p[i] & 15];
        } else
            *ret++ = (char)p[i];
    }
    *ret = '\0';
}

/* Continuation bytes of UTF-8 take no column. */
int text_width(const char *text)
{
    int width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}
