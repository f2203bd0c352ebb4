/* A redis-server of a test's own: a fresh directory, a Unix socket in it and a port on loopback, ended by its process
 * number.  It never outlives its test, however that ends. */
#ifndef LARDER_TESTS_REDIS_H
#define LARDER_TESTS_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct redis {
    pid_t pid; /* 0: not running */
    char home[64], socket[96], config[96], log[96];
    unsigned port, tls_port; /* of 127.0.0.1 and ::1 */
};

/* Is there a redis-server at all?  Tests skip when not. */
bool redis_installed(void);
bool redis_has_tls(void); /* one that was built with it */

/* A port of loopback that nobody had a moment ago. */
unsigned free_port(void);

/* Makes the directory; `options` are lines for redis.conf, after ours: no save, no append-only file. */
void redis_prepare(struct redis *r, const char *options);
/* More of them, before redis_start; and a path in its directory. */
void redis_option(struct redis *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *redis_path(const struct redis *r, const char *name, char room[128]);

/* Starts it, again too, and waits until it takes connections. */
void redis_start(struct redis *r);
void redis_kill(struct redis *r);   /* SIGKILL, and waits for the end */
void redis_freeze(struct redis *r); /* SIGSTOP, and waits until it stands still */
void redis_thaw(struct redis *r);
void redis_finish(struct redis *r); /* ends it if it runs, and removes the directory */

/* One command in words over the Unix socket, waited for.  Returns the first line of the answer, or of a string the
 * string; static memory. */
const char *redis_ask(const struct redis *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
