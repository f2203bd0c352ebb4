/* Registered loaders: what the app can load when the daemon asks, for serve.c (threads) and async_serve.c (loops).
 *
 * Only added to, so whoever has seen a count may read so many without the lock. */
#ifndef LARDER_CLIENT_SERVE_H
#define LARDER_CLIENT_SERVE_H

#include <pthread.h>
#include <stdatomic.h>
#include "client/larder_async.h"
#include "client/pool.h"
#include "proto/wire.h"

enum { REGISTERED_MAX = 16 };

struct registered {
    char *pattern;
    struct slice text;
    larder_loader loader; /* one of the two */
    larder_async_loader async_loader;
    void *user;
    _Atomic(larder_lister) lister; /* set once, if at all, after lister_user */
    larder_async_lister async_lister;
    void *lister_user;
};

struct registry {
    pthread_mutex_t lock; /* of adding */
    _Atomic unsigned count;
    struct registered of[REGISTERED_MAX];
    struct pool pool; /* connections that serve: each is a loader to the daemon */
};

int registry_init(struct registry *registry);
void registry_finish(struct registry *registry);
void registry_reborn(struct registry *registry);

/* The one with that pattern, or NULL. */
struct registered *registry_named(struct registry *registry, struct slice pattern);
/* Asks its lister.  What that returned. */
int list_keys(struct larder_client *c, const struct registered *by, const larder_token *token);
/* Copies the pattern.  INVALID, LIMIT, MEMORY. */
int registry_add(struct registry *registry, struct slice pattern, larder_loader loader,
                 larder_async_loader async_loader, void *user);
/* An offer of all that is registered.  `room`: REGISTERED_MAX slices. */
struct wire_offer registry_offer(struct registry *registry, uint32_t wait_ms, uint32_t hold_ms,
                                 struct slice *room);
/* Whose key the daemon asks for; NULL: its answer makes no sense. */
const struct registered *registry_find(struct registry *registry, const struct wire_load *load);

#endif
