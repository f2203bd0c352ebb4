/* What the upper half of this room shares: l2.c, node.c, call.c, change.c, lease.c, read.c, journal.c, args.c. */
#ifndef LARDER_L2_L2_PRIVATE_H
#define LARDER_L2_L2_PRIVATE_H

#include "base/bans.h"
#include "base/check.h"
#include "base/clock.h"
#include "l2/coherence.h"
#include "l2/conn.h"
#include "l2/denied.h"
#include "l2/l2.h"
#include "l2/record.h"
#include "l2/script.h"

/* ---- the words of a command ---------------------------------------------------------------------------- */

enum {
    ARGS_MAX = 3 + SCRIPT_COMMON_KEYS + 2 * SCRIPT_ITEMS_MAX + 16 + SCRIPT_ITEMS_MAX,
    NAME_ROOM = 640, /* prefix, namespace, partition: what every key of ours begins with */
};

/* argv, and the bytes of those words that exist nowhere else. */
struct args {
    struct slice argv[ARGS_MAX];
    unsigned count;
    enum script_id script; /* that is called; SCRIPTS: none */
    char *bytes;
    size_t used, room;
};

/* Room for `names` names of keys, `names_bytes` long together, and some numbers. */
void args_begin(struct args *a, struct buffer *room, size_t names, size_t names_bytes);
void args_add(struct args *a, struct slice word);
void args_text(struct args *a, const char *word);
/* After use: what one large value needed is not kept for the small ones. */
void room_kept(struct buffer *room);
void args_number(struct args *a, uint64_t number);
void args_join(struct args *a, struct slice first, const char *between, struct slice last); /* one word */

/* ---- the names of our keys ------------------------------------------------------------------------------ */

/* {ns} of each partition.  Partition 0 is {NAME} however many there are, so that hosts that disagree about how many meet
 * there; no namespace has a '/' in its name, so the others are nobody else's. */
struct names {
    char of[FLEET_PARTITIONS_MAX][NAME_ROOM];
};
void names_make(struct names *n, const char *prefix, const char *namespace, unsigned partitions);

/* ---- the node -------------------------------------------------------------------------------------------- */

/* In the order they are opened; an error on one is the end of all (I9). */
enum link { LINK_CONTROL, LINK_TAIL, LINK_DATA, LINKS };

struct node {
    struct conn *links[LINKS];
    unsigned open;       /* links whose `closed` has not come yet */
    unsigned ready;      /* links that were greeted */
    bool joined;         /* a fence of this session has come back */
    bool told;           /* the log knows that there is trouble */
    unsigned loading;    /* scripts whose digest is still to come */
    uint64_t generation; /* of connections: what an older one reports is nobody's */
    uint8_t session[8];
    struct script_digests digests;
    struct script_load {
        struct l2_command command;
        struct l2 *l2;
        enum script_id id;
        uint64_t generation;
    } load[SCRIPTS];
    struct tailing {
        struct l2_command command;
        struct later again;
        bool busy;
        uint64_t generation;
        bool started[FLEET_PARTITIONS_MAX];
        uint64_t after[FLEET_PARTITIONS_MAX], after_note[FLEET_PARTITIONS_MAX];
    } tailing;
};

struct batch;

struct l2 {
    struct fleet fleet;
    struct tier tier;
    struct l2_setup setup;
    struct coherence *coherence;
    struct node node;
    struct names names;
    char host_field[24]; /* "s:" and the host, as {ns}:inc names it */
    struct buffer room;  /* words of the command that is being put together */
    struct args args;
    uint8_t epoch[8], version[L2_VERSION_BYTES + 1], nonce[8];
    char since[24];
    struct buffer tail;                        /* an entry on its way */
    struct buffer value;                       /* an entry unpacked */
    struct collected *collected;               /* the record that is being read */
    struct batch *batch[FLEET_PARTITIONS_MAX]; /* reads of this turn that share a look at clock and counter */
    struct later batch_over;
    struct list waiting; /* reads whose callers wait */
    struct timer tick;
    bool ticking;
    struct l2_health health;
    char denied[DENIED_ROOM]; /* what Redis keeps from our user */
    uint64_t reads, hits;
    void (*stopped)(void *user);
    void *stopped_user;
};

