/* The composition root: builds the daemon bottom-up, runs it, takes it down in the mirror order.
 *
 * Start (F3): runtime page → warm tier → L1, open for readers → socket, answered at once → hot set back into L1, in
 * bounded turns.  Near reads open before the hot set is back: an L1 that holds little is slow, not wrong.  Changes wait
 * for the gate: promises a killed predecessor made to readers of its segment run out first.
 *
 * Stop: socket gone → requests under way answered, connections closed → hot set saved → caches, L1 (CLOSED) → warm tier
 * committed and marked clean → page marked clean.  A kill at any point of it is only an unclean stop. */
#ifndef LARDER_APP_APP_H
#define LARDER_APP_APP_H

#include "app/config.h"

enum { EXIT_DONE = 0, EXIT_USAGE = 2, EXIT_RUNTIME = 4 };

struct app;

struct app_setup {
    struct config *config;                /* becomes the app's */
    const struct config_sources *sources; /* to read again at SIGHUP; lives as long as the app */
    int listen_fd;                        /* made by the service manager, or -1 */
};

/* EXIT_DONE and an app, or the exit code; then everything was logged and nothing is left. */
int app_create(const struct app_setup *setup, struct app **ret);
int app_run(struct app *a);             /* until a signal ends it; the exit code */
struct app *app_destroy(struct app *a); /* the config goes with it */

#endif
