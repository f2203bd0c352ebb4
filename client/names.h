/* Keys on their way to the daemon that asked for them, for listing.c (threads) and async_list.c (loops).  A piece is as many as
 * fit; the daemon takes the first so many of it, as it has room. */
#ifndef LARDER_CLIENT_NAMES_H
#define LARDER_CLIENT_NAMES_H

#include <string.h>
#include "client/larder.h"
#include "proto/wire.h"

enum { NAMES_MAX = 512, NAMES_BYTES = 32 * 1024, NAMES_PAUSE_MS = 50 };

struct names {
    uint32_t count;
    size_t bytes;
    struct slice keys[NAMES_MAX];
    char room[NAMES_BYTES];
};

static inline bool names_fit(const struct names *n, size_t key_bytes)
{
    return n->count < NAMES_MAX && n->bytes + key_bytes <= NAMES_BYTES;
}

static inline void names_add(struct names *n, struct slice key)
{
    char *to = n->room + n->bytes;
    memcpy(to, key.data, key.size);
    n->keys[n->count++] = slice_of(to, key.size);
    n->bytes += key.size;
}

/* The first so many are the daemon's.  What their bytes take is free again when all are. */
static inline void names_taken(struct names *n, uint64_t count)
{
    uint32_t taken = count < n->count ? (uint32_t)count : n->count;
    memmove(n->keys, n->keys + taken, (n->count - taken) * sizeof(*n->keys));
    n->count -= taken;
    if (n->count == 0)
        n->bytes = 0;
}

static inline struct wire_listed names_message(const struct names *n, uint8_t flags,
                                               const larder_token *token)
{
    return (struct wire_listed){.flags = flags,
                                .token = slice_of(token->bytes, token->size),
                                .keys = {.count = n->count, .items = n->keys}};
}

#endif
