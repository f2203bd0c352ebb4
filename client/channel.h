/* One connection to the daemon: whole requests out, whole replies in, nothing past a deadline.
 *
 * What must stay true: a connection on which anything went wrong, a time-out included, is closed and never used again,
 * so a reply can only ever meet the request it belongs to; replies with another number are dropped all the same.
 *
 * The socket is blocking for connect alone (a full backlog is waited for with SO_SNDTIMEO: a Unix socket knows no
 * "connection in progress"); all else is MSG_DONTWAIT and ppoll.
 *
 * Thread rule: one thread at a time.  Errors are LARDER_E_…. */
#ifndef LARDER_CLIENT_CHANNEL_H
#define LARDER_CLIENT_CHANNEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "proto/wire.h"

/* Calls that no daemon has heard of: the next HELLO tells of them.  Each is told once: what a HELLO took along comes back
 * only where nobody can have read it.  A daemon that hangs reads it when it goes on; one that died has lost its other
 * counts, too. */
struct unheard {
    _Atomic uint32_t unreachable, timeouts;
};

/* How to reach the daemon; fixed for the life of a client. */
struct dialing {
    const char *path;
    struct slice namespace, tenant, name;
    uint64_t connect_ns;
    struct unheard *unheard;
};

enum { CHANNEL_DESCRIPTORS_MAX = 2 };

/* What came along with WELCOME.  The caller closes them. */
struct descriptors {
    int fds[CHANNEL_DESCRIPTORS_MAX];
    unsigned count;
};

struct limits {
    uint32_t key_max, value_max, batch_max, frame_max, version;
};

struct channel {
    int fd; /* -1: closed */
    uint64_t id;
    struct limits limits;
    struct buffer out, in;
    size_t in_used;                           /* front of `in` that the last reply occupies */
    bool nobody_listens;                      /* the last dial met no daemon, not even a silent one */
    uint32_t told_unreachable, told_timeouts; /* by the HELLO that is on its way */
};

struct reply {
    struct wire_head head;
    struct reader fields; /* points into the channel until its next use */
};

void channel_init(struct channel *ch);
/* Closes; the channel is as after channel_init. */
void channel_finish(struct channel *ch);
void channel_close(struct channel *ch);

/* Connects and introduces us.  `want`: WIRE_WANT_… bits; `ret` may be NULL when 0.  UNREACHABLE, TIMEOUT, SYSTEM,
 * MEMORY, PROTOCOL, or what the daemon refused with: VERSION, NAMESPACE, DENIED, BUSY, DRAINING; the sentence it gave
 * goes to `message`. */
int channel_dial(struct channel *ch, const struct dialing *how, uint8_t want, uint64_t deadline_ns,
                 struct descriptors *ret, char *message, size_t message_bytes);

/* Sends `out` (one request whose number is ch->id) and waits for its reply.  UNREACHABLE: nothing was sent.  UNKNOWN: it
 * broke later.  TIMEOUT, PROTOCOL, MEMORY.  Any of them closes the channel. */
int channel_exchange(struct channel *ch, uint64_t deadline_ns, struct reply *ret);

/* The parts of both, for whoever waits elsewhere.  Puts HELLO into `out`; takes WELCOME from a reply, or why there is none;
 * what is there to be read now, as recv, with the descriptors that came along when `ret` is not NULL. */
struct wire_hello channel_greeting(const struct dialing *how, uint8_t want);
int channel_hello(struct channel *ch, const struct dialing *how, uint8_t want);
/* Nobody read that HELLO. */
void channel_untold(struct channel *ch, const struct dialing *how);
int channel_welcome(struct channel *ch, struct reply *reply, const struct descriptors *fds, char *message,
                    size_t message_bytes);
ssize_t channel_receive(struct channel *ch, size_t room, struct descriptors *ret);
void descriptors_drop(struct descriptors *d);

/* Gives back what an unusually large message made the buffers grow to. */
void channel_trim(struct channel *ch);

/* Waits for `events` on `fd`, or not at all for fd -1.  True: go on; false: the deadline has passed. */
bool wait_until(int fd, short events, uint64_t deadline_ns);

#endif
