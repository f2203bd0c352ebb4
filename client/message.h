/* What callers ask for, judged and put into the protocol's words; and its outcomes back in theirs.  Blocking and
 * asynchronous calls say the same things.
 *
 * Messages point into the caller's options and into the room given: they live as long as those.  Checks return 0 or a
 * LARDER_E_…. */
#ifndef LARDER_CLIENT_MESSAGE_H
#define LARDER_CLIENT_MESSAGE_H

#include "client/client.h"
#include "proto/wire.h"

static inline bool key_fits(larder_slice key)
{
    return key.data && key.size >= 1 && key.size <= WIRE_KEY_MAX;
}

/* ======= reading ======= */

/* A get, or a lease: a get that makes its caller the one who loads what is not there. */
struct reading {
    larder_get_options get;
    bool lease;
    uint8_t scope;
    uint32_t wait_ms, hold_ms, early_ms;
};

/* The oldest protocol version that knows what is asked. */
unsigned reading_version(const struct reading *how);
struct wire_get get_message(const struct reading *how, uint32_t timeout_ms, const struct slice *keys,
                            uint32_t count);
struct wire_lease lease_message(const struct reading *how, const struct slice *keys, uint32_t count);

/* ======= storing ======= */

int conditions(const larder_set_options *how, uint32_t *ret_flags);
int item_check(larder_slice key, larder_slice value, const larder_set_options *how);
int tag_check(larder_slice key, const larder_slice *tags, size_t tags_count);
/* `tags` has room for how->tags_count. */
struct wire_item item_message(larder_slice key, larder_slice value, const larder_set_options *how,
                              struct slice *tags);
/* About what an item takes in a frame: bytes plus the widest heads and numbers. */
size_t item_bytes(const struct wire_item *item);
/* The result; what `how` wants to be told is stored. */
int outcome_take(const struct wire_outcome *o, const larder_set_options *how);

/* ======= invalidating ======= */

int invalidate_check(const larder_invalidate_options *how);
/* `room` has place for all keys, tags and prefixes. */
struct wire_invalidate invalidate_message(const larder_invalidate_options *how, uint32_t timeout_ms,
                                          struct slice *room);
int invalidated_take(const struct wire_result *result, const larder_invalidate_options *how);

#endif
