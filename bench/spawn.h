/* Processes of a run: servers on Unix sockets in a temporary folder, echo and reader processes.
 *
 * What must stay true: whatever the bench started is gone when the bench is gone, however it ended (every child asks
 * the kernel to be killed with its parent), and only by its own pid; the temporary folder is removed by a guardian
 * process that outlives the rest. */
#ifndef LARDER_BENCH_SPAWN_H
#define LARDER_BENCH_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sched.h>
#include <sys/types.h>

enum server_kind { SERVER_NONE, SERVER_LARDER, SERVER_REDIS, SERVER_MEMCACHED, SERVER_KINDS };

struct server_options {
    uint64_t memory_bytes; /* L1 budget, maxmemory, -m */
    const char *larderd;   /* path; NULL: beside this program, else in $PATH */
    bool no_warm;          /* larderd without its warm tier */
    const char *redis;     /* larderd: socket of the fleet's store; NULL: none */
    bool keeps_journal;    /* redis-server as that store: it may not evict what has no end of life */
    const char *policy;    /* redis-server otherwise: its maxmemory-policy; NULL: allkeys-lru */
};

struct server {
    enum server_kind kind;
    pid_t pid;
    char socket[100];
    char folder[80]; /* its state; kept over server_kill and server_start */
    char why[160];   /* why it did not start */
};

/* fork() whose child dies with its parent. */
pid_t spawn_fork(void);
/* Waits for the end of a child; its exit status, or 128 + signal. */
int spawn_reap(pid_t pid);
/* SIGTERM, and SIGKILL after 5 s. */
void spawn_end(pid_t pid);

/* Forks: the child returns and does the work; the parent stays behind, waits, removes the temporary folders and exits
 * as the child did.  Call first. */
void spawn_guarded(void);
const char *spawn_folder(void);
const char *spawn_memory_folder(void); /* on tmpfs, if there is one */

/* Keeps this process on the first core it may use and the servers it starts on the last, until spawn_unpin. */
void spawn_pin(void);
void spawn_unpin(void);
void spawn_pin_server(void);      /* in the server's process */
void spawn_cores(cpu_set_t *ret); /* that this process might use if it were not pinned */

/* The program is installed. */
bool server_available(enum server_kind kind, const struct server_options *o);
const char *server_name(enum server_kind kind);
/* A fresh folder and socket name for a server. */
void server_init(struct server *s, enum server_kind kind);
/* Starts it and waits until it answers.  0, or -1 with s->why. */
int server_start(struct server *s, const struct server_options *o);
void server_stop(struct server *s);
void server_kill(struct server *s); /* SIGKILL, and waits until it is gone */

/* Proportional set size of a process, its share of all memory it maps; zeroes when it cannot be read. */
struct pss {
    uint64_t bytes;
    uint64_t memfd_bytes; /* of those in memfds: shared segments */
};
struct pss spawn_pss(pid_t pid);

#endif
