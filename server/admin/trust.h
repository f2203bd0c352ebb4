/* Who may ask, and who may change something.
 *
 * A browser of this host carries requests of any page it shows.  So over TCP the Host must be a name of this host (else a
 * foreign name was made to point here), and an Origin, which browsers send with every POST, must be that same Host.  Over a
 * Unix socket no browser comes; a proxy in front of it has its own names.
 *
 * Pure. */
#ifndef LARDER_ADMIN_TRUST_H
#define LARDER_ADMIN_TRUST_H

#include <stdbool.h>

/* "localhost:8370", "127.0.0.1", "[::1]:8370", or one of `names` (separated by spaces or commas), any port. */
bool trust_host(const char *host, const char *names);
/* `origin` NULL: the caller is no browser, or one that asks for a page.  Otherwise its host and port must be `host`. */
bool trust_origin(const char *origin, const char *host);
/* Does "Bearer TOKEN" bring the token?  Takes a time that depends on the length of what was brought alone. */
bool trust_bearer(const char *authorization, const char *token);

#endif
