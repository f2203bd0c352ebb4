/* Loading, for the calls that change keys: what is being loaded and what is kept without a daemon must not outlive it. */
#ifndef LARDER_CLIENT_LOAD_H
#define LARDER_CLIENT_LOAD_H

#include "client/client.h"

/* Called before a change returns, whatever became of it: it may have taken effect. */
void load_key_changes(struct larder_client *c, struct slice key);
void load_names_change(struct larder_client *c, const larder_invalidate_options *how);

#endif
