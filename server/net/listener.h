/* The door: a Unix socket of our own making.
 *
 * What must stay true: nobody connects before the mode is right (bind under umask 0177, chmod, then listen); a
 * living daemon's socket is never taken; at the end only a socket that is still ours is removed.
 *
 * Thread rule: loop thread only. */
#ifndef LARDER_NET_LISTENER_H
#define LARDER_NET_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "net/loop.h"
#include "proto/slice.h"

/* Who connected, as of the moment of connect(2).  pid is for logs only: pids are reused. */
struct peer {
    uid_t uid;
    gid_t gid;
    pid_t pid;
};

struct listener_setup {
    struct loop *loop;
    const char *path; /* of the socket; its directory is made (0750) when missing */
    mode_t mode;      /* of the socket: 0660 */
    int fd;   /* >= 0: a listening socket made by someone else (systemd), taken over; path is then unused */
    bool tcp; /* that socket is a TCP one: who connects is not known */
    void (*accepted)(void *user, int fd, const struct peer *peer); /* owns the fd */
    void *user;
};

enum {
    LISTENER_E_PATH = -1,      /* too long for an address, or empty */
    LISTENER_E_DIRECTORY = -2, /* its directory cannot be made or is none */
    LISTENER_E_LOCK = -3,      /* the lock beside it cannot be opened */
    LISTENER_E_IN_USE = -4,    /* another daemon holds the lock or answers there */
    LISTENER_E_OCCUPIED = -5,  /* something that is no socket lies there */
    LISTENER_E_BIND = -6,      /* socket, bind, chmod or listen failed */
    LISTENER_E_FD = -7,        /* the given fd is no listening Unix stream socket */
};
const char *listener_error_text(int error);

struct listener;

/* <0: LISTENER_E_*, logged with path and errno, nothing left behind. */
int listener_open(const struct listener_setup *setup, struct listener **ret);
/* Stops accepting and removes the socket if it is ours; memory goes with the loop's next turn.  NULL ok. */
struct listener *listener_close(struct listener *l);

#endif
