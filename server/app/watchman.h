/* Who looks after the daemon while it runs: the admin's door and what is behind it.
 *
 * Thread rule: loop thread only. */
#ifndef LARDER_APP_WATCHMAN_H
#define LARDER_APP_WATCHMAN_H

#include "admin/admin.h"
#include "app/documents.h"

struct watchman {
    const struct documents *documents;
    const struct config *config;
    struct loop *loop;
    bool stopping;
    uint64_t detached_ns;
    struct admin *admin; /* NULL: HTTP is answered nowhere */
};

/* <0: a door could not be opened, or the token's file not be read; logged. */
int watchman_open(struct watchman *w, const struct documents *documents);
/* Nobody is let in any more; `drained` is called when nobody of HTTP waits for a cache. */
void watchman_drain(struct watchman *w, void (*drained)(void *user), void *user);
void watchman_close(struct watchman *w); /* zeroed memory is fine */

#endif
