/* One request and its reply.
 *
 * RETRIES.  A request that was certainly not carried out is sent again once, on a new connection: that is how a daemon
 * that restarted is met.  So it is when it did not leave this process whole, when a daemon that stops said so (DRAINING), and
 * when the connection was reset: a Unix socket is closed so, and not just at its end, when bytes are left in it unread, and
 * there is one request in it at a time.  One that may have arrived is repeated only when it is a read; a change whose reply
 * was lost is UNKNOWN or TIMEOUT, for the caller to judge.  All of it within the one deadline. */
#ifndef LARDER_CLIENT_ASK_H
#define LARDER_CLIENT_ASK_H

#include "client/client.h"

struct call {
    struct larder_client *client;
    struct pool *pool; /* where its connection comes from */
    struct seat *seat; /* may be NULL */
    uint64_t deadline_ns;
    bool repeatable; /* a read */
    bool retried;
    struct channel *channel; /* NULL while none is borrowed */
};

/* `timeout_ms` 0: the client's own. */
void call_begin(struct call *call, struct larder_client *c, uint64_t default_ns, uint32_t timeout_ms,
                bool repeatable);
/* The limits of the daemon that will be asked.  Borrows a connection. */
int call_limits(struct call *call, struct limits *ret);
/* 0, or UNSUPPORTED when that daemon speaks an older version of the protocol. */
int call_needs_version(struct call *call, unsigned version);
/* Sends `message` (a struct wire_… of `code`) and decodes the reply into `answer` (of `answer_code`), which points into
 * the connection until the next ask or call_end.  A RESULT where another answer was due is that error. */
int ask(struct call *call, enum wire_code code, const void *message, enum wire_code answer_code,
        void *answer);
void call_end(struct call *call);

/* The table at work: appends one frame (TOO_BIG, MEMORY), and reads the fields of a reply into the struct of its code (below
 * 0: it makes no sense). */
int message_write(struct buffer *out, uint64_t id, enum wire_code code, const void *message,
                  size_t frame_max);
/* The same with what it is done for, where the message has a place for that; in trace.c. */
int message_write_traced(struct buffer *out, uint64_t id, enum wire_code code, const void *message,
                         size_t frame_max, struct slice trace);
int reply_read(struct reply *reply, void *answer);

/* What is left of the deadline, for the daemon; at least 1. */
uint32_t call_left_ms(const struct call *call);

#endif
