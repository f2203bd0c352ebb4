/* A larderd of a test's own: a fresh directory, a socket in it, ended by its process number.
 *
 * $LARDERD names the program.  A daemon never outlives its test, however that ends. */
#ifndef LARDER_TESTS_DAEMON_H
#define LARDER_TESTS_DAEMON_H

#include <sys/types.h>

struct daemon {
    pid_t pid; /* 0: not running */
    char home[64], socket[96], state[96], config[96];
};

/* Makes the directory; `config` is the text of the configuration file. */
void daemon_prepare(struct daemon *d, const char *config);
/* Starts it, again too, and waits until it takes connections. */
void daemon_start(struct daemon *d);
/* SIGKILL, and waits for the end. */
void daemon_kill(struct daemon *d);
/* SIGSTOP, and waits until it stands still. */
void daemon_freeze(struct daemon *d);
void daemon_thaw(struct daemon *d);
/* Ends it in order if it runs, and removes the directory. */
void daemon_finish(struct daemon *d);

#endif
