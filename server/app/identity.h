/* Which host of the fleet this is, where no database remembers it.
 *
 * What must stay true: two daemons that run never have the same, since each ends the other's session.  So nothing is
 * derived from the machine (its id and its name are copied with images), it is thrown once and kept in a file. */
#ifndef LARDER_APP_IDENTITY_H
#define LARDER_APP_IDENTITY_H

#include <stdint.h>

/* Of this namespace, kept in `directory`; NULL, or one that takes no file: another one at each start, and Redis remembers
 * the old ones for a day. */
uint64_t identity_of(const char *directory, const char *namespace);

#endif
