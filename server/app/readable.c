#include "app/readable.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/check.h"

enum { SHOWN_BYTES = 4 /* \xNN */ };

/* Those of ASCII, and U+0080 to U+009F, which terminals obey as well: C2 80 to C2 9F. */
static size_t control_bytes(const uint8_t *at, size_t left)
{
    if (*at < 0x20 || *at == 0x7f)
        return 1;
    return *at == 0xc2 && left > 1 && at[1] >= 0x80 && at[1] < 0xa0 ? 2 : 0;
}

static bool is_utf8(struct slice s)
{
    json_t *text = json_stringn(s.size ? s.data : "", s.size);
    json_decref(text);
    return text;
}

bool is_readable(struct slice s)
{
    const uint8_t *bytes = s.data;
    for (size_t i = 0; i < s.size; i++)
        if (control_bytes(bytes + i, s.size - i))
            return false;
    return is_utf8(s);
}

json_t *readable(struct slice s)
{
    const uint8_t *bytes = s.data;
    bool utf8 = is_utf8(s);
    char *room = must_alloc(SHOWN_BYTES * s.size + 1), *at = room;
    size_t hidden = 0; /* bytes from here on */
    for (size_t i = 0; i < s.size; i++) {
        if (!hidden)
            hidden = control_bytes(bytes + i, s.size - i);
        if (hidden || (!utf8 && bytes[i] >= 0x80))
            at += snprintf(at, SHOWN_BYTES + 1, "\\x%02x", bytes[i]);
        else
            *at++ = (char)bytes[i];
        hidden -= hidden > 0;
    }
    json_t *text = json_stringn(room, (size_t)(at - room));
    free(room);
    return text;
}
