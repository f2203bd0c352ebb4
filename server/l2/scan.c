#include "l2/scan.h"

enum { DIGITS_MAX = 19 }; /* of 2^63 */

/* ======= elements and arrays ======= */

/* 1: the reply is whole. */
static int element_ends(struct scan *s)
{
    while (s->depth > 0 && --s->left[s->depth - 1] == 0)
        s->depth--;
    s->at = SCAN_KIND;
    return s->depth == 0;
}

static int array_begins(struct scan *s, const struct resp_limits *limits)
{
    if (s->number > limits->array_elements)
        return RESP_E_ARRAY_ELEMENTS;
    if (s->number > limits->elements - s->elements)
        return RESP_E_ELEMENTS;
    if (s->number == 0)
        return element_ends(s);
    if (s->depth >= limits->depth || s->depth >= RESP_DEPTH_MAX)
        return RESP_E_DEPTH;
    s->elements += (uint32_t)s->number; /* they are sure to come, so they count now */
    s->left[s->depth++] = (uint32_t)s->number;
    s->at = SCAN_KIND;
    return 0;
}

static int body_begins(struct scan *s, const struct resp_limits *limits)
{
    if (s->number > limits->bulk_bytes)
        return RESP_E_BULK_BYTES;
    if (s->number > limits->reply_bytes - s->bytes)
        return RESP_E_REPLY_BYTES;
    s->body_left = s->number;
    s->at = s->number > 0 ? SCAN_BODY : SCAN_BODY_CR;
    return 0;
}

/* ======= lines ======= */

static int line_ends(struct scan *s, const struct resp_limits *limits)
{
    if (s->kind == '+' || s->kind == '-' || s->kind == ':')
        return element_ends(s);
    if (s->negative) /* judged already: it is -1, which is nil */
        return element_ends(s);
    return s->kind == '*' ? array_begins(s, limits) : body_begins(s, limits);
}

/* As hiredis wants them: no sign but '-', no zeros in front, within 64 bits; and as lengths none below -1. */
static bool number_is_sound(const struct scan *s)
{
    if (s->digits == 0 || s->number > (uint64_t)INT64_MAX + s->negative || (s->negative && s->number == 0))
        return false;
    return s->kind == ':' || !s->negative || s->number == 1;
}

static int take_digit(struct scan *s, uint8_t c)
{
    if (c == '-' && s->digits == 0 && !s->negative) {
        s->negative = true;
        return 0;
    }
    if (c < '0' || c > '9' || s->digits == DIGITS_MAX || (s->digits == 1 && s->number == 0))
        return RESP_E_NUMBER;
    s->number = 10 * s->number + (uint64_t)(c - '0');
    s->digits++;
    return 0;
}

static int take_number(struct scan *s, uint8_t c)
{
    if (c != '\r')
        return take_digit(s, c);
    s->at = SCAN_LF;
    return number_is_sound(s) ? 0 : RESP_E_NUMBER;
}

static int take_line(struct scan *s, const struct resp_limits *limits, uint8_t c)
{
    if (c == '\r') {
        s->at = SCAN_LF;
        return 0;
    }
    if (c == '\n' || c == 0)
        return RESP_E_LINE;
    return ++s->line_bytes > limits->line_bytes ? RESP_E_LINE_BYTES : 0;
}

static int take_kind(struct scan *s, uint8_t c)
{
    if (s->depth == 0)
        s->elements = 1;
    s->kind = c;
    s->negative = false;
    s->digits = s->line_bytes = 0;
    s->number = 0;
    switch (c) {
    case '+':
    case '-': s->at = SCAN_LINE; return 0;
    case ':':
    case '$':
    case '*': s->at = SCAN_NUMBER; return 0;
    default: return RESP_E_KIND;
    }
}

/* ======= bytes ======= */

static int take_byte(struct scan *s, const struct resp_limits *limits, uint8_t c)
{
    if (++s->bytes > limits->reply_bytes)
        return RESP_E_REPLY_BYTES;
    switch (s->at) {
    case SCAN_KIND: return take_kind(s, c);
    case SCAN_LINE: return take_line(s, limits, c);
    case SCAN_NUMBER: return take_number(s, c);
    case SCAN_LF: return c == '\n' ? line_ends(s, limits) : RESP_E_LINE;
    case SCAN_BODY: s->at = --s->body_left > 0 ? SCAN_BODY : SCAN_BODY_CR; return 0;
    case SCAN_BODY_CR: s->at = SCAN_BODY_LF; return c == '\r' ? 0 : RESP_E_BODY;
    default: return c == '\n' ? element_ends(s) : RESP_E_BODY;
    }
}

/* A body needs no looking at: its length was judged when it was announced. */
static size_t skip_body(struct scan *s, size_t available)
{
    size_t skipped = s->body_left - 1 < available ? (size_t)s->body_left - 1 : available;
    s->body_left -= skipped;
    s->bytes += skipped;
    return skipped;
}

int scan_some(struct scan *s, const struct resp_limits *limits, struct slice bytes, size_t *ret_used)
{
    const uint8_t *data = bytes.data;
    size_t at = 0;
    int r = 0;
    if (s->at == SCAN_KIND && s->depth == 0)
        s->bytes = 0; /* the reply before left its own count */
    while (r == 0 && at < bytes.size) {
        if (s->at == SCAN_BODY)
            at += skip_body(s, bytes.size - at);
        if (at < bytes.size)
            r = take_byte(s, limits, data[at++]);
    }
    *ret_used = at;
    return r;
}
