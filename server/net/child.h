/* A command that is run and forgotten: sh -c TEXT, with a few bytes on its input and a time limit.
 *
 * What must stay true: the loop does not wait for it; it and what it starts are killed at the limit; it gets none of our
 * descriptors, and of our environment only PATH, HOME and LANG.  Thread rule: loop thread only. */
#ifndef LARDER_NET_CHILD_H
#define LARDER_NET_CHILD_H

#include "net/loop.h"
#include "proto/slice.h"

enum {
    CHILD_INPUT_MAX = 60 * 1024 /* what a pipe holds, so that writing never waits */,
    CHILD_VARIABLES = 8
};

struct child;

struct child_setup {
    struct loop *loop;
    const char *command;
    struct slice input;                     /* at most CHILD_INPUT_MAX: the rest is cut off */
    const char *variables[CHILD_VARIABLES]; /* "NAME=value", up to the first NULL */
    uint64_t timeout_ns;
    /* code: its exit code, or -signal.  Then it is gone. */
    void (*ended)(void *user, int code);
    void *user;
};

/* NULL: it could not be started, *ret_why says why; `ended` is not called then. */
struct child *child_start(const struct child_setup *setup, const char **ret_why);
/* Kills it; `ended` is not called any more.  NULL ok, returns NULL. */
struct child *child_abandon(struct child *c);

#endif
