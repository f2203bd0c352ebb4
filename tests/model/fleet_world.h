/* A fleet in one thread: hosts with the code that ships, one Redis in memory, connections that deliver when the dice
 * say so.  What stands for what: a value is a number, never used twice; names are bits of a mask. */
#ifndef LARDER_TESTS_FLEET_WORLD_H
#define LARDER_TESTS_FLEET_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/fleet.h"
#include "tests/model/rules_off.h"

enum { HOSTS = 3, KEYS = 4, TAGS = 3, PREFIXES = 2, GLOBS = 2, PARTITIONS_MOST = 2, NOBODY = -1 };
enum { TAG_LATE = TAGS - 1 }; /* no set gives it: only a TAG */

extern const char *const key_texts[KEYS]; /* "a:0" "a:1" "b:0" "b:1" */
extern const char *const tag_texts[TAGS]; /* "t0" is on the keys with 0, "t1" on those with 1; "late" */
extern const char *const prefix_texts[PREFIXES]; /* "a:" "b:" */
extern const char *const glob_texts[GLOBS];      /* "*:0" "*:1" */

/* What a change or a record names, as bits. */
struct names {
    uint8_t keys, tags, prefixes, globs;
    bool all, soft;
};
uint8_t names_cover(const struct names *n); /* the keys it hits whatever is stored */
uint8_t names_late(const struct names *n);  /* the keys it hits where they have TAG_LATE */
struct names names_of(const struct fleet_change *change);
uint8_t tags_of(const struct slice *tags, unsigned count);

/* ---- dice and time ---- */

extern uint64_t world_ns;
uint64_t dice(void);
unsigned dice_below(unsigned n);
bool dice_say(unsigned percent);

extern bool world_talks;
#define TALK(...)                                                                    \
    do {                                                                             \
        if (world_talks) {                                                           \
            printf("# %8.1f ms  ", (double)(world_ns % (1000000 * NS_PER_S)) / 1e6); \
            printf(__VA_ARGS__);                                                     \
            printf("\n");                                                            \
        }                                                                            \
    } while (0)

/* ---- history (fleet_history.c): what was committed when, and who may still see what ---- */

enum { VALUES_MAX = 1024, MUTATIONS_MAX = 1024 };

void history_begin(void);
/* A new value.  A loaded one is born now, by reading its source; one to be set is born when Redis commits it.  A TAG stores
 * the value that is there once more. */
unsigned history_loaded(int host, unsigned key);
unsigned history_to_set(int host, unsigned key);
/* Redis committed a change. */
struct committed {
    unsigned partition, op; /* made by which operation; 0: by none */
    uint64_t epoch, v;
    uint8_t keys, late; /* names_cover, names_late */
    bool soft;          /* older values are stale from now on, and not gone */
    unsigned value;     /* 0: it stores none */
    bool again;         /* a TAG: it was there */
    unsigned over;      /* the value of its one key that was alive until then */
};
void history_commit(const struct committed *c);
/* A value may be seen until then, and a little longer: clocks run at different rates. */
void history_lives(unsigned value, uint64_t until_ns);
/* A host begins a change that it may have to make for itself first; its number. */
unsigned history_change_begins(int host, const struct names *names);
/* Redis is about to take a value that was loaded. */
void history_filled(unsigned key, unsigned value);
void history_refused(unsigned value);

/* What a change answered, and what whoever brings it along is promised (C4). */
struct position {
    unsigned partition;
    uint64_t epoch, v;
};

/* Nothing that was stored before may be shown: [0] as it was set, [1] with TAG_LATE; [0] at all, [1] as fresh. */
struct history_least {
    unsigned of[2][2];
};

