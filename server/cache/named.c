#include "cache/named.h"

#include <string.h>
#include "base/pattern.h"
#include "proto/shm.h"

enum { CASCADED = 0x80 };

const char *named_word(enum named_kind kind)
{
    static const char *const words[NAMED_KINDS] = {"key", "tag", "prefix", "glob", "all"};
    return words[kind];
}

void named_put(const struct named_item *named, char *bytes, size_t *size)
{
    uint8_t head[NAMED_BYTES] = {(uint8_t)(named->kind | (named->cascaded ? CASCADED : 0)),
                                 (uint8_t)named->name.size, (uint8_t)(named->name.size >> 8)};
    memcpy(bytes + *size, head, sizeof(head));
    if (named->name.size)
        memcpy(bytes + *size + sizeof(head), named->name.data, named->name.size);
    *size += sizeof(head) + named->name.size;
}

bool named_next(struct slice *rest, struct named_item *ret)
{
    const uint8_t *at = rest->data;
    if (rest->size < NAMED_BYTES)
        return false;
    size_t size = at[1] | (size_t)at[2] << 8;
    unsigned kind = at[0] & ~CASCADED;
    if (kind > NAMED_GLOB || size > rest->size - NAMED_BYTES)
        return false;
    *ret = (struct named_item){(enum named_kind)kind, at[0] & CASCADED, slice_of(at + NAMED_BYTES, size)};
    *rest = slice_of(at + NAMED_BYTES + size, rest->size - NAMED_BYTES - size);
    return true;
}

static bool has_tag(const struct named_of *of, struct slice tag)
{
    if (!of->tags_count)
        return false;
    uint64_t hash = shm_hash_name(of->hash_secret, SHM_NAME_TAG, tag);
    for (unsigned i = 0; i < of->tags_count; i++)
        if (of->tags[i] == hash || of->tags[i] == shm_fingerprint(hash))
            return true;
    return false;
}

static bool begins_with(struct slice key, struct slice prefix)
{
    return prefix.size <= key.size && memcmp(key.data, prefix.data, prefix.size) == 0;
}

static bool matches(struct slice key, struct slice glob)
{
    struct pattern_names names = {.count = 0};
    struct pattern pattern;
    struct key_levels levels;
    const char *why;
    if (!pattern_parse(glob, &names, &pattern, &why))
        return false;
    key_split(key, &levels);
    return pattern_match(&pattern, &levels);
}

bool named_concerns(const struct named_item *named, const struct named_of *of)
{
    switch (named->kind) {
    case NAMED_KEY: return slice_equal(named->name, of->key);
    case NAMED_TAG: return has_tag(of, named->name);
    case NAMED_PREFIX: return named->name.size && begins_with(of->key, named->name);
    case NAMED_GLOB: return matches(of->key, named->name);
    default: return true;
    }
}
