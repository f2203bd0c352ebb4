/* How far the load of a dump has come, kept beside it in FILE.pos: one line, written over in place.
 *
 * What must stay true: it is never ahead of what the daemon has said yes to; and a place in another dump is no place. */
#ifndef LARDER_CLI_PLACE_H
#define LARDER_CLI_PLACE_H

#include <stdbool.h>
#include <stdint.h>

struct place {
    int fd; /* -1: nothing is kept */
    char *path;
    uint64_t wall_ms, total; /* which dump: when it was begun, and how many entries it has */
    uint64_t done;           /* so many of them were gone through */
};

/* Reads what is there, or begins at 0.  -1: see errno. */
int place_open(struct place *p, const char *dump, uint64_t wall_ms, uint64_t total);
int place_keep(struct place *p, uint64_t done);
/* `over`: the whole dump was loaded, and the file goes. */
void place_close(struct place *p, bool over);

#endif
