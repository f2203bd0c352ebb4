/* A listing of a larder_async: keys the daemon asks the app to name. */
#ifndef LARDER_CLIENT_ASYNC_LIST_H
#define LARDER_CLIENT_ASYNC_LIST_H

#include "client/async.h"
#include "client/serve.h"

/* Whoever the daemon asked, with its token.  NULL: no memory. */
struct larder_async_listing *async_listing_create(struct larder_async *a, const struct registered *by,
                                                  struct slice token);
/* Calls the app. */
void async_listing_start(struct larder_async_listing *l);

#endif
