#include "cache/sources.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "proto/wire.h"

static bool begins_with(struct slice s, const char *word)
{
    return s.size >= strlen(word) && memcmp(s.data, word, strlen(word)) == 0;
}

static struct slice behind(struct slice s, size_t offset)
{
    return slice_of((const char *)s.data + offset, s.size - offset);
}

static bool number(struct slice *rest, uint64_t *ret)
{
    const char *at = rest->data;
    size_t digits = 0;
    for (*ret = 0; digits < rest->size && at[digits] >= '0' && at[digits] <= '9'; digits++)
        *ret = *ret * 10 + (uint64_t)(at[digits] - '0');
    *rest = behind(*rest, digits);
    return digits > 0 && digits < 19;
}

/* "{1-100}" at the front of *rest. */
static bool range(struct slice *rest, struct key_source *ret)
{
    *rest = behind(*rest, 1);
    if (!number(rest, &ret->from) || !begins_with(*rest, "-"))
        return false;
    *rest = behind(*rest, 1);
    if (!number(rest, &ret->to) || !begins_with(*rest, "}"))
        return false;
    *rest = behind(*rest, 1);
    return ret->from <= ret->to && ret->to - ret->from < KEY_RANGE_MAX;
}

static bool parse_key(struct slice text, struct key_source *ret, const char **ret_why)
{
    const char *brace = memchr(text.data, '{', text.size);
    ret->kind = KEYS_NAMED;
    ret->text = text;
    if (text.size > WIRE_KEY_MAX / 2) {
        *ret_why = "a key of at most 512 bytes is expected";
        return false;
    }
    if (!brace)
        return true;
    struct slice rest = behind(text, (size_t)(brace - (const char *)text.data));
    ret->text.size = (size_t)(brace - (const char *)text.data);
    ret->is_range = range(&rest, ret);
    ret->tail = rest;
    *ret_why = "a range is {FROM-TO}, of a million keys at most";
    return ret->is_range;
}

bool key_source_parse(struct slice item, struct key_source *ret, const char **ret_why)
{
    *ret = (struct key_source){.kind = KEYS_STORED};
    if (slice_equal(item, slice_text("stored")))
        return true;
    if (slice_equal(item, slice_text("hot"))) {
        ret->kind = KEYS_HOT;
        return true;
    }
    if (slice_equal(item, slice_text("loader"))) {
        ret->kind = KEYS_OF_LOADER;
        return true;
    }
    if (begins_with(item, "file /")) {
        ret->kind = KEYS_OF_FILE;
        ret->text = behind(item, strlen("file "));
        return true;
    }
    if (begins_with(item, "key ") && item.size > strlen("key "))
        return parse_key(behind(item, strlen("key ")), ret, ret_why);
    *ret_why = "expected stored, hot, loader, file /PATH, or key NAME";
    return false;
}

struct slice key_source_nth(const struct key_source *s, uint64_t n, char *room)
{
    if (n > (s->is_range ? s->to - s->from : 0))
        return slice_of(NULL, 0);
    if (!s->is_range)
        return s->text;
    int size =
        snprintf(room, WIRE_KEY_MAX, "%.*s%" PRIu64 "%.*s", (int)s->text.size, (const char *)s->text.data,
                 s->from + n, (int)s->tail.size, s->tail.size ? (const char *)s->tail.data : "");
    return slice_of(room, size > 0 ? (size_t)size : 0);
}
