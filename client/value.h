/* A larder_value is filled in here and nowhere else: from nothing, from an entry of the daemon, from what a loader
 * handed back, from another value. */
#ifndef LARDER_CLIENT_VALUE_H
#define LARDER_CLIENT_VALUE_H

#include "client/client.h"
#include "proto/wire.h"

/* Room for `size` bytes; old contents are not kept.  False: no memory, and nothing changed. */
bool value_reserve(larder_value *value, size_t size);
/* Everything but the buffer; returns `result`. */
int value_clear(larder_value *value, int result, int reason);
/* A failed read: a MISS with a reason, or the error itself when it is the caller's fault or the client is strict. */
int value_fail(const struct larder_client *c, larder_value *value, int error);
/* Returns the result, or the error of this key, which value_fail turns into what the caller is to see. */
int value_from_entry(larder_value *value, const struct wire_entry *e);
/* The whole of it but the buffer, which is filled with the same bytes.  0 or MEMORY. */
int value_copy(larder_value *to, const larder_value *from);
/* Contents alone.  0 or MEMORY. */
int value_put(larder_value *value, const void *data, size_t size);

#endif
