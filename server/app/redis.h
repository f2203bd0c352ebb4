/* From the configuration to the address of Redis: what [redis] says, or its host, port and password, as one URL; and
 * the certificates.  What must stay true: no password leaves this room but within the URL. */
#ifndef LARDER_APP_REDIS_H
#define LARDER_APP_REDIS_H

#include "l2/l2.h"
#include "l2/tls.h"

struct redis {
    bool configured; /* else the daemon is STANDALONE */
    struct l2_url url;
    struct tls_context *tls;
};

/* NULL, or a sentence: what is wrong with it. */
const char *redis_open(struct redis *r, const struct l2_options *options);
void redis_close(struct redis *r); /* zeroed memory is fine */

#endif
