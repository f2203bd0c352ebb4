/* What the files of this folder share: the session, the request, the op.
 *
 *   session  one connection.  Outlives its stream while a cache still owes answers to its requests.
 *   request  one frame of a peer.  Owns a copy of its bytes, because keys and values must stay where they are until
 *            the cache has answered.  Comes from a free list and goes back with its buffers: no malloc a request.
 *   op       one call on a cache: a key of a GET, an item of a SET.  From a free list too.
 *
 * What must stay true: r->pending counts the ops a cache holds, plus one while the verb runs; the request goes back
 * to the free list when it reaches 0, answered. */
#ifndef LARDER_SESSION_PRIVATE_H
#define LARDER_SESSION_PRIVATE_H

#include "cache/loaders.h"
#include "cache/runs.h"
#include "cache/warming.h"
#include "net/stream.h"
#include "base/turns.h"
#include "proto/wire.h"
#include "session/monitor.h"
#include "session/session.h"

enum session_state { SESSION_HELLO, SESSION_READY, SESSION_DRAINING, SESSION_CLOSED, SESSION_STATES };

enum {
    OPS_MAX = 2048,       /* of one session at caches; above it the peer is not read: 3 MB, a batch on top */
    SPARE_OPS = 1024,     /* one batch: kept for the next */
    SPARE_REQUESTS = 128, /* one connection's worth */
    BIG_BUFFER = 16 * 1024, /* larger ones are kept by the spare request on top only */
    SAMPLE_BITS =
        5, /* 0 to 31 requests are not measured between two that are: two clock reads are 5 % of a get */
    FRAME_VALUE_ROOM =
        192 << 10, /* a frame holds at least this and WIRE_FRAME_ROOM: 1,024 misses with tokens */
    KEYS_DEFAULT = 100,
};

struct class_times {
    struct took to[REACH_COUNT];
    /* By class: the first of each is measured, however many of another come between.  Then at random, since what is
     * asked for comes in rounds: each sixteenth would be of the same policy again and again. */
    unsigned unmeasured; /* to come */
    uint64_t random;
};

/* Lines of the debug log, of the present second. */
struct told_lines {
    uint64_t second, taken, left_out;
};

/* The turn of the loop in which a request was read last. */
struct turn {
    uint64_t began_ns, requests_before; /* of figures.requests, those of earlier turns */
};

struct sessions {
    struct session_host host;
    struct streams *streams;
    struct list open;      /* session.in_open */
    struct list waiting;   /* request.in_waiting: those with a deadline */
    struct list reporting; /* struct reporting: those whose report is being made */
    struct later report_turn;
    struct list spare_requests, spare_ops;
    unsigned spare_requests_count, spare_ops_count;
    struct timer tick, drain_deadline;
    bool ticking, draining;
    unsigned handles;
    struct later drain_check;
    void (*drained)(void *user);
    void *drained_user;
    struct session_figures figures;
    struct class_times times[CLASS_COUNT];
    struct turn turn;
    struct monitor monitor;
    struct told_lines told;
};

struct session {
    struct sessions *all;
    struct list in_open;
    struct stream *stream; /* NULL: CLOSED */
    enum session_state state;
    struct peer peer;
    struct session_space *space;
    size_t frame_max;
    struct list requests; /* request.in_session: those a cache works on */
    unsigned requests_count, ops_count;
    bool half_closed;
    struct load_peer loader;  /* its leases */
    struct loader *offers;    /* what it can load, or NULL */
    struct warming *warming;  /* that it began, or NULL */
    unsigned run;             /* or the policy whose run it began; 0: none */
    struct watch *watch;      /* what it is told of others' operations, or NULL */
    struct request *watching; /* waits for some, or NULL */
    uint64_t watching_until_ns;
    void *touch_page;
    uint8_t tenant_bytes;           /* 0: not bound */
    char tenant[WIRE_NAME_MAX + 1]; /* with its ':' */
    struct tenant *counts;          /* of that tenant; NULL: not bound, or not READY yet */
    bool bound;                     /* by the daemon, not by its HELLO */
    struct session_space *only;     /* of bound: no other; NULL: any */
    char name[WIRE_NAME_MAX + 1];   /* who it says it is */
};

struct request;

struct verb {
    void (*run)(struct request *r, struct reader *fields, const struct wire_head *head);
    const char *name;
    uint8_t states; /* bits 1 << enum session_state in which it is allowed */
    enum session_class class;
    size_t figure; /* offset in struct session_figures */
};

