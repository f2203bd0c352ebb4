/* Where things lie when nobody says: the socket, the state and the runtime directory.  Environment first (systemd's
 * RUNTIME_DIRECTORY and STATE_DIRECTORY), then root's places, then the user's own. */
#ifndef LARDER_APP_PLACES_H
#define LARDER_APP_PLACES_H

#include <stdbool.h>

enum { PLACE_BYTES = 4096 };

/* false: there is no such place; say which option to set. */
bool place_socket(char *const *environment, bool root, char ret[PLACE_BYTES]);
bool place_state(char *const *environment, bool root, char ret[PLACE_BYTES]);

/* Makes the directory and its parents, 0700 below what exists. <0: errno is set. */
int place_make(const char *directory, unsigned mode);

bool place_is_tmpfs(const char *directory);

/* The runtime directory for a daemon with this socket and this state, made if missing; NULL-terminated.  Two daemons
 * with different states never share one: the name holds a hash of the state's path when it is not beside the socket. */
bool place_runtime(const char *socket, const char *state, char ret[PLACE_BYTES]);

#endif
