/* The tags of an entry by name, as they travel with it: 16 bits of size, little endian, and the bytes, each.  Who has hashes
 * of them only (L1 has not even those) leaves them out: they are for whoever copies an entry to where other hashes are used.
 *
 * Pure.  Whatever the bytes are, the walk stays within them. */
#ifndef LARDER_BASE_TAG_NAMES_H
#define LARDER_BASE_TAG_NAMES_H

#include <stdbool.h>
#include <string.h>
#include "proto/shm.h"
#include "proto/slice.h"

enum { TAG_NAME_HEAD = 2, TAG_NAME_MAX = 255, TAG_NAMES_MAX = SHM_TAGS_MAX * (TAG_NAME_HEAD + TAG_NAME_MAX) };

/* `room`: TAG_NAMES_MAX bytes; at most SHM_TAGS_MAX names of at most TAG_NAME_MAX bytes. */
static inline struct slice tag_names_pack(void *room, const struct slice *names, unsigned count)
{
    unsigned char *at = room;
    for (unsigned i = 0; i < count; i++) {
        *at++ = (unsigned char)names[i].size;
        *at++ = (unsigned char)(names[i].size >> 8);
        memcpy(at, names[i].data, names[i].size);
        at += names[i].size;
    }
    return slice_of(room, (size_t)(at - (unsigned char *)room));
}

/* Takes the first off; false: there is none, or what is left makes no sense. */
static inline bool tag_names_next(struct slice *rest, struct slice *ret)
{
    const unsigned char *at = rest->data;
    if (rest->size < TAG_NAME_HEAD)
        return false;
    size_t size = at[0] | (size_t)at[1] << 8;
    if (size > rest->size - TAG_NAME_HEAD)
        return false;
    *ret = slice_of(at + TAG_NAME_HEAD, size);
    *rest = slice_of(at + TAG_NAME_HEAD + size, rest->size - TAG_NAME_HEAD - size);
    return true;
}

#endif