/* A piece of r->reply: the encoded entry of one key. */
struct chunk {
    size_t at, size; /* size 0: not known yet */
};

enum { LOOKED_ON_BY_LOG = 1, LOOKED_ON_BY_WATCHERS = 2 };

struct request {
    struct list in_session; /* or in the free list */
    struct list in_waiting;
    struct session *session;
    const struct verb *verb;
    uint64_t id, began_ns, deadline_ns;
    uint8_t code;
    bool measured, answered, filed;
    uint8_t reach;      /* enum session_reach */
    uint8_t looked_on;  /* who wants to know how it ends: bits LOOKED_ON_BY_… */
    struct slice trace; /* as it came, in `frame` */
    unsigned pending;
    size_t charged;
    struct buffer frame; /* the payload */
    struct buffer room;  /* arrays and names; reserved once, so pointers into it stay */
    struct buffer reply; /* encoded entries, in the order in which they became known */

    /* All ops are done, or the deadline has passed and holes are to be filled: write the reply. */
    void (*complete)(struct request *r);
    uint32_t count, known;
    bool no_value;
    struct chunk *chunks;          /* GET, LEASE */
    struct wire_outcome *outcomes; /* SET, TOUCH, TAG; status UNKNOWN until known */
    struct cache_invalidate invalidate;
    struct cache_limit limit;
};

struct op {
    struct list node; /* in the free list */
    struct request *request;
    uint32_t index;
    union {
        struct cache_get get;
        struct cache_load load;
        struct cache_offer offer;
        struct cache_set set;
        struct cache_touch touch;
        struct cache_tag tag;
        struct cache_probe probe;
    };
    struct slice tags[WIRE_TAGS_MAX];
};

/* ---- request.c ------------------------------------------------------------------------------------------ */

struct request *request_take(struct session *s, const struct verb *verb, const struct wire_head *head,
                             struct slice payload);
