#include "bench/codec.h"

#include <string.h>

bool codec_line(struct slice bytes, struct slice *ret_line, size_t *ret_used)
{
    const char *p = bytes.data;
    const char *end = bytes.size ? memchr(p, '\n', bytes.size) : NULL;
    if (!end)
        return false;
    *ret_line = slice_of(p, end > p ? (size_t)(end - p) - 1 : 0);
    *ret_used = (size_t)(end - p) + 1;
    return true;
}

void codec_why(struct answer *a, struct slice line)
{
    size_t size = line.size < sizeof(a->why) - 1 ? line.size : sizeof(a->why) - 1;
    a->kind = ANSWER_REFUSED;
    memcpy(a->why, line.data, size);
    a->why[size] = '\0';
}
