/* Reading, for the calls that begin with it: shared memory first, then the daemon. */
#ifndef LARDER_CLIENT_READ_H
#define LARDER_CLIENT_READ_H

#include "client/ask.h"
#include "client/message.h"

enum { READ_NOT_NEAR = INT32_MIN }; /* shared memory cannot answer */

/* HIT, ABSENT, NOT_MODIFIED, or READ_NOT_NEAR.  No lock, no system call. */
int read_near(struct larder_client *c, struct slice key, const larder_get_options *how, larder_value *value);
/* The same inside an attachment that was entered. */
int read_near_at(struct attachment *a, struct seat *seat, struct slice key, uint64_t hash,
                 const larder_get_options *how, larder_value *value);
/* Whether shared memory may answer that at all. */
bool read_near_allowed(const larder_get_options *how);

/* What the daemon says, or why it says nothing; then `value` is not as a caller may see it (value_fail). */
int read_far(struct call *call, struct slice key, const struct reading *how, larder_value *value);
int read_ask(struct call *call, const struct reading *how, const struct slice *keys, uint32_t count,
             struct wire_values *ret);
/* Up to WIRE_BATCH_MAX keys; each value is left as its caller sees it.  Hits, or an error that concerns all. */
int read_many(struct larder_client *c, const larder_slice *keys, size_t count, const struct reading *how,
              const char *op, larder_value *values);

#endif
