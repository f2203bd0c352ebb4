/* Refreshes that REFRESH_LATER put off: a queue that larder_work empties.
 *
 * What must stay true: each one waiting holds a lease of its key, and nobody else refreshes the key meanwhile; one whose
 * lease must have ended by now is dropped unrun, so that an app that never works has a bounded queue of nothing.
 *
 * Thread rule: any thread; one lock, never held during a load. */
#ifndef LARDER_CLIENT_REFRESH_H
#define LARDER_CLIENT_REFRESH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "client/larder.h"
#include "proto/slice.h"

enum { REFRESHES_MAX = 1024 }; /* more than that put off is a source that is too slow, or nobody at work */

struct refresh {
    struct refresh *next;
    uint64_t ends_ns; /* of its lease */
    larder_token lease;
    larder_loader loader;
    void *user;
    size_t key_bytes;
    unsigned char key[];
};

struct refreshes {
    pthread_mutex_t lock;
    pthread_cond_t came;
    struct refresh *first, *last;
    unsigned count;
};

int refreshes_init(struct refreshes *queue);
void refreshes_finish(struct refreshes *queue);
/* The child holds none of its parent's leases. */
void refreshes_reborn(struct refreshes *queue);

/* False: full, or no memory. */
bool refresh_put(struct refreshes *queue, struct slice key, const larder_token *lease, uint64_t ends_ns,
                 uint64_t now_ns, larder_loader loader, void *user);
/* The oldest whose lease lives, or NULL when none comes until then.  The caller frees it. */
struct refresh *refresh_take(struct refreshes *queue, uint64_t until_ns);

#endif
