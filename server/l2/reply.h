/* What Redis answered, as a flat view: the elements in the order they came, an array before what it holds.
 *
 * What must stay true: a view is walked by counts that were checked before it was made, owns nothing, and lives until
 * the callback that was given it returns.  What is in it was written by somebody else: kinds are looked at, never
 * assumed. */
#ifndef LARDER_L2_REPLY_H
#define LARDER_L2_REPLY_H

#include <stdint.h>
#include "proto/slice.h"

enum l2_kind { L2_NIL, L2_STATUS, L2_ERROR, L2_INTEGER, L2_BULK, L2_ARRAY };

struct l2_reply {
    enum l2_kind kind;
    uint32_t count;    /* ARRAY: its elements */
    uint32_t span;     /* with everything inside: the next sibling is this + span */
    int64_t integer;   /* INTEGER */
    struct slice text; /* STATUS, ERROR, BULK */
};

/* The i-th element; NULL when this is no array or has none such. */
static inline const struct l2_reply *l2_reply_at(const struct l2_reply *r, uint32_t i)
{
    if (r->kind != L2_ARRAY || i >= r->count)
        return NULL;
    const struct l2_reply *at = r + 1;
    while (i-- > 0)
        at += at->span;
    return at;
}

/* for (const struct l2_reply *e = l2_reply_first(r); e; e = l2_reply_next(r, e)) */
static inline const struct l2_reply *l2_reply_first(const struct l2_reply *array)
{
    return array->kind == L2_ARRAY && array->count > 0 ? array + 1 : NULL;
}
static inline const struct l2_reply *l2_reply_next(const struct l2_reply *array,
                                                   const struct l2_reply *element)
{
    element += element->span;
    return element < array + array->span ? element : NULL;
}

/* "+OK": a status of exactly these letters. */
static inline bool l2_reply_is_status(const struct l2_reply *r, const char *text)
{
    return r->kind == L2_STATUS && slice_equal(r->text, slice_text(text));
}

/* "-NOSCRIPT No matching script": an error that begins with this word. */
static inline bool l2_reply_is_error(const struct l2_reply *r, const char *code)
{
    size_t size = strlen(code);
    if (r->kind != L2_ERROR || r->text.size < size || memcmp(r->text.data, code, size) != 0)
        return false;
    return r->text.size == size || ((const char *)r->text.data)[size] == ' ';
}

#endif