/* Somebody still waits for the reply. */
static inline bool request_open(const struct request *r)
{
    return !r->answered;
}
/* Where the reply goes; only while request_open. */
static inline struct buffer *request_out(const struct request *r)
{
    return stream_out(r->session->stream);
}
/* The reply was appended (what wire_write_* returned): exactly once a request. */
void request_wrote(struct request *r, int written);
void request_answer(struct request *r, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The payload does not decode: a PACK_E_*. */
void request_malformed(struct request *r, int error);
/* Memory for arrays, zeroed, stable until the request ends; one call a request. */
void *request_room(struct request *r, size_t bytes);

/* A verb's run ends with this: replies at once when nothing is pending, else files the request with its deadline. */
void request_started(struct request *r, uint32_t timeout_ms);
/* What of it came to an end now is counted with those. */
void request_took(const struct request *r, struct took *const *counted, unsigned count);
/* The same of one of its keys, with those of its policy and tenant; what was refused is nobody's. */
void request_took_key(const struct request *r, enum timed of, unsigned policy, enum status status);
/* A pending op was answered. */
void request_released(struct request *r);
void request_abandon(struct request *r); /* its peer has gone */
void requests_on_tick(struct timer *tick);

struct op *op_take(struct request *r, uint32_t index);
void op_return(struct op *op);
/* To be called with what cache_* returned; true: it is done. */
bool op_done_now(struct op *op, int outcome);

bool request_too_many(struct request *r, uint32_t count, const char *what);
void spares_free(struct sessions *all);

/* ---- told.c: operations that ended, for the debug log and for those who watch ------------------------------ */

/* Who is to be told of one. */
struct told {
    bool logged;
    unsigned watchers;
};
/* Once for each key of a request, when it is known what became of it.  False: nobody wants to know, or there is no room. */
bool told_wants(struct request *r, struct slice key, struct told *ret);
static inline bool told_of(struct request *r, struct slice key, struct told *ret)
{
    return __builtin_expect(r->looked_on, 0) && told_wants(r, key, ret);
}
/* Then: what became of it. */
void tell_key(struct request *r, struct slice key, struct told to, struct wire_operation line);
/* Of r->invalidate, when it is done; only of a request that is looked_on. */
void tell_invalidate(struct request *r);

/* ---- watch.c: MONITOR -------------------------------------------------------------------------------------- */

void watches_on_tick(struct sessions *all, uint64_t now_ns);
void watch_leave(struct session *s); /* nothing when it does not watch */
void watch_forget(struct watch *w);

/* ---- session.c ------------------------------------------------------------------------------------------ */

void session_move(struct session *s, enum session_state to);
void session_request_ended(struct session *s);
size_t session_frame_max(const struct session_space *space);

/* ---- tenant.c: what a bound connection may name ---------------------------------------------------------- */

/* session_tenant_valid holds. */
void tenant_bind(struct session *s, struct slice tenant);
bool tenant_owns(const struct session *s, struct slice key_or_prefix);
bool tenant_owns_all(const struct session *s, const struct wire_strings *list);
bool tenant_owns_patterns(const struct session *s, const struct wire_strings *list);
/* Bytes tenant_tag needs for a tag, and for all of a list. */
size_t tenant_tag_bytes(const struct session *s, struct slice tag);
size_t tenant_tags_bytes(const struct session *s, const struct wire_strings *tags);
/* The tag as it is stored: "tenant:tag" for a bound connection, written to *room, which moves on. */
struct slice tenant_tag(const struct session *s, struct slice tag, char **room);

/* ---- get.c: VALUES, for GET and LEASE --------------------------------------------------------------------- */

void values_begin(struct request *r, uint32_t count, bool no_value);
struct wire_entry values_entry(const struct cache_get *g, bool no_value);
/* Of what is told to those who look on. */
struct wire_operation values_line(const struct wire_entry *w, const struct cache_get *g);
void values_denied(struct request *r, uint32_t index, struct slice key);
/* The answer to the key at that place.  False: there was no room, and the peer is told so instead. */
bool values_tell(struct request *r, uint32_t index, struct wire_entry *w);
void values_complete(struct request *r);

/* ---- lease.c ---------------------------------------------------------------------------------------------- */

/* As LEASE and OFFER say it. */
uint64_t hold_ns_of(uint32_t hold_ms);
/* What the cache may take to answer, beside the wait that it ends itself. */
uint32_t deadline_ms_of(const struct request *r, uint32_t wait_ms);
/* A request that waits for something of others must leave room for those of its connection that bring it. */
bool request_may_wait(const struct request *r);

/* ---- hello.c --------------------------------------------------------------------------------------------- */

void session_forget_gifts(struct session *s); /* the touch page */

/* ---- the verbs ------------------------------------------------------------------------------------------ */

void hello_run(struct request *r, struct reader *fields, const struct wire_head *head);
void ping_run(struct request *r, struct reader *fields, const struct wire_head *head);
void get_run(struct request *r, struct reader *fields, const struct wire_head *head);
void lease_run(struct request *r, struct reader *fields, const struct wire_head *head);
void fail_run(struct request *r, struct reader *fields, const struct wire_head *head);
void set_run(struct request *r, struct reader *fields, const struct wire_head *head);
void touch_run(struct request *r, struct reader *fields, const struct wire_head *head);
void tag_run(struct request *r, struct reader *fields, const struct wire_head *head);
void invalidate_run(struct request *r, struct reader *fields, const struct wire_head *head);
void event_run(struct request *r, struct reader *fields, const struct wire_head *head);
/* A list of a message, one slice each; returns the end. */
struct slice *strings_take(const struct wire_strings *list, struct slice *to);
void limit_run(struct request *r, struct reader *fields, const struct wire_head *head);
void listed_run(struct request *r, struct reader *fields, const struct wire_head *head);
void offer_run(struct request *r, struct reader *fields, const struct wire_head *head);
void warm_run(struct request *r, struct reader *fields, const struct wire_head *head);
void monitor_run(struct request *r, struct reader *fields, const struct wire_head *head);
void keys_run(struct request *r, struct reader *fields, const struct wire_head *head);
void stats_run(struct request *r, struct reader *fields, const struct wire_head *head);
void health_run(struct request *r, struct reader *fields, const struct wire_head *head);
void explain_run(struct request *r, struct reader *fields, const struct wire_head *head);
void doctor_run(struct request *r, struct reader *fields, const struct wire_head *head);
void log_run(struct request *r, struct reader *fields, const struct wire_head *head);
void reports_on_turn(struct later *turn);
void report_run(struct request *r, struct reader *fields, const struct wire_head *head);
void config_run(struct request *r, struct reader *fields, const struct wire_head *head);

#endif
