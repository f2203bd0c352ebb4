/* What a larder_async is made of, for async*.c only.
 *
 *   async_link.c   the connection: dialing, greeting, bytes out and in, back-off
 *   async_again.c  what is sent again when it broke
 *   async.c        requests: a place in the queue, a deadline, an answer; the loop
 *   async_read.c async_change.c   get, mget; set, tag, invalidate
 *   async_serve.c  loads that the daemon asks for; async_list.c keys that it asks for
 *   async_load.h   get_or_load: flights whose passengers are callbacks; async_lease.c what they ask of the daemon
 *
 * What must stay true
 *   - A request is in `waiting` from the moment its call returned OK until just before its callback, and nowhere else.
 *   - The link never calls back: it marks requests as ended; larder_async_process hands them out, oldest first, when it has
 *     nothing else in its hands, so a callback may do anything but close.
 *   - An answer is matched by its number; one that comes after the deadline of its request is dropped.
 *
 * The embedded client lends its options, its mapping, its fallback and its memory of failures; its pools stay empty. */
#ifndef LARDER_CLIENT_ASYNC_H
#define LARDER_CLIENT_ASYNC_H

#include "client/ask.h"
#include "client/larder_async.h"
#include "client/loaded.h"
#include "client/message.h"

enum { ASYNC_REQUESTS_MAX = 1024 }; /* a loop that is so far behind is told so */
enum { ASYNC_OUT_MAX = 8 << 20 };   /* bytes not yet sent: several of the largest usual values */
enum { ASYNC_BUCKETS = 256 };

struct request {
    struct request *newer, *older; /* in `waiting`, or in `ended` */
    struct request *next;          /* in its bucket, while it has a number */
    uint64_t id, deadline_ns;      /* id 0: no answer is expected */
    uint64_t last_id, sent_ns;
    uint64_t end_at; /* sent: `put` behind its last byte */
    bool of_app, is_read, sent, listed, ended;
    bool kept;           /* `frame` is a copy of what was sent */
    bool again;          /* and it was needed */
    unsigned version;    /* of the protocol that it needs */
    struct buffer frame; /* until there is a connection to send it over, or has it to be sent again */
    int result;          /* when ended */
    larder_value value;

    /* Takes the daemon's answer: result, value.  False: it asked for more, and goes on. */
    bool (*answer)(struct larder_async *a, struct request *r, struct reply *reply);
    /* Hands it out; it is in no list any more, and is freed behind this. */
    void (*end)(struct larder_async *a, struct request *r);
    larder_done done;
    void *user;

    struct many *many; /* of a mget */
    void *names;       /* copies of what a change concerns, until it is told */
    union {
        larder_set_options set;
        larder_invalidate_options invalidate;
    } how;
    struct larder_load *load;             /* which it asks for, or waits for */
    struct request *fellow;               /* the next who waits for the same load */
    struct asking *asking;                /* of one who waits: what he asked for */
    struct larder_load *served;           /* of an offer: what the daemon asks for; or: */
    struct larder_async_listing *listing; /* ... and of what it is told then */
};

struct request_list {
    struct request *oldest, *newest;
};

enum link_state { LINK_AWAY, LINK_GREETING, LINK_READY };

struct link {
    enum link_state state;
    struct channel channel; /* its buffers, number and limits; nothing of it waits here */
    size_t sent;            /* front of channel.out that has left */
    uint64_t left;          /* bytes that have left since it was dialed */
    uint64_t refused_at;    /* UINT64_MAX; or where the first that was answered with DRAINING ended */
    bool drains, was_reset; /* the daemon said so; it was closed with something unread */
    bool dialed_again;      /* it was hung up on while it greeted, and that happens once */
    bool turned_away;       /* the daemon answered the greeting, with a refusal */
    uint64_t until_ns;      /* AWAY: dial again then; GREETING: give up then */
    uint64_t backoff_ns;
    uint64_t heard_ns;               /* when something last came */
    bool wants_out;                  /* what epoll was told */
    struct descriptors fds;          /* that came so far */
    uint64_t look_ns, look_every_ns; /* READY: whether a living segment is mapped is looked at then */
    struct request *regreeting;      /* a second HELLO, for a segment that did not come with the first */
};

/* Loads that the daemon asks for. */
struct async_serving {
    unsigned hands, offered, out; /* registered; under way as requests; as loads */
    uint32_t hold_ms;
    bool refused; /* the daemon does not want them */
    uint64_t
        again_ns; /* until then no more of them are offered than the daemon let wait; 0: all that are free */
    unsigned most;
};