static inline uint64_t l2_now(const struct l2 *l2)
{
    return loop_now_ns(l2->setup.loop);
}

static inline uint64_t l2_deadline(const struct l2 *l2)
{
    return clock_after(l2_now(l2), l2->setup.options->command_timeout);
}

/* What joins the fleet (scripts, hello, what waited) has nobody waiting for it, and a Redis that is slow because it is busy
 * must not be left for it: whoever comes back is one more that makes it busy. */
static inline uint64_t l2_join_ns(const struct l2_options *o)
{
    return o->command_timeout > COHERENCE_ANSWER_NS ? o->command_timeout : COHERENCE_ANSWER_NS;
}

static inline uint64_t l2_join_deadline(const struct l2 *l2)
{
    return clock_after(l2_now(l2), l2_join_ns(l2->setup.options));
}

/* node.c */
extern const struct coherence_io node_io;
void node_init(struct node *n);
void node_tick(struct l2 *l2);        /* after coherence's */
bool node_ended(const struct l2 *l2); /* nothing of it is left on the loop */
/* The session is over because of what was answered. */
void node_fail(struct l2 *l2, const char *why);

/* call.c */
/* A script call in l2->args: the words up to and including the common arguments.  KEYS: common, then what `keys` adds;
 * ARGV: epoch, host, session, then what the caller adds. */
void call_begin(struct l2 *l2, enum script_id id, unsigned partition, unsigned items, size_t names_bytes,
                void (*keys)(struct l2 *l2, unsigned partition, const void *what), const void *what);
void call_key(struct l2 *l2, unsigned partition, const char *kind,
              struct slice key); /* kind: ":e:" or ":l:" */
/* Sends what is in l2->args.  A script that Redis has forgotten goes again with its text before anybody is told; then
 * command->sent_ns is when it went last.  False: there is no room or no link. */
bool call_issue(struct l2 *l2, enum link link, struct l2_command *command);
/* The same for a change, on the control link: what the session lives by has room beside it. */
bool call_change(struct l2 *l2, struct l2_command *command);

/* What an error of Redis means for the change, or read, that it answers; table in change.c. */
struct refusal {
    enum fleet_outcome outcome;
    bool ends; /* the session too */
    const char *why;
};
/* `script`: what was run, SCRIPTS: none.  The sentence stays as long as the l2. */
struct refusal refusal_of(struct l2 *l2, const struct l2_reply *error, enum script_id script);

/* change.c */
bool change_send(struct l2 *l2, struct fleet_change *change);
/* lease.c: as of struct fleet_ops */
int lease_ask(struct l2 *l2, struct fleet_lease *lease);
void lease_keep(struct l2 *l2, unsigned partition, struct slice key, const uint8_t *proof, uint64_t life_ns);
void lease_drop(struct l2 *l2, unsigned partition, struct slice key, const uint8_t *proof, uint64_t rest_ns);
/* limit.c */
int l2_limit(struct l2 *l2, struct fleet_limit *limit);
/* list.c */
int l2_list(struct l2 *l2, struct fleet_list *list);
/* hot.c */
void l2_hot_add(struct l2 *l2, const struct fleet_hot *keys, unsigned count, uint64_t most);
int l2_hot_list(struct l2 *l2, struct fleet_list *list);
/* read.c */
extern const struct tier_ops read_ops;
void read_batch_over(struct later *w);
/* Those whose time is over are told so. */
void read_give_up(struct l2 *l2);
/* journal.c: false: that was no journal. */
struct collected *journal_collected(void);
bool journal_read(struct l2 *l2, const struct l2_reply *streams);

bool reply_number(const struct l2_reply *r, uint64_t *ret);
/* One that can be a position: at 100,000 changes a second, 89 years.  What is made of positions has room for that. */
#define POSITION_MAX ((1ull << 48) - 1)
bool reply_position(const struct l2_reply *r, uint64_t *ret);

/* Decimal digits, nothing else. */
bool l2_number_read(struct slice text, uint64_t *ret);
/* The two words of TIME, as milliseconds. */
bool l2_time_read(struct slice seconds, struct slice micros, uint64_t *ret_ms);

#endif
