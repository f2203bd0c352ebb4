/* Who looks after the daemon while it runs: keeps history, judges health, raises alarms, and opens the admin's door.
 *
 * Thread rule: loop thread only. */
#ifndef LARDER_APP_WATCHMAN_H
#define LARDER_APP_WATCHMAN_H

#include "admin/admin.h"
#include "app/alarm.h"
#include "app/documents.h"
#include "app/judge.h"

struct watchman {
    struct documents *documents;
    const struct config *config;
    struct loop *loop;
    bool stopping;
    struct judge judge;
    struct alarm_bell *bell;
    struct timer second, sample;
    bool ticking;
    uint64_t noticed_ns, detached_ns; /* the last look; how long a namespace was DETACHED at looks */
    enum admin_health health;
    struct admin *admin; /* NULL: HTTP is answered nowhere */
};

/* <0: a door could not be opened, or the token's file not be read; logged. */
int watchman_open(struct watchman *w, struct documents *documents);
/* Nobody is let in any more; `drained` is called when nobody of HTTP waits for a cache. */
void watchman_drain(struct watchman *w, void (*drained)(void *user), void *user);
void watchman_close(struct watchman *w); /* zeroed memory is fine */

#endif