struct larder_async {
    larder_client *client;
    int epoll_fd;
    uint32_t forks; /* of the client, when opened */
    bool closing;
    struct link link;
    struct request_list waiting, ended;
    struct request *buckets[ASYNC_BUCKETS];
    unsigned count;       /* calls of the app, in both lists */
    uint64_t kept_bytes;  /* async_again.c */
    uint64_t earliest_ns; /* no deadline in `waiting` comes before that */
    struct async_serving serving;
    struct larder_load *loads; /* all of them, those nobody can join included */
    struct larder_async_listing *listings;
};

/* ---- link ---- */

int link_open(struct larder_async *a);
void link_close(struct larder_async *a);
/* What can be done now: dial, greet, send, receive. */
void link_work(struct larder_async *a, uint64_t now_ns);
/* A daemon that has said nothing for a whole deadline hangs: what else was asked of it ends now, not one by one. */
void link_break(struct larder_async *a);
/* When it has something to do though nothing came. */
uint64_t link_due_ns(const struct larder_async *a);
/* Puts a request's message on its way, or keeps it until there is a connection.  0; UNREACHABLE: there is none and will
 * be none for a while; UNSUPPORTED, TOO_BIG, MEMORY, BUSY. */
int link_send(struct larder_async *a, struct request *r, enum wire_code code, const void *message);
int link_send_kept(struct larder_async *a, struct request *r);

/* ---- again ---- */

/* A copy of what was just sent, when it may have to be sent again; that copy, or what waited for a connection, goes. */
void again_keep(struct larder_async *a, struct request *r, struct slice frame);
void again_forget(struct larder_async *a, struct request *r);
/* True: it waits for the next connection, as if it had never been sent.  `refused`: answered with DRAINING. */
bool again_wanted(struct larder_async *a, struct request *r, bool refused);
/* It was sent, and it is certain that the daemon has not carried it out. */
bool again_undone(const struct larder_async *a, const struct request *r);
/* The daemon answered this one with DRAINING. */
void again_refused(struct larder_async *a, const struct request *r);
/* No call of the app waits for an answer any more. */
bool again_nothing_due(const struct larder_async *a);

/* ---- requests ---- */

/* For a call of the app, of which there are ASYNC_REQUESTS_MAX at most, or for the library's own: one or two for each load
 * under way.  NULL: too many, or no memory.  Not in a list yet. */
struct request *request_create(struct larder_async *a, uint64_t timeout_ns, bool of_app);
void request_free(struct larder_async *a, struct request *r);
/* Into `waiting`: from here on it ends with its callback. */
void request_begin(struct larder_async *a, struct request *r);
/* It has ended, now or before it began; larder_async_process hands it out. */
void request_end(struct larder_async *a, struct request *r, int result);
/* A number for its next message; what comes for the one before is dropped. */
void request_number(struct larder_async *a, struct request *r);
/* Answers to that number, which was somebody else's. */
void request_renumber(struct larder_async *a, struct request *r, uint64_t id);
struct request *request_find(struct larder_async *a, uint64_t id);
/* The connection broke: what waited for it ends, unless it can go on with the next, which is dialed at once. */
void requests_broken(struct larder_async *a, bool next);
/* There is one: what waited for it is sent. */
void requests_sendable(struct larder_async *a);
/* Reads an answer of that code, or the error it is instead. */
int answer_read(struct reply *reply, enum wire_code code, void *answer);
/* A read that ended with an error, as its caller is to see it; the callback. */
void request_tell(struct larder_async *a, struct request *r);

/* ---- calls ---- */

/* Closing, or in a child. */
bool async_is_over(const struct larder_async *a);
/* How each call ends: it was sent, or has ended at once (`error`), which its callback tells; BUSY, TOO_BIG and MEMORY are
 * told right here. */
int async_begin(struct larder_async *a, struct request *r, int error);
/* Why request_create returned NULL. */
int async_no_request(const struct larder_async *a);
uint64_t async_timeout_ns(uint32_t timeout_ms, uint64_t default_ns);
/* Sends a set of what r->how.set says. */
int async_set(struct larder_async *a, struct request *r, larder_slice key, larder_slice value);

void many_free(struct many *many);

/* ---- loads ---- */

/* Offers the hands that are free. */
void serve_offers(struct larder_async *a);
/* When hands are to be offered that the daemon would not let wait; UINT64_MAX: there are none. */
uint64_t serve_due_ns(const struct larder_async *a);
/* Listings for which the daemon had no room are asked again, and when. */
void listings_go_on(struct larder_async *a);
uint64_t listings_due_ns(const struct larder_async *a);
void listings_orphan(struct larder_async *a);
/* Shut what this object changes. */
void loads_change_key(struct larder_async *a, larder_slice key);
void loads_change_names(struct larder_async *a, const larder_invalidate_options *how);
/* Those under way belong to nobody from now on; whoever loads may still end them. */
void loads_orphan(struct larder_async *a);

#endif
