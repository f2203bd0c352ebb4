/* One connection to one Redis: opened, greeted (AUTH, SELECT, CLIENT SETNAME, PING), then commands in, replies out, in
 * order.  A connection is a session (I9): the first thing that goes wrong on it is its end.
 *
 * What must stay true:
 *  - a command is answered exactly once, never from inside a call into here, and is the caller's again from then on;
 *  - after any time-out, broken or oversized reply, reply nobody asked for, or end of the stream, nothing more is
 *    sent and nothing more is believed: what Redis may have got is LOST, what it cannot have got is UNSENT;
 *  - commands of one turn leave with one write, and none leaves before the greeting was accepted;
 *  - what is under way is bounded in number and bytes; over that, conn_issue says so at once;
 *  - `closed` comes exactly once, after the last command was answered, and is the last word of a connection;
 *  - no sentence has the password in it.
 *
 * Thread rule: loop thread only. */
#ifndef LARDER_L2_CONN_H
#define LARDER_L2_CONN_H

#include "base/list.h"
#include "l2/reply.h"
#include "l2/resp.h"
#include "l2/tls.h"
#include "l2/url.h"
#include "net/loop.h"

struct conn;

enum l2_outcome {
    L2_ANSWERED, /* there is a reply; it may well be an error of Redis */
    L2_LOST,     /* it was on its way, and nobody knows what became of it */
    L2_UNSENT,   /* no byte of it has left this process */
};

/* The caller's memory, from conn_issue until done. */
struct l2_command {
    /* filled by the caller; argv and what it points to may go when conn_issue returns */
    const struct slice *argv;
    unsigned count;
    /* How long Redis may take, by the loop's clock; past it the connection ends, unless Redis has been answering others
     * before it: then as long again from the newest answer.  What a client waits at most is somebody else's matter. */
    uint64_t deadline_ns;
    /* `reply` is NULL unless ANSWERED, and goes when this returns.  Issuing more from in here is fine. */
    void (*done)(struct l2_command *c, const struct l2_reply *reply, enum l2_outcome outcome);

    /* filled by the connection */
    uint64_t patience_ns;
    uint64_t sent_ns; /* BOOTTIME just before the kernel got the first byte (I8); 0: it did not */
    uint64_t bytes;
    struct list node;
};

/* Why a connection ended: for health, the doctor and the back-off. */
#define CONN_ENDS(END)                                                  \
    END(CLOSED, "closed by us")                                         \
    END(NO_ADDRESS, "the host of Redis has no address")                 \
    END(NO_CONNECT, "nobody takes connections at the address of Redis") \
    END(OPEN_TIMEOUT, "Redis could not be reached in time")             \
    END(TLS, "no TLS with Redis")                                       \
    END(AUTH, "Redis does not take our user or password")               \
    END(SELECT, "Redis does not give us that database")                 \
    END(LOADING, "Redis is loading its data")                           \
    END(TURNED_AWAY, "Redis turned us away")                            \
    END(TIMEOUT, "a command was not answered in time")                  \
    END(GONE, "the connection to Redis ended")                          \
    END(PROTOCOL, "Redis answered what is no answer")                   \
    END(LIMIT, "Redis answered more than the limit")

enum conn_why {
#define END(NAME, sentence) CONN_END_##NAME,
    CONN_ENDS(END)
#undef END
};
const char *conn_why_name(enum conn_why why); /* "OPEN_TIMEOUT" */

struct conn_end {
    enum conn_why why;
    const char *sentence; /* for people; within the connection */
};

struct conn_limits {
    unsigned commands; /* under way at a time */
    uint64_t bytes;    /* of those commands, as sent */
    struct resp_limits reply;
};

/* 1,024: at a millisecond's distance that is a million commands a second, more than a Redis does.
 * 64 MiB: the largest value there can be fits; it is reserved only as commands need it. */
#define CONN_LIMITS_DEFAULT \
    ((struct conn_limits){.commands = 1024, .bytes = 64 << 20, .reply = RESP_LIMITS_DEFAULT})

struct conn_setup {
    struct loop *loop;
    const struct l2_url *url; /* must stay until `closed` */
    struct tls_context *tls;  /* exactly when url->tls */
    const char *name; /* for CLIENT LIST, without spaces; NULL: none.  A Redis that refuses it is fine */
    uint64_t open_timeout_ns; /* from here to `ready` */
    struct conn_limits limits;
    void (*ready)(struct conn *c);
    void (*closed)(struct conn *c, const struct conn_end *end); /* the memory goes when it returns */
    void *user;
};

struct conn *conn_open(const struct conn_setup *setup);
void *conn_user(const struct conn *c);

/* Ends it at once.  Commands under way and `closed` are told later; NULL ok, a second time is fine. */
void conn_close(struct conn *c);

enum {
    CONN_E_NOT_READY = -1, /* not greeted yet, or ended */
    CONN_E_FULL = -2,      /* too much is under way: try again when something was answered */
    CONN_E_TOO_BIG = -3,   /* it will never fit */
    CONN_E_LATE = -4,      /* its deadline has passed */
};
const char *conn_error_text(int error);

/* 0: `done` will be called.  <0: CONN_E_*, and it will not. */
int conn_issue(struct conn *c, struct l2_command *command);

unsigned conn_under_way(const struct conn *c);
uint64_t conn_bytes_under_way(const struct conn *c);

#endif
