/* Files of keys, one a line, for the warmings of policies.  Read in pieces by the pool: a file may lie on a disk that sleeps. */
#ifndef LARDER_APP_KEYFILE_H
#define LARDER_APP_KEYFILE_H

#include "cache/warming.h"
#include "net/loop.h"

/* Opened with its first piece; what is wrong with it is why the warming fails. */
struct warming_feed *keyfile_feed(struct loop *loop, struct slice path);

#endif
