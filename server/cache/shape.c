#include "cache/shape.h"

#include <string.h>
#include "proto/wire.h"

/* The next part of `rest`, up to a ':' or the end; *ret_last: it ends there. */
static struct slice take_part(struct slice *rest, bool *ret_last)
{
    const char *from = rest->data, *colon = rest->size ? memchr(from, ':', rest->size) : NULL;
    struct slice part = slice_of(from, colon ? (size_t)(colon - from) : rest->size);
    *ret_last = !colon;
    *rest = colon ? slice_of(colon + 1, rest->size - part.size - 1) : slice_of(NULL, 0);
    return part;
}

static bool is_any(struct slice part)
{
    return slice_equal(part, slice_text("*"));
}

bool shape_ok(const char *shape)
{
    struct slice rest = slice_text(shape);
    bool last = !rest.size;
    while (!last) {
        struct slice part = take_part(&rest, &last);
        bool star = part.size && memchr(part.data, '*', part.size);
        if (!part.size || (star && !(last && is_any(part))))
            return false;
    }
    return strlen(shape) <= WIRE_KEY_MAX;
}

bool shape_fits(const char *shape, struct slice key)
{
    struct slice parts = slice_text(shape), part = {0};
    bool shape_ends = !parts.size, key_ends = shape_ends;
    while (!shape_ends && !key_ends) {
        part = take_part(&parts, &shape_ends);
        if (!take_part(&key, &key_ends).size)
            return false;
    }
    while (!key_ends && is_any(part)) /* the last one takes them all */
        if (!take_part(&key, &key_ends).size)
            return false;
    return shape_ends && key_ends;
}