/* What a read that begins now may not go behind. */
struct history_view {
    uint64_t began_ns;
    struct history_least at_least, seen, at_least_unflagged, brought;
};
struct history_view history_read_begins(int host, unsigned key, const struct position *brought);
/* READ_FLAGGED: nobody vouches for it.  READ_LOCAL: moreover it is this host's own, made while it was detached. */
enum history_how { READ_VOUCHED, READ_FLAGGED, READ_LOCAL };
struct history_shown {
    unsigned key, value;
    struct position at;
    bool stale;
    enum history_how how;
};
void history_read_ends(int host, const struct history_shown *shown, const struct history_view *view);
/* Operation `op` was answered OK on this host: the committed changes it made bind every later read (C1, C3). */
void history_acknowledged(int host, unsigned op, bool everywhere);
/* A TAG was answered OK on this host: what is at that position has the tag, and binds every later read, whoever tagged it. */
void history_tagged(int host, unsigned key, const struct position *at, bool everywhere);
/* A set with a condition was answered OK: it met it.  `over`: of IF_VERSION, the value of that version. */
void history_condition(int host, unsigned op, enum fleet_condition condition, unsigned over);
/* It was done here and queued: nothing born before it may be seen on this host again (C8). */
void history_queued(int host, unsigned change);
/* The host crashed without a journal of kills: C5 begins anew. */
void history_forgets_reads(int host);

/* A broken promise: printed with the seed, counted. */
void violation(const char *promise, const char *format, ...) __attribute__((format(printf, 2, 3)));
extern unsigned violations;
#define DETACHED_MAX_NS (2 * NS_PER_S)

/* ---- Redis (fleet_redis.c) ---- */

enum ask { ASK_HELLO, ASK_FENCE, ASK_SET, ASK_FILL, ASK_TOUCH, ASK_INVALIDATE, ASK_READ };
enum said { SAID_OK, SAID_EXISTS, SAID_NOT_FOUND, SAID_CONFLICT, SAID_REFUSED, SAID_EPOCH, SAID_SESSION };

struct message {
    enum ask ask;
    int host;
    unsigned partition, op;
    uint64_t nonce, epoch, sent_ns;
    unsigned key, value;
    uint8_t tags;
    uint32_t id;
    bool remove, exact; /* exact: Redis judges names as well */
    bool stale;
    bool dead; /* whom it was sent to is no more */
    uint64_t since_v;
    enum fleet_condition condition;
    uint64_t expected_epoch, expected_v;
    uint32_t expected_id;
    bool again, expected_fresh; /* again: a TAG */
    uint64_t left_ns;           /* of its life; in an answer too */
    struct names names;
    struct fleet_change *change; /* whose it is */
    struct tier_read *read;
    uint64_t session;
    /* the answer */
    enum said said;
    uint64_t v, first, killed;
    bool found;
    uint64_t entry_epoch, entry_v;
    uint32_t entry_id;
};

struct redis_record {
    uint64_t v;
    struct names names;
};

void redis_begin(unsigned partitions);
/* Runs what the message asks for; the answer is in it. */
void redis_run(struct message *m);
/* The oldest record after *cursor, which moves. */
bool redis_journal_after(unsigned partition, uint64_t *cursor, struct redis_record *ret);
unsigned redis_partitions(void);

void redis_snapshot(void);
void redis_restart(bool with_older_data);
void redis_flush(void);
void redis_trim(unsigned partition, unsigned records);

/* ---- hosts (fleet_host.h) ---- */

void hosts_begin(void);
void hosts_end(void);
void host_tick(int host);
void host_get(int host, unsigned key);
/* With a position that some change was answered, on this host or another. */
void host_get_not_older(int host, unsigned key);
void host_set(int host, unsigned key, bool remove, bool wait_all, enum fleet_condition condition);
void host_touch(int host, unsigned key);
void host_tag(int host, unsigned key, bool wait_all); /* with TAG_LATE */
void host_fill(int host);                             /* one of the loads that its misses began */
void host_invalidate(int host, const struct names *names, bool wait_all);
void host_commit_disk(int host);
void host_land_disk(int host); /* slow reads of the warm tier */
void host_restart(int host, bool in_order);
void host_pause(int host, bool paused);

/* The network.  A direction of a channel may be held; a cut link is told to the host. */
enum channel { CHANNEL_CONTROL, CHANNEL_DATA, CHANNEL_TAIL, CHANNELS };
void link_hold(int host, enum channel channel, bool replies, bool held);
void link_release_all(int host);
void link_cut(int host);
/* Redis ended: nothing that was sent to it arrives any more. */
void links_die(void);
bool link_flow(int host, enum channel channel, bool replies); /* moves one message; false: nothing moved */
void link_all_flow(int host);
void zombies_arrive(void);

/* LIVE, with a promise for every partition. */
bool host_is_fresh(int host);

#endif
